// Where a command's words go: results to standard output, progress and messages to standard error.
// Tests put closures in their place. Results that cannot be written make the command fail; messages
// that cannot are lost.

import Basics

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
  // A stream that was closed by the caller would lend its number to the first file that is opened,
  // and words would end in that file. Opened for reading only, so that writing to it fails.
  for stream in Int32(0)...2 where fcntl(stream, F_GETFD) < 0 { _ = open("/dev/null", O_RDONLY) }
}

/// Nobody reads standard output any more, as after `gan-compile FILE | head`. No failure: what was
/// asked for has been read.
package struct ReaderClosed: Error {
  package init() {}
}

package final class Console {
  private let output: (String) throws -> Void
  private var outputEnded = false
  /// Why results were lost: the first write to standard output that failed.
  package private(set) var outputFailure: EnvironmentFailure?
  private let errors: (String) -> Void
  /// Whether progress may rewrite its line.
  package let isTerminal: Bool
  /// Whether results may be coloured: standard output is a terminal, and nobody asked for none.
  package let usesColour: Bool
  /// The terminal's width in columns.
  package var width: Int

  /// `output` throws an `EnvironmentFailure` where it cannot write, `ReaderClosed` where nobody
  /// reads.
  package init(
    output: @escaping (String) throws -> Void, errors: @escaping (String) -> Void,
    isTerminal: Bool, width: Int = 80, usesColour: Bool = false
  ) {
    self.output = output
    self.errors = errors
    self.isTerminal = isTerminal
    self.width = width
    self.usesColour = usesColour
  }

  /// The process's own streams.
  package static func standard() -> Console {
    Console(
      output: { try writeResult($0) },
      // Where messages cannot be written, nothing can be said about it either.
      errors: { _ = write($0, to: 2) }, isTerminal: isatty(2) == 1, width: terminalWidth(),
      usesColour: isatty(1) == 1 && allowsColour(processEnvironment()))
  }

  /// Colours are off where NO_COLOR is set to anything (no-color.org), and on terminals that have none.
  package static func allowsColour(_ environment: [String: String]) -> Bool {
    (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
  }

  /// Writes a result. After a write that failed nothing more is written, so that what is there has
  /// no gap.
  package func print(_ text: String) {
    guard !outputEnded else { return }
    do {
      try output(text)
    } catch {
      outputEnded = true
      outputFailure = error as? EnvironmentFailure
    }
  }

  package func message(_ text: String) { errors(text) }

  private static func writeResult(_ text: String) throws {
    let failure = write(text, to: 1)
    if failure == EPIPE { throw ReaderClosed() }
    guard failure == 0 else {
      throw EnvironmentFailure(
        "cannot write to standard output: \(String(cString: strerror(failure)))")
    }
  }

  /// Writes all of a text. Returns 0 or the system's error number.
  private static func write(_ text: String, to file: Int32) -> Int32 {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { systemWrite(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      // No file takes zero bytes of some; were one to, this must not become a loop.
      guard count > 0 else { return count < 0 ? errno : EIO }
      bytes = bytes.dropFirst(count)
    }
    return 0
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
