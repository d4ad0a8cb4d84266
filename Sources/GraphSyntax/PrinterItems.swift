// Items and statements in canonical form.

import Basics

extension Printer {
  mutating func printFile(_ file: SourceFile) -> String {
    lines(file.items.map(\.range), end: file.range.end + 1) { $0.item(file.items[$1]) }
    return String(decoding: out, as: UTF8.self)
  }

  private mutating func item(_ item: Item) {
    switch item {
    case .model(let model):
      write("model ")
      token(Self.quoted(model.name.value), at: model.name.range)
    case .let(let statement): self.let(statement)
    case .data(let data): self.data(data)
    case .network(let network): self.network(network)
    case .block(let block):
      write("block ")
      name(block.name)
      parameters(block)
      write(" ")
      body(block.body)
    case .optimizer(let optimizer):
      write("optimizer ")
      name(optimizer.name)
      write(" = ")
      expression(optimizer.value)
    case .train(let train):
      write("train")
      header(train.arguments, train.argumentsRange, train.body)
    case .sample(let sample):
      write("sample")
      if let name = sample.name {
        write(" ")
        self.name(name)
      }
      if sample.arguments.isEmpty {
        write(" ")
        body(sample.body)
      } else {
        header(sample.arguments, sample.argumentsRange, sample.body)
      }
    case .state(let statement): state(statement)
    }
  }

  /// `(epochs: 20) { … }`
  private mutating func header(_ arguments: [Argument], _ range: SourceRange, _ body: Body) {
    let end = range.end - 1
    reserve = 2
    if !fits({ $0.arguments(arguments, end: end) }) { self.arguments(arguments, end: end) }
    reserve = 0
    write(" ")
    self.body(body)
  }

  private mutating func parameters(_ block: BlockItem) {
    let end = block.parametersRange.end - 1
    let print: (inout Printer) -> Void = { printer in
      printer.bracketed("(", ")", block.parameters.map(\.range.start), end: end) { printer, index in
        let parameter = block.parameters[index]
        printer.name(parameter.name)
        if let value = parameter.defaultValue {
          printer.write(" = ")
          printer.expression(value)
        }
      }
    }
    reserve = 2
    if !fits(print) { print(&self) }
    reserve = 0
  }

  private mutating func data(_ data: DataItem) {
    write("data ")
    name(data.name)
    write(": ")
    type(data.type)
    if let bounds = data.bounds {
      write(" in ")
      expression(bounds.low, .additive)
      write("...")
      expression(bounds.high, .additive)
    }
    write(" from ")
    switch data.source {
    case .named(let literal): token(Self.quoted(literal.value), at: literal.range)
    case .path(let names, _):
      for (index, name) in names.enumerated() {
        if index > 0 {
          printComments(before: name.range.start)
          write(".")
        }
        self.name(name)
      }
    }
    for option in data.options {
      write(", ")
      argument(option)
    }
  }

  private mutating func network(_ network: NetworkItem) {
    write("network ")
    name(network.name)
    let end = network.parametersRange.end - 1
    let print: (inout Printer) -> Void = { printer in
      printer.bracketed("(", ")", network.parameters.map(\.range.start), end: end) {
        $0.name(network.parameters[$1].name)
        $0.write(": ")
        $0.type(network.parameters[$1].type)
      }
      printer.write(" -> ")
      printer.result(network.result)
    }
    reserve = 2
    if !fits(print) { print(&self) }
    reserve = 0
    write(" ")
    body(network.body)
  }

  private mutating func result(_ result: ResultType) {
    guard result.isTuple else { return type(result.types[0]) }
    let print: (inout Printer) -> Void = { printer in
      printer.printComments(before: result.range.start)
      printer.bracketed("(", ")", result.types.map(\.range.start), end: result.range.end - 1) {
        $0.type(result.types[$1])
      }
    }
    if !fits(print) { print(&self) }
  }

  private mutating func body(_ body: Body) {
    var ranges = body.statements.map(\.range)
    if let result = body.result { ranges.append(result.range) }
    braces(body.range, isOnOneLine: body.isOnOneLine, ranges) { printer, index in
      if index < body.statements.count {
        printer.statement(body.statements[index])
      } else if let result = body.result {
        printer.expression(result)
      }
    }
  }

  private mutating func statement(_ statement: Statement) {
    switch statement {
    case .let(let statement): self.let(statement)
    case .update(let statement): update(statement)
    case .repeat(let statement):
      write("repeat ")
      counted(statement.count)
      write(" ")
      body(statement.body)
    case .average(let statement):
      write("average ")
      name(statement.network)
      write(" as ")
      name(statement.name)
      write(" decay ")
      expression(statement.decay)
    case .report(let statement):
      write("report ")
      for (index, name) in statement.names.enumerated() {
        if index > 0 { write(", ") }
        self.name(name)
      }
    case .every(let statement):
      write("every ")
      counted(statement.count)
      write(" ")
      token(statement.unit.rawValue, at: statement.unitRange)
      write(" ")
      body(statement.body)
    case .action(let statement):
      switch statement.kind {
      case .checkpoint: write("checkpoint")
      case .sample(nil): write("sample")
      case .sample(let name?):
        write("sample ")
        self.name(name)
      }
    case .state(let statement): state(statement)
    case .assign(let statement):
      name(statement.name)
      write(" = ")
      expression(statement.value)
    }
  }

  private mutating func counted(_ count: Expression) {
    reserve += 9
    expression(count)
    reserve -= 9
  }

  private mutating func `let`(_ statement: LetStatement) {
    write("let ")
    switch statement.pattern {
    case .name(let name): self.name(name)
    case .tuple(let elements, _):
      write("(")
      for (index, element) in elements.enumerated() {
        if index > 0 { write(", ") }
        token(element.name?.text ?? "_", at: element.range)
      }
      write(")")
    }
    write(" = ")
    expression(statement.value)
  }

  private mutating func state(_ statement: StateStatement) {
    write("state ")
    name(statement.name)
    write(": ")
    type(statement.type)
    write(" = ")
    expression(statement.initial)
  }

  private mutating func update(_ statement: UpdateStatement) {
    write("update ")
    guard statement.isGroup else { return clause(statement.clauses[0]) }
    let start = statement.clauses.first.map(\.range.start) ?? statement.range.start
    braces(
      SourceRange(Int(start), Int(statement.range.end)), isOnOneLine: statement.isOnOneLine,
      statement.clauses.map(\.range)
    ) { $0.clause(statement.clauses[$1]) }
  }

  private mutating func clause(_ clause: UpdateClause) {
    if !isFlat, fits({ $0.clause(clause) }) { return }
    for (index, network) in clause.networks.enumerated() {
      if index > 0 { write(", ") }
      name(network)
    }
    write(" minimizing ")
    expression(clause.loss)
    write(" with ")
    expression(clause.optimizer)
  }
}
