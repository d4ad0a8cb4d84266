// What the tests of the export share: networks of programs and single operations as ONNX models.

import Basics
import Elaboration
import Formats
import GraphIR
import Interchange
import Operators
import Passes
import Testing

/// A program's network at two batches, as the command exports it.
func exportable(_ source: SourceText, _ network: String) throws -> ExtentGraph {
  func program(_ shapes: [(network: String, argument: String, shape: [Int])]) throws -> Program {
    let result = compile(source, options: ElaborationOptions(argumentShapes: shapes))
    if result.program == nil {
      Issue.record(Comment(rawValue: DiagnosticRenderer(source).render(result.diagnostics)))
    }
    return try #require(result.program)
  }
  func find(_ program: Program) throws -> NetworkProgram {
    try #require(program.networks.first { $0.name == network })
  }
  let arguments = try find(program([])).arguments
  func graph(_ batch: Int) throws -> Graph {
    let shapes = arguments.map {
      (network: network, argument: $0.name, shape: [batch] + $0.type.shape.dropFirst())
    }
    let pipeline = Pipeline([.once(ExpandGradients()), .once(CommonSubexpressions())])
    return try PassRunner(pipeline).run(find(program(shapes)).graph).graph
  }
  return try ExtentGraph(graph(7), at: 7, graph(11), at: 11)
}

/// A network of a text.
func exportable(_ text: String) throws -> ExtentGraph {
  try exportable(SourceText(name: "test.gan", text), "net")
}

/// The model with small numbers that differ from element to element as states.
func model(_ source: ExtentGraph) throws -> ONNXModel {
  let types = Dictionary(
    source.graph.inputs.compactMap { input -> (String, TensorType)? in
      guard case .state(let name) = input.role else { return nil }
      return (name, source.graph.type(of: input.value))
    }, uniquingKeysWith: { first, _ in first })
  return try ONNXExport.model(source, metadata: [("model", "test")]) { name in
    let count = types[name]?.count ?? 0
    let values = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      for index in 0..<count { buffer[index] = Float(index % 7) / 8 + 0.25 }
      initialized = count
    }
    return (name, values.withUnsafeBytes { Array($0) })
  }
}

/// `Conv(image, net/conv2D/kernel, net/conv2D/bias) {pads: 1 1 1 1}` for each node.
func lines(_ model: ONNXModel) -> [String] {
  model.graph.nodes.map { node in
    let attributes = node.attributes.map { "\($0.name): \(text($0.value))" }.sorted()
    let list = attributes.isEmpty ? "" : " {\(attributes.joined(separator: ", "))}"
    return "\(node.outputs.joined(separator: ", ")) = \(node.op)"
      + "(\(node.inputs.joined(separator: ", ")))\(list)"
  }
}

private func text(_ value: ONNXAttribute.Value) -> String {
  switch value {
  case .int(let number): "\(number)"
  case .ints(let numbers): numbers.map(String.init).joined(separator: " ")
  case .float(let number): "\(number)"
  case .string(let text): text
  default: "?"
  }
}

/// The elements of an initialiser that holds whole numbers or floats.
func values(_ model: ONNXModel, _ name: String) -> [Double]? {
  model.graph.initializers.first { $0.name == name }?.doubles
}
