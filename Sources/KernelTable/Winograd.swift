// Arguments of the convolutions in Winograd's form: n×n tiles of the image are transformed, multiplied with the
// transformed filters at each of n² points, and transformed back to m×m outputs, m = n + 1 − taps.

/// Scratch of one share of `winogradFilter` and `winogradFilterGradientCombine`.
package let winogradFilterScratchBytes = 16 << 10

/// One of the two images that a Winograd convolution relates, [batch, height, width, channels]. With `step` 2, virtual
/// pixel (i, j) of group (a, b) is the real pixel (2i + a, 2j + b), and groups count as channels: channel
/// (2a + b)·channels + c. Virtual pixels outside of the real image are zero, and are not written.
package struct WinogradImage {
  package var pixels: UnsafeMutablePointer<Float>?
  package var height = 0
  package var width = 0
  package var channels = 0
  package var step = 1
  package init() {}

  /// Channels with all groups.
  package var depth: Int { @inline(never) get { step * step * channels } }
}

/// One geometry serves the five kernels. With virtual pixels, virtual taps and channels in groups:
///
///     target[i, j, o] = Σ u, v < n + 1 − m, c  source[i + u − top, j + v − left, c] · W[u, v, c, o]
///
/// - `winogradFilter`: filter → packed, the transformed filters [n²][panel][c][unit.columns].
/// - `winogradConvolution`: source, packed → target, epilogue over target. Input gradients are this kernel too:
///   source is dy, the filter's taps are placed in reverse and `transposed` exchanges its channels.
/// - `winogradAdjoint`: source (dy), packed → target (dx), the adjoint of a convolution from target to source: the
///   first line with source and target exchanged. `rows` and `columns` are the source's, the filter's taps are placed
///   as for the convolution.
/// - `winogradFilterGradient`: source (x) and target (dy) → partial, sums of each split in the transform's domain;
///   then `winogradFilterGradientCombine`: partial → filter (dw).
package struct WinogradArguments {
  package var source = WinogradImage()
  package var target = WinogradImage()
  package var batch = 0
  /// n, points of a tile along an axis: 6 to 8.
  package var points = 0
  /// m, outputs of a tile along an axis: 2 to 6.
  package var tile = 0
  package var top = 0
  package var left = 0
  /// Virtual rows and columns of the image that the tiles divide: the target (`winogradAdjoint`: the source).
  package var rows = 0
  package var columns = 0

  /// [kernelHeight, kernelWidth, filterIn, filterOut]; with `transposed`, the reduction runs over filterOut.
  package var filter: UnsafeMutablePointer<Float>?
  package var kernelHeight = 0
  package var kernelWidth = 0
  package var filterIn = 0
  package var filterOut = 0
  package var transposed = false
  /// [group][point][real tap] for rows of taps, and for columns.
  package var rowMatrix: UnsafePointer<Float>?
  package var columnMatrix: UnsafePointer<Float>?

  package var packed: UnsafeMutablePointer<Float>?
  package var partial: UnsafeMutablePointer<Float>?
  package var epilogue: UnsafePointer<RegionArguments>?
  package init() {}

  /// n², points of a tile.
  package var pointCount: Int { @inline(never) get { points * points } }
  /// Channels of the reduction, and of the result.
  package var depth: Int { @inline(never) get { source.depth } }
  package var width: Int { @inline(never) get { target.depth } }
  package var tileRows: Int { @inline(never) get { (rows + tile - 1) / tile } }
  package var tileColumns: Int { @inline(never) get { (columns + tile - 1) / tile } }

  /// Elements between the transformed filters of two points. The odd line keeps points out of each other's way in
  /// the first-level cache, here and in all other strides between points.
  @inline(never)
  package func packedStride(_ unit: GemmUnit) -> Int {
    packedMatrixCount(k: depth, n: width, unit) + 16
  }
  /// Elements of `packed`.
  @inline(never)
  package func packedCount(_ unit: GemmUnit) -> Int { pointCount * packedStride(unit) }
  /// The largest useful number of shares of `winogradFilter`.
  @inline(never)
  package func filterTasks() -> Int { depth }

  /// The blocks of tiles that are tasks of `winogradConvolution`: whole images or whole rows of tiles. Every block
  /// reads all filters, so that it should have many tiles; its tiles' transform should stay in the second-level cache;
  /// and its tiles should fill the rows of register tiles.
  @inline(never)
  package func blocks(_ unit: GemmUnit) -> WinogradBlocks {
    var best = WinogradBlocks(images: 1, tileRows: 1, perImage: 1, tasks: 0, tiles: 0)
    if batch == 0 || tileRows == 0 || tileColumns == 0 { return best }
    let most = tilesInCache(pointCount, depth)
    var least = Float.infinity
    var images = 1
    var high = 1
    while images <= batch {
      let tiles = images * high * tileColumns
      if tiles > most && tiles > tileColumns { break }
      // Rows that the products compute, and the reading of the filters, which takes as long as six rows.
      let rows = (tiles + unit.rows - 1) / unit.rows * unit.rows + 6
      let cost = Float(rows) / Float(tiles)
      if cost < least {
        least = cost
        let perImage = (tileRows + high - 1) / high
        best = WinogradBlocks(
          images: images, tileRows: high, perImage: perImage,
          tasks: (batch + images - 1) / images * perImage, tiles: tiles)
      }
      if high < tileRows { high += 1 } else { images += 1 }
    }
    return best
  }

  /// Scratch of one share of `winogradConvolution` without the epilogue's: the tiles' pointers, the transform, the
  /// products of one panel, zeros.
  @inline(never)
  package func ownScratchBytes(_ unit: GemmUnit) -> Int {
    let tiles = blocks(unit).tiles + unit.rows
    let floats =
      pointCount * ((tiles * depth + 16) + (tiles * unit.columns + 16)) + source.channels
      + target.channels
    return (matrixScratchBytes + floats * 4 + 16384 + 63) / 64 * 64
  }
  /// Scratch of one share of `winogradConvolution`.
  @inline(never)
  package func scratchBytes(_ unit: GemmUnit) -> Int {
    ownScratchBytes(unit) + (epilogue?.pointee.scratchBytes() ?? 0)
  }

  // MARK: Input gradient by the adjoint

  /// Images that one task of `winogradAdjoint` takes.
  @inline(never)
  package func adjointImages() -> Int {
    let perImage = tileRows * tileColumns
    var images = perImage == 0 ? 1 : tilesInCache(pointCount, depth) / perImage
    if images > batch { images = batch }
    return images < 1 ? 1 : images
  }
  /// Virtual rows and columns that the tiles of one image reach.
  package var adjointRows: Int { @inline(never) get { tileRows * tile + points - tile } }
  package var adjointColumns: Int { @inline(never) get { tileColumns * tile + points - tile } }
  /// The largest useful number of shares of `winogradAdjoint`.
  package var adjointTasks: Int {
    @inline(never) get {
      let images = adjointImages()
      return (batch + images - 1) / images
    }
  }
  /// Scratch of one share of `winogradAdjoint` without the epilogue's.
  @inline(never)
  package func ownAdjointScratchBytes(_ unit: GemmUnit) -> Int {
    let tiles = adjointImages() * tileRows * tileColumns + unit.rows
    let floats =
      pointCount * ((tiles * depth + 16) + (tiles * unit.columns + 16)) + source.channels
      + target.channels + adjointRows * adjointColumns * unit.columns
    return (matrixScratchBytes + floats * 4 + 16384 + 63) / 64 * 64
  }
  /// Scratch of one share of `winogradAdjoint`.
  @inline(never)
  package func adjointScratchBytes(_ unit: GemmUnit) -> Int {
    ownAdjointScratchBytes(unit) + (epilogue?.pointee.scratchBytes() ?? 0)
  }

  // MARK: Filter gradient

  /// Columns of dw that one task makes: the groups or panels that it transforms dy for.
  package var gradientColumns: Int { @inline(never) get { width < 128 ? width : 128 } }
  /// Groups of the image that one task transforms: half of them.
  package var gradientGroups: Int { @inline(never) get { source.step == 2 ? 2 : 1 } }
  /// Rows of dw that one task makes.
  package var gradientDepth: Int { @inline(never) get { gradientGroups * source.channels } }
  /// Blocks of rows and of columns.
  package var gradientRowBlocks: Int { @inline(never) get { depth / gradientDepth } }
  package var gradientColumnBlocks: Int {
    @inline(never) get { (width + gradientColumns - 1) / gradientColumns }
  }
  /// Chunks of images that are summed apart, for at least 8 tasks, unless a chunk had so few tiles that reading
  /// and writing its sums took long beside making them.
  package var gradientSplits: Int {
    @inline(never) get {
      let blocks = gradientRowBlocks * gradientColumnBlocks
      let wanted = (7 + blocks) / blocks
      let useful = batch * tileRows * tileColumns / 512
      let splits = wanted < useful ? wanted : useful
      return splits < 1 ? 1 : batch < splits ? batch : splits
    }
  }
  /// The largest useful number of shares of `winogradFilterGradient`.
  package var gradientTasks: Int {
    @inline(never) get { gradientRowBlocks * gradientColumnBlocks * gradientSplits }
  }
  /// Elements between two points of `partial`.
  package var partialStride: Int { @inline(never) get { depth * width + 16 } }
  /// Elements of `partial`.
  package var partialCount: Int {
    @inline(never) get { gradientSplits * pointCount * partialStride + 64 }
  }
  /// Tiles that one chunk of the filter gradient takes: sums pass through the registers once a chunk.
  package var gradientTiles: Int {
    @inline(never) get {
      let tiles = tilesInCache(pointCount, (gradientDepth + gradientColumns) / 2)
      return tiles < 64 ? 64 : tiles
    }
  }
  /// Scratch of one share of `winogradFilterGradient`.
  @inline(never)
  package func gradientScratchBytes(_ unit: GemmUnit) -> Int {
    let floats =
      pointCount * (gradientTiles * (gradientDepth + gradientColumns) + 64) + source.channels
      + target.channels
    return (matrixScratchBytes + floats * 4 + 16384 + 63) / 64 * 64
  }
  /// The largest useful number of shares of `winogradFilterGradientCombine`.
  package var combineTasks: Int { @inline(never) get { filterIn } }
}

/// The blocks of tiles that tasks of a Winograd convolution compute.
package struct WinogradBlocks {
  package var images: Int
  package var tileRows: Int
  /// Blocks an image is divided into (1 where a block holds whole images).
  package var perImage: Int
  package var tasks: Int
  /// Tiles of a full block.
  package var tiles: Int
}

/// So many tiles that all points of `depth` channels fill 1 MiB, but at least 36, with which the reading of the filters
/// takes no longer than the products.
@inline(never)
private func tilesInCache(_ points: Int, _ depth: Int) -> Int {
  let tiles = (1 << 20) / (points * 4 * depth)
  return tiles < 36 ? 36 : tiles > 192 ? 192 : tiles
}
