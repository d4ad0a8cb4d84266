// Copies by strides, fills and counting. Elements are 4 bytes, moved as they are.

import KernelTable

/// destination[Σ iₐ·dₐ] = source[Σ iₐ·sₐ]. Trailing axes that lie together on both sides are one
/// run; runs are moved whole, and a run that is strided in the source, where another axis is
/// contiguous, is transposed in blocks. CopyArguments.
func copyKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: CopyArguments.self).pointee
  let source = p.source!.assumingMemoryBound(to: Float.self)
  let target = p.destination!.assumingMemoryBound(to: Float.self)
  guard p.rank > 0, let sizes = p.sizes, let from = p.sourceStrides,
    let to = p.destinationStrides
  else {
    if index == 0 { target[0] = source[0] }
    return
  }
  // Axes of size 1 at the end say nothing.
  var last = p.rank &- 1
  while last > 0 && sizes[last] == 1 { last &-= 1 }
  var run = sizes[last]
  let runFrom = from[last]
  let runTo = to[last]
  while last > 0 && from[last &- 1] == runFrom &* run && to[last &- 1] == runTo &* run {
    last &-= 1
    run &*= sizes[last]
  }
  var transposed = -1
  if runTo == 1 && runFrom != 1 && runFrom != 0 && run >= 4 {
    var axis = last &- 1
    while axis >= 0 {
      if from[axis] == 1 && sizes[axis] >= 4 { transposed = axis }
      axis &-= 1
    }
  }
  // Units are runs (times pieces of 4,096), or with a transposed axis blocks of 64 × 64 of it and
  // the run.
  let piece = transposed >= 0 ? 64 : 4096
  let pieces = (run &+ piece &- 1) / piece
  var units = pieces
  var axis = 0
  while axis < last {
    units &*= axis == transposed ? (sizes[axis] &+ 63) / 64 : sizes[axis]
    axis &+= 1
  }
  let end = shareStart(units, index &+ 1, count)
  var unit = shareStart(units, index, count)
  while unit < end {
    var rest = unit / pieces
    let first = (unit &- rest &* pieces) &* piece
    let n = run &- first < piece ? run &- first : piece
    var s = first &* runFrom
    var t = first &* runTo
    var columns = 1
    axis = last &- 1
    while axis >= 0 {
      let size = axis == transposed ? (sizes[axis] &+ 63) / 64 : sizes[axis]
      let next = rest / size
      var i = rest &- next &* size
      if axis == transposed {
        i &*= 64
        columns = sizes[axis] &- i < 64 ? sizes[axis] &- i : 64
      }
      s &+= i &* from[axis]
      t &+= i &* to[axis]
      rest = next
      axis &-= 1
    }
    if transposed >= 0 {
      transposeBlock(source + s, runFrom, target + t, to[transposed], n, columns)
      unit &+= 1
    } else {
      moveRun(source + s, runFrom, target + t, runTo, n)
      unit &+= 1
      // Further runs along the next axis need no division.
      if pieces == 1 && last > 0 {
        let axisSize = sizes[last &- 1]
        var i = (unit &- 1) % axisSize
        while unit < end && i &+ 1 < axisSize {
          s &+= from[last &- 1]
          t &+= to[last &- 1]
          moveRun(source + s, runFrom, target + t, runTo, n)
          unit &+= 1
          i &+= 1
        }
      }
    }
  }
}

@inline(__always) func moveRun(
  _ from: Source, _ fromStride: Int, _ to: Target, _ toStride: Int, _ n: Int
) {
  if toStride == 1 && fromStride == 1 {
    copyElements(from, to, n)
  } else if toStride == 1 && fromStride == 0 {
    fillElements(from[0], to, n)
  } else {
    var i = 0
    while i < n {
      to[i &* toStride] = from[i &* fromStride]
      i &+= 1
    }
  }
}

/// destination[i] = word. FillArguments.
func fillKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: FillArguments.self).pointee
  let units = (p.count &+ 63) / 64
  let start = shareStart(units, index, count) &* 64
  var end = shareStart(units, index &+ 1, count) &* 64
  if end > p.count { end = p.count }
  guard start < end else { return }
  fillElements(
    Float(bitPattern: p.word), p.destination!.assumingMemoryBound(to: Float.self) + start,
    end &- start)
}

/// destination[i] = start + i·step. IotaArguments.
func iotaKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: IotaArguments.self).pointee
  var i = shareStart(p.count, index, count)
  let end = shareStart(p.count, index &+ 1, count)
  while i < end {
    p.destination![i] = p.start &+ Int32(truncatingIfNeeded: i) &* p.step
    i &+= 1
  }
}
