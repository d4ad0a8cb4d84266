// The lexer: bytes in, tokens, comments and diagnostics out. Every byte is looked at once. Text that is no
// token becomes a diagnostic and, where the parser would stumble over the gap, an `invalid` token.

import Basics

package struct LexResult: Sendable {
  /// Ends in exactly one `endOfFile`.
  package var tokens: [Token]
  package var comments: [Comment]
  package var diagnostics: [Diagnostic]
}

package struct Lexer {
  private let bytes: [UInt8]
  private var at = 0
  private var tokens: [Token] = []
  private var comments: [Comment] = []
  private var diagnostics: [Diagnostic] = []
  /// Line ends since the last token, and since the last token or comment.
  private var sawNewline = true
  private var newlines = 0
  private var precededByComment = false

  /// The bytes must be valid UTF-8 (`findEncodingError`).
  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  package mutating func run() -> LexResult {
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
    while skipSpace() { lexToken() }
    emit(.endOfFile, from: bytes.count)
    return LexResult(tokens: tokens, comments: comments, diagnostics: diagnostics)
  }

  // MARK: - Space and comments

  /// Moves to the next token; false at the end of the file.
  private mutating func skipSpace() -> Bool {
    while at < bytes.count {
      switch bytes[at] {
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"):
        at += 1
      case UInt8(ascii: "\n"):
        at += 1
        newlines += 1
        sawNewline = true
      case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "/"):
        lexLineComment(from: at)
      case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "*"):
        lexBlockComment()
      case UInt8(ascii: "#"):
        let start = at
        skipToLineEnd()
        report(
          "syntax.comment", "`#` does not begin a comment", start, start + 1,
          help: "comments begin with `//`, or stand between `/*` and `*/`")
      default:
        return true
      }
    }
    closeComment()
    return false
  }

  private mutating func skipToLineEnd() {
    while at < bytes.count, bytes[at] != UInt8(ascii: "\n") { at += 1 }
  }

  private mutating func lexLineComment(from start: Int) {
    skipToLineEnd()
    var end = at
    while end > start, Self.isSpace(bytes[end - 1]) { end -= 1 }
    addComment(start, end, isBlock: false)
  }

  /// Block comments nest. Line ends inside one do not end a statement.
  private mutating func lexBlockComment() {
    let start = at
    var depth = 0
    while at < bytes.count {
      if bytes[at] == UInt8(ascii: "/"), peek(1) == UInt8(ascii: "*") {
        depth += 1
        at += 2
      } else if bytes[at] == UInt8(ascii: "*"), peek(1) == UInt8(ascii: "/") {
        depth -= 1
        at += 2
        if depth == 0 { return addComment(start, at, isBlock: true) }
      } else {
        at += 1
      }
    }
    report(
      "syntax.unterminatedComment",
      depth == 1
        ? "this comment has no end" : "this comment has no end: \(depth) `*/` are missing",
      start, start + 2, help: "`/*` and `*/` nest; each `/*` needs its own `*/`")
  }

  private mutating func addComment(_ start: Int, _ end: Int, isBlock: Bool) {
    closeComment()
    let text = String(
      decoding: bytes[start..<end].lazy.filter { $0 != UInt8(ascii: "\r") }, as: UTF8.self)
    comments.append(
      Comment(
        text: text, isBlock: isBlock, newlinesBefore: newlines, newlinesAfter: 0,
        range: SourceRange(start, end)))
    newlines = 0
    precededByComment = true
  }

  /// Tells the comment before the present place how many line ends follow it.
  private mutating func closeComment() {
    if precededByComment { comments[comments.count - 1].newlinesAfter = newlines }
  }

  // MARK: - Tokens

  private mutating func lexToken() {
    let start = at
    let byte = bytes[at]
    if Self.isIdentifierStart(byte) {
      while at < bytes.count, Self.isIdentifierPart(bytes[at]) { at += 1 }
      return emit(.identifier, from: start)
    }
    if Self.isDigit(byte) { return lexNumber() }
    if byte == UInt8(ascii: "\"") { return lexString(quote: byte) }
    for (spelling, kind) in Self.punctuation
    where spelling.count <= bytes.count - at
      && bytes[at..<(at + spelling.count)].elementsEqual(spelling)
    {
      at += spelling.count
      return emit(kind, from: start)
    }
    lexUnknown()
  }

  /// Longer spellings stand before their beginnings.
  private static let punctuation: [([UInt8], Token.Kind)] = {
    let kinds: [Token.Kind] = [
      .rangeDots, .pipe, .arrow, .equal, .notEqual, .lessEqual, .greaterEqual, .less, .greater,
      .leftParen, .rightParen, .leftBracket, .rightBracket, .leftBrace, .rightBrace, .comma,
      .colon, .semicolon, .dot, .assign, .plus, .minus, .star, .slash, .percent,
    ]
    return kinds.map { (Array(($0.spelling ?? "").utf8), $0) }
  }()

  private mutating func emit(_ kind: Token.Kind, from start: Int) {
    closeComment()
    var continues = false
    if sawNewline {
      switch kind {
      case .pipe, .star, .slash, .plus: continues = true
      case .minus: continues = at >= bytes.count || Self.isSpace(bytes[at])
      default: break
      }
    }
    tokens.append(
      Token(
        kind: kind, range: SourceRange(start, kind == .endOfFile ? start : at),
        isFirstOnLine: sawNewline, continuesLine: continues))
    sawNewline = false
    newlines = 0
    precededByComment = false
  }

  /// `1`, `0.2`, `2e-4`, `1_000`. A point belongs to the number only before a digit, so that `0...1` is a
  /// range.
  private mutating func lexNumber() {
    let start = at
    var isFloat = false
    skipDigits()
    if peek(0) == UInt8(ascii: "."), let next = peek(1), Self.isDigit(next) {
      isFloat = true
      at += 1
      skipDigits()
    }
    if peek(0) == UInt8(ascii: "e") || peek(0) == UInt8(ascii: "E") {
      var digit = 1
      if peek(1) == UInt8(ascii: "-") || peek(1) == UInt8(ascii: "+") { digit = 2 }
      if let next = peek(digit), Self.isDigit(next) {
        isFloat = true
        at += digit
        skipDigits()
      }
    }
    let end = at
    if let next = peek(0), Self.isIdentifierPart(next) {
      while let next = peek(0), Self.isIdentifierPart(next) { at += 1 }
      report(
        "syntax.number", "`\(text(start, at))` is not a number", start, at,
        help: "numbers are written `1`, `0.2` or `2e-4`; names begin with a letter")
      return emit(.invalid, from: start)
    }
    if peek(0) == UInt8(ascii: "."), peek(1) != UInt8(ascii: ".") {
      at += 1
      report(
        "syntax.number", "digits are expected after the point of `\(text(start, at))`", start, at,
        help: "write `\(text(start, end)).0`")
      return emit(.invalid, from: start)
    }
    if end - start > Limits.numeral {
      report(
        "limit.numeral",
        "this number has \(end - start) characters; at most \(Limits.numeral) are read",
        start, end)
      return emit(.invalid, from: start)
    }
    emit(isFloat ? .float : .integer, from: start)
  }

  private mutating func skipDigits() {
    while let next = peek(0), Self.isDigit(next) || next == UInt8(ascii: "_") { at += 1 }
  }

  /// A string ends on its line. Escapes are resolved by the parser; here they only hide a quote.
  private mutating func lexString(quote: UInt8) {
    let start = at
    at += 1
    while let byte = peek(0), byte != quote, byte != UInt8(ascii: "\n"), byte != UInt8(ascii: "\r")
    {
      at +=
        byte == UInt8(ascii: "\\") && (peek(1) == quote || peek(1) == UInt8(ascii: "\\")) ? 2 : 1
    }
    guard peek(0) == quote else {
      at = min(at, bytes.count)
      report(
        "syntax.unterminatedString", "this string has no end on its line", start, at,
        help: "a string stands between two `\(Character(Unicode.Scalar(quote)))` on one line")
      return emit(.invalid, from: start)
    }
    at += 1
    guard quote == UInt8(ascii: "\"") else {
      report(
        "syntax.character", "strings stand in double quotes, not in single ones", start, at,
        help: "write \"\(text(start + 1, at - 1))\"")
      return emit(.invalid, from: start)
    }
    emit(.string, from: start)
  }

  private mutating func lexUnknown() {
    let start = at
    if bytes[at] == UInt8(ascii: "'") { return lexString(quote: bytes[at]) }
    at += 1
    while at < bytes.count, bytes[at] & 0xC0 == 0x80 { at += 1 }
    let found = text(start, at)
    // The rest of a run of such characters says nothing new.
    while let next = peek(0), next >= 0x80 { at += 1 }
    let control = bytes[start] < 0x20 || bytes[start] == 0x7F
    report(
      "syntax.character",
      control
        ? "a control character (code \(bytes[start])) has no meaning here"
        : "the character `\(found)` has no meaning here",
      start, at, help: Self.helpForCharacter(found))
    emit(.invalid, from: start)
  }

  private static func helpForCharacter(_ character: String) -> String? {
    switch character {
    case "\u{2212}", "\u{2013}", "\u{2014}": "write a plain minus, `-`"
    case "\u{00D7}", "\u{00B7}": "write `*` for a product"
    case "\u{00F7}": "write `/` for a quotient"
    case "\u{201C}", "\u{201D}", "\u{201E}", "\u{2018}", "\u{2019}", "`":
      "strings stand in plain double quotes, `\"`"
    case "\u{2026}": "write a range with three points, `...`"
    case "\u{2192}": "write an arrow `->`"
    case "\u{00A0}": "this is a no-break space; write a plain one"
    case "|": "did you mean `|>`?"
    case "!": "did you mean `!=`?"
    case "@": "matrices are multiplied by `matmul(a, b)`"
    case "^": "powers are written `power(a, b)`"
    default: nil
    }
  }

  // MARK: - Helpers

  private func peek(_ distance: Int) -> UInt8? {
    at + distance < bytes.count ? bytes[at + distance] : nil
  }

  /// The text of a range, cut to what a message can hold.
  private func text(_ start: Int, _ end: Int) -> String {
    let cut = min(end, start + 60, bytes.count)
    return String(decoding: bytes[min(start, cut)..<cut], as: UTF8.self) + (cut < end ? "…" : "")
  }

  private mutating func report(
    _ code: String, _ message: String, _ start: Int, _ end: Int, help: String? = nil
  ) {
    // More than these are never shown; a file of noise must not fill the memory.
    guard diagnostics.count <= Limits.errors else { return }
    diagnostics.append(Diagnostic(code, message, at: SourceRange(start, end), help: help))
  }

  private static func isSpace(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
      || byte == UInt8(ascii: "\n")
  }
  static func isDigit(_ byte: UInt8) -> Bool {
    byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
  }
  static func isIdentifierStart(_ byte: UInt8) -> Bool {
    (byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z"))
      || byte == UInt8(ascii: "_")
  }
  static func isIdentifierPart(_ byte: UInt8) -> Bool { isIdentifierStart(byte) || isDigit(byte) }
}

/// The first place that is not UTF-8 text: a NUL or a malformed sequence (RFC 3629, so without surrogates
/// and overlong forms).
package func findEncodingError(_ bytes: [UInt8]) -> Diagnostic? {
  var at = 0
  while at < bytes.count {
    let first = bytes[at]
    if first == 0 {
      return Diagnostic(
        "syntax.encoding", "the file holds a NUL byte; it is not a text file in UTF-8",
        at: SourceRange(at, at + 1))
    }
    let length: Int
    var low: UInt8 = 0x80
    var high: UInt8 = 0xBF
    switch first {
    case 0x01...0x7F:
      at += 1
      continue
    case 0xC2...0xDF: length = 2
    case 0xE0...0xEF:
      length = 3
      if first == 0xE0 { low = 0xA0 }
      if first == 0xED { high = 0x9F }
    case 0xF0...0xF4:
      length = 4
      if first == 0xF0 { low = 0x90 }
      if first == 0xF4 { high = 0x8F }
    default: length = 0
    }
    var isValid = length > 0 && at + length <= bytes.count
    if isValid {
      for offset in 1..<length {
        let byte = bytes[at + offset]
        if byte < low || byte > high { isValid = false }
        low = 0x80
        high = 0xBF
      }
    }
    guard isValid else {
      let wide = at < 2 && (first == 0xFF || first == 0xFE)
      return Diagnostic(
        "syntax.encoding", "the byte \(first) here is not UTF-8 text",
        at: SourceRange(at, at + 1),
        help: wide ? "the file looks like UTF-16; save it as UTF-8" : nil)
    }
    at += length
  }
  return nil
}
