// Builder helpers for the image and row operations: one node each, the transposed convolution as a layer
// knows it, and dilated kernels.

import Basics
import GraphIR

extension GraphBuilder {
  /// x [n, h, w, in], w [kh, kw, in, out]; `stride` [h, w], `padding` [top, bottom, left, right].
  package func conv2D(
    _ x: ValueID, _ w: ValueID, stride: [Int] = [1, 1], padding: [Int] = [0, 0, 0, 0],
    upsample: [Int] = [1, 1]
  ) throws(Diagnostic) -> ValueID {
    var convolution = Conv2D(stride: stride, padding: padding)
    convolution.upsample = upsample
    return try add(convolution, x, w)
  }

  /// dy [n, oh, ow, out], w [kh, kw, in, out] -> [n, h, w, in] with [h, w] = `inputSize`.
  package func conv2DInputGradient(
    _ dy: ValueID, _ w: ValueID, stride: [Int] = [1, 1], padding: [Int] = [0, 0, 0, 0],
    inputSize: [Int], upsample: [Int] = [1, 1]
  ) throws(Diagnostic) -> ValueID {
    var gradient = Conv2DInputGradient(stride: stride, padding: padding, inputSize: inputSize)
    gradient.upsample = upsample
    return try add(gradient, dy, w)
  }

  /// x [n, h, w, in], dy [n, oh, ow, out] -> [kh, kw, in, out] with [kh, kw] = `kernelSize`.
  package func conv2DFilterGradient(
    _ x: ValueID, _ dy: ValueID, stride: [Int] = [1, 1], padding: [Int] = [0, 0, 0, 0],
    kernelSize: [Int], upsample: [Int] = [1, 1]
  ) throws(Diagnostic) -> ValueID {
    var gradient = Conv2DFilterGradient(stride: stride, padding: padding, kernelSize: kernelSize)
    gradient.upsample = upsample
    return try add(gradient, x, dy)
  }

  /// The transposed convolution as a layer: x [n, h, w, in], w [kh, kw, in, out] -> [n, oh, ow, out], where
  /// y[s·i + j] += x[i] · w[j], cropped by `crop` [top, bottom, left, right]. `outputSize` [oh, ow] is (h − 1)·s + kh less
  /// the crop where it is not given; up to s − 1 more rows and columns of zeros may be asked for.
  package func convTranspose2D(
    _ x: ValueID, _ w: ValueID, stride: [Int] = [1, 1], crop: [Int] = [0, 0, 0, 0],
    outputSize: [Int]? = nil
  ) throws(Diagnostic) -> ValueID {
    let (image, kernel) = (type(of: x), type(of: w))
    guard image.rank == 4, kernel.rank == 4, image.shape[3] == kernel.shape[2] else {
      throw Diagnostic(
        "shape.mismatch",
        "a transposed convolution takes an image [n, h, w, in] and a kernel [kh, kw, in, out], "
          + "found \(image) and \(kernel)")
    }
    guard stride.count == 2, crop.count == 4 else {
      throw Diagnostic(
        "conv.stride",
        "a stride is [h, w] and a crop is [top, bottom, left, right], found \(shapeText(stride)) "
          + "and \(shapeText(crop))")
    }
    var size: [Int] = []
    for axis in 0..<2 {
      size.append(
        try WindowAxis.transposedOutput(
          input: image.shape[1 + axis], kernel: kernel.shape[axis], stride: stride[axis],
          before: crop[2 * axis], after: crop[2 * axis + 1]))
    }
    // The convolution whose input gradient this is has the layer's output for its image.
    return try conv2DInputGradient(
      x, transpose(w, [0, 1, 3, 2]), stride: stride, padding: crop, inputSize: outputSize ?? size)
  }

  /// A kernel [kh, kw, in, out] with `dilation` − 1 zeros between its rows and columns: a dilated convolution is an
  /// ordinary one with it.
  package func dilated(_ w: ValueID, by dilation: [Int]) throws(Diagnostic) -> ValueID {
    if dilation == [1, 1] { return w }
    let kernel = type(of: w)
    guard kernel.rank == 4, dilation.count == 2,
      dilation.allSatisfy({ $0 >= 1 && $0 <= WindowAxis.limit })
    else {
      throw Diagnostic(
        "conv.dilation",
        "a dilation is [h, w] of a kernel [kh, kw, in, out], at least 1; found "
          + "\(shapeText(dilation)) and \(kernel)")
    }
    let shape = kernel.shape
    let (rows, columns) = (shape[0] * dilation[0], shape[1] * dilation[1])
    let apart = try reshape(w, [shape[0], 1, shape[1], 1, shape[2], shape[3]])
    let padded = try pad(
      apart, before: [0, 0, 0, 0, 0, 0],
      after: [0, dilation[0] - 1, 0, dilation[1] - 1, 0, 0], mode: .zero)
    let whole = try reshape(padded, [rows, columns, shape[2], shape[3]])
    return try slice(
      whole, starts: [0, 0, 0, 0],
      ends: [rows - dilation[0] + 1, columns - dilation[1] + 1, shape[2], shape[3]])
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
