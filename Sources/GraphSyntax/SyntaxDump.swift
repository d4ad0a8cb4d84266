// The syntax tree as text, for `--emit syntax` and for tests: one node a line, indented by its depth, with
// its place as line:column-line:column.

import Basics

/// The tree of a parsed file. `ranges: false` leaves the places and the comments out, so that two texts with
/// the same tree have the same dump.
package func dumpSyntax(_ file: SourceFile, source: SourceText, ranges: Bool = true) -> String {
  var dump = SyntaxDump(positions: ranges ? Positions(source) : nil)
  dump.line("file", file.range)
  dump.nested { dump in
    for item in file.items { dump.item(item) }
    if ranges {
      for comment in file.comments {
        let first = comment.text.split(separator: "\n", maxSplits: 1).first.map(String.init) ?? ""
        dump.line("comment \(first)", comment.range)
      }
    }
  }
  return dump.out
}

/// Lines and columns of many places in one text. Columns are counted from marks set every 64 bytes, so that
/// a file that is a single line takes no longer than any other.
private struct Positions {
  private let bytes: [UInt8]
  private var marks: [(offset: Int, place: LineColumn)] = [(0, LineColumn(line: 1, column: 1))]

  init(_ source: SourceText) {
    bytes = source.bytes
    var place = LineColumn(line: 1, column: 1)
    var last = 0
    for (offset, byte) in bytes.enumerated() {
      if byte == UInt8(ascii: "\n") {
        place = LineColumn(line: place.line + 1, column: 1)
        last = offset + 1
        marks.append((last, place))
      } else if byte < 0x80, offset - last >= 64 {
        place.column += String(decoding: bytes[last..<offset], as: UTF8.self).count
        last = offset
        marks.append((last, place))
      }
    }
  }

  func text(_ offset: Int32) -> String {
    let offset = min(Int(offset), bytes.count)
    var low = 0
    var high = marks.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if marks[middle].offset <= offset { low = middle } else { high = middle }
    }
    let mark = marks[low]
    let column =
      mark.place.column + String(decoding: bytes[mark.offset..<offset], as: UTF8.self).count
    return "\(mark.place.line):\(column)"
  }
}

private struct SyntaxDump {
  var positions: Positions?
  var out = ""
  var depth = 0

  init(positions: Positions?) { self.positions = positions }

  mutating func line(_ text: String, _ range: SourceRange) {
    out += String(repeating: "  ", count: depth) + text
    if let positions { out += "  \(positions.text(range.start))-\(positions.text(range.end))" }
    out += "\n"
  }

  mutating func nested(_ body: (inout SyntaxDump) -> Void) {
    depth += 1
    body(&self)
    depth -= 1
  }

  mutating func group(_ label: String, _ range: SourceRange, _ body: (inout SyntaxDump) -> Void) {
    line(label, range)
    nested(body)
  }

  // MARK: - Items

  mutating func item(_ item: Item) {
    switch item {
    case .model(let item): line("model \(Printer.quoted(item.name.value))", item.range)
    case .let(let item): self.let(item)
    case .data(let item):
      group("data \(item.name.text)", item.range) { dump in
        dump.type(item.type)
        if let bounds = item.bounds {
          dump.group("in", bounds.range) {
            $0.expression(bounds.low)
            $0.expression(bounds.high)
          }
        }
        switch item.source {
        case .named(let literal): dump.line("from \(Printer.quoted(literal.value))", literal.range)
        case .path(let names, let range):
          dump.line("from \(names.map(\.text).joined(separator: "."))", range)
        }
        for option in item.options { dump.argument(option) }
      }
    case .network(let item):
      group("network \(item.name.text)", item.range) { dump in
        for parameter in item.parameters {
          dump.group("argument \(parameter.name.text)", parameter.range) { $0.type(parameter.type) }
        }
        dump.group(item.result.isTuple ? "results" : "result", item.result.range) {
          for type in item.result.types { $0.type(type) }
        }
        dump.body(item.body)
      }
    case .block(let item):
      group("block \(item.name.text)", item.range) { dump in
        for parameter in item.parameters {
          dump.group("argument \(parameter.name.text)", parameter.range) {
            if let value = parameter.defaultValue { $0.expression(value) }
          }
        }
        dump.body(item.body)
      }
    case .optimizer(let item):
      group("optimizer \(item.name.text)", item.range) { $0.expression(item.value) }
    case .train(let item):
      group("train", item.range) { dump in
        for argument in item.arguments { dump.argument(argument) }
        dump.body(item.body)
      }
    case .sample(let item):
      group(item.name.map { "sample \($0.text)" } ?? "sample", item.range) { dump in
        for argument in item.arguments { dump.argument(argument) }
        dump.body(item.body)
      }
    case .state(let item): state(item)
    }
  }

  // MARK: - Statements

  mutating func body(_ body: Body) {
    group("body", body.range) { dump in
      for statement in body.statements { dump.statement(statement) }
      if let result = body.result { dump.group("result", result.range) { $0.expression(result) } }
    }
  }

  mutating func statement(_ statement: Statement) {
    switch statement {
    case .let(let statement): self.let(statement)
    case .update(let statement):
      group(statement.isGroup ? "update together" : "update", statement.range) { dump in
        for clause in statement.clauses {
          let names = clause.networks.map(\.text).joined(separator: ", ")
          dump.group("minimize for \(names)", clause.range) {
            $0.expression(clause.loss)
            $0.expression(clause.optimizer)
          }
        }
      }
    case .repeat(let statement):
      group("repeat", statement.range) {
        $0.expression(statement.count)
        $0.body(statement.body)
      }
    case .average(let statement):
      group("average \(statement.network.text) as \(statement.name.text)", statement.range) {
        $0.expression(statement.decay)
      }
    case .report(let statement):
      line("report \(statement.names.map(\.text).joined(separator: ", "))", statement.range)
    case .every(let statement):
      group("every \(statement.unit.rawValue)", statement.range) {
        $0.expression(statement.count)
        $0.body(statement.body)
      }
    case .action(let statement):
      switch statement.kind {
      case .checkpoint: line("do checkpoint", statement.range)
      case .sample(nil): line("do sample", statement.range)
      case .sample(let name?): line("do sample \(name.text)", statement.range)
      }
    case .state(let statement): state(statement)
    case .assign(let statement):
      group("assign \(statement.name.text)", statement.range) { $0.expression(statement.value) }
    }
  }

  mutating func `let`(_ statement: LetStatement) {
    var names = ""
    switch statement.pattern {
    case .name(let name): names = name.text
    case .tuple(let elements, _):
      names = "(\(elements.map { $0.name?.text ?? "_" }.joined(separator: ", ")))"
    }
    group("let \(names)", statement.range) { $0.expression(statement.value) }
  }

  mutating func state(_ statement: StateStatement) {
    group("state \(statement.name.text)", statement.range) {
      $0.type(statement.type)
      $0.expression(statement.initial)
    }
  }

  // MARK: - Expressions

  mutating func type(_ type: TypeSyntax) {
    group(type.element.map { "type \($0.text)" } ?? "type", type.range) { dump in
      for dimension in type.dimensions { dump.expression(dimension) }
    }
  }

  mutating func argument(_ argument: Argument) {
    guard let label = argument.label else { return expression(argument.value) }
    group("\(label.text):", argument.range) { $0.expression(argument.value) }
  }

  mutating func expression(_ expression: Expression) {
    let range = expression.range
    switch expression.kind {
    case .integer(let value): line("\(value)", range)
    case .float(let value): line("\(value)", range)
    case .string(let value): line(Printer.quoted(value), range)
    case .boolean(let value): line("\(value)", range)
    case .name(let name): line("name \(name)", range)
    case .member(let base, let member):
      group("member \(member.text)", range) { $0.expression(base) }
    case .call(let call): self.call(call)
    case .list(let elements):
      group("list", range) { dump in for element in elements { dump.expression(element) } }
    case .tuple(let elements):
      group("tuple", range) { dump in for element in elements { dump.expression(element) } }
    case .unary(let sign, let operand): group(sign.rawValue, range) { $0.expression(operand) }
    case .binary(let symbol, let left, let right, _):
      group(symbol.rawValue, range) {
        $0.expression(left)
        $0.expression(right)
      }
    case .pipe(let head, let stages):
      group("|>", range) { dump in
        dump.expression(head)
        for stage in stages { dump.call(stage.call) }
      }
    }
  }

  mutating func call(_ call: Call) {
    group("call \(call.function.text)", call.range) { dump in
      for argument in call.arguments { dump.argument(argument) }
    }
  }
}
