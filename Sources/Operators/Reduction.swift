// Reductions over axes: the attributes, the shape and the cost that they have in common.

import Basics
import GraphIR

/// An operation of one f32 tensor that makes one element of all those along some axes.
package protocol ReductionOperation: Operation {
  /// In ascending order.
  var axes: [Int] { get set }
  /// Whether the axes stay, with size 1.
  var keepDims: Bool { get set }
}

extension ReductionOperation {
  package static var signature: [OperandSpec] { [OperandSpec("x")] }

  package init(axes: [Int], keepDims: Bool = false) {
    self.init()
    self.axes = axes
    self.keepDims = keepDims
  }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("axes", &axes)
    try visitor.attribute("keepDims", &keepDims, default: false)
  }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    [try reducedType(operands)]
  }

  package func rowUse(_ operands: [TensorType]) -> RowUse { keptRows(operands) }

  /// Every row by itself, unless the reduction goes over the first axis.
  func keptRows(_ operands: [TensorType]) -> RowUse {
    axes.contains(0) || operands[0].rank == 0 ? .mixed : .each([0])
  }

  /// The type of each result.
  func reducedType(_ operands: [TensorType]) throws(Diagnostic) -> TensorType {
    try check(operands, [.f32])
    try checkAxes(axes, of: operands[0])
    return operands[0].with(
      shape: reducedShape(operands[0].shape, axes: axes, keepDims: keepDims))
  }

  /// One operation for each element of the operand.
  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(flops: Double(operands[0].count), bytes: Cost.traffic(operands, results))
  }

  static func samples(of cases: [ReductionCase]) -> [Sample<Self>] {
    cases.map { Sample(Self(axes: $0.axes, keepDims: $0.keepDims), [.f32($0.shape)]) }
  }
}

typealias ReductionCase = (shape: [Int], axes: [Int], keepDims: Bool)

/// The shapes and axes that reductions are tried on: single, several, first, last, middle and all axes.
let reductionCases: [ReductionCase] = [
  ([], [], false), ([7], [0], false), ([7], [0], true), ([3, 5], [0], false), ([3, 5], [1], true),
  ([3, 5], [0, 1], false), ([2, 3, 5], [1], false), ([2, 3, 5], [0, 2], true),
  ([2, 3, 2, 5], [0, 1, 2], false), ([2, 3, 2, 5], [1, 2], true), ([2, 37], [1], false),
  ([37, 2], [0], false), ([4, 1, 3], [1], false),
]
