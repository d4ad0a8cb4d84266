// Scaling of images by whole factors: nearest, block sums, bilinear and its adjoint. Channels are
// lanes; where fewer than a vector are left, one channel at a time runs through the same
// operations.

import KernelTable

/// Runs `body` with the first channel of each vector, and of each single channel at the end.
@inline(__always) func eachChannel(_ channels: Int, _ body: (Int, Bool) -> Void) {
  var c = 0
  while c < channels {
    let single = c &+ width > channels
    body(c, single)
    c &+= single ? 1 : width
  }
}
@inline(__always) func loadLanes(_ p: Source, _ single: Bool) -> Vector {
  single ? splat(p[0]) : load(p)
}
@inline(__always) func storeLanes(_ v: Vector, _ p: Target, _ single: Bool) {
  if single { p[0] = v[0] } else { store(v, p) }
}

/// large[n, i, j, c] = scale · small[n, i/fy, j/fx, c]. A share owns rows of the small image.
/// ScaleArguments.
func upsampleNearestKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: ScaleArguments.self).pointee
  let c = p.channels
  let largeRow = p.width &* p.factorWidth &* c
  let units = p.batch &* p.height
  let end = shareStart(units, index &+ 1, count)
  var row = shareStart(units, index, count)
  let scale = splat(p.scale)
  while row < end {
    let from = p.small! + row &* p.width &* c
    let to = p.large! + row &* p.factorHeight &* largeRow
    var j = 0
    while j < p.width {
      eachChannel(c) { channel, single in
        let v = loadLanes(UnsafePointer(from) + (j &* c &+ channel), single) * scale
        var b = 0
        while b < p.factorWidth {
          storeLanes(v, to + ((j &* p.factorWidth &+ b) &* c &+ channel), single)
          b &+= 1
        }
      }
      j &+= 1
    }
    var a = 1
    while a < p.factorHeight {
      copyElements(to, to + a &* largeRow, largeRow)
      a &+= 1
    }
    row &+= 1
  }
}

/// small[n, i, j, c] = scale · Σ of the block of large. ScaleArguments.
func blockSumKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: ScaleArguments.self).pointee
  let channels = p.channels
  let largeRow = p.width &* p.factorWidth &* channels
  let units = p.batch &* p.height
  let end = shareStart(units, index &+ 1, count)
  var row = shareStart(units, index, count)
  while row < end {
    let to = p.small! + row &* p.width &* channels
    let from = UnsafePointer(p.large!) + row &* p.factorHeight &* largeRow
    var j = 0
    while j < p.width {
      let block = from + j &* p.factorWidth &* channels
      eachChannel(channels) { c, single in
        var sum = splat(0)
        var a = 0
        while a < p.factorHeight {
          var b = 0
          while b < p.factorWidth {
            sum = sum + loadLanes(block + (a &* largeRow &+ b &* channels &+ c), single)
            b &+= 1
          }
          a &+= 1
        }
        storeLanes(sum * p.scale, to + (j &* channels &+ c), single)
      }
      j &+= 1
    }
    row &+= 1
  }
}

/// Where large index i falls between two small ones: half-pixel centres, clamped at the edges.
@inline(__always) private func position(_ i: Int, _ factor: Int, _ size: Int)
  -> (first: Int, second: Int, weight: Float)
{
  // (i + ½)/f − ½ in units of 1/(2f), which are whole.
  let twice = 2 &* i &+ 1 &- factor
  if twice <= 0 { return (0, 0, 0) }
  let first = twice / (2 &* factor)
  let weight = Float(twice &- first &* 2 &* factor) / Float(2 &* factor)
  return (first, first &+ 1 < size ? first &+ 1 : first, weight)
}

/// large = the bilinear interpolation of small. ScaleArguments.
func upsampleBilinearKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: ScaleArguments.self).pointee
  let channels = p.channels
  let smallRow = p.width &* channels
  let largeWidth = p.width &* p.factorWidth
  let largeHeight = p.height &* p.factorHeight
  let units = p.batch &* largeHeight
  let end = shareStart(units, index &+ 1, count)
  var row = shareStart(units, index, count)
  while row < end {
    let n = row / largeHeight
    let y = position(row &- n &* largeHeight, p.factorHeight, p.height)
    let image = UnsafePointer(p.small!) + n &* p.height &* smallRow
    let upper = image + y.first &* smallRow
    let lower = image + y.second &* smallRow
    let to = p.large! + row &* largeWidth &* channels
    var j = 0
    while j < largeWidth {
      let x = position(j, p.factorWidth, p.width)
      let left = x.first &* channels
      let right = x.second &* channels
      eachChannel(channels) { c, single in
        let a = loadLanes(upper + (left &+ c), single)
        let b = loadLanes(upper + (right &+ c), single)
        let d = loadLanes(lower + (left &+ c), single)
        let e = loadLanes(lower + (right &+ c), single)
        let top = multiplyAdd(a, b - a, splat(x.weight))
        let bottom = multiplyAdd(d, e - d, splat(x.weight))
        storeLanes(
          multiplyAdd(top, bottom - top, splat(y.weight)), to + (j &* channels &+ c), single)
      }
      j &+= 1
    }
    row &+= 1
  }
}

/// How much large index i takes of small index s.
@inline(__always) private func share(_ i: Int, _ factor: Int, _ size: Int, _ s: Int) -> Float {
  let at = position(i, factor, size)
  return (at.first == s ? 1 - at.weight : 0) + (at.second == s ? at.weight : 0)
}

/// small[n, s, t, c] = Σ share(i, s) · share(j, t) · large[n, i, j, c] over the large pixels that
/// touch it. ScaleArguments.
func upsampleBilinearAdjointKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: ScaleArguments.self).pointee
  let channels = p.channels
  let largeWidth = p.width &* p.factorWidth
  let largeHeight = p.height &* p.factorHeight
  let units = p.batch &* p.height
  let end = shareStart(units, index &+ 1, count)
  var row = shareStart(units, index, count)
  while row < end {
    let n = row / p.height
    let s = row &- n &* p.height
    let image = UnsafePointer(p.large!) + n &* largeHeight &* largeWidth &* channels
    let to = p.small! + row &* p.width &* channels
    let i0 = s > 0 ? (s &- 1) &* p.factorHeight : 0
    let i1 = s &+ 2 < p.height ? (s &+ 2) &* p.factorHeight : largeHeight
    var t = 0
    while t < p.width {
      let j0 = t > 0 ? (t &- 1) &* p.factorWidth : 0
      let j1 = t &+ 2 < p.width ? (t &+ 2) &* p.factorWidth : largeWidth
      eachChannel(channels) { c, single in
        var sum = splat(0)
        var i = i0
        while i < i1 {
          let vertical = share(i, p.factorHeight, p.height, s)
          var j = j0
          while j < j1 && vertical != 0 {
            let weight = vertical * share(j, p.factorWidth, p.width, t)
            if weight != 0 {
              let v = loadLanes(image + ((i &* largeWidth &+ j) &* channels &+ c), single)
              sum = multiplyAdd(sum, v, splat(weight))
            }
            j &+= 1
          }
          i &+= 1
        }
        storeLanes(sum, to + (t &* channels &+ c), single)
      }
      t &+= 1
    }
    row &+= 1
  }
}
