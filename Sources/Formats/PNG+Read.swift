// Reading PNG: 8 bits a channel, grey, grey with alpha, RGB, RGBA and palette (which becomes RGB;
// a palette's transparency is dropped). Each chunk's CRC is checked and every size before it is
// used. Bytes in, an `Image` out. What follows the end chunk is left alone, as the standard says.

import Basics

extension PNG {
  /// Reads a picture. Interlaced files and those with 1, 2, 4 or 16 bits are "not yet".
  /// `limit` bounds the bytes of pixels.
  package static func decode(
    _ bytes: [UInt8], name: String, limit: Int = 1 << 30
  ) throws(EnvironmentFailure) -> Image {
    guard bytes.has(signature) else {
      throw EnvironmentFailure(
        "\(name): not a PNG file: expected \(hexText(signature)), found "
          + hexText(bytes.prefix(8)))
    }
    var reader = ChunkReader(bytes: bytes, name: name)
    let first = try reader.next()
    guard first.type == "IHDR" else {
      throw EnvironmentFailure("\(name): expected the chunk IHDR first, found \(first.type)")
    }
    let header = try Header(bytes, first.data, name, limit: limit)
    var palette: [UInt8]?
    var packed: [UInt8] = []
    var dataEnded = false
    while true {
      let chunk = try reader.next()
      if chunk.type != "IDAT", !packed.isEmpty { dataEnded = true }
      switch chunk.type {
      case "IEND":
        guard !packed.isEmpty else { throw EnvironmentFailure("\(name): no chunk IDAT") }
        let rows = try unpack(packed, header, name)
        return try image(rows, header, palette, name)
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
      default:
        // A capital first letter marks a chunk that a reader must understand.
        if chunk.isCritical {
          throw EnvironmentFailure("\(name): the chunk \(chunk.type) is not known")
        }
      }
    }
  }

  /// The rows, unpacked: each has one byte for its filter, then its pixels.
  private static func unpack(
    _ packed: [UInt8], _ header: Header, _ name: String
  ) throws(EnvironmentFailure) -> [UInt8] {
    let size = (header.rowSize + 1) * header.height
    guard size <= packed.count.multipliedOrMax(by: Gzip.largestRatio) else {
      throw EnvironmentFailure(
        "\(name): truncated: \(header.width)×\(header.height) pixels cannot be held by "
          + "\(packed.count) bytes of compressed data")
    }
    return try Zlib.decompress(packed, exactly: size, name: name)
  }

  private static func image(
    _ rows: [UInt8], _ header: Header, _ palette: [UInt8]?, _ name: String
  ) throws(EnvironmentFailure) -> Image {
    let rowSize = header.rowSize
    var badFilter: UInt8?
    let pixels = [UInt8](unsafeUninitializedCapacity: rowSize * header.height) { target, count in
      let blank = [UInt8](repeating: 0, count: rowSize)
      rows.withUnsafeBufferPointer { rows in
        blank.withUnsafeBufferPointer { blank in
          for y in 0..<header.height {
            let start = y * (rowSize + 1)
            guard let filter = Filter(rawValue: rows[start]) else {
              badFilter = rows[start]
              return
            }
            let target = target.baseAddress! + y * rowSize
            let above = y > 0 ? UnsafePointer(target - rowSize) : blank.baseAddress!
            undo(
              filter, rows.baseAddress! + start + 1, above, target, rowSize, header.channels)
          }
        }
      }
      count = badFilter == nil ? rowSize * header.height : 0
    }
    if let badFilter {
      throw EnvironmentFailure("\(name): a row has the filter \(badFilter); expected 0 to 4")
    }
    if header.isPalette {
      guard let palette else { throw EnvironmentFailure("\(name): no chunk PLTE") }
      return try colored(pixels, palette, header, name)
    }
    return Image(
      width: header.width, height: header.height, channels: header.channels, pixels: pixels)
  }

  private static func undo(
    _ filter: Filter, _ row: UnsafePointer<UInt8>, _ above: UnsafePointer<UInt8>,
    _ target: UnsafeMutablePointer<UInt8>, _ count: Int, _ pixel: Int
  ) {
    for i in 0..<count {
      let left: UInt8 = i >= pixel ? target[i - pixel] : 0
      let corner: UInt8 = i >= pixel ? above[i - pixel] : 0
      target[i] = row[i] &+ prediction(filter, left, above[i], corner)
    }
  }

  private static func colored(
    _ indices: [UInt8], _ palette: [UInt8], _ header: Header, _ name: String
  ) throws(EnvironmentFailure) -> Image {
    let colors = palette.count / 3
    var pixels: [UInt8] = []
    pixels.reserveCapacity(3 * indices.count)
    for index in indices {
      guard Int(index) < colors else {
        throw EnvironmentFailure(
          "\(name): a pixel has the colour \(index) of a palette of \(colors)")
      }
      pixels.append(contentsOf: palette[3 * Int(index)..<3 * Int(index) + 3])
    }
    return Image(width: header.width, height: header.height, channels: 3, pixels: pixels)
  }

  /// The checked chunk IHDR.
  private struct Header {
    var width: Int
    var height: Int
    /// Bytes of a pixel in the file: 1 for a palette.
    var channels: Int
    var isPalette: Bool
    var rowSize: Int { width * channels }

    init(
      _ bytes: [UInt8], _ place: Range<Int>, _ name: String, limit: Int
    ) throws(EnvironmentFailure) {
      guard place.count == 13 else {
        throw EnvironmentFailure("\(name): the chunk IHDR has \(place.count) bytes, expected 13")
      }
      let start = place.lowerBound
      width = Int(bytes.bigEndian32(at: start))
      height = Int(bytes.bigEndian32(at: start + 4))
      let (depth, color) = (bytes[start + 8], bytes[start + 9])
      guard let channels = [0: 1, 2: 3, 3: 1, 4: 2, 6: 4][color], [1, 2, 4, 8, 16].contains(depth),
        bytes[start + 10] == 0, bytes[start + 11] == 0, bytes[start + 12] <= 1
      else {
        throw EnvironmentFailure(
          "\(name): the chunk IHDR is wrong: bit depth \(depth), colour type \(color), then "
            + hexText(bytes[start + 10..<start + 13]))
      }
      guard depth == 8 else {
        throw EnvironmentFailure(
          "\(name): \(depth)-bit PNG is not supported yet; expected 8 bits a channel")
      }
      guard bytes[start + 12] == 0 else {
        throw EnvironmentFailure("\(name): interlaced PNG is not supported yet")
      }
      guard width > 0, height > 0, width < 1 << 31, height < 1 << 31 else {
        throw EnvironmentFailure("\(name): a picture of \(width)×\(height) pixels is not possible")
      }
      self.channels = channels
      isPalette = color == 3
      guard let size = checkedProduct([width, height], times: isPalette ? 3 : channels),
        size <= limit
      else {
        throw EnvironmentFailure(
          "\(name): \(width)×\(height) pixels exceed the limit of \(limit) bytes")
      }
    }
  }
}

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

  init(bytes: [UInt8], name: String) {
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
