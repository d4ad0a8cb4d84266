// Reading PNG, every kind that the standard (ISO 15948) has: grey, RGB, palette, with and without
// alpha, 1 to 16 bits, transparency by the chunk tRNS, interlaced or not. Bytes in, an `Image` of 8
// bits a channel out. Each chunk's CRC is checked and every size before it is used; chunks that
// only inform are passed over, and what follows the end chunk is left alone, as the standard says.

import Basics

extension PNG {
  /// Reads a picture. `limit` bounds the bytes of pixels.
  ///
  /// Grey of fewer bits is stretched to 0...255; of 16 bits the high byte is taken. A palette
  /// becomes RGB. With tRNS there is an alpha channel more: of the palette, or 0 where a pixel has
  /// the transparent colour and 255 elsewhere.
  package static func decode(
    _ bytes: [UInt8], name: String, limit: Int = 1 << 30
  ) throws(EnvironmentFailure) -> Image {
    var reader = try ChunkReader(bytes: bytes, name: name)
    let header = try header(&reader, limit: limit)
    var palette: [UInt8]?
    var transparency: [UInt8]?
    var packed: [UInt8] = []
    var dataEnded = false
    while true {
      let chunk = try reader.next()
      if chunk.type != "IDAT", !packed.isEmpty { dataEnded = true }
      switch chunk.type {
      case "IEND":
        guard !packed.isEmpty else { throw EnvironmentFailure("\(name): no chunk IDAT") }
        let colors = try Colors(header, palette, transparency, name)
        guard pixelBytes(header, colors.channels, limit) else { throw header.tooLarge(name, limit) }
        let rows = try Zlib.decompress(packed, exactly: rowBytes(header, packed, name), name: name)
        return try image(rows, header, colors, name)
      case "IDAT":
        guard !dataEnded else {
          throw EnvironmentFailure("\(name): the chunks IDAT do not follow each other")
        }
        packed.append(contentsOf: bytes[chunk.data])
      case "PLTE":
        guard palette == nil, packed.isEmpty, chunk.data.count % 3 == 0,
          1...256 ~= chunk.data.count / 3
        else {
          throw EnvironmentFailure(
            "\(name): the palette is out of place or has \(chunk.data.count) bytes; "
              + "expected 3 to 768, a multiple of 3")
        }
        palette = Array(bytes[chunk.data])
      case "tRNS":
        guard transparency == nil, packed.isEmpty else {
          throw EnvironmentFailure("\(name): the chunk tRNS is out of place")
        }
        transparency = Array(bytes[chunk.data])
      default:
        // A capital first letter marks a chunk that a reader must understand.
        if chunk.isCritical {
          throw EnvironmentFailure("\(name): the chunk \(chunk.type) is not known")
        }
      }
    }
  }

  /// What the first chunk says; the pixels are not looked at.
  package static func header(
    of bytes: [UInt8], name: String, limit: Int = 1 << 30
  ) throws(EnvironmentFailure) -> Header {
    var reader = try ChunkReader(bytes: bytes, name: name)
    return try header(&reader, limit: limit)
  }

  private static func header(
    _ reader: inout ChunkReader, limit: Int
  ) throws(EnvironmentFailure) -> Header {
    let first = try reader.next()
    guard first.type == "IHDR" else {
      throw EnvironmentFailure("\(reader.name): expected the chunk IHDR first, found \(first.type)")
    }
    return try Header(reader.bytes, first.data, reader.name, limit: limit)
  }

  /// The bytes of all rows with their filters, which the compressed data must be able to hold.
  private static func rowBytes(
    _ header: Header, _ packed: [UInt8], _ name: String
  ) throws(EnvironmentFailure) -> Int {
    var size = 0
    for pass in header.passes { size += (header.rowSize(pass.width) + 1) * pass.height }
    guard size <= packed.count.multipliedOrMax(by: Gzip.largestRatio) else {
      throw EnvironmentFailure(
        "\(name): truncated: \(header.width)×\(header.height) pixels cannot be held by "
          + "\(packed.count) bytes of compressed data")
    }
    return size
  }

  private static func pixelBytes(_ header: Header, _ channels: Int, _ limit: Int) -> Bool {
    checkedProduct([header.width, header.height], times: channels).map { $0 <= limit } ?? false
  }
}

// MARK: - The header

extension PNG {
  /// What the values of a pixel mean.
  package enum ColorType: UInt8, Sendable {
    case grey = 0
    case rgb = 2
    case palette = 3
    case greyAlpha = 4
    case rgba = 6

    /// Values of a pixel in the file.
    package var samples: Int {
      switch self {
      case .grey, .palette: 1
      case .greyAlpha: 2
      case .rgb: 3
      case .rgba: 4
      }
    }

    var bitDepths: [UInt8] {
      switch self {
      case .grey: [1, 2, 4, 8, 16]
      case .palette: [1, 2, 4, 8]
      case .rgb, .greyAlpha, .rgba: [8, 16]
      }
    }

    var text: String {
      switch self {
      case .grey: "grey"
      case .rgb: "RGB"
      case .palette: "palette"
      case .greyAlpha: "grey with alpha"
      case .rgba: "RGBA"
      }
    }
  }

  /// The checked chunk IHDR.
  package struct Header: Hashable, Sendable {
    package let width: Int
    package let height: Int
    package let color: ColorType
    /// Bits of one value: 1, 2, 4, 8 or 16.
    package let bitDepth: Int
    package let isInterlaced: Bool

    /// As users see it: `RGB, 16 bits, interlaced`.
    package var kind: String {
      "\(color.text), \(bitDepth) bit\(bitDepth == 1 ? "" : "s")"
        + (isInterlaced ? ", interlaced" : "")
    }

    /// Channels of the picture without what tRNS may add.
    package var channels: Int { color == .palette ? 3 : color.samples }
    var bitsPerPixel: Int { color.samples * bitDepth }
    /// Bytes of a row of pixels, without its filter.
    func rowSize(_ width: Int) -> Int { (width * bitsPerPixel + 7) / 8 }

    init(
      _ bytes: [UInt8], _ place: Range<Int>, _ name: String, limit: Int
    ) throws(EnvironmentFailure) {
      guard place.count == 13 else {
        throw EnvironmentFailure("\(name): the chunk IHDR has \(place.count) bytes, expected 13")
      }
      let start = place.lowerBound
      width = Int(bytes.bigEndian32(at: start))
      height = Int(bytes.bigEndian32(at: start + 4))
      let depth = bytes[start + 8]
      guard let color = ColorType(rawValue: bytes[start + 9]), color.bitDepths.contains(depth),
        bytes[start + 10] == 0, bytes[start + 11] == 0, bytes[start + 12] <= 1
      else {
        throw EnvironmentFailure(
          "\(name): the chunk IHDR is wrong: bit depth \(depth), colour type \(bytes[start + 9]), "
            + "then " + hexText(bytes[start + 10..<start + 13]))
      }
      self.color = color
      bitDepth = Int(depth)
      isInterlaced = bytes[start + 12] == 1
      guard width > 0, height > 0, width < 1 << 31, height < 1 << 31 else {
        throw EnvironmentFailure("\(name): a picture of \(width)×\(height) pixels is not possible")
      }
      guard pixelBytes(self, channels, limit) else { throw tooLarge(name, limit) }
    }

    func tooLarge(_ name: String, _ limit: Int) -> EnvironmentFailure {
      EnvironmentFailure("\(name): \(width)×\(height) pixels exceed the limit of \(limit) bytes")
    }
  }
}

// MARK: - Chunks

/// Walks over the chunks: length, type, data, CRC.
private struct ChunkReader {
  struct Chunk {
    var type: String
    var isCritical: Bool
    var data: Range<Int>
  }

  let bytes: [UInt8]
  let name: String
  var at = PNG.signature.count

  init(bytes: [UInt8], name: String) throws(EnvironmentFailure) {
    guard bytes.has(PNG.signature) else {
      throw EnvironmentFailure(
        "\(name): not a PNG file: expected \(hexText(PNG.signature)), found "
          + hexText(bytes.prefix(8)))
    }
    self.bytes = bytes
    self.name = name
  }

  mutating func next() throws(EnvironmentFailure) -> Chunk {
    guard bytes.count - at >= 12 else {
      throw EnvironmentFailure("\(name): truncated: the file ends before the chunk IEND")
    }
    let length = Int(bytes.bigEndian32(at: at))
    let type = bytes[at + 4..<at + 8]
    guard type.allSatisfy({ 0x41...0x5A ~= $0 || 0x61...0x7A ~= $0 }) else {
      throw EnvironmentFailure(
        "\(name): expected the type of a chunk at byte \(at + 4), found \(hexText(type))")
    }
    let text = String(decoding: type, as: UTF8.self)
    guard length <= bytes.count - at - 12 else {
      throw EnvironmentFailure(
        "\(name): truncated: the chunk \(text) has \(length) bytes, \(bytes.count - at - 12) "
          + "are left")
    }
    let end = at + 8 + length
    let start = at + 4
    let sum = bytes.withUnsafeBytes { CRC32.of(UnsafeRawBufferPointer(rebasing: $0[start..<end])) }
    guard sum == bytes.bigEndian32(at: end) else {
      throw EnvironmentFailure("\(name): the chunk \(text) is damaged: its CRC does not fit")
    }
    at = end + 4
    return Chunk(type: text, isCritical: bytes[start] & 0x20 == 0, data: start + 4..<end)
  }
}
