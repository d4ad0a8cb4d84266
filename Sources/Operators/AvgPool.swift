// Average pooling and its gradient. Padding is not counted: each window divides by the number of its elements
// that lie in the image.

import Basics
import GraphIR

/// y[n, oy, ox, c] = the mean over the part of the window that lies in the image.
package struct AvgPool: PoolingOperation {
  package static let mnemonic = "avg_pool"
  package static let summary = "The mean of each window of an image; padding is not counted."
  package static let signature = [OperandSpec("x")]
  package var window = PoolWindow()

  package init() {}

  package func geometry(_ operands: [TensorType]) throws(Diagnostic) -> ConvolutionGeometry {
    try pooling(operands)
  }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] { [[0]] }

  // y = A x:  x̄ = Aᵀ ȳ
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    let image = scope.type(ofOperand: 0).shape
    let adjoint = try scope.builder.avgPoolGradient(
      scope.seed, window: window, inputSize: [image[1], image[2]])
    scope.setAdjoint(of: 0, adjoint)
  }

  // y[p] = Σ q in window p  x[q] / count[p]
  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    guard let sizes = try? geometry(operands.map(\.type)) else { return [] }
    let y = accumulated(operands[0], into: results[0]) { x, y in
      sizes.forEachShare { input, output, share in y[output] += x[input] * share }
    }
    return [y]
  }

  package static var samples: [Sample<AvgPool>] {
    PoolWindow.samples.map { Sample(AvgPool($0.window), [$0.image]) }
  }
}

/// dx[q] = Σ dy[p] / count[p] over the windows p that hold q.
package struct AvgPoolGradient: PoolingOperation {
  package static let mnemonic = "avg_pool_gradient"
  package static let summary =
    "Gradient of avg_pool: each output's adjoint is spread over its window."
  package static let signature = [OperandSpec("dy")]
  package var window = PoolWindow()
  /// [h, w] of the image that was pooled.
  package var inputSize = [2, 2]

  package init() {}
  package init(_ window: PoolWindow, inputSize: [Int]) {
    self.init(window)
    self.inputSize = inputSize
  }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try window.visitAttributes(&visitor)
    try visitor.attribute("inputSize", &inputSize)
  }

  /// The sizes of the pooling whose gradient this is.
  package func geometry(_ operands: [TensorType]) throws(Diagnostic) -> ConvolutionGeometry {
    try checkArity(operands)
    let dy = operands[0]
    try checkImage(dy, "[n, oh, ow, c]")
    try checkPair(inputSize, "inputSize")
    let sizes = try window.geometry(
      [dy.shape[0], inputSize[0], inputSize[1], dy.shape[3]])
    try sizes.expectOutput(dy, of: Self.mnemonic)
    return sizes
  }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    [.f32(try geometry(operands).inputShape)]
  }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] { [[0]] }

  // x = Aᵀ y:  ȳ = A x̄
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    scope.setAdjoint(of: 0, try scope.builder.avgPool(scope.seed, window: window))
  }

  // dx[q] += dy[p] / count[p]
  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    guard let sizes = try? geometry(operands.map(\.type)) else { return [] }
    let dx = accumulated(operands[0], into: results[0]) { dy, dx in
      sizes.forEachShare { input, output, share in dx[input] += dy[output] * share }
    }
    return [dx]
  }

  package static var samples: [Sample<AvgPoolGradient>] {
    PoolWindow.samples.compactMap { window, image in
      guard let sizes = try? window.geometry(image.shape) else { return nil }
      return Sample(
        AvgPoolGradient(window, inputSize: [sizes.height.input, sizes.width.input]),
        [.f32(sizes.outputShape)])
    }
  }
}

extension ConvolutionGeometry {
  /// Calls `body` with the flat places of each element of the image and of each output whose window it lies in, and
  /// the share that it has in that output's mean.
  fileprivate func forEachShare(_ body: (_ input: Int, _ output: Int, _ share: Double) -> Void) {
    let shares = windowShares()
    forEachTap { input, _, output in
      let share = shares[output]
      for c in 0..<inputChannels {
        body(input * inputChannels + c, output * inputChannels + c, share)
      }
    }
  }

  /// For each output position, one over the number of its window's elements that lie in the image.
  private func windowShares() -> [Double] {
    var shares: [Double] = []
    for _ in 0..<batch {
      for oy in 0..<height.output {
        let rows = height.range(oy).count
        for ox in 0..<width.output { shares.append(1 / Double(rows * width.range(ox).count)) }
      }
    }
    return shares
  }
}
