// CRC-32C by published values; event files byte by byte, there and back, cut and damaged.

import Basics
import TestSupport
import Testing

@testable import Formats

@Suite struct TensorBoardTests {
  /// RFC 3720, appendix B.4, and the value that catalogues of checksums give for "123456789".
  @Test func sumsAreTheStandards() {
    #expect(CRC32C.of(Array("123456789".utf8)) == 0xE306_9283)
    #expect(CRC32C.of([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(CRC32C.of([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(CRC32C.of((0..<32).map { UInt8($0) }) == 0x46DD_794E)
    #expect(CRC32C.of((0..<32).map { UInt8(31 - $0) }) == 0x113F_DB5C)
    #expect(CRC32C.of([UInt8]()) == 0)
  }

  /// Eight bytes at a time give what single ones do, at every length and offset.
  @Test func sumsOfParts() {
    let bytes = randomBytes(64)
    for start in 0..<9 {
      for end in start...bytes.count {
        var sum = ~UInt32(0)
        for byte in bytes[start..<end] {
          sum ^= UInt32(byte)
          for _ in 0..<8 { sum = sum & 1 == 0 ? sum >> 1 : sum >> 1 ^ 0x82F6_3B78 }
        }
        #expect(CRC32C.of(bytes[start..<end]) == ~sum)
      }
    }
  }

  static let events: [TensorBoardEvent] = [
    .init(wallTime: 1, step: 0, .fileVersion),
    .init(wallTime: 1.5, step: 8, .sessionStart),
    .init(wallTime: 2, step: 8, .scalars([.init("train/dLoss", 0.5), .init("a", -.infinity)])),
    .init(
      wallTime: 3, step: 9,
      .image(tag: "samples", width: 3, height: 2, channels: 1, png: [0x89, 0x50, 0, 255])),
    .init(wallTime: 4, step: 1 << 40, .text(tag: "program", "model \"ä\"\n")),
  ]

  static func encoded(_ events: [TensorBoardEvent]) -> [UInt8] {
    var out: [UInt8] = []
    for event in events { TFRecord.append(event.encode(), to: &out) }
    return out
  }

  /// The first record of every event file but for its time: 24 bytes, so its first 12 are those that
  /// TensorFlow's files begin with.
  @Test func theFirstRecordByteByByte() {
    let bytes = Self.encoded([.init(wallTime: 1, step: 0, .fileVersion)])
    #expect(bytes[..<12] == [0x18, 0, 0, 0, 0, 0, 0, 0, 0xA3, 0x7F, 0x4B, 0x22])
    #expect(bytes[12..<21] == [0x09, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F])
    #expect(Array(bytes[21..<36]) == [0x1A, 13] + Array("brain.Event:2".utf8))
    #expect(bytes.count == 40)
  }

  @Test func aScalarByteByByte() {
    let event = TensorBoardEvent(wallTime: 0, step: 300, .scalars([.init("a", 0.5)]))
    let value: [UInt8] = [0x0A, 1, 0x61, 0x15, 0, 0, 0, 0x3F]
    #expect(
      event.encode() == [0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0xAC, 0x02, 0x2A, 10, 0x0A, 8] + value)
  }

  @Test func thereAndBack() throws {
    #expect(try TensorBoardEvent.read(Self.encoded(Self.events), name: "a file") == Self.events)
    #expect(try TensorBoardEvent.read([], name: "a file").isEmpty)
  }

  /// A process that was killed leaves a record cut short: the whole ones before it count.
  @Test func everyCutLeavesTheWholeRecords() throws {
    let bytes = Self.encoded(Self.events)
    var ends: [Int] = []
    for count in 1...Self.events.count {
      ends.append(Self.encoded(Array(Self.events[..<count])).count)
    }
    for length in 0..<bytes.count {
      let found = try TFRecord.read(Array(bytes[..<length]), name: "a file")
      #expect(found.records.count == ends.count { $0 <= length })
      #expect(found.isCut == (length > 0 && !ends.contains(length)))
    }
  }

  @Test func damageIsNamed() throws {
    let bytes = Self.encoded(Self.events)
    for at in bytes.indices {
      var damaged = bytes
      damaged[at] ^= 0x10
      expectFailure("a file", "damaged") { _ = try TFRecord.read(damaged, name: "a file") }
    }
    // A length that is right by its sum, and beyond the file's end and every memory.
    var length: [UInt8] = []
    length.appendLittleEndian(UInt64.max)
    var huge = length
    huge.appendLittleEndian(CRC32C.masked(CRC32C.of(length)))
    huge += bytes
    #expect(try TFRecord.read(huge, name: "a file").records.isEmpty)
  }

  @Test func noMessageTraps() throws {
    let encoded = Self.events.map { $0.encode() }
    for (index, message) in encoded.enumerated() {
      let accepted = try fuzz(message, seed: UInt64(index + 1), rounds: 3000) { mutant in
        var record: [UInt8] = []
        TFRecord.append(mutant, to: &record)
        _ = try TensorBoardEvent.read(record, name: "a file")
      }
      #expect(accepted > 0)
    }
  }

  /// RFC 4648, section 10.
  @Test func base64() {
    let pairs = [
      ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
      ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ]
    for (text, expected) in pairs {
      #expect(Base64.encode(Array(text.utf8)) == Array(expected.utf8))
    }
    #expect(Base64.encode([0xFB, 0xFF]) == Array("+/8=".utf8))
  }
}
