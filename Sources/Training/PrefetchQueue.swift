// Batches prepared by a thread of its own: slots with a buffer each, ordered by the training thread
// and filled by the other.

import Basics

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// `@unchecked Sendable`: `slots`, `orders`, `thread` and `isStopping` are touched with `mutex` held
/// only. A slot's buffer belongs to the thread while the slot is `working`, and to the training
/// thread otherwise; the mutex, taken at every change of state, orders the two. Slots are never
/// removed, so a buffer lives as long as the queue. One thread orders and takes.
final class PrefetchQueue: @unchecked Sendable {
  private enum State {
    case idle
    /// To be filled; the lowest order first.
    case ordered(Int)
    case working
    case full
    case failed(EnvironmentFailure)

    var isDone: Bool {
      switch self {
      case .full, .failed: true
      case .idle, .ordered, .working: false
      }
    }
  }

  private struct Slot {
    let source: String
    let buffer: UnsafeMutableRawBufferPointer
    var batch = 0
    var state = State.idle
  }

  private let supplier: any BatchSupplier & Sendable
  private var slots: [Slot] = []
  private var orders = 0
  private var isStopping = false
  private var thread: pthread_t?
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  /// Something was ordered.
  private let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  /// Something is done.
  private let done = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  /// `supplier` is asked for one batch at a time by the thread. The owner must call `stop`.
  init(_ supplier: any BatchSupplier & Sendable) {
    self.supplier = supplier
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(wake, nil)
    pthread_cond_init(done, nil)
  }

  deinit {
    for slot in slots { slot.buffer.deallocate() }
    pthread_cond_destroy(wake)
    pthread_cond_destroy(done)
    pthread_mutex_destroy(mutex)
    wake.deallocate()
    done.deallocate()
    mutex.deallocate()
  }

  // MARK: The training thread

  /// Starts the thread; it keeps the queue alive until `stop`.
  func start() throws(EnvironmentFailure) {
    let queue = Unmanaged.passRetained(self)
    #if canImport(Glibc)
      var made = pthread_t()
      let status = pthread_create(&made, nil, prefetchMain, queue.toOpaque())
    #else
      var made: pthread_t?
      let status = pthread_create(&made, nil, prefetchMain, queue.toOpaque())
    #endif
    guard status == 0 else {
      queue.release()
      throw EnvironmentFailure("the system refused to start the thread that reads the data")
    }
    thread = made
  }

  /// Ends and joins the thread; a batch that it is at is finished first. Harmless again.
  func stop() {
    pthread_mutex_lock(mutex)
    isStopping = true
    let running = thread
    thread = nil
    pthread_cond_broadcast(wake)
    pthread_mutex_unlock(mutex)
    if let running { pthread_join(running, nil) }
  }

  /// New idle slots for a source; returns the first.
  func addSlots(
    _ count: Int, source: String, byteCount: Int
  ) throws(EnvironmentFailure) -> Int {
    var made: [UnsafeMutableRawBufferPointer] = []
    for _ in 0..<count {
      // 64: a line of the caches.
      var memory: UnsafeMutableRawPointer?
      guard posix_memalign(&memory, 64, max(byteCount, 1)) == 0, let memory else {
        for buffer in made { buffer.deallocate() }
        throw EnvironmentFailure(
          "not enough memory to read '\(source)' ahead: \(count) batches of \(byteCount) bytes")
      }
      made.append(UnsafeMutableRawBufferPointer(start: memory, count: byteCount))
    }
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    slots += made.map { Slot(source: source, buffer: $0) }
    return slots.count - count
  }

  /// Has a slot filled with a batch. Its buffer must have been taken or never ordered.
  func order(_ index: Int, batch: Int) {
    pthread_mutex_lock(mutex)
    orders += 1
    slots[index].batch = batch
    slots[index].state = .ordered(orders)
    pthread_cond_signal(wake)
    pthread_mutex_unlock(mutex)
  }

  /// Whether a slot has a batch, or will have: then waits until it is there and returns what it
  /// holds, which stays until the slot is ordered again. Nil where another was ordered; the slot is
  /// idle then. Throws what went wrong with the batch.
  func take(_ index: Int, batch: Int) throws(EnvironmentFailure) -> UnsafeRawBufferPointer? {
    pthread_mutex_lock(mutex)
    while !isStopping, case .working = slots[index].state { pthread_cond_wait(done, mutex) }
    while !isStopping, slots[index].batch == batch, isAwaited(index) {
      pthread_cond_wait(done, mutex)
    }
    let slot = slots[index]
    slots[index].state = .idle
    pthread_mutex_unlock(mutex)
    guard slot.batch == batch, slot.state.isDone else { return nil }
    if case .failed(let failure) = slot.state { throw failure }
    return UnsafeRawBufferPointer(slot.buffer)
  }

  private func isAwaited(_ index: Int) -> Bool {
    switch slots[index].state {
    case .ordered, .working: true
    case .idle, .full, .failed: false
    }
  }

  // MARK: The other thread

  fileprivate func work() {
    pthread_mutex_lock(mutex)
    while !isStopping {
      guard let index = nextOrdered() else {
        pthread_cond_wait(wake, mutex)
        continue
      }
      slots[index].state = .working
      let slot = slots[index]
      pthread_mutex_unlock(mutex)
      let state = fill(slot)
      pthread_mutex_lock(mutex)
      slots[index].state = state
      pthread_cond_broadcast(done)
    }
    pthread_mutex_unlock(mutex)
  }

  private func fill(_ slot: Slot) -> State {
    do throws(EnvironmentFailure) {
      try supplier.fill(source: slot.source, batch: slot.batch, into: slot.buffer)
      return .full
    } catch {
      return .failed(error)
    }
  }

  private func nextOrdered() -> Int? {
    var next: (index: Int, order: Int)?
    for index in slots.indices {
      guard case .ordered(let order) = slots[index].state else { continue }
      if order < next?.order ?? .max { next = (index, order) }
    }
    return next?.index
  }
}

private func runPrefetch(_ raw: UnsafeMutableRawPointer) {
  Unmanaged<PrefetchQueue>.fromOpaque(raw).takeRetainedValue().work()
}

#if canImport(Glibc)
  private func prefetchMain(_ raw: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let raw { runPrefetch(raw) }
    return nil
  }
#else
  private func prefetchMain(_ raw: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    runPrefetch(raw)
    return nil
  }
#endif
