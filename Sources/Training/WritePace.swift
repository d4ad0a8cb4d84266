// How often a file that is made anew each time may be written: so that it takes a small share of
// the training whatever its size and the disk's speed.

import Basics

final class WritePace {
  /// Writing takes at most one part in so many of the time.
  private static let share = 200.0
  /// Seconds between two writes at least.
  private let interval: Double
  private var ended = -Double.infinity
  private var took = 0.0

  init(interval: Double) { self.interval = interval }

  /// Seconds from the end of one write to the next.
  var pause: Double { max(interval, Self.share * took) }

  var isDue: Bool { monotonicSeconds() - ended >= pause }

  /// Writes and notes how long that took.
  func write(_ body: () throws -> Void) rethrows {
    let began = monotonicSeconds()
    defer {
      ended = monotonicSeconds()
      took = ended - began
    }
    try body()
  }
}
