// The register tiles of the matrix kernels: a few rows of C by two vectors, all sums in registers.
// Per step of the reduction a tile loads two vectors of B and one number a row of A, which the
// processor broadcasts from memory: 12 × 32 with AVX-512 makes 24 fused multiply-adds of 14 loads.
// Sums stand in tuples, not structs: a struct's value witnesses would be weak symbols of this
// module.

/// Sums of four rows, and of two.
typealias FourRows = (Vector, Vector, Vector, Vector, Vector, Vector, Vector, Vector)
typealias TwoRows = (Vector, Vector, Vector, Vector)

@inline(__always) func zeroFour() -> FourRows {
  let z = splat(0)
  return (z, z, z, z, z, z, z, z)
}
@inline(__always) func zeroTwo() -> TwoRows {
  let z = splat(0)
  return (z, z, z, z)
}

/// One step of the reduction: row r gains aᵣ · (b₀, b₁).
@inline(__always) func step(
  _ s: inout FourRows, _ a0: Float, _ a1: Float, _ a2: Float, _ a3: Float, _ b0: Vector,
  _ b1: Vector
) {
  s.0 = multiplyAdd(s.0, splat(a0), b0)
  s.1 = multiplyAdd(s.1, splat(a0), b1)
  s.2 = multiplyAdd(s.2, splat(a1), b0)
  s.3 = multiplyAdd(s.3, splat(a1), b1)
  s.4 = multiplyAdd(s.4, splat(a2), b0)
  s.5 = multiplyAdd(s.5, splat(a2), b1)
  s.6 = multiplyAdd(s.6, splat(a3), b0)
  s.7 = multiplyAdd(s.7, splat(a3), b1)
}
@inline(__always) func step(
  _ s: inout TwoRows, _ a0: Float, _ a1: Float, _ b0: Vector, _ b1: Vector
) {
  s.0 = multiplyAdd(s.0, splat(a0), b0)
  s.1 = multiplyAdd(s.1, splat(a0), b1)
  s.2 = multiplyAdd(s.2, splat(a1), b0)
  s.3 = multiplyAdd(s.3, splat(a1), b1)
}

typealias Rows = UnsafePointer<Source>
typealias TargetRows = UnsafePointer<Target>

@inline(__always) func read(_ s: inout FourRows, _ c: TargetRows) {
  s = (
    load(c[0]), load(c[0] + width), load(c[1]), load(c[1] + width), load(c[2]),
    load(c[2] + width), load(c[3]), load(c[3] + width)
  )
}
@inline(__always) func write(_ s: FourRows, _ c: TargetRows) {
  store(s.0, c[0])
  store(s.1, c[0] + width)
  store(s.2, c[1])
  store(s.3, c[1] + width)
  store(s.4, c[2])
  store(s.5, c[2] + width)
  store(s.6, c[3])
  store(s.7, c[3] + width)
}
@inline(__always) func read(_ s: inout TwoRows, _ c: TargetRows) {
  s = (load(c[0]), load(c[0] + width), load(c[1]), load(c[1] + width))
}
@inline(__always) func write(_ s: TwoRows, _ c: TargetRows) {
  store(s.0, c[0])
  store(s.1, c[0] + width)
  store(s.2, c[1])
  store(s.3, c[1] + width)
}

// Rows form. C[r, :] (+)= Σ over segments, k of a[segment][r][k] · b[segment·length + k, :]: `a` is
// a table of `segments` × tileRows pointers, each to `length` contiguous numbers; b is a packed
// panel.

#if WIDTH16
  /// The rows of b are `strideB` apart.
  @inline(__always)
  private func rowsLoop12(
    _ a: Rows, _ segments: Int, _ length: Int, _ b: Source, _ strideB: Int, _ c: TargetRows,
    _ accumulate: Bool, _ meanwhile: (_ k: Int, _ b0: Vector, _ b1: Vector) -> Void
  ) {
    var s = zeroFour()
    var t = zeroFour()
    var u = zeroFour()
    if accumulate {
      read(&s, c)
      read(&t, c + 4)
      read(&u, c + 8)
    }
    var p = b
    var rows = a
    let end = a + segments &* tileRows
    while rows < end {
      let a0 = rows[0], a1 = rows[1], a2 = rows[2], a3 = rows[3]
      let a4 = rows[4], a5 = rows[5], a6 = rows[6], a7 = rows[7]
      let a8 = rows[8], a9 = rows[9], a10 = rows[10], a11 = rows[11]
      var k = 0
      while k < length {
        let b0 = load(p)
        let b1 = load(p + width)
        step(&s, a0[k], a1[k], a2[k], a3[k], b0, b1)
        step(&t, a4[k], a5[k], a6[k], a7[k], b0, b1)
        step(&u, a8[k], a9[k], a10[k], a11[k], b0, b1)
        meanwhile(k, b0, b1)
        p += strideB
        k &+= 1
      }
      rows += tileRows
    }
    write(s, c)
    write(t, c + 4)
    write(u, c + 8)
  }

  @inline(never)
  func rowsTile12(
    _ a: Rows, _ segments: Int, _ length: Int, _ b: Source, _ c: TargetRows, _ accumulate: Bool
  ) {
    rowsLoop12(a, segments, length, b, tileColumns, c, accumulate) { _, _, _ in }
  }

  /// The same with one segment, while `length` lines of memory are asked for, `stride` apart.
  @inline(never)
  func rowsTile12Ahead(
    _ a: Rows, _ length: Int, _ b: Source, _ c: TargetRows, _ accumulate: Bool, _ ahead: Target,
    _ stride: Int
  ) {
    rowsLoop12(a, 1, length, b, tileColumns, c, accumulate) { k, _, _ in
      prefetch(ahead + k &* stride)
    }
  }

  /// The same with b as stored, rows `stride` apart, which is packed into `panel` for the tiles that follow.
  @inline(never)
  func rowsTile12Packing(
    _ a: Rows, _ length: Int, _ b: Source, _ stride: Int, _ panel: Target, _ c: TargetRows,
    _ accumulate: Bool, _ ahead: Target
  ) {
    rowsLoop12(a, 1, length, b, stride, c, accumulate) { k, b0, b1 in
      store(b0, panel + k &* tileColumns)
      store(b1, panel + (k &* tileColumns &+ width))
      prefetch(ahead + k &* stride)
    }
  }

  /// The first vector of columns of a whole tile, one segment: the last panel of a C with an odd number of vectors.
  @inline(never)
  func rowsTile12Narrow(
    _ a: Rows, _ length: Int, _ b: Source, _ c: TargetRows, _ accumulate: Bool
  ) {
    let a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3], a4 = a[4], a5 = a[5]
    let a6 = a[6], a7 = a[7], a8 = a[8], a9 = a[9], a10 = a[10], a11 = a[11]
    let z = splat(0)
    var s: TwoRows = (z, z, z, z)
    var t: TwoRows = (z, z, z, z)
    var u: TwoRows = (z, z, z, z)
    if accumulate {
      s = (load(c[0]), load(c[1]), load(c[2]), load(c[3]))
      t = (load(c[4]), load(c[5]), load(c[6]), load(c[7]))
      u = (load(c[8]), load(c[9]), load(c[10]), load(c[11]))
    }
    var p = b
    var k = 0
    while k < length {
      let v = load(p)
      s.0 = multiplyAdd(s.0, splat(a0[k]), v)
      s.1 = multiplyAdd(s.1, splat(a1[k]), v)
      s.2 = multiplyAdd(s.2, splat(a2[k]), v)
      s.3 = multiplyAdd(s.3, splat(a3[k]), v)
      t.0 = multiplyAdd(t.0, splat(a4[k]), v)
      t.1 = multiplyAdd(t.1, splat(a5[k]), v)
      t.2 = multiplyAdd(t.2, splat(a6[k]), v)
      t.3 = multiplyAdd(t.3, splat(a7[k]), v)
      u.0 = multiplyAdd(u.0, splat(a8[k]), v)
      u.1 = multiplyAdd(u.1, splat(a9[k]), v)
      u.2 = multiplyAdd(u.2, splat(a10[k]), v)
      u.3 = multiplyAdd(u.3, splat(a11[k]), v)
      p += tileColumns
      k &+= 1
    }
    store(s.0, c[0])
    store(s.1, c[1])
    store(s.2, c[2])
    store(s.3, c[3])
    store(t.0, c[4])
    store(t.1, c[5])
    store(t.2, c[6])
    store(t.3, c[7])
    store(u.0, c[8])
    store(u.1, c[9])
    store(u.2, c[10])
    store(u.3, c[11])
  }

  @inline(never)
  func rowsTile8(
    _ a: Rows, _ segments: Int, _ length: Int, _ b: Source, _ c: TargetRows, _ accumulate: Bool
  ) {
    var s = zeroFour()
    var t = zeroFour()
    if accumulate {
      read(&s, c)
      read(&t, c + 4)
    }
    var p = b
    var rows = a
    let end = a + segments &* tileRows
    while rows < end {
      let a0 = rows[0], a1 = rows[1], a2 = rows[2], a3 = rows[3]
      let a4 = rows[4], a5 = rows[5], a6 = rows[6], a7 = rows[7]
      var k = 0
      while k < length {
        let b0 = load(p)
        let b1 = load(p + width)
        step(&s, a0[k], a1[k], a2[k], a3[k], b0, b1)
        step(&t, a4[k], a5[k], a6[k], a7[k], b0, b1)
        p += tileColumns
        k &+= 1
      }
      rows += tileRows
    }
    write(s, c)
    write(t, c + 4)
  }
#else
  @inline(never)
  func rowsTile6(
    _ a: Rows, _ segments: Int, _ length: Int, _ b: Source, _ c: TargetRows, _ accumulate: Bool
  ) {
    var s = zeroFour()
    var t = zeroTwo()
    if accumulate {
      read(&s, c)
      read(&t, c + 4)
    }
    var p = b
    var rows = a
    let end = a + segments &* tileRows
    while rows < end {
      let a0 = rows[0], a1 = rows[1], a2 = rows[2], a3 = rows[3]
      let a4 = rows[4], a5 = rows[5]
      var k = 0
      while k < length {
        let b0 = load(p)
        let b1 = load(p + width)
        step(&s, a0[k], a1[k], a2[k], a3[k], b0, b1)
        step(&t, a4[k], a5[k], b0, b1)
        p += tileColumns
        k &+= 1
      }
      rows += tileRows
    }
    write(s, c)
    write(t, c + 4)
  }
#endif

/// As above for 4 rows.
@inline(never)
func rowsTile4(
  _ a: Rows, _ segments: Int, _ length: Int, _ b: Source, _ c: TargetRows, _ accumulate: Bool
) {
  var s = zeroFour()
  if accumulate { read(&s, c) }
  var p = b
  var rows = a
  let end = a + segments &* tileRows
  while rows < end {
    let a0 = rows[0], a1 = rows[1], a2 = rows[2], a3 = rows[3]
    var k = 0
    while k < length {
      let b0 = load(p)
      let b1 = load(p + width)
      step(&s, a0[k], a1[k], a2[k], a3[k], b0, b1)
      p += tileColumns
      k &+= 1
    }
    rows += tileRows
  }
  write(s, c)
}

// Columns form. C[r, :] (+)= Σ over segments, k < length of a[s][k·strideA + r] · b[s][k·strideB,
// :]: the rows r are contiguous in memory. Segments are rows of an image.

#if WIDTH16
  /// Sums of a full tile.
  typealias TileSums = (FourRows, FourRows, FourRows)

  @inline(__always) private func zeroColumns() -> TileSums { (zeroFour(), zeroFour(), zeroFour()) }
  @inline(__always) private func read(_ s: inout TileSums, _ c: TargetRows) {
    read(&s.0, c)
    read(&s.1, c + 4)
    read(&s.2, c + 8)
  }
  @inline(__always) private func write(_ s: TileSums, _ c: TargetRows) {
    write(s.0, c)
    write(s.1, c + 4)
    write(s.2, c + 8)
  }
  /// One step of the reduction: all rows of a column of A times a row of B.
  @inline(__always) private func step(_ s: inout TileSums, _ a: Source, _ b: Source) {
    let b0 = load(b)
    let b1 = load(b + width)
    step(&s.0, a[0], a[1], a[2], a[3], b0, b1)
    step(&s.1, a[4], a[5], a[6], a[7], b0, b1)
    step(&s.2, a[8], a[9], a[10], a[11], b0, b1)
  }
#else
  typealias TileSums = (FourRows, TwoRows)

  @inline(__always) private func zeroColumns() -> TileSums { (zeroFour(), zeroTwo()) }
  @inline(__always) private func read(_ s: inout TileSums, _ c: TargetRows) {
    read(&s.0, c)
    read(&s.1, c + 4)
  }
  @inline(__always) private func write(_ s: TileSums, _ c: TargetRows) {
    write(s.0, c)
    write(s.1, c + 4)
  }
  @inline(__always) private func step(_ s: inout TileSums, _ a: Source, _ b: Source) {
    let b0 = load(b)
    let b1 = load(b + width)
    step(&s.0, a[0], a[1], a[2], a[3], b0, b1)
    step(&s.1, a[4], a[5], b0, b1)
  }
#endif

/// All rows of a full tile. Meanwhile memory is asked for: the tile of C from `next` on, rows `strideC` apart, then
/// lines from `stream` on.
@inline(never)
func columnsTile(
  _ a: Rows, _ b: Rows, _ segments: Int, _ offset: Int, _ length: Int, _ strideA: Int,
  _ strideB: Int, _ c: TargetRows, _ accumulate: Bool, _ next: Target, _ strideC: Int,
  _ stream: Target
) {
  var sums = zeroColumns()
  if accumulate { read(&sums, c) }
  var segment = 0
  while segment < segments {
    var p = b[segment]
    var q = a[segment] + offset
    // Three loops, so that each asks for memory along one line of addresses.
    var k = length
    var part = 0
    while k > 0 {
      var asked = part == 0 ? next : part == 1 ? next + width : stream
      let apart = part < 2 ? strideC : 16
      var n = part < 2 && k > tileRows ? tileRows : k
      k &-= n
      part &+= 1
      while n > 0 {
        step(&sums, q, p)
        prefetch(asked)
        asked += apart
        p += strideB
        q += strideA
        n &-= 1
      }
    }
    segment &+= 1
  }
  write(sums, c)
}

/// Places in three matrices that will be read soon, and the elements between their rows.
typealias TileAhead = (Target, Target, Target, Int)

/// All rows of a full tile, one segment. Meanwhile the tiles `ahead` are asked for.
@inline(never)
func columnsTileAhead(
  _ a: Source, _ b: Source, _ length: Int, _ strideA: Int, _ strideB: Int, _ c: TargetRows,
  _ accumulate: Bool, _ ahead: TileAhead
) {
  var sums = zeroColumns()
  if accumulate { read(&sums, c) }
  var p = b
  var q = a
  var (x, y, z, stride) = ahead
  var k = length
  while k > 0 {
    // The first rows of the reduction ask for a row of each tile, the others for nothing.
    let asks = k == length
    var n = asks && k > tileRows ? tileRows : k
    k &-= n
    while n > 0 {
      step(&sums, q, p)
      if asks {
        prefetch(x)
        prefetch(y)
        prefetch(z)
        #if WIDTH16
          prefetch(x + width)
          prefetch(y + width)
          prefetch(z + width)
        #endif
        x += stride
        y += stride
        z += stride
      }
      p += strideB
      q += strideA
      n &-= 1
    }
  }
  write(sums, c)
}

/// Up to four rows; missing ones repeat the last.
@inline(never)
func columnsTile4(
  _ a: Rows, _ b: Rows, _ segments: Int, _ offset: Int, _ rows: Int, _ length: Int,
  _ strideA: Int, _ strideB: Int, _ c: TargetRows, _ accumulate: Bool
) {
  var s = zeroFour()
  if accumulate { read(&s, c) }
  let r1 = rows > 1 ? 1 : 0
  let r2 = rows > 2 ? 2 : rows &- 1
  let r3 = rows > 3 ? 3 : rows &- 1
  var segment = 0
  while segment < segments {
    var p = b[segment]
    var q = a[segment] + offset
    var k = length
    while k > 0 {
      step(&s, q[0], q[r1], q[r2], q[r3], load(p), load(p + width))
      p += strideB
      q += strideA
      k &-= 1
    }
    segment &+= 1
  }
  write(s, c)
}

/// Rows form for `rows` ≤ tileRows rows: the smallest tile that holds them. Pointers of rows beyond
/// must be valid for reading A and writing C.
@inline(__always)
func rowsTile(
  _ rows: Int, _ a: Rows, _ segments: Int, _ length: Int, _ b: Source, _ c: TargetRows,
  _ accumulate: Bool
) {
  #if WIDTH16
    if rows > 8 {
      rowsTile12(a, segments, length, b, c, accumulate)
    } else if rows > 4 {
      rowsTile8(a, segments, length, b, c, accumulate)
    } else {
      rowsTile4(a, segments, length, b, c, accumulate)
    }
  #else
    if rows > 4 {
      rowsTile6(a, segments, length, b, c, accumulate)
    } else {
      rowsTile4(a, segments, length, b, c, accumulate)
    }
  #endif
}
