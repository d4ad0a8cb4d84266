// What the pooling operations have in common: the window, its sizes over an image, and what one execution costs.

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

/// An operation on the windows of an image: pooling, or a gradient of it.
package protocol PoolingOperation: Operation {
  var window: PoolWindow { get set }
  /// The sizes of the pooling, or of the one whose gradient this is.
  func geometry(_ operands: [TensorType]) throws(Diagnostic) -> ConvolutionGeometry
}

extension PoolingOperation {
  package init(_ window: PoolWindow) {
    self.init()
    self.window = window
  }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try window.visitAttributes(&visitor)
  }

  /// One element for each window. Gradients, which make an image, say so themselves.
  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    [.f32(try geometry(operands).outputShape)]
  }

  package func rowUse(_ operands: [TensorType]) -> RowUse { .each(Array(operands.indices)) }

  /// The sizes of a pooling of the first operand; all operands must be images.
  func pooling(_ operands: [TensorType]) throws(Diagnostic) -> ConvolutionGeometry {
    try checkArity(operands)
    for type in operands { try checkImage(type) }
    return try window.geometry(operands[0].shape)
  }

  /// One operation for every element of every window.
  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    let bytes = Cost.traffic(operands, results)
    guard let sizes = try? geometry(operands) else { return Cost(flops: 0, bytes: bytes) }
    let window = Double(sizes.height.kernel) * Double(sizes.width.kernel)
    let count = sizes.outputShape.reduce(1.0) { $0 * Double($1) }
    return Cost(flops: window * count, bytes: bytes)
  }
}
