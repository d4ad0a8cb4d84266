// The words that begin items and statements. Only `let`, `true` and `false` are reserved; the others are
// words of the language only where what follows makes them so, and may be used as names elsewhere.

import Basics

enum Keyword {
  static let reserved: Set<String> = ["let", "true", "false"]
  static let items = [
    "model", "let", "data", "network", "block", "optimizer", "train", "sample", "state",
  ]
  static let statements = [
    "let", "update", "repeat", "average", "report", "every", "sample", "checkpoint", "state",
  ]

  /// Words of other languages, and what to write instead.
  static func advice(for word: String) -> String? {
    switch word {
    case "var", "const", "val", "auto", "int", "float": "values are named with `let NAME = …`"
    case "def", "func", "fn", "function", "class", "module":
      "write `network NAME(x: [n, …]) -> [n, …] { … }`, or `block NAME(x) { … }`"
    case "import", "include", "using": "a program is one file; there is nothing to import"
    case "for", "while", "loop": "steps are repeated with `repeat K { … }`"
    case "if", "else", "switch": "values are chosen with `where(condition, a, b)`"
    case "return": "a body ends in its result, without `return`"
    case "print", "log": "scalars are logged with `report NAME`"
    default: nil
    }
  }
}

extension Parser {
  /// Whether the token begins a top-level item for certain, also in the middle of a body.
  func startsItem(_ token: Token, _ next: Token) -> Bool {
    guard token.kind == .identifier else { return false }
    let sameLine = !next.startsLine
    switch text(token) {
    case "network", "block", "data", "optimizer": return sameLine && next.kind == .identifier
    case "model": return sameLine && next.kind == .string
    case "train": return sameLine && (next.kind == .leftParen || next.kind == .leftBrace)
    case "sample":
      return sameLine
        && (next.kind == .leftParen || next.kind == .leftBrace || next.kind == .identifier)
    case "let": return true
    case "state": return sameLine && next.kind == .identifier
    default: return false
    }
  }

  /// Whether the token begins an item that cannot be a statement: in a body, a `}` is missing before it.
  func startsItemOnly(_ token: Token, _ next: Token, inEvery: Bool) -> Bool {
    guard startsItem(token, next) else { return false }
    switch text(token) {
    case "let", "state", "optimizer": return false
    case "sample":
      return next.kind != .identifier
        || tokens[min(at + 2, tokens.count - 1)].kind == .leftParen
        || tokens[min(at + 2, tokens.count - 1)].kind == .leftBrace
    default: return true
    }
  }

  /// Whether the token begins a statement with a keyword for certain.
  func startsStatement(_ token: Token, _ next: Token) -> Bool {
    guard token.kind == .identifier else { return false }
    let sameLine = !next.startsLine
    let name = sameLine && next.kind == .identifier
    let number = sameLine && (next.kind == .integer || next.kind == .float)
    switch text(token) {
    case "let": return true
    case "update": return name || sameLine && next.kind == .leftBrace
    case "repeat", "every":
      return name || number
        || sameLine && (next.kind == .leftParen || next.kind == .leftBrace)
    case "average", "state", "sample", "optimizer": return name
    case "report": return name || number || sameLine && next.kind == .string
    default: return false
    }
  }

  /// Whether the present token begins a statement on a line of its own, so that what went before has ended
  /// although something is missing there, be it a bracket.
  var startsStatementOnNewLine: Bool {
    current.startsLine && at > 0
      && (startsStatement(current, next)
        || !isWord("sample", current) && startsItem(current, next))
  }
}
