// Activations. Their gradients are written from the result wherever that is exact, so that a training graph need not
// keep the input: a convolution and its activation can then become one kernel.

import Basics
import GraphIR

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package struct Tanh: UnaryOperation {
  package static let mnemonic = "tanh"
  package static let summary = "The hyperbolic tangent."
  package static var samples: [Sample<Tanh>] { samples() + samples(Tanh(), .uniform(-6, 6)) }
  package init() {}

  package func apply(_ x: Double) -> Double { tanh(x) }

  /// With y = tanh x: dx = dy · (1 − y²)
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let builder = scope.builder
    let slope = try builder.subtract(1, builder.square(scope.results[0]))
    scope.setAdjoint(of: 0, try builder.multiply(scope.seed, slope))
  }
}

package struct Sigmoid: UnaryOperation {
  package static let mnemonic = "sigmoid"
  package static let summary = "1 / (1 + exp(−x)), computed without overflow."
  package static var samples: [Sample<Sigmoid>] {
    samples() + samples(Sigmoid(), .uniform(-9, 9))
      + [
        Sample(
          Sigmoid(), [.f32(4)], fills: [.values([-800, -90, 90, 800])], differentiable: false)
      ]
  }
  package init() {}

  package func apply(_ x: Double) -> Double {
    let small = exp(-abs(x))
    return x >= 0 ? 1 / (1 + small) : small / (1 + small)
  }

  /// With y = sigmoid x: dx = dy · y · (1 − y)
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let builder = scope.builder
    let y = scope.results[0]
    let slope = try builder.multiply(y, builder.subtract(1, y))
    scope.setAdjoint(of: 0, try builder.multiply(scope.seed, slope))
  }
}

package struct Softplus: UnaryOperation {
  package static let mnemonic = "softplus"
  package static let summary = "log(1 + exp x), computed without overflow."
  package static var samples: [Sample<Softplus>] {
    samples() + samples(Softplus(), .uniform(-9, 9))
      + [
        Sample(
          Softplus(), [.f32(4)], fills: [.values([-800, -20, 20, 800])], differentiable: false)
      ]
  }
  package init() {}

  package func apply(_ x: Double) -> Double { softplus(x) }

  /// dx = dy · sigmoid x
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let slope = try scope.builder.sigmoid(scope.operands[0])
    scope.setAdjoint(of: 0, try scope.builder.multiply(scope.seed, slope))
  }
}

/// max(x, 0) + log(1 + exp(−|x|)); NaN for NaN.
func softplus(_ x: Double) -> Double { (x > 0 ? x : 0) + log1p(exp(-abs(x))) }

package struct Relu: UnaryOperation {
  package static let mnemonic = "relu"
  package static let summary = "x where it is positive, else 0; NaN for NaN."
  package static var samples: [Sample<Relu>] { samples() }
  package init() {}

  package func apply(_ x: Double) -> Double { x > 0 || x.isNaN ? x : 0 }

  /// With y = relu x: dx = dy where y > 0, else 0
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let builder = scope.builder
    let zero = try builder.scalar(0, scope.type(ofResult: 0).element)
    let positive = try builder.compare(.gt, scope.results[0], zero)
    scope.setAdjoint(of: 0, try builder.select(positive, scope.seed, zero))
  }
}

package struct LeakyRelu: UnaryOperation {
  package static let mnemonic = "leaky_relu"
  package static let summary = "x where it is positive, else slope · x."
  package static var samples: [Sample<LeakyRelu>] {
    samples(LeakyRelu(slope: 0.2)) + samples(LeakyRelu(slope: 0))
      + samples(LeakyRelu(slope: -0.3)) + samples(LeakyRelu(slope: 1.5))
  }

  package var slope: FloatAttribute
  package init() { self.init(slope: 0.01) }
  package init(slope: Double) { self.slope = FloatAttribute(slope) }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("slope", &slope)
  }
  package func checkAttributes() throws(Diagnostic) {
    try checkFinite(slope, "slope", mnemonic)
  }

  package func apply(_ x: Double) -> Double { x > 0 ? x : slope.value * x }

  /// dx = dy where x > 0, else slope · dy. With a slope of 0 or more x > 0 just where y > 0.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let builder = scope.builder
    let decisive = slope.value >= 0 ? scope.results[0] : scope.operands[0]
    let zero = try builder.scalar(0, scope.type(ofResult: 0).element)
    let positive = try builder.compare(.gt, decisive, zero)
    let leak = try builder.scaled(scope.seed, by: slope.value)
    scope.setAdjoint(of: 0, try builder.select(positive, scope.seed, leak))
  }
}

package struct Elu: UnaryOperation {
  package static let mnemonic = "elu"
  package static let summary = "x where it is positive, else alpha · (exp x − 1)."
  package static var samples: [Sample<Elu>] {
    samples() + samples(Elu(alpha: 0.4)) + samples(Elu(alpha: -0.5))
  }

  package var alpha: FloatAttribute
  package init() { self.init(alpha: 1) }
  package init(alpha: Double) { self.alpha = FloatAttribute(alpha) }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("alpha", &alpha, default: 1.0)
  }
  package func checkAttributes() throws(Diagnostic) {
    try checkFinite(alpha, "alpha", mnemonic)
  }

  package func apply(_ x: Double) -> Double { x > 0 ? x : alpha.value * expm1(x) }

  /// dx = dy where x > 0, else dy · alpha · exp x = dy · (y + alpha). With an alpha of 0 or more x > 0 just
  /// where y > 0.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let builder = scope.builder
    let y = scope.results[0]
    let decisive = alpha.value >= 0 ? y : scope.operands[0]
    let zero = try builder.scalar(0, scope.type(ofResult: 0).element)
    let positive = try builder.compare(.gt, decisive, zero)
    let curve = try builder.multiply(scope.seed, builder.add(y, alpha.value))
    scope.setAdjoint(of: 0, try builder.select(positive, scope.seed, curve))
  }
}

/// Throws `attribute.range` unless an attribute is a finite number.
func checkFinite(_ value: FloatAttribute, _ name: String, _ mnemonic: String) throws(Diagnostic) {
  guard value.value.isFinite else {
    throw Diagnostic(
      "attribute.range", "\(mnemonic): \(name) must be a finite number, found \(value.value)")
  }
}
