// The verifier of plans. In: a plan. Out: nothing, or an internal error that names the first node that would read or
// leave wrong bytes. It executes the plan symbolically (which value do the bytes of each place hold now?) and shares
// nothing with the planner's liveness.

import Basics
import GraphIR
import Operators

package struct PlanVerifier {
  package init() {}

  package func verify(_ plan: Plan) throws(InternalError) {
    var memory = SymbolicMemory(plan)
    try memory.verifyPlaces()
    try memory.run()
    try memory.finish()
  }
}

/// A stretch of one of the memories.
private struct Extent: Hashable {
  enum Space: Hashable {
    case arena
    case constants
    case state(String)
    case input(Int)
  }
  var space: Space
  var start: Int
  var end: Int

  func overlaps(_ other: Extent) -> Bool {
    space == other.space && start < other.end && other.start < end
  }
}

private struct SymbolicMemory {
  let plan: Plan
  let graph: Graph
  /// Where each value is, nil where it is never computed.
  private var extents: [Extent?]
  /// Whether the bytes there are the value's now.
  private var intact: [Bool]
  /// The values that are intact, by the space they are in, ascending. They are views of one another or disjoint, so that
  /// a write finds those it hits by their order.
  private var residents: [Extent.Space: [(value: ValueID, start: Int, end: Int)]] = [:]
  private var ordered = BitSet()
  /// The views of each value.
  private var views: [[ValueID]]
  /// What each state's buffer holds at the end, where a copy has filled it.
  private var copied: [String: ValueID] = [:]
  /// Workspaces by the position at which they are first written, and those that kernels hold now.
  private var workspaces: [Int: [HeldWorkspace]] = [:]
  private var held: [HeldWorkspace] = []

  private struct HeldWorkspace {
    var extent: Extent
    var end: Int
  }

  init(_ plan: Plan) {
    self.plan = plan
    graph = plan.graph
    extents = Array(repeating: nil, count: graph.values.count)
    views = Array(repeating: [], count: graph.values.count)
    intact = Array(repeating: false, count: graph.values.count)
    for value in graph.values.ids {
      guard let extent = extent(of: value, at: plan.placements[value]) else { continue }
      extents[value.index] = extent
    }
    for id in graph.nodes.ids where graph.nodes[id].operation.isReshape {
      let node = graph.nodes[id]
      if extents[node.results[0].index] != nil {
        views[node.operands[0].index].append(node.results[0])
      }
    }
    for buffer in plan.buffers {
      guard case .workspace = buffer.use else { continue }
      let extent = Extent(space: .arena, start: buffer.offset, end: buffer.offset + buffer.bytes)
      workspaces[buffer.start, default: []].append(HeldWorkspace(extent: extent, end: buffer.end))
    }
  }

  /// The bytes of a value, and with them of its views, are there now.
  private mutating func come(_ value: ValueID) {
    var stack = [value]
    while let next = stack.popLast() {
      guard let extent = extents[next.index], !intact[next.index] else { continue }
      intact[next.index] = true
      let place = firstResident(from: extent.start, residents[extent.space] ?? [])
      residents[extent.space, default: []].insert((next, extent.start, extent.end), at: place)
      stack += views[next.index]
    }
  }

  private func extent(of value: ValueID, at placement: Placement) -> Extent? {
    let scalar = plan.scalarConstants.contains(value)
    let type = graph.type(of: value)
    let bytes = scalar ? type.element.byteCount : type.byteCount
    switch placement {
    case .none: return nil
    case .arena(let offset): return Extent(space: .arena, start: offset, end: offset + bytes)
    case .constant(let offset):
      return Extent(space: .constants, start: offset, end: offset + bytes)
    case .state(let name): return Extent(space: .state(name), start: 0, end: bytes)
    case .input(let index): return Extent(space: .input(index), start: 0, end: bytes)
    }
  }

  private func describe(_ id: NodeID) -> String {
    "node \(id.index) (\(graph.nodes[id].operation.mnemonic)) of plan \"\(graph.name)\""
  }

  // MARK: Places

  /// Everything has a place of the right kind, aligned and inside its memory.
  mutating func verifyPlaces() throws(InternalError) {
    guard plan.order.count == plan.inPlace.count,
      plan.outputPlacements.count == graph.outputs.count
    else { throw InternalError("the plan of \"\(graph.name)\" has tables of the wrong length") }
    for value in graph.values.ids {
      guard let extent = extents[value.index] else { continue }
      if extent.start % Plan.alignment != 0 || extent.start < 0 {
        throw InternalError("\(value) of plan \"\(graph.name)\" is not aligned")
      }
      let limit: Int
      switch extent.space {
      case .arena: limit = plan.arenaBytes
      case .constants: limit = plan.constantBytes
      case .state(let name): limit = stateBytes(name)
      case .input(let index): limit = graph.type(of: graph.inputs[index].value).byteCount
      }
      if extent.end > limit {
        throw InternalError("\(value) of plan \"\(graph.name)\" lies outside its memory")
      }
    }
    for (index, input) in graph.inputs.enumerated() {
      var wanted = Placement.input(index)
      if case .state(let name) = input.role { wanted = .state(name) }
      if plan.placements[input.value] != wanted {
        throw InternalError("input \(index) of plan \"\(graph.name)\" is not where it is filled")
      }
    }
    for id in graph.nodes.ids where graph.nodes[id].operation is Constant {
      let value = graph.nodes[id].results[0]
      guard plan.placements[value] != .none else { continue }
      guard case .constant = plan.placements[value] else {
        throw InternalError("constant \(value) of plan \"\(graph.name)\" is not with the constants")
      }
      come(value)
    }
    try verifyConstants()
  }

  private func stateBytes(_ name: String) -> Int {
    if let value = graph.input(.state(name)) { return graph.type(of: value).byteCount }
    if let value = graph.output(.state(name)) { return graph.type(of: value).byteCount }
    return 0
  }

  /// Constants do not overlap unless they are views of one another.
  private func verifyConstants() throws(InternalError) {
    let constants = (residents[.constants] ?? []).filter {
      graph.producer(of: $0.value)?.operation is Constant
    }
    let sorted = constants.sorted { ($0.start, $0.value) < ($1.start, $1.value) }
    for (a, b) in zip(sorted, sorted.dropFirst()) where b.start < a.end {
      throw InternalError("constants \(a.value) and \(b.value) of plan \"\(graph.name)\" overlap")
    }
  }

  // MARK: The step

  mutating func run() throws(InternalError) {
    var place = [Int](repeating: -1, count: graph.nodes.count)
    for (index, id) in plan.order.enumerated() {
      guard place[id.index] < 0 else { throw InternalError("\(describe(id)) runs twice") }
      place[id.index] = index
      ordered.insert(id)
    }
    let live = graph.liveNodes()
    for id in graph.nodes.ids where live.contains(id) {
      let operation = graph.nodes[id].operation
      if place[id.index] < 0, !(operation is Constant), !operation.isReshape {
        throw InternalError("\(describe(id)) is never run")
      }
    }
    try verifyViews()
    for input in graph.inputs { come(input.value) }
    for (position, id) in plan.order.enumerated() {
      try holdWorkspaces(at: position)
      try run(id)
    }
    try holdWorkspaces(at: plan.order.count)
    guard workspaces.isEmpty else {
      throw InternalError("a workspace of plan \"\(graph.name)\" begins outside the step")
    }
  }

  /// Kernels write their workspaces before they have read their operands: what is there is lost.
  private mutating func holdWorkspaces(at position: Int) throws(InternalError) {
    held.removeAll { $0.end < position }
    for workspace in workspaces.removeValue(forKey: position) ?? [] {
      let extent = workspace.extent
      guard extent.start >= 0, extent.start % Plan.alignment == 0, extent.end <= plan.arenaBytes
      else { throw InternalError("a workspace of plan \"\(graph.name)\" lies outside the arena") }
      try expectUnheld(extent, "a workspace at \(position)")
      invalidate(extent)
      held.append(workspace)
    }
  }

  /// Nothing may be written where a kernel holds memory of its own.
  private func expectUnheld(_ extent: Extent, _ what: String) throws(InternalError) {
    if held.contains(where: { $0.extent.overlaps(extent) }) {
      throw InternalError("\(what) of plan \"\(graph.name)\" lies in a workspace that is held")
    }
  }

  private mutating func run(_ id: NodeID) throws(InternalError) {
    let node = graph.nodes[id]
    for operand in node.operands where !intact[operand.index] {
      throw InternalError("\(describe(id)) reads \(operand), whose place holds something else")
    }
    var written: [Extent] = []
    for result in node.results {
      guard let extent = extents[result.index] else {
        throw InternalError("\(describe(id)) has no place for \(result)")
      }
      switch extent.space {
      case .constants, .input:
        throw InternalError("\(describe(id)) writes \(result) over what a step must not change")
      case .arena, .state: break
      }
      if written.contains(where: { $0.overlaps(extent) }) {
        throw InternalError("\(describe(id)) writes two results to the same place")
      }
      try expectUnheld(extent, "\(result)")
      written.append(extent)
      try verifyOverwriting(id, node, result, extent)
    }
    for extent in written { invalidate(extent) }
    for result in node.results { come(result) }
  }

  /// A result may share bytes with an operand only element by element.
  private func verifyOverwriting(
    _ id: NodeID, _ node: Node, _ result: ValueID, _ extent: Extent
  ) throws(InternalError) {
    let rootOperands = (node.operation as? Fused)?.rootOperandCount ?? 0
    // Parts of a region run at once, and know nothing of each other.
    let part = Self.part(of: result, node)
    for (index, operand) in node.operands.enumerated() {
      guard let read = extents[operand.index], read.overlaps(extent) else { continue }
      let a = graph.type(of: operand)
      let b = graph.type(of: result)
      // An epilogue's operands stand behind the root's.
      let elementwise =
        (node.operation.isElementwise || node.operation is Fused) && index >= rootOperands
      let made = part.map { $0.results.map { node.results[$0] } } ?? node.results
      let allAlike = made.allSatisfy { graph.type(of: $0).shape == b.shape }
      let isReadElsewhere = part.map { isRead(index, besides: $0, node) } ?? false
      guard elementwise, allAlike, !isReadElsewhere, read.start == extent.start, a.shape == b.shape,
        a.element.byteCount == b.element.byteCount
      else {
        throw InternalError("\(describe(id)) writes \(result) over \(operand) while it reads it")
      }
    }
  }

  /// The part of a region without a root that makes a result; nil for other nodes.
  private static func part(of result: ValueID, _ node: Node) -> Region.Part? {
    guard let fused = node.operation as? Fused, fused.root == nil else { return nil }
    return fused.region.parts().first { $0.results.contains { node.results[$0] == result } }
  }

  /// Whether another part of a region reads an operand.
  private func isRead(_ operand: Int, besides part: Region.Part, _ node: Node) -> Bool {
    guard let fused = node.operation as? Fused else { return false }
    return fused.region.parts().contains { $0 != part && $0.inputs.contains(operand) }
  }

  private mutating func invalidate(_ extent: Extent) {
    guard let (first, last) = residents[extent.space].map({ hit(extent, $0) }) else { return }
    for resident in residents[extent.space]?[first..<last] ?? [] {
      intact[resident.value.index] = false
    }
    residents[extent.space]?.removeSubrange(first..<last)
  }

  /// The part of a list that overlaps an extent.
  private func hit(
    _ extent: Extent, _ list: [(value: ValueID, start: Int, end: Int)]
  ) -> (Int, Int) {
    var first = firstResident(from: extent.start, list)
    while first > 0, list[first - 1].end > extent.start { first -= 1 }
    var last = first
    while last < list.count, list[last].start < extent.end {
      last += 1
    }
    return (first, last)
  }

  /// The first of a list that starts at an offset or behind it.
  private func firstResident(
    from offset: Int, _ list: [(value: ValueID, start: Int, end: Int)]
  ) -> Int {
    var low = 0
    var high = list.count
    while low < high {
      let middle = (low + high) / 2
      if list[middle].start < offset { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Views lie where their operand does, and never run.
  private func verifyViews() throws(InternalError) {
    for id in graph.nodes.ids where graph.nodes[id].operation.isReshape {
      let (result, operand) = (graph.nodes[id].results[0], graph.nodes[id].operands[0])
      guard let extent = extents[result.index], let source = extents[operand.index] else {
        continue
      }
      if ordered.contains(id) {
        throw InternalError("\(describe(id)) is a view and must not run")
      }
      guard extent.space == source.space, extent.start == source.start else {
        throw InternalError("\(describe(id)) is a view elsewhere than its operand")
      }
    }
  }

  // MARK: The end of the step

  mutating func finish() throws(InternalError) {
    let name = graph.name
    var stagedAt: [Int: Extent] = [:]
    for (index, copy) in plan.stateCopies.enumerated() {
      guard let offset = copy.staging else { continue }
      try expect(copy.value, "the staging of state \(copy.state)")
      let extent = self.extent(of: copy.value, at: .arena(offset))!
      stagedAt[index] = extent
      try claim(extent)
    }
    var savedAt: [Int: Extent] = [:]
    for copy in plan.outputCopies {
      try expect(copy.value, "output \(copy.output)")
      let extent = self.extent(of: copy.value, at: .arena(copy.offset))!
      for (_, other) in stagedAt where other.overlaps(extent) {
        throw InternalError("two copies of plan \"\(name)\" share their space")
      }
      for (_, other) in savedAt where other.overlaps(extent) {
        throw InternalError("two copies of plan \"\(name)\" share their space")
      }
      savedAt[copy.output] = extent
      try claim(extent)
    }
    for copy in plan.stateCopies {
      if copy.staging == nil { try expect(copy.value, "the copy to state \(copy.state)") }
      let target = Extent(space: .state(copy.state), start: 0, end: stateBytes(copy.state))
      guard graph.type(of: copy.value).byteCount == target.end else {
        throw InternalError("the copy to state \(copy.state) of plan \"\(name)\" has another size")
      }
      invalidate(target)
      copied[copy.state] = copy.value
    }
    try verifyOutputs(savedAt)
    try verifyUnchangedStates()
  }

  private func expect(_ value: ValueID, _ what: String) throws(InternalError) {
    guard intact[value.index] else {
      throw InternalError(
        "\(what) of plan \"\(graph.name)\" reads \(value), whose place holds something else")
    }
  }

  /// Space that the copies at the end write to.
  private mutating func claim(_ extent: Extent) throws(InternalError) {
    guard extent.end <= plan.arenaBytes else {
      throw InternalError("a copy of plan \"\(graph.name)\" lies outside the arena")
    }
    try expectUnheld(extent, "a copy")
    invalidate(extent)
  }

  private func verifyOutputs(_ savedAt: [Int: Extent]) throws(InternalError) {
    for (index, output) in graph.outputs.enumerated() {
      if case .state(let name) = output.role {
        guard plan.outputPlacements[index] == .state(name) else {
          throw InternalError("the new \(name) of plan \"\(graph.name)\" is read elsewhere")
        }
        if let value = copied[name] {
          if value == output.value { continue }
          throw InternalError("state \(name) of plan \"\(graph.name)\" gets another value")
        }
        guard intact[output.value.index], let extent = extents[output.value.index],
          extent.space == .state(name)
        else {
          throw InternalError("state \(name) of plan \"\(graph.name)\" does not get its new value")
        }
        continue
      }
      if let saved = savedAt[index] {
        guard plan.outputPlacements[index] == .arena(saved.start) else {
          throw InternalError("output \(index) of plan \"\(graph.name)\" is read elsewhere")
        }
        continue
      }
      guard intact[output.value.index],
        plan.outputPlacements[index] == plan.placements[output.value]
      else {
        throw InternalError(
          "output \(index) of plan \"\(graph.name)\" is not there after the step")
      }
    }
  }

  /// A state without a new value must be as it was.
  private func verifyUnchangedStates() throws(InternalError) {
    for input in graph.inputs {
      guard case .state(let name) = input.role, graph.output(.state(name)) == nil else { continue }
      guard intact[input.value.index], copied[name] == nil else {
        throw InternalError(
          "state \(name) of plan \"\(graph.name)\" is changed but has no new value")
      }
    }
  }
}
