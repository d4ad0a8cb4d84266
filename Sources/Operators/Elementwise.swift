// Element-wise operations: what the unary and the binary ones have in common. They broadcast by NumPy's rules, and
// their gradients write the local rule only: the differentiator sums an adjoint back to its operand's shape.

import Basics
import GraphIR

/// An operation of one operand that computes each element from one element.
package protocol UnaryOperation: Operation {
  /// The element types that it takes and gives back.
  static var elements: [ElementType] { get }
  func apply(_ x: Double) -> Double
  /// Throws where an attribute is out of range.
  func checkAttributes() throws(Diagnostic)
}

extension UnaryOperation {
  package static var signature: [OperandSpec] { [OperandSpec("x")] }
  package static var elements: [ElementType] { ElementType.floats }
  package var isElementwise: Bool { true }
  package func checkAttributes() throws(Diagnostic) {}

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try checkAttributes()
    try check(operands, Self.elements)
    return [operands[0]]
  }

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    [HostTensor(results[0], mapped(operands[0].values, apply))]
  }

  /// One sample for each usual shape: a scalar, tails of vectors, several axes.
  static func samples(
    _ operation: Self = Self(), _ fill: Sample<Self>.Fill = .uniform(-2, 2),
    differentiable: Bool = true
  ) -> [Sample<Self>] {
    let shapes: [[Int]] = [[], [7], [3, 5], [2, 1, 37]]
    return shapes.map {
      Sample(operation, [.f32($0)], fills: [fill], differentiable: differentiable)
    } + [
      Sample(operation, [TensorType(.f64, [])], fills: [fill], differentiable: differentiable)
    ]
  }
}

/// An operation of two operands of one element type that computes each element from one element of each.
package protocol BinaryOperation: Operation {
  static var elements: [ElementType] { get }
  func apply(_ a: Double, _ b: Double) -> Double
  /// The same for whole numbers; the result is taken modulo 2³², as two's complement does.
  func applyInteger(_ a: Int64, _ b: Int64) -> Int64
}

extension BinaryOperation {
  package static var signature: [OperandSpec] { [OperandSpec("a"), OperandSpec("b")] }
  package static var elements: [ElementType] { ElementType.floats }
  package var isElementwise: Bool { true }
  package func applyInteger(_ a: Int64, _ b: Int64) -> Int64 { Int64(apply(Double(a), Double(b))) }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try check(operands, Self.elements)
    try checkSameElement(operands[0], operands[1])
    let shape = try broadcast(operands[0], operands[1])
    return [TensorType(operands[0].element, shape)]
  }

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    guard results[0].element == .i32 else {
      return [HostTensor(results[0], combined(operands[0], operands[1], results[0].shape, apply))]
    }
    let values = combined(operands[0], operands[1], results[0].shape) { a, b in
      let exact = applyInteger(wholeNumber(a), wholeNumber(b))
      return Double(Int32(truncatingIfNeeded: exact))
    }
    return [HostTensor(results[0], values)]
  }

  /// One sample for each way to broadcast: equal shapes, scalars, trailing and leading axes, both sides at once.
  static func samples(
    _ a: Sample<Self>.Fill = .uniform(-2, 2), _ b: Sample<Self>.Fill = .uniform(-2, 2)
  ) -> [Sample<Self>] {
    let shapes: [([Int], [Int])] = [
      ([], []), ([3, 5], [3, 5]), ([37], [37]), ([2, 3, 7], [7]), ([2, 3], []), ([], [2, 3]),
      ([5], [2, 3, 5]), ([4, 1], [1, 5]), ([2, 1, 3, 1], [4, 1, 5]), ([2, 5, 3], [5, 1]),
      ([1], [6]),
    ]
    return shapes.map { Sample(Self(), [.f32($0.0), .f32($0.1)], fills: [a, b]) } + [
      Sample(Self(), [TensorType(.f64, []), TensorType(.f64, [])], fills: [a, b])
    ]
  }

  static func integerSamples(
    _ a: Sample<Self>.Fill = .uniform(-9, 9), _ b: Sample<Self>.Fill = .uniform(-9, 9)
  ) -> [Sample<Self>] {
    let shapes: [([Int], [Int])] = [([], []), ([19], [19]), ([3, 5], [5]), ([], [6])]
    return shapes.map {
      Sample(
        Self(), [TensorType(.i32, $0.0), TensorType(.i32, $0.1)], fills: [a, b],
        differentiable: false)
    }
  }
}

extension Operation {
  /// Of the given sets of operands of an element-wise operation, those whose rows are the rows of the result, since none
  /// is repeated along the first axis.
  func alongRows(_ sets: [[Int]], _ operands: [TensorType]) -> [[Int]] {
    let aligned = alignedRows(operands)
    return sets.filter { $0.allSatisfy(aligned.contains) }
  }
}

/// A double that holds an i32, as an integer.
func wholeNumber(_ value: Double) -> Int64 { Int64(HostTensor.round(value, to: .i32)) }

/// `body` of every element. While loops, because these run thousands of times in debug builds.
func mapped(_ values: [Double], _ body: (Double) -> Double) -> [Double] {
  let count = values.count
  return [Double](unsafeUninitializedCapacity: count) { target, initialized in
    values.withUnsafeBufferPointer { source in
      guard let from = source.baseAddress, let to = target.baseAddress else { return }
      var i = 0
      while i < count {
        (to + i).initialize(to: body(from[i]))
        i += 1
      }
    }
    initialized = count
  }
}

/// `body` of every pair of elements of two tensors broadcast to `shape`.
func combined(
  _ a: HostTensor, _ b: HostTensor, _ shape: [Int], _ body: (Double, Double) -> Double
) -> [Double] {
  if b.values.count == 1, a.shape == shape {
    let right = b.values[0]
    return mapped(a.values) { body($0, right) }
  }
  if a.values.count == 1, b.shape == shape {
    let left = a.values[0]
    return mapped(b.values) { body(left, $0) }
  }
  let left = expanded(a, shape)
  let right = expanded(b, shape)
  let count = left.count
  return [Double](unsafeUninitializedCapacity: count) { target, initialized in
    left.withUnsafeBufferPointer { left in
      right.withUnsafeBufferPointer { right in
        guard let x = left.baseAddress, let y = right.baseAddress, let to = target.baseAddress
        else { return }
        var i = 0
        while i < count {
          (to + i).initialize(to: body(x[i], y[i]))
          i += 1
        }
      }
    }
    initialized = count
  }
}

/// The values of a tensor broadcast to `shape`.
func expanded(_ tensor: HostTensor, _ shape: [Int]) -> [Double] {
  if tensor.shape == shape { return tensor.values }
  if tensor.values.count == 1 {
    return Array(repeating: tensor.values[0], count: shape.reduce(1, *))
  }
  return gathered(tensor.values, broadcastOffsets(from: tensor.shape, to: shape))
}
