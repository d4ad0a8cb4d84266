// Pooling over windows. Gradients are gathered: each input pixel sums over the windows that cover
// it, so that shares own what they write.

import KernelTable

/// The rows (or columns) of a window that exist: first ..< end, of a window that begins at `begin`.
@inline(__always) private func existing(_ begin: Int, _ kernel: Int, _ size: Int)
  -> (first: Int, end: Int)
{
  (begin < 0 ? 0 : begin, begin &+ kernel < size ? begin &+ kernel : size)
}

/// The windows along one axis that cover position r.
@inline(__always) private func covering(
  _ r: Int, _ pad: Int, _ kernel: Int, _ stride: Int, _ windows: Int
) -> (first: Int, end: Int) {
  let low = r &+ pad &- kernel &+ 1
  let first = low <= 0 ? 0 : (low &+ stride &- 1) / stride
  let last = (r &+ pad) / stride &+ 1
  return (first, last < windows ? last : windows)
}

/// For each lane the largest element of a window, its number u·kw + v (the first of equals; NaN is
/// largest), and the element of `other` there.
@inline(__always) private func windowMaximum(
  _ p: PoolArguments, _ image: Source, _ other: Source, _ i: Int, _ j: Int, _ c: Int,
  _ single: Bool
) -> (value: Vector, number: Integers, other: Vector) {
  let top = i &* p.strideHeight &- p.top
  let left = j &* p.strideWidth &- p.left
  let rows = existing(top, p.kernelHeight, p.xHeight)
  let columns = existing(left, p.kernelWidth, p.xWidth)
  var value = splat(-.infinity)
  var number = splatInteger(-1)
  var taken = splat(0)
  var r = rows.first
  while r < rows.end {
    var s = columns.first
    while s < columns.end {
      let at = (r &* p.xWidth &+ s) &* p.channels &+ c
      let v = loadLanes(image + at, single)
      let n = Int32(truncatingIfNeeded: (r &- top) &* p.kernelWidth &+ (s &- left))
      // A first pixel is taken even at −∞.
      let larger =
        (((v .> value) .| (v .!= v)) .& (value .== value)) .| (number .< splatInteger(0))
      value = choose(larger, v, value)
      number = choose(larger, splatInteger(n), number)
      taken = choose(larger, loadLanes(other + at, single), taken)
      s &+= 1
    }
    r &+= 1
  }
  return (value, number, taken)
}

@inline(__always) private func eachWindow(
  _ p: PoolArguments, _ index: Int, _ count: Int, _ body: (Int, Int, Int, Int, Bool, Int) -> Void
) {
  let units = p.batch &* p.yHeight
  let end = shareStart(units, index &+ 1, count)
  var row = shareStart(units, index, count)
  while row < end {
    let n = row / p.yHeight
    let i = row &- n &* p.yHeight
    var j = 0
    while j < p.yWidth {
      eachChannel(p.channels) { c, single in
        body(n, i, j, c, single, (row &* p.yWidth &+ j) &* p.channels &+ c)
      }
      j &+= 1
    }
    row &+= 1
  }
}

/// y[n, i, j, c] = the largest of the window. PoolArguments.
func maxPoolKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: PoolArguments.self).pointee
  let image = p.xHeight &* p.xWidth &* p.channels
  eachWindow(p, index, count) { n, i, j, c, single, at in
    let x = p.x! + n &* image
    storeLanes(windowMaximum(p, x, x, i, j, c, single).value, p.y! + at, single)
  }
}

/// y[n, i, j, c] = dx (here a source) at the window's first maximum of x. PoolArguments.
func maxPoolGatherKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: PoolArguments.self).pointee
  let image = p.xHeight &* p.xWidth &* p.channels
  eachWindow(p, index, count) { n, i, j, c, single, at in
    let found = windowMaximum(
      p, p.x! + n &* image, UnsafePointer(p.dx!) + n &* image, i, j, c, single)
    storeLanes(found.other, p.y! + at, single)
  }
}

/// y[n, i, j, c] = the mean of the window's existing pixels. PoolArguments.
func averagePoolKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: PoolArguments.self).pointee
  let image = p.xHeight &* p.xWidth &* p.channels
  eachWindow(p, index, count) { n, i, j, c, single, at in
    let x = p.x! + n &* image
    let rows = existing(i &* p.strideHeight &- p.top, p.kernelHeight, p.xHeight)
    let columns = existing(j &* p.strideWidth &- p.left, p.kernelWidth, p.xWidth)
    var sum = splat(0)
    var r = rows.first
    while r < rows.end {
      var s = columns.first
      while s < columns.end {
        sum = sum + loadLanes(x + ((r &* p.xWidth &+ s) &* p.channels &+ c), single)
        s &+= 1
      }
      r &+= 1
    }
    let pixels = (rows.end &- rows.first) &* (columns.end &- columns.first)
    storeLanes(sum / splat(Float(pixels)), p.y! + at, single)
  }
}

@inline(__always) private func eachPixel(
  _ p: PoolArguments, _ index: Int, _ count: Int, _ body: (Int, Int, Int, Int, Bool, Int) -> Void
) {
  let units = p.batch &* p.xHeight
  let end = shareStart(units, index &+ 1, count)
  var row = shareStart(units, index, count)
  while row < end {
    let n = row / p.xHeight
    let r = row &- n &* p.xHeight
    var s = 0
    while s < p.xWidth {
      eachChannel(p.channels) { c, single in
        body(n, r, s, c, single, (row &* p.xWidth &+ s) &* p.channels &+ c)
      }
      s &+= 1
    }
    row &+= 1
  }
}

/// dx[n, r, s, c] = Σ dy over the windows whose first maximum in x is (r, s). PoolArguments.
func maxPoolGradientKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: PoolArguments.self).pointee
  let image = p.xHeight &* p.xWidth &* p.channels
  eachPixel(p, index, count) { n, r, s, c, single, at in
    let x = p.x! + n &* image
    let rows = covering(r, p.top, p.kernelHeight, p.strideHeight, p.yHeight)
    let columns = covering(s, p.left, p.kernelWidth, p.strideWidth, p.yWidth)
    var sum = splat(0)
    var i = rows.first
    while i < rows.end {
      var j = columns.first
      while j < columns.end {
        let u = r &- (i &* p.strideHeight &- p.top)
        let v = s &- (j &* p.strideWidth &- p.left)
        let own = Int32(truncatingIfNeeded: u &* p.kernelWidth &+ v)
        let number = windowMaximum(p, x, x, i, j, c, single).number
        let dy = loadLanes(
          UnsafePointer(p.y!) + (((n &* p.yHeight &+ i) &* p.yWidth &+ j) &* p.channels &+ c),
          single)
        sum = sum + choose(number .== splatInteger(own), dy, splat(0))
        j &+= 1
      }
      i &+= 1
    }
    storeLanes(sum, p.dx! + at, single)
  }
}

/// dx[n, r, s, c] = Σ dy / (the window's pixels) over the windows that cover (r, s). PoolArguments.
func averagePoolGradientKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: PoolArguments.self).pointee
  eachPixel(p, index, count) { n, r, s, c, single, at in
    let rows = covering(r, p.top, p.kernelHeight, p.strideHeight, p.yHeight)
    let columns = covering(s, p.left, p.kernelWidth, p.strideWidth, p.yWidth)
    var sum = splat(0)
    var i = rows.first
    while i < rows.end {
      let u = existing(i &* p.strideHeight &- p.top, p.kernelHeight, p.xHeight)
      var j = columns.first
      while j < columns.end {
        let v = existing(j &* p.strideWidth &- p.left, p.kernelWidth, p.xWidth)
        let pixels = Float((u.end &- u.first) &* (v.end &- v.first))
        let dy = loadLanes(
          UnsafePointer(p.y!) + (((n &* p.yHeight &+ i) &* p.yWidth &+ j) &* p.channels &+ c),
          single)
        sum = sum + dy / splat(pixels)
        j &+= 1
      }
      i &+= 1
    }
    storeLanes(sum, p.dx! + at, single)
  }
}
