// Pictures brought to another number of channels or another size, in integers and by Pillow's
// formulas, so that the results are the same bits on every machine and those of Python's loaders.

extension Image {
  // MARK: Channels

  /// The picture with 1 to 4 channels. Alpha that is not wanted is dropped, not blended; what is
  /// missing is opaque. Grey is repeated for colour; colour becomes grey by the luma of Rec. 601,
  /// (19595 R + 38470 G + 7471 B + 2¹⁵) / 2¹⁶. Pillow's `convert` to L, RGB and RGBA.
  package func converted(toChannels wanted: Int) -> Image {
    guard wanted != channels, 1...4 ~= wanted, isConsistent else { return self }
    let count = width * height
    let (hadColor, hadAlpha) = (channels >= 3, channels % 2 == 0)
    let (hasColor, hasAlpha) = (wanted >= 3, wanted % 2 == 0)
    let result = [UInt8](unsafeUninitializedCapacity: count * wanted) { target, initialized in
      pixels.withUnsafeBufferPointer { source in
        for i in 0..<count {
          let from = source.baseAddress! + i * channels
          let to = target.baseAddress! + i * wanted
          if hasColor {
            for c in 0..<3 { to[c] = from[hadColor ? c : 0] }
          } else {
            to[0] = hadColor ? Self.luma(from[0], from[1], from[2]) : from[0]
          }
          if hasAlpha { to[wanted - 1] = hadAlpha ? from[channels - 1] : 255 }
        }
      }
      initialized = count * wanted
    }
    return Image(width: width, height: height, channels: wanted, pixels: result)
  }

  @inline(__always)
  private static func luma(_ red: UInt8, _ green: UInt8, _ blue: UInt8) -> UInt8 {
    let sum = UInt32(red) * 19595 + UInt32(green) * 38470 + UInt32(blue) * 7471
    return UInt8(truncatingIfNeeded: (sum + 0x8000) >> 16)
  }

  // MARK: Parts

  /// The part of the picture that begins at (x, y); it must lie within.
  package func cropped(x: Int, y: Int, width newWidth: Int, height newHeight: Int) -> Image {
    guard (newWidth, newHeight) != (width, height) else { return self }
    var part: [UInt8] = []
    part.reserveCapacity(newWidth * newHeight * channels)
    for row in y..<y + newHeight {
      let start = (row * width + x) * channels
      part += pixels[start..<start + newWidth * channels]
    }
    return Image(width: newWidth, height: newHeight, channels: channels, pixels: part)
  }

  /// The picture within a larger one of zeros: black, and transparent where there is alpha.
  package func padded(x: Int, y: Int, width newWidth: Int, height newHeight: Int) -> Image {
    guard (newWidth, newHeight) != (width, height) else { return self }
    var whole = [UInt8](repeating: 0, count: newWidth * newHeight * channels)
    for row in 0..<height {
      let start = ((y + row) * newWidth + x) * channels
      whole.replaceSubrange(
        start..<start + width * channels,
        with: pixels[row * width * channels..<(row + 1) * width * channels])
    }
    return Image(width: newWidth, height: newHeight, channels: channels, pixels: whole)
  }

  // MARK: Resampling

  /// The picture at another size: a triangle filter, as wide as the reduction when it shrinks
  /// (anti-aliased) and bilinear when it grows; along the rows first, then along the columns, each
  /// rounded to 8 bits. Pillow's `resize(…, BILINEAR)`, to the bit (from version 13 on, where it
  /// does not choose the other order). With alpha, colours are weighted by it.
  package func resampled(width newWidth: Int, height newHeight: Int) -> Image {
    guard isConsistent, newWidth > 0, newHeight > 0, (newWidth, newHeight) != (width, height) else {
      return self
    }
    let hasAlpha = channels % 2 == 0
    var image = hasAlpha ? premultiplied() : self
    if newWidth != width {
      image = image.filtered(
        Resampling(from: width, to: newWidth), lines: height, along: channels,
        across: (width * channels, newWidth * channels), width: newWidth, height: height)
    }
    if newHeight != height {
      image = image.filtered(
        Resampling(from: height, to: newHeight), lines: newWidth, along: newWidth * channels,
        across: (channels, channels), width: newWidth, height: newHeight)
    }
    return hasAlpha ? image.divided() : image
  }

  /// Filters along one axis: places that follow each other on it are `along` apart, lines of them
  /// `across` apart, before and after.
  private func filtered(
    _ filter: Resampling, lines: Int, along: Int, across: (from: Int, to: Int), width: Int,
    height: Int
  ) -> Image {
    let size = width * height * channels
    let result = [UInt8](unsafeUninitializedCapacity: size) { target, initialized in
      pixels.withUnsafeBufferPointer { source in
        filter.weights.withUnsafeBufferPointer { weights in
          for (place, taps) in filter.taps.enumerated() {
            let weight = weights.baseAddress! + place * filter.mostTaps
            for line in 0..<lines {
              for c in 0..<channels {
                let from = source.baseAddress! + line * across.from + taps.lowerBound * along + c
                // Half a unit, so that the shift rounds.
                var sum: Int32 = 1 << (Resampling.precision - 1)
                for tap in 0..<taps.count { sum &+= Int32(from[tap &* along]) &* weight[tap] }
                target[line * across.to + place * along + c] = UInt8(
                  clamping: sum >> Int32(Resampling.precision))
              }
            }
          }
        }
      }
      initialized = size
    }
    return Image(width: width, height: height, channels: channels, pixels: result)
  }

  // MARK: Alpha

  /// Each colour times alpha / 255, rounded.
  private func premultiplied() -> Image {
    mappingColors { color, alpha in
      let product = UInt32(color) * UInt32(alpha) + 128
      return UInt8(truncatingIfNeeded: (product >> 8 + product) >> 8)
    }
  }

  /// Each colour times 255 / alpha, cut off.
  private func divided() -> Image {
    mappingColors { color, alpha in
      alpha == 0 || alpha == 255 ? color : UInt8(clamping: 255 * Int(color) / Int(alpha))
    }
  }

  private func mappingColors(_ map: (_ color: UInt8, _ alpha: UInt8) -> UInt8) -> Image {
    var copy = self
    for start in stride(from: 0, to: pixels.count, by: channels) {
      for i in start..<start + channels - 1 {
        copy.pixels[i] = map(pixels[i], pixels[start + channels - 1])
      }
    }
    return copy
  }
}

/// The weights that bring a row of `from` values to `to`.
private struct Resampling {
  /// Bits behind the point. 8 are the values', 2 are left for sums beyond 1.
  static let precision = 32 - 8 - 2

  /// Which values each result is made of.
  private(set) var taps: [Range<Int>] = []
  /// `mostTaps` for each result, those behind its taps zero.
  private(set) var weights: [Int32]
  let mostTaps: Int

  init(from count: Int, to newCount: Int) {
    let scale = Double(count) / Double(newCount)
    let support = max(scale, 1)
    let narrowing = 1 / support
    mostTaps = Int(support.rounded(.up)) * 2 + 1
    weights = [Int32](repeating: 0, count: newCount * mostTaps)
    taps.reserveCapacity(newCount)
    for place in 0..<newCount {
      let center = (Double(place) + 0.5) * scale
      let first = max(0, Int(center - support + 0.5))
      let end = min(count, Int(center + support + 0.5))
      let values = (first..<end).map { max(0, 1 - abs((Double($0) - center + 0.5) * narrowing)) }
      let sum = values.reduce(0, +)
      for (tap, value) in values.enumerated() {
        weights[place * mostTaps + tap] = Int32(
          0.5 + value / sum * Double(1 << Self.precision))
      }
      taps.append(first..<end)
    }
  }
}
