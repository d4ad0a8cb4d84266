// Products with fewer than eight columns, where a register tile would be mostly empty: dot products
// along the reduction, or sums along the rows where A is transposed. B is packed as [n][k].

import KernelTable

/// c + a·b as the vectors of this module round it.
@inline(__always) func multiplyAdd(_ c: Float, _ a: Float, _ b: Float) -> Float {
  #if WIDTH4 && arch(x86_64)
    c + a * b
  #else
    c.addingProduct(a, b)
  #endif
}

/// C[r, j] = Σₖ a[r·lda + k] · b[j][k] for r < rows, j < n. Four rows share the loads of b; the
/// last vector of the reduction is done number by number.
func narrowRows(
  _ a: Source, _ lda: Int, _ b: Source, _ c: Target, _ ldc: Int, _ rows: Int, _ k: Int, _ n: Int
) {
  var r = 0
  while r < rows {
    let p0 = a + r &* lda
    let p1 = a + (r &+ 1 < rows ? r &+ 1 : r) &* lda
    let p2 = a + (r &+ 2 < rows ? r &+ 2 : r) &* lda
    let p3 = a + (r &+ 3 < rows ? r &+ 3 : r) &* lda
    var j = 0
    while j < n {
      let q = b + j &* k
      var s0 = splat(0), s1 = splat(0), s2 = splat(0), s3 = splat(0)
      var i = 0
      while i &+ width <= k {
        let v = load(q + i)
        s0 = multiplyAdd(s0, load(p0 + i), v)
        s1 = multiplyAdd(s1, load(p1 + i), v)
        s2 = multiplyAdd(s2, load(p2 + i), v)
        s3 = multiplyAdd(s3, load(p3 + i), v)
        i &+= width
      }
      var t0 = laneSum(s0), t1 = laneSum(s1), t2 = laneSum(s2), t3 = laneSum(s3)
      while i < k {
        t0 = multiplyAdd(t0, p0[i], q[i])
        t1 = multiplyAdd(t1, p1[i], q[i])
        t2 = multiplyAdd(t2, p2[i], q[i])
        t3 = multiplyAdd(t3, p3[i], q[i])
        i &+= 1
      }
      let to = c + (r &* ldc &+ j)
      to[0] = t0
      if r &+ 1 < rows { to[ldc] = t1 }
      if r &+ 2 < rows { to[2 &* ldc] = t2 }
      if r &+ 3 < rows { to[3 &* ldc] = t3 }
      j &+= 1
    }
    r &+= 4
  }
}

/// C[r, j] = Σₖ a[k·lda + r] · b[j][k]: rows are lanes.
func narrowColumns(
  _ p: UnsafePointer<MatmulArguments>, _ a: Source, _ b: Source, _ c: Target, _ rows: Int
) {
  let n = p.pointee.n
  let k = p.pointee.k
  let lda = p.pointee.lda
  var j = 0
  while j < n {
    let q = b + j &* k
    var r = 0
    while r &+ 4 &* width <= rows {
      var s0 = splat(0), s1 = splat(0), s2 = splat(0), s3 = splat(0)
      var i = 0
      while i < k {
        let row = a + (i &* lda &+ r)
        let v = splat(q[i])
        s0 = multiplyAdd(s0, load(row), v)
        s1 = multiplyAdd(s1, load(row + width), v)
        s2 = multiplyAdd(s2, load(row + 2 &* width), v)
        s3 = multiplyAdd(s3, load(row + 3 &* width), v)
        i &+= 1
      }
      spread(s0, c + (r &* n &+ j), n)
      spread(s1, c + ((r &+ width) &* n &+ j), n)
      spread(s2, c + ((r &+ 2 &* width) &* n &+ j), n)
      spread(s3, c + ((r &+ 3 &* width) &* n &+ j), n)
      r &+= 4 &* width
    }
    while r &+ width <= rows {
      var s = splat(0)
      var i = 0
      while i < k {
        s = multiplyAdd(s, load(a + (i &* lda &+ r)), splat(q[i]))
        i &+= 1
      }
      spread(s, c + (r &* n &+ j), n)
      r &+= width
    }
    while r < rows {
      var s: Float = 0
      var i = 0
      while i < k {
        s = multiplyAdd(s, a[i &* lda &+ r], q[i])
        i &+= 1
      }
      c[r &* n &+ j] = s
      r &+= 1
    }
    j &+= 1
  }
}

/// Stores lanes `stride` apart.
@inline(__always) func spread(_ v: Vector, _ to: Target, _ stride: Int) {
  if stride == 1 {
    store(v, to)
  } else {
    for lane in 0..<width { to[lane &* stride] = v[lane] }
  }
}

/// Fewer than eight target channels: dot products along the source's channels, four pixels at once.
func narrowBlock(
  _ phase: ConvolutionPhase, _ pixels: Int, _ segments: Int, _ length: Int,
  _ memory: ConvolutionScratch
) {
  let k = segments &* length
  var pixel = 0
  while pixel < pixels {
    // Pixels of one tile lie together in the table; four never cross a tile, as two rows remain of
    // six.
    let inTile = pixel % tileRows
    let left = tileRows &- inTile < 4 ? tileRows &- inTile : 4
    let rows = pixels &- pixel < left ? pixels &- pixel : left
    let table = memory.taps + ((pixel &- inTile) &* segments &+ inTile)
    var j = 0
    while j < phase.targetChannels {
      dotRows(
        table, rows, segments, length, phase.packed + j &* k, memory.target + pixel, j)
      j &+= 1
    }
    pixel &+= rows
  }
}

/// target[r][j] = Σ over segments, k of a[segment·tileRows + r][k] · b[segment·length + k] for r <
/// rows ≤ 4.
private func dotRows(
  _ a: UnsafeMutablePointer<Source>, _ rows: Int, _ segments: Int, _ length: Int, _ b: Source,
  _ target: UnsafeMutablePointer<Target>, _ j: Int
) {
  let r1 = rows > 1 ? 1 : 0
  let r2 = rows > 2 ? 2 : 0
  let r3 = rows > 3 ? 3 : 0
  var s0 = splat(0), s1 = splat(0), s2 = splat(0), s3 = splat(0)
  var t0: Float = 0, t1: Float = 0, t2: Float = 0, t3: Float = 0
  var q = b
  var segment = 0
  while segment < segments {
    let at = a + segment &* tileRows
    let a0 = at[0], a1 = at[r1], a2 = at[r2], a3 = at[r3]
    var i = 0
    while i &+ width <= length {
      let v = load(q + i)
      s0 = multiplyAdd(s0, load(a0 + i), v)
      s1 = multiplyAdd(s1, load(a1 + i), v)
      s2 = multiplyAdd(s2, load(a2 + i), v)
      s3 = multiplyAdd(s3, load(a3 + i), v)
      i &+= width
    }
    while i < length {
      t0 = multiplyAdd(t0, a0[i], q[i])
      t1 = multiplyAdd(t1, a1[i], q[i])
      t2 = multiplyAdd(t2, a2[i], q[i])
      t3 = multiplyAdd(t3, a3[i], q[i])
      i &+= 1
    }
    q += length
    segment &+= 1
  }
  target[0][j] = laneSum(s0) + t0
  if rows > 1 { target[1][j] = laneSum(s1) + t1 }
  if rows > 2 { target[2][j] = laneSum(s2) + t2 }
  if rows > 3 { target[3][j] = laneSum(s3) + t3 }
}
