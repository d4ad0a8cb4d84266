// Expressions and types. Loosest first: `|>`, comparisons, `+ -`, `* / %`, unary `-`, then calls and members.

import Basics

/// An expression with what the parser must remember of it.
struct Parsed {
  var expression: Expression
  /// The height of its tree, limited so that every later walk may recurse.
  var height: Int
  /// Where it begins, its parentheses included.
  var start: Int32
  var isGrouped = false
}

extension Parser {
  mutating func parseExpression() throws(Abort) -> Expression { try parsePipe().expression }

  private mutating func parsePipe() throws(Abort) -> Parsed {
    try enter()
    defer { depth -= 1 }
    var head = try parseBinary(.comparison)
    guard kind == .pipe else { return head }
    var stages: [PipeStage] = []
    var first = head.expression
    // `(x |> f()) |> g()` is the same chain as without the parentheses.
    if case .pipe(let inner, let innerStages) = first.kind {
      first = inner
      stages = innerStages
    }
    var height = head.height
    while kind == .pipe {
      let pipe = current
      advance()
      let startsLine = pipe.isFirstOnLine || current.isFirstOnLine
      let (call, callHeight) = try parseStage()
      height = max(height, callHeight)
      stages.append(PipeStage(call: call, pipeRange: pipe.range, startsLine: startsLine))
    }
    head.expression = Expression(.pipe(first, stages), range(from: head.start))
    head.height = height + 1
    head.isGrouped = false
    try checkHeight(head)
    return head
  }

  /// The call on the right of `|>`.
  private mutating func parseStage() throws(Abort) -> (Call, height: Int) {
    if startsStatementOnNewLine { throw expected("a call after `|>`") }
    guard current.kind == .identifier, !Keyword.reserved.contains(text(current)) else {
      throw expected(
        "a call after `|>`", help: "`x |> f(a)` means `f(x, a)`; name other values with `let`")
    }
    let name = Name(text(current), current.range)
    advance()
    guard kind == .leftParen, !endsBeforeBracket else {
      if kind == .dot { throw expected("`(` after `\(name.text)`") }
      report(
        "syntax.pipe", "the right side of `|>` is a call", at: name.range,
        help: "write `\(name.text)()`")
      return (Call(name, [], name.range), 1)
    }
    let (arguments, height) = try parseArguments()
    if let kind, let found = kind.binaryOperator {
      throw fail(
        "syntax.pipe", "`\(found.rawValue)` cannot follow a chain of `|>`, which binds loosest",
        at: current.range, help: "put the chain in parentheses, or name it with `let`")
    }
    return (Call(name, arguments, range(from: name.range.start)), height + 1)
  }

  /// Operators at least as tight as `minimum`, left to right.
  mutating func parseBinary(_ minimum: Precedence) throws(Abort) -> Parsed {
    var left = try parseUnary()
    while let found = kind?.binaryOperator, found.precedence >= minimum {
      let token = current
      advance()
      let tighter = Precedence(rawValue: found.precedence.rawValue + 1) ?? .unary
      let right = try tighter >= .unary ? parseUnary() : parseBinary(tighter)
      if found.precedence == .comparison, !left.isGrouped,
        case .binary(let first, _, _, _) = left.expression.kind, first.precedence == .comparison
      {
        report(
          "syntax.comparisonChain", "comparisons cannot be chained", at: token.range,
          help: "compare each pair by itself and combine the two with `where`")
      }
      left = Parsed(
        expression: Expression(
          .binary(found, left.expression, right.expression, operatorRange: token.range),
          range(from: left.start)),
        height: max(left.height, right.height) + 1, start: left.start)
      try checkHeight(left)
    }
    return left
  }

  private mutating func parseUnary() throws(Abort) -> Parsed {
    guard current.kind == .minus else { return try parsePostfix() }
    try enter()
    defer { depth -= 1 }
    let start = current.range.start
    advance()
    let operand = try parseUnary()
    let result = Parsed(
      expression: Expression(.unary(.minus, operand.expression), range(from: start)),
      height: operand.height + 1, start: start)
    try checkHeight(result)
    return result
  }

  /// A `(` or `[` on a new line never continues the line before.
  private var endsBeforeBracket: Bool { brackets.isEmpty && current.isFirstOnLine }

  private mutating func parsePostfix() throws(Abort) -> Parsed {
    var base = try parsePrimary()
    while let kind, !endsBeforeBracket {
      switch kind {
      case .dot:
        if next.kind == .dot {
          throw expected("the end of the expression", help: "a range is written `0...1`")
        }
        switch base.expression.kind {
        case .name where !base.isGrouped, .member where !base.isGrouped,
          .call where !base.isGrouped:
          break
        default:
          throw fail(
            "syntax.member", "only names and calls have members", at: base.expression.range)
        }
        advance()
        let member = try expectName("a name after `.`")
        base.expression = Expression(.member(base.expression, member), range(from: base.start))
        base.height += 1
      case .leftParen:
        guard case .name(let function) = base.expression.kind, !base.isGrouped else {
          throw fail(
            "syntax.callee", "only a name can be called", at: base.expression.range,
            help: "write `,` between elements, or `*` for a product")
        }
        let name = Name(function, base.expression.range)
        let (arguments, height) = try parseArguments()
        let whole = range(from: base.start)
        base.expression = Expression(.call(Call(name, arguments, whole)), whole)
        base.height = height + 1
      case .leftBracket:
        throw fail(
          "syntax.subscript", "values have no subscripts", at: current.range,
          help: "parts are taken with `slice(x, start, end, axis: …)`")
      default: return base
      }
      base.isGrouped = false
      try checkHeight(base)
    }
    return base
  }

  private mutating func parsePrimary() throws(Abort) -> Parsed {
    let token = current
    if startsStatementOnNewLine { throw expected("an expression") }
    var kind: Expression.Kind
    var spelling = ""
    switch token.kind {
    case .integer:
      spelling = text(token)
      kind = .integer(integerValue(spelling, token.range))
    case .float:
      spelling = text(token)
      kind = .float(floatValue(spelling, token.range))
    case .string: kind = .string(stringValue(token))
    case .identifier:
      let word = text(token)
      if word == "true" || word == "false" {
        kind = .boolean(word == "true")
      } else {
        kind = .name(try checkedName(token).text)
      }
    case .leftParen: return try parseGroup()
    case .leftBracket:
      let (elements, height) = try parseList()
      return Parsed(
        expression: Expression(.list(elements), range(from: token.range.start)),
        height: height + 1, start: token.range.start)
    default: throw expected("an expression", help: helpForOperand(token))
    }
    advance()
    return Parsed(
      expression: Expression(kind, token.range, spelling: spelling), height: 1,
      start: token.range.start)
  }

  func helpForOperand(_ token: Token) -> String? {
    switch token.kind {
    case .plus: "numbers have no sign `+`"
    case .dot: "write `0.5`, not `.5`"
    case .percent, .equal, .notEqual, .less, .lessEqual, .greater, .greaterEqual:
      token.isFirstOnLine
        ? "a line that begins with `\(text(token))` does not continue the one before; "
          + "end that line with it instead" : nil
    default: nil
    }
  }

  /// `(a)`, which is `a`, or `(a, b)`.
  private mutating func parseGroup() throws(Abort) -> Parsed {
    let start = current.range.start
    var elements: [Parsed] = []
    try parseElements(.rightParen, "an expression") { (parser: inout Parser) throws(Abort) in
      elements.append(try parser.parsePipe())
    }
    if elements.count == 1 {
      var only = elements[0]
      only.start = start
      only.isGrouped = true
      return only
    }
    guard !elements.isEmpty else {
      throw fail(
        "syntax.expected", "expected an expression, found `)`",
        at: SourceRange(previousEnd - 1, previousEnd))
    }
    let height = elements.reduce(0) { max($0, $1.height) } + 1
    let result = Parsed(
      expression: Expression(.tuple(elements.map(\.expression)), range(from: start)),
      height: height, start: start)
    try checkHeight(result)
    return result
  }

  private mutating func parseList() throws(Abort) -> ([Expression], height: Int) {
    var elements: [Expression] = []
    var height = 0
    try parseElements(.rightBracket, "an expression") { (parser: inout Parser) throws(Abort) in
      let element = try parser.parsePipe()
      elements.append(element.expression)
      height = max(height, element.height)
    }
    if bodyDepth + height + 1 > Limits.nesting { throw tooDeep(at: current.range) }
    return (elements, height)
  }

  /// `(a, label: b)`, the brackets included.
  mutating func parseArguments() throws(Abort) -> ([Argument], height: Int) {
    var arguments: [Argument] = []
    var labels: Set<String> = []
    var height = 0
    try parseElements(.rightParen, "an argument") { (parser: inout Parser) throws(Abort) in
      let start = parser.current.range.start
      let label = try parser.parseLabel()
      if let label, !labels.insert(label.text).inserted {
        parser.report(
          "syntax.duplicateLabel", "the argument `\(label.text)` is given twice", at: label.range)
      }
      let value = try parser.parsePipe()
      if label == nil, !labels.isEmpty {
        parser.report(
          "syntax.argumentOrder", "positional arguments come before labelled ones",
          at: value.expression.range)
      }
      height = max(height, value.height)
      arguments.append(
        Argument(label: label, value.expression, parser.range(from: start)))
    }
    return (arguments, height)
  }

  /// `label:`; a `=` in place of the `:` is reported and passed over.
  mutating func parseLabel() throws(Abort) -> Name? {
    guard current.kind == .identifier, next.kind == .colon || next.kind == .assign else {
      return nil
    }
    let name = Name(text(current), current.range)
    advance()
    if current.kind == .assign {
      report(
        "syntax.label", "a label is followed by `:`, not by `=`", at: current.range,
        help: "write `\(name.text): …`")
    }
    advance()
    return name
  }

  /// Elements between the bracket at the present place and its partner, with commas between them; one more
  /// comma may follow the last.
  mutating func parseElements(
    _ close: Token.Kind, _ what: String,
    _ element: (inout Parser) throws(Abort) -> Void
  ) throws(Abort) {
    let open = current
    brackets.append(open)
    advance()
    while current.kind != close {
      try element(&self)
      if current.kind == close { break }
      guard !startsStatementOnNewLine, take(.comma) else {
        let spelling = close.spelling ?? ""
        throw expected(
          "`,` or `\(spelling)`",
          notes: [Diagnostic.Note("`\(text(open))` is opened here", at: open.range)],
          help: current.kind == .colon ? "a label is one name followed by `:`" : nil)
      }
    }
    brackets.removeLast()
    advance()
  }

  mutating func checkHeight(_ parsed: Parsed) throws(Abort) {
    if bodyDepth + parsed.height > Limits.nesting { throw tooDeep(at: parsed.expression.range) }
  }

  // MARK: - Types

  /// `f32[batch, 28]`, `[n, 10]`, `[]`.
  mutating func parseType() throws(Abort) -> TypeSyntax {
    let start = current.range.start
    var element: Name?
    if current.kind == .identifier, !startsStatementOnNewLine { element = try expectName("a type") }
    guard current.kind == .leftBracket else {
      if let element {
        let help = "write `\(element.text)[]` for a scalar, `\(element.text)[n]` for a vector"
        throw expected("`[` after the element type", help: help)
      }
      throw expected("a type such as `[batch, 28, 28, 1]`")
    }
    let (dimensions, _) = try parseList()
    return TypeSyntax(element: element, dimensions: dimensions, range: range(from: start))
  }

  // MARK: - Literals

  private mutating func integerValue(_ spelling: String, _ range: SourceRange) -> Int {
    if let value = Int(spelling.filter { $0 != "_" }) { return value }
    report(
      "syntax.numberRange", "the integer \(spelling.prefix(40)) does not fit in 64 bits", at: range,
      help: "the largest is \(Int.max); write larger numbers as `1e20`")
    return 0
  }

  private mutating func floatValue(_ spelling: String, _ range: SourceRange) -> Double {
    let digits = spelling.filter { $0 != "_" }
    let value = Double(digits) ?? .infinity
    let mantissa = digits.prefix { $0 != "e" && $0 != "E" }
    let vanished = value == 0 && mantissa.contains { $0 >= "1" && $0 <= "9" }
    if value.isFinite, !vanished { return value }
    report(
      "syntax.numberRange",
      "the number \(spelling.prefix(40)) is too \(vanished ? "small" : "large") for a double",
      at: range)
    return 0
  }

  /// The value of a string token, escapes `\" \\ \n \t` resolved.
  mutating func stringValue(_ token: Token) -> String {
    let first = Int(token.range.start) + 1
    let bytes = source.bytes[first..<max(first, Int(token.range.end) - 1)]
    var value: [UInt8] = []
    var index = bytes.startIndex
    while index < bytes.endIndex {
      var byte = bytes[index]
      if byte == UInt8(ascii: "\\") {
        let escape = index + 1 < bytes.endIndex ? bytes[index + 1] : 0
        switch escape {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): byte = escape
        case UInt8(ascii: "n"): byte = UInt8(ascii: "\n")
        case UInt8(ascii: "t"): byte = UInt8(ascii: "\t")
        default:
          report(
            "syntax.escape", "`\\` in a string is followed by `\"`, `\\`, `n` or `t`",
            at: SourceRange(index, index + 2), help: "write `\\\\` for a backslash")
          index -= 1
        }
        index += 1
      } else if byte < 0x20 && byte != UInt8(ascii: "\t") || byte == 0x7F {
        report(
          "syntax.character", "a control character (code \(byte)) in a string",
          at: SourceRange(index, index + 1))
      }
      value.append(byte)
      index += 1
    }
    return String(decoding: value, as: UTF8.self)
  }
}
