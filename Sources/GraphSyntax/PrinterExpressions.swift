// Expressions and types in canonical form: parentheses only where precedence asks for them.

import Basics

extension Expression {
  package var precedence: Precedence {
    switch kind {
    case .pipe: .pipe
    case .binary(let binary, _, _, _): binary.precedence
    case .unary: .unary
    default: .postfix
    }
  }
}

extension Printer {
  /// An expression where at least `minimum` binds; looser ones get parentheses.
  mutating func expression(_ expression: Expression, _ minimum: Precedence = .pipe) {
    if failed { return }
    if isFlat || !fits({ $0.layout(expression, minimum) }) { layout(expression, minimum) }
  }

  private mutating func layout(_ expression: Expression, _ minimum: Precedence) {
    let isGrouped = expression.precedence < minimum
    if isGrouped {
      printComments(before: expression.range.start)
      write("(")
      reserve += 1
    }
    defer {
      if isGrouped {
        reserve -= 1
        write(")")
      }
    }
    switch expression.kind {
    case .integer(let value):
      token(expression.spelling.isEmpty ? "\(value)" : expression.spelling, at: expression.range)
    case .float(let value):
      token(expression.spelling.isEmpty ? "\(value)" : expression.spelling, at: expression.range)
    case .boolean(let value): token(value ? "true" : "false", at: expression.range)
    case .string(let value): token(Self.quoted(value), at: expression.range)
    case .name(let name): token(name, at: expression.range)
    case .member(let base, let member):
      self.expression(base, .postfix)
      printComments(before: member.range.start)
      write(".\(member.text)")
    case .call(let call): layout(call)
    case .list(let elements): list("[", elements, "]", expression.range)
    case .tuple(let elements): list("(", elements, ")", expression.range)
    case .unary(let sign, let operand):
      printComments(before: expression.range.start)
      write(sign.rawValue)
      self.expression(operand, .unary)
    case .binary: layoutChain(expression)
    case .pipe(let head, let stages): layoutPipe(head, stages)
    }
  }

  private mutating func list(
    _ open: String, _ elements: [Expression], _ close: String, _ range: SourceRange
  ) {
    printComments(before: range.start)
    bracketed(open, close, elements.map(\.range.start), end: range.end - 1) {
      $0.expression(elements[$1])
    }
  }

  mutating func call(_ call: Call) {
    if isFlat || !fits({ $0.layout(call) }) { layout(call) }
  }

  private mutating func layout(_ call: Call) {
    name(call.function)
    arguments(call.arguments, end: call.range.end - 1)
  }

  /// `(a, label: b)`; `end` is where the `)` stands.
  mutating func arguments(_ arguments: [Argument], end: Int32) {
    bracketed("(", ")", arguments.map(\.range.start), end: end) { $0.argument(arguments[$1]) }
  }

  mutating func argument(_ argument: Argument) {
    if let label = argument.label {
      name(label)
      write(": ")
    }
    expression(argument.value)
  }

  /// Operators of one precedence, left to right. Broken, each `+ - * /` begins a line; `%` and comparisons
  /// would not continue the line before, so they stay where they are.
  private mutating func layoutChain(_ expression: Expression) {
    let level = expression.precedence
    var first = expression
    var links: [(symbol: BinaryOperator, range: SourceRange, operand: Expression)] = []
    while case .binary(let symbol, let left, let right, let range) = first.kind,
      symbol.precedence == level, links.isEmpty || level != .comparison
    {
      links.append((symbol, range, right))
      first = left
    }
    let tighter = Precedence(rawValue: level.rawValue + 1) ?? .postfix
    let outer = reserve
    if !isFlat { reserve = 0 }
    beginLine()
    indent += Self.step
    self.expression(first, tighter)
    for (index, link) in links.reversed().enumerated() where !failed {
      let canBreak = level != .comparison && link.symbol != .remainder
      if isFlat || !canBreak {
        printComments(before: link.range.start)
        space()
      } else {
        breakLine(before: link.operand.range.start, .inside)
      }
      write(link.symbol.rawValue + " ")
      if index == links.count - 1 { reserve = outer }
      self.expression(link.operand, tighter)
    }
    indent -= Self.step
    reserve = outer
  }

  /// A chain is broken where the user broke it; one that was on a line and does not fit, before each `|>`.
  private mutating func layoutPipe(_ head: Expression, _ stages: [PipeStage]) {
    let hasBreaks = stages.contains(where: \.startsLine)
    if isFlat, hasBreaks {
      failed = true
      return
    }
    let outer = reserve
    if !isFlat { reserve = 0 }
    beginLine()
    indent += Self.step
    expression(head, .comparison)
    for (index, stage) in stages.enumerated() where !failed {
      if index == stages.count - 1 { reserve = outer }
      let isBroken = stage.startsLine || !hasBreaks
      if isFlat || !isBroken && fits({ $0.stage(stage) }) {
        if isFlat { self.stage(stage) }
        continue
      }
      breakLine(before: stage.call.function.range.start, .inside)
      write("|> ")
      call(stage.call)
    }
    indent -= Self.step
    reserve = outer
  }

  private mutating func stage(_ stage: PipeStage) {
    printComments(before: stage.call.function.range.start)
    space()
    write("|> ")
    call(stage.call)
  }

  mutating func type(_ type: TypeSyntax) {
    if isFlat || !fits({ $0.layout(type) }) { layout(type) }
  }

  private mutating func layout(_ type: TypeSyntax) {
    printComments(before: type.range.start)
    if let element = type.element { name(element) }
    bracketed("[", "]", type.dimensions.map(\.range.start), end: type.range.end - 1) {
      $0.expression(type.dimensions[$1])
    }
  }

  static func quoted(_ value: String) -> String {
    var text: [UInt8] = [UInt8(ascii: "\"")]
    for byte in value.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): text += [UInt8(ascii: "\\"), byte]
      case UInt8(ascii: "\n"): text += Array("\\n".utf8)
      case UInt8(ascii: "\t"): text += Array("\\t".utf8)
      default: text.append(byte)
      }
    }
    text.append(UInt8(ascii: "\""))
    return String(decoding: text, as: UTF8.self)
  }
}
