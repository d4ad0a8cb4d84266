// The filter gradient: for each tap a product of the image's channels with those of dy, reduced
// over pixels. Tiles hold input channels × output channels; pixels pass in chunks of rows of
// images, so that what a chunk reads of x and dy stays in the second-level cache for all taps; sums
// go through dw between chunks.

import KernelTable

/// dw[u, v, c, o] = Σ x[n, i·sh − top + u, j·sw − left + v, c] · dy[n, i, j, o].
/// ConvolutionArguments.
func filterGradientKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: ConvolutionArguments.self)
  let unit = GemmUnit(rows: tileRows, columns: tileColumns)
  let tasks = p.pointee.filterGradientOutputTasks(unit)
  let splits = p.pointee.filterGradientSplits(unit)
  let units = tasks &* splits
  let end = shareStart(units, index &+ 1, count)
  var at = shareStart(units, index, count)
  guard at < end, let scratch else { return }
  let tiles = tileScratch(scratch)
  let yWidth = p.pointee.yWidth
  var chunkRows = 512 / yWidth
  if chunkRows < 1 { chunkRows = 1 }
  while at < end {
    let split = at / tasks
    let t0 = at &- split &* tasks
    let t1 = end &- split &* tasks < tasks ? end &- split &* tasks : tasks
    // Rows of dy in all images of this split.
    let r0 = p.pointee.batch &* split / splits &* p.pointee.yHeight
    let r1 = p.pointee.batch &* (split &+ 1) / splits &* p.pointee.yHeight
    let dw =
      splits > 1 ? p.pointee.partial! + split &* p.pointee.filterCount : p.pointee.filter!
    var row = r0
    while row < r1 {
      let rows = r1 &- row < chunkRows ? r1 &- row : chunkRows
      if p.pointee.inChannels < 8 {
        gatheredChunk(p, dw, row, rows, t0, t1, row > r0, tiles, scratch + tileScratchBytes)
      } else {
        var task = t0
        while task < t1 {
          tapChunk(p, dw, row, rows, task, row > r0, tiles, scratch + tileScratchBytes)
          task &+= 1
        }
      }
      row &+= rows
    }
    at = split &* tasks &+ t1
  }
}

/// dw = the sum of the splits, in order. ConvolutionArguments.
func filterGradientCombineKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: ConvolutionArguments.self)
  let splits = p.pointee.filterGradientSplits(GemmUnit(rows: tileRows, columns: tileColumns))
  let total = p.pointee.filterCount
  let units = (total &+ 63) / 64
  var i = shareStart(units, index, count) &* 64
  var end = shareStart(units, index &+ 1, count) &* 64
  if end > total { end = total }
  let partial = p.pointee.partial!
  let dw = p.pointee.filter!
  while i < end {
    let single = end &- i < width
    var sum = single ? splat(partial[i]) : load(partial + i)
    var split = 1
    while split < splits {
      let from = partial + (split &* total &+ i)
      sum = sum + (single ? splat(from[0]) : load(from))
      split &+= 1
    }
    if single {
      dw[i] = sum[0]
      i &+= 1
    } else {
      store(sum, dw + i)
      i &+= width
    }
  }
}

/// The first output whose tap lies inside, and how many do, along one axis.
@inline(__always) private func insideRange(
  _ outputs: Int, _ inputs: Int, _ stride: Int, _ offset: Int
) -> (first: Int, count: Int) {
  // 0 ≤ j·stride + offset < inputs.
  let first = offset >= 0 ? 0 : (stride &- 1 &- offset) / stride
  let last = inputs &- 1 &- offset
  if last < 0 { return (0, 0) }
  var end = last / stride &+ 1
  if end > outputs { end = outputs }
  return (first, end > first ? end &- first : 0)
}

/// One tap's channels against one panel over a chunk of rows: rows of the image are the segments.
private func tapChunk(
  _ p: UnsafePointer<ConvolutionArguments>, _ dw: Target, _ row: Int, _ rows: Int, _ task: Int,
  _ accumulate: Bool, _ tiles: TileScratch, _ spare: UnsafeMutableRawPointer
) {
  let inC = p.pointee.inChannels
  let outC = p.pointee.outChannels
  let panels = (outC &+ tileColumns &- 1) / tileColumns
  let tap = task / panels
  let c0 = (task &- tap &* panels) &* tileColumns
  let columns = outC &- c0 < tileColumns ? outC &- c0 : tileColumns
  let u = tap / p.pointee.kernelWidth
  let v = tap &- u &* p.pointee.kernelWidth
  let inside = insideRange(
    p.pointee.yWidth, p.pointee.xWidth, p.pointee.strideWidth, v &- p.pointee.left)
  let a = tiles.a
  let b = tiles.a + 512
  var segments = 0
  var r = row
  while r < row &+ rows && inside.count > 0 {
    let n = r / p.pointee.yHeight
    let i = (r &- n &* p.pointee.yHeight) &* p.pointee.strideHeight &+ u &- p.pointee.top
    if i >= 0 && i < p.pointee.xHeight {
      let j = inside.first &* p.pointee.strideWidth &+ v &- p.pointee.left
      a[segments] =
        UnsafePointer(p.pointee.x!)
        + ((n &* p.pointee.xHeight &+ i) &* p.pointee.xWidth &+ j) &* inC
      b[segments] =
        UnsafePointer(p.pointee.y!) + ((r &* p.pointee.yWidth &+ inside.first) &* outC &+ c0)
      segments &+= 1
    }
    r &+= 1
  }
  let target = dw + (tap &* inC &* outC &+ c0)
  productOverPixels(
    p, a, b, segments, inside.count, p.pointee.strideWidth &* inC, target, inC, columns, accumulate,
    tiles, spare.assumingMemoryBound(to: Float.self))
}

/// C[c, :] (+)= Σ a[s][k·strideA + c] · b[s][k·outC + :]. A panel that is not full reads the
/// beginning of the next pixel and drops those sums; rows after which dy ends too soon are packed.
private func productOverPixels(
  _ p: UnsafePointer<ConvolutionArguments>, _ a: UnsafeMutablePointer<Source>,
  _ b: UnsafeMutablePointer<Source>, _ segments: Int, _ length: Int, _ strideA: Int, _ c: Target,
  _ channels: Int, _ columns: Int, _ accumulate: Bool, _ tiles: TileScratch, _ packed: Target
) {
  let outC = p.pointee.outChannels
  if segments == 0 || length == 0 {
    if !accumulate {
      var r = 0
      while r < channels {
        fillElements(0, c + r &* outC, columns)
        r &+= 1
      }
    }
    return
  }
  if outC < 8 {
    narrowProduct(a, b, segments, length, strideA, outC, c, channels, accumulate)
    return
  }
  var direct = segments
  if columns < tileColumns {
    let end =
      UnsafePointer(p.pointee.y!)
      + p.pointee.batch &* p.pointee.yHeight &* p.pointee.yWidth &* outC
    let reach = (length &- 1) &* outC &+ tileColumns
    while direct > 0 && b[direct &- 1] + reach > end { direct &-= 1 }
  }
  if direct > 0 {
    placeColumns(
      a, b, direct, length, strideA, outC, c, outC, channels, columns, accumulate, tiles)
  }
  while direct < segments {
    packPanel(b[direct], outC, 1, length, columns, packed)
    b[direct] = UnsafePointer(packed)
    placeColumns(
      a + direct, b + direct, 1, length, strideA, tileColumns, c, outC, channels, columns,
      accumulate || direct > 0, tiles)
    direct &+= 1
  }
}

/// Few input channels: the patches of a chunk are gathered as rows [pixel][tap][channel], and all
/// taps are one product with the panels t0..<t1.
private func gatheredChunk(
  _ p: UnsafePointer<ConvolutionArguments>, _ dw: Target, _ row: Int, _ rows: Int, _ t0: Int,
  _ t1: Int, _ accumulate: Bool, _ tiles: TileScratch, _ spare: UnsafeMutableRawPointer
) {
  let inC = p.pointee.inChannels
  let outC = p.pointee.outChannels
  let yWidth = p.pointee.yWidth
  let k = p.pointee.kernelHeight &* p.pointee.kernelWidth &* inC
  let pixels = rows &* yWidth
  let packed = spare.assumingMemoryBound(to: Float.self)
  let patches = packed + (512 &+ yWidth) &* tileColumns
  var r = 0
  while r < rows {
    gatherRow(p, row &+ r, patches + r &* yWidth &* k)
    r &+= 1
  }
  var task = t0
  while task < t1 {
    let c0 = task &* tileColumns
    let columns = outC &- c0 < tileColumns ? outC &- c0 : tileColumns
    // One segment a row, so that only the last row is ever packed.
    r = 0
    while r < rows {
      tiles.a[r] = UnsafePointer(patches + r &* yWidth &* k)
      tiles.a[512 &+ r] = UnsafePointer(p.pointee.y!) + ((row &+ r) &* yWidth &* outC &+ c0)
      r &+= 1
    }
    if pixels > 0 {
      productOverPixels(
        p, tiles.a, tiles.a + 512, rows, yWidth, k, dw + c0, k, columns, accumulate, tiles, packed)
    }
    task &+= 1
  }
}

/// The patches of one row of dy.
private func gatherRow(_ p: UnsafePointer<ConvolutionArguments>, _ row: Int, _ to: Target) {
  let inC = p.pointee.inChannels
  let xWidth = p.pointee.xWidth
  let n = row / p.pointee.yHeight
  let top = (row &- n &* p.pointee.yHeight) &* p.pointee.strideHeight &- p.pointee.top
  let image = UnsafePointer(p.pointee.x!) + n &* p.pointee.xHeight &* xWidth &* inC
  let kw = p.pointee.kernelWidth
  var at = to
  var j = 0
  while j < p.pointee.yWidth {
    let left = j &* p.pointee.strideWidth &- p.pointee.left
    var u = 0
    while u < p.pointee.kernelHeight {
      let i = top &+ u
      if i < 0 || i >= p.pointee.xHeight {
        fillElements(0, at, kw &* inC)
        at += kw &* inC
      } else {
        let line = image + i &* xWidth &* inC
        if left >= 0 && left &+ kw <= xWidth {
          // The taps of this row lie one after the other.
          let from = line + left &* inC
          let run = kw &* inC
          var c = 0
          while c < run {
            at[c] = from[c]
            c &+= 1
          }
          at += run
          u &+= 1
          continue
        }
        var v = left
        while v < left &+ kw {
          var c = 0
          while c < inC {
            at[c] = v >= 0 && v < xWidth ? line[v &* inC &+ c] : 0
            c &+= 1
          }
          at += inC
          v &+= 1
        }
      }
      u &+= 1
    }
    j &+= 1
  }
}

/// Fewer than eight output channels: input channels are lanes. C[c, o] (+)= Σ a[s][k·strideA + c] ·
/// b[s][k·outC + o].
private func narrowProduct(
  _ a: UnsafeMutablePointer<Source>, _ b: UnsafeMutablePointer<Source>, _ segments: Int,
  _ length: Int, _ strideA: Int, _ outC: Int, _ c: Target, _ channels: Int, _ accumulate: Bool
) {
  var o = 0
  while o < outC {
    var i = 0
    while i < channels {
      let to = c + (i &* outC &+ o)
      if i &+ 4 &* width <= channels {
        var s0 = splat(0), s1 = splat(0), s2 = splat(0), s3 = splat(0)
        var segment = 0
        while segment < segments {
          var q = a[segment] + i
          let y = b[segment] + o
          var k = 0
          while k < length {
            let v = splat(y[k &* outC])
            s0 = multiplyAdd(s0, load(q), v)
            s1 = multiplyAdd(s1, load(q + width), v)
            s2 = multiplyAdd(s2, load(q + 2 &* width), v)
            s3 = multiplyAdd(s3, load(q + 3 &* width), v)
            q += strideA
            k &+= 1
          }
          segment &+= 1
        }
        addSpread(s0, to, outC, width, accumulate)
        addSpread(s1, to + width &* outC, outC, width, accumulate)
        addSpread(s2, to + 2 &* width &* outC, outC, width, accumulate)
        addSpread(s3, to + 3 &* width &* outC, outC, width, accumulate)
        i &+= 4 &* width
      } else {
        let single = i &+ width > channels
        var s = splat(0)
        var segment = 0
        while segment < segments {
          var q = a[segment] + i
          let y = b[segment] + o
          var k = 0
          while k < length {
            s = multiplyAdd(s, single ? splat(q[0]) : load(q), splat(y[k &* outC]))
            q += strideA
            k &+= 1
          }
          segment &+= 1
        }
        addSpread(s, to, outC, single ? 1 : width, accumulate)
        i &+= single ? 1 : width
      }
    }
    o &+= 1
  }
}

/// Stores or adds `lanes` lanes `stride` apart.
@inline(__always) private func addSpread(
  _ v: Vector, _ to: Target, _ stride: Int, _ lanes: Int, _ accumulate: Bool
) {
  var lane = 0
  while lane < lanes {
    let at = to + lane &* stride
    at[0] = accumulate ? at[0] + v[lane] : v[lane]
    lane &+= 1
  }
}
