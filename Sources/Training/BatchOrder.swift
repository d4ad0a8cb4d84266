// Which examples make up a batch: a function of (seed, source, batch number) alone, so that reading
// ahead has no state and a resumed run goes on with the very examples it would have seen.

import Basics
import Elaboration

package struct BatchOrder: Sendable {
  package let count: Int
  package let batch: Int
  package let order: DataDeclaration.Order
  private let seed: UInt64
  private let stream: UInt32
  /// The permutation of the pass it was made for.
  private var permutation: [Int32] = []
  private var permutationPass = -1

  /// `group` names the sources that walk together: paired sources share it and so see the same
  /// order. `count` and `batch` are positive and below 2³¹; a shuffled source has at least one
  /// batch.
  package init(count: Int, batch: Int, order: DataDeclaration.Order, seed: UInt64, group: String) {
    self.count = count
    self.batch = batch
    self.order = order
    self.seed = seed
    stream = StableHash.stream("order " + group)
  }

  /// Whole batches in one pass over the source; a short last one is dropped.
  package var batchesPerPass: Int { max(1, count / batch) }

  /// The pass that a batch belongs to.
  package func pass(ofBatch number: Int) -> Int { number / batchesPerPass }

  /// The examples of batch `number`, counted from the beginning of the run.
  package mutating func examples(ofBatch number: Int) -> [Int] {
    switch order {
    case .sequential:
      // number · batch mod count, each factor reduced first, so that the product stays below 2⁶².
      let first = (number % count) * (batch % count) % count
      return (0..<batch).map { (first + $0) % count }
    case .replacement:
      var random = PhiloxSequence(
        seed: seed, step: UInt32(truncatingIfNeeded: number), stream: stream)
      return (0..<batch).map { _ in random.nextInt(below: count) }
    case .shuffled:
      prepare(pass: pass(ofBatch: number))
      let first = number % batchesPerPass * batch
      return (first..<first + batch).map { Int(permutation[$0 % count]) }
    }
  }

  /// Fisher and Yates, with the pass as the step of the random numbers.
  private mutating func prepare(pass: Int) {
    guard pass != permutationPass else { return }
    permutationPass = pass
    permutation = (0..<Int32(count)).map { $0 }
    var random = PhiloxSequence(seed: seed, step: UInt32(truncatingIfNeeded: pass), stream: stream)
    permutation.withUnsafeMutableBufferPointer { values in
      for last in stride(from: count - 1, to: 0, by: -1) {
        values.swapAt(last, random.nextInt(below: last + 1))
      }
    }
  }
}
