// The kernel distance: the squared maximum mean discrepancy between two sets of features with the polynomial kernel
// k(x, y) = (x·y / width + 1)³, unbiased, over random subsets (Bińkowski et al., "Demystifying MMD GANs", 2018, there KID).
// Its expectation is 0 for equal distributions whatever the number of images, and it may be slightly negative.

import Basics

package struct KernelDistance: Sendable, Equatable {
  /// Over the subsets.
  package let mean: Double
  /// The standard deviation of the subsets' values, divided by the root of their number: how well they stand for these
  /// two sets. Subsets overlap, so other images of the same programs may be further apart than this says.
  package let standardError: Double
  package let subsets: Int
  package let subsetSize: Int

  package static let subsetCount = 100
  package static let largestSubset = 1000

  /// Subsets of 1,000 images of each set, or half of them where there are fewer than 2,000, drawn without replacement;
  /// which ones is a function of the counts alone.
  package init(
    _ a: FeatureMatrix, _ b: FeatureMatrix, on work: SharedWork
  ) throws(EnvironmentFailure) {
    try FeatureMatrix.check(a, b, atLeast: 4, for: "kernel distance")
    let size = min(Self.largestSubset, min(a.count, b.count) / 2)
    let values = work.map(shares: Self.subsetCount) { subset in
      Self.unbiased(
        a.rows(Self.subset(subset, size, of: a.count, "kernel distance, first set")),
        b.rows(Self.subset(subset, size, of: b.count, "kernel distance, second set")))
    }
    let count = Double(Self.subsetCount)
    let mean = values.reduce(0, +) / count
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
    self.mean = mean
    standardError = (variance / count).squareRoot()
    subsets = Self.subsetCount
    subsetSize = size
  }

  /// The first `size` of a shuffled list.
  private static func subset(_ number: Int, _ size: Int, of count: Int, _ stream: String) -> [Int] {
    var random = PhiloxSequence(
      seed: 0, step: UInt32(truncatingIfNeeded: number), stream: StableHash.stream(stream))
    var indices = Array(0..<count)
    for i in 0..<size { indices.swapAt(i, i + random.nextInt(below: count - i)) }
    return Array(indices[..<size])
  }

  /// Σ_{i≠j} k(aᵢ, aⱼ) / m(m − 1) + Σ_{i≠j} k(bᵢ, bⱼ) / n(n − 1) − 2 Σ k(aᵢ, bⱼ) / mn, of at least two rows each and
  /// of one width.
  package static func unbiased(_ a: FeatureMatrix, _ b: FeatureMatrix) -> Double {
    let (m, n) = (Double(a.count), Double(b.count))
    return 2 * sumOfPairs(a) / (m * (m - 1)) + 2 * sumOfPairs(b) / (n * (n - 1))
      - 2 * sum(a, b) / (m * n)
  }

  @inline(__always)
  private static func kernel(_ product: Double, _ factor: Double) -> Double {
    let base = product * factor + 1
    return base * base * base
  }

  /// Σ_{i<j} k(aᵢ, aⱼ), which is half the sum over i ≠ j.
  private static func sumOfPairs(_ a: FeatureMatrix) -> Double {
    let factor = 1 / Double(a.width)
    return a.vectors.withUnsafeBufferPointer { vectors in
      guard let base = vectors.baseAddress else { return 0 }
      var total = 0.0
      for j in 0..<a.count {
        var sum = 0.0
        for i in 0..<j {
          sum += kernel(
            RowArithmetic.product(base + i * a.stride, base + j * a.stride, a.stride), factor)
        }
        total += sum
      }
      return total
    }
  }

  private static func sum(_ a: FeatureMatrix, _ b: FeatureMatrix) -> Double {
    let factor = 1 / Double(a.width)
    return a.vectors.withUnsafeBufferPointer { first in
      b.vectors.withUnsafeBufferPointer { second in
        guard let x = first.baseAddress, let y = second.baseAddress else { return 0 }
        var total = 0.0
        for i in 0..<a.count {
          var sum = 0.0
          for j in 0..<b.count {
            sum += kernel(
              RowArithmetic.product(x + i * a.stride, y + j * b.stride, a.stride), factor)
          }
          total += sum
        }
        return total
      }
    }
  }
}
