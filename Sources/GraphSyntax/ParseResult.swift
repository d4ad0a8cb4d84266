// The entry point of the module: text in, syntax tree and diagnostics out.

import Basics

/// What parsing found. With errors, the file holds what could be understood.
package struct ParseResult: Sendable {
  package var file: SourceFile
  package var diagnostics: [Diagnostic]

  package var hasErrors: Bool { diagnostics.contains { $0.severity == .error } }
}

/// Parses a file. Never fails and never takes more than linear time: what cannot be understood is reported
/// and left out. Diagnostics come in the order of the text, at most `Limits.errors` of them.
package func parse(_ source: SourceText) -> ParseResult {
  ParseResult(
    file: SourceFile(items: [], comments: [], range: SourceRange(0, source.bytes.count)),
    diagnostics: [])
}
