// The input gradient as the adjoint of the convolution's three steps: dy's tiles to n² points by the output
// transform's adjoint, products with the packed filters, and back to n×n pixels by the input transform's adjoint;
// tiles overlap, so that their pixels are added. It takes the tiles of dy, which an unpadded convolution has fewer of
// than the image. A task takes whole images, and adds a panel of channels of one image in its scratch, tile by tile
// in order.

import KernelTable

/// target (dx) = adjoint of the convolution of source (dy). WinogradArguments; tiles divide the source.
func winogradAdjointKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: WinogradArguments.self)
  let unit = GemmUnit(rows: tileRows, columns: tileColumns)
  let images = p.pointee.adjointImages()
  let tasks = (p.pointee.batch &+ images &- 1) / images
  let end = shareStart(tasks, index &+ 1, count)
  var task = shareStart(tasks, index, count)
  guard task < end, let scratch else { return }
  let tiles = tileScratch(scratch)
  let perImage = p.pointee.tileRows &* p.pointee.tileColumns
  let memory = winogradScratch(
    p, scratch + tileScratchBytes, images &* perImage &+ tileRows, p.pointee.depth, tileColumns)
  let sums = memory.products + p.pointee.pointCount &* memory.productStride
  var run: RegionRun?
  if let epilogue = p.pointee.epilogue {
    run = prepareRegion(epilogue, scratch + p.pointee.ownAdjointScratchBytes(unit))
    run!.asksAhead = asksAhead(epilogue)
  }
  let imageFloats = p.pointee.target.height &* p.pointee.target.width &* p.pointee.target.channels
  while task < end {
    let n0 = task &* images
    let here = p.pointee.batch &- n0 < images ? p.pointee.batch &- n0 : images
    transformOutputs(
      p, p.pointee.source, n0 &* perImage, here &* perImage, 0, p.pointee.depth,
      memory.transformed, memory.transformedStride, memory)
    scatterPanels(p, n0, here, perImage, tiles, memory, sums)
    if let run { runRegion(run, n0 &* imageFloats, here &* imageFloats) }
    task &+= 1
  }
}

/// For each panel: the products, and for each image the sum of their transforms.
private func scatterPanels(
  _ p: UnsafePointer<WinogradArguments>, _ n0: Int, _ images: Int, _ perImage: Int,
  _ tiles: TileScratch, _ memory: WinogradScratch, _ sums: Target
) {
  let columns = p.pointee.width
  let depth = p.pointee.depth
  let packedStride = p.pointee.packedStride(GemmUnit(rows: tileRows, columns: tileColumns))
  var panel = 0
  while panel &* tileColumns < columns {
    multiplyPanel(p, panel, depth, images &* perImage, packedStride, tiles, memory)
    var lane = 0
    while lane < tileColumns && panel &* tileColumns &+ lane < columns {
      var n = 0
      while n < images {
        let from = memory.products + (n &* perImage &* tileColumns &+ lane)
        switch p.pointee.points {
        case 6: addTiles(p, 6, from, memory, sums)
        case 7: addTiles(p, 7, from, memory, sums)
        default: addTiles(p, 8, from, memory, sums)
        }
        placeSums(p, n0 &+ n, panel &* tileColumns &+ lane, sums)
        n &+= 1
      }
      lane &+= width
    }
    panel &+= 1
  }
}

/// sums[i][j] = the pixels of one image, one vector of channels each, from virtual pixel (−top, −left) on. `points` is
/// p.points as a constant.
@inline(__always) private func addTiles(
  _ p: UnsafePointer<WinogradArguments>, _ points: Int, _ from: Target, _ memory: WinogradScratch,
  _ sums: Target
) {
  let m = p.pointee.tile
  let across = p.pointee.adjointColumns
  fillElements(0, sums, p.pointee.adjointRows &* across &* width)
  let spare = memory.spare
  let stride = memory.productStride
  let high = p.pointee.tileRows
  let wide = p.pointee.tileColumns
  var at = from
  var row = 0
  while row < high {
    var column = 0
    while column < wide {
      var j = 0
      while j < points {
        let v = loadLine(points, at + j &* stride, points &* stride)
        storeLine(points, inputAdjoint(points, v), spare + j &* width, points &* width)
        j &+= 1
      }
      var to = sums + (row &* m &* across &+ column &* m) &* width
      var i = 0
      while i < points {
        let d = inputAdjoint(points, loadLine(points, spare + i &* points &* width, width))
        let s = loadLine(points, to, width)
        let sum = (
          s.0 + d.0, s.1 + d.1, s.2 + d.2, s.3 + d.3, s.4 + d.4, s.5 + d.5, s.6 + d.6, s.7 + d.7
        )
        storeLine(points, sum, to, width)
        to += across &* width
        i &+= 1
      }
      at += tileColumns
      column &+= 1
    }
    row &+= 1
  }
}

/// Writes the pixels of one vector of channels to the image; those that no tile reached are zero.
@inline(__always) private func placeSums(
  _ p: UnsafePointer<WinogradArguments>, _ n: Int, _ channel: Int, _ sums: Target
) {
  let target = p.pointee.target
  let group = channel / target.channels
  let a = group / target.step
  let b = group &- a &* target.step
  let rows = p.pointee.adjointRows
  let across = p.pointee.adjointColumns
  let image =
    target.pixels! + n &* target.height &* target.width &* target.channels
    + (channel &- group &* target.channels)
  var i = 0
  while i &* target.step &+ a < target.height {
    let line = image + (i &* target.step &+ a) &* target.width &* target.channels
    let row = i &+ p.pointee.top
    var j = 0
    while j &* target.step &+ b < target.width {
      let column = j &+ p.pointee.left
      let inside = row < rows && column < across
      store(
        inside ? load(sums + (row &* across &+ column) &* width) : splat(0),
        line + (j &* target.step &+ b) &* target.channels)
      j &+= 1
    }
    i &+= 1
  }
}
