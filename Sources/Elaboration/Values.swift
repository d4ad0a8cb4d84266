// What an expression stands for while a program is elaborated: a compile-time constant, a value of
// the graph under construction, or a group of them. And the scopes in which names are bound to
// values.

import Basics
import GraphIR

/// A value of the graph, with the place in the program that made it, for notes in diagnostics.
struct TensorValue: Hashable, Sendable {
  var id: ValueID
  var type: TensorType
  var place: SourceRange
}

indirect enum Value: Hashable, Sendable {
  case integer(Int)
  case float(Double)
  case boolean(Bool)
  case text(String)
  /// A bare word such as `same`: the case of an option.
  case word(String)
  case list([Value])
  case tuple([Value])
  case tensor(TensorValue)
  case initializer(InitializerSpec)

  /// Whether no tensor is in it.
  var isConstant: Bool {
    switch self {
    case .tensor: false
    case .list(let items), .tuple(let items): items.allSatisfy(\.isConstant)
    default: true
    }
  }

  /// How many values are in it, lists and tuples counted with their elements; nil where they are
  /// more than `limit`, or deeper than `depth`.
  func size(atMost limit: Int, depth: Int) -> Int? {
    let items: [Value]
    switch self {
    case .list(let parts), .tuple(let parts): items = parts
    default: return 1
    }
    guard depth > 0, items.count <= limit else { return nil }
    var total = 0
    for item in items {
      guard let size = item.size(atMost: limit - total, depth: depth - 1) else { return nil }
      total += size
      if total > limit { return nil }
    }
    return max(total, 1)
  }

  /// A number, from an integer or a float.
  var number: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .float(let value): value
    default: nil
    }
  }

  /// The value as a program would write it; tensors by their type.
  var text: String {
    switch self {
    case .integer(let value): String(value)
    case .float(let value): numberText(value)
    case .boolean(let value): String(value)
    case .text(let value): "\"\(value)\""
    case .word(let value): value
    case .list(let items): "[" + items.map(\.text).joined(separator: ", ") + "]"
    case .tuple(let items): "(" + items.map(\.text).joined(separator: ", ") + ")"
    case .tensor(let tensor): tensor.type.description
    case .initializer(let spec): spec.text
    }
  }

  /// What it is, for `expected …, found …`.
  var kindText: String {
    switch self {
    case .integer(let value): "the integer \(value)"
    case .float(let value): "the number \(numberText(value))"
    case .boolean(let value): "\(value)"
    case .text(let value): "the string \"\(value)\""
    case .word(let value): "the word \(value)"
    case .list(let items): items.count > 8 ? "a list of \(items.count)" : "the list \(text)"
    case .tuple(let items): "a tuple of \(items.count)"
    case .tensor(let tensor): "a tensor \(tensor.type)"
    case .initializer: "an initialiser"
    }
  }
}

/// `0.1`, `1e-07`; whole numbers without their `.0` would read as integers, so they keep it.
func numberText(_ value: Double) -> String { "\(value)" }

/// What a name is bound to.
struct Binding {
  /// Nil where the definition had an error, which has been reported.
  var value: Value?
  var range: SourceRange
}

/// Names and their values in one body; the parent holds what is visible around it.
final class Scope {
  let parent: Scope?
  private(set) var bindings: [String: Binding] = [:]

  init(parent: Scope? = nil) { self.parent = parent }

  func local(_ name: String) -> Binding? { bindings[name] }

  func find(_ name: String) -> Binding? { bindings[name] ?? parent?.find(name) }

  func bind(_ name: String, _ value: Value?, _ range: SourceRange) {
    bindings[name] = Binding(value: value, range: range)
  }

  /// All visible names, sorted, for suggestions.
  var names: [String] { (Array(bindings.keys) + (parent?.names ?? [])).sorted() }
}

extension Diagnostic {
  /// Thrown in place of an error that has been reported already, so that its consequences stay
  /// silent.
  static let reported = Diagnostic("", "")
  var isReported: Bool { code.isEmpty }

  func noting(_ message: String, at range: SourceRange?) -> Diagnostic {
    var copy = self
    copy.notes.append(Note(message, at: range))
    return copy
  }
}
