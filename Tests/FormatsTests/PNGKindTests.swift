// Every kind of PNG, packed here by the words of the standard, one value at a time, so that the
// reader's own way is not repeated. Tools/check-formats.py compares with Pillow.

import Basics
import TestSupport
import Testing

@testable import Formats

@Suite struct PNGKindTests {
  /// Samples of a picture as a file holds them, and what should come out.
  struct Picture {
    var width: Int
    var height: Int
    var depth: Int
    var color: PNG.ColorType
    /// `height · width · color.samples` values.
    var values: [Int]

    init(_ width: Int, _ height: Int, _ depth: Int, _ color: PNG.ColorType, below limit: Int? = nil)
    {
      (self.width, self.height, self.depth, self.color) = (width, height, depth, color)
      var random = PhiloxSequence(seed: UInt64(depth), stream: UInt32(color.rawValue))
      let most = limit ?? 1 << depth
      values = (0..<width * height * color.samples).map { _ in random.nextInt(below: most) }
    }

    /// The file; filters by row number.
    func file(interlaced: Bool = false, _ chunks: [UInt8] = []) throws -> [UInt8] {
      let header = PNGTests.header(
        UInt32(width), UInt32(height), depth: UInt8(depth), color: color.rawValue,
        rest: [0, 0, interlaced ? 1 : 0])
      var rows: [UInt8] = []
      for (columns, lines) in interlaced ? passes : [(Array(0..<width), Array(0..<height))] {
        if !columns.isEmpty { rows += packed(columns, lines) }
      }
      return PNGTests.file(header, chunks, try PNGTests.data(rows), PNGTests.end)
    }

    /// By the standard's 8×8 table: the number in it is the pass that a pixel belongs to.
    private var passes: [([Int], [Int])] {
      let rows = [
        "16462646", "77777777", "56565656", "77777777", "36463646", "77777777", "56565656",
        "77777777",
      ]
      let table: [[Character]] = rows.map { Array($0) }
      return (1...7).map { pass in
        let digit = Character("\(pass)")
        let lines = (0..<height).filter { table[$0 % 8].contains(digit) }
        let columns = (0..<width).filter { x in
          (0..<8).contains { table[$0][x % 8] == digit }
        }
        return (columns, lines)
      }
    }

    private func packed(_ columns: [Int], _ lines: [Int]) -> [UInt8] {
      let samples = color.samples
      let pixel = max(1, samples * depth / 8)
      var out: [UInt8] = []
      var above: [UInt8] = []
      for (number, y) in lines.enumerated() {
        var bits: [Int] = []
        for x in columns {
          for c in 0..<samples {
            let value = values[(y * width + x) * samples + c]
            for bit in (0..<depth).reversed() { bits.append(value >> bit & 1) }
          }
        }
        while bits.count % 8 != 0 { bits.append(0) }
        var row: [UInt8] = []
        for start in stride(from: 0, to: bits.count, by: 8) {
          row.append(UInt8(bits[start..<start + 8].reduce(0) { $0 * 2 + $1 }))
        }
        let filter = PNG.Filter.allCases[number % 5]
        out.append(filter.rawValue)
        for i in row.indices {
          let left = i >= pixel ? row[i - pixel] : 0
          let up = above.isEmpty ? 0 : above[i]
          let corner = above.isEmpty || i < pixel ? 0 : above[i - pixel]
          out.append(row[i] &- PNG.prediction(filter, left, up, corner))
        }
        above = row
      }
      return out
    }

    /// Values as bytes: stretched, or the high byte.
    var bytes: [UInt8] {
      values.map { depth == 16 ? UInt8($0 >> 8) : UInt8($0 * 255 / (1 << depth - 1)) }
    }
  }

  static let kinds: [(Int, PNG.ColorType)] = [
    (1, .grey), (2, .grey), (4, .grey), (8, .grey), (16, .grey), (8, .rgb), (16, .rgb),
    (8, .greyAlpha), (16, .greyAlpha), (8, .rgba), (16, .rgba),
  ]
  static let sizes = [(1, 1), (2, 1), (1, 3), (4, 4), (5, 3), (9, 8), (13, 17)]

  @Test(arguments: kinds) func everyKindAndSize(_ depth: Int, _ color: PNG.ColorType) throws {
    for (width, height) in Self.sizes {
      let picture = Picture(width, height, depth, color)
      for interlaced in [false, true] {
        let file = try picture.file(interlaced: interlaced)
        let image = try PNGTests.decode(file)
        #expect(image.channels == color.samples && image.isConsistent)
        #expect(image.pixels == picture.bytes, "\(width)×\(height) \(interlaced)")
        let header = try PNG.header(of: file, name: "a file")
        #expect(header.bitDepth == depth && header.isInterlaced == interlaced)
        #expect(header.width == width && header.height == height && header.color == color)
      }
    }
  }

  @Test(arguments: [1, 2, 4, 8]) func palettes(_ depth: Int) throws {
    let colors = min(1 << depth, 200)
    let palette = randomBytes(3 * colors)
    for (width, height) in Self.sizes {
      let picture = Picture(width, height, depth, .palette, below: colors)
      for interlaced in [false, true] {
        let plte = PNGTests.chunk("PLTE", palette)
        let plain = try PNGTests.decode(picture.file(interlaced: interlaced, plte))
        #expect(plain.channels == 3)
        var opaque: [UInt8] = []
        var keyed: [UInt8] = []
        for index in picture.values {
          let color = Array(palette[3 * index..<3 * index + 3])
          opaque += color
          keyed += color
          keyed.append(index == 0 ? 7 : 255)
        }
        #expect(plain.pixels == opaque)
        // Alpha for the first only; the others are opaque.
        let clear = try PNGTests.decode(
          picture.file(interlaced: interlaced, plte + PNGTests.chunk("tRNS", [7])))
        #expect(clear.channels == 4)
        #expect(clear.pixels == keyed)
      }
    }
  }

  /// Small files of every kind, packed by a script and read by Pillow: `Tools/check-formats.py
  /// fixtures`.
  @Test func storedFilesAreWhatPillowReads() throws {
    let path = "Tests/FormatsTests/Fixtures/png-kinds.safetensors"
    let stored = try TensorFile.decode(try Places.bytes(path), name: path)
    let names = stored.tensors.map(\.name).filter { $0.hasSuffix(".png") }
    #expect(names.count == 52)
    for name in names {
      let image = try PNGTests.decode(try #require(stored[name]).data)
      #expect(image.width == 3 && image.height == 5)
      for (mode, channels) in [("L", 1), ("RGB", 3), ("RGBA", 4)] {
        let wanted = try #require(stored["\(name.dropLast(4)).\(mode)"]).data
        #expect(image.converted(toChannels: channels).pixels == wanted, "\(name) as \(mode)")
      }
    }
  }

  /// tRNS holds 16-bit values whatever the depth; of fewer bits only the low ones count.
  @Test(arguments: [1, 2, 4, 8, 16]) func transparentGrey(_ depth: Int) throws {
    let picture = Picture(6, 5, depth, .grey)
    let key = picture.values[7]
    let stray = depth == 16 ? 0 : 0x80
    let bytes = [UInt8(key >> 8 | stray), UInt8(key & 255)]
    let image = try PNGTests.decode(picture.file(PNGTests.chunk("tRNS", bytes)))
    #expect(image.channels == 2)
    var wanted: [UInt8] = []
    for (value, byte) in zip(picture.values, picture.bytes) {
      wanted.append(byte)
      wanted.append(value == key ? 0 : 255)
    }
    #expect(image.pixels == wanted)
    #expect(wanted.contains(0))
  }

  @Test(arguments: [8, 16]) func transparentColour(_ depth: Int) throws {
    var picture = Picture(6, 5, depth, .rgb)
    // A pixel that differs in the low byte of one value only is not transparent.
    picture.values[3...5] = picture.values[0...2]
    picture.values[5] ^= 1
    let key = picture.values[0..<3].flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
    let image = try PNGTests.decode(picture.file(PNGTests.chunk("tRNS", key)))
    #expect(image.channels == 4)
    let alphas = stride(from: 3, to: image.pixels.count, by: 4).map { image.pixels[$0] }
    #expect(alphas[0] == 0 && alphas.dropFirst().allSatisfy { $0 == 255 })
    let colors = image.pixels.enumerated().filter { $0.offset % 4 != 3 }.map(\.element)
    #expect(colors == picture.bytes)
  }

  @Test func transparencyOutOfPlace() throws {
    func refused(_ words: String, _ picture: Picture, _ chunks: [UInt8]) throws {
      let file = try picture.file(chunks)
      expectFailure("a file", words) { _ = try PNGTests.decode(file) }
    }
    let trns = PNGTests.chunk("tRNS", [0, 0])
    try refused("expected 6", Picture(2, 2, 8, .rgb), trns)
    try refused("expected 2", Picture(2, 2, 8, .grey), PNGTests.chunk("tRNS", [1]))
    try refused("out of place", Picture(2, 2, 8, .grey), trns + trns)
    try refused(
      "palette of 1", Picture(2, 2, 1, .palette, below: 1),
      PNGTests.chunk("PLTE", [1, 2, 3]) + trns)
    // Where there is alpha it has no meaning, and readers pass it over.
    let rgba = Picture(2, 2, 8, .rgba)
    #expect(try PNGTests.decode(rgba.file(trns)).pixels == rgba.bytes)
  }

  @Test func everyTruncationIsSeen() throws {
    for (depth, color) in [(1, PNG.ColorType.grey), (16, .rgba)] {
      let bytes = try Picture(9, 5, depth, color).file(interlaced: true)
      expectAllTruncationsFail(bytes) { _ = try PNGTests.decode($0) }
    }
  }

  @Test func neverTraps() throws {
    for (depth, color) in Self.kinds + [(1, .palette), (4, .palette)] {
      for interlaced in [false, true] {
        let picture = Picture(11, 9, depth, color, below: color == .palette ? 2 : nil)
        let file = try picture.file(
          interlaced: interlaced, PNGTests.chunk("PLTE", [1, 2, 3, 4, 5, 6]))
        // The header's 13 bytes, then the unpacked rows, each with a right CRC around them.
        let header = Array(file[16..<29])
        let body = Array(file[33...])
        try fuzz(header, seed: 71, rounds: 150) { mutant in
          _ = try PNGTests.decode(PNGTests.file(PNGTests.chunk("IHDR", mutant), body))
        }
        let start = Array(file[8..<33])
        let palette = PNGTests.chunk("PLTE", [1, 2, 3, 4, 5, 6])
        try fuzz(randomBytes(400), seed: 72, rounds: 60) { rows in
          let transparency = PNGTests.chunk("tRNS", Array(rows.prefix(2)))
          let data = try PNGTests.data(rows)
          _ = try PNGTests.decode(
            PNGTests.file(start, palette, transparency, data, PNGTests.end))
        }
      }
    }
  }

  @Test func sizesAreHeldAgainstTheLimit() throws {
    // A key adds a channel: 100 grey pixels are 200 bytes.
    let picture = Picture(10, 10, 8, .grey)
    let plain = try picture.file()
    let keyed = try picture.file(PNGTests.chunk("tRNS", [0, 1]))
    #expect(try PNGTests.decode(plain, limit: 100).pixels.count == 100)
    expectFailure("exceed the limit of 199") { _ = try PNGTests.decode(keyed, limit: 199) }
    #expect(try PNGTests.decode(keyed, limit: 200).channels == 2)
  }
}
