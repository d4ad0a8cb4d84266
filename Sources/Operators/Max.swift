// The largest element over axes, and where it is.

import Basics
import GraphIR

package struct Max: ReductionOperation {
  package static let mnemonic = "max"
  package static let summary = "The largest element over axes; NaN if there is one."
  package static var samples: [Sample<Max>] { samples(of: reductionCases) }

  package var axes: [Int] = []
  package var keepDims = false
  package init() {}

  /// With m = 1 where x = y, else 0: dx = dy · m / Σm. Equal largest elements share the adjoint evenly.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let builder = scope.builder
    let x = scope.operands[0]
    let kept = reducedShape(scope.type(ofOperand: 0).shape, axes: axes, keepDims: true)
    let largest = try builder.reshape(scope.results[0], kept)
    let mask = try builder.convert(builder.compare(.eq, x, largest), to: .f32)
    let ties = try builder.sum(mask, axes: axes, keepDims: true)
    let share = try builder.divide(builder.reshape(scope.seed, kept), ties)
    scope.setAdjoint(of: 0, try builder.multiply(mask, share))
  }

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let offsets = reductionOffsets(of: operands[0].shape, axes: axes)
    var largest = [Double](repeating: -.infinity, count: results[0].count)
    for (value, offset) in zip(operands[0].values, offsets) {
      largest[offset] = Maximum().apply(largest[offset], value)
    }
    return [HostTensor(results[0], largest)]
  }
}

package struct ArgMax: Operation {
  package static let mnemonic = "argmax"
  package static let summary =
    "The place of the largest element along an axis, which is removed: the first of equal ones."
  package static let signature = [OperandSpec("x")]
  package static var samples: [Sample<ArgMax>] {
    [
      Sample(ArgMax(axis: 0), [.f32(7)], differentiable: false),
      Sample(ArgMax(axis: 1), [.f32(3, 5)], differentiable: false),
      Sample(ArgMax(axis: 0), [.f32(3, 5)], differentiable: false),
      Sample(ArgMax(axis: 1), [.f32(2, 3, 4)], differentiable: false),
      Sample(ArgMax(axis: 1), [.f32(2, 37)], differentiable: false),
      Sample(
        ArgMax(axis: 1), [.f32(2, 3)], fills: [.values([1, 2, 2, -1, -1, -3])],
        differentiable: false),
    ]
  }

  package var axis: Int
  package init() { self.init(axis: 0) }
  package init(axis: Int) { self.axis = axis }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("axis", &axis)
  }

  package var blocksGradient: Bool { true }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try check(operands, [.f32])
    try checkAxis(axis, of: operands[0])
    let shape = reducedShape(operands[0].shape, axes: [axis], keepDims: false)
    return [TensorType(.i32, shape)]
  }

  package func rowUse(_ operands: [TensorType]) -> RowUse { axis > 0 ? .each([0]) : .mixed }

  /// A whole number: no gradient.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {}

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let values = operands[0].values
    let shape = operands[0].shape
    let stride = rowMajorStrides(shape)[axis]
    let size = shape[axis]
    var places: [Double] = []
    for offset in 0..<results[0].count {
      let start = offset / stride * stride * size + offset % stride
      var best = 0
      // A NaN counts as the largest, so that it is not hidden.
      for place in 1..<max(size, 1) where !values[start + best * stride].isNaN {
        let value = values[start + place * stride]
        if value.isNaN || value > values[start + best * stride] { best = place }
      }
      places.append(Double(best))
    }
    return [HostTensor(results[0], places)]
  }

  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(flops: Double(operands[0].count), bytes: Cost.traffic(operands, results))
  }
}
