// Vectors of features, one a row, in Double: what every metric but the sliced Wasserstein distance compares. Comes in:
// floats of an extractor. Goes out: rows as whole SIMD vectors, so that the loops over pairs of rows are short.

import Basics

/// `count` rows of `width` numbers. Rows are filled up with zeros to whole vectors, which change neither a product nor
/// a distance.
package struct FeatureMatrix: Sendable {
  package typealias Vector = SIMD8<Double>

  package let count: Int
  package let width: Int
  /// Vectors of one row.
  let stride: Int
  let vectors: [Vector]

  /// Row-major values: `values.count` must be a multiple of `width`, which is positive. Throws where a value is not finite:
  /// no metric means anything then.
  package init(width: Int, values: [Float]) throws(EnvironmentFailure) {
    try self.init(width: width, values: values.map(Double.init))
  }

  package init(width: Int, values: [Double]) throws(EnvironmentFailure) {
    guard width > 0, values.count % width == 0 else {
      throw EnvironmentFailure("\(values.count) features are no rows of \(width)")
    }
    if let bad = values.firstIndex(where: { !$0.isFinite }) {
      throw EnvironmentFailure(
        "feature \(bad % width) of image \(bad / width) is \(values[bad]), so there is nothing to compare",
        help: "the images or the classifier's weights hold infinities or NaN")
    }
    let count = values.count / width
    let stride = (width + Vector.scalarCount - 1) / Vector.scalarCount
    var vectors = [Vector](repeating: .zero, count: count * stride)
    for row in 0..<count {
      for column in 0..<width {
        vectors[row * stride + column / Vector.scalarCount][column % Vector.scalarCount] =
          values[row * width + column]
      }
    }
    self.init(count: count, width: width, stride: stride, vectors: vectors)
  }

  private init(count: Int, width: Int, stride: Int, vectors: [Vector]) {
    self.count = count
    self.width = width
    self.stride = stride
    self.vectors = vectors
  }

  package subscript(row: Int, column: Int) -> Double {
    vectors[row * stride + column / Vector.scalarCount][column % Vector.scalarCount]
  }

  /// Some of the rows, in the order of the indices.
  package func rows(_ indices: [Int]) -> FeatureMatrix {
    var chosen: [Vector] = []
    chosen.reserveCapacity(indices.count * stride)
    for index in indices { chosen += vectors[index * stride..<(index + 1) * stride] }
    return FeatureMatrix(count: indices.count, width: width, stride: stride, vectors: chosen)
  }

  /// Refuses a pair of sets of other widths, or too small ones: what every metric asks first.
  static func check(
    _ a: FeatureMatrix, _ b: FeatureMatrix, atLeast least: Int, for metric: String
  ) throws(EnvironmentFailure) {
    guard a.width == b.width else {
      throw EnvironmentFailure(
        "the \(metric) compares features of one width, but there are \(a.width) and \(b.width)")
    }
    guard min(a.count, b.count) >= least else {
      throw EnvironmentFailure(
        "the \(metric) needs at least \(least) images in each set, but there are "
          + "\(a.count) and \(b.count)", help: "--count \(least) or more")
    }
  }
}

/// Sums over rows. All lanes are summed in one fixed order, without fused multiply-adds, so the bits are the same on
/// every processor.
enum RowArithmetic {
  typealias Vector = FeatureMatrix.Vector

  /// Σ aᵢ bᵢ
  @inline(__always)
  static func product(
    _ a: UnsafePointer<Vector>, _ b: UnsafePointer<Vector>, _ count: Int
  ) -> Double {
    var sum = Vector.zero
    for i in 0..<count { sum += a[i] * b[i] }
    return sum.sum()
  }

  /// Σ (aᵢ − bᵢ)²: the difference first, so that near rows lose no digits.
  @inline(__always)
  static func squaredDistance(
    _ a: UnsafePointer<Vector>, _ b: UnsafePointer<Vector>, _ count: Int
  ) -> Double {
    var sum = Vector.zero
    for i in 0..<count {
      let difference = a[i] - b[i]
      sum += difference * difference
    }
    return sum.sum()
  }
}
