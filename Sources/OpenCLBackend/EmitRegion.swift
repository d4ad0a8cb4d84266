// Lowers element-wise work: single operations, fused regions. In: a node. Out: one launch for all shapes among its results
// where none lies over what makes another, and one ahead for arithmetic on scalars in double precision.

import Basics
import GraphIR
import Operators

/// A single element-wise operation or random draw: a region of one step.
let emitElementwise: NodeEmitter = { (node) throws(EnvironmentFailure) in
  let arguments = node.operands.indices.map { Region.Reference.input($0) }
  let region = Region(
    inputCount: node.operands.count, steps: [Region.Step(node.operation, arguments)],
    results: [.step(0)])
  try emitRegion(node, region, inputs: node.operands, results: node.results)
}

/// A region with the tensors that it reads and writes.
func emitRegion(
  _ node: NodeLowering, _ region: Region, inputs: [DeviceTensor], results: [DeviceTensor]
) throws(EnvironmentFailure) {
  var (region, inputs) = (region, inputs)
  // Schedules are scalars in double precision; a large tensor's every element would compute them again.
  if results.contains(where: { $0.count > 1 }) {
    try hoistDoubles(node, &region, &inputs)
  }
  // What has no step in common and what is of another shape is computed by items of its own.
  let groups = region.parts().flatMap { part in
    var shapes: [[Int]] = []
    for index in part.results where !shapes.contains(results[index].shape) {
      shapes.append(results[index].shape)
    }
    return shapes.map { shape in part.results.filter { results[$0].shape == shape } }
  }
  func code(_ group: [Int], _ targets: [DeviceTensor]) throws(EnvironmentFailure) -> RegionCode {
    try RegionCode(
      node, region, inputs: inputs.map { .tensor($0) }, inputTypes: inputs.map(\.type),
      results: group.map { ($0, targets[$0]) }, shape: targets[group[0]].shape)
  }
  /// Whether a result lies over what one of these groups reads.
  func isRead(_ result: DeviceTensor, by groups: [[Int]]) -> Bool {
    let read = region.neededInputs(groups.joined().map { region.results[$0] })
    return zip(inputs, read).contains { $1 && node.overlaps($0, result) }
  }
  let areApart = groups.indices.allSatisfy { index in
    let others = groups.indices.filter { $0 != index }.map { groups[$0] }
    return groups[index].allSatisfy { !isRead(results[$0], by: others) }
  }
  if areApart {
    var codes: [RegionCode] = []
    for group in groups { codes.append(try code(group, results)) }
    return launch(node, codes)
  }
  var targets = results
  for (position, group) in groups.enumerated() {
    for index in group where isRead(results[index], by: Array(groups[(position + 1)...])) {
      targets[index] = node.temporary(results[index].type)
    }
    launch(node, [try code(group, targets)])
  }
  for (target, result) in zip(targets, results) where target != result {
    node.copy(from: target, to: result)
  }
}

/// Launches for regions that know nothing of each other: as few as the device's limit on a kernel's parameters allows.
private func launch(_ node: NodeLowering, _ codes: [RegionCode]) {
  var together: [RegionCode] = []
  for code in codes {
    let more = together + [code]
    if !together.isEmpty, kernel(node, more).text.parameters.count > node.traits.bufferLimit {
      let (text, items) = kernel(node, together)
      node.each(items, text)
      together = [code]
    } else {
      together = more
    }
  }
  guard !together.isEmpty else { return }
  let (text, items) = kernel(node, together)
  node.each(items, text)
}

/// A kernel whose items do the places of one region after those of the other.
private func kernel(
  _ node: NodeLowering, _ codes: [RegionCode]
) -> (text: KernelText, items: Int) {
  var kernel = KernelText("region")
  kernel.line("const uint item = get_global_id(0);")
  var items = 0
  for code in codes {
    let count = code.shape.reduce(1, *)
    let width = code.width(upTo: node.traits.vectorWidth, count: count)
    let first = items
    items += count / width
    kernel.block("\(first == 0 ? "" : "else ")if (item < \(items)u)") { kernel in
      let own = first == 0 ? "item" : "(item - \(first)u)"
      kernel.line("const uint i = \(width == 1 ? own : "\(own) * \(width)u");")
      code.write(into: &kernel, at: ElementPlace(flat: "i", column: nil), width: width)
    }
  }
  return (kernel, items)
}

/// Moves the steps that touch f64, and those that they depend on, into a launch of their own ahead; what others read of
/// them becomes inputs.
private func hoistDoubles(
  _ node: NodeLowering, _ region: inout Region, _ inputs: inout [DeviceTensor]
) throws(EnvironmentFailure) {
  let types: [TensorType]
  do {
    types = try region.inferSteps(inputs.map(\.type))
  } catch {
    throw node.unsupported(error.message)
  }
  var ahead = region.steps.indices.map { index in
    types[index].element == .f64
      || region.steps[index].arguments.contains {
        if case .input(let i) = $0 { return inputs[i].type.element == .f64 }
        return false
      }
  }
  for index in region.steps.indices {
    for case .step(let s) in region.steps[index].arguments where types[s].element == .f64 {
      ahead[index] = true
    }
  }
  guard ahead.contains(true) else { return }
  for index in region.steps.indices.reversed() where ahead[index] {
    guard types[index].count == 1 else { throw node.unsupported("f64 is for scalars alone") }
    for case .step(let s) in region.steps[index].arguments { ahead[s] = true }
  }
  // Every step that runs ahead and is read behind, or is a result.
  var wanted = BitSet()
  for (index, step) in region.steps.enumerated() where !ahead[index] {
    for case .step(let s) in step.arguments where ahead[s] { wanted.insert(s) }
  }
  for case .step(let s) in region.results where ahead[s] { wanted.insert(s) }
  var inputOf = [Int](repeating: 0, count: types.count)
  var targets: [DeviceTensor] = []
  var references: [Region.Reference] = []
  let given = inputs
  for step in types.indices where wanted.contains(step) {
    let target = node.temporary(types[step])
    inputOf[step] = inputs.count
    inputs.append(target)
    targets.append(target)
    references.append(.step(step))
  }
  let first = Region(inputCount: given.count, steps: region.steps, results: references)
  try emitRegion(node, first, inputs: given, results: targets)
  region = region.replacing(ahead, by: inputOf, inputCount: inputs.count)
}

extension Region {
  /// Without the steps of a set; who reads one of them reads an input instead.
  fileprivate func replacing(_ gone: [Bool], by inputOf: [Int], inputCount: Int) -> Region {
    var number = [Int](repeating: 0, count: steps.count)
    func moved(_ reference: Reference) -> Reference {
      guard case .step(let s) = reference else { return reference }
      return gone[s] ? .input(inputOf[s]) : .step(number[s])
    }
    var kept: [Step] = []
    for (index, step) in steps.enumerated() where !gone[index] {
      number[index] = kept.count
      kept.append(Step(step.operation.operation, step.arguments.map(moved)))
    }
    return Region(inputCount: inputCount, steps: kept, results: results.map(moved))
  }
}
