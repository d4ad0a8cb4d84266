// What a function of the language sees when it is called: its arguments, read as what they must be,
// and the builder. Every reading error names the parameter and stands at the argument.

import Basics
import GraphIR
import GraphSyntax
import Operators

final class CallSite {
  let elaborator: Elaborator
  let entry: FunctionEntry
  /// The function's name in the text.
  let callee: Name
  let range: SourceRange
  private let bound: [String: (value: Value, range: SourceRange)]
  /// The path of a layer: `generator/dense_1`.
  var path = ""
  /// The states that the layer owns.
  var owned: [String] = []

  init(
    _ elaborator: Elaborator, _ entry: FunctionEntry, callee: Name, range: SourceRange,
    bound: [String: (value: Value, range: SourceRange)]
  ) {
    self.elaborator = elaborator
    self.entry = entry
    self.callee = callee
    self.range = range
    self.bound = bound
  }

  var builder: GraphBuilder { elaborator.builder }
  var isTraining: Bool { elaborator.frame.training }

  func has(_ name: String) -> Bool { bound[name] != nil }
  func range(of name: String) -> SourceRange { bound[name]?.range ?? range }

  /// An argument, or its default.
  func value(_ name: String) throws(Diagnostic) -> Value {
    if let argument = bound[name] { return argument.value }
    if let standard = entry.parameters.first(where: { $0.name == name })?.standard {
      return standard
    }
    throw Diagnostic("argument.missing", "\(entry.name) needs \(name)", at: callee.range)
  }

  func wrong(_ name: String, _ expected: String, _ value: Value) -> Diagnostic {
    Diagnostic(
      "argument.type", "\(entry.name): \(name) must be \(expected), but is \(value.kindText)",
      at: range(of: name), help: "it is \(entry.signature)")
  }

  func bad(_ name: String, _ message: String, help: String? = nil) -> Diagnostic {
    Diagnostic("argument.value", "\(entry.name): \(message)", at: range(of: name), help: help)
  }

  // MARK: Tensors

  func operand(_ name: String) throws(Diagnostic) -> Elaborator.Operand {
    (try value(name), range(of: name))
  }

  /// Any tensor; numbers and lists become constants.
  func tensor(_ name: String, element: ElementType? = nil) throws(Diagnostic) -> TensorValue {
    try elaborator.tensor(try value(name), at: range(of: name), element: element)
  }

  /// A tensor of f32; others are converted, f64 too.
  func float(_ name: String) throws(Diagnostic) -> TensorValue {
    try elaborator.asFloat(try tensor(name, element: .f32))
  }

  /// A tensor of f32 or f64; integers and booleans are converted to f32.
  func real(_ name: String) throws(Diagnostic) -> TensorValue {
    let x = try tensor(name, element: .f32)
    return x.type.element == .f64 ? x : try elaborator.asFloat(x)
  }

  /// A tensor of f32 of the given number of axes.
  func float(_ name: String, rank: Int, _ axes: String) throws(Diagnostic) -> TensorValue {
    let x = try float(name)
    guard x.type.rank == rank else {
      throw Diagnostic(
        "shape.rank", "\(entry.name) needs \(name) as \(axes), but it is \(x.type)",
        at: range(of: name), notes: [.init("it is made here", at: x.place)])
    }
    return x
  }

  /// A tensor of i32, for ids.
  func integers32(_ name: String) throws(Diagnostic) -> TensorValue {
    let x = try tensor(name, element: .i32)
    guard x.type.element == .i32 else {
      throw Diagnostic(
        "type.element", "\(entry.name) needs \(name) as i32, but it is \(x.type)",
        at: range(of: name), notes: [.init("it is made here", at: x.place)])
    }
    return x
  }

  func result(_ id: ValueID) -> Value { elaborator.tensorValue(id, at: range) }

  // MARK: Constants

  func integer(_ name: String) throws(Diagnostic) -> Int {
    let value = try value(name)
    if case .tensor = value { throw wrong(name, "an integer constant", value) }
    return try elaborator.integer(value, "\(entry.name): \(name)", at: range(of: name))
  }

  func integer(_ name: String, atLeast least: Int) throws(Diagnostic) -> Int {
    let number = try integer(name)
    guard number >= least else { throw bad(name, "\(name) is \(number), but at least \(least)") }
    return number
  }

  func number(_ name: String) throws(Diagnostic) -> Double {
    let value = try value(name)
    if case .tensor = value { throw wrong(name, "a constant number", value) }
    return try elaborator.number(value, "\(entry.name): \(name)", at: range(of: name))
  }

  func boolean(_ name: String) throws(Diagnostic) -> Bool {
    let value = try value(name)
    guard case .boolean(let flag) = value else { throw wrong(name, "true or false", value) }
    return flag
  }

  func word(_ name: String) throws(Diagnostic) -> String {
    let value = try value(name)
    guard case .word(let cases)? = entry.parameters.first(where: { $0.name == name })?.kind else {
      throw wrong(name, "a word", value)
    }
    switch value {
    case .word(let word) where cases.contains(word), .text(let word) where cases.contains(word):
      return word
    default: throw wrong(name, "one of " + cases.joined(separator: ", "), value)
    }
  }

  func initializer(_ name: String) throws(Diagnostic) -> InitializerSpec {
    let value = try value(name)
    guard case .initializer(let spec) = value else { throw wrong(name, "an initialiser", value) }
    return spec
  }

  /// A list of integers; one integer is a list of one.
  func integers(_ name: String) throws(Diagnostic) -> [Int] {
    try integers(try value(name), name)
  }

  private func integers(_ value: Value, _ name: String) throws(Diagnostic) -> [Int] {
    switch value {
    case .list(let items):
      var result: [Int] = []
      for item in items {
        result.append(
          try elaborator.integer(item, "\(entry.name): each of \(name)", at: range(of: name)))
      }
      return result
    case .integer(let number): return [number]
    default: throw wrong(name, "a list of integers", value)
    }
  }

  /// A shape: every size is positive, and the tensor is not too large.
  func shape(_ name: String) throws(Diagnostic) -> [Int] {
    let value = try value(name)
    guard case .list = value else { throw wrong(name, "a shape such as [batch, 100]", value) }
    let shape = try integers(value, name)
    do {
      _ = try TensorType(.f32, shape).checked()
    } catch {
      throw error.placed(at: range(of: name))
    }
    return shape
  }

  /// The largest window, stride and factor; more would have no use, and might overflow.
  private static let largestSize = 1 << 20
  private static let largestPad = 1 << 24

  /// `[h, w]`, from one positive number or two.
  func pair(_ name: String) throws(Diagnostic) -> [Int] {
    let sizes = try integers(name)
    guard sizes.count == 1 || sizes.count == 2 else {
      throw bad(name, "\(name) is one number or [h, w]")
    }
    guard sizes.allSatisfy({ $0 >= 1 && $0 <= Self.largestSize }) else {
      let given = sizes.count == 1 ? "\(sizes[0])" : shapeText(sizes)
      throw bad(name, "\(name) is \(given), but between 1 and \(Self.largestSize)")
    }
    return sizes.count == 1 ? [sizes[0], sizes[0]] : sizes
  }

  enum Padding {
    case same, valid
    /// top, bottom, left, right
    case explicit([Int])
  }

  func padding(_ name: String = "padding") throws(Diagnostic) -> Padding {
    let value = try value(name)
    switch value {
    case .word("same"), .text("same"): return .same
    case .word("valid"), .text("valid"): return .valid
    default:
      let rows = try pads(name)
      guard rows.count == 2 else {
        throw bad(name, "padding is same, valid or [[top, bottom], [left, right]]")
      }
      return .explicit([rows[0][0], rows[0][1], rows[1][0], rows[1][1]])
    }
  }

  /// `[[before, after], …]`, none negative.
  func pads(_ name: String) throws(Diagnostic) -> [[Int]] {
    let value = try value(name)
    guard case .list(let rows) = value else {
      throw wrong(name, "a list of [before, after]", value)
    }
    var result: [[Int]] = []
    for row in rows {
      guard case .list = row else { throw wrong(name, "a list of [before, after]", value) }
      let numbers = try integers(row, name)
      guard numbers.count == 2, numbers.allSatisfy({ $0 >= 0 && $0 <= Self.largestPad }) else {
        throw bad(
          name,
          "\(name) has \(shapeText(numbers)), but each is [before, after], "
            + "from 0 to \(Self.largestPad)")
      }
      result.append(numbers)
    }
    return result
  }

  // MARK: Axes

  /// An axis of `x`; negative ones count from the end.
  func axis(_ name: String, of x: TensorValue) throws(Diagnostic) -> Int {
    let list = try integers(name)
    guard list.count == 1 else { throw bad(name, "\(name) is one axis") }
    return try axis(list[0], name, of: x)
  }

  private func axis(_ number: Int, _ name: String, of x: TensorValue) throws(Diagnostic) -> Int {
    let rank = x.type.rank
    guard number >= -rank, number < rank else {
      throw Diagnostic(
        "shape.axis", "\(entry.name): axis \(number) is not there: \(x.type) has \(rank) axes",
        at: range(of: name), notes: [.init("the tensor is made here", at: x.place)])
    }
    return number < 0 ? number + rank : number
  }

  /// The axes to reduce, ascending: all where none is named.
  func axes(_ name: String, of x: TensorValue) throws(Diagnostic) -> [Int] {
    guard has(name) else { return Array(0..<x.type.rank) }
    var result: [Int] = []
    for number in try integers(name) {
      let index = try axis(number, name, of: x)
      guard !result.contains(index) else { throw bad(name, "axis \(number) is named twice") }
      result.append(index)
    }
    return result.sorted()
  }
}
