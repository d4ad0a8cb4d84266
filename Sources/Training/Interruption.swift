// Ctrl-C and SIGTERM while a run is going on: both are blocked in every thread and looked for
// between steps, so that a step is always finished and nothing has to be safe inside a signal
// handler.

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package enum Interruption {
  /// Call before any other thread is started; threads inherit the mask.
  package static func deferSignals() {
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGINT)
    sigaddset(&signals, SIGTERM)
    pthread_sigmask(SIG_BLOCK, &signals, nil)
  }

  /// Whether one of the two has come since.
  package static var isPending: Bool {
    var pending = sigset_t()
    sigpending(&pending)
    return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1
  }
}
