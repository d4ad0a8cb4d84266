import Basics
import Formats
import TestSupport
import Testing

@Suite struct IDXTests {
  static let small: [UInt8] = [
    0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 3, 250, 251, 252,
  ]

  static func decode(_ bytes: [UInt8]) throws -> IDXArray {
    try IDXArray.decode(bytes, name: "a file")
  }

  @Test func readsKnownBytes() throws {
    let array = try Self.decode(Self.small)
    #expect(array.element == .u8)
    #expect(array.shape == [2, 1, 3])
    #expect(array.bytes == [1, 2, 3, 250, 251, 252])
    #expect(array.floats == [1, 2, 3, 250, 251, 252])
    #expect(array.encode() == Self.small)
    #expect(try Self.decode(Gzip.compress(Self.small)) == array)
  }

  @Test func readsEveryElement() throws {
    let cases: [(UInt8, [UInt8], [Float])] = [
      (0x09, [0x80, 0x7F], [-128, 127]), (0x0B, [0xFF, 0xFE, 0x01, 0x00], [-2, 256]),
      (0x0C, [0xFF, 0xFF, 0xFF, 0xFF, 0, 1, 0, 0], [-1, 65536]),
      (0x0D, [0x3F, 0x80, 0, 0, 0xC0, 0x20, 0, 0], [1, -2.5]),
      (0x0E, [0x3F, 0xF0, 0, 0, 0, 0, 0, 0, 0xC0, 0x04, 0, 0, 0, 0, 0, 0], [1, -2.5]),
    ]
    for (code, data, values) in cases {
      let bytes = [0, 0, code, 1, 0, 0, 0, 2] + data
      let array = try Self.decode(bytes)
      #expect(array.floats == values && array.count == 2)
      #expect(array.encode() == bytes)
      expectAllTruncationsFail(bytes) { _ = try Self.decode($0) }
    }
  }

  @Test func refusesDamage() throws {
    expectAllTruncationsFail(Self.small) { _ = try Self.decode($0) }
    let packed = try Gzip.compress(Self.small)
    expectAllTruncationsFail(packed) { _ = try Self.decode($0) }
    expectFailure("too long", "needs 6 bytes", "found 7") { _ = try Self.decode(Self.small + [0]) }
    expectFailure("too long") { _ = try Self.decode(Gzip.compress(Self.small + [0])) }
    expectFailure("truncated") { _ = try Self.decode(Gzip.compress(Array(Self.small.dropLast()))) }
    expectFailure("not an IDX file", "found 89 50 4e 47") {
      _ = try Self.decode([0x89, 0x50, 0x4E, 0x47, 0, 0, 0, 0])
    }
    expectFailure("not an IDX file") { _ = try Self.decode([0, 0, 10, 1, 0, 0, 0, 0]) }
    expectFailure("0 dimensions") { _ = try Self.decode([0, 0, 8, 0, 1]) }
    expectFailure("9 dimensions") { _ = try Self.decode([0, 0, 8, 9] + randomBytes(40)) }
  }

  @Test func refusesSizesThatOverflow() throws {
    let huge = [UInt8](repeating: 0xFF, count: 32)
    for code in [0x08, 0x0E] as [UInt8] {
      expectFailure("overflows") { _ = try Self.decode([0, 0, code, 8] + huge) }
      expectFailure("overflows") { _ = try Self.decode(Gzip.compress([0, 0, code, 8] + huge)) }
      expectFailure("truncated", "4294967295") {
        _ = try Self.decode([0, 0, code, 1] + huge.prefix(4) + [1, 2, 3])
      }
    }
    // A small file that announces 16 GiB is refused before anything is unpacked.
    let claim: [UInt8] = [0, 0, 8, 2, 0, 0, 255, 255, 0, 3, 0, 0]
    expectFailure("can hold") { _ = try Self.decode(Gzip.compress(claim)) }
    // A bomb that unpacks to more than its header says.
    let bomb = try Gzip.compress(Self.small + [UInt8](repeating: 0, count: 8 << 20))
    expectFailure("a file", "more than") { _ = try Self.decode(bomb) }
  }

  @Test func noElementsAreFine() throws {
    let bytes: [UInt8] = [0, 0, 8, 2, 0, 0, 0, 0, 255, 255, 255, 255]
    let array = try Self.decode(bytes)
    #expect(array.shape == [0, 0xFFFF_FFFF] && array.count == 0 && array.floats.isEmpty)
  }

  @Test func neverTraps() throws {
    try fuzz(Self.small, seed: 21, rounds: 3000) { _ = try Self.decode($0).floats }
    try fuzz(Gzip.compress(Self.small), seed: 22, rounds: 2000) { _ = try Self.decode($0) }
  }
}
