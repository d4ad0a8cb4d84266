// The axes in another order.

import Basics
import GraphIR

package struct Transpose: Operation {
  package static let mnemonic = "transpose"
  package static let summary =
    "The axes in another order: result axis i is operand axis permutation[i]."
  package static let signature = [OperandSpec("x")]
  package static var samples: [Sample<Transpose>] {
    [
      Sample(Transpose([1, 0]), [.f32(3, 5)]), Sample(Transpose([0, 2, 1]), [.f32(2, 3, 7)]),
      Sample(Transpose([2, 0, 1]), [.f32(2, 3, 5)]),
      Sample(Transpose([0, 3, 1, 2]), [.f32(2, 3, 4, 5)]),
      Sample(Transpose([0, 1, 3, 2]), [.f32(3, 3, 2, 4)]), Sample(Transpose([]), [.f32()]),
      Sample(Transpose([1, 0]), [.f32(19, 37)]),
      Sample(Transpose([1, 0]), [.i32(3, 4)], differentiable: false),
    ]
  }

  package var permutation: [Int]
  package init() { self.init([]) }
  package init(_ permutation: [Int]) { self.permutation = permutation }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("permutation", &permutation)
  }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try check(operands, ElementType.lanes)
    try checkPerAxis(permutation, "the permutation", of: operands[0])
    guard permutation.sorted() == Array(operands[0].shape.indices) else {
      throw Diagnostic(
        "shape.axis",
        "\(mnemonic): \(shapeText(permutation)) does not name each axis of \(operands[0]) once")
    }
    return [operands[0].with(shape: permutation.map { operands[0].shape[$0] })]
  }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] {
    permutation.first == 0 ? [[0]] : []
  }

  package func rowUse(_ operands: [TensorType]) -> RowUse {
    rowLinearOperands(operands).isEmpty ? .mixed : .each([0])
  }

  /// dx = dy with the axes put back: the inverse permutation
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    var inverse = permutation
    for (position, axis) in permutation.enumerated() { inverse[axis] = position }
    scope.setAdjoint(of: 0, try scope.builder.transpose(scope.seed, inverse))
  }

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let offsets = permutationOffsets(of: operands[0].shape, permutation)
    return [HostTensor(results[0], gathered(operands[0].values, offsets))]
  }

  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(flops: 0, bytes: Cost.traffic(operands, results))
  }
}
