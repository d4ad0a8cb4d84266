// The matrix product: blocks of C as tasks, register tiles inside, the epilogue over each finished
// block.

import KernelTable

/// Steps of the reduction that a tile does at once: a piece of a panel (256 × 32 floats) then stays
/// in the first-level cache for all tiles of rows; sums go through C between pieces.
let reductionBlock = 256
/// Bytes of scratch before the epilogue's: `matrixScratchBytes` of KernelTable.
let tileScratchBytes = 32 << 10

/// Lays out the tiles' scratch; `segments` pointer tables for A.
@inline(__always) func tileScratch(_ scratch: UnsafeMutableRawPointer) -> TileScratch {
  TileScratch(
    a: (scratch + 4096).assumingMemoryBound(to: Source.self),
    c: scratch.assumingMemoryBound(to: Target.self),
    edgeRows: (scratch + 1024).assumingMemoryBound(to: Target.self),
    edge: (scratch + 2048).assumingMemoryBound(to: Float.self))
}

/// One tile of the rows form at the edges of C: where rows or columns are missing, it is made in
/// `edge`. c: pointers to `rows` rows of C at the panel's first column. Pointers of A beyond `rows`
/// must be readable.
@inline(__always) func placeRowsTile(
  _ rows: Int, _ columns: Int, _ a: Rows, _ segments: Int, _ length: Int, _ b: Source,
  _ c: UnsafeMutablePointer<Target>, _ accumulate: Bool, _ edge: Target,
  _ edgeRows: UnsafeMutablePointer<Target>
) {
  #if WIDTH16
    let fits = columns == tileColumns && (rows == 12 || rows == 8 || rows == 4)
  #else
    let fits = columns == tileColumns && (rows == 6 || rows == 4)
  #endif
  if fits {
    rowsTile(rows, a, segments, length, b, c, accumulate)
    return
  }
  prepareEdge(rows, columns, c, accumulate, edge, edgeRows)
  rowsTile(rows, a, segments, length, b, edgeRows, accumulate)
  finishEdge(rows, columns, c, edge, edgeRows)
}

/// Points rows to C where it is wide enough, else to the edge tile, with the sums so far.
func prepareEdge(
  _ rows: Int, _ columns: Int, _ c: UnsafeMutablePointer<Target>, _ accumulate: Bool,
  _ edge: Target, _ edgeRows: UnsafeMutablePointer<Target>
) {
  var r = 0
  while r < tileRows {
    let row = edge + r &* tileColumns
    if r < rows && columns == tileColumns {
      edgeRows[r] = c[r]
    } else {
      edgeRows[r] = row
      if accumulate && r < rows { copyElements(c[r], row, columns) }
    }
    r &+= 1
  }
}

/// Copies what belongs to C out of the edge tile.
func finishEdge(
  _ rows: Int, _ columns: Int, _ c: UnsafeMutablePointer<Target>, _ edge: Target,
  _ edgeRows: UnsafeMutablePointer<Target>
) {
  guard columns < tileColumns else { return }
  var r = 0
  while r < rows {
    copyElements(edgeRows[r], c[r], columns)
    r &+= 1
  }
}

/// C[r, c] = Σₖ op(A)[r, k] · B[k, c], then the epilogue. MatmulArguments.
func matmulKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: MatmulArguments.self)
  let m = p.pointee.m
  let n = p.pointee.n
  let blocks = matmulBlocks(m: m, n: n, GemmUnit(rows: tileRows, columns: tileColumns))
  let perBatch = blocks.rowBlocks &* blocks.columnBlocks
  let tasks = p.pointee.batches &* perBatch
  let end = shareStart(tasks, index &+ 1, count)
  var task = shareStart(tasks, index, count)
  guard task < end, let scratch else { return }
  let tiles = tileScratch(scratch)
  let epilogue = p.pointee.epilogue
  var run: RegionRun?
  if let epilogue { run = prepareRegion(epilogue, scratch + tileScratchBytes) }
  while task < end {
    let batch = task / perBatch
    let inBatch = task &- batch &* perBatch
    let rowBlock = inBatch / blocks.columnBlocks
    let r0 = rowBlock &* blocks.rows
    let c0 = (inBatch &- rowBlock &* blocks.columnBlocks) &* blocks.columns
    let rows = m &- r0 < blocks.rows ? m &- r0 : blocks.rows
    let columns = n &- c0 < blocks.columns ? n &- c0 : blocks.columns
    let c = p.pointee.c! + (batch &* m &+ r0) &* n
    let a = p.pointee.a! + batch &* p.pointee.batchStrideA
    let b = p.pointee.packedB! + batch &* p.pointee.batchStrideB
    if p.pointee.k == 0 {
      zeroBlock(c + c0, n, rows, columns)
    } else if n < 8 {
      if p.pointee.transposedA {
        narrowColumns(p, a + r0, b, c, rows)
      } else {
        narrowRows(a + r0 &* p.pointee.lda, p.pointee.lda, b, c, n, rows, p.pointee.k, n)
      }
    } else if p.pointee.transposedA {
      columnsBlock(p, a + r0, b + c0 &* p.pointee.k, c + c0, rows, columns, tiles)
    } else {
      rowsBlock(p, a + r0 &* p.pointee.lda, b + c0 &* p.pointee.k, c + c0, rows, columns, tiles)
    }
    if let run {
      if columns == n {
        runRegion(run, (batch &* m &+ r0) &* n, rows &* n)
      } else {
        var r = r0
        while r < r0 &+ rows {
          runRegion(run, (batch &* m &+ r) &* n &+ c0, columns)
          r &+= 1
        }
      }
    }
    task &+= 1
  }
}

private func zeroBlock(_ c: Target, _ ldc: Int, _ rows: Int, _ columns: Int) {
  var r = 0
  while r < rows {
    fillElements(0, c + r &* ldc, columns)
    r &+= 1
  }
}

/// Equal pieces of the reduction, none longer than `reductionBlock`.
@inline(__always) func reductionPiece(_ k: Int) -> Int {
  let pieces = (k &+ reductionBlock &- 1) / reductionBlock
  return (k &+ pieces &- 1) / pieces
}

/// A block with A as stored. Order: piece of k, panel, tile of rows.
private func rowsBlock(
  _ p: UnsafePointer<MatmulArguments>, _ a: Source, _ b: Source, _ c: Target, _ rows: Int,
  _ columns: Int, _ tiles: TileScratch
) {
  let k = p.pointee.k
  let n = p.pointee.n
  let lda = p.pointee.lda
  let piece = reductionPiece(k)
  var k0 = 0
  while k0 < k {
    let length = k &- k0 < piece ? k &- k0 : piece
    var c0 = 0
    while c0 < columns {
      let wide = columns &- c0 < tileColumns ? columns &- c0 : tileColumns
      let panel = b + (c0 &* k &+ k0 &* tileColumns)
      var r0 = 0
      while r0 < rows {
        let high = rows &- r0 < tileRows ? rows &- r0 : tileRows
        var r = 0
        while r < tileRows {
          let row = r0 &+ (r < high ? r : high &- 1)
          tiles.a[r] = a + (row &* lda &+ k0)
          tiles.c[r] = c + (row &* n &+ c0)
          r &+= 1
        }
        placeRowsTile(
          high, wide, tiles.a, 1, length, panel, tiles.c, k0 > 0, tiles.edge, tiles.edgeRows)
        r0 &+= tileRows
      }
      c0 &+= tileColumns
    }
    k0 &+= length
  }
}

/// A block with A transposed: rows of C are contiguous in A.
private func columnsBlock(
  _ p: UnsafePointer<MatmulArguments>, _ a: Source, _ b: Source, _ c: Target, _ rows: Int,
  _ columns: Int, _ tiles: TileScratch
) {
  let k = p.pointee.k
  let n = p.pointee.n
  let lda = p.pointee.lda
  let piece = reductionPiece(k)
  var k0 = 0
  while k0 < k {
    let length = k &- k0 < piece ? k &- k0 : piece
    var c0 = 0
    while c0 < columns {
      let wide = columns &- c0 < tileColumns ? columns &- c0 : tileColumns
      tiles.a[0] = a + k0 &* lda
      tiles.a[1] = b + (c0 &* k &+ k0 &* tileColumns)
      placeColumns(
        tiles.a, tiles.a + 1, 1, length, lda, tileColumns, c + c0, n, rows, wide, k0 > 0, tiles)
      c0 &+= tileColumns
    }
    k0 &+= length
  }
}

/// C[r, :] (+)= Σ over segments, k of a[s][k·lda + r] · b[s][k·ldb, :] for r < rows and one panel
/// of columns: full tiles, then fours.
func placeColumns(
  _ a: Rows, _ b: Rows, _ segments: Int, _ length: Int, _ lda: Int, _ ldb: Int, _ c: Target,
  _ ldc: Int, _ rows: Int, _ columns: Int, _ accumulate: Bool, _ tiles: TileScratch
) {
  var r0 = 0
  while r0 < rows {
    let full = rows &- r0 >= tileRows
    let high = full ? tileRows : (rows &- r0 < 4 ? rows &- r0 : 4)
    var r = 0
    while r < tileRows {
      tiles.c[r] = c + (r0 &+ (r < high ? r : high &- 1)) &* ldc
      r &+= 1
    }
    let direct = columns == tileColumns && (full || high == 4)
    var target = UnsafePointer(tiles.c)
    if !direct {
      prepareEdge(high, columns, tiles.c, accumulate, tiles.edge, tiles.edgeRows)
      target = UnsafePointer(tiles.edgeRows)
    }
    if full {
      columnsTile(a, b, segments, r0, length, lda, ldb, target, accumulate)
    } else {
      columnsTile4(a, b, segments, r0, high, length, lda, ldb, target, accumulate)
    }
    if !direct { finishEdge(high, columns, tiles.c, tiles.edge, tiles.edgeRows) }
    r0 &+= high
  }
}
