// Arguments: matched to a function's parameters by position and label, evaluated in the order of
// the text, and read by the function as what it needs, with a diagnostic at the argument where it
// is something else.

import Basics
import GraphIR
import GraphSyntax
import Operators

/// An argument as it was given.
struct GivenArgument {
  enum Source {
    case expression(Expression)
    case value(Value)
  }
  var label: Name?
  var source: Source
  var range: SourceRange
}

extension Elaborator {
  /// The arguments of a call, the piped value first.
  func given(_ call: Call, piped: (Value, SourceRange)?) -> [GivenArgument] {
    var list: [GivenArgument] = []
    if let piped { list.append(.init(label: nil, source: .value(piped.0), range: piped.1)) }
    for argument in call.arguments {
      list.append(
        .init(
          label: argument.label, source: .expression(argument.value), range: argument.value.range)
      )
    }
    return list
  }

  /// Pairs arguments with parameter names. `names` holds each parameter with its other spellings.
  func match(
    _ given: [GivenArgument], to names: [[String]], required: [Bool], of callee: Name,
    signature: String
  ) throws(Diagnostic) -> [GivenArgument?] {
    var matched: [GivenArgument?] = Array(repeating: nil, count: names.count)
    var position = 0
    for argument in given {
      var index = position
      if let label = argument.label {
        guard let found = names.firstIndex(where: { $0.contains(label.text) }) else {
          throw Diagnostic(
            "argument.unknown", "\(callee.text) has no argument \(label.text)", at: label.range,
            help: suggestion(for: label.text, in: names.map { $0[0] }) ?? "it is \(signature)")
        }
        index = found
        if let first = matched[found] {
          throw Diagnostic(
            "argument.duplicate", "\(label.text) is given twice", at: label.range,
            notes: [.init("the first is here", at: first.range)])
        }
      } else {
        guard position < names.count else {
          let count = names.count
          throw Diagnostic(
            "argument.extra",
            "\(callee.text) takes \(count) argument\(count == 1 ? "" : "s"), not \(given.count)",
            at: argument.range, help: "it is \(signature)")
        }
        position += 1
      }
      matched[index] = argument
    }
    if let missing = names.indices.first(where: { required[$0] && matched[$0] == nil }) {
      throw Diagnostic(
        "argument.missing", "\(callee.text) needs \(names[missing][0])", at: callee.range,
        help: "it is \(signature)")
    }
    return matched
  }

  /// The value of an argument, where the parameter's kind says how a bare name is to be read.
  func evaluate(_ argument: GivenArgument, as kind: Parameter.Kind) throws(Diagnostic) -> Value {
    guard case .expression(let expression) = argument.source else {
      guard case .value(let value) = argument.source else { throw .reported }
      return value
    }
    if case .name(let name) = expression.kind, frame.scope.find(name) == nil {
      switch kind {
      case .word(let cases) where cases.contains(name): return .word(name)
      case .padding where name == "same" || name == "valid": return .word(name)
      case .word(let cases) where declarations.kinds[name] == nil:
        throw Diagnostic(
          "argument.word", "this must be one of \(cases.joined(separator: ", "))",
          at: expression.range, help: suggestion(for: name, in: cases))
      case .padding where declarations.kinds[name] == nil:
        throw Diagnostic(
          "argument.word", "padding is same, valid or [[top, bottom], [left, right]]",
          at: expression.range, help: suggestion(for: name, in: ["same", "valid"]))
      case .initializer:
        if let value = try initializer(named: name, at: expression.range) { return value }
      default: break
      }
    }
    if case .initializer = kind, case .call(let call) = expression.kind {
      return try calledInitializer(call)
    }
    return try evaluate(expression)
  }

  // MARK: Initialisers

  private func initializer(named name: String, at range: SourceRange) throws(Diagnostic) -> Value? {
    if let known = plainInitializers.first(where: { $0.name == name }) {
      return .initializer(known.spec)
    }
    if declarations.kinds[name] != nil { return nil }
    if name == "orthogonal" { throw notYet("the orthogonal initialiser", at: range) }
    if let called = calledInitializers.first(where: { $0.name == name }) {
      throw Diagnostic(
        "argument.missing", "\(name) needs \(called.labels.joined(separator: ", "))", at: range)
    }
    throw Diagnostic(
      "initializer.unknown", "there is no initialiser \(name)", at: range,
      help: suggestion(for: name, in: initializerNames))
  }

  func calledInitializer(_ call: Call) throws(Diagnostic) -> Value {
    let name = call.function.text
    if name == "orthogonal" { throw notYet("the orthogonal initialiser", at: call.range) }
    guard let known = calledInitializers.first(where: { $0.name == name }) else {
      if plainInitializers.contains(where: { $0.name == name }) {
        throw Diagnostic(
          "argument.extra", "\(name) takes no arguments", at: call.range, help: "write \(name)")
      }
      throw Diagnostic(
        "initializer.unknown", "there is no initialiser \(name)", at: call.function.range,
        help: suggestion(for: name, in: initializerNames))
    }
    let signature = "\(name)(" + known.labels.joined(separator: ", ") + ")"
    let matched = try match(
      given(call, piped: nil), to: known.labels.map { [$0] },
      required: known.labels.map { _ in true }, of: call.function, signature: signature)
    var numbers: [Double] = []
    for (label, argument) in zip(known.labels, matched) {
      let value = try evaluate(argument!, as: .number)
      numbers.append(try number(value, label, at: argument!.range))
    }
    switch name {
    case "constant": return .initializer(.constant(numbers[0]))
    case "normal":
      guard numbers[0] >= 0 else {
        throw Diagnostic(
          "argument.value", "a deviation is not negative", at: matched[0]!.range)
      }
      return .initializer(.normal(numbers[0]))
    default:
      guard numbers[0] <= numbers[1] else {
        throw Diagnostic("argument.value", "low is above high", at: call.range)
      }
      return .initializer(.uniform(numbers[0], numbers[1]))
    }
  }

  func notYet(_ what: String, at range: SourceRange) -> Diagnostic {
    Diagnostic("notYet", "\(what) is not supported yet", at: range)
  }
}
