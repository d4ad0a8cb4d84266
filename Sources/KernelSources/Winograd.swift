// Convolutions in Winograd's form, forward and input gradient. A task takes a block of tiles through all three steps
// while it stays in the second-level cache: the tiles' transform V [point][tile][channel]; for each panel of result
// channels the products M [point][tile][panel] with the packed filters; their transform back into the target; then
// the epilogue.

import KernelTable

/// target = source ∗ W. WinogradArguments.
func winogradConvolutionKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: WinogradArguments.self)
  let unit = GemmUnit(rows: tileRows, columns: tileColumns)
  let blocks = p.pointee.blocks(unit)
  let end = shareStart(blocks.tasks, index &+ 1, count)
  var task = shareStart(blocks.tasks, index, count)
  guard task < end, let scratch else { return }
  let tiles = tileScratch(scratch)
  let memory = winogradScratch(
    p, scratch + tileScratchBytes, blocks.tiles &+ tileRows, p.pointee.depth, tileColumns)
  var run: RegionRun?
  if let epilogue = p.pointee.epilogue {
    run = prepareRegion(epilogue, scratch + p.pointee.ownScratchBytes(unit))
    run!.asksAhead = asksAhead(epilogue)
  }
  let rowsOfTiles = p.pointee.tileRows
  let rowFloats = p.pointee.target.width &* p.pointee.target.channels
  let height = p.pointee.target.height
  while task < end {
    let n0 = task / blocks.perImage &* blocks.images
    let images = p.pointee.batch &- n0 < blocks.images ? p.pointee.batch &- n0 : blocks.images
    let t0 = task % blocks.perImage &* blocks.tileRows
    let high = rowsOfTiles &- t0 < blocks.tileRows ? rowsOfTiles &- t0 : blocks.tileRows
    let first = (n0 &* rowsOfTiles &+ t0) &* p.pointee.tileColumns
    let tileCount = images &* high &* p.pointee.tileColumns
    transformSource(
      p, first, tileCount, 0, p.pointee.source.step &* p.pointee.source.step, memory)
    multiplyPanels(p, first, tileCount, tiles, memory)
    if let run {
      let scale = p.pointee.target.step &* p.pointee.tile
      let r0 = t0 &* scale
      let r1 = (t0 &+ high) &* scale < height ? (t0 &+ high) &* scale : height
      runRegion(run, (n0 &* height &+ r0) &* rowFloats, images &* (r1 &- r0) &* rowFloats)
    }
    task &+= 1
  }
}

/// Lays out a share's scratch for `tiles` tiles of `depth` channels, with `columns` results each.
func winogradScratch(
  _ p: UnsafePointer<WinogradArguments>, _ at: UnsafeMutableRawPointer, _ tiles: Int,
  _ depth: Int, _ columns: Int
) -> WinogradScratch {
  let floats = (at + 8192).assumingMemoryBound(to: Float.self)
  let channels =
    p.pointee.source.channels > p.pointee.target.channels
    ? p.pointee.source.channels : p.pointee.target.channels
  let transformed = floats + (channels &+ 15) & ~15
  let depthStride = tiles &* depth &+ 16
  fillElements(0, floats, channels)
  return WinogradScratch(
    pixels: at.assumingMemoryBound(to: Source.self),
    spare: (at + 4096).assumingMemoryBound(to: Float.self), zeros: floats,
    transformed: transformed, transformedStride: depthStride,
    products: transformed + p.pointee.pointCount &* depthStride,
    productStride: tiles &* columns &+ 16)
}

/// V of `count` tiles of the batch from tile `first` on, of some groups of the source.
func transformSource(
  _ p: UnsafePointer<WinogradArguments>, _ first: Int, _ count: Int, _ firstGroup: Int,
  _ groups: Int, _ memory: WinogradScratch
) {
  switch p.pointee.points {
  case 6: transformTiles(p, 6, first, count, firstGroup, groups, memory)
  case 7: transformTiles(p, 7, first, count, firstGroup, groups, memory)
  default: transformTiles(p, 8, first, count, firstGroup, groups, memory)
  }
}

/// `points` is p.points as a constant.
@inline(__always) private func transformTiles(
  _ p: UnsafePointer<WinogradArguments>, _ points: Int, _ first: Int, _ count: Int,
  _ firstGroup: Int, _ groups: Int, _ memory: WinogradScratch
) {
  let perRow = p.pointee.tileColumns
  let perImage = p.pointee.tileRows &* perRow
  let m = p.pointee.tile
  let step = p.pointee.source.step
  let channels = p.pointee.source.channels
  let depth = groups &* channels
  var t = 0
  while t < count {
    let n = (first &+ t) / perImage
    let inImage = first &+ t &- n &* perImage
    let row = inImage / perRow
    let column = inImage &- row &* perRow
    let i = row &* m &- p.pointee.top
    let j = column &* m &- p.pointee.left
    var stream = streamBeside(
      p.pointee.source, n, row, p.pointee.tileRows, column, perRow,
      (points &- p.pointee.top) &* step, m &* step, depth / width &* points)
    var at = 0
    while at < groups {
      let group = firstGroup &+ at
      pointPixels(p, points, n, i, j, group / step, group % step, memory)
      transformPixels(
        points, channels, &stream, memory,
        memory.transformed + (t &* depth &+ at &* channels))
      at &+= 1
    }
    t &+= 1
  }
}

/// The pixels of a tile of one group, from virtual pixel (i, j) on; zeros outside the image.
@inline(__always) private func pointPixels(
  _ p: UnsafePointer<WinogradArguments>, _ points: Int, _ n: Int, _ i: Int, _ j: Int, _ a: Int,
  _ b: Int, _ memory: WinogradScratch
) {
  let height = p.pointee.source.height
  let across = p.pointee.source.width
  let channels = p.pointee.source.channels
  let step = p.pointee.source.step
  let image = UnsafePointer(p.pointee.source.pixels!) + n &* height &* across &* channels
  var r = 0
  while r < points {
    let row = step &* (i &+ r) &+ a
    var c = 0
    while c < points {
      let column = step &* (j &+ c) &+ b
      let inside =
        UInt(bitPattern: row) < UInt(bitPattern: height)
        && UInt(bitPattern: column) < UInt(bitPattern: across)
      memory.pixels[r &* points &+ c] =
        inside ? image + (row &* across &+ column) &* channels : UnsafePointer(memory.zeros)
      c &+= 1
    }
    r &+= 1
  }
}

/// Bᵀ d B for all channels of one tile; point (i, j) goes to `to` + point·stride.
@inline(__always) private func transformPixels(
  _ points: Int, _ channels: Int, _ stream: inout Stream, _ memory: WinogradScratch, _ to: Target
) {
  let stride = memory.transformedStride
  let pixels = memory.pixels
  let spare = memory.spare
  var c = 0
  while c < channels {
    var j = 0
    while j < points {
      ask(&stream)
      let d = loadPixels(points, pixels + j, points, c)
      storeLine(points, inputTransform(points, d), spare + j &* width, points &* width)
      j &+= 1
    }
    var i = 0
    while i < points {
      let d = loadLine(points, spare + i &* points &* width, width)
      storeLine(points, inputTransform(points, d), to + (i &* points &* stride &+ c), stride)
      i &+= 1
    }
    c &+= width
  }
}

/// For each panel: the products, and their transform into the target.
private func multiplyPanels(
  _ p: UnsafePointer<WinogradArguments>, _ first: Int, _ count: Int, _ tiles: TileScratch,
  _ memory: WinogradScratch
) {
  let columns = p.pointee.width
  let depth = p.pointee.depth
  let packedStride = p.pointee.packedStride(GemmUnit(rows: tileRows, columns: tileColumns))
  var panel = 0
  while panel &* tileColumns < columns {
    multiplyPanel(p, panel, depth, count, packedStride, tiles, memory)
    switch (p.pointee.points, p.pointee.tile) {
    case (6, 2): placePanel(p, 6, 2, first, count, panel, memory)
    case (6, 3): placePanel(p, 6, 3, first, count, panel, memory)
    case (6, 4): placePanel(p, 6, 4, first, count, panel, memory)
    case (6, _): placePanel(p, 6, 5, first, count, panel, memory)
    case (7, 3): placePanel(p, 7, 3, first, count, panel, memory)
    case (7, 4): placePanel(p, 7, 4, first, count, panel, memory)
    case (7, 5): placePanel(p, 7, 5, first, count, panel, memory)
    case (7, _): placePanel(p, 7, 6, first, count, panel, memory)
    case (_, 4): placePanel(p, 8, 4, first, count, panel, memory)
    case (_, 5): placePanel(p, 8, 5, first, count, panel, memory)
    default: placePanel(p, 8, 6, first, count, panel, memory)
    }
    panel &+= 1
  }
}

/// The products of one panel at all points.
func multiplyPanel(
  _ p: UnsafePointer<WinogradArguments>, _ panel: Int, _ depth: Int, _ count: Int,
  _ packedStride: Int, _ tiles: TileScratch, _ memory: WinogradScratch
) {
  var point = 0
  let points = p.pointee.pointCount
  while point < points {
    let packed = p.pointee.packed! + (point &* packedStride &+ panel &* depth &* tileColumns)
    multiplyPoint(
      memory.transformed + point &* memory.transformedStride, depth, count, packed,
      memory.products + point &* memory.productStride, packed + packedStride, tiles)
    point &+= 1
  }
}

/// M[t, :] = Σₖ V[t, k] · packed[k, :] for one point and panel. Rows beyond `count` up to a whole register tile are
/// computed of whatever is there, and not used. Meanwhile the filters of the next point are asked for.
@inline(__always) private func multiplyPoint(
  _ v: Target, _ depth: Int, _ count: Int, _ packed: Target, _ m: Target, _ next: Target,
  _ tiles: TileScratch
) {
  let piece = reductionPiece(depth)
  var ahead = next
  var k = 0
  while k < depth {
    let length = depth &- k < piece ? depth &- k : piece
    var r0 = 0
    while r0 < count {
      var r = 0
      while r < tileRows {
        tiles.a[r] = UnsafePointer(v + ((r0 &+ r) &* depth &+ k))
        tiles.c[r] = m + (r0 &+ r) &* tileColumns
        r &+= 1
      }
      let panel = packed + k &* tileColumns
      #if WIDTH16
        if count &- r0 > 8 {
          rowsTile12Ahead(tiles.a, length, panel, tiles.c, k > 0, ahead, width)
          ahead += length &* width
        } else {
          rowsTile(count &- r0, tiles.a, 1, length, panel, tiles.c, k > 0)
        }
      #else
        rowsTile(count &- r0, tiles.a, 1, length, panel, tiles.c, k > 0)
      #endif
      r0 &+= tileRows
    }
    k &+= length
  }
}

/// Aᵀ m A of one panel's products, into the target. `points` and `m` are p.points and p.tile as constants.
@inline(__always) private func placePanel(
  _ p: UnsafePointer<WinogradArguments>, _ points: Int, _ m: Int, _ first: Int, _ count: Int,
  _ panel: Int, _ memory: WinogradScratch
) {
  let perRow = p.pointee.tileColumns
  let perImage = p.pointee.tileRows &* perRow
  let channels = p.pointee.target.channels
  let columns = p.pointee.width
  let step = p.pointee.target.step
  let height = p.pointee.target.height
  let across = p.pointee.target.width
  var lane = 0
  while lane < tileColumns && panel &* tileColumns &+ lane < columns {
    let n = panel &* tileColumns &+ lane
    let group = n / channels
    let a = group / step
    let b = group &- a &* step
    let base = p.pointee.target.pixels! + (n &- group &* channels)
    var t = 0
    while t < count {
      let image = (first &+ t) / perImage
      let inImage = first &+ t &- image &* perImage
      let row = inImage / perRow &* m &* step &+ a
      let column = inImage % perRow &* m &* step &+ b
      let from = memory.products + (t &* tileColumns &+ lane)
      outputColumns(points, m, from, memory.productStride, memory.spare)
      outputRows(
        points, m, memory.spare, base + image &* height &* across &* channels, row, column, step,
        height,
        across, channels)
      t &+= 1
    }
    lane &+= width
  }
}

/// spare[i][j] = output i of column j of the points.
@inline(__always) private func outputColumns(
  _ points: Int, _ m: Int, _ from: Target, _ stride: Int, _ spare: Target
) {
  var j = 0
  while j < points {
    let y = outputTransform(points, m, loadLine(points, from + j &* stride, points &* stride))
    storeLine(m, y, spare + j &* width, points &* width)
    j &+= 1
  }
}

/// The outputs of one tile, those inside the image: virtual pixel (i, j) of the tile is real pixel (row + step·i,
/// column + step·j).
@inline(__always) private func outputRows(
  _ points: Int, _ m: Int, _ spare: Target, _ image: Target, _ row: Int, _ column: Int,
  _ step: Int, _ height: Int, _ across: Int, _ channels: Int
) {
  let apart = step &* channels
  var i = 0
  while i < m {
    let r = row &+ step &* i
    if r >= height { return }
    let y = outputTransform(points, m, loadLine(points, spare + i &* points &* width, width))
    let to = image + (r &* across &+ column) &* channels
    // Columns of the tile inside the image.
    let inside = (across &- column &+ step &- 1) / step
    if inside > 0 { store(y.0, to) }
    if inside > 1 { store(y.1, to + apart) }
    if m > 2 && inside > 2 { store(y.2, to + 2 &* apart) }
    if m > 3 && inside > 3 { store(y.3, to + 3 &* apart) }
    if m > 4 && inside > 4 { store(y.4, to + 4 &* apart) }
    if m > 5 && inside > 5 { store(y.5, to + 5 &* apart) }
    i &+= 1
  }
}
