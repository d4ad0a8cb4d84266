// The parser's ground: the place in the tokens, what is expected there, and how to go on after an error.
// It is a recursive descent without backtracking. An error ends the statement it stands in (`Abort`);
// bodies and the top level then move to the next line that can begin a statement, so that independent
// errors are all found in one run.

import Basics

/// The statement being parsed is given up; its error has been reported.
struct Abort: Error {}

struct Parser {
  let source: SourceText
  let tokens: [Token]
  var at = 0
  var diagnostics: [Diagnostic] = []
  /// `(` and `[` that are open in the present statement: line ends do not count inside them.
  var brackets: [Token] = []
  /// Recursion of the parser, and how many bodies are open around the present statement.
  var depth = 0
  var bodyDepth = 0
  /// Set where the top level holds something that is no item.
  var isLost = false
  /// Places that have an error already; a second one there is a consequence of the first.
  private var reported: Set<Int32> = []

  init(_ source: SourceText, _ tokens: [Token]) {
    self.source = source
    self.tokens = tokens
  }

  // MARK: - Tokens

  var current: Token { tokens[at] }
  var next: Token { tokens[min(at + 1, tokens.count - 1)] }
  var previousEnd: Int { at > 0 ? Int(tokens[at - 1].range.end) : 0 }

  mutating func advance() {
    if at < tokens.count - 1 { at += 1 }
  }

  func text(_ token: Token) -> String { source.text(token.range) }

  /// The range from a start to the end of the last token taken.
  func range(from start: Int32) -> SourceRange { SourceRange(Int(start), previousEnd) }

  func isWord(_ word: String, _ token: Token) -> Bool {
    token.kind == .identifier && Int(token.range.end - token.range.start) == word.utf8.count
      && text(token) == word
  }

  /// Whether the present token stands where the statement has ended.
  var isAtEnd: Bool { brackets.isEmpty && isStatementEnd(current) }

  func isStatementEnd(_ token: Token) -> Bool {
    token.startsLine || token.kind == .semicolon || token.kind == .rightBrace
      || token.kind == .endOfFile
  }

  /// The present token's kind, or nil where a line end separates it from the statement.
  var kind: Token.Kind? { isAtEnd ? nil : current.kind }

  mutating func take(_ wanted: Token.Kind) -> Bool {
    guard current.kind == wanted else { return false }
    advance()
    return true
  }

  // MARK: - Errors

  mutating func report(
    _ code: String, _ message: String, at range: SourceRange, notes: [Diagnostic.Note] = [],
    help: String? = nil
  ) {
    guard reported.count <= Limits.errors, reported.insert(range.start).inserted else { return }
    diagnostics.append(Diagnostic(code, message, at: range, notes: notes, help: help))
  }

  mutating func fail(
    _ code: String, _ message: String, at range: SourceRange, notes: [Diagnostic.Note] = [],
    help: String? = nil
  ) -> Abort {
    report(code, message, at: range, notes: notes, help: help)
    return Abort()
  }

  /// What stands at the present place, in words, and where to point: at the token, or behind the one before
  /// where the line or the file ends.
  func found() -> (text: String, place: SourceRange) {
    let behind = SourceRange(previousEnd, previousEnd)
    switch current.kind {
    case .endOfFile: return ("the end of the file", behind)
    case _ where isAtEnd && current.isFirstOnLine && at > 0 || startsStatementOnNewLine:
      return ("the end of the line", behind)
    case .integer, .float: return ("the number `\(shortText(current))`", current.range)
    case .string: return ("the string \(shortText(current))", current.range)
    default: return ("`\(shortText(current))`", current.range)
    }
  }

  func shortText(_ token: Token) -> String {
    let text = text(token)
    return text.count <= 40 ? text : text.prefix(39) + "…"
  }

  /// `expected WHAT, found …`, unless the lexer has reported the present token.
  mutating func expected(
    _ what: String, code: String = "syntax.expected", notes: [Diagnostic.Note] = [],
    help: String? = nil
  ) -> Abort {
    if current.kind == .invalid { return Abort() }
    let found = found()
    return fail(
      code, "expected \(what), found \(found.text)", at: found.place, notes: notes, help: help)
  }

  @discardableResult
  mutating func expect(_ wanted: Token.Kind, _ what: String, help: String? = nil) throws(Abort)
    -> Token
  {
    let token = current
    guard take(wanted) else { throw expected(what, help: help) }
    return token
  }

  mutating func expectName(_ what: String) throws(Abort) -> Name {
    let token = current
    guard token.kind == .identifier, !isAtEnd else { throw expected(what) }
    let name = try checkedName(token)
    advance()
    return name
  }

  /// The name that an identifier token is, unless it is a word of the language.
  mutating func checkedName(_ token: Token) throws(Abort) -> Name {
    let word = text(token)
    if word == "_" {
      throw fail(
        "syntax.wildcard", "`_` is no name; it stands only in `let (a, _) = …`", at: token.range)
    }
    if Keyword.reserved.contains(word) {
      throw fail(
        "syntax.reserved", "`\(word)` is a word of the language, not a name", at: token.range)
    }
    return Name(word, token.range)
  }

  /// Takes a word such as `minimizing`, also where it is misspelt (and says so).
  mutating func expectWord(_ word: String, also accepted: [String] = [], after what: String)
    throws(Abort)
  {
    let options = [word] + accepted
    if kind == .identifier, !isWord(word, current) {
      let found = text(current)
      if let near = nearestName(to: found, in: options) {
        report(
          "syntax.expected", "expected `\(word)` after \(what), found `\(found)`",
          at: current.range, help: "did you mean \(near == word ? near : word)?")
        return advance()
      }
    }
    guard isWord(word, current) else { throw expected("`\(word)` after \(what)") }
    if isAtEnd {
      report(
        "syntax.expected", "expected `\(word)` on the line of \(what)", at: current.range,
        help: "a line that begins with `\(word)` does not continue the one before")
    }
    advance()
  }

  /// Takes `=`; a `:` or `==` in its place, or nothing, is reported and passed over.
  mutating func expectAssign(after what: String) throws(Abort) {
    if take(.assign) { return }
    if !isAtEnd, current.kind == .colon || current.kind == .equal {
      let found = text(current)
      report(
        "syntax.expected", "expected `=` after \(what), found `\(found)`", at: current.range,
        help: "write `=`")
      return advance()
    }
    if !isAtEnd, canBeginExpression(current) {
      let found = found()
      return report(
        "syntax.expected", "expected `=` after \(what), found \(found.text)", at: found.place,
        help: "`=` is missing")
    }
    throw expected("`=` after \(what)")
  }

  func canBeginExpression(_ token: Token) -> Bool {
    switch token.kind {
    case .identifier, .integer, .float, .string, .leftParen, .leftBracket, .minus: true
    default: false
    }
  }

  // MARK: - Nesting

  /// Enters one level of recursion; pair with `depth -= 1`.
  mutating func enter() throws(Abort) {
    if depth >= Limits.nesting { throw tooDeep(at: current.range) }
    depth += 1
  }

  mutating func tooDeep(at range: SourceRange) -> Abort {
    fail(
      "limit.nesting", "this is nested more than \(Limits.nesting) levels deep", at: range,
      help: "name parts of it with `let`; chains of `|>` may be as long as you like")
  }

  // MARK: - Going on after an error

  /// Moves to where the next statement of the same body can begin: after `;`, at a line's start, or at the
  /// `}` that ends the body. Inside brackets that the error left open, only a line that begins a statement
  /// for certain ends them. `start` is the token at which the broken statement began.
  mutating func recoverStatement(from start: Int) {
    var open = brackets.count
    var braces = 0
    brackets.removeAll()
    while current.kind != .endOfFile {
      if current.startsLine, at > start, braces == 0,
        open == 0 || startsStatement(current, next) || startsItem(current, next)
      {
        return
      }
      switch current.kind {
      case .leftParen, .leftBracket: open += 1
      case .rightParen, .rightBracket: open = max(0, open - 1)
      case .leftBrace:
        braces += 1
        open = 0
      case .rightBrace:
        if braces == 0 { return }
        braces -= 1
        open = 0
      case .semicolon where open == 0 && braces == 0: return
      default: break
      }
      advance()
    }
  }

  /// Moves to the next line outside braces and brackets that begins with a word; where the text makes no
  /// sense as items at all (`isLost`), to the next that begins an item for certain.
  mutating func recoverItem(from start: Int) {
    var open = brackets.count
    var braces = 0
    brackets.removeAll()
    while current.kind != .endOfFile {
      if current.startsLine, at > start, braces == 0, current.kind == .identifier,
        !isLost && open == 0 || startsItem(current, next)
      {
        break
      }
      switch current.kind {
      case .leftParen, .leftBracket: open += 1
      case .rightParen, .rightBracket: open = max(0, open - 1)
      case .leftBrace: braces += 1
      case .rightBrace: braces = max(0, braces - 1)
      default: break
      }
      advance()
    }
    isLost = false
  }

  /// After a statement: its line must end here.
  mutating func expectEnd(of what: String) throws(Abort) {
    if isAtEnd { return }
    var help: String?
    switch current.kind {
    case .assign:
      help = "values are named with `let`: `let (a, b) = f(x)`"
    case .rightParen, .rightBracket:
      help = "this `\(text(current))` closes nothing"
    default: break
    }
    throw expected("the end of the line after \(what)", help: help)
  }
}
