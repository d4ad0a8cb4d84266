// Safetensors: eight bytes with the length of a JSON header, the header (names, element types,
// shapes, places), then the tensors' bytes. Used for checkpoints and weights; the files are those
// that Python's `safetensors` reads and writes. Bytes in, a `TensorFile` out, and the reverse.

import Basics

/// A tensor with its name: the last dimension fastest, elements little-endian.
package struct NamedTensor: Hashable, Sendable {
  package enum Element: String, Sendable, CaseIterable {
    case f32 = "F32"
    case f64 = "F64"
    case i32 = "I32"
    case i64 = "I64"
    case u8 = "U8"
    case bool = "BOOL"

    /// Bytes of one element.
    package var width: Int {
      switch self {
      case .u8, .bool: 1
      case .f32, .i32: 4
      case .f64, .i64: 8
      }
    }
  }

  package var name: String
  package var dtype: Element
  package var shape: [Int]
  package var data: [UInt8]

  package init(name: String, dtype: Element, shape: [Int], data: [UInt8]) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.data = data
  }

  /// A tensor of the elements of an array; `shape` must have as many.
  package init(name: String, shape: [Int], floats: [Float]) {
    self.init(name: name, dtype: .f32, shape: shape, data: floats.rawBytes)
  }

  package init(name: String, shape: [Int], integers: [Int64]) {
    self.init(name: name, dtype: .i64, shape: shape, data: integers.rawBytes)
  }

  /// A tensor copied from raw memory.
  package init(name: String, dtype: Element, shape: [Int], copying bytes: UnsafeRawBufferPointer) {
    self.init(name: name, dtype: dtype, shape: shape, data: [UInt8](copying: bytes))
  }

  /// The elements where they are 32-bit floats, else nil.
  package var floats: [Float]? {
    dtype == .f32 ? data.withUnsafeBytes { [Float](copying: $0) } : nil
  }

  /// The elements where they are 64-bit integers, else nil.
  package var integers: [Int64]? {
    dtype == .i64 ? data.withUnsafeBytes { [Int64](copying: $0) } : nil
  }
}

/// The content of a safetensors file.
package struct TensorFile: Hashable, Sendable {
  /// In the order of the header.
  package var tensors: [NamedTensor]
  /// Texts by key, in order; the key `checksum` is the file's own and never among them.
  package var metadata: [(String, String)] {
    get { entries.map { ($0.key, $0.value) } }
    set { entries = newValue.map { Entry(key: $0.0, value: $0.1) } }
  }
  private var entries: [Entry]

  private struct Entry: Hashable, Sendable {
    var key: String
    var value: String
  }

  package init(tensors: [NamedTensor] = [], metadata: [(String, String)] = []) {
    self.tensors = tensors
    entries = metadata.map { Entry(key: $0.0, value: $0.1) }
  }

  /// The tensor with this name.
  package subscript(name: String) -> NamedTensor? { tensors.first { $0.name == name } }

  /// The text of a metadata key.
  package func metadata(_ key: String) -> String? { entries.first { $0.key == key }?.value }

  static let checksumKey = "checksum"
  static let metadataKey = "__metadata__"

  // MARK: Writing

  /// The file's bytes; equal values give equal bytes. The header keeps the order of `tensors`;
  /// the data is in order of falling element width, so that each tensor is aligned to its elements.
  /// Fails where a name occurs twice or the data of a tensor does not have the size of its shape.
  package func encode(checksum: Bool = true) throws(EnvironmentFailure) -> [UInt8] {
    try checkForWriting()
    let order = tensors.indices.sorted {
      let (a, b) = (tensors[$0].dtype.width, tensors[$1].dtype.width)
      return a == b ? $0 < $1 : a > b
    }
    var starts = [Int](repeating: 0, count: tensors.count)
    var total = 0
    for i in order {
      starts[i] = total
      total += tensors[i].data.count
    }
    var members: [(key: String, value: JSONValue)] = []
    var notes = entries.map { (key: $0.key, value: JSONValue.string($0.value)) }
    if checksum {
      notes.append(
        (Self.checksumKey, .string(Checksum.of(metadata, tensors.map(Checksum.Item.init)))))
    }
    if !notes.isEmpty { members.append((Self.metadataKey, .object(notes))) }
    for (i, tensor) in tensors.enumerated() {
      let place: JSONValue = [.int(starts[i]), .int(starts[i] + tensor.data.count)]
      members.append(
        (
          tensor.name,
          [
            "dtype": .string(tensor.dtype.rawValue),
            "shape": .array(tensor.shape.map { .int($0) }), "data_offsets": place,
          ]
        ))
    }
    var header = Array(JSONValue.object(members).text().utf8)
    while header.count % 8 != 0 { header.append(0x20) }

    var out: [UInt8] = []
    out.reserveCapacity(8 + header.count + total)
    out.appendLittleEndian(UInt64(header.count))
    out.append(contentsOf: header)
    for i in order { out.append(contentsOf: tensors[i].data) }
    return out
  }

  private func checkForWriting() throws(EnvironmentFailure) {
    var names: Set<String> = [Self.metadataKey]
    for tensor in tensors {
      guard names.insert(tensor.name).inserted else {
        throw EnvironmentFailure(
          "cannot write tensors: the name '\(tensor.name)' occurs twice or is reserved")
      }
      let size = checkedProduct(tensor.shape, times: tensor.dtype.width)
      guard size == tensor.data.count else {
        throw EnvironmentFailure(
          "cannot write the tensor '\(tensor.name)': the shape \(shapeText(tensor.shape)) of "
            + "\(tensor.dtype.rawValue) does not fit its \(tensor.data.count) bytes")
      }
    }
    var keys: Set<String> = [Self.checksumKey]
    for entry in entries where !keys.insert(entry.key).inserted {
      throw EnvironmentFailure(
        "cannot write metadata: the key '\(entry.key)' occurs twice or is reserved")
    }
  }
}

/// The checksum of a file's content: 64 bits as 16 hexadecimal digits. It is the FNV-1a hash of a
/// text that lists the metadata sorted by key, then the tensors sorted by name, each with its
/// element type, its shape and the CRC-32 of its bytes. So it holds for a file whose tensors were
/// only put into another order, and costs one CRC over the data.
enum Checksum {
  struct Item {
    var name: String
    var dtype: String
    var shape: [Int]
    var crc: UInt32

    init(name: String, dtype: String, shape: [Int], crc: UInt32) {
      self.name = name
      self.dtype = dtype
      self.shape = shape
      self.crc = crc
    }

    init(_ tensor: NamedTensor) {
      self.init(
        name: tensor.name, dtype: tensor.dtype.rawValue, shape: tensor.shape,
        crc: CRC32.of(tensor.data))
    }
  }

  static func of(_ metadata: [(String, String)], _ items: [Item]) -> String {
    func precedes(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }
    var hash = StableHash()
    for (key, value) in metadata.sorted(by: { precedes($0.0, $1.0) })
    where key != TensorFile.checksumKey {
      hash.combine(key)
      hash.combine(value)
    }
    hash.combine("tensors")
    for item in items.sorted(by: { precedes($0.name, $1.name) }) {
      hash.combine(item.name)
      hash.combine("\(item.dtype) \(shapeText(item.shape)) \(item.crc)")
    }
    let digits = String(hash.value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
