// Writing ONNX models: fields in ascending order, nothing that is empty, tensors as `raw_data`.

import Basics

extension ONNXModel {
  /// The bytes of the file; equal values give equal bytes. Fails where a tensor's data does not
  /// have the size of its shape.
  package func encode(name: String = "an ONNX model") throws(EnvironmentFailure) -> [UInt8] {
    try graph.checkForWriting(name)
    var writer = ProtobufWriter()
    writer.integer(1, irVersion)
    writer.text(2, producer)
    writer.text(3, producerVersion)
    writer.text(4, domain)
    if modelVersion != 0 { writer.integer(5, modelVersion) }
    writer.text(6, documentation)
    writer.message(7) { graph.write(&$0) }
    for opset in opsets {
      writer.message(8) {
        $0.text(1, opset.domain)
        $0.integer(2, opset.version)
      }
    }
    for entry in metadata {
      writer.message(14) {
        $0.string(1, entry.key)
        $0.string(2, entry.value)
      }
    }
    return writer.bytes
  }
}

extension ProtobufWriter {
  /// A text that is left out where it is empty.
  fileprivate mutating func text(_ field: Int, _ value: String) {
    if !value.isEmpty { string(field, value) }
  }
}

extension ONNXGraph {
  fileprivate func write(_ writer: inout ProtobufWriter) {
    for node in nodes { writer.message(1) { node.write(&$0) } }
    writer.text(2, name)
    for tensor in initializers { writer.message(5) { tensor.write(&$0) } }
    writer.text(10, documentation)
    for value in inputs { writer.message(11) { value.write(&$0) } }
    for value in outputs { writer.message(12) { value.write(&$0) } }
    for value in valueInfo { writer.message(13) { value.write(&$0) } }
  }

  fileprivate func checkForWriting(_ name: String) throws(EnvironmentFailure) {
    for tensor in initializers { try tensor.checkForWriting(name) }
    for attribute in nodes.flatMap(\.attributes) {
      switch attribute.value {
      case .tensor(let tensor): try tensor.checkForWriting(name)
      case .tensors(let tensors): for tensor in tensors { try tensor.checkForWriting(name) }
      case .graph(let graph): try graph.checkForWriting(name)
      case .graphs(let graphs): for graph in graphs { try graph.checkForWriting(name) }
      default: break
      }
    }
  }
}

extension ONNXTensor {
  fileprivate func checkForWriting(_ file: String) throws(EnvironmentFailure) {
    let (found, needed) =
      element == .string
      ? (strings.count, checkedProduct(shape)) : (data.count, Self.byteCount(element, shape))
    guard found == needed else {
      throw EnvironmentFailure(
        "\(file): the tensor '\(name)' of \(element.text) and shape \(shapeText(shape)) "
          + "has \(found) \(element == .string ? "texts" : "bytes")")
    }
  }
}

extension ONNXNode {
  fileprivate func write(_ writer: inout ProtobufWriter) {
    // Empty names among these stand for operands that are left out, and are written.
    for input in inputs { writer.string(1, input) }
    for output in outputs { writer.string(2, output) }
    writer.text(3, name)
    writer.string(4, op)
    for attribute in attributes { writer.message(5) { attribute.write(&$0) } }
    writer.text(6, documentation)
    writer.text(7, domain)
  }
}

extension ONNXAttribute {
  fileprivate func write(_ writer: inout ProtobufWriter) {
    writer.string(1, name)
    switch value {
    case .float(let value): writer.float(2, value)
    case .int(let value): writer.integer(3, value)
    case .string(let value): writer.string(4, value)
    case .tensor(let value): writer.message(5) { value.write(&$0) }
    case .graph(let value): writer.message(6) { value.write(&$0) }
    // These lists are not packed in the standard's own definition of an attribute.
    case .floats(let values): for value in values { writer.float(7, value) }
    case .ints(let values): for value in values { writer.integer(8, value) }
    case .strings(let values): for value in values { writer.string(9, value) }
    case .tensors(let values): for value in values { writer.message(10) { value.write(&$0) } }
    case .graphs(let values): for value in values { writer.message(11) { value.write(&$0) } }
    case .other: break
    }
    writer.integer(20, value.typeNumber)
  }
}

extension ONNXAttribute.Value {
  /// `AttributeProto.AttributeType`.
  fileprivate var typeNumber: Int64 {
    switch self {
    case .other: 0
    case .float: 1
    case .int: 2
    case .string: 3
    case .tensor: 4
    case .graph: 5
    case .floats: 6
    case .ints: 7
    case .strings: 8
    case .tensors: 9
    case .graphs: 10
    }
  }
}

extension ONNXValueInfo {
  fileprivate func write(_ writer: inout ProtobufWriter) {
    writer.string(1, name)
    guard case .tensor(let element, let shape) = kind else { return }
    writer.message(2) {
      $0.message(1) {
        $0.integer(1, element.rawValue)
        guard let shape else { return }
        $0.message(2) { for dimension in shape { $0.message(1) { dimension.write(&$0) } } }
      }
    }
  }
}

extension ONNXDimension {
  fileprivate func write(_ writer: inout ProtobufWriter) {
    switch self {
    case .value(let size): writer.integer(1, Int64(size))
    case .parameter(let name): writer.string(2, name)
    case .unknown: break
    }
  }
}
