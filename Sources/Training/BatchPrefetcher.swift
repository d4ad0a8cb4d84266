// Reads ahead: while a step computes, a thread of its own prepares the batches of the next one, so
// that the step finds them ready. A batch is a function of its source and number alone, so the bits
// are the same with and without, and a run may begin at any step.

import Basics
import Elaboration

/// Stands in front of a supplier, for one thread that runs steps. Batches are expected in the order
/// of steps; any other request is answered too, without delay but for the making.
package final class BatchPrefetcher: BatchSupplier {
  private let supplier: any BatchSupplier & Sendable
  private let queue: PrefetchQueue
  private var lines: [String: Line] = [:]
  private var isRunning = true
  /// Seconds that `fill` waited for batches or made them itself, since the beginning.
  package private(set) var secondsWaited = 0.0
  /// Seconds that it took to copy what was ready.
  package private(set) var secondsCopied = 0.0

  /// The slots of a source: as many as a step takes batches of it.
  private struct Line {
    var count: Int
    /// Nil until the first batch is asked for, which tells the size.
    var first: Int?
  }

  package convenience init(_ feeder: DataFeeder) throws(EnvironmentFailure) {
    try self.init(feeder, feeder.declarations)
  }

  /// `supplier` is asked by the thread of this object, and by the caller's own.
  package init(
    _ supplier: any BatchSupplier & Sendable, _ declarations: [DataDeclaration]
  ) throws(EnvironmentFailure) {
    self.supplier = supplier
    queue = PrefetchQueue(supplier)
    for declaration in declarations {
      lines[declaration.name] = Line(count: max(1, declaration.batchesPerStep))
    }
    try queue.start()
  }

  deinit { queue.stop() }

  /// Ends the thread. Batches asked for later are made when they are asked for.
  package func stop() {
    isRunning = false
    queue.stop()
  }

  /// Throws what went wrong with this batch, also where that was found out ahead.
  package func fill(
    source: String, batch: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(EnvironmentFailure) {
    let began = monotonicSeconds()
    guard isRunning, let line = lines[source] else {
      try supplier.fill(source: source, batch: batch, into: buffer)
      secondsWaited += monotonicSeconds() - began
      return
    }
    var made = line.first
    if made == nil { made = try makeSlots(source, line.count, buffer.count) }
    let first = made ?? 0
    let slot = first + (batch % line.count + line.count) % line.count
    // After an error too, so that whoever goes on finds the batches that follow.
    defer { queue.order(slot, batch: batch &+ line.count) }
    if let ready = try queue.take(slot, batch: batch), ready.count == buffer.count {
      let found = monotonicSeconds()
      buffer.copyMemory(from: ready)
      secondsWaited += found - began
      secondsCopied += monotonicSeconds() - found
    } else {
      try supplier.fill(source: source, batch: batch, into: buffer)
      secondsWaited += monotonicSeconds() - began
    }
  }

  private func makeSlots(
    _ source: String, _ count: Int, _ byteCount: Int
  ) throws(EnvironmentFailure) -> Int {
    let first = try queue.addSlots(count, source: source, byteCount: byteCount)
    lines[source]?.first = first
    return first
  }
}
