// The Fréchet distance between two sets of features, each taken as a normal distribution (Heusel et al., "GANs Trained by a
// Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", 2017, there over Inception features):
//
//   d² = |μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁Σ₂)^½
//
// 0 for equal moments; in squared units of the features, so it can be compared only between results of the same
// classifier. It falls with the number of images: compare results of equal counts only.

import Basics

/// Mean and unbiased covariance of features.
package struct FeatureMoments: Sendable {
  package let mean: [Double]
  package let covariance: SquareMatrix

  /// At least two rows.
  init(_ features: FeatureMatrix, on work: SharedWork) {
    let stride = features.stride
    let lanes = FeatureMatrix.Vector.scalarCount
    var sum = [FeatureMatrix.Vector](repeating: .zero, count: stride)
    for row in 0..<features.count {
      for i in 0..<stride { sum[i] += features.vectors[row * stride + i] }
    }
    let mean = sum.map { $0 / Double(features.count) }
    let width = features.width
    // Row i of Σ: the sum over all images of their deviation in feature i times all deviations.
    let rows = features.vectors.withUnsafeBufferPointer { vectors in
      work.map(shares: width) { i in
        var row = [FeatureMatrix.Vector](repeating: .zero, count: stride)
        row.withUnsafeMutableBufferPointer { row in
          for image in 0..<features.count {
            let deviation =
              vectors[image * stride + i / lanes][i % lanes] - mean[i / lanes][i % lanes]
            for j in 0..<stride {
              row[j] += deviation * (vectors[image * stride + j] - mean[j])
            }
          }
        }
        return row
      }
    }
    var covariance = SquareMatrix(size: width)
    let factor = 1 / Double(max(1, features.count - 1))
    // The half below the diagonal is a copy of the one above: exactly symmetric.
    for i in 0..<width {
      for j in i..<width {
        let value = rows[i][j / lanes][j % lanes] * factor
        covariance[i, j] = value
        covariance[j, i] = value
      }
    }
    self.mean = (0..<width).map { mean[$0 / lanes][$0 % lanes] }
    self.covariance = covariance
  }

  package init(mean: [Double], covariance: SquareMatrix) {
    self.mean = mean
    self.covariance = covariance
  }
}

package enum FrechetDistance {
  /// The squared distance, which is what is called FID.
  package static func between(
    _ a: FeatureMatrix, _ b: FeatureMatrix, on work: SharedWork
  ) throws(EnvironmentFailure) -> Double {
    try FeatureMatrix.check(a, b, atLeast: 2, for: "Fréchet distance")
    return between(FeatureMoments(a, on: work), FeatureMoments(b, on: work))
  }

  /// With Σ = V Λ Vᵀ the trace of (Σ₁Σ₂)^½ is the sum of the singular values of Λ₁^½ V₁ᵀ V₂ Λ₂^½. Nothing is inverted and
  /// no root is taken of a product's rounding errors, so singular covariances (fewer images than features, dead
  /// features) lose no digits.
  package static func between(_ a: FeatureMoments, _ b: FeatureMoments) -> Double {
    let size = a.mean.count
    var distance = 0.0
    for i in 0..<size { distance += (a.mean[i] - b.mean[i]) * (a.mean[i] - b.mean[i]) }
    let (left, right) = (scaledVectors(a.covariance), scaledVectors(b.covariance))
    var product = SquareMatrix(size: size)
    for i in 0..<size {
      for j in 0..<size {
        var sum = 0.0
        for k in 0..<size { sum += left[i, k] * right[j, k] }
        product[i, j] = sum
      }
    }
    let shared = singularValues(product).reduce(0, +)
    return max(0, distance + a.covariance.trace + b.covariance.trace - 2 * shared)
  }

  /// √λᵢ vᵢ as rows. Eigenvalues within the rounding of the largest are zero: the root of such a one would be 10⁸ times
  /// its error.
  private static func scaledVectors(_ matrix: SquareMatrix) -> SquareMatrix {
    let eigen = SymmetricEigen(matrix)
    var rows = eigen.vectors
    let largest = eigen.values.map(abs).max() ?? 0
    let floor = largest * Double(matrix.size) * Double.ulpOfOne
    for i in 0..<matrix.size {
      let root = eigen.values[i] > floor ? eigen.values[i].squareRoot() : 0
      for k in 0..<matrix.size { rows[i, k] *= root }
    }
    return rows
  }
}
