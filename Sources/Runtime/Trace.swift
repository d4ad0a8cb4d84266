// What an executable did and when: every share of every launch of some runs, with the thread that did it.

import Basics

/// One share of a launch. Times are those of `monotonicNanoseconds`.
package struct TraceSpan: Hashable, Sendable {
  /// Index among the entries of `Profiling.profile`.
  package var launch: Int
  package var share: Int
  /// 0 is the thread that called `run`; the others are numbered as they first appear.
  package var thread: Int
  package var start: UInt64
  package var end: UInt64
  package init(launch: Int, share: Int, thread: Int, start: UInt64, end: UInt64) {
    self.launch = launch
    self.share = share
    self.thread = thread
    self.start = start
    self.end = end
  }
}

/// An executable that can record its runs.
package protocol Tracing: Profiling {
  /// Bytes that recording one run takes.
  var traceBytesPerRun: Int { get }
  /// Records the next runs, up to so many; later ones are not recorded. Forgets what was recorded before. Throws where
  /// there is not the memory for it.
  func startTrace(runs: Int) throws(EnvironmentFailure)
  /// What was recorded so far, run after run, in the order of the launches.
  var trace: [TraceSpan] { get }
}
