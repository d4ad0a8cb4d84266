// The filters of Winograd's convolutions, transformed and packed: for each channel of the reduction and vector of
// channels of the result the matrices of both axes on the real taps, n² points.

import KernelTable

/// packed[point][panel][k][:] = Σ over real taps of matrices · w. WinogradArguments.
func winogradFilterKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: WinogradArguments.self)
  let depth = p.pointee.depth
  let end = shareStart(depth, index &+ 1, count)
  var k = shareStart(depth, index, count)
  guard k < end, let scratch else { return }
  let raw = scratch.assumingMemoryBound(to: Float.self)
  let half = raw + winogradFilterTaps &* width
  let sourceChannels = p.pointee.source.channels
  let targetChannels = p.pointee.target.channels
  let targetStep = p.pointee.target.step
  let columns = p.pointee.width
  // Sizes that are functions of the arguments are asked for once, outside of all loops.
  let stride = p.pointee.packedStride(GemmUnit(rows: tileRows, columns: tileColumns))
  while k < end {
    let sourceGroup = k / sourceChannels
    let sourceChannel = k &- sourceGroup &* sourceChannels
    var c = 0
    while c < targetChannels {
      loadTaps(p, sourceChannel, c, raw)
      var group = 0
      while group < targetStep &* targetStep {
        // One of the two groups is always 0.
        let n = group &* targetChannels &+ c
        transformTaps(
          p, sourceGroup &+ group, raw, half, packedPlace(p, depth, k, n), stride)
        group &+= 1
      }
      c &+= width
    }
    if columns % tileColumns != 0 {
      zeroPanelEnd(
        packedPlace(p, depth, k, columns), p.pointee.pointCount, stride, columns)
    }
    k &+= 1
  }
}

/// Vectors of real taps that the scratch of the filters' kernels has room for: 10×10.
let winogradFilterTaps = 100

/// All real taps of one channel of the reduction and a vector of channels of the result.
@inline(__always) private func loadTaps(
  _ p: UnsafePointer<WinogradArguments>, _ k: Int, _ c: Int, _ raw: Target
) {
  let taps = p.pointee.kernelHeight &* p.pointee.kernelWidth
  let outC = p.pointee.filterOut
  let size = p.pointee.filterIn &* outC
  let from = UnsafePointer(p.pointee.filter!)
  var tap = 0
  while tap < taps {
    let to = raw + tap &* width
    if p.pointee.transposed {
      let at = from + (tap &* size &+ c &* outC &+ k)
      var lane = 0
      while lane < width {
        to[lane] = at[lane &* outC]
        lane &+= 1
      }
    } else {
      store(load(from + (tap &* size &+ k &* outC &+ c)), to)
    }
    tap &+= 1
  }
}

/// Both axes' matrices on the taps of one vector; writes its points, `stride` apart.
@inline(__always) private func transformTaps(
  _ p: UnsafePointer<WinogradArguments>, _ group: Int, _ raw: Target, _ half: Target,
  _ to: Target, _ stride: Int
) {
  let kh = p.pointee.kernelHeight
  let kw = p.pointee.kernelWidth
  let steps = p.pointee.source.step &* p.pointee.target.step
  let rowGroup = group / steps
  let points = p.pointee.points
  let rowMatrix = p.pointee.rowMatrix! + rowGroup &* points &* kh
  let columnMatrix = p.pointee.columnMatrix! + (group &- rowGroup &* steps) &* points &* kw
  var i = 0
  while i < points {
    var v = 0
    while v < kw {
      var sum = splat(0)
      var u = 0
      while u < kh {
        sum = multiplyAdd(sum, load(raw + (u &* kw &+ v) &* width), splat(rowMatrix[i &* kh &+ u]))
        u &+= 1
      }
      store(sum, half + v &* width)
      v &+= 1
    }
    var j = 0
    while j < points {
      var sum = splat(0)
      v = 0
      while v < kw {
        sum = multiplyAdd(sum, load(half + v &* width), splat(columnMatrix[j &* kw &+ v]))
        v &+= 1
      }
      store(sum, to + (i &* points &+ j) &* stride)
      j &+= 1
    }
    i &+= 1
  }
}

/// Where the first point of W[k, n] lies.
@inline(__always) private func packedPlace(
  _ p: UnsafePointer<WinogradArguments>, _ depth: Int, _ k: Int, _ n: Int
) -> Target {
  let panel = n / tileColumns
  return p.pointee.packed!
    + ((panel &* depth &+ k) &* tileColumns &+ (n &- panel &* tileColumns))
}

/// The last panel where the channels fill half of it.
private func zeroPanelEnd(_ to: Target, _ points: Int, _ stride: Int, _ columns: Int) {
  var point = 0
  while point < points {
    fillElements(0, to + point &* stride, tileColumns &- columns % tileColumns)
    point &+= 1
  }
}
