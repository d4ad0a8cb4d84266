// An 8-bit picture, the value that PNG, GIF and the grid share.

/// Pixels in rows from the top, the channels of a pixel next to each other.
package struct Image: Hashable, Sendable {
  package var width: Int
  package var height: Int
  /// 1 grey, 2 grey and alpha, 3 red-green-blue, 4 with alpha.
  package var channels: Int
  /// `height · width · channels` bytes.
  package var pixels: [UInt8]

  package init(width: Int, height: Int, channels: Int, pixels: [UInt8]) {
    self.width = width
    self.height = height
    self.channels = channels
    self.pixels = pixels
  }

  /// Whether the sizes are positive and the pixels as many as they say.
  package var isConsistent: Bool {
    width > 0 && height > 0 && 1...4 ~= channels
      && checkedProduct([width, height], times: channels) == pixels.count
  }
}
