import Basics
import Formats
import TestSupport
import Testing

@Suite struct ProtobufTests {
  static func reader(_ bytes: [UInt8]) -> ProtobufReader {
    ProtobufReader(bytes, name: "a file", what: "Thing")
  }

  /// Reads all fields, following field 9 as a message.
  static func readAll(_ bytes: [UInt8]) throws {
    func walk(_ reader: ProtobufReader) throws {
      var reader = reader
      var numbers: [Int64] = []
      while let field = try reader.next() {
        if field.number == 9 { try walk(reader.message(field, "Inner")) }
        if field.number == 8 { try reader.append(field, to: &numbers) }
      }
    }
    try walk(reader(bytes))
  }

  static let sample: [UInt8] = {
    var writer = ProtobufWriter()
    writer.integer(1, 150)
    writer.string(2, "testing")
    writer.float(3, 1)
    writer.double(4, -2)
    writer.integer(5, -1)
    writer.packed(8, integers: [3, 270, 86942])
    writer.message(9) { $0.bool(1, true) }
    return writer.bytes
  }()

  /// The bytes of the format's own documentation and of hand-made fields.
  @Test func writesKnownBytes() {
    let known: [UInt8] =
      [0x08, 0x96, 0x01]
      + [0x12, 7] + Array("testing".utf8)
      + [0x1D, 0, 0, 0x80, 0x3F]
      + [0x21, 0, 0, 0, 0, 0, 0, 0, 0xC0]
      + [0x28] + [UInt8](repeating: 0xFF, count: 9) + [1]
      + [0x42, 6, 3, 0x8E, 2, 0x9E, 0xA7, 5]
      + [0x4A, 2, 8, 1]
    #expect(Self.sample == known)
    var writer = ProtobufWriter()
    writer.packed(1, integers: [])
    writer.packed(1, floats: [])
    writer.packed(1, doubles: [])
    #expect(writer.bytes.isEmpty)
    writer.packed(20, floats: [1])
    writer.packed(21, doubles: [1])
    writer.fixed32(1, 0x0403_0201)
    writer.fixed64(1, 1)
    writer.unsigned(1, 0)
    writer.bytes(1, [7])
    #expect(
      writer.bytes
        == [0xA2, 1, 4, 0, 0, 0x80, 0x3F] + [0xAA, 1, 8, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F]
        + [0x0D, 1, 2, 3, 4] + [9, 1, 0, 0, 0, 0, 0, 0, 0] + [8, 0] + [10, 1, 7])
  }

  @Test func readsWhatItWrote() throws {
    var reader = Self.reader(Self.sample)
    var numbers: [Int] = []
    while let field = try reader.next() {
      numbers.append(field.number)
      switch field.number {
      case 1: #expect(try reader.integer(field) == 150)
      case 2: #expect(try reader.string(field) == "testing")
      case 3: #expect(try reader.float(field) == 1)
      case 4: #expect(try reader.double(field) == -2)
      case 5:
        #expect(try reader.integer(field) == -1)
        #expect(try reader.unsigned(field) == .max)
      case 8:
        var list: [Int64] = [1]
        try reader.append(field, to: &list)
        #expect(list == [1, 3, 270, 86942])
      default:
        var inner = try reader.message(field, "Inner")
        let flag = try #require(try inner.next())
        #expect(try inner.unsigned(flag) == 1)
        #expect(try inner.next() == nil)
      }
    }
    #expect(numbers == [1, 2, 3, 4, 5, 8, 9])
  }

  /// Repeated numbers come packed, one by one, or both.
  @Test func readsRepeatedValuesOfBothForms() throws {
    var writer = ProtobufWriter()
    writer.packed(1, floats: [1, 2])
    writer.float(1, 3)
    writer.packed(2, doubles: [4])
    writer.double(2, 5)
    writer.packed(3, integers: [6])
    writer.integer(3, -7)
    writer.unsigned(4, .max)
    writer.packed(4, integers: [8])
    var (floats, doubles, integers, words): ([Float], [Double], [Int64], [UInt64]) = (
      [], [], [], []
    )
    var reader = Self.reader(writer.bytes)
    while let field = try reader.next() {
      switch field.number {
      case 1: try reader.append(field, to: &floats)
      case 2: try reader.append(field, to: &doubles)
      case 3: try reader.append(field, to: &integers)
      default: try reader.append(field, to: &words)
      }
    }
    #expect(floats == [1, 2, 3] && doubles == [4, 5])
    #expect(integers == [6, -7] && words == [.max, 8])
  }

  @Test func passesOverGroups() throws {
    // A group 2 with a varint, fixed fields, a run, and a group 3 within; then field 1.
    let group: [UInt8] =
      [0x13, 8, 1, 0x0D, 1, 2, 3, 4, 9, 1, 2, 3, 4, 5, 6, 7, 8, 0x12, 1, 5, 0x1B, 0x1C, 0x14]
    var reader = Self.reader(group + [8, 5])
    let field = try #require(try reader.next())
    #expect(try field.number == 1 && reader.integer(field) == 5)
    for length in 1..<group.count {
      expectFailure("a file") { try Self.readAll(Array(group[..<length])) }
    }
    expectFailure("group 2 is ended as group 3") { try Self.readAll([0x13, 0x1C]) }
    expectFailure("without its beginning") { try Self.readAll([0x14]) }
    expectFailure("too deep") { try Self.readAll([UInt8](repeating: 0x13, count: 1 << 20)) }
  }

  @Test func refusesWhatDoesNotFit() throws {
    let long = [UInt8](repeating: 0xFF, count: 9)
    expectFailure("a file: Thing at byte 1", "truncated") { try Self.readAll([8]) }
    expectFailure("more than 64 bits") { try Self.readAll([8] + long + [2]) }
    expectFailure("more than 64 bits") { try Self.readAll([8] + long + [0x81, 0]) }
    try Self.readAll([8] + long + [1])
    expectFailure("truncated: 5 bytes are announced, 1 follow") { try Self.readAll([0x12, 5, 0]) }
    expectFailure("are announced, 0 follow") { try Self.readAll([0x12] + long + [1]) }
    expectFailure("0 is no field's number") { try Self.readAll([0]) }
    expectFailure("no field's number") { try Self.readAll(long + [1]) }
    expectFailure("field 1 has the unknown wire type 6") { try Self.readAll([14]) }
    expectFailure("field 1 has the unknown wire type 7") { try Self.readAll([0x13, 15]) }

    var reader = Self.reader([8, 1, 0x12, 3, 0xFF, 0, 0])
    let number = try #require(try reader.next())
    let run = try #require(try reader.next())
    expectFailure("field 1 is a varint; expected a run of bytes") { _ = try reader.bytes(number) }
    expectFailure("field 1 is a varint; expected 4 bytes") { _ = try reader.float(number) }
    expectFailure("field 1 is a varint; expected 8 bytes") { _ = try reader.double(number) }
    expectFailure("field 2 is a run of bytes; expected a varint") { _ = try reader.integer(run) }
    expectFailure("field 2 is not UTF-8", "at byte 2") { _ = try reader.string(run) }
    var floats: [Float] = []
    expectFailure("has 3 bytes; expected a multiple of 4") { try reader.append(run, to: &floats) }
  }

  @Test func limitsNesting() throws {
    func nested(_ depth: Int) -> [UInt8] {
      var bytes: [UInt8] = []
      for _ in 0..<depth {
        var writer = ProtobufWriter()
        writer.bytes(9, bytes)
        bytes = writer.bytes
      }
      return bytes
    }
    try Self.readAll(nested(ProtobufReader.depthLimit))
    expectFailure("more than 100 deep") { try Self.readAll(nested(101)) }
  }

  /// A cut message is refused, or it ends where a field ends.
  @Test func survivesCutsAndNoise() throws {
    let ends: Set = [0, 3, 12, 17, 26, 37, 45]
    for length in 0..<Self.sample.count {
      let cut = Array(Self.sample[..<length])
      if ends.contains(length) {
        try Self.readAll(cut)
      } else {
        expectFailure("a file") { try Self.readAll(cut) }
      }
    }
    try fuzz(Self.sample, seed: 5, rounds: 20000) { try Self.readAll($0) }
    for seed in 0..<200 {
      do { try Self.readAll(randomBytes(64, seed: UInt64(seed))) } catch is EnvironmentFailure {}
    }
  }
}
