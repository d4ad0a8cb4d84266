// Puts many small pictures into one: samples of a generator, side by side, enlarged by a whole
// factor so that 28×28 pixels can be seen. Floats in, an `Image` out.

import Basics

package enum ImageGrid {
  /// The longer side that small grids are enlarged to about.
  static let comfortableSide = 560

  /// A grid of `count` pictures of `height`×`width`×`channels` floats, in rows of `columns`.
  ///
  /// - Parameters:
  ///   - images: the pictures one after the other, rows from the top, channels of a pixel together.
  ///   - columns: nil makes the grid as square as possible.
  ///   - low, high: the values of black and white; what is beyond is clamped, NaN is black.
  ///   - padding: pixels between and around the pictures, before enlarging.
  ///   - scale: the factor of enlarging; nil chooses 1 to 4 by the size.
  ///   - background: the grey of the padding and of places without a picture.
  package static func make(
    images: [Float], count: Int, height: Int, width: Int, channels: Int, columns: Int? = nil,
    low: Float = -1, high: Float = 1, padding: Int = 2, scale: Int? = nil, background: UInt8 = 255
  ) throws(EnvironmentFailure) -> Image {
    guard channels == 1 || channels == 3 else {
      throw EnvironmentFailure(
        "pictures of \(channels) channel\(channels == 1 ? "" : "s") cannot be drawn; "
          + "expected 1 (grey) or 3 (red, green, blue)")
    }
    guard count > 0, height > 0, width > 0, padding >= 0,
      checkedProduct([count, height, width, channels]) == images.count
    else {
      throw EnvironmentFailure(
        "\(images.count) numbers are not \(count) pictures of \(height)×\(width)×\(channels)")
    }
    let columns = min(max(columns ?? squareColumns(count), 1), count)
    let rows = (count + columns - 1) / columns
    let small = try sizes(rows, columns, height, width, padding)
    let longest = max(small.height, small.width)
    let factor = scale.map { max($0, 1) } ?? min(max(comfortableSide / longest, 1), 4)
    guard
      let pixels = checkedProduct([small.height, factor, small.width, factor], times: channels),
      pixels <= 1 << 30
    else { throw tooLarge(rows, columns, height, width) }

    let bytes = levels(images, low, high)
    let rowSize = small.width * factor * channels
    let grid = [UInt8](unsafeUninitializedCapacity: pixels) { target, initialized in
      target.initialize(repeating: background)
      bytes.withUnsafeBufferPointer { source in
        for index in 0..<count {
          let top = (padding + index / columns * (height + padding)) * factor
          let left = (padding + index % columns * (width + padding)) * factor
          for y in 0..<height {
            let row = source.baseAddress! + (index * height + y) * width * channels
            let start = target.baseAddress! + (top + y * factor) * rowSize + left * channels
            var at = start
            for x in 0..<width {
              for _ in 0..<factor {
                for c in 0..<channels {
                  at.pointee = row[x * channels + c]
                  at += 1
                }
              }
            }
            // The enlarged row once, then copies of it.
            for copy in 1..<max(factor, 1) {
              (start + copy * rowSize).update(from: start, count: width * factor * channels)
            }
          }
        }
      }
      initialized = pixels
    }
    return Image(
      width: small.width * factor, height: small.height * factor, channels: channels, pixels: grid)
  }

  /// Values to bytes: `low` is 0, `high` 255, rounded to the nearest.
  package static func levels(_ values: [Float], _ low: Float, _ high: Float) -> [UInt8] {
    let factor = high > low ? 255 / (high - low) : 0
    return [UInt8](unsafeUninitializedCapacity: values.count) { target, initialized in
      values.withUnsafeBufferPointer { source in
        for i in 0..<source.count {
          let level = (source[i] - low) * factor + 0.5
          // Written so that NaN falls into the first branch.
          target[i] = !(level >= 0) ? 0 : level >= 255 ? 255 : UInt8(level)
        }
      }
      initialized = values.count
    }
  }

  private static func squareColumns(_ count: Int) -> Int {
    var columns = 1
    while columns * columns < count { columns += 1 }
    return columns
  }

  private static func sizes(
    _ rows: Int, _ columns: Int, _ height: Int, _ width: Int, _ padding: Int
  ) throws(EnvironmentFailure) -> (height: Int, width: Int) {
    guard padding <= 1 << 20, let h = checkedProduct([rows, height + padding]),
      let w = checkedProduct([columns, width + padding]), h <= 1 << 30, w <= 1 << 30
    else { throw tooLarge(rows, columns, height, width) }
    return (h + padding, w + padding)
  }

  private static func tooLarge(
    _ rows: Int, _ columns: Int, _ height: Int, _ width: Int
  ) -> EnvironmentFailure {
    EnvironmentFailure(
      "a grid of \(rows)×\(columns) pictures of \(height)×\(width) pixels is too large to draw")
  }
}
