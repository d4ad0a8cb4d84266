// Element-wise work as C statements: a region of its own, or the epilogue of a product. In: the steps with the tensors
// they read and write. Out: statements for one place, one element or a vector of neighbours.

import Basics
import GraphIR
import Operators

struct RegionCode {
  /// Where an input comes from.
  enum Input {
    case tensor(DeviceTensor)
    /// The name of a value that the kernel has in registers: the product of a root.
    case register
  }

  let region: Region
  let inputs: [Input]
  /// Where the chosen results of the region go: their index and tensor; all of `shape`.
  let results: [(index: Int, tensor: DeviceTensor)]
  let shape: [Int]
  private let inputTypes: [TensorType]
  private let types: [TensorType]

  /// Throws where an operation has no expression.
  init(
    _ node: NodeLowering, _ region: Region, inputs: [Input], inputTypes: [TensorType],
    results: [(index: Int, tensor: DeviceTensor)], shape: [Int]
  ) throws(EnvironmentFailure) {
    self.region = region
    self.inputs = inputs
    self.inputTypes = inputTypes
    self.results = results
    self.shape = shape
    do {
      types = try region.inferSteps(inputTypes)
    } catch {
      throw node.unsupported(error.message)
    }
    for step in region.steps where ElementExpressions.find(step.operation.operation) == nil {
      throw node.with(step.operation.operation, node.operands, node.results)
        .unsupported("it is not in the list of expressions")
    }
  }

  private func type(of reference: Region.Reference) -> TensorType {
    switch reference {
    case .input(let i): inputTypes[i]
    case .step(let s): types[s]
    }
  }

  // MARK: Width

  /// The widest vector, up to a limit, whose lanes are neighbours everywhere: a power of two.
  func width(upTo limit: Int, count: Int) -> Int {
    var width = limit
    while width > 1, !allows(width, count) { width /= 2 }
    return width
  }

  private func allows(_ width: Int, _ count: Int) -> Bool {
    let whole = region.inputsReadWhole
    let steps = zip(types, neededSteps())
    guard count % width == 0, !steps.contains(where: { $1 && $0.element == .f64 }) else {
      return false
    }
    let needed = region.neededInputs(results.map { region.results[$0.index] })
    for (index, input) in inputs.enumerated() where needed[index] && !whole.contains(index) {
      guard case .tensor(let tensor) = input, tensor.splat == nil else { continue }
      if tensor.type.element == .f64 { return false }
      if !access(tensor).allows(width: width) { return false }
    }
    return true
  }

  private func access(_ tensor: DeviceTensor) -> ElementAccess {
    ElementAccess(reading: tensor.isOneElement ? [] : tensor.shape, in: shape)
  }

  // MARK: Statements

  /// Reads what is needed at a place, computes, and writes the results there. `register` is the name of the root's
  /// product at the place. Every operand is read before any result is written, because results may lie over operands.
  func write(
    into kernel: inout KernelText, at place: ElementPlace, width: Int, register: String? = nil
  ) {
    let needed = neededSteps()
    var names = inputNames(into: &kernel, needed, place, width, register)
    var steps = [String](repeating: "", count: types.count)
    func name(_ reference: Region.Reference) -> String {
      switch reference {
      case .input(let i): names[i]
      case .step(let s): steps[s]
      }
    }
    for (index, step) in region.steps.enumerated() where needed[index] {
      let operation = step.operation.operation
      guard let expression = ElementExpressions.find(operation) else { continue }
      let text = expression(
        ElementStep(
          operation: operation, arguments: step.arguments.map(name),
          elements: step.arguments.map { type(of: $0).element }, result: types[index].element,
          width: width, place: place))
      steps[index] = "t\(index)"
      kernel.line("const \(cType(types[index].element, width)) t\(index) = \(text);")
    }
    names = results.map { name(region.results[$0.index]) }
    for (result, name) in zip(results, names) {
      let target = kernel.output(result.tensor)
      kernel.line(ElementAccess.store(name, target, place.flat, width))
    }
  }

  /// The names of the inputs: values at the place, literals, or, for those that are read whole, pointers.
  private func inputNames(
    into kernel: inout KernelText, _ needed: [Bool], _ place: ElementPlace, _ width: Int,
    _ register: String?
  ) -> [String] {
    let whole = region.inputsReadWhole
    let used = region.neededInputs(results.map { region.results[$0.index] })
    return inputs.indices.map { index in
      guard used[index] else { return "" }
      switch inputs[index] {
      case .register: return register ?? ""
      case .tensor(let tensor):
        let element = tensor.type.element
        if let splat = tensor.splat, !whole.contains(index) {
          return cLiteral(splat, element, width)
        }
        let pointer = kernel.input(tensor)
        if whole.contains(index) { return pointer }
        let load = access(tensor).load(pointer, element, at: place, width: width)
        kernel.line("const \(cType(element, width)) v\(index) = \(load);")
        return "v\(index)"
      }
    }
  }

  private func neededSteps() -> [Bool] {
    region.neededSteps(results.map { region.results[$0.index] })
  }
}
