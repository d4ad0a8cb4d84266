// A network as an ONNX model: standard operators only, the batch free where the network allows it,
// weights as initialisers under their names. In comes a graph in inference mode with the extents of
// its values and the values of its states; out goes an `ONNXModel`.

import Basics
import Formats
import GraphIR
import Operators

package enum ONNXExport {
  /// The version of the standard's operators that models are written with: the first with all that
  /// is needed (`Shape` of one axis, additions in `ScatterElements`), read by runtimes since 2022.
  package static let opset: Int64 = 17
  /// The version of the file format that belongs to it.
  package static let irVersion: Int64 = 8
  package static let producer = "swift-gan"
  /// A model must fit one message of Protocol Buffers.
  package static let mostBytes = (1 << 31) - 1

  /// What makes a graph ready to be written: differentiated, nothing fused. `states` gives the bytes
  /// of a state by its name in the graph, and the name that its initialiser gets.
  package static func model(
    _ source: ExtentGraph, metadata: [(String, String)],
    states: (String) throws -> (name: String, bytes: [UInt8])
  ) throws -> ONNXModel {
    var lowering = Lowering(source)
    let graph = source.graph
    var inputs: [ONNXValueInfo] = []
    for input in graph.inputs {
      let type = graph.type(of: input.value)
      switch input.role {
      case .argument(let argument):
        let name = lowering.builder.unique(argument)
        lowering.define(input.value, name)
        inputs.append(ONNXValueInfo(name, type.element, source.extents[input.value]))
      case .state(let state):
        let (name, bytes) = try states(state)
        guard bytes.count == type.byteCount else {
          throw InternalError("the state \(state) has \(bytes.count) bytes, not those of \(type)")
        }
        lowering.define(input.value, known: KnownTensor(name: name, type: type, bytes: bytes))
      // Only random numbers read these, and they are refused below.
      case .seed, .step, .epoch, .data: break
      }
    }
    let outputs = reserveOutputs(&lowering)
    let live = graph.liveNodes()
    for id in graph.nodes.ids where live.contains(id) {
      try lowering.lower(id, graph.nodes[id])
    }
    name(outputs, in: &lowering)
    lowering.builder.prune(keeping: outputs)
    let infos = zip(outputs, graph.outputs).map { name, output in
      ONNXValueInfo(name, graph.type(of: output.value).element, source.extents[output.value])
    }
    return ONNXModel(
      irVersion: irVersion, opsets: [ONNXOpset(version: opset)], producer: producer,
      graph: ONNXGraph(
        name: graph.name, nodes: lowering.builder.nodes.map(ONNXNode.init),
        initializers: lowering.builder.initializers.map(\.tensor), inputs: inputs, outputs: infos),
      metadata: metadata.map { ONNXMetadata($0.0, $0.1) })
  }

  /// `output`, or `output_0`, `output_1`, … of a network with several results.
  private static func reserveOutputs(_ lowering: inout Lowering) -> [String] {
    let count = lowering.graph.outputs.count
    return (0..<count).map { lowering.builder.unique(count == 1 ? "output" : "output_\($0)") }
  }

  /// Gives the results their names. What is an input, a weight or two results at once needs a node of
  /// its own.
  private static func name(_ outputs: [String], in lowering: inout Lowering) {
    lowering.builder.path = ""
    var renamed: [String: String] = [:]
    for (name, output) in zip(outputs, lowering.graph.outputs) {
      let value = lowering.native(output.value)
      if let first = renamed[value] {
        lowering.builder.append("Identity", [first], named: name)
      } else if lowering.builder.nodes.contains(where: { $0.outputs.contains(value) }) {
        lowering.builder.rename(value, to: name)
        renamed[value] = name
      } else {
        lowering.builder.append("Identity", [value], named: name)
      }
    }
  }
}

extension ONNXValueInfo {
  fileprivate init(_ name: String, _ element: ElementType, _ extents: [Extent]) {
    self.init(
      name, ONNXElement(element),
      extents.map { $0.isBatch ? .parameter($0.description) : .value($0.fixedSize) })
  }
}

extension ONNXElement {
  init(_ element: ElementType) {
    self =
      switch element {
      case .f32: .float
      case .i32: .int32
      case .bool: .bool
      case .f64: .double
      }
  }
}

extension ONNXTensor {
  init(name: String, shape: [Int], integers: [Int]) {
    self.init(name: name, shape: shape, integers: integers.map { Int64($0) })
  }

  /// Booleans take a byte there, four here.
  init(name: String, _ tensor: KnownTensor) {
    var data = tensor.bytes
    if tensor.type.element == .bool {
      data = stride(from: 0, to: data.count, by: 4).map { data[$0] == 0 ? 0 : 1 }
    }
    self.init(
      name: name, element: ONNXElement(tensor.type.element), shape: tensor.type.shape, data: data)
  }
}

extension ONNXNode {
  init(_ node: ExportBuilder.Node) {
    self.init(
      node.operation, name: node.name, inputs: node.inputs, outputs: node.outputs,
      attributes: node.attributes.map { attribute in
        let value: ONNXAttribute.Value =
          switch attribute.value {
          case .int(let number): .int(Int64(number))
          case .ints(let numbers): .ints(numbers.map { Int64($0) })
          case .float(let number): .float(Float(number))
          case .string(let text): .string(text)
          }
        return ONNXAttribute(attribute.name, value)
      })
  }
}
