// Arguments of the matrix kernels: packing of the right operand, and the product with its epilogue.

/// Packs op(B) for `matmul`: `packed[batch][panel][k][unit.columns]`, the last panel padded with
/// zeros; where n is below 8, `packed[batch][n][k]`.
///
/// b(k, n) = source[batch·batchStride + k·strideK + n·strideN]; one of the two strides is 1. B [K,
/// N] row-major: strideK = N, strideN = 1; used transposed (stored [N, K]): strideK = 1, strideN =
/// K. No scratch.
package struct PackArguments {
  package var source: UnsafePointer<Float>?
  package var packed: UnsafeMutablePointer<Float>?
  package var k = 0
  package var n = 0
  package var strideK = 0
  package var strideN = 0
  package var batches = 1
  package var batchStride = 0
  package init() {}

  /// Elements of `packed`.
  @inline(never)
  package func packedCount(_ unit: GemmUnit) -> Int {
    batches * packedMatrixCount(k: k, n: n, unit)
  }
  /// The largest useful number of shares.
  @inline(never)
  package func tasks(_ unit: GemmUnit) -> Int {
    batches * (n < 8 ? n : (n + unit.columns - 1) / unit.columns)
  }
}

/// Elements of one packed matrix of k rows and n columns.
@inline(never)
package func packedMatrixCount(k: Int, n: Int, _ unit: GemmUnit) -> Int {
  n < 8 ? k * n : (n + unit.columns - 1) / unit.columns * unit.columns * k
}

/// How a product reads its operands. Which is best depends on the shapes, and on whether B is packed anyway.
package enum MatmulForm {
  /// B packed by `pack`.
  case packed
  /// B as stored: b(k, n) = b[k·ldb + n], n at least 8.
  case direct
  /// B as stored and transposed: b(k, n) = b[n·ldb + k], m and n at least 8. The rows of B take the
  /// place of A's, and what is packed is A: by `pack`, as a right operand of m columns.
  case swapped

  /// Packing costs a pass over the operand, which a flat C (the batch of a dense layer) does not
  /// pay back where the operand is the layer's weights, unless `keepsB`: B is packed once for many
  /// products.
  @inline(never)
  package static func best(
    m: Int, n: Int, k: Int, transposedA: Bool, transposedB: Bool, keepsB: Bool
  ) -> MatmulForm {
    if n < 8 || keepsB { return .packed }
    if transposedB { return m >= 8 && m <= n ? .swapped : .packed }
    // With A transposed a block's columns of B stay in cache while all of A goes past.
    if transposedA { return k <= longestDirect ? .direct : .packed }
    return m <= flatRows ? .direct : .packed
  }
}

/// Rows of C up to which it counts as flat: one block.
private let flatRows = 256

/// The longest reduction for which a transposed A is multiplied with B as stored.
private let longestDirect = 1024

/// Floats of B that should stay in the second-level cache (a mebibyte or two) beside all else.
private let cachedFloats = 1 << 17

/// C[batch, m, n] = Σₖ op(A)[batch, m, k] · op(B)[batch, k, n]; then the epilogue, over each
/// finished block. C is row-major and dense. With an epilogue the product itself is not stored: it
/// waits in the scratch and is the epilogue's input 0, whose pointer is not read; `c` may be nil.
package struct MatmulArguments {
  /// A as stored; not read in the swapped form.
  package var a: UnsafePointer<Float>?
  /// B as stored, for the direct and the swapped form.
  package var b: UnsafePointer<Float>?
  /// B packed, or in the swapped form A.
  package var packed: UnsafePointer<Float>?
  package var c: UnsafeMutablePointer<Float>?
  package var form = MatmulForm.packed
  package var m = 0
  package var n = 0
  package var k = 0
  /// False: op(A)(m, k) = a[m·lda + k]. True: op(A)(m, k) = a[k·lda + m].
  package var transposedA = false
  /// Elements between rows of A and B as stored; usually their row lengths.
  package var lda = 0
  package var ldb = 0
  package var batches = 1
  /// Elements between matrices of A, B and `packed` (0: one for all); those of C are m·n apart.
  package var batchStrideA = 0
  package var batchStrideB = 0
  package var batchStridePacked = 0
  /// The epilogue or nil.
  package var epilogue: UnsafePointer<RegionArguments>?
  package init() {}

  /// The largest useful number of shares.
  @inline(never)
  package func tasks(_ unit: GemmUnit) -> Int {
    let blocks = blocks(unit)
    return batches * blocks.rowBlocks * blocks.columnBlocks
  }
  /// Scratch of one share: tables, then what `MatmulMemory` lays out, then the epilogue's.
  @inline(never)
  package func scratchBytes(_ unit: GemmUnit) -> Int {
    let memory = memory(unit)
    return matrixScratchBytes + memory.bytes + (epilogue?.pointee.scratchBytes() ?? 0)
  }
}

/// Pointer tables and the tile of a ragged edge.
package let matrixScratchBytes = 32 << 10

/// Steps of the reduction that a tile does at once: a piece of a panel (256 × 32 floats) then stays
/// in the first-level cache for all tiles of rows; sums go through C between pieces.
package let reductionBlock = 256

/// The blocks of C that tasks compute.
package struct MatmulBlocks {
  package var rows: Int
  package var columns: Int
  package var rowBlocks: Int
  package var columnBlocks: Int
}

/// Places behind the tables of a share's scratch, in bytes.
package struct MatmulMemory {
  /// The block of C, where an epilogue waits for it. Before it lies a panel's piece of the reduction,
  /// in the direct form, or Cᵀ, in the swapped one.
  package var block: Int
  package var bytes: Int
}

extension MatmulArguments {
  /// Blocks fixed by the shapes.
  @inline(never)
  package func blocks(_ unit: GemmUnit) -> MatmulBlocks {
    var rows: Int
    var columns: Int
    if n < 8 {
      // Dot products: a few rows a task; with a transposed A, rows are lanes.
      rows = 64
      columns = n
    } else {
      (rows, columns) = wideBlock(unit)
    }
    rows = m < rows ? m : rows
    columns = n < columns ? n : columns
    return MatmulBlocks(
      rows: rows, columns: columns, rowBlocks: rows == 0 ? 0 : (m + rows - 1) / rows,
      columnBlocks: columns == 0 ? 0 : (n + columns - 1) / columns)
  }

  private func wideBlock(_ unit: GemmUnit) -> (Int, Int) {
    switch form {
    case .swapped:
      // Whole vectors of columns for the epilogue.
      return (flatRows, 4 * unit.rows)
    case .direct:
      // For flat C single panels, so that there are enough tasks.
      if !transposedA { return (flatRows, unit.columns) }
      // The gradient of weights: few long rows, so that an optimiser's update behind it reads and
      // writes memory in order; no more columns than those whose part of B stays in cache for all
      // blocks of rows. More rows where the reduction is long.
      let pieces = (k + reductionBlock - 1) / reductionBlock
      let panels = (n + unit.columns - 1) / unit.columns
      let cached = cachedFloats / (k < 32 ? 32 : k) / unit.columns
      let widest = cached < 4 ? 4 : cached
      let blocks = (panels + widest - 1) / widest
      return (
        unit.rows * (pieces < 1 ? 1 : pieces > 4 ? 4 : pieces),
        (panels + blocks - 1) / blocks * unit.columns
      )
    case .packed:
      // For tall C as many columns as stay in cache, so that an epilogue runs over long rows.
      if m >= 512 { return (16 * unit.rows, 8 * unit.columns) }
      return (12 * unit.rows, unit.columns * (n > 32 * unit.columns ? 2 : 1))
    }
  }

  @inline(never)
  package func memory(_ unit: GemmUnit) -> MatmulMemory {
    let blocks = blocks(unit)
    func lines(_ floats: Int) -> Int { (floats * 4 + 127) / 64 * 64 }
    var memory = MatmulMemory(block: 0, bytes: 0)
    switch form {
    case .packed: break
    case .direct: memory.block = lines(reductionBlock * unit.columns)
    case .swapped:
      let wide = (blocks.rows + unit.columns - 1) / unit.columns * unit.columns
      memory.block = lines(4 * unit.rows * wide)
    }
    memory.bytes = memory.block
    // Whole vectors are read beyond its end.
    if epilogue != nil { memory.bytes += lines(blocks.rows * blocks.columns + unit.columns) }
    return memory
  }
}
