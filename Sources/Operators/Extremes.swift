// The smaller and the larger of two numbers. A NaN on either side wins, so that it is not hidden.

import Basics
import GraphIR

package struct Minimum: BinaryOperation {
  package static let mnemonic = "minimum"
  package static let summary = "The smaller of two elements; NaN if one is."
  package static let elements = ElementType.numbers
  package static var samples: [Sample<Minimum>] { samples() + integerSamples() }
  package init() {}

  package func apply(_ a: Double, _ b: Double) -> Double {
    if a.isNaN { return a }
    if b.isNaN { return b }
    return a <= b ? a : b
  }

  /// da = dy where a ≤ b, else 0; db = dy where not a ≤ b, else 0. A tie goes to the first operand.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    try splitGradient(&scope, .le)
  }
}

package struct Maximum: BinaryOperation {
  package static let mnemonic = "maximum"
  package static let summary = "The larger of two elements; NaN if one is."
  package static let elements = ElementType.numbers
  package static var samples: [Sample<Maximum>] { samples() + integerSamples() }
  package init() {}

  package func apply(_ a: Double, _ b: Double) -> Double {
    if a.isNaN { return a }
    if b.isNaN { return b }
    return a >= b ? a : b
  }

  /// da = dy where a ≥ b, else 0; db = dy where not a ≥ b, else 0. A tie goes to the first operand.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    try splitGradient(&scope, .ge)
  }
}

/// Gives the adjoint to the first operand where the predicate holds, to the second elsewhere.
private func splitGradient(
  _ scope: inout GradientScope, _ predicate: Compare.Predicate
) throws(Diagnostic) {
  guard scope.needs(0) || scope.needs(1) else { return }
  let builder = scope.builder
  let first = try builder.compare(predicate, scope.operands[0], scope.operands[1])
  let zero = try builder.scalar(0, scope.type(ofResult: 0).element)
  if scope.needs(0) { scope.setAdjoint(of: 0, try builder.select(first, scope.seed, zero)) }
  if scope.needs(1) { scope.setAdjoint(of: 1, try builder.select(first, zero, scope.seed)) }
}
