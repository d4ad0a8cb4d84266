// A power with a real exponent.

import Basics
import GraphIR

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package struct Power: BinaryOperation {
  package static let mnemonic = "power"
  package static let summary = "a to the power b; NaN where a < 0 and b is not whole."
  package static var samples: [Sample<Power>] {
    samples(.uniform(0.3, 2), .uniform(-2, 3)) + [
      // Whole exponents of negative bases have a gradient with respect to the base only.
      Sample(
        Power(), [.f32(4), .f32()], fills: [.values([-1.5, 0, 0.5, 2]), .values([3])],
        differentiable: false),
      Sample(
        Power(), [.f32(3), .f32(3)], fills: [.values([0, 0, 2]), .values([0, 2, 0])],
        differentiable: false),
    ]
  }
  package init() {}

  package func apply(_ a: Double, _ b: Double) -> Double { pow(a, b) }

  /// With y = a^b: da = dy · b · a^(b − 1), 0 where b = 0 (else 0 · ∞ at a = 0);
  /// db = dy · y · log a, 0 where a = 0.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    let builder = scope.builder
    let (a, b) = (scope.operands[0], scope.operands[1])
    let element = scope.type(ofResult: 0).element
    let zero = try builder.scalar(0, element)
    if scope.needs(0) {
      let slope = try builder.multiply(b, builder.power(a, builder.add(b, -1)))
      let isConstant = try builder.compare(.eq, b, zero)
      let safe = try builder.select(isConstant, zero, slope)
      scope.setAdjoint(of: 0, try builder.multiply(scope.seed, safe))
    }
    if scope.needs(1) {
      let isZero = try builder.compare(.eq, a, zero)
      let base = try builder.select(isZero, builder.scalar(1, element), a)
      let slope = try builder.multiply(scope.results[0], builder.log(base))
      scope.setAdjoint(of: 1, try builder.multiply(scope.seed, slope))
    }
  }
}
