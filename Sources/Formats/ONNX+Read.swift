// Reading ONNX models. Messages are followed as they stand; fields that say nothing about the
// computation are passed over. What cannot be kept (external data, sparse tensors, functions of
// the model's own) is refused by name.

import Basics

extension ONNXModel {
  /// Reads the bytes of a model.
  package static func decode(
    _ bytes: [UInt8], name: String
  ) throws(EnvironmentFailure) -> ONNXModel {
    var reader = ProtobufReader(bytes, name: name, what: "ONNX model")
    var model = ONNXModel(irVersion: 0, opsets: [], graph: ONNXGraph(name: ""))
    var hasGraph = false
    var functions: [String] = []
    while let field = try reader.next() {
      switch field.number {
      case 1: model.irVersion = try reader.integer(field)
      case 2: model.producer = try reader.string(field)
      case 3: model.producerVersion = try reader.string(field)
      case 4: model.domain = try reader.string(field)
      case 5: model.modelVersion = try reader.integer(field)
      case 6: model.documentation = try reader.string(field)
      case 7:
        model.graph = try ONNXGraph(reader.message(field, "GraphProto"))
        hasGraph = true
      case 8: model.opsets.append(try ONNXOpset(reader.message(field, "OperatorSetIdProto")))
      case 14: model.metadata.append(try ONNXMetadata(reader.message(field, "metadata")))
      case 25: functions.append(try functionName(reader.message(field, "FunctionProto")))
      default: break
      }
    }
    // Almost any short file reads as a message without known fields.
    guard hasGraph, !model.opsets.isEmpty else {
      throw EnvironmentFailure(
        "\(name): truncated or not an ONNX model: expected a graph and the versions of its "
          + "operators, found no \(hasGraph ? "versions" : "graph")")
    }
    guard model.irVersion >= 1 else {
      throw EnvironmentFailure("\(name): expected an ONNX IR version, found \(model.irVersion)")
    }
    guard functions.isEmpty else {
      throw EnvironmentFailure(
        "\(name): the model has functions of its own, which are not supported: "
          + functions.prefix(5).joined(separator: ", ") + (functions.count > 5 ? ", …" : ""),
        help: "put their bodies in their places (onnx.inliner.inline_local_functions)")
    }
    return model
  }

  private static func functionName(
    _ source: ProtobufReader
  ) throws(EnvironmentFailure) -> String {
    var reader = source
    var name = ""
    while let field = try reader.next() {
      if field.number == 1 { name = try reader.string(field) }
    }
    return name
  }
}

extension ONNXOpset {
  fileprivate init(_ source: ProtobufReader) throws(EnvironmentFailure) {
    var reader = source
    self.init(version: 0)
    while let field = try reader.next() {
      switch field.number {
      case 1: domain = try reader.string(field)
      case 2: version = try reader.integer(field)
      default: break
      }
    }
  }
}

extension ONNXMetadata {
  init(_ source: ProtobufReader) throws(EnvironmentFailure) {
    var reader = source
    self.init("", "")
    while let field = try reader.next() {
      switch field.number {
      case 1: key = try reader.string(field)
      case 2: value = try reader.string(field)
      default: break
      }
    }
  }
}

extension ONNXGraph {
  fileprivate init(_ source: ProtobufReader) throws(EnvironmentFailure) {
    var reader = source
    self.init(name: "")
    while let field = try reader.next() {
      switch field.number {
      case 1: nodes.append(try ONNXNode(reader.message(field, "NodeProto")))
      case 2: name = try reader.string(field)
      case 5: initializers.append(try ONNXTensor(reader.message(field, "TensorProto")))
      case 10: documentation = try reader.string(field)
      case 11: inputs.append(try ONNXValueInfo(reader.message(field, "ValueInfoProto")))
      case 12: outputs.append(try ONNXValueInfo(reader.message(field, "ValueInfoProto")))
      case 13: valueInfo.append(try ONNXValueInfo(reader.message(field, "ValueInfoProto")))
      case 15: throw reader.failure("sparse initialisers are not supported", field.offset)
      default: break
      }
    }
  }
}

extension ONNXNode {
  fileprivate init(_ source: ProtobufReader) throws(EnvironmentFailure) {
    var reader = source
    self.init("", inputs: [], outputs: [])
    while let field = try reader.next() {
      switch field.number {
      case 1: inputs.append(try reader.string(field))
      case 2: outputs.append(try reader.string(field))
      case 3: name = try reader.string(field)
      case 4: op = try reader.string(field)
      case 5: attributes.append(try ONNXAttribute(reader.message(field, "AttributeProto")))
      case 6: documentation = try reader.string(field)
      case 7: domain = try reader.string(field)
      default: break
      }
    }
    guard !op.isEmpty else { throw reader.failure("the node '\(name)' has no operator") }
  }
}

extension ONNXAttribute {
  /// The fields of an `AttributeProto` as they come.
  private struct Fields {
    var type: Int64 = 0
    var float: Float?
    var int: Int64?
    var string: String?
    var tensor: ONNXTensor?
    var graph: ONNXGraph?
    var floats: [Float] = []
    var ints: [Int64] = []
    var strings: [String] = []
    var tensors: [ONNXTensor] = []
    var graphs: [ONNXGraph] = []
  }

  fileprivate init(_ source: ProtobufReader) throws(EnvironmentFailure) {
    var reader = source
    var name = ""
    var fields = Fields()
    while let field = try reader.next() {
      switch field.number {
      case 1: name = try reader.string(field)
      case 2: fields.float = try reader.float(field)
      case 3: fields.int = try reader.integer(field)
      case 4: fields.string = try reader.string(field)
      case 5: fields.tensor = try ONNXTensor(reader.message(field, "TensorProto"))
      case 6: fields.graph = try ONNXGraph(reader.message(field, "GraphProto"))
      case 7: try reader.append(field, to: &fields.floats)
      case 8: try reader.append(field, to: &fields.ints)
      case 9: fields.strings.append(try reader.string(field))
      case 10: fields.tensors.append(try ONNXTensor(reader.message(field, "TensorProto")))
      case 11: fields.graphs.append(try ONNXGraph(reader.message(field, "GraphProto")))
      case 20: fields.type = try reader.integer(field)
      case 21:
        throw reader.failure("refers to an attribute of a function", field.offset)
      default: break
      }
    }
    self.init(name, try Self.value(fields, name, reader))
  }

  /// Writers that leave out zeros (proto3) give a type without a field; those of the first
  /// versions gave a field without a type.
  private static func value(
    _ fields: Fields, _ name: String, _ reader: ProtobufReader
  ) throws(EnvironmentFailure) -> Value {
    switch fields.type {
    case 0:
      if let value = fields.float { return .float(value) }
      if let value = fields.int { return .int(value) }
      if let value = fields.string { return .string(value) }
      if let value = fields.tensor { return .tensor(value) }
      if let value = fields.graph { return .graph(value) }
      if !fields.floats.isEmpty { return .floats(fields.floats) }
      if !fields.ints.isEmpty { return .ints(fields.ints) }
      if !fields.strings.isEmpty { return .strings(fields.strings) }
      return .other("nothing")
    case 1: return .float(fields.float ?? 0)
    case 2: return .int(fields.int ?? 0)
    case 3: return .string(fields.string ?? "")
    case 4:
      guard let tensor = fields.tensor else {
        throw reader.failure("the attribute '\(name)' has no tensor")
      }
      return .tensor(tensor)
    case 5:
      guard let graph = fields.graph else {
        throw reader.failure("the attribute '\(name)' has no graph")
      }
      return .graph(graph)
    case 6: return .floats(fields.floats)
    case 7: return .ints(fields.ints)
    case 8: return .strings(fields.strings)
    case 9: return .tensors(fields.tensors)
    case 10: return .graphs(fields.graphs)
    case 11, 12: return .other("sparse tensor")
    case 13, 14: return .other("type")
    default: throw reader.failure("the attribute '\(name)' has the unknown type \(fields.type)")
    }
  }
}

extension ONNXValueInfo {
  fileprivate init(_ source: ProtobufReader) throws(EnvironmentFailure) {
    var reader = source
    self.init("", .other("nothing"))
    while let field = try reader.next() {
      switch field.number {
      case 1: name = try reader.string(field)
      case 2: kind = try Self.kind(reader.message(field, "TypeProto"))
      default: break
      }
    }
  }

  private static func kind(_ source: ProtobufReader) throws(EnvironmentFailure) -> Kind {
    var reader = source
    var kind = Kind.other("nothing")
    while let field = try reader.next() {
      switch field.number {
      case 1: kind = try tensor(reader.message(field, "TypeProto.Tensor"))
      case 4: kind = .other("sequence")
      case 5: kind = .other("map")
      case 8: kind = .other("sparse tensor")
      case 9: kind = .other("optional")
      default: break
      }
    }
    return kind
  }

  private static func tensor(_ source: ProtobufReader) throws(EnvironmentFailure) -> Kind {
    var reader = source
    var element = ONNXElement.undefined
    var shape: [ONNXDimension]?
    while let field = try reader.next() {
      switch field.number {
      case 1:
        let number = try reader.integer(field)
        guard let known = ONNXElement(rawValue: number) else {
          throw reader.failure("\(number) is no element type that is known", field.offset)
        }
        element = known
      case 2: shape = try Self.shape(reader.message(field, "TensorShapeProto"))
      default: break
      }
    }
    return .tensor(element, shape: shape)
  }

  private static func shape(
    _ source: ProtobufReader
  ) throws(EnvironmentFailure) -> [ONNXDimension] {
    var reader = source
    var shape: [ONNXDimension] = []
    while let field = try reader.next() {
      guard field.number == 1 else { continue }
      shape.append(try ONNXDimension(reader.message(field, "dimension")))
    }
    return shape
  }
}

extension ONNXDimension {
  fileprivate init(_ source: ProtobufReader) throws(EnvironmentFailure) {
    var reader = source
    self = .unknown
    while let field = try reader.next() {
      switch field.number {
      case 1: self = .value(Int(try reader.integer(field)))
      case 2:
        let name = try reader.string(field)
        self = name.isEmpty ? .unknown : .parameter(name)
      default: break
      }
    }
  }
}
