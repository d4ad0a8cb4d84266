// Builder helpers for the image and row operations: one node each, and the transposed convolution as a layer
// knows it.

import Basics
import GraphIR

extension GraphBuilder {
  /// x [n, h, w, in], w [kh, kw, in, out]; `stride` [h, w], `padding` [top, bottom, left, right].
  package func conv2D(
    _ x: ValueID, _ w: ValueID, stride: [Int] = [1, 1], padding: [Int] = [0, 0, 0, 0]
  ) throws(Diagnostic) -> ValueID {
    try add(Conv2D(stride: stride, padding: padding), x, w)
  }

  /// dy [n, oh, ow, out], w [kh, kw, in, out] -> [n, h, w, in] with [h, w] = `inputSize`.
  package func conv2DInputGradient(
    _ dy: ValueID, _ w: ValueID, stride: [Int] = [1, 1], padding: [Int] = [0, 0, 0, 0],
    inputSize: [Int]
  ) throws(Diagnostic) -> ValueID {
    try add(Conv2DInputGradient(stride: stride, padding: padding, inputSize: inputSize), dy, w)
  }

  /// x [n, h, w, in], dy [n, oh, ow, out] -> [kh, kw, in, out] with [kh, kw] = `kernelSize`.
  package func conv2DFilterGradient(
    _ x: ValueID, _ dy: ValueID, stride: [Int] = [1, 1], padding: [Int] = [0, 0, 0, 0],
    kernelSize: [Int]
  ) throws(Diagnostic) -> ValueID {
    try add(Conv2DFilterGradient(stride: stride, padding: padding, kernelSize: kernelSize), x, dy)
  }
}
