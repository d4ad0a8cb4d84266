// All metrics of two sets of images. Comes in: pictures and, for all but one, their features. Goes out: the numbers that
// `gan-exec evaluate` prints.

import Basics

package enum Metric: String, CaseIterable, Sendable {
  case frechet, kernel
  case precisionRecall = "precision-recall"
  case slicedWasserstein = "swd"

  package var needsFeatures: Bool { self != .slicedWasserstein }
}

/// What is compared on one side.
package struct EvaluatedImages: Sendable {
  package var pictures: PictureSet
  /// Nil where no metric asks for them.
  package var features: FeatureMatrix?
  package init(pictures: PictureSet, features: FeatureMatrix?) {
    self.pictures = pictures
    self.features = features
  }
}

/// Metrics that were not asked for are nil.
package struct Evaluation: Sendable, Equatable {
  /// Images of each set, the first being the one that is judged.
  package var count: Int
  package var realCount: Int
  package var frechet: Double?
  package var kernel: KernelDistance?
  package var precisionRecall: PrecisionRecall?
  package var slicedWasserstein: Double?

  package init(
    _ images: EvaluatedImages, against real: EvaluatedImages, _ metrics: [Metric],
    on work: SharedWork
  ) throws {
    count = images.pictures.count
    realCount = real.pictures.count
    if let features = images.features, let realFeatures = real.features {
      if metrics.contains(.frechet) {
        frechet = try FrechetDistance.between(features, realFeatures, on: work)
      }
      if metrics.contains(.kernel) {
        kernel = try KernelDistance(features, realFeatures, on: work)
      }
      if metrics.contains(.precisionRecall) {
        precisionRecall = try PrecisionRecall(generated: features, real: realFeatures, on: work)
      }
    }
    if metrics.contains(.slicedWasserstein) {
      slicedWasserstein = try SlicedWasserstein.between(images.pictures, real.pictures, on: work)
    }
  }

  /// Fewer are refused by some metric.
  package static let leastImages = PrecisionRecall.neighbours + 1

  /// Why the numbers of so few images say little; nil where they do not.
  package static func warning(count: Int, width: Int) -> String? {
    if count <= width {
      return "\(count) images span no more than \(count - 1) of \(width) features: "
        + "the Fréchet distance is far too large; use --count \(10 * width) or more"
    }
    if count < 10 * width {
      return "\(count) images are few for \(width) features: the Fréchet distance is too large, "
        + "and only results of this count can be compared; --count \(10 * width) or more is better"
    }
    return nil
  }
}
