// What the pictures of a source become: the declared height, width and channels. A picture in, one
// of the form out, the same bits on every machine.

import Elaboration
import Formats

/// The half of each picture that a source takes, where it takes one.
package enum PictureHalf: String, Hashable, Sendable {
  case left, right
}

package struct PictureForm: Hashable, Sendable {
  package var height: Int
  package var width: Int
  /// 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.
  package var channels: Int
  /// How another size is brought to this one; nil where there is no other.
  package var resize: DataDeclaration.Resize?

  package init(height: Int, width: Int, channels: Int, resize: DataDeclaration.Resize? = nil) {
    self.height = height
    self.width = width
    self.channels = channels
    self.resize = resize
  }

  /// For examples of shape [h, w] or [h, w, 1...4]; nil for others, which are no pictures.
  package init?(shape: [Int], resize: DataDeclaration.Resize?) {
    guard shape.count == 2 || shape.count == 3 && 1...4 ~= shape[2] else { return nil }
    self.init(
      height: shape[0], width: shape[1], channels: shape.count == 3 ? shape[2] : 1, resize: resize)
  }

  package var shape: [Int] { [height, width, channels] }
  var byteCount: Int { height * width * channels }

  /// Channels first, as loaders of pictures do: hidden colours of transparent places are seen where
  /// alpha is dropped. A picture of the form stays as it is; one of another size must be resized.
  package func apply(_ image: Image) -> Image {
    let image = image.converted(toChannels: channels)
    guard (image.width, image.height) != (width, height), let resize else { return image }
    let source = source(width: image.width, height: image.height, resize)
    let inner = target(width: image.width, height: image.height, resize)
    return
      image
      .cropped(x: source.x, y: source.y, width: source.width, height: source.height)
      .resampled(width: inner.width, height: inner.height)
      .padded(x: inner.x, y: inner.y, width: width, height: height)
  }

  /// A part of a picture.
  private struct Box {
    var x = 0
    var y = 0
    var width: Int
    var height: Int
  }

  /// The part that is scaled. For `crop`: as large as fits with the proportions of the form, in the
  /// middle; of an odd rest the smaller half is before it.
  private func source(
    width oldWidth: Int, height oldHeight: Int, _ resize: DataDeclaration.Resize
  ) -> Box {
    guard resize == .crop else { return Box(width: oldWidth, height: oldHeight) }
    let newWidth = min(oldWidth, Self.scaled(oldHeight, width, height))
    let newHeight = min(oldHeight, Self.scaled(oldWidth, height, width))
    return Box(
      x: (oldWidth - newWidth) / 2, y: (oldHeight - newHeight) / 2, width: newWidth,
      height: newHeight)
  }

  /// The part of the form that it is scaled to.
  private func target(
    width oldWidth: Int, height oldHeight: Int, _ resize: DataDeclaration.Resize
  ) -> Box {
    guard resize == .pad else { return Box(width: width, height: height) }
    let newWidth = min(width, Self.scaled(height, oldWidth, oldHeight))
    let newHeight = min(height, Self.scaled(width, oldHeight, oldWidth))
    return Box(
      x: (width - newWidth) / 2, y: (height - newHeight) / 2, width: newWidth, height: newHeight)
  }

  /// length · part / whole, rounded, at least 1. Sizes of pictures are below 2³¹, so nothing
  /// overflows.
  private static func scaled(_ length: Int, _ part: Int, _ whole: Int) -> Int {
    max(1, (2 * length * part + whole) / (2 * whole))
  }

  /// What becomes of a picture of a size, in words.
  package func description(width oldWidth: Int, height oldHeight: Int) -> String {
    if (oldWidth, oldHeight) == (width, height) { return "as it is" }
    guard let resize else { return "does not fit \(width)×\(height)" }
    let source = source(width: oldWidth, height: oldHeight, resize)
    let inner = target(width: oldWidth, height: oldHeight, resize)
    switch resize {
    case .crop:
      return "the centre of \(source.width)×\(source.height) scaled to \(width)×\(height)"
    case .pad:
      return "scaled to \(inner.width)×\(inner.height), black around it to \(width)×\(height)"
    case .stretch: return "stretched to \(width)×\(height)"
    }
  }
}

extension Image {
  /// The left or right half; nil where the width is odd.
  func half(_ half: PictureHalf) -> Image? {
    guard width % 2 == 0 else { return nil }
    return cropped(x: half == .left ? 0 : width / 2, y: 0, width: width / 2, height: height)
  }
}
