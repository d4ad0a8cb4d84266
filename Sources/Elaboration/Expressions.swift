// Expressions to values: literals, names, operators, pipes. Errors are thrown; where several parts
// of one expression are wrong, each is reported.

import Basics
import GraphIR
import GraphSyntax
import Operators

extension Elaborator {
  /// The value of an expression in the current frame.
  func evaluate(_ expression: Expression) throws(Diagnostic) -> Value {
    try enter(expression.range)
    defer { leave() }
    switch expression.kind {
    case .integer(let value): return .integer(value)
    case .float(let value): return .float(value)
    case .string(let value): return .text(value)
    case .boolean(let value): return .boolean(value)
    case .name(let name): return try lookUp(name, at: expression.range)
    case .member(let base, let member): return try evaluateMember(base, member)
    case .call(let call): return try evaluateCall(call, piped: nil)
    case .list(let items):
      guard items.count <= ElaborationLimits.listLength else {
        throw Diagnostic(
          "limit.list", "a list of \(items.count) is too long", at: expression.range,
          help: "at most \(ElaborationLimits.listLength) elements are supported")
      }
      let list = Value.list(try evaluateAll(items))
      return try bounded(list, written: items.count, at: expression.range)
    case .tuple(let items):
      let tuple = Value.tuple(try evaluateAll(items))
      return try bounded(tuple, written: items.count, at: expression.range)
    case .unary(.minus, let operand):
      let value = try evaluate(operand)
      return try located(expression.range) { () throws(Diagnostic) -> Value in
        try self.negate(value, at: expression.range)
      }
    case .binary(let operation, let left, let right, let place):
      let values = try evaluateAll([left, right])
      return try located(expression.range, node: place) { () throws(Diagnostic) -> Value in
        try self.combine(
          operation, (values[0], left.range), (values[1], right.range), at: expression.range)
      }
    case .pipe(let head, let stages): return try evaluatePipe(head, stages)
    }
  }

  /// A list or tuple, if it is neither too large nor too deep with the lists in it: names make it
  /// possible to double one in each line.
  private func bounded(
    _ value: Value, written: Int, at range: SourceRange
  ) throws(Diagnostic) -> Value {
    guard
      let size = value.size(
        atMost: ElaborationLimits.listLength, depth: ElaborationLimits.listDepth)
    else {
      throw Diagnostic(
        "limit.list", "this list is too long or too deep, counting the lists in it", at: range,
        help: "at most \(ElaborationLimits.listLength) elements and "
          + "\(ElaborationLimits.listDepth) levels are supported")
    }
    charge((size - written) / 8)
    return value
  }

  /// `head |> f(a) |> g()`. Behind a value that is wrong, the names and labels of the stages are
  /// still checked.
  private func evaluatePipe(
    _ head: Expression, _ stages: [PipeStage]
  ) throws(Diagnostic) -> Value {
    var value: Value?
    var range = head.range
    attempt { () throws(Diagnostic) in value = try self.evaluate(head) }
    for stage in stages {
      try enter(stage.call.range)
      defer { leave() }
      guard let piped = value else {
        attempt { () throws(Diagnostic) in try self.inspect(stage.call) }
        continue
      }
      value = nil
      attempt { () throws(Diagnostic) in
        value = try self.evaluateCall(stage.call, piped: (piped, range))
      }
      range = stage.call.range
    }
    guard let value else { throw .reported }
    return value
  }

  /// Evaluates every one, reports all errors but one, and throws if there were any.
  func evaluateAll(_ expressions: [Expression]) throws(Diagnostic) -> [Value] {
    var values: [Value] = []
    var isWrong = false
    for expression in expressions {
      do {
        values.append(try evaluate(expression))
      } catch {
        report(error)
        isWrong = true
      }
    }
    if isWrong { throw .reported }
    return values
  }

  /// Runs a computation whose nodes come from `range`; its result is known to be made there, its
  /// errors are placed there.
  func located(
    _ range: SourceRange, node: SourceRange? = nil, path: String? = nil,
    _ body: () throws(Diagnostic) -> Value
  ) throws(Diagnostic) -> Value {
    let before = builder.origin
    setOrigin(node ?? range, path: path)
    defer { builder.origin = before }
    do {
      return placed(try body(), at: range)
    } catch {
      if error.isReported { throw error }
      throw error.placed(at: range)
    }
  }

  /// The value with its place set, elements of tuples and lists included.
  func placed(_ value: Value, at range: SourceRange) -> Value {
    switch value {
    case .tensor(var tensor):
      tensor.place = range
      return .tensor(tensor)
    case .tuple(let items): return .tuple(items.map { placed($0, at: range) })
    default: return value
    }
  }

  func tensorValue(_ id: ValueID, at range: SourceRange) -> Value {
    .tensor(TensorValue(id: id, type: builder.type(of: id), place: range))
  }

  // MARK: Names

  func lookUp(_ name: String, at range: SourceRange) throws(Diagnostic) -> Value {
    if let binding = frame.scope.find(name) ?? frame.dimensions?.find(name) {
      slips.noteUse(of: binding)
      guard let value = binding.value else { throw .reported }
      return value
    }
    if frame.kind == .train, name == "step" || name == "epoch" {
      return try schedule(name, at: range)
    }
    slips.noteUse(ofItem: name)
    switch declarations.kinds[name] {
    case .constant: return try constant(name)
    case .data: return try dataBatch(name, at: range)
    case .network, .block, .average:
      throw Diagnostic(
        "name.kind", "\(name) is a \(declarations.kinds[name]!.rawValue), not a value", at: range,
        help: "call it: \(name)(…)")
    case .optimizer:
      throw Diagnostic("name.kind", "\(name) is an optimizer, not a value", at: range)
    case nil: break
    }
    if knownWords.contains(name) { return .word(name) }
    if let spec = plainInitializers.first(where: { $0.name == name })?.spec {
      return .initializer(spec)
    }
    var help = suggestion(for: name, in: visibleNames)
    if help == nil, FunctionLibrary.names.contains(name) {
      help = "a function is called: \(name)(…)"
    }
    throw Diagnostic("name.unknown", "there is no \(name) here", at: range, help: help)
  }

  /// All names that an expression may use here, sorted.
  var visibleNames: [String] {
    var names = frame.scope.names + (frame.dimensions?.names ?? [])
    names += declarations.order.filter {
      declarations.kinds[$0] == .constant || declarations.kinds[$0] == .data
    }
    if frame.kind == .train { names += ["epoch", "step"] }
    return names.sorted()
  }

  /// `step` and `epoch` in `train`: scalars of f64, the type of schedules. They take part in f32
  /// arithmetic as numbers do.
  private func schedule(_ name: String, at range: SourceRange) throws(Diagnostic) -> Value {
    let counter = try builder.input(name == "step" ? .step : .epoch, .i32())
    return try located(range) { () throws(Diagnostic) -> Value in
      self.tensorValue(try self.builder.convert(counter, to: .f64), at: range)
    }
  }

  private func evaluateMember(_ base: Expression, _ member: Name) throws(Diagnostic) -> Value {
    if case .name(let name) = base.kind, frame.scope.find(name) == nil,
      declarations.kinds[name] == .data
    {
      throw Diagnostic(
        "data.member", "\(name).\(member.text) has no type yet", at: member.range,
        help: "declare it: data \(member.text): i32[…] from \(name).\(member.text)")
    }
    let value = try evaluate(base)
    throw Diagnostic(
      "member.unknown", "\(value.kindText) has no member \(member.text)", at: member.range)
  }
}
