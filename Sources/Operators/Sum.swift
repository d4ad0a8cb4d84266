// Sums over axes.

import Basics
import GraphIR

package struct Sum: Operation {
  package static let mnemonic = "sum"
  package static let summary = "The sum over axes, which are removed or kept with size 1."
  package static let signature = [OperandSpec("x")]
  package static var samples: [Sample<Sum>] {
    reductionCases.map { Sample(Sum(axes: $0.axes, keepDims: $0.keepDims), [.f32($0.shape)]) } + [
      Sample(Sum(axes: []), [.f32(3)])
    ]
  }

  package var axes: [Int]
  package var keepDims: Bool
  package init() { self.init(axes: []) }
  package init(axes: [Int], keepDims: Bool = false) {
    self.axes = axes
    self.keepDims = keepDims
  }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("axes", &axes)
    try visitor.attribute("keepDims", &keepDims, default: false)
  }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try check(operands, [.f32])
    try checkAxes(axes, of: operands[0])
    let shape = reducedShape(operands[0].shape, axes: axes, keepDims: keepDims)
    return [operands[0].with(shape: shape)]
  }

  /// dx = dy, repeated along the axes
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let builder = scope.builder
    let shape = scope.type(ofOperand: 0).shape
    let kept = try builder.reshape(
      scope.seed, reducedShape(shape, axes: axes, keepDims: true))
    scope.setAdjoint(of: 0, try builder.broadcast(kept, to: shape))
  }

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    [HostTensor(results[0], sums(operands[0].values, operands[0].shape, axes: axes))]
  }

  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(flops: Double(operands[0].count), bytes: Cost.traffic(operands, results))
  }
}

/// The shapes and axes that reductions are tried on: single, several, first, last, middle and all axes.
let reductionCases: [(shape: [Int], axes: [Int], keepDims: Bool)] = [
  ([], [], false), ([7], [0], false), ([7], [0], true), ([3, 5], [0], false), ([3, 5], [1], true),
  ([3, 5], [0, 1], false), ([2, 3, 5], [1], false), ([2, 3, 5], [0, 2], true),
  ([2, 3, 2, 5], [0, 1, 2], false), ([2, 3, 2, 5], [1, 2], true), ([2, 37], [1], false),
  ([37, 2], [0], false), ([4, 1, 3], [1], false),
]

/// The sums of `values` over `axes` of `shape`, in row-major order of the other axes.
func sums(_ values: [Double], _ shape: [Int], axes: [Int]) -> [Double] {
  let kept = reducedShape(shape, axes: axes, keepDims: true)
  let offsets = reductionOffsets(of: shape, axes: axes)
  var sums = [Double](repeating: 0, count: kept.reduce(1, *))
  sums.withUnsafeMutableBufferPointer { sums in
    values.withUnsafeBufferPointer { values in
      var i = 0
      while i < values.count {
        sums[offsets[i]] += values[i]
        i += 1
      }
    }
  }
  return sums
}
