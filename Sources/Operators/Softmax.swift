// Softmax and its logarithm along the last axis.

import Basics
import GraphIR

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Softmax and its logarithm: operations of one f32 tensor along its last axis.
package protocol SoftmaxOperation: Operation {}

extension SoftmaxOperation {
  package static var signature: [OperandSpec] { [OperandSpec("x")] }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try check(operands, [.f32])
    guard operands[0].rank > 0 else {
      throw Diagnostic("shape.rank", "\(mnemonic) works along the last axis, found \(operands[0])")
    }
    return [operands[0]]
  }

  package func rowUse(_ operands: [TensorType]) -> RowUse {
    operands[0].rank > 1 ? .each([0]) : .mixed
  }

  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(flops: 5 * Double(operands[0].count), bytes: Cost.traffic(operands, results))
  }

  fileprivate static var rowSamples: [Sample<Self>] {
    let shapes: [[Int]] = [[4], [3, 5], [2, 3, 2], [2, 37]]
    return shapes.map { Sample(Self(), [.f32($0)], fills: [.uniform(-3, 3)]) }
  }
}

package struct Softmax: SoftmaxOperation {
  package static let mnemonic = "softmax"
  package static let summary = "exp x divided by its sum along the last axis."
  package static var samples: [Sample<Softmax>] { rowSamples }
  package init() {}

  /// With y = softmax x and sums along the row: dx = y · (dy − Σ dy · y)
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let builder = scope.builder
    let y = scope.results[0]
    let last = scope.type(ofOperand: 0).rank - 1
    let total = try builder.sum(
      builder.multiply(scope.seed, y), axes: [last], keepDims: true)
    scope.setAdjoint(
      of: 0, try builder.multiply(y, builder.subtract(scope.seed, total)))
  }

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    [HostTensor(results[0], logSoftmax(operands[0]).map { exp($0) })]
  }
}

package struct LogSoftmax: SoftmaxOperation {
  package static let mnemonic = "log_softmax"
  package static let summary = "The logarithm of softmax along the last axis, without overflow."
  package static var samples: [Sample<LogSoftmax>] {
    rowSamples + [
      Sample(
        LogSoftmax(), [.f32(2, 3)], fills: [.values([500, 0, -500, 80, 81, 79])],
        differentiable: false)
    ]
  }
  package init() {}

  /// With y = log softmax x and sums along the row: dx = dy − exp y · Σ dy
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let builder = scope.builder
    let last = scope.type(ofOperand: 0).rank - 1
    let total = try builder.sum(scope.seed, axes: [last], keepDims: true)
    let part = try builder.multiply(builder.exp(scope.results[0]), total)
    scope.setAdjoint(of: 0, try builder.subtract(scope.seed, part))
  }

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    [HostTensor(results[0], logSoftmax(operands[0]))]
  }
}

/// x − m − log Σ exp(x − m) with m the largest element of the row.
private func logSoftmax(_ x: HostTensor) -> [Double] {
  let size = x.shape[x.shape.count - 1]
  var values = x.values
  for start in stride(from: 0, to: values.count, by: size) {
    let row = start..<start + size
    let largest = values[row].reduce(-.infinity) { Maximum().apply($0, $1) }
    let total = values[row].reduce(0) { $0 + exp($1 - largest) }
    let shift = largest + log(total)
    for index in row { values[index] -= shift }
  }
  return values
}
