// Improved precision and recall (Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative
// Models", 2019). The manifold of a set is the union of balls around its features, each as large as the distance to the
// k-th nearest other one. Precision is the share of generated images within the manifold of the real ones (do they
// look real?), recall the share of real images within that of the generated ones (is everything there is drawn?).

import Basics

package struct PrecisionRecall: Sendable, Equatable {
  package let precision: Double
  package let recall: Double

  package static let neighbours = 3

  package init(
    generated: FeatureMatrix, real: FeatureMatrix, neighbours k: Int = PrecisionRecall.neighbours,
    on work: SharedWork
  ) throws(EnvironmentFailure) {
    try FeatureMatrix.check(generated, real, atLeast: k + 1, for: "precision and recall")
    let realRadii = Self.squaredRadii(real, k, work)
    let generatedRadii = Self.squaredRadii(generated, k, work)
    precision = Self.share(of: generated, within: real, realRadii, work)
    recall = Self.share(of: real, within: generated, generatedRadii, work)
  }

  /// Rows that a share works on, and rows that they are compared with while these are in cache: 256 rows of 64
  /// features are 128 KiB.
  private static let rowsOfShare = 64
  private static let rowsOfBlock = 256

  /// The squared distance of each row to its k-th nearest other one.
  private static func squaredRadii(
    _ features: FeatureMatrix, _ k: Int, _ work: SharedWork
  ) -> [Double] {
    let (count, stride) = (features.count, features.stride)
    return features.vectors.withUnsafeBufferPointer { vectors in
      let base = vectors.baseAddress!
      let shares = (count + rowsOfShare - 1) / rowsOfShare
      return work.map(shares: shares) { share in
        let rows = share * rowsOfShare..<min(count, (share + 1) * rowsOfShare)
        // The k smallest of each row, in order.
        var nearest = [Double](repeating: .infinity, count: rows.count * k)
        nearest.withUnsafeMutableBufferPointer { nearest in
          for first in Swift.stride(from: 0, to: count, by: rowsOfBlock) {
            for i in rows {
              let own = nearest.baseAddress! + (i - rows.lowerBound) * k
              for j in first..<min(count, first + rowsOfBlock) where j != i {
                let distance = RowArithmetic.squaredDistance(
                  base + i * stride, base + j * stride, stride)
                if distance < own[k - 1] { insert(distance, into: own, k) }
              }
            }
          }
        }
        return rows.indices.map { nearest[($0 - rows.lowerBound) * k + k - 1] }
      }.flatMap { $0 }
    }
  }

  /// Puts a value that is below the last of `k` ordered ones in its place; the last falls out.
  private static func insert(_ value: Double, into list: UnsafeMutablePointer<Double>, _ k: Int) {
    var place = k - 1
    while place > 0, list[place - 1] > value {
      list[place] = list[place - 1]
      place -= 1
    }
    list[place] = value
  }

  /// The share of `points` that lie in the ball of at least one of `centres`, its surface included.
  private static func share(
    of points: FeatureMatrix, within centres: FeatureMatrix, _ squaredRadii: [Double],
    _ work: SharedWork
  ) -> Double {
    let stride = points.stride
    let inside = points.vectors.withUnsafeBufferPointer { pointVectors in
      centres.vectors.withUnsafeBufferPointer { centreVectors in
        let (point, centre) = (pointVectors.baseAddress!, centreVectors.baseAddress!)
        return work.map(shares: (points.count + rowsOfShare - 1) / rowsOfShare) { share in
          let rows = share * rowsOfShare..<min(points.count, (share + 1) * rowsOfShare)
          return rows.count { i in
            (0..<centres.count).contains { j in
              RowArithmetic.squaredDistance(point + i * stride, centre + j * stride, stride)
                <= squaredRadii[j]
            }
          }
        }
      }
    }
    return Double(inside.reduce(0, +)) / Double(points.count)
  }
}
