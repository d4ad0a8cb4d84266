// What the lexer makes of the bytes: tokens with their place and how they stand to line ends.

import Basics

package struct Token: Sendable {
  package enum Kind: UInt8, Sendable {
    case identifier, integer, float, string
    case leftParen, rightParen, leftBracket, rightBracket, leftBrace, rightBrace
    case comma, colon, semicolon, dot, rangeDots, assign, pipe, arrow
    case plus, minus, star, slash, percent
    case equal, notEqual, less, lessEqual, greater, greaterEqual
    /// Text that the lexer has reported; the parser gives up the statement silently.
    case invalid
    case endOfFile
  }

  package var kind: Kind
  package var range: SourceRange
  /// Whether a line end stands between this token and the one before (true for the first token).
  package var isFirstOnLine: Bool
  /// Whether, being the first on its line, it continues the line before: `|>`, `*`, `/`, `+`, or `-`
  /// followed by a space.
  package var continuesLine: Bool

  /// Whether a new statement may begin here, brackets apart.
  package var startsLine: Bool { isFirstOnLine && !continuesLine }
}

extension Token.Kind {
  /// The spelling of punctuation, nil for the kinds whose text varies.
  package var spelling: String? {
    switch self {
    case .leftParen: "("
    case .rightParen: ")"
    case .leftBracket: "["
    case .rightBracket: "]"
    case .leftBrace: "{"
    case .rightBrace: "}"
    case .comma: ","
    case .colon: ":"
    case .semicolon: ";"
    case .dot: "."
    case .rangeDots: "..."
    case .assign: "="
    case .pipe: "|>"
    case .arrow: "->"
    case .plus: "+"
    case .minus: "-"
    case .star: "*"
    case .slash: "/"
    case .percent: "%"
    case .equal: "=="
    case .notEqual: "!="
    case .less: "<"
    case .lessEqual: "<="
    case .greater: ">"
    case .greaterEqual: ">="
    case .identifier, .integer, .float, .string, .invalid, .endOfFile: nil
    }
  }

  package var binaryOperator: BinaryOperator? { spelling.flatMap(BinaryOperator.init(rawValue:)) }
}
