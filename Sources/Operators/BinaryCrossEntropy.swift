// The binary cross entropy of one element, from a logit and from a probability. Both are operations because the
// compositions overflow or lose all digits where a discriminator is sure.

import Basics
import GraphIR

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package struct BceWithLogits: BinaryOperation {
  package static let mnemonic = "bce_with_logits"
  package static let summary =
    "The binary cross entropy of logit x and target t: max(x, 0) − x t + log(1 + exp(−|x|))."
  package static let signature = [OperandSpec("x"), OperandSpec("target")]
  package static var samples: [Sample<BceWithLogits>] {
    samples(.uniform(-3, 3), .uniform(0, 1)) + [
      Sample(
        BceWithLogits(), [.f32(6), .f32(6)],
        fills: [.values([-200, -200, 0, 0, 200, 200]), .values([0, 1, 0, 1, 0, 1])],
        differentiable: false)
    ]
  }
  package init() {}

  package func apply(_ x: Double, _ t: Double) -> Double { softplus(x) - x * t }

  /// dx = dy · (sigmoid x − t), dt = −dy · x
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    let builder = scope.builder
    let (x, t) = (scope.operands[0], scope.operands[1])
    if scope.needs(0) {
      let slope = try builder.subtract(builder.sigmoid(x), t)
      scope.setAdjoint(of: 0, try builder.multiply(scope.seed, slope))
    }
    if scope.needs(1) {
      scope.setAdjoint(of: 1, try builder.negate(builder.multiply(scope.seed, x)))
    }
  }
}

package struct BceClamped: BinaryOperation {
  package static let mnemonic = "bce_clamped"
  package static let summary =
    "The binary cross entropy of probability p and target t, its logarithms not below −100."
  package static let signature = [OperandSpec("p"), OperandSpec("target")]
  package static var samples: [Sample<BceClamped>] {
    samples(.uniform(0.1, 0.9), .uniform(0, 1)) + [
      Sample(
        BceClamped(), [.f32(6), .f32(6)],
        fills: [.values([0, 0, 0.5, 0.5, 1, 1]), .values([0, 1, 0, 1, 0, 1])],
        differentiable: false)
    ]
  }
  package init() {}

  private static let floor = -100.0

  package func apply(_ p: Double, _ t: Double) -> Double {
    let present = Maximum().apply(log(p), Self.floor)
    let absent = Maximum().apply(log1p(-p), Self.floor)
    return -(t * present + (1 - t) * absent)
  }

  /// dp = dy · (p − t) / max(p (1 − p), 10⁻¹²), finite also at 0 and 1, as PyTorch's `BCELoss` has it;
  /// dt = dy · (max(log(1 − p), −100) − max(log p, −100))
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    let builder = scope.builder
    let (p, t) = (scope.operands[0], scope.operands[1])
    let rest = try builder.subtract(1, p)
    if scope.needs(0) {
      let spread = try builder.maximum(builder.multiply(p, rest), 1e-12)
      let slope = try builder.divide(builder.subtract(p, t), spread)
      scope.setAdjoint(of: 0, try builder.multiply(scope.seed, slope))
    }
    if scope.needs(1) {
      let absent = try builder.maximum(builder.log(rest), Self.floor)
      let present = try builder.maximum(builder.log(p), Self.floor)
      scope.setAdjoint(
        of: 1, try builder.multiply(scope.seed, builder.subtract(absent, present)))
    }
  }
}
