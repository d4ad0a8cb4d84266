// What the tests of the import share: small models, and what an imported graph computes.

import Basics
import Formats
import GraphIR
import Interchange
import Testing

/// A model of nodes between float inputs and outputs whose shapes the import finds itself.
func model(
  _ nodes: [ONNXNode], inputs: [(String, [ONNXDimension])] = [("x", [.value(2), .value(3)])],
  outputs: [String] = ["y"], initializers: [ONNXTensor] = [], opset: Int64 = 17
) -> ONNXModel {
  ONNXModel(
    opsets: [ONNXOpset(version: opset)],
    graph: ONNXGraph(
      name: "test", nodes: nodes, initializers: initializers,
      inputs: inputs.map { ONNXValueInfo($0.0, .float, $0.1) },
      outputs: outputs.map { ONNXValueInfo($0, .tensor(.float, shape: nil)) }))
}

func imported(
  _ model: ONNXModel, given: [ONNXTensor] = [], settings: [String: Int] = [:]
) throws -> ImportedModel {
  try ImportedModel.importing(model, name: "a file", given: given, settings: settings)
}

extension ImportedModel {
  /// What the graph means, by the reference evaluator; inputs by name.
  func evaluate(_ inputs: [String: [Double]]) throws -> [HostTensor] {
    let values = try graph.inputs.map { input -> HostTensor in
      let type = graph.type(of: input.value)
      switch input.role {
      case .argument(let name): return HostTensor(type, try #require(inputs[name]))
      case .state(let name):
        let weight = try #require(weights.first { $0.name == name })
        return HostTensor(type, weight.values)
      default: throw InternalError("an imported graph has the input \(input.role)")
      }
    }
    return Evaluator(rounding: true).evaluate(graph, inputs: values)
  }
}

extension ImportedModel.Weight {
  var values: [Double] {
    bytes.withUnsafeBytes { raw in
      (0..<type.count).map { index in
        type.element == .f32
          ? Double(raw.loadUnaligned(fromByteOffset: index * 4, as: Float.self))
          : Double(raw.loadUnaligned(fromByteOffset: index * 4, as: Int32.self))
      }
    }
  }
}
