// Sums over axes.

import Basics
import GraphIR

package struct Sum: ReductionOperation {
  package static let mnemonic = "sum"
  package static let summary = "The sum over axes, which are removed or kept with size 1."
  package static var samples: [Sample<Sum>] {
    samples(of: reductionCases) + [Sample(Sum(axes: []), [.f32(3)])]
  }

  package var axes: [Int] = []
  package var keepDims = false
  package init() {}

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] {
    axes.contains(0) || operands[0].rank == 0 ? [] : [[0]]
  }

  package func rowUse(_ operands: [TensorType]) -> RowUse {
    axes.contains(0) ? .summed([0]) : keptRows(operands)
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
}

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
