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
  /// Whether progress may rewrite its line: messages go to a terminal that knows how.
  package let isTerminal: Bool
  /// Whether results go to a terminal, which messages may go to as well.
  package let outputIsTerminal: Bool
  /// Whether results may be coloured: standard output is a terminal, and nobody asked for none.
  package let usesColour: Bool
  /// Whether messages may be coloured.
  package let coloursMessages: Bool
  /// Whether messages may have more than ASCII.
  package let usesUnicode: Bool
  /// The terminal's width in columns, asked anew each time: windows change.
  package var width: Int { measureWidth() }
  private let measureWidth: () -> Int

  /// `output` throws an `EnvironmentFailure` where it cannot write, `ReaderClosed` where nobody
  /// reads.
  package init(
    output: @escaping (String) throws -> Void, errors: @escaping (String) -> Void,
    isTerminal: Bool, width: @autoclosure @escaping () -> Int = 80, usesColour: Bool = false,
    outputIsTerminal: Bool = false, coloursMessages: Bool = false, usesUnicode: Bool = false
  ) {
    self.output = output
    self.errors = errors
    self.isTerminal = isTerminal
    measureWidth = width
    self.usesColour = usesColour
    self.outputIsTerminal = outputIsTerminal
    self.coloursMessages = coloursMessages
    self.usesUnicode = usesUnicode
  }

  /// The process's own streams.
  package static func standard() -> Console {
    let environment = processEnvironment()
    return Console(
      output: { try writeResult($0) }, messages: 2, environment,
      usesColour: isatty(1) == 1 && allowsColour(environment), outputIsTerminal: isatty(1) == 1)
  }

  /// A console whose messages go to an open file, which may be a terminal.
  package convenience init(
    output: @escaping (String) throws -> Void, messages file: Int32,
    _ environment: [String: String], usesColour: Bool = false, outputIsTerminal: Bool = false
  ) {
    let isTerminal = isatty(file) == 1 && environment["TERM"] != "dumb"
    self.init(
      output: output,
      // Where messages cannot be written, nothing can be said about it either.
      errors: { _ = Self.write($0, to: file) }, isTerminal: isTerminal,
      width: Self.terminalWidth(file), usesColour: usesColour, outputIsTerminal: outputIsTerminal,
      coloursMessages: isTerminal && Self.allowsColour(environment),
      usesUnicode: Self.allowsUnicode(environment))
  }

  /// Whether the locale's characters are Unicode's: the first of the three variables that is set says it.
  static func allowsUnicode(_ environment: [String: String]) -> Bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy
      .compactMap { environment[$0] }.first { !$0.isEmpty }
    guard let locale = locale?.lowercased() else { return false }
    return locale.hasSuffix("utf-8") || locale.hasSuffix("utf8")
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

  private static func terminalWidth(_ file: Int32) -> Int {
    var size = winsize()
    guard ioctl(file, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }
}

/// The system call, under a name that the method does not hide.
private func systemWrite(_ file: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  write(file, bytes, count)
}
