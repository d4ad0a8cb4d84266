// The filter gradient in Winograd's form: at each of the n² points, the product of the image's transform with that of
// dy, reduced over tiles. Tasks are splits of the batch by blocks of dw; each sums its tiles in order in
// its own part of `partial`. The combining kernel adds the splits in order and transforms back to real taps.

import KernelTable

/// partial[split][point][c][o] = Σ over the split's tiles of V · D. WinogradArguments.
func winogradFilterGradientKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: WinogradArguments.self)
  let tasks = p.pointee.gradientTasks
  let end = shareStart(tasks, index &+ 1, count)
  var task = shareStart(tasks, index, count)
  guard task < end, let scratch else { return }
  let tiles = tileScratch(scratch)
  let blockColumns = p.pointee.gradientColumns
  let chunk = p.pointee.gradientTiles
  let memory = winogradScratch(
    p, scratch + tileScratchBytes, chunk, p.pointee.gradientDepth, blockColumns)
  let perImage = p.pointee.tileRows &* p.pointee.tileColumns
  let depth = p.pointee.gradientDepth
  let groups = p.pointee.gradientGroups
  let rowBlocks = p.pointee.gradientRowBlocks
  let blocks = rowBlocks &* p.pointee.gradientColumnBlocks
  let splits = p.pointee.gradientSplits
  while task < end {
    let split = task / blocks
    let block = task &- split &* blocks
    let rowBlock = block % rowBlocks
    let c0 = block / rowBlocks &* blockColumns
    let columns =
      p.pointee.width &- c0 < blockColumns ? p.pointee.width &- c0 : blockColumns
    let sums =
      p.pointee.partial!
      + (split &* p.pointee.pointCount &* p.pointee.partialStride
        &+ rowBlock &* depth &* p.pointee.width &+ c0)
    let firstTile = shareStart(p.pointee.batch, split, splits) &* perImage
    let endTile = shareStart(p.pointee.batch, split &+ 1, splits) &* perImage
    var first = firstTile
    while first < endTile {
      let length = endTile &- first < chunk ? endTile &- first : chunk
      transformSource(p, first, length, rowBlock &* groups, groups, memory)
      transformOutputs(
        p, p.pointee.target, first, length, c0, columns, memory.products, memory.productStride,
        memory)
      multiplyPoints(p, length, depth, columns, sums, first > firstTile, tiles, memory)
      first &+= length
    }
    task &+= 1
  }
}

/// sums[point][c][:] (+)= Σ over tiles of V[c] · D[:].
@inline(__always) private func multiplyPoints(
  _ p: UnsafePointer<WinogradArguments>, _ count: Int, _ depth: Int, _ columns: Int,
  _ sums: Target, _ accumulate: Bool, _ tiles: TileScratch, _ memory: WinogradScratch
) {
  let partialStride = p.pointee.partialStride
  let points = p.pointee.pointCount
  var point = 0
  while point < points {
    tiles.a[0] = UnsafePointer(memory.transformed + point &* memory.transformedStride)
    let next = point &+ 1 < points ? point &+ 1 : 0
    let nextSource = memory.transformed + next &* memory.transformedStride
    let nextOutputs = memory.products + next &* memory.productStride
    var c = 0
    while c < columns {
      let wide = columns &- c < tileColumns ? columns &- c : tileColumns
      // The panels share what the next point reads: first the source's transform, then that of dy.
      let part = c &* 2 < columns ? c &* 2 : c &* 2 &- columns
      let stream = (c &* 2 < columns ? nextSource : nextOutputs) + part &* count
      tiles.a[1] = UnsafePointer(memory.products + (point &* memory.productStride &+ c))
      placeColumns(
        tiles.a, tiles.a + 1, 1, count, depth, columns, sums + (point &* partialStride &+ c),
        p.pointee.width, depth, wide, accumulate, tiles, stream: stream)
      c &+= tileColumns
    }
    point &+= 1
  }
}

/// dw[u, v, c, o] = Σ over groups and points of matrices · Σ over splits of partial. WinogradArguments.
func winogradFilterGradientCombineKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: WinogradArguments.self)
  let inC = p.pointee.filterIn
  let outC = p.pointee.filterOut
  let end = shareStart(inC, index &+ 1, count)
  var c = shareStart(inC, index, count)
  guard c < end, let scratch else { return }
  let taps = scratch.assumingMemoryBound(to: Float.self)
  let sums = taps + winogradFilterTaps &* width
  let points = p.pointee.points
  let half = sums + points &* points &* width
  let sourceGroups = p.pointee.source.step &* p.pointee.source.step
  let groups = sourceGroups &* p.pointee.target.step &* p.pointee.target.step
  let columns = p.pointee.width
  let stride = p.pointee.partialStride
  let splits = p.pointee.gradientSplits
  while c < end {
    var o = 0
    while o < outC {
      var group = 0
      while group < groups {
        let k = sourceGroups > 1 ? group &* inC &+ c : c
        let n = sourceGroups > 1 ? o : group &* outC &+ o
        sumSplits(
          p.pointee.partial! + (k &* columns &+ n), points &* points, stride, splits, sums)
        gatherTaps(p, group, sums, half, taps)
        group &+= 1
      }
      let count = p.pointee.kernelHeight &* p.pointee.kernelWidth
      var tap = 0
      while tap < count {
        store(
          load(taps + tap &* width), p.pointee.filter! + ((tap &* inC &+ c) &* outC &+ o))
        tap &+= 1
      }
      o &+= width
    }
    c &+= 1
  }
}

/// The points of one vector, added over the splits in order.
@inline(__always) private func sumSplits(
  _ partial: Target, _ points: Int, _ stride: Int, _ splits: Int, _ sums: Target
) {
  var point = 0
  while point < points {
    var from = partial + point &* stride
    var sum = load(from)
    var split = 1
    while split < splits {
      from += points &* stride
      sum = sum + load(from)
      split &+= 1
    }
    store(sum, sums + point &* width)
    point &+= 1
  }
}

/// taps (+)= the transposed filter matrices of a group on the points; the first group sets them.
@inline(__always) private func gatherTaps(
  _ p: UnsafePointer<WinogradArguments>, _ group: Int, _ sums: Target, _ half: Target,
  _ taps: Target
) {
  let kh = p.pointee.kernelHeight
  let kw = p.pointee.kernelWidth
  let steps = p.pointee.source.step &* p.pointee.target.step
  let rowGroup = group / steps
  let points = p.pointee.points
  let rowMatrix = p.pointee.rowMatrix! + rowGroup &* points &* kh
  let columnMatrix = p.pointee.columnMatrix! + (group &- rowGroup &* steps) &* points &* kw
  var v = 0
  while v < kw {
    var i = 0
    while i < points {
      var sum = splat(0)
      var j = 0
      while j < points {
        sum = multiplyAdd(
          sum, load(sums + (i &* points &+ j) &* width), splat(columnMatrix[j &* kw &+ v]))
        j &+= 1
      }
      store(sum, half + i &* width)
      i &+= 1
    }
    var u = 0
    while u < kh {
      let to = taps + (u &* kw &+ v) &* width
      var sum = group == 0 ? splat(0) : load(to)
      i = 0
      while i < points {
        sum = multiplyAdd(sum, load(half + i &* width), splat(rowMatrix[i &* kh &+ u]))
        i &+= 1
      }
      store(sum, to)
      u &+= 1
    }
    v &+= 1
  }
}
