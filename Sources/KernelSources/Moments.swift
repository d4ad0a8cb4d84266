// Mean and variance over the rows of [outer, rows, channels], numerically safe: each chunk of rows,
// which stays in cache, is read for its mean (of differences from its first row, so that a mean far
// from zero costs no accuracy) and again for the squared deviations from it and the plain ones,
// whose sum is the rounding error of the first pass and corrects both (the corrected two-pass
// algorithm; Chan, Golub and LeVeque, 1983); chunks are joined by Chan's formula. `partial` holds, for each outer and chunk, `channels` means and then `channels`
// sums of squared deviations.

import KernelTable

/// Rows of one chunk; `MomentsArguments.chunks` counts them.
@inline(__always) private func chunkRows(_ channels: Int) -> Int {
  16384 / (channels > 64 ? 64 : channels)
}

/// MomentsArguments.
func momentsKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: MomentsArguments.self)
  let rows = p.pointee.rows
  let channels = p.pointee.channels
  guard channels > 0, p.pointee.outer > 0 else { return }
  let size = chunkRows(channels)
  let chunks = p.pointee.chunks()
  let blocks = (channels &+ 63) / 64
  let units = p.pointee.outer &* chunks &* blocks
  let end = shareStart(units, index &+ 1, count)
  var unit = shareStart(units, index, count)
  while unit < end {
    let place = unit / blocks
    let first = (unit &- place &* blocks) &* 64
    let o = place / chunks
    let chunk = place &- o &* chunks
    let r0 = chunk &* size
    let n = rows &- r0 < size ? rows &- r0 : size
    let lanes = channels &- first < 64 ? channels &- first : 64
    let x = p.pointee.input! + ((o &* rows &+ r0) &* channels &+ first)
    let means = p.pointee.partial! + (2 &* place &* channels &+ first)
    if channels == 1 {
      rowMoments(x, n, means, means + 1)
    } else {
      columnMoments(x, channels, n, lanes, means, means + channels)
    }
    unit &+= 1
  }
}

/// Moments of n contiguous numbers.
private func rowMoments(_ x: Source, _ n: Int, _ mean: Target, _ squares: Target) {
  var s0 = splat(0), s1 = splat(0)
  var i = 0
  while i &+ 2 &* width <= n {
    s0 = s0 + (load(x + i) - splat(x[0]))
    s1 = s1 + (load(x + (i &+ width)) - splat(x[0]))
    i &+= 2 &* width
  }
  var sum = laneSum(s0 + s1)
  while i < n {
    sum += x[i] - x[0]
    i &+= 1
  }
  let m = x[0] + sum / Float(n)
  let v = splat(m)
  var q0 = splat(0), q1 = splat(0), e0 = splat(0), e1 = splat(0)
  i = 0
  while i &+ 2 &* width <= n {
    let d0 = load(x + i) - v
    let d1 = load(x + (i &+ width)) - v
    q0 = multiplyAdd(q0, d0, d0)
    q1 = multiplyAdd(q1, d1, d1)
    e0 = e0 + d0
    e1 = e1 + d1
    i &+= 2 &* width
  }
  var total = laneSum(q0 + q1)
  var error = laneSum(e0 + e1)
  while i < n {
    let d = x[i] - m
    total = multiplyAdd(total, d, d)
    error += d
    i &+= 1
  }
  error /= Float(n)
  // Around an infinite mean there is nothing to correct.
  if !error.isFinite { error = 0 }
  mean[0] = m + error
  squares[0] = total - error * error * Float(n)
}

/// Moments of `lanes` columns over n rows.
private func columnMoments(
  _ x: Source, _ stride: Int, _ n: Int, _ lanes: Int, _ mean: Target, _ squares: Target
) {
  let count = Float(n)
  var i = 0
  while i &+ 4 &* width <= lanes {
    var a = splat(0), b = splat(0), c = splat(0), d = splat(0)
    let a0 = load(x + i), b0 = load(x + (i &+ width))
    let c0 = load(x + (i &+ 2 &* width)), d0 = load(x + (i &+ 3 &* width))
    var row = x + i
    var r = 0
    while r < n {
      a = a + (load(row) - a0)
      b = b + (load(row + width) - b0)
      c = c + (load(row + 2 &* width) - c0)
      d = d + (load(row + 3 &* width) - d0)
      row += stride
      r &+= 1
    }
    let ma = a0 + a / splat(count), mb = b0 + b / splat(count)
    let mc = c0 + c / splat(count), md = d0 + d / splat(count)
    a = splat(0)
    b = splat(0)
    c = splat(0)
    d = splat(0)
    var ea = splat(0), eb = splat(0), ec = splat(0), ed = splat(0)
    row = x + i
    r = 0
    while r < n {
      let da = load(row) - ma
      let db = load(row + width) - mb
      let dc = load(row + 2 &* width) - mc
      let dd = load(row + 3 &* width) - md
      a = multiplyAdd(a, da, da)
      b = multiplyAdd(b, db, db)
      c = multiplyAdd(c, dc, dc)
      d = multiplyAdd(d, dd, dd)
      ea = ea + da
      eb = eb + db
      ec = ec + dc
      ed = ed + dd
      row += stride
      r &+= 1
    }
    storeCorrected(ma, a, ea, count, mean + i, squares + i)
    storeCorrected(mb, b, eb, count, mean + (i &+ width), squares + (i &+ width))
    storeCorrected(mc, c, ec, count, mean + (i &+ 2 &* width), squares + (i &+ 2 &* width))
    storeCorrected(md, d, ed, count, mean + (i &+ 3 &* width), squares + (i &+ 3 &* width))
    i &+= 4 &* width
  }
  while i &+ 2 &* width <= lanes {
    // Two rows at a time: as many sums at once as above, for each waits for the one before.
    let first = load(x + i), second = load(x + (i &+ width))
    var a = splat(0), b = splat(0), c = splat(0), d = splat(0)
    var row = x + i
    var r = 0
    while r &+ 2 <= n {
      a = a + (load(row) - first)
      b = b + (load(row + width) - second)
      c = c + (load(row + stride) - first)
      d = d + (load(row + (stride &+ width)) - second)
      row += 2 &* stride
      r &+= 2
    }
    if r < n {
      a = a + (load(row) - first)
      b = b + (load(row + width) - second)
    }
    let ma = first + (a + c) / splat(count), mb = second + (b + d) / splat(count)
    a = splat(0)
    b = splat(0)
    c = splat(0)
    d = splat(0)
    var ea = splat(0), eb = splat(0), ec = splat(0), ed = splat(0)
    row = x + i
    r = 0
    while r &+ 2 <= n {
      let da = load(row) - ma
      let db = load(row + width) - mb
      let dc = load(row + stride) - ma
      let dd = load(row + (stride &+ width)) - mb
      a = multiplyAdd(a, da, da)
      b = multiplyAdd(b, db, db)
      c = multiplyAdd(c, dc, dc)
      d = multiplyAdd(d, dd, dd)
      ea = ea + da
      eb = eb + db
      ec = ec + dc
      ed = ed + dd
      row += 2 &* stride
      r &+= 2
    }
    if r < n {
      let da = load(row) - ma
      let db = load(row + width) - mb
      a = multiplyAdd(a, da, da)
      b = multiplyAdd(b, db, db)
      ea = ea + da
      eb = eb + db
    }
    storeCorrected(ma, a + c, ea + ec, count, mean + i, squares + i)
    storeCorrected(mb, b + d, eb + ed, count, mean + (i &+ width), squares + (i &+ width))
    i &+= 2 &* width
  }
  while i < lanes {
    let single = i &+ width > lanes
    let a0 = single ? splat(x[i]) : load(x + i)
    var a = splat(0)
    var r = 0
    while r < n {
      let at = x + (r &* stride &+ i)
      a = a + ((single ? splat(at[0]) : load(at)) - a0)
      r &+= 1
    }
    let m = a0 + a / splat(count)
    a = splat(0)
    var e = splat(0)
    r = 0
    while r < n {
      let at = x + (r &* stride &+ i)
      let d = (single ? splat(at[0]) : load(at)) - m
      a = multiplyAdd(a, d, d)
      e = e + d
      r &+= 1
    }
    if single {
      let error = e[0].isFinite ? e[0] / count : 0
      mean[i] = m[0] + error
      squares[i] = a[0] - error * error * count
      i &+= 1
    } else {
      storeCorrected(m, a, e, count, mean + i, squares + i)
      i &+= width
    }
  }
}

/// Stores a mean and a sum of squared deviations, `error` being the sum of the plain deviations.
@inline(__always) private func storeCorrected(
  _ m: Vector, _ total: Vector, _ error: Vector, _ count: Float, _ mean: Target, _ squares: Target
) {
  // Around an infinite mean there is nothing to correct.
  var e = error / splat(count)
  e.replace(with: splat(0), where: e - e .!= splat(0))
  store(m + e, mean)
  store(total - e * e * splat(count), squares)
}

/// Joins the chunks in order: with d = mean_b − mean, mean += d·n_b/n, M += M_b + d²·n_a·n_b/n.
/// MomentsArguments.
func momentsCombineKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: MomentsArguments.self)
  let rows = p.pointee.rows
  let channels = p.pointee.channels
  guard channels > 0 else { return }
  let size = chunkRows(channels)
  let chunks = p.pointee.chunks()
  let total = p.pointee.outer &* channels
  let units = (total &+ 63) / 64
  var at = shareStart(units, index, count) &* 64
  var end = shareStart(units, index &+ 1, count) &* 64
  if end > total { end = total }
  while at < end {
    let o = at / channels
    let channel = at &- o &* channels
    let single = channels &- channel < width || end &- at < width
    let base = p.pointee.partial! + (2 &* o &* chunks &* channels &+ channel)
    var mean = splat(0)
    var squares = splat(0)
    var seen = 0
    var chunk = 0
    while chunk < chunks {
      let from = base + 2 &* chunk &* channels
      let n = rows &- chunk &* size < size ? rows &- chunk &* size : size
      let m = single ? splat(from[0]) : load(from)
      let q = single ? splat(from[channels]) : load(from + channels)
      let all = Float(seen &+ n)
      let d = m - mean
      mean = mean + d * splat(Float(n) / all)
      squares = squares + (q + d * d * splat(Float(seen) * Float(n) / all))
      seen &+= n
      chunk &+= 1
    }
    let variance = squares * splat(1 / Float(rows))
    if single {
      p.pointee.mean![at] = mean[0]
      p.pointee.variance![at] = variance[0]
      at &+= 1
    } else {
      store(mean, p.pointee.mean! + at)
      store(variance, p.pointee.variance! + at)
      at &+= width
    }
  }
}
