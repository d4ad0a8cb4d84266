// Pictures as metrics compare them: those that a program drew and those that it learns from, on one scale. Comes in: numbers
// in the program's range. Goes out: floats in −1...1.

import Basics
import Elaboration
import GraphIR

/// How numbers become comparable. Where a source has a range, it goes to −1...1, what is beyond is cut off, and the rest
/// rounded to the 256 levels of a picture file: what is compared is what a person would be shown, and real pictures
/// are not told apart by their levels. Numbers without a range stay as they are.
package struct PictureScale: Sendable {
  let range: (low: Double, high: Double)?

  package init(_ declaration: DataDeclaration) {
    if let low = declaration.low, let high = declaration.high, low < high {
      range = (low, high)
    } else {
      range = nil
    }
  }

  /// What a byte of a picture file becomes.
  package let levels: [Float] = (0..<256).map { Float(2 * Double($0) / 255 - 1) }

  /// What bytes of a data set become: levels, or themselves where there is no range.
  var bytes: [Float] { range == nil ? (0..<256).map { Float($0) } : levels }

  /// Numbers in the range of the program, in place. NaN stays.
  func apply(_ values: UnsafeMutableBufferPointer<Float>) {
    guard let range else { return }
    let factor = 255 / (range.high - range.low)
    for index in values.indices where !values[index].isNaN {
      let level = ((Double(values[index]) - range.low) * factor).rounded()
      values[index] = levels[Int(min(max(level, 0), 255))]
    }
  }
}

package struct PictureSet: Sendable {
  package let count: Int
  /// Of one picture, such as [28, 28, 1].
  package let shape: [Int]
  /// Row-major, `count` pictures one after the other.
  package let values: [Float]

  package var pixelCount: Int { shape.reduce(1, *) }

  /// `values.count` must be `count` times the elements of `shape`.
  package init(count: Int, shape: [Int], values: [Float]) {
    precondition(values.count == count * shape.reduce(1, *), "pictures of another shape")
    self.count = count
    self.shape = shape
    self.values = values
  }

  /// Pictures that a program drew.
  package init(drawn values: [Float], count: Int, shape: [Int], scale: PictureScale) {
    var scaled = values
    scaled.withUnsafeMutableBufferPointer { scale.apply($0) }
    self.init(count: count, shape: shape, values: scaled)
  }

  /// Some examples of a data set that the program learns from; `shape` is that of the declaration.
  package init(
    _ examples: [Int], of dataset: Dataset, shape: [Int], scale: PictureScale
  ) throws(EnvironmentFailure) {
    var values = [Float](repeating: 0, count: examples.count * dataset.exampleCount)
    try values.withUnsafeMutableBufferPointer { (values) throws(EnvironmentFailure) in
      try dataset.copyPictures(examples: examples, pass: 0, scale: scale, into: values)
    }
    self.init(count: examples.count, shape: shape, values: values)
  }

  /// The first pictures.
  package func prefix(_ count: Int) -> PictureSet {
    let count = min(count, self.count)
    return PictureSet(count: count, shape: shape, values: Array(values[..<(count * pixelCount)]))
  }

  /// All but the first pictures.
  package func dropFirst(_ count: Int) -> PictureSet {
    let count = min(count, self.count)
    return PictureSet(
      count: self.count - count, shape: shape, values: Array(values[(count * pixelCount)...]))
  }
}

extension Dataset {
  /// Writes examples as pictures on the scale of metrics.
  func copyPictures(
    examples: [Int], pass: Int, scale: PictureScale, into buffer: UnsafeMutableBufferPointer<Float>
  ) throws(EnvironmentFailure) {
    try copy(
      examples: examples, pass: pass, as: .f32, scale: scale.bytes,
      into: UnsafeMutableRawBufferPointer(buffer))
    if !isScaled { scale.apply(buffer) }
  }
}
