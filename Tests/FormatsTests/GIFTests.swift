import Basics
import TestSupport
import Testing

@testable import Formats

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

@Suite struct GIFTests {
  /// A GIF reader written from the specification alone, for checking the writer.
  struct Reader {
    var bytes: [UInt8]
    var at = 0
    var palette: [UInt8] = []
    var size = (width: 0, height: 0)
    var frames: [[UInt8]] = []
    var delays: [Int] = []

    init(_ bytes: [UInt8]) throws {
      self.bytes = bytes
      try read()
    }

    mutating func next() throws -> Int {
      try #require(at < bytes.count)
      at += 1
      return Int(bytes[at - 1])
    }

    mutating func short() throws -> Int { try next() + next() * 256 }

    mutating func blocks() throws -> [UInt8] {
      var out: [UInt8] = []
      while true {
        let count = try next()
        if count == 0 { return out }
        try #require(at + count <= bytes.count)
        out += bytes[at..<at + count]
        at += count
      }
    }

    mutating func read() throws {
      try #require(bytes.starts(with: Array("GIF89a".utf8)))
      at = 6
      size = (try short(), try short())
      try #require(next() == 0xF7)
      at += 2
      palette = Array(bytes[at..<at + 768])
      at += 768
      while true {
        switch try next() {
        case 0x3B:
          try #require(at == bytes.count)
          return
        case 0x21:
          let kind = try next()
          let data = try blocks()
          if kind == 0xF9 { delays.append(Int(data[1]) + Int(data[2]) * 256) }
        case 0x2C:
          let (left, top, width, height) = (try short(), try short(), try short(), try short())
          #expect([left, top, width, height] == [0, 0, size.width, size.height])
          try #require(next() == 0)
          let codeBits = try next()
          frames.append(try Self.unpack(blocks(), codeBits))
        default: try #require(Bool(false), "a block of an unknown kind at \(at - 1)")
        }
      }
    }

    static func unpack(_ data: [UInt8], _ codeBits: Int) throws -> [UInt8] {
      let clear = 1 << codeBits
      var table: [[UInt8]] = []
      var width = codeBits + 1
      var previous: [UInt8]?
      var out: [UInt8] = []
      var bit = 0
      while true {
        var code = 0
        for i in 0..<width {
          try #require(bit / 8 < data.count)
          code |= (Int(data[bit / 8]) >> (bit % 8) & 1) << i
          bit += 1
        }
        if code == clear {
          table = (0..<clear).map { [UInt8($0)] } + [[], []]
          width = codeBits + 1
          previous = nil
          continue
        }
        if code == clear + 1 { return out }
        try #require(code < table.count || (code == table.count && previous != nil))
        let entry = code < table.count ? table[code] : previous! + [previous![0]]
        out += entry
        if let previous, table.count < 4096 {
          table.append(previous + [entry[0]])
          if table.count == 1 << width, width < 12 { width += 1 }
        }
        previous = entry
      }
    }
  }

  static func encoded(_ images: [Image], delay: Int = 10) -> [UInt8] {
    GIF.header(
      width: images[0].width, height: images[0].height, isGrey: images[0].channels <= 2)
      + images.flatMap { GIF.frame($0, delay: delay) } + [GIF.trailer]
  }

  @Test func greyFramesLoseNothing() throws {
    // Noise of 100×100 fills the code table and resets it; the others stress growing codes.
    var random = PhiloxSequence(seed: 5, stream: 1)
    let contents: [[UInt8]] = [
      randomBytes(10_000), [UInt8](repeating: 3, count: 10_000),
      (0..<10_000).map { UInt8($0 * $0 % 251) },
      (0..<10_000).map { _ in UInt8(random.nextInt(below: 3)) },
    ]
    let images = contents.map { Image(width: 100, height: 100, channels: 1, pixels: $0) }
    let reader = try Reader(Self.encoded(images))
    #expect(reader.frames == contents)
    #expect(reader.delays == [10, 10, 10, 10])
    #expect(reader.palette == (0..<768).map { UInt8($0 / 3) })
    #expect(reader.bytes.contains { $0 == 0x4E })
  }

  @Test func everyLengthEndsWell() throws {
    // The end code's width depends on how many codes came before it.
    for count in (1...40).map({ $0 }) + (240...270).map({ $0 }) + [511, 512, 765, 4095] {
      let pixels = randomBytes(count, seed: UInt64(count))
      let image = Image(width: count, height: 1, channels: 1, pixels: pixels)
      #expect(try Reader(Self.encoded([image])).frames == [pixels], "\(count) pixels")
    }
  }

  @Test func coloursAreClose() throws {
    let corners: [UInt8] = [0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 255, 0, 0, 0, 255, 102, 85, 204]
    let image = Image(width: 6, height: 1, channels: 3, pixels: corners)
    let reader = try Reader(Self.encoded([image]))
    #expect(reader.frames[0].flatMap { reader.palette[3 * Int($0)..<3 * Int($0) + 3] } == corners)
    // Dithering keeps the mean of a flat colour.
    let color: [UInt8] = [130, 77, 200]
    let flat = Image(
      width: 32, height: 32, channels: 4, pixels: (0..<1024).flatMap { _ in color + [7] })
    let drawn = try Reader(Self.encoded([flat]))
    for c in 0..<3 {
      let sum = drawn.frames[0].reduce(0) { $0 + Int(drawn.palette[3 * Int($1) + c]) }
      #expect(abs(sum / 1024 - Int(color[c])) <= 1)
    }
  }

  @Test func growsFrameByFrame() throws {
    try withFolder { folder in
      let path = folder + "/a.gif"
      let images = (0..<4).map {
        Image(width: 4, height: 3, channels: 1, pixels: randomBytes(12, seed: UInt64($0)))
      }
      var writer = AnimatedGIFWriter(path: path, delay: 7)
      #expect(!FileIO.exists(path))
      for (i, image) in images.prefix(3).enumerated() {
        try writer.append(image)
        #expect(writer.frameCount == i + 1)
        #expect(try FileIO.read(path) == Self.encoded(Array(images[...i]), delay: 7))
      }
      expectFailure(path, "differs") {
        try writer.append(Image(width: 3, height: 4, channels: 1, pixels: randomBytes(12)))
      }
      expectFailure(path, "65536×1") {
        try writer.append(Image(width: 65536, height: 1, channels: 1, pixels: randomBytes(65536)))
      }

      // Continued behind two of three frames.
      var again = AnimatedGIFWriter(path: path, delay: 7, keepingFrames: 2)
      try again.append(images[3])
      #expect(again.frameCount == 3)
      let three = Self.encoded([images[0], images[1], images[3]], delay: 7)
      #expect(try FileIO.read(path) == three)

      // Whatever a crash left of the third frame, two stay and it is written anew.
      let two = Self.encoded(Array(images[..<2]), delay: 7).count - 1
      for length in stride(from: two, to: three.count, by: 3) {
        try FileIO.writeAtomically(Array(three[..<length]), to: path)
        var resumed = AnimatedGIFWriter(path: path, delay: 7, keepingFrames: 9)
        try resumed.append(images[3])
        let whole = length == three.count - 1
        #expect(resumed.frameCount == (whole ? 4 : 3))
        #expect(try Reader(FileIO.read(path)).frames.count == (whole ? 4 : 3))
      }

      // A file of another kind or size, or none, is replaced.
      for content in [Array("not a GIF".utf8), [], Self.encoded(images).dropLast(0).reversed()] {
        try FileIO.writeAtomically(content, to: path)
        var fresh = AnimatedGIFWriter(path: path, delay: 7, keepingFrames: 2)
        try fresh.append(images[0])
        #expect(try FileIO.read(path) == Self.encoded([images[0]], delay: 7))
      }
      var lost = AnimatedGIFWriter(path: folder + "/b.gif", keepingFrames: 5)
      try lost.append(images[0])
      #expect(lost.frameCount == 1)
      try FileIO.remove(folder + "/b.gif")
      expectFailure("b.gif") { try lost.append(images[1]) }
    }
  }

  /// With a limit, frames are thinned evenly; the file is that of the frames that stay.
  @Test func aLimitThinsEvenly() throws {
    try withFolder { folder in
      let path = folder + "/a.gif"
      func picture(_ index: Int) -> Image {
        Image(width: 4, height: 4, channels: 1, pixels: [UInt8](repeating: UInt8(index), count: 16))
      }
      var writer = AnimatedGIFWriter(path: path, delay: 10, limit: .init(frames: 6, bytes: 1 << 20))
      var made = 0
      for index in 0..<40 {
        try writer.offer {
          made += 1
          return picture(index)
        }
        let stride = writer.stride
        let expected = Swift.stride(from: 0, through: index, by: stride).map(picture)
        #expect(writer.frameCount == expected.count && writer.frameCount <= 6)
        #expect(try FileIO.read(path) == Self.encoded(expected), "after frame \(index)")
      }
      #expect(writer.stride == 8)
      #expect(made < 25, "frames that are passed over are not made: \(made)")
      // The bytes are a limit too, and two frames always stay.
      var small = AnimatedGIFWriter(path: path, limit: .init(frames: 100, bytes: 1))
      for index in 0..<9 { try small.offer { picture(index) } }
      #expect(small.frameCount == 2 && small.stride == 8)
    }
  }

  @Test func knowsWhetherItCanGoOn() throws {
    try withFolder { folder in
      let path = folder + "/a.gif"
      let image = Image(width: 2, height: 1, channels: 1, pixels: [1, 2])
      let other = Image(width: 1, height: 2, channels: 1, pixels: [1, 2])
      var writer = AnimatedGIFWriter(path: path)
      #expect(writer.canContinue(with: other))
      try writer.append(image)
      #expect(writer.canContinue(with: image) && !writer.canContinue(with: other))
      try FileIO.writeAtomically("short", to: path)
      #expect(!writer.canContinue(with: image))
      #expect(throws: EnvironmentFailure.self) { try writer.append(image) }
      #expect(try FileIO.read(path) == Array("short".utf8))
      try FileIO.remove(path)
      #expect(!writer.canContinue(with: image))
    }
  }

  @Test func theScannerNeverTraps() throws {
    try withFolder { folder in
      let image = Image(width: 4, height: 3, channels: 1, pixels: randomBytes(12))
      let header = GIF.header(width: 4, height: 3, isGrey: true)
      let frames = GIF.frame(image, delay: 1) + GIF.frame(image, delay: 1) + [GIF.trailer]
      let path = folder + "/fuzz.gif"
      var random = PhiloxSequence(seed: 71, stream: 1)
      for _ in 0..<100 {
        var bytes = header + frames
        bytes[header.count + random.nextInt(below: frames.count)] = UInt8(
          random.nextInt(below: 256))
        try FileIO.writeAtomically(bytes, to: path)
        let ends = try #require(try GIFScanner.frameEnds(path, header: header))
        #expect(ends.allSatisfy { $0 <= bytes.count })
      }
    }
  }
}
