// Tensors of ONNX models: element types, and the bytes of the elements whatever field of
// `TensorProto` they stood in. Tensors kept in other files ("external data") are refused.

import Basics

/// `TensorProto.DataType`.
package enum ONNXElement: Int64, Hashable, Sendable, CaseIterable {
  case undefined = 0
  case float = 1
  case uint8, int8, uint16, int16, int32, int64, string, bool, float16, double
  case uint32, uint64, complex64, complex128, bfloat16
  case float8e4m3fn, float8e4m3fnuz, float8e5m2, float8e5m2fnuz
  case uint4, int4, float4e2m1

  /// Bits of one element in `raw_data`; nil for texts and the undefined type.
  package var bits: Int? {
    switch self {
    case .undefined, .string: nil
    case .uint4, .int4, .float4e2m1: 4
    case .uint8, .int8, .bool, .float8e4m3fn, .float8e4m3fnuz, .float8e5m2, .float8e5m2fnuz: 8
    case .uint16, .int16, .float16, .bfloat16: 16
    case .float, .int32, .uint32: 32
    case .double, .int64, .uint64, .complex64: 64
    case .complex128: 128
    }
  }

  /// As the standard's documents write it: `float32`, `int64`.
  package var text: String { self == .float ? "float32" : self == .double ? "float64" : "\(self)" }
}

/// A named tensor: `TensorProto`. The last dimension is the fastest.
package struct ONNXTensor: Hashable, Sendable {
  package var name: String
  package var element: ONNXElement
  package var shape: [Int]
  /// The elements as `raw_data` has them: little-endian, a boolean a byte, two 4-bit numbers a
  /// byte (the low half first).
  package var data: [UInt8]
  /// The elements where they are texts; else empty.
  package var strings: [[UInt8]] = []

  package init(name: String = "", element: ONNXElement, shape: [Int], data: [UInt8]) {
    self.name = name
    self.element = element
    self.shape = shape
    self.data = data
  }

  /// A tensor of the elements of an array; `shape` must have as many.
  package init(name: String = "", shape: [Int], floats: [Float]) {
    self.init(name: name, element: .float, shape: shape, data: floats.rawBytes)
  }

  package init(name: String = "", shape: [Int], integers: [Int64]) {
    self.init(name: name, element: .int64, shape: shape, data: integers.rawBytes)
  }

  /// The bytes of `raw_data` for a shape; nil where they overflow or the type has no bytes.
  package static func byteCount(_ element: ONNXElement, _ shape: [Int]) -> Int? {
    guard let bits = element.bits, let count = checkedProduct(shape, times: bits) else {
      return nil
    }
    return count / 8 + (count % 8 == 0 ? 0 : 1)
  }

  package var count: Int { checkedProduct(shape) ?? 0 }

  /// The elements of whole numbers and booleans, exact but for `uint64` beyond 63 bits, which
  /// become the largest; nil for other types.
  package var integers: [Int64]? {
    switch element {
    case .int64: elements(Int64.self) { $0 }
    case .int32: elements(Int32.self) { Int64($0) }
    case .int16: elements(Int16.self) { Int64($0) }
    case .int8: elements(Int8.self) { Int64($0) }
    case .uint64: elements(UInt64.self) { Int64(clamping: $0) }
    case .uint32: elements(UInt32.self) { Int64($0) }
    case .uint16: elements(UInt16.self) { Int64($0) }
    case .uint8: data.map { Int64($0) }
    case .bool: data.map { $0 == 0 ? 0 : 1 }
    default: nil
    }
  }

  /// The elements of real numbers in single precision: exact but for `double`, which is rounded;
  /// nil for other types.
  package var floats: [Float]? {
    switch element {
    case .float: elements(Float.self) { $0 }
    case .double: elements(Double.self) { Float($0) }
    case .float16: elements(UInt16.self, floatFromHalf)
    case .bfloat16: elements(UInt16.self) { Float(bitPattern: UInt32($0) << 16) }
    default: nil
    }
  }

  /// The elements of any of the types above (64-bit integers beyond 2⁵³ are rounded); nil for
  /// others.
  package var doubles: [Double]? {
    if element == .double { return elements(Double.self) { $0 } }
    return integers?.map { Double($0) } ?? floats?.map { Double($0) }
  }

  private func elements<Raw: BitwiseCopyable, Value>(
    _ type: Raw.Type, _ body: (Raw) -> Value
  ) -> [Value] {
    data.withUnsafeBytes { [Raw](copying: $0) }.map(body)
  }
}

// MARK: Reading

extension ONNXTensor {
  /// Reads a file that holds one tensor, as ONNX's test data does.
  package static func decode(
    _ bytes: [UInt8], name: String
  ) throws(EnvironmentFailure) -> ONNXTensor {
    try ONNXTensor(ProtobufReader(bytes, name: name, what: "TensorProto"))
  }

  /// The fields of a `TensorProto` as they come.
  private struct Fields {
    var name = ""
    var element = ONNXElement.undefined
    var dimensions: [Int64] = []
    var raw: ArraySlice<UInt8>?
    var floats: [Float] = []
    var doubles: [Double] = []
    var integers: [Int64] = []
    var words: [UInt64] = []
    var int32s: [Int64] = []
    var strings: [[UInt8]] = []
    var isExternal = false
    var location = ""
  }

  init(_ source: ProtobufReader) throws(EnvironmentFailure) {
    var reader = source
    var fields = Fields()
    while let field = try reader.next() {
      switch field.number {
      case 1: try reader.append(field, to: &fields.dimensions)
      case 2:
        let number = try reader.integer(field)
        guard let element = ONNXElement(rawValue: number) else {
          throw reader.failure("\(number) is no element type that is known", field.offset)
        }
        fields.element = element
      case 3: throw reader.failure("tensors in segments are not supported", field.offset)
      case 4: try reader.append(field, to: &fields.floats)
      case 5: try reader.append(field, to: &fields.int32s)
      case 6: fields.strings.append(Array(try reader.bytes(field)))
      case 7: try reader.append(field, to: &fields.integers)
      case 8: fields.name = try reader.string(field)
      case 9: fields.raw = try reader.bytes(field)
      case 10: try reader.append(field, to: &fields.doubles)
      case 11: try reader.append(field, to: &fields.words)
      case 13:
        fields.isExternal = true
        let entry = try ONNXMetadata(reader.message(field, "the place of external data"))
        if entry.key == "location" { fields.location = entry.value }
      case 14: if try reader.integer(field) == 1 { fields.isExternal = true }
      default: break
      }
    }
    try self.init(fields, reader)
  }

  private init(_ fields: Fields, _ reader: ProtobufReader) throws(EnvironmentFailure) {
    func failure(_ problem: String) -> EnvironmentFailure {
      reader.failure("the tensor '\(fields.name)' \(problem)")
    }
    if fields.isExternal {
      throw EnvironmentFailure(
        failure("has its data in another file ('\(fields.location)')").message,
        help: "external data is not supported: save the model with all tensors in one file")
    }
    var shape: [Int] = []
    for size in fields.dimensions {
      guard size >= 0 else { throw failure("has a dimension of \(size)") }
      shape.append(Int(size))
    }
    self.init(name: fields.name, element: fields.element, shape: shape, data: [])
    if element == .string {
      guard let count = checkedProduct(shape), count == fields.strings.count else {
        throw failure("of shape \(shapeText(shape)) has \(fields.strings.count) texts")
      }
      strings = fields.strings
      return
    }
    guard element != .undefined else { throw failure("has no element type") }
    guard let size = Self.byteCount(element, shape) else {
      throw failure("has the shape \(shapeText(shape)), which overflows")
    }
    data = fields.raw.map { Array($0) } ?? Self.packed(fields)
    guard data.count == size else {
      throw failure(
        "of \(element.text) and shape \(shapeText(shape)) needs \(size) bytes, found \(data.count)")
    }
  }

  /// The bytes of elements that stand in the typed fields.
  private static func packed(_ fields: Fields) -> [UInt8] {
    switch fields.element {
    case .float, .complex64: fields.floats.rawBytes
    case .double, .complex128: fields.doubles.rawBytes
    case .int64: fields.integers.rawBytes
    case .uint64: fields.words.rawBytes
    case .uint32: fields.words.map { UInt32(truncatingIfNeeded: $0) }.rawBytes
    case .int32: fields.int32s.map { Int32(truncatingIfNeeded: $0) }.rawBytes
    default:
      fields.element.bits == 16
        ? fields.int32s.map { UInt16(truncatingIfNeeded: $0) }.rawBytes
        : fields.int32s.map { UInt8(truncatingIfNeeded: $0) }
    }
  }
}

// MARK: Writing

extension ONNXTensor {
  func write(_ writer: inout ProtobufWriter) {
    writer.packed(1, integers: shape.map { Int64($0) })
    writer.integer(2, element.rawValue)
    for text in strings { writer.bytes(6, text) }
    if !name.isEmpty { writer.string(8, name) }
    if element != .string { writer.bytes(9, data) }
  }
}
