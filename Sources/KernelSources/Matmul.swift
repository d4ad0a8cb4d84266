// The matrix product: blocks of C as tasks, register tiles inside, the epilogue over each finished
// block.

import KernelTable

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

/// C[r, c] = Σₖ op(A)[r, k] · op(B)[k, c], then the epilogue. MatmulArguments.
func matmulKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: MatmulArguments.self)
  let m = p.pointee.m
  let n = p.pointee.n
  let unit = GemmUnit(rows: tileRows, columns: tileColumns)
  let blocks = p.pointee.blocks(unit)
  let perBatch = blocks.rowBlocks &* blocks.columnBlocks
  let tasks = p.pointee.batches &* perBatch
  let end = shareStart(tasks, index &+ 1, count)
  var task = shareStart(tasks, index, count)
  guard task < end, let scratch else { return }
  let memory = p.pointee.memory(unit)
  let own = scratch + tileScratchBytes
  let made = (own + memory.block).assumingMemoryBound(to: Float.self)
  var run: RegionRun?
  var ahead: TileAhead?
  var touched: EpilogueRows?
  if let epilogue = p.pointee.epilogue {
    run = prepareRegion(epilogue, own + memory.bytes)
    // The columns form asks for what an update reads, the others for all that is touched.
    if readsColumns(p) {
      ahead = readByEpilogue(epilogue, n)
    } else {
      touched = touchedByEpilogue(epilogue, n, scratch)
    }
  }
  while task < end {
    let batch = task / perBatch
    let inBatch = task &- batch &* perBatch
    var rowBlock = inBatch / blocks.columnBlocks
    var columnBlock = inBatch &- rowBlock &* blocks.columnBlocks
    if case .direct = p.pointee.form {
      // Blocks of rows one after the other, while a block's columns of B are in cache.
      columnBlock = inBatch / blocks.rowBlocks
      rowBlock = inBatch &- columnBlock &* blocks.rowBlocks
    }
    let r0 = rowBlock &* blocks.rows
    let c0 = columnBlock &* blocks.columns
    let rows = m &- r0 < blocks.rows ? m &- r0 : blocks.rows
    let columns = n &- c0 < blocks.columns ? n &- c0 : blocks.columns
    let first = (batch &* m &+ r0) &* n &+ c0
    if var run {
      let ahead = ahead.map { ($0.0 + first, $0.1 + first, $0.2 + first, $0.3) }
      touched?.first = first
      matmulBlock(p, batch, r0, c0, rows, columns, made, columns, ahead, touched, scratch)
      runEpilogue(&run, first, rows, columns, blocks.columns, n, made)
    } else if let c = p.pointee.c {
      matmulBlock(p, batch, r0, c0, rows, columns, c + first, n, nil, nil, scratch)
    }
    task &+= 1
  }
}

/// Whether blocks are made by the columns form.
@inline(__always) private func readsColumns(_ p: UnsafePointer<MatmulArguments>) -> Bool {
  if case .swapped = p.pointee.form { return false }
  return p.pointee.transposedA
}

/// One block of the product: c[r·ldc + j] = C[r0 + r, c0 + j] for r < rows, j < columns.
private func matmulBlock(
  _ p: UnsafePointer<MatmulArguments>, _ batch: Int, _ r0: Int, _ c0: Int, _ rows: Int,
  _ columns: Int, _ c: Target, _ ldc: Int, _ ahead: TileAhead?, _ touched: EpilogueRows?,
  _ scratch: UnsafeMutableRawPointer
) {
  let k = p.pointee.k
  let lda = p.pointee.lda
  let ldb = p.pointee.ldb
  let tiles = tileScratch(scratch)
  let buffer = (scratch + tileScratchBytes).assumingMemoryBound(to: Float.self)
  if k == 0 {
    zeroBlock(c, ldc, rows, columns)
    return
  }
  switch p.pointee.form {
  case .packed:
    let a = p.pointee.a! + batch &* p.pointee.batchStrideA
    let b = p.pointee.packed! + batch &* p.pointee.batchStridePacked
    if p.pointee.n < 8 {
      if p.pointee.transposedA {
        narrowColumns(p, a + r0, b, c, rows)
      } else {
        narrowRows(a + r0 &* lda, lda, b, c, ldc, rows, k, columns)
      }
    } else if p.pointee.transposedA {
      columnsBlock(
        a + r0, lda, k, b + c0 &* k, 0, true, c, ldc, rows, columns, ahead, tiles, buffer)
    } else {
      rowsBlock(
        a + r0 &* lda, lda, k, b + c0 &* k, 0, true, c, ldc, rows, columns, touched, tiles, buffer)
    }
  case .direct:
    let a = p.pointee.a! + batch &* p.pointee.batchStrideA
    let b = p.pointee.b! + (batch &* p.pointee.batchStrideB &+ c0)
    if p.pointee.transposedA {
      columnsBlock(a + r0, lda, k, b, ldb, false, c, ldc, rows, columns, ahead, tiles, buffer)
    } else {
      rowsBlock(
        a + r0 &* lda, lda, k, b, ldb, false, c, ldc, rows, columns, touched, tiles, buffer)
    }
  case .swapped:
    // Blocks of rows begin at panels.
    let a = p.pointee.packed! + (batch &* p.pointee.batchStridePacked &+ r0 &* k)
    let b = p.pointee.b! + (batch &* p.pointee.batchStrideB &+ c0 &* ldb)
    swappedBlock(a, k, b, ldb, c, ldc, rows, columns, touched, tiles, buffer)
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

/// Where a piece of a panel comes from: b as stored, or nil where it is packed; its rows are `stride` apart. Then what will be
/// read after it.
private typealias PanelSource = (b: Source?, stride: Int, ahead: Target)

/// One panel of a block with A as stored, over a piece of the reduction: a tile after the other. Where the panel is not
/// packed yet, the first tile packs it. The first two ask for the next one, a line of its rows each.
@inline(__always) private func rowsPanel(
  _ a: Source, _ lda: Int, _ length: Int, _ panel: Target, _ c: Target, _ ldc: Int, _ rows: Int,
  _ columns: Int, _ accumulate: Bool, _ tiles: TileScratch, _ source: PanelSource,
  _ touched: EpilogueRows?
) {
  var r0 = 0
  if let b = source.b, !tilePacks(rows, columns) {
    packPanel(b, source.stride, 1, length, columns, panel)
  }
  while r0 < rows {
    let high = rows &- r0 < tileRows ? rows &- r0 : tileRows
    var r = 0
    while r < tileRows {
      let row = r0 &+ (r < high ? r : high &- 1)
      tiles.a[r] = a + row &* lda
      tiles.c[r] = c + row &* ldc
      r &+= 1
    }
    if let touched { ask(touched, r0, high, columns) }
    #if WIDTH16
      if r0 < 2 &* tileRows, high == tileRows, columns == tileColumns {
        if r0 == 0, let b = source.b {
          rowsTile12Packing(
            tiles.a, length, b, source.stride, panel, tiles.c, accumulate, source.ahead)
        } else {
          rowsTile12Ahead(
            tiles.a, length, panel, tiles.c, accumulate,
            r0 == 0 ? source.ahead : source.ahead + width, source.stride)
        }
        r0 &+= tileRows
        continue
      }
      if high == tileRows && columns == width {
        rowsTile12Narrow(tiles.a, length, panel, tiles.c, accumulate)
        r0 &+= tileRows
        continue
      }
    #endif
    placeRowsTile(
      high, columns, tiles.a, 1, length, panel, tiles.c, accumulate, tiles.edge, tiles.edgeRows)
    r0 &+= tileRows
  }
}

/// Whether the first tile of a panel can pack it.
@inline(__always) private func tilePacks(_ rows: Int, _ columns: Int) -> Bool {
  #if WIDTH16
    return rows >= tileRows && columns == tileColumns
  #else
    return false
  #endif
}

/// A block with A as stored. Order: piece of k, panel, tile of rows. Where B is not packed, each piece
/// of a panel is packed on the spot, for the tiles of rows read it several times, and rows of B a
/// power of two apart would compete for one cache set.
private func rowsBlock(
  _ a: Source, _ lda: Int, _ k: Int, _ b: Source, _ ldb: Int, _ isPacked: Bool, _ c: Target,
  _ ldc: Int, _ rows: Int, _ columns: Int, _ touched: EpilogueRows?, _ tiles: TileScratch,
  _ buffer: Target
) {
  let piece = reductionPiece(k)
  var touched = touched
  let first = touched?.first ?? 0
  touched?.times = (k &+ piece &- 1) / piece
  var k0 = 0
  while k0 < k {
    let length = k &- k0 < piece ? k &- k0 : piece
    var c0 = 0
    while c0 < columns {
      let wide = columns &- c0 < tileColumns ? columns &- c0 : tileColumns
      // The next piece; at the end the next panel, most likely of this thread.
      let inPanel = k0 &+ length < k
      var panel = UnsafeMutablePointer(mutating: b + (c0 &* k &+ k0 &* tileColumns))
      var source: PanelSource
      if isPacked {
        let next = columns <= tileColumns ? length : k
        source = (nil, tileColumns, panel + next &* tileColumns)
      } else {
        panel = buffer
        let next = inPanel ? (k0 &+ length) &* ldb &+ c0 : c0 &+ tileColumns
        source = (b + (k0 &* ldb &+ c0), ldb, UnsafeMutablePointer(mutating: b + next))
      }
      touched?.first = first &+ c0
      rowsPanel(
        a + k0, lda, length, panel, c + c0, ldc, rows, wide, k0 > 0, tiles, source, touched)
      c0 &+= tileColumns
    }
    touched?.time &+= 1
    k0 &+= length
  }
}

/// A block with A transposed, rows of C contiguous in A. Where B is not packed, only a ragged last
/// panel of it is, because vectors would reach beyond B.
private func columnsBlock(
  _ a: Source, _ lda: Int, _ k: Int, _ b: Source, _ ldb: Int, _ isPacked: Bool, _ c: Target,
  _ ldc: Int, _ rows: Int, _ columns: Int, _ ahead: TileAhead?, _ tiles: TileScratch,
  _ buffer: Target
) {
  let piece = reductionPiece(k)
  var k0 = 0
  while k0 < k {
    let length = k &- k0 < piece ? k &- k0 : piece
    var c0 = 0
    while c0 < columns {
      let wide = columns &- c0 < tileColumns ? columns &- c0 : tileColumns
      var panel = b + (c0 &* k &+ k0 &* tileColumns)
      var stride = tileColumns
      if !isPacked {
        panel = b + (k0 &* ldb &+ c0)
        stride = ldb
        if wide < tileColumns {
          packPanel(panel, ldb, 1, length, wide, buffer)
          panel = UnsafePointer(buffer)
          stride = tileColumns
        }
      }
      tiles.a[0] = a + k0 &* lda
      tiles.a[1] = panel
      placeColumns(
        tiles.a, tiles.a + 1, 1, length, lda, stride, c + c0, ldc, rows, wide, k0 > 0, tiles,
        ahead: k0 > 0 ? nil : ahead.map { ($0.0 + c0, $0.1 + c0, $0.2 + c0, $0.3) })
      c0 &+= tileColumns
    }
    k0 &+= length
  }
}

/// A block whose B is stored transposed, A packed by panels of rows of C: Cᵀ = B · Aᵀ by the rows
/// form, then transposed. Its tiles are always whole: A's panels are padded, and the rows that are
/// missing at the end of B are repeated into spare rows of Cᵀ.
private func swappedBlock(
  _ a: Source, _ k: Int, _ b: Source, _ ldb: Int, _ c: Target, _ ldc: Int, _ rows: Int,
  _ columns: Int, _ touched: EpilogueRows?, _ tiles: TileScratch, _ transposed: Target
) {
  let wide = (rows &+ tileColumns &- 1) / tileColumns &* tileColumns
  let piece = reductionPiece(k)
  var touched = touched
  touched?.times = (k &+ piece &- 1) / piece
  // Each tile across the block asks for its share of the panel's rows of C.
  let across = (columns &+ tileRows &- 1) / tileRows
  let share = (tileColumns &+ across &- 1) / across
  var k0 = 0
  while k0 < k {
    let length = k &- k0 < piece ? k &- k0 : piece
    var r0 = 0
    while r0 < wide {
      let panel = a + (r0 &* k &+ k0 &* tileColumns)
      var c0 = 0
      while c0 < columns {
        var r = 0
        while r < tileRows {
          let row = c0 &+ r < columns ? c0 &+ r : columns &- 1
          tiles.a[r] = b + (row &* ldb &+ k0)
          tiles.c[r] = transposed + ((c0 &+ r) &* wide &+ r0)
          r &+= 1
        }
        if let touched {
          let from = r0 &+ c0 / tileRows &* share
          let end = from &+ share < rows ? from &+ share : rows
          ask(touched, from, end &- from, columns)
        }
        rowsTile(tileRows, tiles.a, 1, length, panel, tiles.c, k0 > 0)
        c0 &+= tileRows
      }
      r0 &+= tileColumns
    }
    touched?.time &+= 1
    k0 &+= length
  }
  transposeBlock(transposed, wide, c, ldc, columns, rows)
}

/// C[r, :] (+)= Σ over segments, k of a[s][k·lda + r] · b[s][k·ldb, :] for r < rows and one panel
/// of columns: full tiles, then fours. Meanwhile memory is asked for that will be read soon: for each row two lines from
/// `stream` on, or, with one segment, what lies `ahead` at the tile's place.
func placeColumns(
  _ a: Rows, _ b: Rows, _ segments: Int, _ length: Int, _ lda: Int, _ ldb: Int, _ c: Target,
  _ ldc: Int, _ rows: Int, _ columns: Int, _ accumulate: Bool, _ tiles: TileScratch,
  stream: Target? = nil, ahead: TileAhead? = nil
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
    if full, let ahead {
      let at = r0 &* ahead.3
      columnsTileAhead(
        a[0] + r0, b[0], length, lda, ldb, target, accumulate,
        (ahead.0 + at, ahead.1 + at, ahead.2 + at, ahead.3))
    } else if full {
      columnsTile(
        a, b, segments, r0, length, lda, ldb, target, accumulate, c + (r0 &+ tileRows) &* ldc, ldc,
        (stream ?? c) + r0 &* 32)
    } else {
      columnsTile4(a, b, segments, r0, high, length, lda, ldb, target, accumulate)
    }
    if !direct { finishEdge(high, columns, tiles.c, tiles.edge, tiles.edgeRows) }
    r0 &+= high
  }
}
