// What the tests of training share beside CommandSupport: fixtures, data, batches given by hand.

import Basics
import Formats
import Foundation
import TestSupport
import Training

extension Places {
  static var fixtures: String { "\(root)/Tests/TrainingTests/Fixtures" }

  /// The folder with mnist/ and fashion-mnist/; nil where this machine has none.
  static var data: String? {
    guard let path = ProcessInfo.processInfo.environment["GAN_DATA"], FileIO.isDirectory(path)
    else {
      return nil
    }
    return path
  }
}

/// Batches given by hand: per source, the bytes of each batch.
final class GivenBatches: BatchSupplier {
  var batches: [String: [[Float]]]
  init(_ batches: [String: [[Float]]]) { self.batches = batches }

  func fill(
    source: String, batch: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(EnvironmentFailure) {
    guard let all = batches[source], all.indices.contains(batch) else {
      throw EnvironmentFailure("no batch \(batch) of \(source)")
    }
    all[batch].withUnsafeBytes { buffer.copyMemory(from: $0) }
  }
}
