// The items of the top level.

import Basics

extension Parser {
  mutating func parseFile() -> [Item] {
    var items: [Item] = []
    var model: SourceRange?
    while current.kind != .endOfFile {
      if take(.semicolon) { continue }
      let start = at
      do {
        let item = try parseItem()
        if case .model(let new) = item {
          if let first = model {
            report(
              "syntax.duplicateModel", "`model` is given twice", at: new.range,
              notes: [Diagnostic.Note("the first one is here", at: first)])
          }
          model = model ?? new.range
        }
        items.append(item)
        try expectEnd(of: "the item")
      } catch {
        recoverItem(from: start)
      }
    }
    return items
  }

  private mutating func parseItem() throws(Abort) -> Item {
    let token = current
    let start = token.range.start
    guard token.kind == .identifier else {
      isLost = true
      let help = token.kind == .rightBrace ? "this `}` closes nothing" : nil
      throw expected(
        "an item: \(Keyword.items.joined(separator: ", "))", code: "syntax.unknownItem", help: help)
    }
    var word = text(token)
    if next.kind == .assign, word != "let" {
      report(
        "syntax.missingLet", "expected an item, found the assignment of `\(word)`", at: token.range,
        help: "constants are named with `let \(word) = …`")
      return .let(try parseConstant(start))
    }
    if !Keyword.items.contains(word) { word = try resolveUnknownItem(word, token) }
    advance()
    switch word {
    case "model":
      let name = current
      try expect(.string, "the model's name as a string", help: "write `model \"name\"`")
      return .model(
        ModelItem(
          name: StringLiteral(value: stringValue(name), range: name.range),
          range: range(from: start)))
    case "let": return .let(try parseConstant(start))
    case "data": return .data(try parseData(start))
    case "network": return .network(try parseNetwork(start))
    case "block": return .block(try parseBlock(start))
    case "optimizer":
      let name = try expectName("a name after `optimizer`")
      try expectAssign(after: "the name")
      let value = try parseExpression()
      return .optimizer(OptimizerItem(name: name, value: value, range: range(from: start)))
    case "train": return .train(try parseTrain(token.range))
    case "sample": return .sample(try parseSample(token.range))
    default: return .state(try parseState(start))
    }
  }

  /// The keyword that a misspelt one was meant to be.
  private mutating func resolveUnknownItem(_ word: String, _ token: Token) throws(Abort) -> String {
    isLost = true
    if startsStatement(token, next) {
      throw fail(
        "syntax.misplaced", "`\(word)` cannot stand at the top level", at: token.range,
        help: "it belongs in `train`")
    }
    let advice = Keyword.advice(for: word)
    let near = advice == nil ? nearestName(to: word, in: Keyword.items) : nil
    report(
      "syntax.unknownItem", "`\(word)` begins no item", at: token.range,
      help: advice ?? near.map { "did you mean \($0)?" }
        ?? "items are \(Keyword.items.joined(separator: ", "))")
    guard let near else { throw Abort() }
    isLost = false
    return near
  }

  private mutating func parseConstant(_ start: Int32) throws(Abort) -> LetStatement {
    let statement = try parseLet(start)
    if case .tuple(_, let range) = statement.pattern {
      throw fail(
        "syntax.pattern", "a constant is one name", at: range,
        help: "tuples are taken apart in the bodies of networks, blocks, `train` and `sample`")
    }
    return statement
  }

  /// After `data`.
  private mutating func parseData(_ start: Int32) throws(Abort) -> DataItem {
    let name = try expectName("a name after `data`")
    try expect(
      .colon, "`:` and a type after the name", help: "write `data \(name.text): [batch, …]`")
    let type = try parseType()
    var bounds: DataBounds?
    if kind == .identifier, isWord("in", current) {
      advance()
      let first = current.range.start
      let low = try parseBinary(.additive)
      guard !isAtEnd, take(.rangeDots) else {
        throw expected("`...` after the lower bound", help: "write `in -1...1`")
      }
      let high = try parseBinary(.additive)
      bounds = DataBounds(
        low: low.expression, high: high.expression, range: range(from: first))
    }
    try expectWord("from", after: bounds == nil ? "the type" : "the range")
    let source = try parseSource()
    if kind == .identifier, isWord("in", current) {
      throw expected("`,` or the end of the line", help: "`in LOW...HIGH` stands before `from`")
    }
    var options: [Argument] = []
    while kind == .comma {
      advance()
      let first = current.range.start
      guard !startsStatementOnNewLine, let label = try parseLabel() else {
        throw expected("an option such as `order: sequential`")
      }
      if options.contains(where: { $0.label?.text == label.text }) {
        report(
          "syntax.duplicateLabel", "the option `\(label.text)` is given twice", at: label.range)
      }
      // A bounded count of different options keeps the search above linear.
      if options.count >= 64 { throw expected("at most 64 options") }
      let value = try parseExpression()
      options.append(Argument(label: label, value, range(from: first)))
    }
    return DataItem(
      name: name, type: type, bounds: bounds, source: source, options: options,
      range: range(from: start))
  }

  private mutating func parseSource() throws(Abort) -> DataSource {
    let token = current
    if kind == .string {
      advance()
      return .named(StringLiteral(value: stringValue(token), range: token.range))
    }
    let what = "a source: a string, or a path such as `images.labels`"
    var names = [try expectName(what)]
    while kind == .dot {
      advance()
      names.append(try expectName("a name after `.`"))
    }
    if kind == .minus || kind == .slash {
      throw expected("the end of the path", help: "put the name of the source in quotes")
    }
    return .path(names, range: range(from: token.range.start))
  }

  /// After `network`.
  private mutating func parseNetwork(_ start: Int32) throws(Abort) -> NetworkItem {
    let name = try expectName("a name after `network`")
    let open = current.range.start
    guard current.kind == .leftParen else {
      throw expected("`(` and the arguments of the network")
    }
    var parameters: [NetworkParameter] = []
    try parseElements(.rightParen, "an argument") { (parser: inout Parser) throws(Abort) in
      let name = try parser.expectName("the name of an argument")
      try parser.expect(
        .colon, "`:` and a type after the argument",
        help: "arguments of a network have types: `\(name.text): [n, …]`")
      let type = try parser.parseType()
      parameters.append(
        NetworkParameter(name: name, type: type, range: parser.range(from: name.range.start)))
    }
    let parametersRange = range(from: open)
    try expect(.arrow, "`->` and the type of the result")
    let result = try parseResultType()
    let body = try parseBody(.network)
    return NetworkItem(
      name: name, parameters: parameters, parametersRange: parametersRange, result: result,
      body: body, range: range(from: start))
  }

  private mutating func parseResultType() throws(Abort) -> ResultType {
    let start = current.range.start
    guard current.kind == .leftParen else {
      let type = try parseType()
      return ResultType(types: [type], isTuple: false, range: type.range)
    }
    var types: [TypeSyntax] = []
    try parseElements(.rightParen, "a type") { (parser: inout Parser) throws(Abort) in
      types.append(try parser.parseType())
    }
    guard !types.isEmpty else {
      throw fail(
        "syntax.expected", "expected a type, found `)`",
        at: SourceRange(previousEnd - 1, previousEnd))
    }
    return ResultType(types: types, isTuple: types.count > 1, range: range(from: start))
  }

  /// After `block`.
  private mutating func parseBlock(_ start: Int32) throws(Abort) -> BlockItem {
    let name = try expectName("a name after `block`")
    let open = current.range.start
    guard current.kind == .leftParen else { throw expected("`(` and the arguments of the block") }
    var parameters: [BlockParameter] = []
    try parseElements(.rightParen, "an argument") { (parser: inout Parser) throws(Abort) in
      let name = try parser.expectName("the name of an argument")
      var value: Expression?
      if parser.current.kind == .colon {
        let place = parser.current.range
        parser.advance()
        _ = try parser.parseExpression()
        parser.report(
          "syntax.blockType", "the arguments of a block have no types", at: place,
          help: "a default is written `\(name.text) = …`; networks have typed arguments")
      } else if parser.take(.assign) {
        value = try parser.parseExpression()
      }
      parameters.append(
        BlockParameter(
          name: name, defaultValue: value, range: parser.range(from: name.range.start)))
    }
    let parametersRange = range(from: open)
    if kind == .arrow {
      let arrow = current.range
      advance()
      _ = try parseResultType()
      report(
        "syntax.blockType", "a block has no result type", at: arrow,
        help: "write a `network`, or leave out `-> …`")
    }
    let body = try parseBody(.block)
    return BlockItem(
      name: name, parameters: parameters, parametersRange: parametersRange, body: body,
      range: range(from: start))
  }

  /// After `train`.
  private mutating func parseTrain(_ keyword: SourceRange) throws(Abort) -> TrainItem {
    var arguments: [Argument] = []
    var argumentsRange = SourceRange(previousEnd, previousEnd)
    if kind == .leftParen {
      let open = current.range.start
      arguments = try parseArguments().0
      argumentsRange = range(from: open)
    } else {
      let found = found()
      report(
        "syntax.expected",
        "expected `(epochs: N)` or `(steps: N)` after `train`, found \(found.text)",
        at: found.place)
      if current.kind != .leftBrace { throw Abort() }
    }
    let body = try parseBody(.train)
    return TrainItem(
      keyword: keyword, arguments: arguments, argumentsRange: argumentsRange, body: body,
      range: range(from: keyword.start))
  }

  /// After `sample`.
  private mutating func parseSample(_ keyword: SourceRange) throws(Abort) -> SampleItem {
    var name: Name?
    if kind == .identifier { name = try expectName("a name") }
    let open = kind == .leftParen ? current.range.start : Int32(previousEnd)
    let arguments = kind == .leftParen ? try parseArguments().0 : []
    let argumentsRange = range(from: open)
    let body = try parseBody(.sample)
    return SampleItem(
      keyword: keyword, name: name, arguments: arguments, argumentsRange: argumentsRange,
      body: body,
      range: range(from: keyword.start))
  }
}
