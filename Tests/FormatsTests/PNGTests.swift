import Basics
import TestSupport
import Testing

@testable import Formats

@Suite struct PNGTests {
  static func decode(_ bytes: [UInt8], limit: Int = 1 << 20) throws -> Image {
    try PNG.decode(bytes, name: "a file", limit: limit)
  }

  static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
    var out: [UInt8] = []
    out.appendBigEndian(UInt32(data.count))
    out += Array(type.utf8) + data
    out.appendBigEndian(CRC32.of(Array(type.utf8) + data))
    return out
  }

  static func header(
    _ width: UInt32, _ height: UInt32, depth: UInt8 = 8, color: UInt8 = 0,
    rest: [UInt8] = [0, 0, 0]
  ) -> [UInt8] {
    var data: [UInt8] = []
    data.appendBigEndian(width)
    data.appendBigEndian(height)
    return chunk("IHDR", data + [depth, color] + rest)
  }

  static func data(_ rows: [UInt8]) throws -> [UInt8] { chunk("IDAT", try Zlib.compress(rows)) }

  static let end = chunk("IEND", [])

  static func file(_ parts: [UInt8]...) -> [UInt8] { PNG.signature + parts.flatMap { $0 } }

  @Test func readsKnownBytes() throws {
    // A black and a white pixel, as Pillow writes them.
    let known: [UInt8] =
      PNG.signature + [
        0x00, 0x00, 0x00, 0x0D, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,
        0x01, 0x08, 0x00, 0x00, 0x00, 0x00, 0xD1, 0x49, 0x20, 0x56, 0x00, 0x00, 0x00, 0x0B, 0x49,
        0x44, 0x41, 0x54, 0x78, 0x9C, 0x63, 0x60, 0xF8, 0x0F, 0x00, 0x01, 0x02, 0x01, 0x00, 0x42,
        0xBE, 0xBC, 0x68, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82,
      ]
    let image = Image(width: 2, height: 1, channels: 1, pixels: [0, 255])
    #expect(try Self.decode(PNG.encode(image)) == image)
    #expect(try Self.decode(known) == image)
  }

  @Test func roundTrips() throws {
    for channels in 1...4 {
      for (width, height) in [(1, 1), (1, 7), (7, 1), (5, 4), (33, 29)] {
        let count = width * height * channels
        let noise = randomBytes(count, seed: UInt64(count))
        let smooth = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 3 / channels) }
        for pixels in [noise, smooth, [UInt8](repeating: 7, count: count)] {
          let image = Image(width: width, height: height, channels: channels, pixels: pixels)
          let bytes = try PNG.encode(image)
          #expect(try Self.decode(bytes) == image)
          #expect(try PNG.encode(image) == bytes)
        }
      }
    }
    #expect(throws: InternalError.self) {
      try PNG.encode(Image(width: 2, height: 2, channels: 1, pixels: [0]))
    }
  }

  @Test func usesEveryFilterAndUndoesIt() throws {
    // The same 3×2 RGB rows behind each filter; predictions computed by hand from the standard.
    let rows: [[UInt8]] = [
      [10, 20, 30, 15, 25, 35, 9, 8, 7], [11, 22, 33, 14, 28, 30, 200, 100, 0],
    ]
    for filter in PNG.Filter.allCases {
      var packed: [UInt8] = []
      for (y, row) in rows.enumerated() {
        packed.append(filter.rawValue)
        for (i, value) in row.enumerated() {
          let left = i >= 3 ? Int(row[i - 3]) : 0
          let up = y > 0 ? Int(rows[y - 1][i]) : 0
          let corner = i >= 3 && y > 0 ? Int(rows[y - 1][i - 3]) : 0
          let paeth = [left, up, corner].min {
            abs(left + up - corner - $0) < abs(left + up - corner - $1)
          }!
          let guess = [0, left, up, (left + up) / 2, paeth][Int(filter.rawValue)]
          packed.append(UInt8(truncatingIfNeeded: Int(value) - guess))
        }
      }
      let bytes = Self.file(Self.header(3, 2, color: 2), try Self.data(packed), Self.end)
      #expect(try Self.decode(bytes).pixels == rows.flatMap { $0 }, "\(filter)")
    }
    // Filtering pays: a smooth ramp shrinks to a fraction.
    let ramp = (0..<64 * 64).map { UInt8(truncatingIfNeeded: 3 * ($0 % 64) + 2 * ($0 / 64)) }
    let image = Image(width: 64, height: 64, channels: 1, pixels: ramp)
    #expect(try PNG.encode(image).count < 400)
  }

  @Test func readsPalettesAndSplitData() throws {
    let palette = Self.chunk("PLTE", [1, 2, 3, 4, 5, 6])
    let body = try Self.data([0, 1, 0])
    let bytes = Self.file(
      Self.header(2, 1, color: 3), palette, Self.chunk("tRNS", [0]), body, Self.end)
    #expect(
      try Self.decode(bytes)
        == Image(width: 2, height: 1, channels: 4, pixels: [4, 5, 6, 255, 1, 2, 3, 0]))
    let packed = try Zlib.compress([0, 9, 8])
    let split = Self.file(
      Self.header(2, 1), Self.chunk("IDAT", Array(packed.prefix(3))), Self.chunk("IDAT", []),
      Self.chunk("IDAT", Array(packed.dropFirst(3))), Self.end, [1, 2, 3])
    #expect(try Self.decode(split).pixels == [9, 8])
    expectFailure("colour 2 of a palette of 2") {
      _ = try Self.decode(
        Self.file(Self.header(1, 1, color: 3), palette, Self.data([0, 2]), Self.end))
    }
    expectFailure("no chunk PLTE") {
      _ = try Self.decode(Self.file(Self.header(1, 1, color: 3), Self.data([0, 2]), Self.end))
    }
    for size in [0, 4, 771] {
      expectFailure("palette", "\(size) bytes") {
        let bad = Self.chunk("PLTE", [UInt8](repeating: 0, count: size))
        _ = try Self.decode(Self.file(Self.header(1, 1, color: 3), bad, Self.end))
      }
    }
  }

  @Test func everyCutAndFlipIsSeen() throws {
    let image = Image(width: 3, height: 2, channels: 3, pixels: randomBytes(18))
    let bytes = try PNG.encode(image)
    expectAllTruncationsFail(bytes) { _ = try Self.decode($0) }
    for at in bytes.indices {
      for bit in 0..<8 {
        var damaged = bytes
        damaged[at] ^= 1 << UInt8(bit)
        expectFailure("a file") { _ = try Self.decode(damaged) }
      }
    }
  }

  @Test func refusesBadFiles() throws {
    func bad(_ words: String, _ bytes: [UInt8]) {
      expectFailure("a file", words) { _ = try Self.decode(bytes) }
    }
    let body = try Self.data([0, 1])
    bad("not a PNG file", Array("GIF89a..".utf8))
    bad("not a PNG file", [])
    bad("IHDR first", Self.file(body, Self.end))
    bad("no chunk IDAT", Self.file(Self.header(1, 1), Self.end))
    for (depth, color): (UInt8, UInt8) in [(16, 3), (4, 2), (1, 6), (2, 4), (32, 0)] {
      let header = Self.header(1, 1, depth: depth, color: color)
      bad("bit depth \(depth), colour type \(color)", Self.file(header, body, Self.end))
    }
    bad("bit depth 3", Self.file(Self.header(1, 1, depth: 3), body, Self.end))
    bad("colour type 5", Self.file(Self.header(1, 1, color: 5), body, Self.end))
    bad("IHDR is wrong", Self.file(Self.header(1, 1, rest: [0, 0, 2]), body, Self.end))
    bad("IHDR is wrong", Self.file(Self.header(1, 1, rest: [0, 1, 0]), body, Self.end))
    bad("IHDR has 12", Self.file(Self.chunk("IHDR", randomBytes(12)), body, Self.end))
    bad("0×1", Self.file(Self.header(0, 1), body, Self.end))
    bad("not possible", Self.file(Self.header(1 << 31, 1), body, Self.end))
    bad("exceed the limit", Self.file(Self.header(1 << 30, 1 << 30, color: 6), body, Self.end))
    bad("cannot be held", Self.file(Self.header(1000, 1000), body, Self.end))
    bad("filter 5", Self.file(Self.header(1, 1), try Self.data([5, 1]), Self.end))
    bad("2 bytes, expected 3", Self.file(Self.header(2, 1), body, Self.end))
    bad("more than 2", Self.file(Self.header(1, 1), try Self.data([0, 1, 2]), Self.end))
    bad("FOOO is not known", Self.file(Self.header(1, 1), Self.chunk("FOOO", []), body, Self.end))
    bad("follow each other", Self.file(Self.header(1, 1), body, Self.chunk("tEXt", []), body))
    bad("type of a chunk", Self.file(Self.header(1, 1), Self.chunk("I1AT", []), Self.end))
    var long = Self.file(Self.header(1, 1), body, Self.end)
    long[33] = 0xFF
    bad("are left", long)
    let fine = Self.file(Self.header(1, 1), Self.chunk("tEXt", [1]), body, Self.end)
    #expect(try Self.decode(fine).pixels == [1])
  }

  @Test func neverTraps() throws {
    // Mutants with mended CRCs, so that more than the first check is reached.
    let image = Image(width: 5, height: 4, channels: 3, pixels: randomBytes(60))
    try fuzz(PNG.encode(image), seed: 61, rounds: 1000) { _ = try Self.decode($0) }
    let parts = [Array(Self.header(5, 4, color: 2)[8..<21]), try Zlib.compress(randomBytes(64))]
    for (index, part) in parts.enumerated() {
      try fuzz(part, seed: 62, rounds: 2000) { mutant in
        var parts = parts
        parts[index] = mutant
        _ = try Self.decode(
          Self.file(Self.chunk("IHDR", parts[0]), Self.chunk("IDAT", parts[1]), Self.end))
      }
    }
    try fuzz([3, 1, 4, 1, 5, 9], seed: 63, rounds: 200) { palette in
      _ = try Self.decode(
        Self.file(
          Self.header(2, 1, color: 3), Self.chunk("PLTE", palette), Self.data([0, 0, 1]), Self.end))
    }
  }
}
