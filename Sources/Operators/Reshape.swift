// The same elements in the same order, in another shape.

import Basics
import GraphIR

package struct Reshape: Operation {
  package static let mnemonic = "reshape"
  package static let summary = "The same elements in row-major order, in another shape."
  package static let signature = [OperandSpec("x")]
  package static var samples: [Sample<Reshape>] {
    [
      Sample(Reshape([15]), [.f32(3, 5)]), Sample(Reshape([2, 3, 1]), [.f32(6)]),
      Sample(Reshape([]), [.f32(1, 1)]), Sample(Reshape([1]), [.f32()]),
      Sample(Reshape([4, 6]), [.f32(2, 3, 4)]), Sample(Reshape([4, 2, 3]), [.f32(4, 6)]),
      Sample(Reshape([2, 2]), [.i32(4)], differentiable: false),
    ]
  }

  package var shape: [Int]
  package init() { self.init([]) }
  package init(_ shape: [Int]) { self.shape = shape }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("shape", &shape)
  }

  package var isReshape: Bool { true }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try checkArity(operands)
    let result = try operands[0].with(shape: shape).checked()
    guard result.count == operands[0].count else {
      throw Diagnostic(
        "shape.mismatch",
        "\(mnemonic) cannot turn \(operands[0]) of \(operands[0].count) elements into the shape "
          + "\(shapeText(shape)) of \(result.count)")
    }
    return [result]
  }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] {
    operands[0].rank > 0 && shape.first == operands[0].shape[0] ? [[0]] : []
  }

  package func rowUse(_ operands: [TensorType]) -> RowUse {
    rowLinearOperands(operands).isEmpty ? .mixed : .each([0])
  }

  package func withRows(_ rows: Int) -> Self {
    var copy = self
    copy.shape[0] = rows
    return copy
  }

  /// dx = dy, in the shape of x
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let shape = scope.type(ofOperand: 0).shape
    scope.setAdjoint(of: 0, try scope.builder.reshape(scope.seed, shape))
  }

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    [HostTensor(results[0], operands[0].values)]
  }

  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(flops: 0, bytes: 0)
  }
}
