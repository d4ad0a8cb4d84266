// Packing of filters [kh, kw, in, out]: as they are for the forward convolution; with channels
// exchanged, tap by tap in the order of the phases, for the input gradient.

import KernelTable

/// packed[panel][tap][c][:] = w[tap, c, panel·tileColumns + :]; [o][tap][c] where out < 8.
/// ConvolutionArguments.
func packFilterKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: ConvolutionArguments.self).pointee
  let taps = p.kernelHeight &* p.kernelWidth
  packTaps(
    p.filter!, p.packed!, taps, p.inChannels, p.outChannels, p.outChannels, 1, index, count,
    { tap in (tap, 0, taps, tap) })
}

/// packed[phase][panel][tap of phase][o][:] = w[tap, panel·tileColumns + :, o]; [phase][c][tap of
/// phase][o] where in < 8. ConvolutionArguments.
func packFilterTransposedKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: ConvolutionArguments.self).pointee
  let kh = p.kernelHeight
  let kw = p.kernelWidth
  let sh = p.strideHeight
  let sw = p.strideWidth
  packTaps(
    p.filter!, p.packed!, kh &* kw, p.outChannels, p.inChannels, 1, p.outChannels, index, count,
    { tap in
      let u = tap / kw
      let v = tap &- u &* kw
      let a = u % sh
      let b = v % sw
      // Taps of the phases before: whole rows of phases, then phases of this row.
      var before = 0
      var i = 0
      while i < a {
        before &+= phaseTaps(kh, i, sh) &* kw
        i &+= 1
      }
      let rows = phaseTaps(kh, a, sh)
      i = 0
      while i < b {
        before &+= rows &* phaseTaps(kw, i, sw)
        i &+= 1
      }
      let columns = phaseTaps(kw, b, sw)
      return (tap, before, rows &* columns, u / sh &* columns &+ v / sw)
    })
}

/// Packs B(tap)(k, n) = w[tap·k·n + k·strideK + n·strideN] for all taps; `place` gives for a tap
/// (itself, the taps before its group, the taps of its group, its number in the group).
@inline(__always) private func packTaps(
  _ filter: Target, _ packed: Target, _ taps: Int, _ k: Int, _ n: Int, _ strideK: Int,
  _ strideN: Int, _ index: Int, _ count: Int, _ place: (Int) -> (Int, Int, Int, Int)
) {
  let narrow = n < 8
  let columns = packedColumns(n)
  let panels = narrow ? n : columns / tileColumns
  let wide = narrow ? 1 : tileColumns
  let units = taps &* panels
  let end = shareStart(units, index &+ 1, count)
  var unit = shareStart(units, index, count)
  while unit < end {
    let tap = unit / panels
    let panel = unit &- tap &* panels
    let (_, before, group, inGroup) = place(tap)
    let from = UnsafePointer(filter) + (tap &* k &* n &+ panel &* wide &* strideN)
    let to = packed + ((before &* columns &+ (panel &* group &+ inGroup) &* wide) &* k)
    if narrow {
      packRow(from, strideK, k, to)
    } else {
      let real = n &- panel &* tileColumns < tileColumns ? n &- panel &* tileColumns : tileColumns
      packPanel(from, strideK, strideN, k, real, to)
    }
    unit &+= 1
  }
}
