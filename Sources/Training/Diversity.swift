// How different the images of a sample are: the mean distance of two of them, each the root mean square of the differences of
// their elements. The same of as many examples of the data says what it should be.

import Basics
import Elaboration
import Formats
import GraphIR
import Runtime

enum Diversity {
  /// More images than these are not looked at, and fewer where the differences would be more than the second.
  private static let mostImages = 64
  private static let mostDifferences = 1 << 24

  /// How many of `count` images of so many elements are compared.
  static func compared(_ count: Int, elements: Int) -> Int {
    var images = min(count, mostImages)
    while images > 2, images * (images - 1) / 2 * elements > mostDifferences { images -= 1 }
    return images
  }

  /// Of the first `images` rows; nil where there are not two.
  static func of(_ values: [Float], rows images: Int, elements: Int) -> Double? {
    guard images >= 2, elements > 0, values.count >= images * elements else { return nil }
    return values.withUnsafeBufferPointer { values in
      var total = 0.0
      for first in 1..<images {
        for second in 0..<first {
          let a = UnsafeBufferPointer(rebasing: values[first * elements..<(first + 1) * elements])
          let b = UnsafeBufferPointer(rebasing: values[second * elements..<(second + 1) * elements])
          var sum: Float = 0
          for index in 0..<elements { sum += (a[index] - b[index]) * (a[index] - b[index]) }
          total += (Double(sum) / Double(elements)).squareRoot()
        }
      }
      return total / Double(images * (images - 1) / 2)
    }
  }

  /// The diversity of as many examples of the source whose examples have the shape of the images; nil where there is none.
  static func ofData(
    like shape: [Int], images: Int, _ program: Program, _ data: any BatchSupplier
  ) throws(EnvironmentFailure) -> Double? {
    let wanted = Array(shape.dropFirst())
    let elements = wanted.reduce(1, *)
    guard
      let source = program.data.first(where: {
        $0.type.element == .f32 && $0.batchesPerStep > 0 && $0.type.count > 0
          && $0.type.shape.dropFirst().filter { $0 != 1 } == wanted.filter { $0 != 1 }
      })
    else { return nil }
    var values: [Float] = []
    var batch = 0
    while values.count < images * elements {
      values += try deviceBytes(count: source.type.count) { (buffer) throws(EnvironmentFailure) in
        try data.fill(source: source.name, batch: batch, into: buffer)
      }
      batch += 1
    }
    return of(values, rows: images, elements: elements)
  }
}
