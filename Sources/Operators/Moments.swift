// Mean and variance over axes, in one operation because both come from one pass over the data.

import Basics
import GraphIR

package struct Moments: ReductionOperation {
  package static let mnemonic = "moments"
  package static let summary = "The mean and the biased variance over axes."
  package static var samples: [Sample<Moments>] {
    samples(of: reductionCases.filter { !$0.axes.isEmpty && $0.shape != [4, 1, 3] }) + [
      Sample(Moments(axes: [0]), [.f32(5, 3)], fills: [.uniform(99, 101)], differentiable: true)
    ]
  }

  package var axes: [Int] = []
  package var keepDims = false
  package init() {}

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    let type = try reducedType(operands)
    return [type, type]
  }

  /// With N elements a sum: dx = dmean / N + dvariance · 2 (x − mean) / N
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let builder = scope.builder
    let type = scope.type(ofOperand: 0)
    let kept = reducedShape(type.shape, axes: axes, keepDims: true)
    let share = 1 / Double(axes.reduce(1) { $0 * type.shape[$1] })
    var adjoint: ValueID?
    if let seed = scope.seeds[0] {
      adjoint = try builder.scaled(builder.reshape(seed, kept), by: share)
    }
    if let seed = scope.seeds[1] {
      let mean = try builder.reshape(scope.results[0], kept)
      let centred = try builder.subtract(scope.operands[0], mean)
      let slope = try builder.scaled(builder.reshape(seed, kept), by: 2 * share)
      let part = try builder.multiply(centred, slope)
      adjoint = if let first = adjoint { try builder.add(part, first) } else { part }
    }
    if let adjoint {
      scope.setAdjoint(of: 0, try builder.broadcast(adjoint, to: type.shape))
    }
  }

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let (values, shape) = (operands[0].values, operands[0].shape)
    let count = Double(values.count / results[0].count)
    let offsets = reductionOffsets(of: shape, axes: axes)
    let means = sums(values, shape, axes: axes).map { $0 / count }
    let squares = values.indices.map { index in
      let distance = values[index] - means[offsets[index]]
      return distance * distance
    }
    let variances = sums(squares, shape, axes: axes).map { $0 / count }
    return [HostTensor(results[0], means), HostTensor(results[1], variances)]
  }

  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(flops: 4 * Double(operands[0].count), bytes: Cost.traffic(operands, results))
  }
}
