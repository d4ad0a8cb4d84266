// Reading safetensors. Every number of the header is checked against the size of the file before
// it is used: places in bounds, without holes and overlaps, of the size that the shape asks for.

import Basics

extension TensorFile {
  /// Reads a safetensors file. F16 and BF16 become F32; other element types are "not yet".
  /// A checksum in the metadata is compared; with `requireChecksum` a missing one is a failure.
  package static func decode(
    _ bytes: [UInt8], name: String, requireChecksum: Bool = false
  ) throws(EnvironmentFailure) -> TensorFile {
    let header = try headerValue(bytes, name)
    var metadata: [(String, String)] = []
    var checksum: String?
    var entries: [TensorEntry] = []
    for (key, value) in header.members {
      if key == metadataKey {
        for (key, text) in try metadataPairs(value, name) {
          if key == checksumKey { checksum = text } else { metadata.append((key, text)) }
        }
      } else {
        entries.append(try TensorEntry(key, value, available: bytes.count - header.end, name))
      }
    }
    try checkPlaces(entries, available: bytes.count - header.end, name)
    if requireChecksum, checksum == nil {
      throw EnvironmentFailure("\(name): no checksum in the metadata; expected one")
    }
    var items: [Checksum.Item] = []
    var tensors: [NamedTensor] = []
    bytes.withUnsafeBytes { buffer in
      for entry in entries {
        let start = header.end + entry.begin
        let data = UnsafeRawBufferPointer(rebasing: buffer[start..<start + entry.size])
        if checksum != nil { items.append(entry.item(crc: CRC32.of(data))) }
        tensors.append(entry.tensor(data))
      }
    }
    if let checksum {
      let found = Checksum.of(metadata, items)
      guard checksum == found else {
        throw EnvironmentFailure(
          "\(name): the file is damaged: its content has the checksum \(found), "
            + "its metadata says \(checksum)")
      }
    }
    return TensorFile(tensors: tensors, metadata: metadata)
  }

  /// The metadata alone, without the checksum and without comparing it.
  package static func metadata(
    of bytes: [UInt8], name: String
  ) throws(EnvironmentFailure) -> [(String, String)] {
    let members = try headerValue(bytes, name).members
    guard let value = members.first(where: { $0.key == metadataKey })?.value else { return [] }
    return try metadataPairs(value, name).filter { $0.0 != checksumKey }
  }

  private static func headerValue(
    _ bytes: [UInt8], _ name: String
  ) throws(EnvironmentFailure) -> (members: [(key: String, value: JSONValue)], end: Int) {
    guard bytes.count >= 8 else {
      throw EnvironmentFailure(
        "\(name): truncated: a safetensors file begins with 8 bytes of length, found "
          + "\(bytes.count)")
    }
    let length = bytes.littleEndian64(at: 0)
    guard length <= UInt64(bytes.count - 8) else {
      throw EnvironmentFailure(
        "\(name): truncated or not a safetensors file: a header of \(length) bytes is announced, "
          + "\(bytes.count - 8) follow")
    }
    let end = 8 + Int(length)
    let header = try JSONValue.parse(
      Array(bytes[8..<end]), name: "\(name): safetensors header", depthLimit: 4)
    guard case .object(let members) = header else {
      throw EnvironmentFailure("\(name): the safetensors header is not a JSON object")
    }
    return (members, end)
  }

  private static func metadataPairs(
    _ value: JSONValue, _ name: String
  ) throws(EnvironmentFailure) -> [(String, String)] {
    guard case .object(let members) = value else {
      throw EnvironmentFailure("\(name): \(metadataKey) is not a JSON object")
    }
    var pairs: [(String, String)] = []
    for (key, value) in members {
      guard case .string(let text) = value else {
        throw EnvironmentFailure("\(name): the metadata '\(key)' is not a string")
      }
      pairs.append((key, text))
    }
    return pairs
  }

  /// All data must belong to exactly one tensor, as the format demands.
  private static func checkPlaces(
    _ entries: [TensorEntry], available: Int, _ name: String
  ) throws(EnvironmentFailure) {
    var end = 0
    let sorted = entries.sorted { ($0.begin, $0.size) < ($1.begin, $1.size) }
    for entry in sorted {
      guard entry.begin == end else {
        let what = entry.begin < end ? "overlaps the tensor before it" : "leaves a hole before it"
        throw EnvironmentFailure(
          "\(name): the tensor '\(entry.name)' \(what): expected it at byte \(end) of the data, "
            + "found \(entry.begin)")
      }
      end += entry.size
    }
    guard end == available else {
      throw EnvironmentFailure(
        "\(name): the tensors have \(end) bytes of data, the file has \(available)")
    }
  }
}

/// One tensor's entry in the header, checked.
private struct TensorEntry {
  var name: String
  var dtype: String
  var shape: [Int]
  var begin: Int
  var size: Int

  init(
    _ key: String, _ value: JSONValue, available: Int, _ name: String
  ) throws(EnvironmentFailure) {
    let place = "\(name): the tensor '\(key)'"
    guard let members = value.objectValue,
      members.allSatisfy({ ["dtype", "shape", "data_offsets"].contains($0.key) }),
      let dtype = value["dtype"]?.stringValue, let dimensions = value["shape"]?.arrayValue,
      let offsets = value["data_offsets"]?.arrayValue
    else {
      throw EnvironmentFailure("\(place): expected exactly dtype, shape and data_offsets")
    }
    let width: Int
    switch dtype {
    case "F16", "BF16": width = 2
    default:
      guard let element = NamedTensor.Element(rawValue: dtype) else {
        throw EnvironmentFailure(
          "\(place): the element type '\(dtype)' is not supported yet; supported are "
            + "F32, F64, F16, BF16, I32, I64, U8 and BOOL")
      }
      width = element.width
    }
    var shape: [Int] = []
    for dimension in dimensions {
      guard let size = dimension.intValue, size >= 0 else {
        throw EnvironmentFailure("\(place): a dimension is not a whole number of 0 or more")
      }
      shape.append(size)
    }
    guard let size = checkedProduct(shape, times: width) else {
      throw EnvironmentFailure("\(place): the shape \(shapeText(shape)) overflows")
    }
    guard offsets.count == 2, let begin = offsets[0].intValue, let end = offsets[1].intValue,
      0 <= begin, begin <= end, end <= available
    else {
      throw EnvironmentFailure(
        "\(place): data_offsets must be two numbers with 0 ≤ begin ≤ end ≤ \(available), found "
          + JSONValue.array(offsets).text())
    }
    guard size == end - begin else {
      throw EnvironmentFailure(
        "\(place): the shape \(shapeText(shape)) of \(dtype) needs \(size) bytes, "
          + "data_offsets give \(end - begin)")
    }
    self.name = key
    self.dtype = dtype
    self.shape = shape
    self.begin = begin
    self.size = size
  }

  func item(crc: UInt32) -> Checksum.Item {
    Checksum.Item(name: name, dtype: dtype, shape: shape, crc: crc)
  }

  func tensor(_ data: UnsafeRawBufferPointer) -> NamedTensor {
    if let element = NamedTensor.Element(rawValue: dtype) {
      return NamedTensor(name: name, dtype: element, shape: shape, copying: data)
    }
    let halves = [UInt16](copying: data)
    let widen = dtype == "F16" ? floatFromHalf : { Float(bitPattern: UInt32($0) << 16) }
    return NamedTensor(name: name, shape: shape, floats: halves.map(widen))
  }
}

/// The value of an IEEE half-precision number given by its bits.
func floatFromHalf(_ bits: UInt16) -> Float {
  let sign = UInt32(bits & 0x8000) << 16
  let exponent = UInt32(bits >> 10) & 0x1F
  let fraction = UInt32(bits & 0x3FF)
  switch exponent {
  case 0:
    // Subnormal: fraction · 2⁻²⁴, exact in single precision.
    let magnitude = Float(fraction) * 0x1p-24
    return sign == 0 ? magnitude : -magnitude
  case 31: return Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
  default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
  }
}
