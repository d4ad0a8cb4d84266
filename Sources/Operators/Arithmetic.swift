// Addition, subtraction, multiplication, division and the floored remainder. Whole numbers wrap around at 32 bits,
// divide with floor, and give 0 where the divisor is 0.

import Basics
import GraphIR

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package struct Add: BinaryOperation {
  package static let mnemonic = "add"
  package static let summary = "The sum of two tensors, element by element."
  package static let elements = ElementType.numbers
  package static var samples: [Sample<Add>] { samples() + integerSamples() }
  package init() {}

  package func apply(_ a: Double, _ b: Double) -> Double { a + b }
  package func applyInteger(_ a: Int64, _ b: Int64) -> Int64 { a + b }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] {
    alongRows([[0, 1]], operands)
  }

  /// da = dy, db = dy
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    scope.setAdjoint(of: 0, scope.seed)
    scope.setAdjoint(of: 1, scope.seed)
  }
}

package struct Subtract: BinaryOperation {
  package static let mnemonic = "subtract"
  package static let summary = "The difference of two tensors, element by element."
  package static let elements = ElementType.numbers
  package static var samples: [Sample<Subtract>] { samples() + integerSamples() }
  package init() {}

  package func apply(_ a: Double, _ b: Double) -> Double { a - b }
  package func applyInteger(_ a: Int64, _ b: Int64) -> Int64 { a - b }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] {
    alongRows([[0, 1]], operands)
  }

  /// da = dy, db = −dy
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    scope.setAdjoint(of: 0, scope.seed)
    if scope.needs(1) { scope.setAdjoint(of: 1, try scope.builder.negate(scope.seed)) }
  }
}

package struct Multiply: BinaryOperation {
  package static let mnemonic = "multiply"
  package static let summary = "The product of two tensors, element by element."
  package static let elements = ElementType.numbers
  package static var samples: [Sample<Multiply>] { samples() + integerSamples() }
  package init() {}

  package func apply(_ a: Double, _ b: Double) -> Double { a * b }
  package func applyInteger(_ a: Int64, _ b: Int64) -> Int64 { a * b }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] {
    alongRows([[0], [1]], operands)
  }

  /// da = dy · b, db = dy · a
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    let builder = scope.builder
    let (a, b) = (scope.operands[0], scope.operands[1])
    if scope.needs(0) { scope.setAdjoint(of: 0, try builder.multiply(scope.seed, b)) }
    if scope.needs(1) { scope.setAdjoint(of: 1, try builder.multiply(scope.seed, a)) }
  }
}

package struct Divide: BinaryOperation {
  package static let mnemonic = "divide"
  package static let summary =
    "The quotient of two tensors, element by element; whole numbers are divided with floor."
  package static let elements = ElementType.numbers
  package static var samples: [Sample<Divide>] {
    samples(.uniform(-2, 2), .uniform(0.5, 2)) + samples(.uniform(-2, 2), .uniform(-3, -1))
      + integerSamples()
  }
  package init() {}

  package func apply(_ a: Double, _ b: Double) -> Double { a / b }
  package func applyInteger(_ a: Int64, _ b: Int64) -> Int64 {
    guard b != 0 else { return 0 }
    let quotient = a / b
    return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient
  }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] {
    alongRows([[0]], operands)
  }

  /// With y = a / b: da = dy / b, db = −(dy · y) / b
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    let builder = scope.builder
    let b = scope.operands[1]
    if scope.needs(0) { scope.setAdjoint(of: 0, try builder.divide(scope.seed, b)) }
    if scope.needs(1) {
      let product = try builder.multiply(scope.seed, scope.results[0])
      scope.setAdjoint(of: 1, try builder.negate(builder.divide(product, b)))
    }
  }
}

package struct Modulo: BinaryOperation {
  package static let mnemonic = "modulo"
  package static let summary =
    "The remainder a − b · floor(a / b), which has the sign of b."
  package static let elements = ElementType.numbers
  package static var samples: [Sample<Modulo>] {
    samples(.uniform(2.2, 2.8), .uniform(0.9, 1.1))
      + samples(.uniform(-2.8, -2.2), .uniform(1, 1.05))
      + integerSamples()
  }
  package init() {}

  package func apply(_ a: Double, _ b: Double) -> Double {
    let remainder = fmod(a, b)
    return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder
  }
  package func applyInteger(_ a: Int64, _ b: Int64) -> Int64 {
    guard b != 0 else { return 0 }
    let remainder = a % b
    return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder
  }

  /// With y = a − b · floor(a / b): da = dy, db = −dy · floor(a / b) = dy · (y − a) / b
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    let builder = scope.builder
    scope.setAdjoint(of: 0, scope.seed)
    if scope.needs(1) {
      let difference = try builder.subtract(scope.results[0], scope.operands[0])
      let floor = try builder.divide(difference, scope.operands[1])
      scope.setAdjoint(of: 1, try builder.multiply(scope.seed, floor))
    }
  }
}
