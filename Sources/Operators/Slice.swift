// A box cut out of a tensor.

import Basics
import GraphIR

package struct Slice: Operation {
  package static let mnemonic = "slice"
  package static let summary =
    "The elements from starts up to, not including, ends along each axis."
  package static let signature = [OperandSpec("x")]
  package static var samples: [Sample<Slice>] {
    [
      Sample(Slice(starts: [2], ends: [7]), [.f32(9)]),
      Sample(Slice(starts: [0, 1], ends: [3, 4]), [.f32(3, 5)]),
      Sample(Slice(starts: [1, 0], ends: [2, 5]), [.f32(3, 5)]),
      Sample(Slice(starts: [0, 1, 2], ends: [2, 3, 4]), [.f32(2, 3, 7)]),
      Sample(Slice(starts: [0, 1, 0, 1], ends: [2, 3, 4, 3]), [.f32(2, 4, 4, 3)]),
      Sample(Slice(starts: [], ends: []), [.f32()]),
      Sample(Slice(starts: [1], ends: [3]), [.i32(4)], differentiable: false),
    ]
  }

  package var starts: [Int]
  package var ends: [Int]
  package init() { self.init(starts: [], ends: []) }
  package init(starts: [Int], ends: [Int]) {
    self.starts = starts
    self.ends = ends
  }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("starts", &starts)
    try visitor.attribute("ends", &ends)
  }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try check(operands, ElementType.lanes)
    let type = operands[0]
    try checkPerAxis(starts, "starts", of: type)
    try checkPerAxis(ends, "ends", of: type)
    for axis in type.shape.indices {
      guard starts[axis] >= 0, starts[axis] < ends[axis], ends[axis] <= type.shape[axis] else {
        throw Diagnostic(
          "shape.range",
          "\(mnemonic): \(starts[axis])..<\(ends[axis]) is no part of axis \(axis) of \(type)",
          help: "the part may not be empty and must lie in 0..<\(type.shape[axis])")
      }
    }
    return [type.with(shape: zip(starts, ends).map { $1 - $0 })]
  }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] {
    starts.first == 0 && ends.first == operands[0].shape.first ? [[0]] : []
  }

  package func rowUse(_ operands: [TensorType]) -> RowUse {
    rowLinearOperands(operands).isEmpty ? .mixed : .each([0])
  }

  package func withRows(_ rows: Int) -> Self {
    var copy = self
    copy.ends[0] = rows
    return copy
  }

  /// dx = dy with zeros around it
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let shape = scope.type(ofOperand: 0).shape
    let after = zip(shape, ends).map { $0 - $1 }
    scope.setAdjoint(
      of: 0, try scope.builder.pad(scope.seed, before: starts, after: after, mode: .zero))
  }

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let strides = rowMajorStrides(operands[0].shape)
    let tables = starts.indices.map { axis in
      (starts[axis]..<ends[axis]).map { $0 * strides[axis] }
    }
    return [HostTensor(results[0], gathered(operands[0].values, sumOffsets(tables)))]
  }

  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(flops: 0, bytes: 2 * Cost.traffic([], results))
  }
}
