// Records when each share of each launch ran, and on which thread. The pool knows nothing of it: what it is given to run
// is a function that notes the time before and after the kernel. Each share of each run has a place of its own, so that
// threads need not agree on anything.

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif
import Basics
import KernelTable
import Runtime

/// When one share ran; `end` is 0 until it has.
struct TraceSlot {
  var start: UInt64
  var end: UInt64
  var thread: UInt64
}

/// A launch as the recording function gets it.
private struct TracedLaunch {
  var kernel: Kernel
  var arguments: UnsafeRawPointer
  /// Of the present run, one a share.
  var slots: UnsafeMutablePointer<TraceSlot>
}

private let recordShare: ShareFunction = { raw, scratch, index, count in
  let launch = raw.assumingMemoryBound(to: TracedLaunch.self)
  let slot = launch.pointee.slots + index
  slot.pointee.thread = threadIdentity()
  slot.pointee.start = monotonicNanoseconds()
  launch.pointee.kernel(launch.pointee.arguments, scratch, index, count)
  slot.pointee.end = monotonicNanoseconds()
}

private func threadIdentity() -> UInt64 {
  #if canImport(Glibc)
    return UInt64(pthread_self())
  #else
    return UInt64(UInt(bitPattern: pthread_self()))
  #endif
}

/// The memory of a recording and of the launches in it. Used by one thread at a time; the shares of a launch write to
/// their own slots.
final class TraceRecorder {
  private let slots: Arena
  private let launches: UnsafeMutableBufferPointer<TracedLaunch>
  /// Where each launch's slots begin within a run; one more, which is their number.
  private let firstSlots: [Int]
  private let runs: Int
  private var runsBegun = 0
  /// The thread that called the last run.
  private var caller: UInt64 = 0

  static func bytesPerRun(_ shares: [Int]) -> Int {
    shares.reduce(0, +) * MemoryLayout<TraceSlot>.stride
  }

  /// `shares` of every launch.
  init(shares: [Int], runs: Int) throws(EnvironmentFailure) {
    var total = 0
    var firstSlots = [0]
    for count in shares {
      total += count
      firstSlots.append(total)
    }
    self.firstSlots = firstSlots
    self.runs = runs
    slots = try Arena(
      byteCount: runs * total * MemoryLayout<TraceSlot>.stride, for: "a trace of \(runs) runs")
    launches = .allocate(capacity: shares.count)
  }

  deinit { launches.deallocate() }

  /// Whether the run that begins is recorded.
  func beginRun() -> Bool {
    guard runsBegun < runs else { return false }
    runsBegun += 1
    caller = threadIdentity()
    return true
  }

  private func slots(run: Int, launch: Int) -> UnsafeMutablePointer<TraceSlot> {
    slots.base.assumingMemoryBound(to: TraceSlot.self)
      + (run * firstSlots[firstSlots.count - 1] + firstSlots[launch])
  }

  /// Runs a launch of the present run. Allocates nothing.
  func run(_ index: Int, _ launch: Launch, _ pool: WorkerPool) {
    let traced = launches.baseAddress! + index
    traced.initialize(
      to: TracedLaunch(
        kernel: launch.kernel, arguments: launch.arguments,
        slots: slots(run: runsBegun - 1, launch: index)))
    pool.run(
      recordShare, UnsafeRawPointer(traced), scratch: launch.scratch.base,
      scratchStride: launch.scratch.stride, shares: launch.shares)
  }

  /// Spans of the shares that ran, thread 0 being the calling one.
  func spans() -> [TraceSpan] {
    var spans: [TraceSpan] = []
    // For lookup only.
    var threads = [caller: 0]
    for run in 0..<runsBegun {
      for launch in launches.indices {
        let slots = slots(run: run, launch: launch)
        for share in 0..<(firstSlots[launch + 1] - firstSlots[launch]) {
          let slot = slots[share]
          guard slot.end > 0 else { continue }
          let thread = threads[slot.thread] ?? threads.count
          threads[slot.thread] = thread
          spans.append(
            TraceSpan(
              launch: launch, share: share, thread: thread, start: slot.start, end: slot.end))
        }
      }
    }
    return spans
  }
}
