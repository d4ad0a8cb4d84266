// Arguments of the convolution kernels: forward, input gradient (a transposed convolution) and
// filter gradient. Layout NHWC, filters [kh, kw, in, out].

/// One geometry serves all three:
///
///     y[n, i, j, o]  = Σ x[n, i·sh − top + u, j·sw − left + v, c] · w[u, v, c, o]
///     dx[n, i, j, c] = Σ dy[n, (i + top − u)/sh, (j + left − v)/sw, o] · w[u, v, c, o]
///     dw[u, v, c, o] = Σ x[n, i·sh − top + u, j·sw − left + v, c] · dy[n, i, j, o]
///
/// with zeros outside of x and dy, and in the second only where the divisions leave no rest.
///
/// Which pointers a kernel uses:
/// - `packFilter`: filter → packed. `convolution`: x, packed → y, epilogue over y.
/// - `packFilterTransposed`: filter → packed. `convolutionInputGradient`: y (is dy), packed → x (is
///   dx), epilogue over x. A transposed convolution from [n, yHeight, yWidth, out] is exactly this
///   kernel.
/// - `convolutionFilterGradient`: x, y (is dy) → filter (is dw). Where `filterGradientSplits` is
///   above 1 it fills `partial`, and `convolutionFilterGradientCombine` with the same arguments
///   must follow.
package struct ConvolutionArguments {
  package var x: UnsafeMutablePointer<Float>?
  package var filter: UnsafeMutablePointer<Float>?
  package var y: UnsafeMutablePointer<Float>?
  package var packed: UnsafeMutablePointer<Float>?
  package var partial: UnsafeMutablePointer<Float>?
  package var epilogue: UnsafePointer<RegionArguments>?
  package var batch = 0
  package var xHeight = 0
  package var xWidth = 0
  package var inChannels = 0
  package var yHeight = 0
  package var yWidth = 0
  package var outChannels = 0
  package var kernelHeight = 0
  package var kernelWidth = 0
  package var strideHeight = 1
  package var strideWidth = 1
  package var top = 0
  package var left = 0
  package init() {}

  /// Elements of `packed` for `convolution`.
  @inline(never)
  package func packedCount(_ unit: GemmUnit) -> Int {
    packedMatrixCount(k: kernelHeight * kernelWidth * inChannels, n: outChannels, unit)
  }
  /// Elements of `packed` for `convolutionInputGradient`.
  @inline(never)
  package func packedTransposedCount(_ unit: GemmUnit) -> Int {
    packedMatrixCount(k: kernelHeight * kernelWidth * outChannels, n: inChannels, unit)
  }
  /// The largest useful number of shares of `packFilter` and `packFilterTransposed`.
  @inline(never)
  package func packTasks(_ unit: GemmUnit) -> Int { kernelHeight * kernelWidth * 4 }

  /// The largest useful number of shares of `convolution`.
  @inline(never)
  package func tasks(_ unit: GemmUnit) -> Int {
    convolutionBlocks(batch: batch, height: yHeight, width: yWidth, step: 1, unit).tasks
  }
  /// The largest useful number of shares of `convolutionInputGradient`.
  @inline(never)
  package func inputGradientTasks(_ unit: GemmUnit) -> Int {
    convolutionBlocks(batch: batch, height: xHeight, width: xWidth, step: strideHeight, unit).tasks
  }
  /// The largest useful number of shares of `convolutionFilterGradient`.
  @inline(never)
  package func filterGradientTasks(_ unit: GemmUnit) -> Int {
    filterGradientOutputTasks(unit) * filterGradientSplits(unit)
  }
  /// The largest useful number of shares of `convolutionFilterGradientCombine`.
  @inline(never)
  package func filterGradientCombineTasks() -> Int { (filterCount + 1023) / 1024 }

  package var filterCount: Int {
    @inline(never) get { kernelHeight * kernelWidth * inChannels * outChannels }
  }

  /// Tasks that are blocks of dw: a tap's channels against a panel; with few input channels, a
  /// panel.
  @inline(never)
  package func filterGradientOutputTasks(_ unit: GemmUnit) -> Int {
    let panels = (outChannels + unit.columns - 1) / unit.columns
    return inChannels < convolutionFewChannels
      ? panels : kernelHeight * kernelWidth * panels
  }

  /// The number of chunks of images that are summed apart: 1 where dw alone gives enough tasks.
  @inline(never)
  package func filterGradientSplits(_ unit: GemmUnit) -> Int {
    let tasks = filterGradientOutputTasks(unit)
    if tasks >= 24 { return 1 }
    let wanted = (47 + tasks) / tasks
    return batch < wanted ? batch : wanted
  }
  /// Elements of `partial`; 0 where it is not needed.
  @inline(never)
  package func filterGradientPartialCount(_ unit: GemmUnit) -> Int {
    let splits = filterGradientSplits(unit)
    return splits > 1 ? splits * filterCount : 0
  }

  /// The most pixels of one block, forward or backward, with a tile to spare.
  @inline(never)
  package func blockPixels(_ unit: GemmUnit) -> Int {
    let forward = convolutionBlocks(
      batch: batch, height: yHeight, width: yWidth, step: 1, unit)
    let backward = convolutionBlocks(
      batch: batch, height: xHeight, width: xWidth, step: strideHeight, unit)
    let most = forward.pixels > backward.pixels ? forward.pixels : backward.pixels
    return most + 2 * unit.rows
  }

  /// Scratch of one share of `convolution`, `convolutionInputGradient`.
  @inline(never)
  package func scratchBytes(_ unit: GemmUnit) -> Int {
    ownScratchBytes(unit) + (epilogue?.pointee.scratchBytes() ?? 0)
  }

  /// The part before the epilogue's: pointers and places of each pixel and tap, gathered patches,
  /// zeros.
  @inline(never)
  package func ownScratchBytes(_ unit: GemmUnit) -> Int {
    let taps = kernelHeight * kernelWidth
    let few =
      (inChannels < convolutionFewChannels ? inChannels : 0)
      + (outChannels < convolutionFewChannels ? outChannels : 0)
    let zeros = inChannels > outChannels ? inChannels : outChannels
    let bytes =
      matrixScratchBytes + blockPixels(unit) * (24 + taps * 8 + taps * few * 4) + zeros * 4 + 1024
    return (bytes + 63) / 64 * 64
  }

  /// Scratch of one share of `convolutionFilterGradient`.
  @inline(never)
  package func filterGradientScratchBytes(_ unit: GemmUnit) -> Int {
    let taps = kernelHeight * kernelWidth
    let row = inChannels < convolutionFewChannels ? taps * inChannels + 16 : 0
    let pixels = filterGradientChunkPixels + yWidth
    return matrixScratchBytes + pixels * (row + unit.columns + 16) * 4 + yHeight * 64 + 4096
  }
}

/// Arguments of `collect`: the last step of a convolution to few channels (forward), or of an input gradient to few
/// channels (`backward`). `contributions` is [batch, sourceHeight, sourceWidth, kernelHeight, kernelWidth, channels].
///
///     target[n, i, j, c] = Σ u, v  contributions[n, i·sh − top + u, j·sw − left + v, u, v, c]
///     backward:            Σ u, v  contributions[n, (i + top − u)/sh, (j + left − v)/sw, u, v, c]
///
/// over places inside of the source, and backward only where the divisions leave no rest.
package struct CollectArguments {
  package var contributions: UnsafePointer<Float>?
  package var target: UnsafeMutablePointer<Float>?
  package var epilogue: UnsafePointer<RegionArguments>?
  package var backward = false
  package var batch = 0
  package var sourceHeight = 0
  package var sourceWidth = 0
  package var targetHeight = 0
  package var targetWidth = 0
  package var channels = 0
  package var kernelHeight = 0
  package var kernelWidth = 0
  package var strideHeight = 1
  package var strideWidth = 1
  package var top = 0
  package var left = 0
  package init() {}

  /// Contributions of one source pixel.
  package var taps: Int { @inline(never) get { kernelHeight * kernelWidth * channels } }
  /// The largest useful number of shares.
  package var tasks: Int { @inline(never) get { batch } }
  /// Scratch of one share.
  @inline(never)
  package func scratchBytes() -> Int { epilogue?.pointee.scratchBytes() ?? 0 }
}

/// Below so many channels the patch of a pixel is gathered into one contiguous row first.
package let convolutionFewChannels = 8
/// Pixels that the filter gradient takes at once, at most a row of the image more.
package let filterGradientChunkPixels = 512

/// The blocks of output pixels that tasks compute: whole images, or whole rows of one image.
package struct ConvolutionBlocks {
  package var images: Int
  package var rows: Int
  /// Blocks an image is divided into (1 where a block holds whole images).
  package var blocksPerImage: Int
  package var tasks: Int
  /// Pixels of a full block.
  package var pixels: Int
}

/// About 16 register tiles a block, in whole rows (a multiple of `step`, so that a block has every
/// phase).
@inline(never)
package func convolutionBlocks(
  batch: Int, height: Int, width: Int, step: Int, _ unit: GemmUnit
) -> ConvolutionBlocks {
  let goal = 192
  if batch == 0 || height == 0 || width == 0 {
    return ConvolutionBlocks(images: 1, rows: 1, blocksPerImage: 1, tasks: 0, pixels: 0)
  }
  if height * width <= goal + goal / 2 {
    var images = goal / (height * width)
    if images > batch { images = batch }
    if images < 1 { images = 1 }
    return ConvolutionBlocks(
      images: images, rows: height, blocksPerImage: 1, tasks: (batch + images - 1) / images,
      pixels: images * height * width)
  }
  // As many equal blocks as come nearest to the goal.
  var blocks = (height * width + goal / 2) / goal
  if blocks > height { blocks = height }
  var rows = (height + blocks - 1) / blocks
  rows = (rows + step - 1) / step * step
  blocks = (height + rows - 1) / rows
  return ConvolutionBlocks(
    images: 1, rows: rows, blocksPerImage: blocks, tasks: batch * blocks, pixels: rows * width)
}
