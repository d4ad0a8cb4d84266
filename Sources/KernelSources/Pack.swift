// Packing of the right operand of a product into panels as wide as a register tile.

import KernelTable

/// 4 × 4 numbers, rows to columns: to[j·toStride + i] = from[i·fromStride + j].
@inline(__always) func transpose4(
  _ from: Source, _ fromStride: Int, _ to: Target, _ toStride: Int
) {
  let a = UnsafeRawPointer(from).loadUnaligned(as: SIMD4<Float>.self)
  let b = UnsafeRawPointer(from + fromStride).loadUnaligned(as: SIMD4<Float>.self)
  let c = UnsafeRawPointer(from + 2 &* fromStride).loadUnaligned(as: SIMD4<Float>.self)
  let d = UnsafeRawPointer(from + 3 &* fromStride).loadUnaligned(as: SIMD4<Float>.self)
  let raw = UnsafeMutableRawPointer(to)
  let bytes = toStride &* 4
  raw.storeBytes(of: SIMD4(a[0], b[0], c[0], d[0]), as: SIMD4<Float>.self)
  (raw + bytes).storeBytes(of: SIMD4(a[1], b[1], c[1], d[1]), as: SIMD4<Float>.self)
  (raw + 2 &* bytes).storeBytes(of: SIMD4(a[2], b[2], c[2], d[2]), as: SIMD4<Float>.self)
  (raw + 3 &* bytes).storeBytes(of: SIMD4(a[3], b[3], c[3], d[3]), as: SIMD4<Float>.self)
}

/// to[j·toStride + i] = from[i·fromStride + j] for i < rows, j < columns.
func transposeBlock(
  _ from: Source, _ fromStride: Int, _ to: Target, _ toStride: Int, _ rows: Int, _ columns: Int
) {
  let wholeRows = rows & ~3
  let wholeColumns = columns & ~3
  var i = 0
  while i < wholeRows {
    var j = 0
    while j < wholeColumns {
      transpose4(from + (i &* fromStride &+ j), fromStride, to + (j &* toStride &+ i), toStride)
      j &+= 4
    }
    i &+= 4
  }
  i = 0
  while i < rows {
    var j = i < wholeRows ? wholeColumns : 0
    while j < columns {
      to[j &* toStride &+ i] = from[i &* fromStride &+ j]
      j &+= 1
    }
    i &+= 1
  }
}

/// One panel: packed[k][tileColumns], b(k, n) = source[k·strideK + n·strideN], `columns` of them
/// real.
@inline(__always) func packPanel(
  _ source: Source, _ strideK: Int, _ strideN: Int, _ k: Int, _ columns: Int, _ packed: Target
) {
  if strideN == 1 {
    var i = 0
    if columns == tileColumns {
      while i < k {
        let from = source + i &* strideK
        let to = packed + i &* tileColumns
        store(load(from), to)
        store(load(from + width), to + width)
        i &+= 1
      }
    } else {
      while i < k {
        copyElements(source + i &* strideK, packed + i &* tileColumns, columns)
        fillElements(0, packed + (i &* tileColumns &+ columns), tileColumns &- columns)
        i &+= 1
      }
    }
  } else {
    if columns < tileColumns { fillElements(0, packed, k &* tileColumns) }
    // Pieces of the reduction, so that the lines of the panel stay in the first-level cache.
    var at = 0
    while at < k {
      let n = k &- at < 64 ? k &- at : 64
      transposeBlock(source + at, strideN, packed + at &* tileColumns, tileColumns, columns, n)
      at &+= n
    }
  }
}

/// packed[batch][panel][k][:] = b(k, panel·tileColumns + :), zeros beyond n; [n][k] where n < 8.
/// PackArguments.
func packKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: PackArguments.self).pointee
  let narrow = p.n < 8
  let panels = narrow ? p.n : (p.n &+ tileColumns &- 1) / tileColumns
  let size = narrow ? p.k &* p.n : panels &* tileColumns &* p.k
  let units = p.batches &* panels
  let end = shareStart(units, index &+ 1, count)
  var unit = shareStart(units, index, count)
  while unit < end {
    let batch = unit / panels
    let panel = unit &- batch &* panels
    let source = p.source! + batch &* p.batchStride
    let packed = p.packed! + batch &* size
    if narrow {
      packRow(source + panel &* p.strideN, p.strideK, p.k, packed + panel &* p.k)
    } else {
      let first = panel &* tileColumns
      let columns = p.n &- first < tileColumns ? p.n &- first : tileColumns
      packPanel(
        source + first &* p.strideN, p.strideK, p.strideN, p.k, columns,
        packed + panel &* tileColumns &* p.k)
    }
    unit &+= 1
  }
}

/// One column of B as a row.
@inline(__always) func packRow(_ source: Source, _ strideK: Int, _ k: Int, _ packed: Target) {
  if strideK == 1 {
    copyElements(source, packed, k)
  } else {
    var i = 0
    while i < k {
      packed[i] = source[i &* strideK]
      i &+= 1
    }
  }
}
