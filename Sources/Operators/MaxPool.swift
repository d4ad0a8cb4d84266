// Maximum pooling, its gradient, and the gather that is the gradient's gradient. Windows are those of a
// convolution; padding never wins. Of equal elements the first in the window (row by row) counts, and NaN
// counts as larger than everything, so that it is not lost.

import Basics
import GraphIR

/// y[n, oy, ox, c] = max over the window of x[n, iy, ix, c].
package struct MaxPool: PoolingOperation {
  package static let mnemonic = "max_pool"
  package static let summary = "The largest element of each window of an image."
  package static let signature = [OperandSpec("x")]
  package var window = PoolWindow()

  package init() {}

  package func geometry(_ operands: [TensorType]) throws(Diagnostic) -> ConvolutionGeometry {
    try pooling(operands)
  }

  // y[p] = x[m(p)], m the winner:  x̄[q] = Σ p: m(p) = q  ȳ[p]
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    let adjoint = try scope.builder.maxPoolGradient(
      scope.operands[0], scope.seed, window: window)
    scope.setAdjoint(of: 0, adjoint)
  }

  // y[p] = x[m(p)]
  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    guard let sizes = try? geometry(operands.map(\.type)) else { return [] }
    let winners = PoolWindow.winners(sizes, operands[0])
    return [HostTensor(results[0], winners.map { operands[0].values[$0] })]
  }

  package static var samples: [Sample<MaxPool>] {
    PoolWindow.samples.map { Sample(MaxPool($0.window), [$0.image]) }
  }
}

/// dx[q] = Σ dy[p] over the windows p whose winner is q.
package struct MaxPoolGradient: PoolingOperation {
  package static let mnemonic = "max_pool_gradient"
  package static let summary = "Gradient of max_pool: each output's adjoint goes to its winner."
  package static let signature = [OperandSpec("x"), OperandSpec("dy")]
  package var window = PoolWindow()

  package init() {}

  package func geometry(_ operands: [TensorType]) throws(Diagnostic) -> ConvolutionGeometry {
    let sizes = try pooling(operands)
    try sizes.expectOutput(operands[1], of: Self.mnemonic)
    return sizes
  }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    [.f32(try geometry(operands).inputShape)]
  }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] { [[1]] }

  // r[q] = Σ p: m(p) = q  y[p]:  ȳ[p] = r̄[m(p)];  x̄ = 0, the winner does not change where there is a derivative
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(1) else { return }
    let adjoint = try scope.builder.maxPoolGather(scope.operands[0], scope.seed, window: window)
    scope.setAdjoint(of: 1, adjoint)
  }

  // dx[m(p)] += dy[p]
  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    guard let sizes = try? geometry(operands.map(\.type)) else { return [] }
    let winners = PoolWindow.winners(sizes, operands[0])
    var dx = HostTensor(results[0])
    for (output, place) in winners.enumerated() { dx.values[place] += operands[1].values[output] }
    return [dx]
  }

  package static var samples: [Sample<MaxPoolGradient>] {
    PoolWindow.samples.compactMap { window, image in
      guard let sizes = try? window.geometry(image.shape) else { return nil }
      return Sample(MaxPoolGradient(window), [image, .f32(sizes.outputShape)])
    }
  }
}

/// r[p] = d[m(p)]: what stands in `d` where x has its winners. The adjoint of `max_pool_gradient`.
package struct MaxPoolGather: PoolingOperation {
  package static let mnemonic = "max_pool_gather"
  package static let summary =
    "The elements of d where the windows of x have their largest element."
  package static let signature = [OperandSpec("x"), OperandSpec("d")]
  package var window = PoolWindow()

  package init() {}

  package func geometry(_ operands: [TensorType]) throws(Diagnostic) -> ConvolutionGeometry {
    let sizes = try pooling(operands)
    guard operands[1] == operands[0] else {
      throw Diagnostic(
        "shape.mismatch",
        "\(Self.mnemonic) expects two images of one shape, found \(operands[0]) and \(operands[1])")
    }
    return sizes
  }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] { [[1]] }

  // r[p] = d[m(p)]:  d̄[q] = Σ p: m(p) = q  r̄[p];  x̄ = 0
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(1) else { return }
    let adjoint = try scope.builder.maxPoolGradient(
      scope.operands[0], scope.seed, window: window)
    scope.setAdjoint(of: 1, adjoint)
  }

  // r[p] = d[m(p)]
  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    guard let sizes = try? geometry(operands.map(\.type)) else { return [] }
    let winners = PoolWindow.winners(sizes, operands[0])
    return [HostTensor(results[0], winners.map { operands[1].values[$0] })]
  }

  package static var samples: [Sample<MaxPoolGather>] {
    PoolWindow.samples.map { Sample(MaxPoolGather($0.window), [$0.image, $0.image]) }
  }
}

extension PoolWindow {
  /// The flat index in the image of the element that each output takes.
  fileprivate static func winners(_ sizes: ConvolutionGeometry, _ image: HostTensor) -> [Int] {
    let channels = sizes.inputChannels
    var winners = [Int](repeating: -1, count: sizes.outputShape.reduce(1, *))
    image.values.withUnsafeBufferPointer { x in
      winners.withUnsafeMutableBufferPointer { winners in
        sizes.forEachTap { input, _, output in
          var c = 0
          while c < channels {
            let place = input * channels + c
            let known = winners[output * channels + c]
            if known < 0 || x[place] > x[known] || (x[place].isNaN && !x[known].isNaN) {
              winners[output * channels + c] = place
            }
            c += 1
          }
        }
      }
    }
    return winners
  }
}
