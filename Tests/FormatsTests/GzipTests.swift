import Basics
import Formats
import TestSupport
import Testing

@Suite struct GzipTests {
  /// "hello\n" as Python's gzip packs it with mtime 0.
  static let hello: [UInt8] = [
    0x1F, 0x8B, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xCB, 0x48, 0xCD, 0xC9, 0xC9,
    0xE7, 0x02, 0x00, 0x20, 0x30, 0x3A, 0x36, 0x06, 0x00, 0x00, 0x00,
  ]

  static func unpack(_ bytes: [UInt8], limit: Int = 1 << 20) throws -> [UInt8] {
    try Gzip.decompress(bytes, name: "a file", limit: limit)
  }

  @Test func unpacksKnownBytes() throws {
    #expect(try Self.unpack(Self.hello) == Array("hello\n".utf8))
    #expect(try Self.unpack(Self.hello, limit: 6).count == 6)
    #expect(try Gzip.compress(Array("hello\n".utf8)) == Self.hello)
  }

  @Test func roundTrips() throws {
    for count in [0, 1, 5, 4095, 4096, 4097, 300_000] {
      let bytes = randomBytes(count)
      #expect(try Self.unpack(Gzip.compress(bytes)) == bytes)
      #expect(
        try Zlib.decompress(Zlib.compress(bytes), exactly: count, name: "a file") == bytes)
    }
  }

  @Test func unpacksSeveralMembers() throws {
    let bytes = try Self.hello + Gzip.compress([]) + Self.hello
    #expect(try Self.unpack(bytes) == Array("hello\nhello\n".utf8))
    expectFailure("more than 11") { _ = try Self.unpack(bytes, limit: 11) }
    let cuts = [26, 26 + 20]
    for length in 1..<bytes.count where !cuts.contains(length) {
      expectFailure("a file") { _ = try Self.unpack(Array(bytes[..<length])) }
    }
  }

  @Test func refusesDamage() throws {
    expectAllTruncationsFail(Self.hello) { _ = try Self.unpack($0) }
    expectFailure("a file", "1f 8b", "found 50 4b") { _ = try Self.unpack([0x50, 0x4B, 3]) }
    expectFailure("1 unexpected byte") { _ = try Self.unpack(Self.hello + [0]) }
    expectFailure("2 unexpected bytes") { _ = try Self.unpack(Self.hello + [0x1F, 0x00]) }
    // Every bit of the content, its CRC and its length is guarded; the header has idle bits.
    for at in 10..<Self.hello.count {
      for bit in 0..<8 {
        var bytes = Self.hello
        bytes[at] ^= 1 << UInt8(bit)
        expectFailure("a file") {
          let found = try Self.unpack(bytes)
          // A flip in the padding after the deflate end changes nothing.
          if found == Array("hello\n".utf8) { throw EnvironmentFailure("a file: same") }
        }
      }
    }
  }

  @Test func aBombIsAnError() throws {
    let bomb = try Gzip.compress([UInt8](repeating: 0, count: 20 << 20), level: 9)
    #expect(bomb.count < 30_000)
    expectFailure("a file", "more than 1048576 bytes") { _ = try Self.unpack(bomb) }
    #expect(try Gzip.prefix(bomb, count: 10, name: "a file") == [UInt8](repeating: 0, count: 10))
    #expect(try Gzip.prefix(Self.hello, count: 100, name: "a file").count == 6)
    let packed = try Zlib.compress([1, 2, 3])
    expectFailure("more than 2") {
      _ = try Zlib.decompress(packed, exactly: 2, name: "a file")
    }
    expectFailure("3 bytes, expected 4") {
      _ = try Zlib.decompress(packed, exactly: 4, name: "a file")
    }
    expectFailure("unexpected byte") {
      _ = try Zlib.decompress(packed + [0], exactly: 3, name: "a file")
    }
  }

  @Test func neverTraps() throws {
    let bytes = try Gzip.compress(randomBytes(300) + [UInt8](repeating: 9, count: 3000))
    try fuzz(bytes, seed: 11, rounds: 2000) { _ = try Self.unpack($0) }
  }

  @Test func crc() {
    #expect(CRC32.of(Array("123456789".utf8)) == 0xCBF4_3926)
    var parts = CRC32()
    parts.combine(Array("1234".utf8))
    parts.combine([])
    parts.combine(Array("56789".utf8))
    #expect(parts.value == 0xCBF4_3926)
  }
}
