// The entry point of the module: text in, syntax tree and diagnostics out.

import Basics

/// What parsing found. With errors, the file holds what could be understood.
package struct ParseResult: Sendable {
  package var file: SourceFile
  package var diagnostics: [Diagnostic]

  package var hasErrors: Bool { diagnostics.contains { $0.severity == .error } }
}

/// Parses a file. Never fails, and takes linear time: what cannot be understood is reported and left out.
/// Diagnostics come in the order of the text, at most `Limits.errors` and one that says there are more.
package func parse(_ source: SourceText) -> ParseResult {
  let lexed: LexResult
  do { lexed = try lex(source) } catch {
    return ParseResult(file: emptyFile(source), diagnostics: [error])
  }
  var parser = Parser(source, lexed.tokens)
  let items = parser.parseFile()
  var file = emptyFile(source)
  file.items = items
  file.comments = lexed.comments
  return ParseResult(file: file, diagnostics: shown(lexed.diagnostics + parser.diagnostics))
}

/// Parses one expression, such as the value in `--set name=value`.
package func parseExpression(_ source: SourceText) throws(Diagnostic) -> Expression {
  let lexed = try lex(source)
  var parser = Parser(source, lexed.tokens)
  var expression: Expression?
  do {
    let parsed = try parser.parseExpression()
    if parser.current.kind != .endOfFile { throw parser.expected("the end of the expression") }
    expression = parsed
  } catch {}
  if let problem = shown(lexed.diagnostics + parser.diagnostics).first { throw problem }
  guard let expression else { throw Diagnostic("syntax.expected", "expected an expression") }
  return expression
}

private func lex(_ source: SourceText) throws(Diagnostic) -> LexResult {
  guard source.bytes.count <= Limits.fileSize else {
    throw Diagnostic(
      "limit.fileSize",
      "the text has \(source.bytes.count) bytes; at most \(Limits.fileSize) are read",
      at: SourceRange(0, 0))
  }
  if let problem = findEncodingError(source.bytes) { throw problem }
  var lexer = Lexer(source.bytes)
  return lexer.run()
}

private func emptyFile(_ source: SourceText) -> SourceFile {
  SourceFile(items: [], comments: [], range: SourceRange(0, source.bytes.count))
}

private func shown(_ diagnostics: [Diagnostic]) -> [Diagnostic] {
  // The sort must be stable where two begin at one place.
  let sorted = diagnostics.enumerated().sorted {
    ($0.element.range?.start ?? 0, $0.offset) < ($1.element.range?.start ?? 0, $1.offset)
  }.map(\.element)
  guard sorted.count > Limits.errors else { return sorted }
  let last = Diagnostic(
    "limit.errors", "more than \(Limits.errors) errors; the rest is not shown",
    at: sorted[Limits.errors].range)
  return sorted.prefix(Limits.errors) + [last]
}
