// Bodies and the statements in them.

import Basics

/// What a body belongs to: whether it ends in a result, and which statements it may hold.
enum BodyKind: String {
  case network, block, sample, train
  case `repeat` = "repeat"
  case every

  var hasResult: Bool {
    switch self {
    case .network, .block, .sample: true
    case .train, .repeat, .every: false
    }
  }
}

extension Parser {
  /// `{ statements; result }`
  mutating func parseBody(_ kind: BodyKind) throws(Abort) -> Body {
    let open = try expect(.leftBrace, "`{` and the body of the \(kind.rawValue)")
    let errors = diagnostics.count
    var body = Body(statements: [], result: nil, isOnOneLine: true, range: open.range)
    body.isOnOneLine = try parseLines(open, kind) { (parser: inout Parser) throws(Abort) in
      try parser.parseStatement(into: &body, kind)
    }
    body.range = range(from: open.range.start)
    if kind.hasResult, body.result == nil, errors == diagnostics.count {
      reportMissingResult(body, kind)
    }
    return body
  }

  /// What stands between `open` and its `}`: reads piece after piece with `parsePiece`, and goes on behind one with
  /// errors. Returns whether all of it stands on one line.
  private mutating func parseLines(
    _ open: Token, _ kind: BodyKind, _ parsePiece: (inout Parser) throws(Abort) -> Void
  ) throws(Abort) -> Bool {
    let first = at
    try enter()
    bodyDepth += 1
    defer {
      depth -= 1
      bodyDepth -= 1
    }
    while !closesBody(open, kind) {
      if take(.semicolon) { continue }
      let start = at
      do {
        try parsePiece(&self)
      } catch {
        recoverStatement(from: start)
      }
    }
    return !tokens[first..<at].contains(where: \.isFirstOnLine)
  }

  /// Whether the body ends here; takes its `}`, or reports that it is missing.
  private mutating func closesBody(_ open: Token, _ kind: BodyKind) -> Bool {
    if take(.rightBrace) { return true }
    guard
      current.kind == .endOfFile
        || current.startsLine && startsItemOnly(current, next, inEvery: kind == .every)
    else { return false }
    let found = current.kind == .endOfFile ? "the end of the file" : "`\(text(current))`"
    report(
      "syntax.unclosedBody", "expected `}` at the end of the \(kind.rawValue), found \(found)",
      at: SourceRange(previousEnd, previousEnd),
      notes: [Diagnostic.Note("the body begins here", at: open.range)])
    return true
  }

  private mutating func reportMissingResult(_ body: Body, _ kind: BodyKind) {
    var help = "write the result as its last line"
    if case .let(let last) = body.statements.last, case .name(let name) = last.pattern {
      help = "add `\(name.text)` as its last line"
    }
    let end = Int(body.range.end)
    report(
      "syntax.missingResult",
      "the body of a \(kind.rawValue) ends in its result, and this has none",
      at: SourceRange(end - 1, end), help: help)
  }

  /// One statement, or an expression, which must be the body's last.
  private mutating func parseStatement(into body: inout Body, _ kind: BodyKind) throws(Abort) {
    guard canBeginExpression(current) else {
      throw expected("a statement", help: helpForOperand(current))
    }
    if let result = body.result, kind.hasResult {
      report(
        "syntax.unusedValue", "this value is not used: only the last line of a body is its result",
        at: result.range,
        help: current.kind == .leftParen || current.kind == .leftBracket
          ? "a line that begins with `(` or `[` does not continue the one before"
          : "name it with `let`, or remove it")
      body.result = nil
    }
    let start = current
    if let statement = try parseKeywordStatement(kind) {
      if let problem = misplacement(of: statement, in: kind) {
        report("syntax.misplaced", problem.message, at: start.range, help: problem.help)
      } else {
        body.statements.append(statement)
      }
      return try expectEnd(of: "the statement")
    }
    if start.kind == .identifier, next.kind == .assign {
      let name = try parseListedName("a name")
      advance()
      let value = try parseExpression()
      body.statements.append(
        .assign(AssignStatement(name: name, value: value, range: range(from: start.range.start))))
      return try expectEnd(of: "the assignment")
    }
    let value = try parseExpression()
    try expectEnd(of: "the expression")
    if !kind.hasResult {
      var help = "name it with `let`, or remove it"
      if case .name(let name) = value.kind, name == "sample" || name == "checkpoint" {
        help = "actions stand in `every N steps { … }` or `every N epochs { … }`"
      }
      throw fail(
        "syntax.unusedValue", "this value is not used: a \(kind.rawValue) has no result",
        at: value.range, help: help)
    }
    body.result = value
  }

  private func misplacement(of statement: Statement, in kind: BodyKind)
    -> (message: String, help: String)?
  {
    switch statement {
    case .let, .state, .assign: return nil
    case .action(let action):
      guard kind != .every else { return nil }
      let word = if case .checkpoint = action.kind { "checkpoint" } else { "sample" }
      return (
        "`\(word)` cannot stand here",
        "actions stand in `every N steps { … }` or `every N epochs { … }`"
      )
    case .update, .repeat, .average, .report, .every:
      guard kind.hasResult else { return nil }
      return ("this statement cannot stand in a \(kind.rawValue)", "it belongs in `train`")
    }
  }

  /// A statement that begins with a keyword; nil where an assignment or an expression begins.
  private mutating func parseKeywordStatement(_ kind: BodyKind) throws(Abort) -> Statement? {
    let token = current
    guard token.kind == .identifier else { return nil }
    var word = text(token)
    if kind == .every, word == "sample" || word == "checkpoint", isStatementEnd(next) {
      advance()
      return .action(
        ActionStatement(kind: word == "sample" ? .sample(nil) : .checkpoint, range: token.range))
    }
    if !startsStatement(token, next) {
      // A name before another name or a number is no expression: a keyword is misspelt.
      guard !next.startsLine, [.identifier, .integer, .float, .string].contains(next.kind),
        word != "true", word != "false"
      else { return nil }
      let near = nearestName(to: word, in: Keyword.statements)
      report(
        "syntax.unknownStatement", "`\(word)` begins no statement", at: token.range,
        help: Keyword.advice(for: word) ?? near.map { "did you mean \($0)?" }
          ?? "statements are \(Keyword.statements.joined(separator: ", "))")
      guard let near, Keyword.advice(for: word) == nil else { throw Abort() }
      word = near
    }
    return try parseStatement(word, start: token.range.start)
  }

  private mutating func parseStatement(_ word: String, start: Int32) throws(Abort) -> Statement {
    let token = current
    advance()
    switch word {
    case "let": return .let(try parseLet(start))
    case "update": return .update(try parseUpdate(start))
    case "repeat":
      if current.kind == .leftBrace {
        throw expected("how often to repeat", help: "`repeat 5 { … }`")
      }
      let count = try parseExpression()
      let body = try parseBody(.repeat)
      return .repeat(RepeatStatement(count: count, body: body, range: range(from: start)))
    case "average": return .average(try parseAverage(start))
    case "report": return .report(try parseReport(start))
    case "every": return .every(try parseEvery(start))
    case "sample":
      let name = try expectName("the name of a sample")
      return .action(ActionStatement(kind: .sample(name), range: range(from: start)))
    case "checkpoint":
      return .action(ActionStatement(kind: .checkpoint, range: token.range))
    case "state": return .state(try parseState(start))
    default:
      throw fail(
        "syntax.misplaced", "`\(word)` cannot stand in a body", at: token.range,
        help: "it is an item of the top level")
    }
  }

  /// After `let`.
  mutating func parseLet(_ start: Int32) throws(Abort) -> LetStatement {
    let pattern: Pattern
    if kind == .leftParen {
      let open = current.range.start
      var elements: [PatternElement] = []
      try parseElements(.rightParen, "a name or `_`") { (parser: inout Parser) throws(Abort) in
        let token = parser.current
        if parser.isWord("_", token) {
          parser.advance()
          elements.append(PatternElement(name: nil, range: token.range))
        } else {
          let name = try parser.expectName("a name or `_`")
          elements.append(PatternElement(name: name, range: name.range))
        }
      }
      guard elements.count > 1 else {
        throw fail(
          "syntax.pattern", "a tuple has at least two elements", at: range(from: open),
          help: "write `let name = …` for one value")
      }
      pattern = .tuple(elements, range: range(from: open))
    } else {
      pattern = .name(try expectName("a name after `let`"))
    }
    if kind == .colon {
      let colon = current.range
      advance()
      _ = try parseType()
      report(
        "syntax.expected", "expected `=` after the name, found `:`", at: colon,
        help: "a `let` has no type; it follows from the value")
    }
    try expectAssign(after: "the name")
    let value = try parseExpression()
    return LetStatement(pattern: pattern, value: value, range: range(from: start))
  }

  /// After `update`.
  private mutating func parseUpdate(_ start: Int32) throws(Abort) -> UpdateStatement {
    guard current.kind == .leftBrace else {
      let clause = try parseClause()
      return UpdateStatement(
        clauses: [clause], isGroup: false, isOnOneLine: false, range: range(from: start))
    }
    let open = current
    advance()
    let errors = diagnostics.count
    var clauses: [UpdateClause] = []
    let oneLine = try parseLines(open, .train) { (parser: inout Parser) throws(Abort) in
      if parser.isWord("update", parser.current), parser.next.kind == .identifier {
        parser.report(
          "syntax.expected", "expected the name of a network, found `update`",
          at: parser.current.range, help: "in `update { … }` the word is not repeated")
        parser.advance()
      }
      clauses.append(try parser.parseClause())
      try parser.expectEnd(of: "the update")
    }
    if clauses.isEmpty, errors == diagnostics.count {
      report(
        "syntax.expected", "expected updates between the braces, found `}`",
        at: SourceRange(previousEnd - 1, previousEnd),
        help: "write `NETWORK minimizing LOSS with OPTIMIZER`")
    }
    return UpdateStatement(
      clauses: clauses, isGroup: true, isOnOneLine: oneLine, range: range(from: start))
  }

  /// `A, B minimizing LOSS with OPTIMIZER`
  private mutating func parseClause() throws(Abort) -> UpdateClause {
    let start = current.range.start
    var networks = [try parseListedName("the name of a network")]
    while kind == .comma {
      advance()
      networks.append(try parseListedName("the name of a network"))
    }
    if isWord("maximizing", current) || isWord("maximising", current) {
      report(
        "syntax.expected", "expected `minimizing`, found `\(text(current))`", at: current.range,
        help: "minimize the negative: `minimizing -loss`")
      advance()
    } else {
      try expectWord("minimizing", after: "the networks to update")
    }
    let loss = try parseExpression()
    try expectWord("with", after: "the loss")
    let optimizer = try parseExpression()
    return UpdateClause(
      networks: networks, loss: loss, optimizer: optimizer, range: range(from: start))
  }

  /// A name in a list with commas, which may go on behind a comma on the next line.
  private mutating func parseListedName(_ what: String) throws(Abort) -> Name {
    guard current.kind == .identifier, !startsStatementOnNewLine else { throw expected(what) }
    let name = try checkedName(current)
    advance()
    return name
  }

  /// After `average`.
  private mutating func parseAverage(_ start: Int32) throws(Abort) -> AverageStatement {
    let network = try expectName("the name of a network")
    try expectWord("as", after: "the network")
    let name = try expectName("a name for the average")
    try expectWord("decay", after: "the name")
    if kind == .colon || kind == .assign {
      let found = text(current)
      report(
        "syntax.expected", "expected a number after `decay`, found `\(found)`", at: current.range,
        help: "write `decay 0.999`")
      advance()
    }
    let decay = try parseExpression()
    return AverageStatement(network: network, name: name, decay: decay, range: range(from: start))
  }

  /// After `report`.
  private mutating func parseReport(_ start: Int32) throws(Abort) -> ReportStatement {
    var names: [Name] = []
    repeat {
      guard current.kind == .identifier, !startsStatementOnNewLine else {
        throw expected(
          "the name of a value to report",
          help: canBeginExpression(current)
            ? "name it with `let`; the name is the key in the log" : nil)
      }
      names.append(try checkedName(current))
      advance()
      if let kind, kind == .leftParen || kind.binaryOperator != nil || kind == .pipe || kind == .dot
      {
        throw expected(
          "`,` or the end of the line after the name",
          help: "expressions are named with `let`; the name is the key in the log")
      }
    } while kind == .comma && take(.comma)
    return ReportStatement(names: names, range: range(from: start))
  }

  /// After `every`.
  private mutating func parseEvery(_ start: Int32) throws(Abort) -> EveryStatement {
    let count = try parseExpression()
    var unit = EveryStatement.Unit.steps
    let place = current.range
    if kind == .identifier, let near = EveryStatement.Unit(rawValue: text(current)) {
      unit = near
      advance()
    } else {
      if isWord("epoch", current) || isWord("epochs", current) { unit = .epochs }
      try expectWord("steps", also: ["epochs"], after: "the count of `every`")
    }
    let body = try parseBody(.every)
    return EveryStatement(
      count: count, unit: unit, unitRange: place, body: body, range: range(from: start))
  }

  /// After `state`.
  mutating func parseState(_ start: Int32) throws(Abort) -> StateStatement {
    let name = try expectName("a name after `state`")
    try expect(.colon, "`:` and a type after the name")
    let type = try parseType()
    try expectAssign(after: "the type")
    let initial = try parseExpression()
    return StateStatement(name: name, type: type, initial: initial, range: range(from: start))
  }
}
