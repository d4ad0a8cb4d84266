// Maximum pooling, its gradient, and the gather that is the gradient's gradient. Windows are those of a
// convolution; padding never wins. Of equal elements the first in the window (row by row) counts, and NaN
// counts as larger than everything, so that it is not lost.

import Basics
import GraphIR

/// A window that slides over an image: the attributes that all pooling operations share.
package struct PoolWindow: Hashable, Sendable {
  /// [h, w]
  package var size = [2, 2]
  package var stride = [2, 2]
  /// [top, bottom, left, right]; less than the window's size, so that every window sees a part of the image.
  package var padding = [0, 0, 0, 0]

  package init() {}
  package init(size: [Int], stride: [Int], padding: [Int]) {
    self.size = size
    self.stride = stride
    self.padding = padding
  }

  mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("size", &size)
    try visitor.attribute("stride", &stride)
    try visitor.attribute("padding", &padding, default: [0, 0, 0, 0])
  }

  /// All sizes over images of [n, h, w, c]. Throws where the window does not fit, or the padding could fill one.
  func geometry(_ image: [Int]) throws(Diagnostic) -> ConvolutionGeometry {
    let sizes = try ConvolutionGeometry(
      batch: image[0], input: [image[1], image[2]], kernel: size, channels: (image[3], image[3]),
      stride: stride, padding: padding)
    for axis in [sizes.height, sizes.width] {
      guard axis.before < axis.kernel, axis.after < axis.kernel else {
        throw Diagnostic(
          "pool.padding",
          "the padding \(shapeText(padding)) must be smaller than the window "
            + "\(shapeText(size)), or a window would hold nothing but padding")
      }
    }
    return sizes
  }

  /// One operation for every element of every window.
  static func cost(
    _ sizes: ConvolutionGeometry?, _ operands: [TensorType], _ results: [TensorType]
  ) -> Cost {
    guard let sizes else { return Cost(flops: 0, bytes: Cost.traffic(operands, results)) }
    let window = Double(sizes.height.kernel) * Double(sizes.width.kernel)
    let count = sizes.outputShape.reduce(1.0) { $0 * Double($1) }
    return Cost(flops: window * count, bytes: Cost.traffic(operands, results))
  }

  /// The flat index in the image of the element that each output takes.
  static func winners(_ sizes: ConvolutionGeometry, _ image: HostTensor) -> [Int] {
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

  static var samples: [(window: PoolWindow, image: TensorType)] {
    [
      (PoolWindow(size: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0]), .f32(2, 4, 6, 3)),
      // Windows of one element, batch 1.
      (PoolWindow(size: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0]), .f32(1, 1, 1, 1)),
      // Overlapping windows, asymmetric padding.
      (PoolWindow(size: [3, 3], stride: [2, 2], padding: [0, 1, 1, 2]), .f32(1, 5, 4, 2)),
      // Gaps between windows and a rest at the end.
      (PoolWindow(size: [2, 1], stride: [3, 2], padding: [0, 0, 0, 0]), .f32(2, 7, 6, 1)),
      // A window larger than the image, 17 channels.
      (PoolWindow(size: [3, 2], stride: [1, 1], padding: [1, 1, 1, 0]), .f32(1, 1, 2, 17)),
    ]
  }
}

/// y[n, oy, ox, c] = max over the window of x[n, iy, ix, c].
package struct MaxPool: Operation {
  package static let mnemonic = "max_pool"
  package static let summary = "The largest element of each window of an image."
  package static let signature = [OperandSpec("x")]
  package var window = PoolWindow()

  package init() {}
  package init(_ window: PoolWindow) { self.window = window }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try window.visitAttributes(&visitor)
  }

  package func geometry(_ operands: [TensorType]) throws(Diagnostic) -> ConvolutionGeometry {
    try pooling(operands, window)
  }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    [.f32(try geometry(operands).outputShape)]
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

  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    PoolWindow.cost(try? geometry(operands), operands, results)
  }

  package static var samples: [Sample<MaxPool>] {
    PoolWindow.samples.map { Sample(MaxPool($0.window), [$0.image]) }
  }
}

/// dx[q] = Σ dy[p] over the windows p whose winner is q.
package struct MaxPoolGradient: Operation {
  package static let mnemonic = "max_pool_gradient"
  package static let summary = "Gradient of max_pool: each output's adjoint goes to its winner."
  package static let signature = [OperandSpec("x"), OperandSpec("dy")]
  package var window = PoolWindow()

  package init() {}
  package init(_ window: PoolWindow) { self.window = window }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try window.visitAttributes(&visitor)
  }

  package func geometry(_ operands: [TensorType]) throws(Diagnostic) -> ConvolutionGeometry {
    let sizes = try pooling(operands, window)
    try sizes.expectOutput(operands[1], of: Self.mnemonic)
    return sizes
  }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    [.f32(try geometry(operands).inputShape)]
  }

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

  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    PoolWindow.cost(try? geometry(operands), operands, results)
  }

  package static var samples: [Sample<MaxPoolGradient>] {
    PoolWindow.samples.compactMap { window, image in
      guard let sizes = try? window.geometry(image.shape) else { return nil }
      return Sample(MaxPoolGradient(window), [image, .f32(sizes.outputShape)])
    }
  }
}

/// r[p] = d[m(p)]: what stands in `d` where x has its winners. The adjoint of `max_pool_gradient`.
package struct MaxPoolGather: Operation {
  package static let mnemonic = "max_pool_gather"
  package static let summary =
    "The elements of d where the windows of x have their largest element."
  package static let signature = [OperandSpec("x"), OperandSpec("d")]
  package var window = PoolWindow()

  package init() {}
  package init(_ window: PoolWindow) { self.window = window }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try window.visitAttributes(&visitor)
  }

  package func geometry(_ operands: [TensorType]) throws(Diagnostic) -> ConvolutionGeometry {
    let sizes = try pooling(operands, window)
    guard operands[1] == operands[0] else {
      throw Diagnostic(
        "shape.mismatch",
        "\(Self.mnemonic) expects two images of one shape, found \(operands[0]) and \(operands[1])")
    }
    return sizes
  }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    [.f32(try geometry(operands).outputShape)]
  }

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

  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    PoolWindow.cost(try? geometry(operands), operands, results)
  }

  package static var samples: [Sample<MaxPoolGather>] {
    PoolWindow.samples.map { Sample(MaxPoolGather($0.window), [$0.image, $0.image]) }
  }
}
