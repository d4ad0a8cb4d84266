// ONNX models as the commands take them: read and imported with the sizes that the command line
// gives, shown by gan-compile, run by gan-exec eval.

import Basics
import Formats
import GraphIR
import Interchange
import Passes
import Planning
import Runtime
import Training

enum ONNXFile {
  static func isONNX(_ path: String) -> Bool { path.hasSuffix(".onnx") }

  /// The model of a file as our graph. `--set NAME=N` gives the size of a free dimension; `given`
  /// are the arrays of all inputs, where there are any.
  static func read(
    _ path: String, _ arguments: ParsedArguments, given: [ONNXTensor]? = nil
  ) throws -> ImportedModel {
    var sizes: [String: Int] = [:]
    for (name, value) in try arguments.settings() {
      guard let size = Int(value), size >= 1, size <= TensorType.maximumCount else {
        throw UsageError(
          "--set \(name)=\(value): the size of a dimension is a whole number of 1 or more")
      }
      sizes[name] = size
    }
    let model = try ONNXModel.decode(try FileIO.read(path), name: path)
    if let given { try ONNXEvaluation.check(model, given.map(\.name)) }
    let free = model.freeDimensions.sorted()
    for name in sizes.keys.sorted() where !free.contains(name) {
      throw UsageError(
        "the model has no free dimension '\(name)'; it has "
          + (free.isEmpty ? "none" : free.joined(separator: ", ")),
        help: suggestion(for: name, in: free))
    }
    return try ImportedModel.importing(model, name: path, given: given ?? [], settings: sizes)
  }

  /// Which sizes stand for free dimensions where nothing said so; empty where there are none.
  static func assumptions(_ model: ImportedModel) -> String {
    let names = model.sizes.filter { $0.reason == .standard }.map(\.name)
    guard !names.isEmpty else { return "" }
    return "free dimensions taken as 1: \(names.joined(separator: ", ")); --set NAME=N sets one\n"
  }
}

extension ONNXModel {
  /// The names of the dimensions that have no size.
  fileprivate var freeDimensions: Set<String> {
    var names: Set<String> = []
    for case .tensor(_, .some(let shape)) in graph.inputs.map(\.kind) {
      for case .parameter(let name) in shape { names.insert(name) }
    }
    return names
  }
}

// MARK: gan-compile

/// The tables of `gan-compile model.onnx`.
struct ONNXSummary {
  private let model: ImportedModel
  private let outcome: PassRunner.Outcome

  init(_ model: ImportedModel, _ runner: PassRunner) throws {
    self.model = model
    outcome = try runner.run(model.graph)
  }

  func text() -> String {
    let plan = Planner().plan(outcome.graph)
    let count = model.weights.reduce(0) { $0 + $1.type.count }
    let bytes = model.weights.reduce(0) { $0 + $1.bytes.count }
    var text = "graph \"\(model.graph.name)\"\n\ninputs\n" + ports(model.arguments)
    text += "outputs\n" + ports(model.results)
    if !model.sizes.isEmpty {
      text += "free dimensions\n" + alignedTable(model.sizes.map { [$0.name, "\($0.size)"] })
    }
    text += "weights: \(model.weights.count) tensors, \(count) numbers, \(bytes) bytes\n"
    text +=
      "operations: \(model.graph.nodes.count) as imported, \(outcome.graph.nodes.count) after the "
      + "passes; \(plan.order.count) kernels\n"
    let flops = shortNumber(outcome.graph.cost.flops / 1e6)
    return text + "arithmetic: \(flops) MFLOP; memory of values: \(plan.arenaBytes) bytes\n"
  }

  private func ports(_ ports: [ImportedModel.Port]) -> String {
    alignedTable(
      ports.map { [$0.name, "\($0.type)", $0.element.text] }, words: 0..<3)
  }
}

// MARK: gan-exec eval

/// Runs an imported model once on given arrays.
enum ONNXEvaluation {
  static func run(
    _ model: ImportedModel, _ inputs: [(name: String, array: NPYArray)], _ workplace: Workplace
  ) throws -> [[UInt8]] {
    let states = workplace.backend.makeStateStore()
    for weight in model.weights {
      try states.declare(weight.name, weight.type)
      try states.write(weight.name, elements: weight.bytes)
    }
    let plan = try workplace.compiler.compile(model.graph).plan
    let executable = try workplace.backend.load(plan, states: states)
    let graph = executable.plan.graph
    for (index, input) in graph.inputs.enumerated() {
      guard case .argument(let name) = input.role,
        let port = model.arguments.first(where: { $0.name == name })
      else { continue }
      guard let given = inputs.first(where: { $0.name == name }) else {
        throw UsageError("the input '\(name)' needs --input \(name)=FILE.npy")
      }
      try bytes(given, port).withUnsafeBytes { executable.write(input: index, $0) }
    }
    try executable.run()
    return try graph.outputs.enumerated().map { index, output in
      try deviceBytes(count: graph.type(of: output.value).byteCount) {
        (bytes) throws(EnvironmentFailure) in try executable.read(output: index, into: bytes)
      }
    }
  }

  /// The names that were given must be inputs, and all inputs given.
  static func check(_ model: ONNXModel, _ given: [String]) throws(UsageError) {
    let weights = Set(model.graph.initializers.map(\.name))
    let names = model.graph.inputs.map(\.name).filter { !weights.contains($0) }
    for name in given where !names.contains(name) {
      throw UsageError(
        "the model has no input '\(name)'; it has \(names.joined(separator: ", "))",
        help: suggestion(for: name, in: names))
    }
    for name in names where !given.contains(name) {
      throw UsageError("the input '\(name)' needs --input \(name)=FILE.npy")
    }
  }

  /// An array as a tensor of ONNX.
  static func tensor(_ name: String, _ array: NPYArray) -> ONNXTensor {
    let element: ONNXElement =
      switch array.element {
      case .f16: .float16
      case .f32: .float
      case .f64: .double
      case .i8: .int8
      case .i16: .int16
      case .i32: .int32
      case .i64: .int64
      case .u8: .uint8
      case .u16: .uint16
      case .u32: .uint32
      case .bool: .bool
      }
    return ONNXTensor(name: name, element: element, shape: array.shape, data: array.bytes)
  }

  /// The elements of an array as the graph reads them.
  private static func bytes(
    _ input: (name: String, array: NPYArray), _ port: ImportedModel.Port
  ) throws(EnvironmentFailure) -> [UInt8] {
    guard input.array.shape == port.type.shape else {
      throw EnvironmentFailure(
        "the input '\(input.name)' has the shape \(shapeText(input.array.shape)), the model takes "
          + shapeText(port.type.shape))
    }
    if port.type.element == .f32 { return input.array.floats.withUnsafeBytes { Array($0) } }
    var whole = try EvalCommand.integers(input.name, input.array, nil)
    if port.type.element == .bool { whole = whole.map { $0 == 0 ? 0 : 1 } }
    return whole.withUnsafeBytes { Array($0) }
  }

  /// A result in the model's own element type, as far as files have it: halves as f32, unsigned
  /// 64-bit numbers as i64.
  static func array(_ port: ImportedModel.Port, _ bytes: [UInt8]) -> NPYArray {
    func converted<Value>(_ element: NPYArray.Element, _ body: (Int32) -> Value) -> NPYArray {
      let values = bytes.withUnsafeBytes { $0.bindMemory(to: Int32.self).map(body) }
      return NPYArray(
        element: element, shape: port.type.shape, bytes: values.withUnsafeBytes { Array($0) })
    }
    switch port.element {
    case .double:
      let values = bytes.withUnsafeBytes { $0.bindMemory(to: Float.self).map { Double($0) } }
      return NPYArray(shape: port.type.shape, doubles: values)
    case .int64, .uint64: return converted(.i64) { Int64($0) }
    case .uint32: return converted(.u32) { UInt32(bitPattern: $0) }
    case .int16: return converted(.i16) { Int16(truncatingIfNeeded: $0) }
    case .uint16: return converted(.u16) { UInt16(truncatingIfNeeded: $0) }
    case .int8: return converted(.i8) { Int8(truncatingIfNeeded: $0) }
    case .uint8: return converted(.u8) { UInt8(truncatingIfNeeded: $0) }
    case .bool: return converted(.bool) { UInt8($0 == 0 ? 0 : 1) }
    default:
      let element: NPYArray.Element = port.type.element == .f32 ? .f32 : .i32
      return NPYArray(element: element, shape: port.type.shape, bytes: bytes)
    }
  }
}
