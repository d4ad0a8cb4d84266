// From the unpacked rows of a PNG file to pixels: filters undone, values of 1 to 16 bits brought to
// 8, palettes and transparent colours looked up, the passes of an interlaced file put in place.

import Basics

extension PNG {
  /// A part of the picture that is filtered by itself: all of it, or one of Adam7's passes. Its
  /// pixel (i, j) is the picture's (x + i·dx, y + j·dy).
  struct Pass {
    var x = 0
    var y = 0
    var dx = 1
    var dy = 1
    var width: Int
    var height: Int
  }

  /// Adam7: where each of the seven passes begins, and its steps.
  private static let adam7 = [
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
  ]

  /// How values become channels.
  struct Colors {
    /// Of the picture: 1 to 4.
    let channels: Int
    /// RGBA of each index; empty where there is no palette.
    fileprivate let palette: [UInt8]
    /// The values of the one transparent colour.
    fileprivate let key: [UInt16]?

    init(
      _ header: Header, _ palette: [UInt8]?, _ transparency: [UInt8]?, _ name: String
    ) throws(EnvironmentFailure) {
      guard header.color == .palette else {
        self.palette = []
        key = try Self.key(header, transparency, name)
        channels = header.color.samples + (key == nil ? 0 : 1)
        return
      }
      guard let palette else { throw EnvironmentFailure("\(name): no chunk PLTE") }
      let alpha = transparency ?? []
      guard alpha.count <= palette.count / 3 else {
        throw EnvironmentFailure(
          "\(name): the chunk tRNS has \(alpha.count) bytes for a palette of \(palette.count / 3)")
      }
      var table: [UInt8] = []
      for index in 0..<palette.count / 3 {
        table += palette[3 * index..<3 * index + 3]
        table.append(index < alpha.count ? alpha[index] : 255)
      }
      self.palette = table
      key = nil
      channels = transparency == nil ? 3 : 4
    }

    /// A picture that has an alpha channel needs no transparent colour; tRNS has no meaning there.
    private static func key(
      _ header: Header, _ bytes: [UInt8]?, _ name: String
    ) throws(EnvironmentFailure) -> [UInt16]? {
      guard let bytes, header.color == .grey || header.color == .rgb else { return nil }
      guard bytes.count == 2 * header.color.samples else {
        throw EnvironmentFailure(
          "\(name): the chunk tRNS has \(bytes.count) bytes, expected \(2 * header.color.samples)")
      }
      // With fewer than 16 bits only the low ones count.
      let mask = UInt16((1 << header.bitDepth) - 1)
      return (0..<header.color.samples).map {
        (UInt16(bytes[2 * $0]) << 8 | UInt16(bytes[2 * $0 + 1])) & mask
      }
    }
  }

  /// `rows`: of each pass, each row's filter and values, as many bytes as the header asks for.
  static func image(
    _ rows: [UInt8], _ header: Header, _ colors: Colors, _ name: String
  ) throws(EnvironmentFailure) -> Image {
    var rows = rows
    let size = header.width * header.height * colors.channels
    try requireMemory(size, for: name)
    var fault: String?
    let pixels = [UInt8](unsafeUninitializedCapacity: size) { target, count in
      rows.withUnsafeMutableBufferPointer { rows in
        var start = rows.baseAddress!
        for pass in header.passes where fault == nil {
          let rowSize = header.rowSize(pass.width)
          fault = unfilter(start, rowSize, pass.height, max(1, header.bitsPerPixel / 8))
          if fault == nil {
            let placer = Placer(
              header: header, colors: colors, pass: pass, target: target.baseAddress!)
            fault = placer.place(start, rowSize)
          }
          start += (rowSize + 1) * pass.height
        }
      }
      count = fault == nil ? size : 0
    }
    if let fault { throw EnvironmentFailure("\(name): \(fault)") }
    return Image(
      width: header.width, height: header.height, channels: colors.channels, pixels: pixels)
  }

  /// Undoes the filters of a pass in place. Returns what is wrong.
  private static func unfilter(
    _ start: UnsafeMutablePointer<UInt8>, _ rowSize: Int, _ height: Int, _ pixel: Int
  ) -> String? {
    let blank = [UInt8](repeating: 0, count: rowSize)
    return blank.withUnsafeBufferPointer { blank in
      var above = blank.baseAddress!
      for y in 0..<height {
        let row = start + y * (rowSize + 1) + 1
        guard let filter = Filter(rawValue: row[-1]) else {
          return "a row has the filter \(row[-1]); expected 0 to 4"
        }
        undo(filter, row, above, rowSize, pixel)
        above = UnsafePointer(row)
      }
      return nil
    }
  }

  private static func undo(
    _ filter: Filter, _ row: UnsafeMutablePointer<UInt8>, _ above: UnsafePointer<UInt8>,
    _ count: Int, _ pixel: Int
  ) {
    if filter == .none { return }
    // The first pixel has nothing to its left.
    for i in 0..<min(pixel, count) { row[i] &+= prediction(filter, 0, above[i], 0) }
    var i = pixel
    while i < count {
      row[i] &+= prediction(filter, row[i &- pixel], above[i], above[i &- pixel])
      i &+= 1
    }
  }

  /// Puts the pixels of a pass where they belong.
  private struct Placer {
    let header: Header
    let colors: Colors
    let pass: Pass
    let target: UnsafeMutablePointer<UInt8>

    func place(_ start: UnsafePointer<UInt8>, _ rowSize: Int) -> String? {
      for j in 0..<pass.height {
        let row = start + j * (rowSize + 1) + 1
        let line = target + ((pass.y + j * pass.dy) * header.width + pass.x) * colors.channels
        if header.color == .palette {
          if let fault = placeIndices(row, line) { return fault }
        } else if header.bitDepth == 8, colors.key == nil, pass.dx == 1 {
          line.update(from: row, count: rowSize)
        } else {
          placeValues(row, line)
        }
      }
      return nil
    }

    private func placeIndices(
      _ row: UnsafePointer<UInt8>, _ line: UnsafeMutablePointer<UInt8>
    ) -> String? {
      let count = colors.palette.count / 4
      return colors.palette.withUnsafeBufferPointer { palette in
        for i in 0..<pass.width {
          let index = Int(value(row, i))
          guard index < count else {
            return "a pixel has the colour \(index) of a palette of \(count)"
          }
          let pixel = line + i * pass.dx * colors.channels
          for c in 0..<colors.channels { pixel[c] = palette[4 * index + c] }
        }
        return nil
      }
    }

    private func placeValues(
      _ row: UnsafePointer<UInt8>, _ line: UnsafeMutablePointer<UInt8>
    ) {
      let samples = header.color.samples
      // 255, 85, 17 and 1 stretch 1, 2, 4 and 8 bits to 0...255.
      let factor: UInt16 = header.bitDepth < 8 ? UInt16(255 / ((1 << header.bitDepth) - 1)) : 1
      for i in 0..<pass.width {
        let pixel = line + i * pass.dx * colors.channels
        var isKey = true
        for c in 0..<samples {
          let value = value(row, i * samples + c)
          if let key = colors.key, key[c] != value { isKey = false }
          pixel[c] = UInt8(truncatingIfNeeded: header.bitDepth == 16 ? value >> 8 : value * factor)
        }
        if colors.key != nil { pixel[samples] = isKey ? 0 : 255 }
      }
    }

    /// Value `i` of a row as the file has it.
    @inline(__always)
    private func value(_ row: UnsafePointer<UInt8>, _ i: Int) -> UInt16 {
      switch header.bitDepth {
      case 8: return UInt16(row[i])
      case 16: return UInt16(row[2 * i]) << 8 | UInt16(row[2 * i + 1])
      default:
        let bit = i * header.bitDepth
        let shift = 8 - header.bitDepth - bit & 7
        return UInt16(row[bit >> 3] >> UInt8(shift)) & UInt16((1 << header.bitDepth) - 1)
      }
    }
  }
}

extension PNG.Header {
  /// In the order of the file; passes without a pixel are not in it.
  var passes: [PNG.Pass] {
    guard isInterlaced else { return [PNG.Pass(width: width, height: height)] }
    return PNG.adam7Passes(width, height)
  }
}

extension PNG {
  fileprivate static func adam7Passes(_ width: Int, _ height: Int) -> [Pass] {
    adam7.compactMap { x, y, dx, dy in
      guard width > x, height > y else { return nil }
      return Pass(
        x: x, y: y, dx: dx, dy: dy, width: (width - x + dx - 1) / dx,
        height: (height - y + dy - 1) / dy)
    }
  }
}
