// An own pool of threads that run the shares of a kernel. Between kernels the workers spin for a moment, then
// sleep: a training step launches thousands of kernels a second, and waking a thread costs more than most of them.

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif
import Basics
import Synchronization

/// A function whose work is divided into `count` shares; each call does share `index`. Scratch is the thread's own.
package typealias ShareFunction =
  @convention(c) (
    _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
  ) -> Void

/// `@unchecked Sendable`: all that changes is atomic or guarded by `mutex`. One thread at a time may call `run`.
///
/// Protocol. `ticket` holds (generation, shares, next share) in one word. A share is claimed by exchanging the word for
/// one with the next share, which succeeds only while the job is the one that was seen; the fields of a job are
/// written only when no share of the one before is unfinished. So a thread that was asleep for a while can neither
/// claim a share twice nor run one job's share with another's arguments.
package final class WorkerPool: @unchecked Sendable {
  package static let maximumThreads = 256
  /// 16 bits of the ticket.
  package static let maximumShares = 65_535
  /// Rounds of looking for work before sleeping: some tens of microseconds.
  private static let spins = 20_000

  /// Threads that work, the calling one included.
  package let threadCount: Int

  private let ticket = Atomic<UInt64>(0)
  private let finished = Atomic<Int>(0)
  private let function = Atomic<UInt>(0)
  private let arguments = Atomic<UInt>(0)
  private let scratch = Atomic<UInt>(0)
  private let scratchStride = Atomic<Int>(0)
  private let sleeping = Atomic<Int>(0)
  private let stopping = Atomic<Bool>(false)
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let wake: UnsafeMutablePointer<pthread_cond_t>
  private var threads: [pthread_t] = []

  /// What a new thread is given; it releases it.
  private final class Start {
    let pool: WorkerPool
    let index: Int
    let prepare: (@convention(c) () -> Void)?
    init(_ pool: WorkerPool, _ index: Int, _ prepare: (@convention(c) () -> Void)?) {
      self.pool = pool
      self.index = index
      self.prepare = prepare
    }
  }

  /// Starts the threads; `prepare` runs first on each of them (not on the calling one), such as to set how denormal
  /// numbers are treated. The owner must call `shutDown`.
  package init(threads count: Int, prepare: (@convention(c) () -> Void)? = nil)
    throws(EnvironmentFailure)
  {
    guard count >= 1, count <= WorkerPool.maximumThreads else {
      throw EnvironmentFailure(
        "\(count) threads were asked for; 1 to \(WorkerPool.maximumThreads) are possible")
    }
    threadCount = count
    mutex = .allocate(capacity: 1)
    wake = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(wake, nil)
    for index in 1..<max(count, 1) {
      let start = Unmanaged.passRetained(Start(self, index, prepare))
      #if canImport(Glibc)
        var thread = pthread_t()
        let status = pthread_create(&thread, nil, workerMain, start.toOpaque())
        if status == 0 { threads.append(thread) }
      #else
        var thread: pthread_t?
        let status = pthread_create(&thread, nil, workerMain, start.toOpaque())
        if status == 0, let thread { threads.append(thread) }
      #endif
      if status != 0 {
        start.release()
        shutDown()
        throw EnvironmentFailure("the system refused to start thread \(index + 1) of \(count)")
      }
    }
  }

  deinit {
    pthread_cond_destroy(wake)
    pthread_mutex_destroy(mutex)
    wake.deallocate()
    mutex.deallocate()
  }

  /// Ends and joins the threads. Must be called once by the owner, as the threads hold the pool; harmless again.
  package func shutDown() {
    stopping.store(true, ordering: .sequentiallyConsistent)
    pthread_mutex_lock(mutex)
    pthread_cond_broadcast(wake)
    pthread_mutex_unlock(mutex)
    for thread in threads { pthread_join(thread, nil) }
    threads = []
  }

  /// Runs all shares and returns when the last is done. `scratch` holds `scratchStride` bytes for each thread.
  package func run(
    _ kernel: ShareFunction, _ arguments: UnsafeRawPointer, scratch: UnsafeMutableRawPointer?,
    scratchStride: Int, shares: Int
  ) {
    let shares = min(shares, WorkerPool.maximumShares)
    if shares <= 1 || threads.isEmpty {
      for index in 0..<max(shares, 0) { kernel(arguments, scratch, index, shares) }
      return
    }
    function.store(unsafeBitCast(kernel, to: UInt.self), ordering: .relaxed)
    self.arguments.store(UInt(bitPattern: arguments), ordering: .relaxed)
    self.scratch.store(UInt(bitPattern: scratch), ordering: .relaxed)
    self.scratchStride.store(scratchStride, ordering: .relaxed)
    finished.store(0, ordering: .relaxed)
    let generation = (ticket.load(ordering: .relaxed) >> 32) &+ 1
    let word = generation << 32 | UInt64(shares) << 16
    ticket.store(word, ordering: .sequentiallyConsistent)
    if sleeping.load(ordering: .sequentiallyConsistent) > 0 {
      pthread_mutex_lock(mutex)
      pthread_cond_broadcast(wake)
      pthread_mutex_unlock(mutex)
    }
    work(thread: 0)
    var rounds = 0
    while finished.load(ordering: .acquiring) < shares {
      rounds += 1
      // With more threads than cores the last share may wait for ours.
      if rounds > 200 { sched_yield() }
    }
  }

  /// Claims shares of the present job until there are none.
  private func work(thread: Int) {
    while true {
      let seen = ticket.load(ordering: .acquiring)
      let shares = Int(seen >> 16 & 0xFFFF)
      let next = Int(seen & 0xFFFF)
      if next >= shares { return }
      let function = function.load(ordering: .relaxed)
      let arguments = arguments.load(ordering: .relaxed)
      let base = scratch.load(ordering: .relaxed)
      let stride = scratchStride.load(ordering: .relaxed)
      let claim = ticket.compareExchange(
        expected: seen, desired: seen + 1, ordering: .acquiringAndReleasing)
      guard claim.exchanged, let pointer = UnsafeRawPointer(bitPattern: arguments) else { continue }
      let kernel = unsafeBitCast(function, to: ShareFunction.self)
      let own = UnsafeMutableRawPointer(bitPattern: base).map { $0 + thread * stride }
      kernel(pointer, own, next, shares)
      finished.add(1, ordering: .releasing)
    }
  }

  /// True while the ticket has shares to claim.
  private var hasWork: Bool {
    let seen = ticket.load(ordering: .sequentiallyConsistent)
    return seen & 0xFFFF < seen >> 16 & 0xFFFF
  }

  fileprivate static func main(_ raw: UnsafeMutableRawPointer) {
    let start = Unmanaged<Start>.fromOpaque(raw).takeRetainedValue()
    start.prepare?()
    start.pool.loop(thread: start.index)
  }

  private func loop(thread: Int) {
    while !stopping.load(ordering: .relaxed) {
      work(thread: thread)
      var rounds = 0
      while rounds < WorkerPool.spins, !hasWork, !stopping.load(ordering: .relaxed) {
        rounds += 1
        // Lets another thread of an overcommitted machine go on.
        if rounds & 255 == 0 { sched_yield() }
      }
      if rounds == WorkerPool.spins { sleep() }
    }
  }

  private func sleep() {
    pthread_mutex_lock(mutex)
    // Announced before the last look: whoever publishes a job after that look sees a sleeper and takes the mutex.
    sleeping.add(1, ordering: .sequentiallyConsistent)
    while !hasWork, !stopping.load(ordering: .sequentiallyConsistent) {
      pthread_cond_wait(wake, mutex)
    }
    sleeping.subtract(1, ordering: .sequentiallyConsistent)
    pthread_mutex_unlock(mutex)
  }
}

#if canImport(Glibc)
  private func workerMain(_ raw: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let raw { WorkerPool.main(raw) }
    return nil
  }
#else
  private func workerMain(_ raw: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    WorkerPool.main(raw)
    return nil
  }
#endif
