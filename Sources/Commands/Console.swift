// Where a command's words go: results to standard output, progress and messages to standard error.
// Tests put closures in their place.

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What a process of ours does about signals that would end it without a word. Called first in
/// `main`.
package func prepareProcess() {
  // A closed pipe and the limit on a file's size then come back as errors of `write`, with a place
  // and a message.
  signal(SIGPIPE, SIG_IGN)
  signal(SIGXFSZ, SIG_IGN)
}

package final class Console {
  private let output: (String) -> Void
  private let errors: (String) -> Void
  /// Whether progress may rewrite its line.
  package let isTerminal: Bool
  /// The terminal's width in columns.
  package var width: Int

  package init(
    output: @escaping (String) -> Void, errors: @escaping (String) -> Void, isTerminal: Bool,
    width: Int = 80
  ) {
    self.output = output
    self.errors = errors
    self.isTerminal = isTerminal
    self.width = width
  }

  /// The process's own streams.
  package static func standard() -> Console {
    Console(
      output: { write($0, to: 1) }, errors: { write($0, to: 2) }, isTerminal: isatty(2) == 1,
      width: terminalWidth())
  }

  package func print(_ text: String) { output(text) }
  package func message(_ text: String) { errors(text) }

  private static func write(_ text: String, to file: Int32) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { systemWrite(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      // A closed pipe or a full disk behind a redirection: nothing more can be said.
      guard count > 0 else { return }
      bytes = bytes.dropFirst(count)
    }
  }

  private static func terminalWidth() -> Int {
    var size = winsize()
    guard ioctl(2, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }
}

/// The system call, under a name that the method does not hide.
private func systemWrite(_ file: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  write(file, bytes, count)
}
