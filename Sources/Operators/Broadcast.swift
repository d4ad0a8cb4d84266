// A tensor repeated along axes of size 1 and new leading axes.

import Basics
import GraphIR

package struct Broadcast: Operation {
  package static let mnemonic = "broadcast"
  package static let summary = "The tensor repeated to a larger shape by NumPy's rules."
  package static let signature = [OperandSpec("x")]
  package static var samples: [Sample<Broadcast>] {
    [
      Sample(Broadcast([3, 5]), [.f32()]), Sample(Broadcast([2, 3, 7]), [.f32(7)]),
      Sample(Broadcast([4, 5]), [.f32(4, 1)]), Sample(Broadcast([3, 2, 5, 2]), [.f32(2, 1, 2)]),
      Sample(Broadcast([37]), [.f32(1)]), Sample(Broadcast([4]), [.f32(4)]),
      Sample(Broadcast([2, 3]), [.i32(3)], differentiable: false),
    ]
  }

  package var shape: [Int]
  package init() { self.init([]) }
  package init(_ shape: [Int]) { self.shape = shape }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("shape", &shape)
  }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try check(operands, ElementType.lanes)
    let result = try operands[0].with(shape: shape).checked()
    guard broadcastShapes(operands[0].shape, shape) == shape else {
      throw Diagnostic(
        "shape.mismatch", "\(mnemonic) cannot repeat \(operands[0]) to \(shapeText(shape))",
        help: "counted from the last axis, each size must be equal to the new one or 1")
    }
    return [result]
  }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] {
    let type = operands[0]
    return type.rank == shape.count && type.shape.first == shape.first && type.rank > 0 ? [[0]] : []
  }

  package func rowUse(_ operands: [TensorType]) -> RowUse {
    rowLinearOperands(operands).isEmpty ? .mixed : .each([0])
  }

  package func withRows(_ rows: Int) -> Self {
    var copy = self
    copy.shape[0] = rows
    return copy
  }

  /// dx = dy, summed over the repeated axes: the differentiator does that
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    scope.setAdjoint(of: 0, scope.seed)
  }

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    [HostTensor(results[0], expanded(operands[0], results[0].shape))]
  }

  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(flops: 0, bytes: Cost.traffic(operands, results))
  }
}
