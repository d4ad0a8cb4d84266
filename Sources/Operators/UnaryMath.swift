// Functions of one number: signs, powers, exponentials.

import Basics
import GraphIR

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension UnaryOperation {
  /// A sample of whole numbers.
  static var integerSample: Sample<Self> {
    Sample(Self(), [.i32(19)], fills: [.uniform(-9, 9)], differentiable: false)
  }
}

package struct Negate: UnaryOperation {
  package static let mnemonic = "negate"
  package static let summary = "−x."
  package static let elements = ElementType.numbers
  package static var samples: [Sample<Negate>] { samples() + [integerSample] }
  package init() {}

  package func apply(_ x: Double) -> Double { -x }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] {
    alongRows([[0]], operands)
  }

  /// dx = −dy
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    if scope.needs(0) { scope.setAdjoint(of: 0, try scope.builder.negate(scope.seed)) }
  }
}

package struct Exp: UnaryOperation {
  package static let mnemonic = "exp"
  package static let summary = "e to the power x."
  package static var samples: [Sample<Exp>] { samples() }
  package init() {}

  package func apply(_ x: Double) -> Double { exp(x) }

  /// With y = exp x: dx = dy · y
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    scope.setAdjoint(of: 0, try scope.builder.multiply(scope.seed, scope.results[0]))
  }
}

package struct Log: UnaryOperation {
  package static let mnemonic = "log"
  package static let summary = "The natural logarithm."
  package static var samples: [Sample<Log>] { samples(Log(), .uniform(0.2, 3)) }
  package init() {}

  package func apply(_ x: Double) -> Double { log(x) }

  /// dx = dy / x
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    scope.setAdjoint(of: 0, try scope.builder.divide(scope.seed, scope.operands[0]))
  }
}

package struct Sqrt: UnaryOperation {
  package static let mnemonic = "sqrt"
  package static let summary = "The square root."
  package static var samples: [Sample<Sqrt>] { samples(Sqrt(), .uniform(0.2, 3)) }
  package init() {}

  package func apply(_ x: Double) -> Double { x.squareRoot() }

  /// With y = √x: dx = dy / (2y)
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let twice = try scope.builder.scaled(scope.results[0], by: 2)
    scope.setAdjoint(of: 0, try scope.builder.divide(scope.seed, twice))
  }
}

package struct Square: UnaryOperation {
  package static let mnemonic = "square"
  package static let summary = "x · x."
  package static var samples: [Sample<Square>] { samples() }
  package init() {}

  package func apply(_ x: Double) -> Double { x * x }

  /// dx = dy · 2x
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let twice = try scope.builder.scaled(scope.operands[0], by: 2)
    scope.setAdjoint(of: 0, try scope.builder.multiply(scope.seed, twice))
  }
}

package struct Absolute: UnaryOperation {
  package static let mnemonic = "abs"
  package static let summary = "The absolute value."
  package static let elements = ElementType.numbers
  package static var samples: [Sample<Absolute>] { samples() + [integerSample] }
  package init() {}

  package func apply(_ x: Double) -> Double { abs(x) }

  /// dx = dy · sign x, which is 0 at 0
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let sign = try scope.builder.sign(scope.operands[0])
    scope.setAdjoint(of: 0, try scope.builder.multiply(scope.seed, sign))
  }
}

package struct Sign: UnaryOperation {
  package static let mnemonic = "sign"
  package static let summary = "−1, 0 or 1; NaN for NaN."
  package static let elements = ElementType.numbers
  package static var samples: [Sample<Sign>] {
    samples(Sign(), differentiable: false) + [
      Sample(Sign(), [.f32(4)], fills: [.values([0, -0.5, 2, -7])], differentiable: false),
      integerSample,
    ]
  }
  package init() {}

  package var blocksGradient: Bool { true }
  package func apply(_ x: Double) -> Double { x > 0 ? 1 : x < 0 ? -1 : x.isNaN ? x : 0 }

  /// Piecewise constant: no gradient.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {}
}

package struct Erf: UnaryOperation {
  package static let mnemonic = "erf"
  package static let summary = "The error function 2/√π ∫₀ˣ exp(−t²) dt."
  package static var samples: [Sample<Erf>] { samples() + samples(Erf(), .uniform(-5, 5)) }
  package init() {}

  package func apply(_ x: Double) -> Double { erf(x) }

  /// dx = dy · 2/√π · exp(−x²)
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let builder = scope.builder
    let bell = try builder.exp(builder.negate(builder.square(scope.operands[0])))
    let slope = try builder.scaled(bell, by: 2 / Double.pi.squareRoot())
    scope.setAdjoint(of: 0, try builder.multiply(scope.seed, slope))
  }
}
