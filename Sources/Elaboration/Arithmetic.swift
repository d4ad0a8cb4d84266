// Operators: on constants exactly, on tensors by NumPy's broadcasting. A number written in the
// program takes the element type of the tensor it meets.

import Basics
import GraphIR
import GraphSyntax
import Operators

extension Elaborator {
  typealias Operand = (value: Value, range: SourceRange)

  func negate(_ value: Value, at range: SourceRange) throws(Diagnostic) -> Value {
    switch value {
    case .integer(let number):
      let (result, overflow) = number.multipliedReportingOverflow(by: -1)
      guard !overflow else { throw overflowed(range) }
      return .integer(result)
    case .float(let number): return .float(-number)
    case .tensor, .list:
      let x = try numeric(try tensor(value, at: range))
      return tensorValue(try builder.negate(x.id), at: range)
    default:
      throw Diagnostic("type.operand", "- needs a number or a tensor, not \(value.kindText)")
    }
  }

  /// `a op b`.
  func combine(
    _ operation: BinaryOperator, _ a: Operand, _ b: Operand, at range: SourceRange
  ) throws(Diagnostic) -> Value {
    if a.value.isConstant, b.value.isConstant {
      return try combineConstants(operation, a, b, at: range)
    }
    let (x, y) = try promoted(a, b, operation.rawValue)
    _ = try broadcast(x, y, operation.rawValue, at: range)
    let result: ValueID
    switch operation {
    case .add: result = try builder.add(x.id, y.id)
    case .subtract: result = try builder.subtract(x.id, y.id)
    case .multiply: result = try builder.multiply(x.id, y.id)
    case .divide:
      // Quotients are real, of integers too, as in NumPy.
      let (p, q) = x.type.element == .i32 ? try (asFloat(x), asFloat(y)) : (x, y)
      result = try builder.divide(p.id, q.id)
    case .remainder: result = try builder.modulo(x.id, y.id)
    case .equal: result = try builder.compare(.eq, x.id, y.id)
    case .notEqual: result = try builder.compare(.ne, x.id, y.id)
    case .less: result = try builder.compare(.lt, x.id, y.id)
    case .lessEqual: result = try builder.compare(.le, x.id, y.id)
    case .greater: result = try builder.compare(.gt, x.id, y.id)
    case .greaterEqual: result = try builder.compare(.ge, x.id, y.id)
    }
    return tensorValue(result, at: range)
  }

  // MARK: Tensors

  /// A value as a tensor; numbers become scalars, lists constant tensors. `element` is the type
  /// that numbers take; without it integers become f32, except in lists.
  func tensor(
    _ value: Value, at range: SourceRange, element: ElementType? = nil
  ) throws(Diagnostic) -> TensorValue {
    switch value {
    case .tensor(let tensor): return tensor
    case .integer, .float, .boolean:
      return try constantTensor([value], shape: [], element: element, at: range)
    case .list:
      var flat: [Value] = []
      let shape = try flatten(value, into: &flat, at: range)
      if flat.contains(where: { !$0.isConstant }) {
        throw Diagnostic(
          "type.list", "a list of tensors is no tensor itself", at: range,
          help: "concat([…], axis: 0) joins tensors")
      }
      let isWhole = flat.allSatisfy { if case .integer = $0 { true } else { false } }
      return try constantTensor(
        flat, shape: shape, element: element ?? (isWhole ? .i32 : .f32), at: range)
    case .initializer:
      throw Diagnostic(
        "type.tensor", "a tensor is expected, but this is an initialiser", at: range,
        help: "normal([…]) and uniform([…]) draw a tensor of that shape")
    case .tuple(let items):
      throw Diagnostic(
        "type.tensor", "a tensor is expected, but this is a tuple of \(items.count)", at: range,
        help: "let (a, _) = … takes it apart")
    case .text, .word:
      throw Diagnostic(
        "type.tensor", "a tensor is expected, but this is \(value.kindText)", at: range,
        help: {
          if case .word(let w) = value { suggestion(for: w, in: visibleNames) } else { nil }
        }())
    }
  }

  private func flatten(
    _ value: Value, into flat: inout [Value], at range: SourceRange
  ) throws(Diagnostic) -> [Int] {
    guard case .list(let items) = value else {
      flat.append(value)
      return []
    }
    var inner: [Int]?
    for item in items {
      let shape = try flatten(item, into: &flat, at: range)
      if let inner, inner != shape {
        throw Diagnostic("type.list", "the rows of this list differ in shape", at: range)
      }
      inner = shape
    }
    guard let inner else {
      throw Diagnostic("type.list", "an empty list is no tensor", at: range)
    }
    return [items.count] + inner
  }

  private func constantTensor(
    _ values: [Value], shape: [Int], element: ElementType?, at range: SourceRange
  ) throws(Diagnostic) -> TensorValue {
    var numbers: [Double] = []
    var allBool = true
    for value in values {
      switch value {
      case .integer(let number):
        allBool = false
        numbers.append(Double(number))
        if element == .i32, Int32(exactly: number) == nil {
          throw Diagnostic("number.overflow", "\(number) does not fit into i32", at: range)
        }
      case .float(let number):
        allBool = false
        numbers.append(number)
      case .boolean(let flag): numbers.append(flag ? 1 : 0)
      default:
        throw Diagnostic("type.list", "\(value.kindText) is no element of a tensor", at: range)
      }
    }
    let type = TensorType(element ?? (allBool ? .bool : .f32), shape)
    let id = try builder.constant(type, numbers)
    return TensorValue(id: id, type: type, place: range)
  }

  /// Booleans become f32, so that arithmetic can count with them.
  func numeric(_ x: TensorValue) throws(Diagnostic) -> TensorValue {
    x.type.element == .bool ? try asFloat(x) : x
  }

  func asFloat(_ x: TensorValue) throws(Diagnostic) -> TensorValue {
    try converted(x, to: .f32)
  }

  func converted(_ x: TensorValue, to element: ElementType) throws(Diagnostic) -> TensorValue {
    if x.type.element == element { return x }
    let id = try builder.convert(x.id, to: element)
    return TensorValue(id: id, type: builder.type(of: id), place: x.place)
  }

  /// Both operands as tensors of one element type: f32 wins over f64 (which only schedules have),
  /// both over i32; a number takes the tensor's type, but makes an i32 tensor f32 if it has a
  /// fraction.
  func promoted(
    _ a: Operand, _ b: Operand, _ name: String
  ) throws(Diagnostic) -> (TensorValue, TensorValue) {
    func strong(_ value: Value) -> ElementType? {
      if case .tensor(let tensor) = value {
        return tensor.type.element == .bool ? .f32 : tensor.type.element
      }
      return nil
    }
    func isWhole(_ value: Value) -> Bool {
      switch value {
      case .integer: true
      case .list(let items): items.allSatisfy(isWhole)
      default: false
      }
    }
    let element: ElementType
    switch (strong(a.value), strong(b.value)) {
    case (let x?, let y?):
      element = x == .f32 || y == .f32 ? .f32 : (x == .f64 || y == .f64 ? .f64 : .i32)
    case (let x?, nil): element = x == .i32 && !isWhole(b.value) ? .f32 : x
    case (nil, let y?): element = y == .i32 && !isWhole(a.value) ? .f32 : y
    case (nil, nil): element = .f32
    }
    var pair: [TensorValue] = []
    for operand in [a, b] {
      let value = try tensor(operand.value, at: operand.range, element: element)
      pair.append(try converted(value, to: element))
    }
    return (pair[0], pair[1])
  }

  /// The common shape, or a diagnostic that shows both and where they come from.
  func broadcast(
    _ a: TensorValue, _ b: TensorValue, _ name: String, at range: SourceRange
  ) throws(Diagnostic) -> [Int] {
    if let shape = broadcastShapes(a.type.shape, b.type.shape) { return shape }
    let (x, y) = (a.type.shape, b.type.shape)
    throw Diagnostic(
      "shape.broadcast", "\(name) cannot bring \(shapeText(x)) and \(shapeText(y)) together",
      at: range,
      notes: [
        .init("the left is \(a.type)", at: a.place), .init("the right is \(b.type)", at: b.place),
      ],
      help: "shapes are compared from the last axis; sizes must be equal, or one of them 1")
  }

  // MARK: Constants

  func overflowed(_ range: SourceRange) -> Diagnostic {
    Diagnostic(
      "number.overflow", "this integer is too large", at: range,
      help: "integers reach from -2^63 to 2^63 - 1; write a number with a point for more")
  }

  private func combineConstants(
    _ operation: BinaryOperator, _ a: Operand, _ b: Operand, at range: SourceRange
  ) throws(Diagnostic) -> Value {
    if operation == .equal || operation == .notEqual {
      if let x = a.value.number, let y = b.value.number {
        return .boolean((x == y) == (operation == .equal))
      }
      return .boolean((a.value == b.value) == (operation == .equal))
    }
    if case .integer(let x) = a.value, case .integer(let y) = b.value {
      return try combineIntegers(operation, x, y, at: range)
    }
    guard let x = a.value.number, let y = b.value.number else {
      let wrong = a.value.number == nil ? a : b
      throw Diagnostic(
        "type.operand",
        "\(operation.rawValue) needs numbers or tensors, not \(wrong.value.kindText)",
        at: wrong.range)
    }
    switch operation {
    case .add: return .float(x + y)
    case .subtract: return .float(x - y)
    case .multiply: return .float(x * y)
    case .divide:
      guard y != 0 else { throw Diagnostic("number.division", "division by zero", at: range) }
      return .float(x / y)
    case .remainder:
      guard y != 0 else { throw Diagnostic("number.division", "division by zero", at: range) }
      return .float(x - y * (x / y).rounded(.down))
    case .less: return .boolean(x < y)
    case .lessEqual: return .boolean(x <= y)
    case .greater: return .boolean(x > y)
    default: return .boolean(x >= y)
    }
  }

  private func combineIntegers(
    _ operation: BinaryOperator, _ x: Int, _ y: Int, at range: SourceRange
  ) throws(Diagnostic) -> Value {
    func exact(_ result: (partialValue: Int, overflow: Bool)) throws(Diagnostic) -> Value {
      guard !result.overflow else { throw overflowed(range) }
      return .integer(result.partialValue)
    }
    switch operation {
    case .add: return try exact(x.addingReportingOverflow(y))
    case .subtract: return try exact(x.subtractingReportingOverflow(y))
    case .multiply: return try exact(x.multipliedReportingOverflow(by: y))
    case .divide:
      guard y != 0 else { throw Diagnostic("number.division", "division by zero", at: range) }
      let quotient = x.dividedReportingOverflow(by: y)
      guard !quotient.overflow else { throw overflowed(range) }
      // A quotient that is not whole is a number; where an integer is needed it is refused.
      if quotient.partialValue * y == x { return .integer(quotient.partialValue) }
      return .float(Double(x) / Double(y))
    case .remainder:
      guard y != 0 else { throw Diagnostic("number.division", "division by zero", at: range) }
      if y == -1 { return .integer(0) }
      let remainder = x % y
      return .integer(remainder != 0 && (remainder < 0) != (y < 0) ? remainder + y : remainder)
    case .less: return .boolean(x < y)
    case .lessEqual: return .boolean(x <= y)
    case .greater: return .boolean(x > y)
    default: return .boolean(x >= y)
    }
  }
}
