import Basics
import Formats
import TestSupport
import Testing

@Suite struct SafetensorsTests {
  /// A file with the given header, padded as the writer pads, and data.
  static func file(_ header: String, _ data: [UInt8]) -> [UInt8] {
    var text = Array(header.utf8)
    while text.count % 8 != 0 { text.append(0x20) }
    return (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text + data
  }

  static func decode(_ bytes: [UInt8]) throws -> TensorFile {
    try TensorFile.decode(bytes, name: "a file")
  }

  static let sample = TensorFile(
    tensors: [
      NamedTensor(name: "flags", dtype: .bool, shape: [3], data: [1, 0, 1]),
      NamedTensor(name: "G.dense.weight", shape: [2, 3], floats: [1, -2, 3.5, 0, .nan, 6]),
      NamedTensor(name: "step", shape: [], integers: [-7]),
      NamedTensor(name: "empty", dtype: .f64, shape: [0, 4], data: []),
      NamedTensor(name: "bytes", dtype: .u8, shape: [5], data: [1, 2, 3, 4, 5]),
      NamedTensor(name: "i32", dtype: .i32, shape: [1, 1], data: [1, 2, 3, 4]),
    ],
    metadata: [("program", "line one\nline \"two\""), ("seed", "18446744073709551615")])

  @Test func writesKnownBytes() throws {
    let small = TensorFile(
      tensors: [NamedTensor(name: "a", dtype: .u8, shape: [2], data: [9, 8])])
    let header = #"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#
    #expect(try small.encode(checksum: false) == Self.file(header, [9, 8]))
    #expect(try TensorFile().encode(checksum: false) == Self.file("{}", []))
  }

  @Test func roundTrips() throws {
    let bytes = try Self.sample.encode()
    #expect(try Self.sample.encode() == bytes)
    let back = try TensorFile.decode(bytes, name: "a file", requireChecksum: true)
    #expect(back == Self.sample)
    #expect(back["step"]?.integers == [-7])
    #expect(back["G.dense.weight"]?.floats?[2] == 3.5)
    #expect(back["step"]?.floats == nil && back["none"] == nil)
    #expect(back.metadata("seed") == "18446744073709551615" && back.metadata("checksum") == nil)
    // The header's length and so the data are aligned to 8 bytes.
    #expect(bytes[0] % 8 == 0)
    let plain = try Self.sample.encode(checksum: false)
    #expect(try Self.decode(plain) == Self.sample)
    expectFailure("a file", "no checksum") {
      _ = try TensorFile.decode(plain, name: "a file", requireChecksum: true)
    }
  }

  @Test func everyCutAndFlipIsSeen() throws {
    let bytes = try Self.sample.encode()
    expectAllTruncationsFail(bytes) { _ = try Self.decode($0) }
    expectFailure("a file") { _ = try Self.decode(bytes + [0]) }
    for at in bytes.indices {
      for bit in 0..<8 {
        var damaged = bytes
        damaged[at] ^= 1 << UInt8(bit)
        do {
          let back = try TensorFile.decode(damaged, name: "a file", requireChecksum: true)
          // Only the header's padding may change unseen (a space into another white space).
          #expect(back == Self.sample, "byte \(at), bit \(bit)")
        } catch { continue }
      }
    }
  }

  @Test func readsHalfPrecision() throws {
    let header =
      #"{"h":{"dtype":"F16","shape":[7],"data_offsets":[0,14]},"#
      + #""b":{"dtype":"BF16","shape":[2],"data_offsets":[14,18]}}"#
    let halves: [UInt16] = [0x3C00, 0xC000, 0x0001, 0x8000, 0x7BFF, 0x7C00, 0x03FF]
    let data = (halves + [0x3F80, 0xC040]).flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }
    let file = try Self.decode(Self.file(header, data))
    #expect(file["h"]?.dtype == .f32 && file["b"]?.shape == [2])
    let values = try #require(file["h"]?.floats)
    #expect(values == [1, -2, 0x1p-24, -0.0, 65504, .infinity, 0x1p-14 - 0x1p-24])
    #expect(values[3].sign == .minus)
    #expect(file["b"]?.floats == [1, -3])
  }

  @Test func refusesBadHeaders() throws {
    func bad(_ words: String, _ header: String, _ count: Int, _ line: Int = #line) {
      expectFailure(
        "a file", words,
        sourceLocation: SourceLocation(
          fileID: #fileID, filePath: #filePath, line: line, column: 1)
      ) { _ = try Self.decode(Self.file(header, [UInt8](repeating: 0, count: count))) }
    }
    func entry(_ dtype: String, _ shape: String, _ offsets: String) -> String {
      #"{"dtype":"\#(dtype)","shape":\#(shape),"data_offsets":\#(offsets)}"#
    }
    bad("not a JSON object", "[]", 0)
    bad("not valid JSON", "{", 0)
    bad("occurs twice", #"{"a":\#(entry("U8", "[0]", "[0,0]")),"a":1}"#, 0)
    bad("expected exactly", #"{"a":1}"#, 0)
    bad("expected exactly", #"{"a":{"dtype":"U8","shape":[1]}}"#, 1)
    bad("expected exactly", #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}"#, 1)
    bad("'F8_E4M3' is not supported", #"{"a":\#(entry("F8_E4M3", "[1]", "[0,1]"))}"#, 1)
    bad("whole number", #"{"a":\#(entry("U8", "[-1]", "[0,1]"))}"#, 1)
    bad("whole number", #"{"a":\#(entry("U8", "[1.0]", "[0,1]"))}"#, 1)
    bad("overflows", #"{"a":\#(entry("F32", "[4294967296,4294967296]", "[0,1]"))}"#, 1)
    bad("overflows", #"{"a":\#(entry("F32", "[9223372036854775807]", "[0,1]"))}"#, 1)
    bad("needs 8 bytes", #"{"a":\#(entry("F32", "[2]", "[0,4]"))}"#, 4)
    bad("begin ≤ end", #"{"a":\#(entry("U8", "[1]", "[1,0]"))}"#, 1)
    bad("begin ≤ end", #"{"a":\#(entry("U8", "[1]", "[-1,0]"))}"#, 1)
    bad("begin ≤ end", #"{"a":\#(entry("U8", "[2]", "[0,2]"))}"#, 1)
    bad("begin ≤ end", #"{"a":\#(entry("U8", "[1]", "[0]"))}"#, 1)
    bad("begin ≤ end", #"{"a":\#(entry("U8", "[1]", "[0,18446744073709551615]"))}"#, 1)
    bad("hole", #"{"a":\#(entry("U8", "[1]", "[1,2]"))}"#, 2)
    let one = entry("U8", "[1]", "[0,1]")
    bad("overlaps", #"{"a":\#(one),"b":\#(one)}"#, 1)
    bad("have 1 bytes of data, the file has 2", #"{"a":\#(one)}"#, 2)
    bad("not a JSON object", #"{"__metadata__":1}"#, 0)
    bad("not a string", #"{"__metadata__":{"a":1}}"#, 0)
    bad("damaged", #"{"__metadata__":{"checksum":"0123456789abcdef"}}"#, 0)
    expectFailure("truncated") { _ = try Self.decode([1, 2, 3]) }
    expectFailure("18446744073709551615") {
      _ = try Self.decode([UInt8](repeating: 255, count: 8) + [0x7B, 0x7D])
    }
  }

  @Test func refusesToWriteNonsense() throws {
    let one = NamedTensor(name: "a", dtype: .u8, shape: [1], data: [1])
    expectFailure("'a' occurs twice") { _ = try TensorFile(tensors: [one, one]).encode() }
    expectFailure("does not fit") {
      let bad = NamedTensor(name: "a", dtype: .f32, shape: [1], data: [1])
      _ = try TensorFile(tensors: [bad]).encode()
    }
    for keys in [["k", "k"], ["checksum"]] {
      expectFailure("metadata") {
        _ = try TensorFile(metadata: keys.map { ($0, "") }).encode()
      }
    }
  }

  @Test func theChecksumHoldsForAnotherOrder() throws {
    let bytes = try Self.sample.encode()
    var other = Self.sample
    other.tensors.reverse()
    other.metadata.reverse()
    // The same checksum in both: replacing the header's order does not matter to it.
    func sum(_ bytes: [UInt8]) throws -> String? {
      let end = 8 + Int(bytes[0]) + Int(bytes[1]) << 8
      let header = try JSONValue.parse(Array(bytes[8..<end]), name: "header")
      return header["__metadata__"]?["checksum"]?.stringValue
    }
    let first = try sum(bytes)
    #expect(try first == sum(other.encode()))
    #expect(first?.count == 16)
    other.tensors[0].data[0] ^= 1
    #expect(try first != sum(other.encode()))
  }

  @Test func neverTraps() throws {
    try fuzz(Self.sample.encode(checksum: false), seed: 41, rounds: 4000) {
      _ = try Self.decode($0)
    }
  }
}
