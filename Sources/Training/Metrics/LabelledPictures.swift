// What the classifier is trained on: a data set's pictures on the scale of metrics, and their classes.

import Basics
import Formats
import GraphIR

package final class LabelledPictures: BatchSupplier {
  /// The classifier's rows for classes; far more than any set for which 64 features would do.
  package static let mostClasses = 1000

  package let images: Dataset
  package let labels: Dataset
  /// One more than the largest label.
  package let classes: Int
  package let scale: PictureScale
  private var order: BatchOrder?

  /// Throws where the labels are no classes of these images.
  package init(images: Dataset, labels: Dataset, scale: PictureScale) throws(EnvironmentFailure) {
    guard labels.count == images.count, labels.exampleCount == 1 else {
      throw EnvironmentFailure(
        "\(labels.name): one label for each of the \(images.count) images is needed, "
          + "and it holds \(labels.count) examples of \(labels.exampleCount) numbers")
    }
    if let fraction = labels.firstFraction {
      throw EnvironmentFailure("\(labels.name): labels are whole numbers, and it holds \(fraction)")
    }
    if let wrong = labels.firstID(outside: Self.mostClasses) {
      throw EnvironmentFailure(
        "\(labels.name): the label of example \(wrong.example) is \(wrong.value); "
          + "0 to \(Self.mostClasses - 1) are possible")
    }
    self.images = images
    self.labels = labels
    self.scale = scale
    var values = [Int32](repeating: 0, count: labels.count)
    try values.withUnsafeMutableBufferPointer { (values) throws(EnvironmentFailure) in
      try labels.copy(
        examples: Array(0..<labels.count), pass: 0, as: .i32, scale: [],
        into: UnsafeMutableRawBufferPointer(values))
    }
    classes = Int(values.max() ?? 0) + 1
  }

  /// From here on batches have this size and order.
  func prepare(batch: Int, seed: UInt64) {
    order = BatchOrder(
      count: images.count, batch: batch, order: .shuffled, seed: seed, group: "images")
  }

  package func fill(
    source: String, batch: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(EnvironmentFailure) {
    guard let pass = order?.pass(ofBatch: batch), let examples = order?.examples(ofBatch: batch)
    else { throw EnvironmentFailure("the classifier's data were not opened") }
    if source == "labels" {
      try labels.copy(examples: examples, pass: pass, as: .i32, scale: [], into: buffer)
    } else {
      try images.copyPictures(
        examples: examples, pass: pass, scale: scale, into: buffer.bindMemory(to: Float.self))
    }
  }
}
