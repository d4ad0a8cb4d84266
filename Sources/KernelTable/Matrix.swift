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

/// C[batch, m, n] = Σₖ op(A)[batch, m, k] · op(B)[batch, k, n], B packed by `pack`; then the
/// epilogue, over each finished block. C is row-major and dense; its buffer may also be an output
/// of the epilogue.
package struct MatmulArguments {
  package var a: UnsafePointer<Float>?
  package var packedB: UnsafePointer<Float>?
  package var c: UnsafeMutablePointer<Float>?
  package var m = 0
  package var n = 0
  package var k = 0
  /// False: op(A)(m, k) = a[m·lda + k]. True: op(A)(m, k) = a[k·lda + m].
  package var transposedA = false
  /// Elements between rows of A as stored; usually its row length.
  package var lda = 0
  package var batches = 1
  /// Elements between matrices of A (0: one for all), of the packed B (0: one for all), and of C
  /// (m·n).
  package var batchStrideA = 0
  package var batchStrideB = 0
  /// The epilogue or nil.
  package var epilogue: UnsafePointer<RegionArguments>?
  package init() {}

  /// The largest useful number of shares.
  @inline(never)
  package func tasks(_ unit: GemmUnit) -> Int {
    let blocks = matmulBlocks(m: m, n: n, unit)
    return batches * blocks.rowBlocks * blocks.columnBlocks
  }
  /// Scratch of one share.
  @inline(never)
  package func scratchBytes(_ unit: GemmUnit) -> Int {
    matrixScratchBytes + (epilogue?.pointee.scratchBytes() ?? 0)
  }
}

/// Pointer tables and the tile of a ragged edge.
package let matrixScratchBytes = 32 << 10

/// The blocks of C that tasks compute.
package struct MatmulBlocks {
  package var rows: Int
  package var columns: Int
  package var rowBlocks: Int
  package var columnBlocks: Int
}

/// Blocks fixed by the shapes: for tall C as many columns as stay in cache, so that an epilogue
/// runs over long rows; for flat C (the batch of a dense layer) single panels, so that there are
/// enough tasks.
@inline(never)
package func matmulBlocks(m: Int, n: Int, _ unit: GemmUnit) -> MatmulBlocks {
  var rows: Int
  var columns: Int
  if n < 8 {
    // Dot products: a few rows a task; with a transposed A, rows are lanes.
    rows = 64
    columns = n
  } else if m >= 512 {
    rows = 16 * unit.rows
    columns = 8 * unit.columns
  } else {
    rows = 12 * unit.rows
    columns = unit.columns * (n > 32 * unit.columns ? 2 : 1)
  }
  rows = m < rows ? m : rows
  columns = n < columns ? n : columns
  return MatmulBlocks(
    rows: rows, columns: columns, rowBlocks: rows == 0 ? 0 : (m + rows - 1) / rows,
    columnBlocks: columns == 0 ? 0 : (n + columns - 1) / columns)
}
