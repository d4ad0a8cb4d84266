// PNG with 8 bits a channel (ISO 15948): signature, chunks with CRC, rows filtered and deflated.
// Writing is here, reading in PNG+Read.swift. An `Image` in, bytes out.

import Basics

package enum PNG {
  static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  /// The five ways to predict a byte from its neighbours.
  enum Filter: UInt8, CaseIterable {
    case none, sub, up, average, paeth
  }

  /// The file's bytes; the same picture always gives the same bytes.
  package static func encode(_ image: Image) throws(InternalError) -> [UInt8] {
    guard image.isConsistent, let width = UInt32(exactly: image.width),
      let height = UInt32(exactly: image.height), width >> 31 == 0, height >> 31 == 0
    else {
      throw InternalError(
        "cannot write a PNG of \(image.width)×\(image.height) with \(image.channels) channels "
          + "from \(image.pixels.count) bytes")
    }
    // The colour type by the number of channels: grey, grey+alpha, RGB, RGBA.
    let colorType: UInt8 = [0, 4, 2, 6][image.channels - 1]
    var header: [UInt8] = []
    header.appendBigEndian(width)
    header.appendBigEndian(height)
    header += [8, colorType, 0, 0, 0]
    var out = signature
    appendChunk("IHDR", header, to: &out)
    appendChunk("IDAT", try Zlib.compress(filtered(image)), to: &out)
    appendChunk("IEND", [], to: &out)
    return out
  }

  private static func appendChunk(_ type: String, _ data: [UInt8], to out: inout [UInt8]) {
    out.appendBigEndian(UInt32(truncatingIfNeeded: data.count))
    let start = out.count
    out.append(contentsOf: type.utf8)
    out.append(contentsOf: data)
    let sum = out.withUnsafeBytes { CRC32.of(UnsafeRawBufferPointer(rebasing: $0[start...])) }
    out.appendBigEndian(sum)
  }

  /// Every row with the filter that leaves the least sum of absolute differences, the customary
  /// guess at what deflates best.
  private static func filtered(_ image: Image) -> [UInt8] {
    let rowSize = image.width * image.channels
    var out: [UInt8] = []
    out.reserveCapacity((rowSize + 1) * image.height)
    var candidate = [UInt8](repeating: 0, count: rowSize)
    var best = candidate
    let blank = [UInt8](repeating: 0, count: rowSize)
    for y in 0..<image.height {
      var bestCost = Int.max
      var bestFilter = Filter.none
      for filter in Filter.allCases {
        let cost = image.pixels.withUnsafeBufferPointer { pixels in
          blank.withUnsafeBufferPointer { blank in
            candidate.withUnsafeMutableBufferPointer { target in
              let row = pixels.baseAddress! + y * rowSize
              let above = y > 0 ? row - rowSize : blank.baseAddress!
              return apply(filter, row, above, target.baseAddress!, rowSize, image.channels)
            }
          }
        }
        if cost < bestCost {
          bestCost = cost
          bestFilter = filter
          swap(&best, &candidate)
        }
      }
      out.append(bestFilter.rawValue)
      out.append(contentsOf: best)
    }
    return out
  }

  /// Filters one row; returns the sum of the results' sizes, taken as signed bytes.
  private static func apply(
    _ filter: Filter, _ row: UnsafePointer<UInt8>, _ above: UnsafePointer<UInt8>,
    _ target: UnsafeMutablePointer<UInt8>, _ count: Int, _ pixel: Int
  ) -> Int {
    var cost = 0
    for i in 0..<count {
      let left: UInt8 = i >= pixel ? row[i - pixel] : 0
      let corner: UInt8 = i >= pixel ? above[i - pixel] : 0
      let result = row[i] &- prediction(filter, left, above[i], corner)
      target[i] = result
      cost += Int(result < 128 ? result : 0 &- result)
    }
    return cost
  }

  /// What a filter expects of a byte, from the bytes left of it, above it, and left above.
  @inline(__always)
  static func prediction(_ filter: Filter, _ left: UInt8, _ up: UInt8, _ corner: UInt8) -> UInt8 {
    switch filter {
    case .none: return 0
    case .sub: return left
    case .up: return up
    case .average: return UInt8(truncatingIfNeeded: (UInt16(left) &+ UInt16(up)) >> 1)
    case .paeth:
      let estimate = Int16(left) &+ Int16(up) &- Int16(corner)
      let toLeft = abs(estimate &- Int16(left))
      let toUp = abs(estimate &- Int16(up))
      let toCorner = abs(estimate &- Int16(corner))
      if toLeft <= toUp && toLeft <= toCorner { return left }
      return toUp <= toCorner ? up : corner
    }
  }
}
