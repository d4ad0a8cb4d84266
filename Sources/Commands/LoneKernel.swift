// The products and convolutions of a program, or of known layers, each by itself as a graph of one node that runs on
// random numbers. What it shares with others in a step (packed weights, warm caches, the turn of the threads) is
// not there, so the sum is not the step.

import Basics
import GraphIR
import Operators
import Passes
import Planning
import Runtime

/// One node to be run alone.
struct LoneKernel {
  /// Its inputs are arguments, its constants stay constants.
  var graph: Graph
  var origin: Origin
  /// How many nodes of the program are like it.
  var count = 1

  init(_ node: Node, in source: Graph) throws(Diagnostic) {
    let builder = GraphBuilder(name: node.operation.mnemonic, stage: .fused, sharing: true)
    var operands: [ValueID] = []
    for operand in node.operands {
      if let constant = source.producer(of: operand)?.operation as? Constant {
        operands += try builder.add(constant, [])
      } else {
        let role = InputRole.argument(String(operands.firstUse(of: operand, in: node)))
        operands.append(try builder.input(role, source.type(of: operand)))
      }
    }
    let results = try builder.add(node.operation, operands)
    for (index, result) in results.enumerated() { builder.output(.result(String(index)), result) }
    graph = builder.finish()
    origin = node.origin
  }

  private var node: Node { graph.nodes.elements[graph.nodes.count - 1] }
  /// The product or convolution itself.
  var operation: any Operation { Self.core(node.operation) }
  /// The element-wise steps that run with it.
  var fusedSteps: Int { (node.operation as? Fused)?.region.steps.count ?? 0 }
  /// The types of the operation's own operands.
  var operandTypes: [TensorType] {
    let own = (node.operation as? Fused)?.rootOperandCount ?? node.operands.count
    return graph.types(of: Array(node.operands.prefix(own)))
  }
  var cost: Cost { graph.cost(of: node) }

  /// The same computed by another method; products have only one.
  func with(_ method: ConvolutionMethod) throws(Diagnostic) -> LoneKernel {
    guard var convolution = operation as? any ConvolutionOperation else { return self }
    convolution.method = method
    var changed = node
    if var fused = node.operation as? Fused {
      fused.root = AnyOperation(convolution)
      changed.operation = fused
    } else {
      changed.operation = convolution
    }
    var copy = try LoneKernel(changed, in: graph)
    (copy.origin, copy.count) = (origin, count)
    return copy
  }

  private static func core(_ operation: any Operation) -> any Operation {
    (operation as? Fused)?.root?.operation ?? operation
  }

  // MARK: Lists

  /// The products and convolutions of a graph, equal ones once, in the graph's order.
  static func all(of graph: Graph) throws -> [LoneKernel] {
    var found: [LoneKernel] = []
    var places: [String: Int] = [:]
    for node in graph.nodes.elements where core(node.operation).isProduct {
      let kernel = try LoneKernel(node, in: graph)
      let text = GraphPrinter.text(kernel.graph)
      if let place = places[text] {
        found[place].count += 1
      } else {
        places[text] = found.count
        found.append(kernel)
      }
    }
    return found
  }

  /// Layers of GANs that are known well: the sizes that other frameworks are compared at. Each is a graph of its own,
  /// before any pass.
  static func knownLayers(batch: Int) throws(Diagnostic) -> [Graph] {
    var list: [Graph] = []
    for (inputs, outputs) in [(1024, 784), (784, 512), (6272, 128), (128, 6272)] {
      let (x, w) = (TensorType.f32(batch, inputs), TensorType.f32(inputs, outputs))
      let y = TensorType.f32(batch, outputs)
      list.append(try layer(MatMul(), [x, w]))
      list.append(try layer(MatMul(transposeB: true), [y, w]))
      list.append(try layer(MatMul(transposeA: true), [x, y]))
    }
    list.append(try layer(MatMul(), [.f32(2048, 2048), .f32(2048, 2048)]))
    // Height and width, channels in and out, kernel, stride.
    let layers = [
      (28, 128, 128, 5, 1), (28, 128, 128, 4, 1), (14, 128, 128, 5, 1), (28, 128, 1, 4, 1),
      (7, 256, 128, 5, 1), (28, 1, 64, 5, 2), (14, 64, 128, 5, 2),
    ]
    for (size, channels, filters, width, stride) in layers {
      list += try convolutions(
        TensorType.f32(batch, size, size, channels),
        TensorType.f32(width, width, channels, filters),
        stride)
    }
    return list
  }

  /// An operation on operands of given types.
  private static func layer(
    _ operation: any Operation, _ types: [TensorType]
  ) throws(Diagnostic) -> Graph {
    let builder = GraphBuilder(name: operation.mnemonic, stage: .raw)
    var operands: [ValueID] = []
    for (index, type) in types.enumerated() {
      operands.append(try builder.input(.argument(String(index)), type))
    }
    builder.output(.result("0"), try builder.add(operation, operands)[0])
    return builder.finish()
  }

  /// A layer with padding `same`: forward, by its input, by its filter.
  private static func convolutions(
    _ x: TensorType, _ w: TensorType, _ stride: Int
  ) throws(Diagnostic) -> [Graph] {
    let size = x.shape[1]
    let width = w.shape[0]
    let output = (size + stride - 1) / stride
    let missing = max(0, (output - 1) * stride + width - size)
    let (before, after) = (missing / 2, missing - missing / 2)
    let strides = [stride, stride]
    let padding = [before, after, before, after]
    let y = TensorType.f32(x.shape[0], output, output, w.shape[3])
    return [
      try layer(Conv2D(stride: strides, padding: padding), [x, w]),
      try layer(
        Conv2DInputGradient(stride: strides, padding: padding, inputSize: [size, size]), [y, w]),
      try layer(
        Conv2DFilterGradient(stride: strides, padding: padding, kernelSize: [width, width]),
        [x, y]),
    ]
  }

  // MARK: Running

  /// Times so many runs on random numbers; nil for as many as fit into a quarter of a second.
  func time(on backend: any Backend, runs: Int?) throws -> Spread {
    let executable = try backend.load(Planner().plan(graph), states: backend.makeStateStore())
    for (index, input) in graph.inputs.enumerated() {
      let bytes = Self.randomBytes(graph.type(of: input.value), UInt32(index))
      bytes.withUnsafeBytes { executable.write(input: index, $0) }
    }
    func run() throws -> Double {
      let began = monotonicNanoseconds()
      try executable.run()
      try executable.wait()
      return Double(max(1, monotonicNanoseconds() - began)) * 1e-9
    }
    try BenchCommand.warmUp(seconds: runs == nil ? 0.05 : 0, run)
    return Spread(milliseconds: try BenchCommand.repeated(runs, seconds: 0.25, run))
  }

  /// Floats in −1..<1, whole numbers and booleans 0 or 1; from some thousand elements on they repeat.
  private static func randomBytes(_ type: TensorType, _ stream: UInt32) -> [UInt8] {
    var random = PhiloxSequence(seed: 0, stream: stream)
    var period: [UInt8] = []
    for _ in 0..<min(type.count, 5003) {
      let number = 2 * random.nextUniform() - 1
      switch type.element {
      case .f32: withUnsafeBytes(of: Float(number)) { period += $0 }
      case .f64: withUnsafeBytes(of: number) { period += $0 }
      case .i32, .bool: withUnsafeBytes(of: Int32(number < 0 ? 0 : 1)) { period += $0 }
      }
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(type.byteCount)
    while bytes.count < type.byteCount { bytes += period.prefix(type.byteCount - bytes.count) }
    return bytes
  }
}

extension [ValueID] {
  /// The number of an argument: that of the first operand of the node that is the same value.
  fileprivate func firstUse(of operand: ValueID, in node: Node) -> Int {
    node.operands.firstIndex(of: operand) ?? count
  }
}
