// Ctrl-C and SIGTERM while a run is going on: both are blocked in every thread and looked for
// between steps, so that a step is always finished and nothing has to be safe inside a signal
// handler.

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package enum Interruption {
  private static var both: sigset_t {
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGINT)
    sigaddset(&signals, SIGTERM)
    return signals
  }

  /// Call before any other thread is started; threads inherit the mask.
  package static func deferSignals() {
    var signals = both
    pthread_sigmask(SIG_BLOCK, &signals, nil)
  }

  /// Lets the two end the process at once while `body` runs, or before if one has come already: for
  /// long work that leaves nothing behind.
  package static func endingAtOnce<Result>(_ body: () throws -> Result) rethrows -> Result {
    var signals = both
    var before = sigset_t()
    pthread_sigmask(SIG_UNBLOCK, &signals, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    return try body()
  }

  /// Whether one of the two has come since.
  package static var isPending: Bool {
    var pending = sigset_t()
    sigpending(&pending)
    return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1
  }
}
