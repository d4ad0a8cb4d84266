// The syntax tree: what a .gan file says, before any name is looked up. The parser makes it, elaboration
// and the canonical printer read it. All nodes are values; every node knows its place in the text, and
// every name has a place of its own.

import Basics

/// A parsed file. Items stand in the order of the text; items that could not be parsed are left out.
package struct SourceFile: Sendable {
  package var items: [Item]
  /// All comments in the order of the text, for the canonical printer.
  package var comments: [Comment]
  package var range: SourceRange
}

/// A comment and the line ends around it (those between it and its neighbour, token or comment).
package struct Comment: Sendable {
  /// The comment with its delimiters, without carriage returns.
  package var text: String
  package var isBlock: Bool
  package var newlinesBefore: Int
  package var newlinesAfter: Int
  package var range: SourceRange
}

/// A name as it was written, with its place.
package struct Name: Sendable {
  package var text: String
  package var range: SourceRange
  package init(_ text: String, _ range: SourceRange) {
    self.text = text
    self.range = range
  }
}

/// The value of a string literal, escapes resolved. The range includes the quotes.
package struct StringLiteral: Sendable {
  package var value: String
  package var range: SourceRange
}

// MARK: - Top level

package enum Item: Sendable {
  case model(ModelItem)
  case `let`(LetStatement)
  case data(DataItem)
  case network(NetworkItem)
  case block(BlockItem)
  case optimizer(OptimizerItem)
  case train(TrainItem)
  case sample(SampleItem)
  case state(StateStatement)

  package var range: SourceRange {
    switch self {
    case .model(let item): item.range
    case .let(let item): item.range
    case .data(let item): item.range
    case .network(let item): item.range
    case .block(let item): item.range
    case .optimizer(let item): item.range
    case .train(let item): item.range
    case .sample(let item): item.range
    case .state(let item): item.range
    }
  }
}

/// `model "name"`
package struct ModelItem: Sendable {
  package var name: StringLiteral
  package var range: SourceRange
}

/// `data NAME: TYPE in LOW...HIGH from SOURCE, option: value`
package struct DataItem: Sendable {
  package var name: Name
  package var type: TypeSyntax
  package var bounds: DataBounds?
  package var source: DataSource
  /// Always labelled.
  package var options: [Argument]
  package var range: SourceRange
}

/// `LOW...HIGH`
package struct DataBounds: Sendable {
  package var low: Expression
  package var high: Expression
  package var range: SourceRange
}

package enum DataSource: Sendable {
  /// `from "fashion-mnist"`
  case named(StringLiteral)
  /// `from images.labels`: at least one name.
  case path([Name], range: SourceRange)

  package var range: SourceRange {
    switch self {
    case .named(let literal): literal.range
    case .path(_, let range): range
    }
  }
}

/// `network NAME(z: [n, latent]) -> [n, 784] { … }`
package struct NetworkItem: Sendable {
  package var name: Name
  package var parameters: [NetworkParameter]
  /// From `(` to `)`.
  package var parametersRange: SourceRange
  package var result: ResultType
  package var body: Body
  package var range: SourceRange
}

package struct NetworkParameter: Sendable {
  package var name: Name
  package var type: TypeSyntax
  package var range: SourceRange
}

/// What stands after `->`: one type, or several in parentheses.
package struct ResultType: Sendable {
  package var types: [TypeSyntax]
  package var isTuple: Bool
  package var range: SourceRange
}

/// An element type, if written, and a shape: `[n, 100]`, `i32[batch]`, `[]` for a scalar.
package struct TypeSyntax: Sendable {
  package var element: Name?
  package var dimensions: [Expression]
  package var range: SourceRange
}

/// `block NAME(x, filters, k = 3) { … }`
package struct BlockItem: Sendable {
  package var name: Name
  package var parameters: [BlockParameter]
  /// From `(` to `)`.
  package var parametersRange: SourceRange
  package var body: Body
  package var range: SourceRange
}

package struct BlockParameter: Sendable {
  package var name: Name
  package var defaultValue: Expression?
  package var range: SourceRange
}

/// `optimizer NAME = adam(…)`
package struct OptimizerItem: Sendable {
  package var name: Name
  package var value: Expression
  package var range: SourceRange
}

/// `train(epochs: N) { … }`; which arguments there may be is elaboration's to say.
package struct TrainItem: Sendable {
  /// The word `train`, for diagnostics about the item as a whole.
  package var keyword: SourceRange
  package var arguments: [Argument]
  /// From `(` to `)`.
  package var argumentsRange: SourceRange
  package var body: Body
  package var range: SourceRange
}

/// `sample NAME(count: N, seed: S) { … }`
package struct SampleItem: Sendable {
  /// The word `sample`, for diagnostics about the item as a whole.
  package var keyword: SourceRange
  package var name: Name?
  package var arguments: [Argument]
  /// From `(` to `)`; empty where there are none.
  package var argumentsRange: SourceRange
  package var body: Body
  package var range: SourceRange
}

// MARK: - Statements

/// Statements in braces and the value they end in. The parser sees to it that networks, blocks and
/// samples have a result and that `train`, `repeat` and `every` have none.
package struct Body: Sendable {
  package var statements: [Statement]
  package var result: Expression?
  /// Whether the text holds it on one line; a hint for the printer.
  package var isOnOneLine: Bool
  /// From `{` to `}`.
  package var range: SourceRange
}

package indirect enum Statement: Sendable {
  case `let`(LetStatement)
  case update(UpdateStatement)
  case `repeat`(RepeatStatement)
  case average(AverageStatement)
  case report(ReportStatement)
  case every(EveryStatement)
  case action(ActionStatement)
  case state(StateStatement)
  case assign(AssignStatement)

  package var range: SourceRange {
    switch self {
    case .let(let statement): statement.range
    case .update(let statement): statement.range
    case .repeat(let statement): statement.range
    case .average(let statement): statement.range
    case .report(let statement): statement.range
    case .every(let statement): statement.range
    case .action(let statement): statement.range
    case .state(let statement): statement.range
    case .assign(let statement): statement.range
    }
  }
}

/// `let PATTERN = value`. At top level the pattern is always a name.
package struct LetStatement: Sendable {
  package var pattern: Pattern
  package var value: Expression
  package var range: SourceRange
}

package enum Pattern: Sendable {
  case name(Name)
  /// `(a, _, b)`: at least two elements.
  case tuple([PatternElement], range: SourceRange)

  package var range: SourceRange {
    switch self {
    case .name(let name): name.range
    case .tuple(_, let range): range
    }
  }
}

package struct PatternElement: Sendable {
  /// nil for `_`.
  package var name: Name?
  package var range: SourceRange
}

/// `update A, B minimizing LOSS with OPT` (one clause), or `update { clause; clause }`.
package struct UpdateStatement: Sendable {
  package var clauses: [UpdateClause]
  package var isGroup: Bool
  /// Whether a group stands on one line in the text; a hint for the printer.
  package var isOnOneLine: Bool
  package var range: SourceRange
}

package struct UpdateClause: Sendable {
  /// At least one.
  package var networks: [Name]
  package var loss: Expression
  /// A call such as `adam(…)`, or the name of an `optimizer`.
  package var optimizer: Expression
  package var range: SourceRange
}

/// `repeat COUNT { … }`
package struct RepeatStatement: Sendable {
  package var count: Expression
  package var body: Body
  package var range: SourceRange
}

/// `average NETWORK as NAME decay X`
package struct AverageStatement: Sendable {
  package var network: Name
  package var name: Name
  package var decay: Expression
  package var range: SourceRange
}

/// `report a, b`
package struct ReportStatement: Sendable {
  package var names: [Name]
  package var range: SourceRange
}

/// `every COUNT steps { … }`
package struct EveryStatement: Sendable {
  package enum Unit: String, Sendable { case steps, epochs }
  package var count: Expression
  package var unit: Unit
  package var unitRange: SourceRange
  package var body: Body
  package var range: SourceRange
}

/// An action in an `every` body.
package struct ActionStatement: Sendable {
  package enum Kind: Sendable {
    case sample(Name?)
    case checkpoint
  }
  package var kind: Kind
  package var range: SourceRange
}

/// `state NAME: TYPE = initial`, reserved.
package struct StateStatement: Sendable {
  package var name: Name
  package var type: TypeSyntax
  package var initial: Expression
  package var range: SourceRange
}

/// `NAME = value`: the assignment of a state, reserved; more often a forgotten `let`.
package struct AssignStatement: Sendable {
  package var name: Name
  package var value: Expression
  package var range: SourceRange
}

// MARK: - Expressions

package struct Expression: Sendable {
  package indirect enum Kind: Sendable {
    case integer(Int)
    case float(Double)
    case string(String)
    case boolean(Bool)
    case name(String)
    /// `base.member`
    case member(Expression, Name)
    case call(Call)
    case list([Expression])
    /// At least two elements.
    case tuple([Expression])
    case unary(UnaryOperator, Expression)
    case binary(BinaryOperator, Expression, Expression, operatorRange: SourceRange)
    /// `head |> f(a) |> g()`, flat: `x |> f(a)` means `f(x, a)`. At least one stage.
    case pipe(Expression, [PipeStage])
  }

  package var kind: Kind
  /// Without the parentheses that group it.
  package var range: SourceRange
  /// The number as it was written (`2e-4`), for the printer and for messages; else empty.
  package var spelling: String = ""

  package init(_ kind: Kind, _ range: SourceRange, spelling: String = "") {
    self.kind = kind
    self.range = range
    self.spelling = spelling
  }
}

/// `f(x, slope: 0.2)`. Positional arguments come before labelled ones; the parser sees to it.
package struct Call: Sendable {
  package var function: Name
  package var arguments: [Argument]
  package var range: SourceRange
  package init(_ function: Name, _ arguments: [Argument], _ range: SourceRange) {
    self.function = function
    self.arguments = arguments
    self.range = range
  }
}

package struct Argument: Sendable {
  package var label: Name?
  package var value: Expression
  package var range: SourceRange
  package init(label: Name?, _ value: Expression, _ range: SourceRange) {
    self.label = label
    self.value = value
    self.range = range
  }
}

package struct PipeStage: Sendable {
  package var call: Call
  /// The `|>`.
  package var pipeRange: SourceRange
  /// Whether the text breaks the line before this stage; a hint for the printer.
  package var startsLine: Bool
}

package enum UnaryOperator: String, Sendable {
  case minus = "-"
}

package enum BinaryOperator: String, Sendable {
  case add = "+"
  case subtract = "-"
  case multiply = "*"
  case divide = "/"
  case remainder = "%"
  case equal = "=="
  case notEqual = "!="
  case less = "<"
  case lessEqual = "<="
  case greater = ">"
  case greaterEqual = ">="
}

/// How tightly an expression binds, loosest first.
package enum Precedence: Int, Comparable, Sendable {
  case pipe, comparison, additive, multiplicative, unary, postfix

  package static func < (a: Precedence, b: Precedence) -> Bool { a.rawValue < b.rawValue }
}

extension BinaryOperator {
  package var precedence: Precedence {
    switch self {
    case .add, .subtract: .additive
    case .multiply, .divide, .remainder: .multiplicative
    case .equal, .notEqual, .less, .lessEqual, .greater, .greaterEqual: .comparison
    }
  }
}
