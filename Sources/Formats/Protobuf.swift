// The wire format of Protocol Buffers, for the formats that are written in it: ONNX models and
// TensorBoard's events. A writer that appends fields to bytes, and a reader that gives the fields
// of a message one after another, over a slice of the file and without a copy of it.
//
// A message is a sequence of fields; a field is a varint (number · 8 + wire type) and its value.
// Fields may stand in any order, and those that a reader does not know are passed over.

import Basics

/// Builds the bytes of one message. The order of the calls is the order in the file.
package struct ProtobufWriter: Sendable {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  private enum WireType: UInt64 {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case fixed32 = 5
  }

  private mutating func key(_ field: Int, _ type: WireType) {
    raw(UInt64(field) << 3 | type.rawValue)
  }

  /// Seven bits a byte, the lowest first; the top bit says that more follow.
  private mutating func raw(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  // MARK: One value

  /// `uint32`, `uint64`, or an enumeration's number.
  package mutating func unsigned(_ field: Int, _ value: UInt64) {
    key(field, .varint)
    raw(value)
  }

  /// `int32`, `int64` or an enumeration: negative values take ten bytes.
  package mutating func integer(_ field: Int, _ value: Int64) {
    unsigned(field, UInt64(bitPattern: value))
  }

  package mutating func bool(_ field: Int, _ value: Bool) { unsigned(field, value ? 1 : 0) }

  package mutating func float(_ field: Int, _ value: Float) {
    key(field, .fixed32)
    bytes.appendLittleEndian(value.bitPattern)
  }

  package mutating func double(_ field: Int, _ value: Double) {
    key(field, .fixed64)
    bytes.appendLittleEndian(value.bitPattern)
  }

  package mutating func fixed32(_ field: Int, _ value: UInt32) {
    key(field, .fixed32)
    bytes.appendLittleEndian(value)
  }

  package mutating func fixed64(_ field: Int, _ value: UInt64) {
    key(field, .fixed64)
    bytes.appendLittleEndian(value)
  }

  package mutating func bytes(_ field: Int, _ value: some Collection<UInt8>) {
    key(field, .lengthDelimited)
    raw(UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  package mutating func string(_ field: Int, _ value: String) { bytes(field, value.utf8) }

  /// A message within the message.
  package mutating func message<Failure: Error>(
    _ field: Int, _ build: (inout ProtobufWriter) throws(Failure) -> Void
  ) throws(Failure) {
    var inner = ProtobufWriter()
    try build(&inner)
    bytes(field, inner.bytes)
  }

  // MARK: Many values in one field. An empty list writes nothing, as the format has it.

  package mutating func packed(_ field: Int, integers: [Int64]) {
    guard !integers.isEmpty else { return }
    var inner = ProtobufWriter()
    for value in integers { inner.raw(UInt64(bitPattern: value)) }
    bytes(field, inner.bytes)
  }

  package mutating func packed(_ field: Int, floats: [Float]) {
    guard !floats.isEmpty else { return }
    bytes(field, floats.rawBytes)
  }

  package mutating func packed(_ field: Int, doubles: [Double]) {
    guard !doubles.isEmpty else { return }
    bytes(field, doubles.rawBytes)
  }
}

/// Gives the fields of one message, front to back. No input traps: what does not fit is an
/// `EnvironmentFailure` with the file's name, the message and the byte.
package struct ProtobufReader: Sendable {
  /// A field as it stands in the file.
  package struct Field: Sendable {
    package enum Value: Sendable {
      case varint(UInt64)
      case fixed64(UInt64)
      case bytes(ArraySlice<UInt8>)
      case fixed32(UInt32)
    }
    package var number: Int
    package var value: Value
    /// Where in the file it begins.
    package var offset: Int
  }

  /// How deep messages may stand in each other.
  package static let depthLimit = 100

  private let name: String
  /// What the message is called, for errors.
  private let what: String
  private let depth: Int
  private let source: ArraySlice<UInt8>
  private var position: Int

  /// `name` is the file's, `what` the message's: `ModelProto`.
  package init(_ bytes: [UInt8], name: String, what: String) {
    self.init(bytes[...], name, what, depth: 0)
  }

  private init(_ source: ArraySlice<UInt8>, _ name: String, _ what: String, depth: Int) {
    self.source = source
    self.name = name
    self.what = what
    self.depth = depth
    position = source.startIndex
  }

  /// The next field; nil at the end of the message. Groups, an old form that no field here has,
  /// are passed over.
  package mutating func next() throws(EnvironmentFailure) -> Field? {
    while position < source.endIndex {
      let offset = position
      let (number, type) = try key()
      switch type {
      case 0: return Field(number: number, value: .varint(try varint()), offset: offset)
      case 1: return Field(number: number, value: .fixed64(try fixed64()), offset: offset)
      case 2: return Field(number: number, value: .bytes(try run()), offset: offset)
      case 3: try skipGroup(number, from: offset)
      case 5: return Field(number: number, value: .fixed32(try fixed32()), offset: offset)
      case 4: throw failure("the end of a group (field \(number)) without its beginning", offset)
      default: throw failure("field \(number) has the unknown wire type \(type)", offset)
      }
    }
    return nil
  }

  /// What is wrong at a byte, as an error with the file's name.
  package func failure(_ problem: String, _ offset: Int) -> EnvironmentFailure {
    EnvironmentFailure("\(name): \(what) at byte \(offset): \(problem)")
  }

  /// What is wrong with the message as a whole.
  package func failure(_ problem: String) -> EnvironmentFailure {
    failure(problem, source.startIndex)
  }

  // MARK: Values of fields. A field of another wire type is an error.

  package func unsigned(_ field: Field) throws(EnvironmentFailure) -> UInt64 {
    guard case .varint(let value) = field.value else { throw mismatch(field, "a varint") }
    return value
  }

  package func integer(_ field: Field) throws(EnvironmentFailure) -> Int64 {
    Int64(bitPattern: try unsigned(field))
  }

  package func float(_ field: Field) throws(EnvironmentFailure) -> Float {
    guard case .fixed32(let value) = field.value else { throw mismatch(field, "4 bytes") }
    return Float(bitPattern: value)
  }

  package func double(_ field: Field) throws(EnvironmentFailure) -> Double {
    guard case .fixed64(let value) = field.value else { throw mismatch(field, "8 bytes") }
    return Double(bitPattern: value)
  }

  package func bytes(_ field: Field) throws(EnvironmentFailure) -> ArraySlice<UInt8> {
    guard case .bytes(let value) = field.value else { throw mismatch(field, "a run of bytes") }
    return value
  }

  /// Text must be UTF-8.
  package func string(_ field: Field) throws(EnvironmentFailure) -> String {
    guard let text = String(validating: try bytes(field), as: UTF8.self) else {
      throw failure("the text of field \(field.number) is not UTF-8", field.offset)
    }
    return text
  }

  /// A reader of the message within a field, called `what`.
  package func message(
    _ field: Field, _ what: String
  ) throws(EnvironmentFailure) -> ProtobufReader {
    let inner = try bytes(field)
    guard depth < Self.depthLimit else {
      throw failure("messages stand in each other more than \(Self.depthLimit) deep", field.offset)
    }
    return ProtobufReader(inner, name, what, depth: depth + 1)
  }

  // MARK: Repeated values: one in a field, or many packed into it; a reader takes both.

  package func append(
    _ field: Field, to list: inout [Int64]
  ) throws(EnvironmentFailure) {
    guard case .bytes(let packed) = field.value else { return list.append(try integer(field)) }
    var inner = ProtobufReader(packed, name, what, depth: depth)
    while inner.position < packed.endIndex {
      list.append(Int64(bitPattern: try inner.varint()))
    }
  }

  package func append(
    _ field: Field, to list: inout [UInt64]
  ) throws(EnvironmentFailure) {
    guard case .bytes(let packed) = field.value else { return list.append(try unsigned(field)) }
    var inner = ProtobufReader(packed, name, what, depth: depth)
    while inner.position < packed.endIndex { list.append(try inner.varint()) }
  }

  package func append(
    _ field: Field, to list: inout [Float]
  ) throws(EnvironmentFailure) {
    guard case .bytes(let packed) = field.value else { return list.append(try float(field)) }
    list += try elements(packed, field)
  }

  package func append(
    _ field: Field, to list: inout [Double]
  ) throws(EnvironmentFailure) {
    guard case .bytes(let packed) = field.value else { return list.append(try double(field)) }
    list += try elements(packed, field)
  }

  private func elements<Element: BitwiseCopyable>(
    _ packed: ArraySlice<UInt8>, _ field: Field
  ) throws(EnvironmentFailure) -> [Element] {
    let width = MemoryLayout<Element>.stride
    guard packed.count % width == 0 else {
      throw failure(
        "field \(field.number) has \(packed.count) bytes; expected a multiple of \(width)",
        field.offset)
    }
    return packed.withUnsafeBytes { [Element](copying: $0) }
  }

  // MARK: Parts

  private func mismatch(_ field: Field, _ expected: String) -> EnvironmentFailure {
    let found =
      switch field.value {
      case .varint: "a varint"
      case .fixed64: "8 bytes"
      case .bytes: "a run of bytes"
      case .fixed32: "4 bytes"
      }
    return failure("field \(field.number) is \(found); expected \(expected)", field.offset)
  }

  private mutating func key() throws(EnvironmentFailure) -> (number: Int, type: Int) {
    let offset = position
    let key = try varint()
    // Numbers have 29 bits.
    guard key >> 3 >= 1, key >> 3 < 1 << 29 else {
      throw failure("\(key >> 3) is no field's number", offset)
    }
    return (Int(key >> 3), Int(key & 7))
  }

  private mutating func varint() throws(EnvironmentFailure) -> UInt64 {
    let offset = position
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard position < source.endIndex else { throw truncated(offset) }
      let byte = source[position]
      position += 1
      // The tenth byte has the 64th bit, and no other.
      if shift == 63, byte > 1 { break }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    throw failure("a varint of more than 64 bits", offset)
  }

  private mutating func fixed64() throws(EnvironmentFailure) -> UInt64 {
    let low = try fixed32()
    return UInt64(try fixed32()) << 32 | UInt64(low)
  }

  private mutating func fixed32() throws(EnvironmentFailure) -> UInt32 {
    guard source.endIndex - position >= 4 else { throw truncated(position) }
    var value: UInt32 = 0
    for i in 0..<4 { value |= UInt32(source[position + i]) << UInt32(8 * i) }
    position += 4
    return value
  }

  private mutating func run() throws(EnvironmentFailure) -> ArraySlice<UInt8> {
    let offset = position
    let length = try varint()
    guard length <= UInt64(source.endIndex - position) else {
      throw failure(
        "truncated: \(length) bytes are announced, \(source.endIndex - position) follow", offset)
    }
    let start = position
    position += Int(length)
    return source[start..<position]
  }

  private func truncated(_ offset: Int) -> EnvironmentFailure {
    failure("truncated: the message ends within a field", offset)
  }

  /// Passes over a group and those within it, without recursion.
  private mutating func skipGroup(_ number: Int, from offset: Int) throws(EnvironmentFailure) {
    var open = [number]
    while let innermost = open.last {
      guard position < source.endIndex else { throw truncated(offset) }
      let (number, type) = try key()
      switch type {
      case 0: _ = try varint()
      case 1: _ = try fixed64()
      case 2: _ = try run()
      case 3:
        guard open.count + depth < Self.depthLimit else {
          throw failure("groups stand in each other too deep", offset)
        }
        open.append(number)
      case 4:
        guard number == innermost else {
          throw failure("group \(innermost) is ended as group \(number)", offset)
        }
        open.removeLast()
      case 5: _ = try fixed32()
      default: throw failure("field \(number) has the unknown wire type \(type)", offset)
      }
    }
  }
}
