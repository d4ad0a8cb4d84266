// The sliced Wasserstein distance over pixels: the mean over directions of how far the two sets, projected on a direction,
// have to be moved to become one another (Rabin et al., "Wasserstein Barycenter and its Application to Texture Mixing",
// 2011; for GANs Karras et al., "Progressive Growing of GANs", 2018). No network is asked, so it needs no labels and says
// little about what pictures show; it sees wrong brightness, contrast and missing kinds of pictures.

import Basics
import GraphIR

package enum SlicedWasserstein {
  package static let directionCount = 256

  /// `count` unit vectors, uniform on the sphere: always the same ones, so that results can be compared.
  package static func directions(_ count: Int = directionCount, width: Int) -> [Double] {
    var normal = NormalSequence(
      PhiloxSequence(seed: 0, stream: StableHash.stream("sliced Wasserstein directions")))
    var values: [Double] = []
    values.reserveCapacity(count * width)
    for _ in 0..<count {
      let direction = (0..<width).map { _ in normal.next() }
      let length = direction.reduce(0) { $0 + $1 * $1 }.squareRoot()
      values += direction.map { $0 / length }
    }
    return values
  }

  /// The mean of W₁ over directions, [directions, pixels] row-major, in units of the pixels. The sets may have different
  /// sizes.
  package static func between(
    _ a: PictureSet, _ b: PictureSet, directions: [Double]? = nil, on work: SharedWork
  ) throws(EnvironmentFailure) -> Double {
    guard a.pixelCount == b.pixelCount else {
      throw EnvironmentFailure(
        "the sliced Wasserstein distance compares pictures of one shape, but there are "
          + "\(shapeText(a.shape)) and \(shapeText(b.shape))")
    }
    guard min(a.count, b.count) > 0, a.pixelCount > 0 else {
      throw EnvironmentFailure("the sliced Wasserstein distance needs at least 1 image in each set")
    }
    let slices = try FeatureMatrix(
      width: a.pixelCount, values: directions ?? self.directions(width: a.pixelCount))
    let first = projected(a, on: slices, work)
    let second = projected(b, on: slices, work)
    let distances = work.map(shares: slices.count) { slice in
      wasserstein(
        first[slice * a.count..<(slice + 1) * a.count].sorted(),
        second[slice * b.count..<(slice + 1) * b.count].sorted())
    }
    return distances.reduce(0, +) / Double(slices.count)
  }

  /// [direction, image]: the products of all pictures with all directions.
  private static func projected(
    _ pictures: PictureSet, on directions: FeatureMatrix, _ work: SharedWork
  ) -> [Double] {
    let (count, width, stride) = (pictures.count, pictures.pixelCount, directions.stride)
    let lanes = FeatureMatrix.Vector.scalarCount
    return [Double](unsafeUninitializedCapacity: count * directions.count) { result, initialized in
      let target = result.baseAddress!
      directions.vectors.withUnsafeBufferPointer { slices in
        work.run(shares: count) { image in
          // As whole vectors, once for all directions.
          var row = [FeatureMatrix.Vector](repeating: .zero, count: stride)
          for i in 0..<width {
            row[i / lanes][i % lanes] = Double(pictures.values[image * width + i])
          }
          row.withUnsafeBufferPointer { row in
            for slice in 0..<directions.count {
              let product = RowArithmetic.product(
                row.baseAddress!, slices.baseAddress! + slice * stride, stride)
              (target + slice * count + image).initialize(to: product)
            }
          }
        }
      }
      initialized = count * directions.count
    }
  }

  /// W₁ = ∫ |F(x) − G(x)| dx of two sorted lists, the area between their distribution functions.
  static func wasserstein(_ a: [Double], _ b: [Double]) -> Double {
    var (i, j) = (0, 0)
    var distance = 0.0
    var last = 0.0
    while i < a.count || j < b.count {
      let takesFirst = j == b.count || (i < a.count && a[i] <= b[j])
      let value = takesFirst ? a[i] : b[j]
      if i + j > 0 {
        let gap = Double(i) / Double(a.count) - Double(j) / Double(b.count)
        distance += abs(gap) * (value - last)
      }
      last = value
      if takesFirst { i += 1 } else { j += 1 }
    }
    return distance
  }
}
