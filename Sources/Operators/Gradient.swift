// The request for a gradient, as a node of the raw graph. The first pass puts the derivative in its place.

import Basics
import GraphIR

package struct Gradient: Operation {
  package static let mnemonic = "gradient"
  package static let summary =
    "The derivatives of a scalar loss with respect to values; only in graphs as elaborated."
  package static let signature = [OperandSpec("loss"), OperandSpec("wrt", .variadic)]
  package static var samples: [Sample<Gradient>] { [] }
  package init() {}

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try checkArity(operands)
    guard operands[0] == .f32() else {
      throw Diagnostic(
        "gradient.loss", "a gradient needs a loss of type f32[], found \(operands[0])",
        help: operands[0].element == .f32 ? "reduce it with mean or sum" : nil)
    }
    for operand in operands.dropFirst() { try checkElement(operand, ElementType.floats) }
    return Array(operands.dropFirst())
  }

  /// Never asked for: gradients are expanded innermost first.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    throw Diagnostic(
      "ir.stage", "a gradient node must be expanded before something around it is differentiated")
  }

  /// NaN: a node alone does not know the graph that it differentiates.
  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    results.map { HostTensor($0, repeating: .nan) }
  }
}
