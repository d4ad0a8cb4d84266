// What goes wrong, in three kinds that are never mixed: a diagnostic about the user's program or arguments,
// an environment failure (a file, a device, memory), and an internal error (a bug of ours).

package enum Severity: String, Sendable {
  case error, warning, note
}

/// A statement about the user's program: what was expected, what was found, and where it can, the mend.
package struct Diagnostic: Error, Hashable, Sendable {
  package struct Note: Hashable, Sendable {
    package var message: String
    package var range: SourceRange?
    package init(_ message: String, at range: SourceRange? = nil) {
      self.message = message
      self.range = range
    }
  }

  package var severity: Severity
  /// A stable, dotted name such as `shape.mismatch`, by which tests and tools recognise it.
  package var code: String
  package var message: String
  /// The place; nil until a layer that knows it fills it in.
  package var range: SourceRange?
  package var notes: [Note]
  /// The mend, shown as `help: …`.
  package var help: String?

  package init(
    _ code: String, _ message: String, at range: SourceRange? = nil,
    severity: Severity = .error, notes: [Note] = [], help: String? = nil
  ) {
    self.severity = severity
    self.code = code
    self.message = message
    self.range = range
    self.notes = notes
    self.help = help
  }

  /// The same diagnostic, placed at `range` unless it already has a place.
  package func placed(at range: SourceRange?) -> Diagnostic {
    guard self.range == nil else { return self }
    var copy = self
    copy.range = range
    return copy
  }
}

/// Several diagnostics of one compilation, at least one of them an error.
package struct Diagnostics: Error, Sendable {
  package var all: [Diagnostic]
  package init(_ all: [Diagnostic]) { self.all = all }
  package var hasErrors: Bool { all.contains { $0.severity == .error } }
}

/// Something outside the program failed: a file, a device, memory. Exit code 3.
package struct EnvironmentFailure: Error, Hashable, Sendable, CustomStringConvertible {
  package var message: String
  package var help: String?
  package init(_ message: String, help: String? = nil) {
    self.message = message
    self.help = help
  }
  package var description: String { help.map { "\(message)\nhelp: \($0)" } ?? message }
}

/// A bug of ours. Exit code 70.
package struct InternalError: Error, Sendable, CustomStringConvertible {
  /// The graph that a pass was given and broke, for whoever looks for the bug.
  package struct LastGood: Sendable {
    /// The name of a file for it.
    package var fileName: String
    /// As IR text.
    package var text: String
    package var pass: String
    package init(fileName: String, text: String, pass: String) {
      self.fileName = fileName
      self.text = text
      self.pass = pass
    }
  }

  package var message: String
  /// Nil where no pass is at fault, or the graph is saved already.
  package var lastGood: LastGood?
  package init(_ message: String, lastGood: LastGood? = nil) {
    self.message = message
    self.lastGood = lastGood
  }
  package var description: String { "internal error: \(message)" }
}

/// Renders diagnostics as text: `FILE:LINE:COLUMN: error: message [code]`, the line, and a caret under the place.
package struct DiagnosticRenderer: Sendable {
  package var source: SourceText
  package init(_ source: SourceText) { self.source = source }

  package func render(_ diagnostic: Diagnostic) -> String {
    var out = head(diagnostic.severity, diagnostic.message, diagnostic.range)
    out += " [\(diagnostic.code)]\n"
    if let range = diagnostic.range { out += excerpt(range) }
    for note in diagnostic.notes {
      out += head(.note, note.message, note.range) + "\n"
      if let range = note.range { out += excerpt(range) }
    }
    if let help = diagnostic.help { out += "  help: \(help)\n" }
    return out
  }

  package func render(_ diagnostics: [Diagnostic]) -> String {
    diagnostics.map(render).joined()
  }

  private func head(_ severity: Severity, _ message: String, _ range: SourceRange?) -> String {
    guard let range else { return "\(source.name): \(severity.rawValue): \(message)" }
    let place = source.position(of: range.start)
    return "\(source.name):\(place.line):\(place.column): \(severity.rawValue): \(message)"
  }

  /// The line of the range's start with carets under it. Long lines are cut around the place.
  private func excerpt(_ range: SourceRange) -> String {
    let start = source.position(of: range.start)
    let end = source.position(of: max(range.start, range.end))
    let line = Array(source.line(start.line))
    let first = max(0, min(start.column - 1, line.count))
    let last = end.line == start.line ? min(end.column - 1, line.count) : line.count
    let window = max(0, first - 60)..<max(0, min(line.count, max(first + 40, window(first, last))))
    let shown = window.isEmpty ? "" : String(line[window].map { $0 == "\t" ? " " : $0 })
    let carets = String(repeating: "^", count: max(1, min(last, window.upperBound) - first))
    let indent = String(repeating: " ", count: first - min(window.lowerBound, first))
    return "  | \(shown)\n  | \(indent)\(carets)\n"
  }

  private func window(_ first: Int, _ last: Int) -> Int { min(max(last, first) + 20, first + 120) }
}
