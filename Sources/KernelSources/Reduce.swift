// Sums, maxima and minima over the middle axis of [outer, reduce, inner], in an order that the
// shape and the width of a vector fix.

import KernelTable

@inline(__always) private func sumOf(_ a: Vector, _ b: Vector) -> Vector { a + b }
@inline(__always) private func integerSum(_ a: Vector, _ b: Vector) -> Vector {
  floats(integers(a) &+ integers(b))
}
@inline(__always) private func integerMaximum(_ a: Vector, _ b: Vector) -> Vector {
  floats(choose(integers(a) .> integers(b), integers(a), integers(b)))
}
@inline(__always) private func integerMinimum(_ a: Vector, _ b: Vector) -> Vector {
  floats(choose(integers(a) .< integers(b), integers(a), integers(b)))
}

/// output[o, i] = ⊕ᵣ input[o, r, i], or the partial results of `splits` chunks. ReduceArguments.
func reduceKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: ReduceArguments.self)
  switch p.pointee.operation {
  case .sum:
    if p.pointee.isInteger {
      reduceShare(p, index, count, integerSum)
    } else {
      reduceShare(p, index, count, sumOf)
    }
  case .maximum:
    if p.pointee.isInteger {
      reduceShare(p, index, count, integerMaximum)
    } else {
      reduceShare(p, index, count, maximum)
    }
  case .minimum:
    if p.pointee.isInteger {
      reduceShare(p, index, count, integerMinimum)
    } else {
      reduceShare(p, index, count, minimum)
    }
  }
}

/// output[i] = scale · ⊕ partial[s][i], s ascending. ReduceArguments.
func reduceCombineKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: ReduceArguments.self)
  switch p.pointee.operation {
  case .sum:
    if p.pointee.isInteger {
      combineShare(p, index, count, integerSum)
    } else {
      combineShare(p, index, count, sumOf)
    }
  case .maximum:
    if p.pointee.isInteger {
      combineShare(p, index, count, integerMaximum)
    } else {
      combineShare(p, index, count, maximum)
    }
  case .minimum:
    if p.pointee.isInteger {
      combineShare(p, index, count, integerMinimum)
    } else {
      combineShare(p, index, count, minimum)
    }
  }
}

@inline(__always) private func reduceShare(
  _ p: UnsafePointer<ReduceArguments>, _ index: Int, _ count: Int,
  _ combine: (Vector, Vector) -> Vector
) {
  let outer = p.pointee.outer
  let reduce = p.pointee.reduce
  let inner = p.pointee.inner
  let splits = reductionSplits(outer: outer, reduce: reduce, inner: inner)
  let blocks = reductionBlocks(outer: outer, inner: inner)
  let isFloatSum = p.pointee.operation.isSum && !p.pointee.isInteger
  let scale = isFloatSum && splits == 1 ? p.pointee.scale : 1
  let input = p.pointee.input!.assumingMemoryBound(to: Float.self)
  let output = (splits > 1 ? p.pointee.partial! : p.pointee.output!)
    .assumingMemoryBound(to: Float.self)
  let end = shareStart(blocks &* splits, index &+ 1, count)
  var unit = shareStart(blocks &* splits, index, count)
  while unit < end {
    let split = unit / blocks
    let block = unit &- split &* blocks
    let r0 = reduce &* split / splits
    let r1 = reduce &* (split &+ 1) / splits
    let to = output + split &* outer &* inner
    if inner == 1 {
      var o = block &* 16
      let last = o &+ 16 < outer ? o &+ 16 : outer
      while o < last {
        let value = foldRow(input + (o &* reduce &+ r0), r1 &- r0, combine)
        to[o] = isFloatSum ? value * scale : value
        o &+= 1
      }
    } else {
      let perRow = (inner &+ 255) / 256
      let o = block / perRow
      let first = (block &- o &* perRow) &* 256
      let lanes = inner &- first < 256 ? inner &- first : 256
      foldColumns(
        input + ((o &* reduce &+ r0) &* inner &+ first), inner, r1 &- r0, lanes,
        to + (o &* inner &+ first), isFloatSum, scale, combine)
    }
    unit &+= 1
  }
}

/// The fold of n contiguous numbers: four vectors of partial results, then the lanes in order, then
/// the tail.
@inline(__always) private func foldRow(
  _ x: Source, _ n: Int, _ combine: (Vector, Vector) -> Vector
) -> Float {
  var i = 1
  var total = splat(n > 0 ? x[0] : 0)
  if n >= 4 &* width {
    var a = load(x), b = load(x + width), c = load(x + 2 &* width), d = load(x + 3 &* width)
    i = 4 &* width
    while i &+ 4 &* width <= n {
      a = combine(a, load(x + i))
      b = combine(b, load(x + (i &+ width)))
      c = combine(c, load(x + (i &+ 2 &* width)))
      d = combine(d, load(x + (i &+ 3 &* width)))
      i &+= 4 &* width
    }
    let v = combine(combine(a, b), combine(c, d))
    total = splat(v[0])
    for lane in 1..<width { total = combine(total, splat(v[lane])) }
  }
  while i < n {
    total = combine(total, splat(x[i]))
    i &+= 1
  }
  return total[0]
}

/// Folds rows into `lanes` columns. Rows are folded by sixty-fours, so that long sums keep their
/// accuracy.
@inline(__always) private func foldColumns(
  _ x: Source, _ stride: Int, _ rows: Int, _ lanes: Int, _ to: Target, _ scaled: Bool,
  _ scale: Float, _ combine: (Vector, Vector) -> Vector
) {
  var i = 0
  while i &+ 4 &* width <= lanes {
    var a = load(x + i), b = load(x + (i &+ width))
    var c = load(x + (i &+ 2 &* width)), d = load(x + (i &+ 3 &* width))
    var r = 1
    while r < rows {
      let last = r &+ 64 < rows ? r &+ 64 : rows
      var row = x + (r &* stride &+ i)
      var e = load(row), f = load(row + width)
      var g = load(row + 2 &* width), h = load(row + 3 &* width)
      r &+= 1
      while r < last {
        row += stride
        e = combine(e, load(row))
        f = combine(f, load(row + width))
        g = combine(g, load(row + 2 &* width))
        h = combine(h, load(row + 3 &* width))
        r &+= 1
      }
      a = combine(a, e)
      b = combine(b, f)
      c = combine(c, g)
      d = combine(d, h)
    }
    let s = splat(scale)
    store(scaled ? a * s : a, to + i)
    store(scaled ? b * s : b, to + (i &+ width))
    store(scaled ? c * s : c, to + (i &+ 2 &* width))
    store(scaled ? d * s : d, to + (i &+ 3 &* width))
    i &+= 4 &* width
  }
  while i < lanes {
    // Whole vectors, then single columns in the first lane: the same operations in the same order.
    let single = i &+ width > lanes
    var a = single ? splat(x[i]) : load(x + i)
    var r = 1
    while r < rows {
      let last = r &+ 64 < rows ? r &+ 64 : rows
      var row = x + (r &* stride &+ i)
      var e = single ? splat(row[0]) : load(row)
      r &+= 1
      while r < last {
        row += stride
        e = combine(e, single ? splat(row[0]) : load(row))
        r &+= 1
      }
      a = combine(a, e)
    }
    if scaled { a = a * scale }
    if single {
      to[i] = a[0]
      i &+= 1
    } else {
      store(a, to + i)
      i &+= width
    }
  }
}

@inline(__always) private func combineShare(
  _ p: UnsafePointer<ReduceArguments>, _ index: Int, _ count: Int,
  _ combine: (Vector, Vector) -> Vector
) {
  let outer = p.pointee.outer
  let inner = p.pointee.inner
  let splits = reductionSplits(outer: outer, reduce: p.pointee.reduce, inner: inner)
  let scaled = p.pointee.operation.isSum && !p.pointee.isInteger
  let partial = p.pointee.partial!.assumingMemoryBound(to: Float.self)
  let output = p.pointee.output!.assumingMemoryBound(to: Float.self)
  let total = outer &* inner
  let units = (total &+ 63) / 64
  let start = shareStart(units, index, count) &* 64
  var end = shareStart(units, index &+ 1, count) &* 64
  if end > total { end = total }
  guard start < end else { return }
  foldColumns(
    partial + start, total, splits, end &- start, output + start, scaled, p.pointee.scale, combine)
}

extension ReduceOperation {
  @inline(__always) var isSum: Bool {
    switch self {
    case .sum: true
    default: false
    }
  }
}
