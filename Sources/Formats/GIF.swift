// GIF89a, the parts of an animation: header with a palette and an endless loop, frames compressed
// with LZW, trailer. Grey pictures have a palette of 256 greys and lose nothing; coloured ones are
// dithered to a fixed palette of 6×7×6 colours. The writer of whole files is AnimatedGIF.swift.

import Basics

package enum GIF {
  static let trailer: UInt8 = 0x3B
  /// Levels of red, green and blue in the fixed palette; the eye sees green best.
  private static let levels = (red: 6, green: 7, blue: 6)

  /// What stands before the first frame.
  package static func header(width: Int, height: Int, isGrey: Bool) -> [UInt8] {
    var out = Array("GIF89a".utf8)
    out.appendLittleEndian(UInt16(clamping: width))
    out.appendLittleEndian(UInt16(clamping: height))
    // A global table of 256 colours, background 0, square pixels.
    out += [0xF7, 0, 0]
    out += palette(isGrey: isGrey)
    // The extension that browsers know as "loop for ever".
    out += [0x21, 0xFF, 0x0B] + Array("NETSCAPE2.0".utf8) + [3, 1, 0, 0, 0]
    return out
  }

  static func palette(isGrey: Bool) -> [UInt8] {
    var colors: [UInt8] = []
    colors.reserveCapacity(768)
    if isGrey {
      for level in 0..<256 { for _ in 0..<3 { colors.append(UInt8(level)) } }
    } else {
      for r in 0..<levels.red {
        for g in 0..<levels.green {
          for b in 0..<levels.blue {
            colors.append(UInt8(r * 255 / (levels.red - 1)))
            colors.append(UInt8(g * 255 / (levels.green - 1)))
            colors.append(UInt8(b * 255 / (levels.blue - 1)))
          }
        }
      }
      colors += [UInt8](repeating: 0, count: 768 - colors.count)
    }
    return colors
  }

  /// One frame, shown for `delay` hundredths of a second. An alpha channel is dropped.
  package static func frame(_ image: Image, delay: Int) -> [UInt8] {
    var out: [UInt8] = [0x21, 0xF9, 4, 0x04]
    out.appendLittleEndian(UInt16(clamping: delay))
    out += [0, 0, 0x2C, 0, 0, 0, 0]
    out.appendLittleEndian(UInt16(clamping: image.width))
    out.appendLittleEndian(UInt16(clamping: image.height))
    // No local palette; codes start with 8 bits.
    out += [0, 8]
    let codes = LZWEncoder.encode(indices(image))
    var at = 0
    while at < codes.count {
      let count = min(255, codes.count - at)
      out.append(UInt8(count))
      out.append(contentsOf: codes[at..<at + count])
      at += count
    }
    out.append(0)
    return out
  }

  /// The palette's index of every pixel.
  private static func indices(_ image: Image) -> [UInt8] {
    let pixelCount = image.width * image.height
    if image.channels == 1 { return image.pixels }
    return [UInt8](unsafeUninitializedCapacity: pixelCount) { target, initialized in
      image.pixels.withUnsafeBufferPointer { source in
        for i in 0..<pixelCount {
          let pixel = source.baseAddress! + i * image.channels
          if image.channels == 2 {
            target[i] = pixel[0]
            continue
          }
          let offset = threshold(i % image.width, i / image.width)
          let r = dithered(pixel[0], levels.red, offset)
          let g = dithered(pixel[1], levels.green, offset)
          let b = dithered(pixel[2], levels.blue, offset)
          target[i] = UInt8((r * levels.green + g) * levels.blue + b)
        }
      }
      initialized = pixelCount
    }
  }

  /// The level of a value: `value · (count - 1) / 255` plus the threshold, rounded down.
  private static func dithered(_ value: UInt8, _ count: Int, _ threshold: Int) -> Int {
    (Int(value) * (count - 1) * 128 + threshold * 255) / (255 * 128)
  }

  /// The ordered-dithering threshold of a place in 1/128: the Bayer matrix of 8×8, whose rank
  /// interleaves the bits of `x ^ y` and `y`, the lowest bits first.
  private static func threshold(_ x: Int, _ y: Int) -> Int {
    var rank = 0
    for bit in 0..<3 {
      let difference = ((x ^ y) >> bit) & 1
      rank |= (difference << 1 | (y >> bit) & 1) << (2 * (2 - bit))
    }
    return 2 * rank + 1
  }
}

/// LZW as GIF has it, for bytes: codes grow from 9 to 12 bits, the lowest bit first.
private struct LZWEncoder {
  private static let clear = 256
  private static let end = 257
  /// Codes have at most 12 bits.
  private static let tableSize = 4096

  private var out: [UInt8] = []
  private var bits: UInt32 = 0
  private var bitCount = 0
  private var codeSize = 9

  static func encode(_ bytes: [UInt8]) -> [UInt8] {
    var encoder = LZWEncoder()
    return encoder.run(bytes)
  }

  private mutating func run(_ bytes: [UInt8]) -> [UInt8] {
    out.reserveCapacity(bytes.count)
    emit(Self.clear)
    // The code of a known string followed by a byte; 0 where that is not known.
    var table = [UInt16](repeating: 0, count: Self.tableSize * 256)
    table.withUnsafeMutableBufferPointer { table in
      var next = Self.end + 1
      var prefix: Int?
      for byte in bytes {
        guard let known = prefix else {
          prefix = Int(byte)
          continue
        }
        let place = known << 8 | Int(byte)
        if table[place] != 0 {
          prefix = Int(table[place])
          continue
        }
        emit(known)
        if next < Self.tableSize {
          table[place] = UInt16(next)
          // The reader is one entry behind, so the width grows after 2ⁿ, not at it.
          if next == 1 << codeSize { codeSize += 1 }
          next += 1
        } else {
          emit(Self.clear)
          table.update(repeating: 0)
          next = Self.end + 1
          codeSize = 9
        }
        prefix = Int(byte)
      }
      if let prefix {
        emit(prefix)
        if next == 1 << codeSize, codeSize < 12 { codeSize += 1 }
      }
    }
    emit(Self.end)
    if bitCount > 0 { out.append(UInt8(truncatingIfNeeded: bits)) }
    return out
  }

  private mutating func emit(_ code: Int) {
    bits |= UInt32(code) << UInt32(bitCount)
    bitCount += codeSize
    while bitCount >= 8 {
      out.append(UInt8(truncatingIfNeeded: bits))
      bits >>= 8
      bitCount -= 8
    }
  }
}
