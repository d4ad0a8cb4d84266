// Channels and sizes: known values by hand, those that Pillow computed, and what must hold for all.

import Basics
import Testing

@testable import Formats

@Suite struct ResizeTests {
  private func picture(_ width: Int, _ height: Int, _ channels: Int) -> Image {
    Image(
      width: width, height: height, channels: channels,
      pixels: (0..<width * height * channels).map { UInt8(truncatingIfNeeded: $0 * $0 * 7 / 5) })
  }

  @Test func channels() {
    let rgba = Image(width: 2, height: 1, channels: 4, pixels: [255, 0, 0, 9, 10, 20, 30, 0])
    #expect(rgba.converted(toChannels: 3).pixels == [255, 0, 0, 10, 20, 30])
    // 0.299·255 = 76.2; 0.299·10 + 0.587·20 + 0.114·30 = 18.15.
    #expect(rgba.converted(toChannels: 1).pixels == [76, 18])
    #expect(rgba.converted(toChannels: 2).pixels == [76, 9, 18, 0])
    #expect(rgba.converted(toChannels: 4) == rgba)
    let grey = Image(width: 2, height: 1, channels: 1, pixels: [0, 200])
    #expect(grey.converted(toChannels: 3).pixels == [0, 0, 0, 200, 200, 200])
    #expect(grey.converted(toChannels: 2).pixels == [0, 255, 200, 255])
    #expect(grey.converted(toChannels: 4).pixels == [0, 0, 0, 255, 200, 200, 200, 255])
    let greyAlpha = Image(width: 1, height: 1, channels: 2, pixels: [8, 3])
    #expect(greyAlpha.converted(toChannels: 1).pixels == [8])
    #expect(greyAlpha.converted(toChannels: 4).pixels == [8, 8, 8, 3])
    #expect(
      Image(width: 1, height: 1, channels: 3, pixels: [255, 255, 255])
        .converted(toChannels: 1).pixels == [255])
  }

  @Test func knownSizes() {
    // Enlarged by 2: weights 3/4 and 1/4 between the centres, the ends repeated.
    let two = Image(width: 2, height: 1, channels: 1, pixels: [0, 100])
    #expect(two.resampled(width: 4, height: 1).pixels == [0, 25, 75, 100])
    // Halved: a triangle over four values, 1/8, 3/8, 3/8, 1/8; at the ends of three, 3/7, 3/7, 1/7.
    let four = Image(width: 1, height: 4, channels: 1, pixels: [0, 70, 140, 210])
    #expect(four.resampled(width: 1, height: 2).pixels == [50, 160])
    // An even picture stays even, whatever the sizes.
    for (width, height) in [(1, 1), (7, 3), (40, 2), (13, 64)] {
      let even = Image(
        width: 13, height: 9, channels: 3, pixels: [UInt8](repeating: 201, count: 13 * 9 * 3))
      #expect(even.resampled(width: width, height: height).pixels.allSatisfy { $0 == 201 })
    }
    // Fine stripes become grey, not stripes of another width.
    let stripes = Image(
      width: 64, height: 4, channels: 1, pixels: (0..<256).map { $0 % 2 == 0 ? 0 : 255 })
    #expect(stripes.resampled(width: 9, height: 4).pixels.allSatisfy { 110...145 ~= $0 })
  }

  /// `Image.fromarray(…).resize((w, h), Image.BILINEAR)` of Pillow on the pictures of `picture`;
  /// Tools/check-formats.py compares many more.
  @Test func pillowsBits() {
    #expect(
      picture(5, 4, 1).resampled(width: 3, height: 2).pixels == [39, 61, 68, 104, 160, 160])
    #expect(
      picture(7, 6, 1).resampled(width: 2, height: 9).pixels == [
        5, 29, 55, 107, 102, 181, 89, 170, 115, 162, 144, 156, 143, 157, 131, 146, 119, 135,
      ])
    #expect(
      picture(6, 5, 3).resampled(width: 3, height: 3).pixels == [
        65, 94, 79, 115, 104, 133, 177, 126, 125, 115, 146, 115, 129, 96, 94, 132, 119, 122, 167,
        98, 95, 166, 113, 62, 131, 139, 103,
      ])
    #expect(
      picture(4, 3, 2).resampled(width: 3, height: 2).pixels == [
        105, 51, 151, 91, 91, 78, 132, 160, 162, 187, 144, 161,
      ])
    #expect(
      picture(5, 4, 4).resampled(width: 2, height: 3).pixels == [
        55, 98, 135, 111, 111, 163, 146, 139, 66, 103, 172, 118, 135, 153, 170, 100, 127, 46, 140,
        120, 108, 45, 216, 113,
      ])
  }

  @Test func alphaWeighsColours() {
    // A clear red beside an opaque blue: no red seeps in.
    let pixels: [UInt8] = [255, 0, 0, 0, 0, 0, 200, 255]
    let image = Image(width: 2, height: 1, channels: 4, pixels: pixels)
    #expect(image.resampled(width: 1, height: 1).pixels == [0, 0, 199, 128])
  }

  @Test func parts() {
    let image = picture(5, 4, 3)
    let part = image.cropped(x: 1, y: 2, width: 3, height: 2)
    #expect(part.pixels == Array(image.pixels[33..<42] + image.pixels[48..<57]))
    let back = part.padded(x: 1, y: 2, width: 5, height: 4)
    #expect(back.isConsistent && back.pixels.prefix(33).allSatisfy { $0 == 0 })
    #expect(back.cropped(x: 1, y: 2, width: 3, height: 2) == part)
    #expect(image.cropped(x: 0, y: 0, width: 5, height: 4) == image)
  }
}
