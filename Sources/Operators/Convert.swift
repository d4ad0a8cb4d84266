// Conversion between element types, and the identity that cuts the gradient.

import Basics
import GraphIR

package struct Convert: Operation {
  package static let mnemonic = "convert"
  package static let summary =
    "The elements in another type: to i32 toward zero, to bool whether they are not 0."
  package static let signature = [OperandSpec("x")]
  package static var samples: [Sample<Convert>] {
    let values: Sample<Convert>.Fill = .values([-2.75, -1, -0.5, 0, 0.5, 1.25, 7])
    func type(_ element: ElementType) -> TensorType { TensorType(element, [7]) }
    func small(_ fill: Sample<Convert>.Fill, _ from: ElementType, _ to: ElementType)
      -> Sample<Convert>
    {
      Sample(
        Convert(to: to), [type(from)], fills: [fill],
        differentiable: from.isFloat && to.isFloat)
    }
    return [
      small(values, .f32, .i32), small(values, .f32, .bool), small(.uniform(-9, 9), .i32, .f32),
      small(.uniform(-1, 1), .i32, .bool), small(.uniform(0, 1), .bool, .f32),
      small(.uniform(0, 1), .bool, .i32),
      Sample(Convert(to: .f64), [.f32()]), Sample(Convert(to: .f32), [TensorType(.f64, [])]),
      Sample(Convert(to: .f64), [.i32()], fills: [.values([12])], differentiable: false),
    ]
  }

  package var to: ElementType
  package init() { self.init(to: .f32) }
  package init(to: ElementType) { self.to = to }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("to", &to)
  }

  package var isElementwise: Bool { true }
  package var blocksGradient: Bool { !to.isFloat }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try checkArity(operands)
    return [operands[0].with(element: to)]
  }

  /// Between floating types dx = dy, converted back; else there is none.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    let from = scope.type(ofOperand: 0).element
    guard from.isFloat, to.isFloat, scope.needs(0) else { return }
    scope.setAdjoint(of: 0, try scope.builder.convert(scope.seed, to: from))
  }

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    if to.isFloat { return [HostTensor(results[0], operands[0].values)] }
    return [HostTensor(results[0], mapped(operands[0].values) { HostTensor.round($0, to: to) })]
  }
}

package struct StopGradient: UnaryOperation {
  package static let mnemonic = "stop_gradient"
  package static let summary = "The operand itself, through which no gradient flows."
  package static var elements: [ElementType] { ElementType.allCases }
  package static var samples: [Sample<StopGradient>] {
    samples(StopGradient(), differentiable: false)
  }
  package init() {}

  package var blocksGradient: Bool { true }
  package func apply(_ x: Double) -> Double { x }

  /// None: that is its purpose.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {}
}
