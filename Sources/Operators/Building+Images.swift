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

extension GraphBuilder {
  package func maxPool(_ x: ValueID, window: PoolWindow) throws(Diagnostic) -> ValueID {
    try add(MaxPool(window), x)
  }

  /// dy of the pooled shape -> the image's shape.
  package func maxPoolGradient(
    _ x: ValueID, _ dy: ValueID, window: PoolWindow
  ) throws(Diagnostic) -> ValueID {
    try add(MaxPoolGradient(window), x, dy)
  }

  /// d of the image's shape -> the pooled shape.
  package func maxPoolGather(
    _ x: ValueID, _ d: ValueID, window: PoolWindow
  ) throws(Diagnostic) -> ValueID {
    try add(MaxPoolGather(window), x, d)
  }

  package func avgPool(_ x: ValueID, window: PoolWindow) throws(Diagnostic) -> ValueID {
    try add(AvgPool(window), x)
  }

  /// dy of the pooled shape -> [n, h, w, c] with [h, w] = `inputSize`.
  package func avgPoolGradient(
    _ dy: ValueID, window: PoolWindow, inputSize: [Int]
  ) throws(Diagnostic) -> ValueID {
    try add(AvgPoolGradient(window, inputSize: inputSize), dy)
  }

  /// `factor` is [h, w].
  package func upsampleNearest(_ x: ValueID, factor: [Int]) throws(Diagnostic) -> ValueID {
    try add(UpsampleNearest(factor: factor), x)
  }

  /// Sums blocks of [h, w] pixels.
  package func blockSum(_ x: ValueID, factor: [Int]) throws(Diagnostic) -> ValueID {
    try add(BlockSum(factor: factor), x)
  }

  package func upsampleBilinear(_ x: ValueID, factor: [Int]) throws(Diagnostic) -> ValueID {
    try add(UpsampleBilinear(factor: factor), x)
  }

  package func upsampleBilinearGradient(
    _ dy: ValueID, factor: [Int]
  ) throws(Diagnostic) -> ValueID {
    try add(UpsampleBilinearGradient(factor: factor), dy)
  }

  /// table [count, r…], ids i32[i…] -> [i…, r…]
  package func gatherRows(_ table: ValueID, _ ids: ValueID) throws(Diagnostic) -> ValueID {
    try add(GatherRows(), table, ids)
  }

  /// ids i32[i…], rows [i…, r…] -> [count, r…]
  package func scatterAddRows(
    _ ids: ValueID, _ rows: ValueID, count: Int
  ) throws(Diagnostic) -> ValueID {
    try add(ScatterAddRows(count: count), ids, rows)
  }

  /// ids i32[i…] -> f32[i…, count]
  package func oneHot(_ ids: ValueID, count: Int) throws(Diagnostic) -> ValueID {
    try add(OneHot(count: count), ids)
  }
}
