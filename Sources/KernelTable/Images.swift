// Arguments of the image kernels. Layout NHWC.

/// Scaling by a whole factor. `small` is [batch, height, width, channels], `large` [batch,
/// height·fy, width·fx, channels]. No scratch.
/// - `upsampleNearest`: large[n, i, j, c] = scale · small[n, i/fy, j/fx, c].
/// - `blockSum`: small[n, i, j, c] = scale · Σ large over the fy × fx block (its adjoint; scale
///   1/(fy·fx) is the block mean).
/// - `upsampleBilinear`: half-pixel centres, edges clamped (PyTorch's align_corners = False,
///   Keras).
/// - `upsampleBilinearAdjoint`: small = the adjoint applied to large.
package struct ScaleArguments {
  package var small: UnsafeMutablePointer<Float>?
  package var large: UnsafeMutablePointer<Float>?
  package var batch = 0
  package var height = 0
  package var width = 0
  package var channels = 0
  package var factorHeight = 1
  package var factorWidth = 1
  /// Used by `upsampleNearest` and `blockSum`.
  package var scale: Float = 1
  package init() {}
  /// The largest useful number of shares.
  @inline(never)
  package func tasks() -> Int { batch * height }
}

/// Pooling windows: output (i, j) covers the input rows i·sh − top ..< i·sh − top + kh that exist,
/// columns alike; every window must hold at least one pixel. No scratch.
/// - `maxPool`: y = the largest of the window (NaN propagates).
/// - `maxPoolGradient`: dx[p] = Σ dy over windows whose first maximum in x (row-major) is p.
///   Pointers x, y (is dy), dx.
/// - `maxPoolGather`: y = source at the window's first maximum of x (the gradient's adjoint).
///   Pointers x, dx (is the source, shaped as x), y.
/// - `averagePool`: y = the mean of the window's existing pixels.
/// - `averagePoolGradient`: dx[p] = Σ dy / (the window's pixels) over windows that cover p.
///   Pointers y (is dy), dx.
package struct PoolArguments {
  package var x: UnsafePointer<Float>?
  package var dx: UnsafeMutablePointer<Float>?
  package var y: UnsafeMutablePointer<Float>?
  package var batch = 0
  package var xHeight = 0
  package var xWidth = 0
  package var yHeight = 0
  package var yWidth = 0
  package var channels = 0
  package var kernelHeight = 1
  package var kernelWidth = 1
  package var strideHeight = 1
  package var strideWidth = 1
  package var top = 0
  package var left = 0
  package init() {}
  /// The largest useful number of shares of `maxPool`, `maxPoolGather`, `averagePool`.
  @inline(never)
  package func tasks() -> Int { batch * yHeight }
  /// The largest useful number of shares of `maxPoolGradient`, `averagePoolGradient`.
  @inline(never)
  package func gradientTasks() -> Int { batch * xHeight }
}
