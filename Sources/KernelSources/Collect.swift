// Convolutions to few channels, after a matrix product that has made every tap's contribution of every source pixel:
// target pixels add the contributions that belong to them. The product reads each source pixel once, with the taps
// as its columns; a dot product for each target pixel would read it once a tap.

import KernelTable

/// target[i, j, c] = Σ over taps of contributions[source pixel under the tap][tap][c], taps in order; then the
/// epilogue. CollectArguments.
func collectKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: CollectArguments.self)
  let end = shareStart(p.pointee.batch, index &+ 1, count)
  var n = shareStart(p.pointee.batch, index, count)
  guard n < end else { return }
  var run: RegionRun?
  if let epilogue = p.pointee.epilogue, let scratch { run = prepareRegion(epilogue, scratch) }
  let rowFloats = p.pointee.targetWidth &* p.pointee.channels
  let taps = p.pointee.taps
  let imageFloats = p.pointee.targetHeight &* rowFloats
  while n < end {
    let image = p.pointee.target! + n &* imageFloats
    let from =
      p.pointee.contributions! + n &* p.pointee.sourceHeight &* p.pointee.sourceWidth &* taps
    fillElements(0, image, imageFloats)
    var i = 0
    while i < p.pointee.targetHeight {
      collectRow(p, i, image + i &* rowFloats, from, taps)
      i &+= 1
    }
    if let run { runRegion(run, n &* imageFloats, imageFloats) }
    n &+= 1
  }
}

/// Adds all taps to one row of the target.
@inline(__always) private func collectRow(
  _ p: UnsafePointer<CollectArguments>, _ i: Int, _ row: Target, _ from: Source, _ taps: Int
) {
  let stride = p.pointee.strideHeight
  var u = 0
  while u < p.pointee.kernelHeight {
    // Backward, only rows that the stride divides have a source.
    let at = p.pointee.backward ? i &+ p.pointee.top &- u : i &* stride &- p.pointee.top &+ u
    let q = p.pointee.backward ? at / stride : at
    if at >= 0 && q < p.pointee.sourceHeight && (!p.pointee.backward || q &* stride == at) {
      var v = 0
      while v < p.pointee.kernelWidth {
        let tap = (u &* p.pointee.kernelWidth &+ v) &* p.pointee.channels
        collectTap(p, v, row, from + (q &* p.pointee.sourceWidth &* taps &+ tap), taps)
        v &+= 1
      }
    }
    u &+= 1
  }
}

/// Adds one tap of one source row: the pairs of a target column j and a source column q with j·s − left + v = q, or
/// backward q·s − left + v = j.
@inline(__always) private func collectTap(
  _ p: UnsafePointer<CollectArguments>, _ v: Int, _ row: Target, _ from: Source, _ taps: Int
) {
  let channels = p.pointee.channels
  let offset = v &- p.pointee.left
  let stride = p.pointee.strideWidth
  // The side that moves by 1 a pair, and the other's place and end.
  let slowEnd = p.pointee.backward ? p.pointee.sourceWidth : p.pointee.targetWidth
  let fastEnd = p.pointee.backward ? p.pointee.targetWidth : p.pointee.sourceWidth
  let slow = offset >= 0 ? 0 : (stride &- 1 &- offset) / stride
  let fast = slow &* stride &+ offset
  guard slow < slowEnd && fast < fastEnd else { return }
  let slowPairs = slowEnd &- slow
  let fastPairs = (fastEnd &- fast &+ stride &- 1) / stride
  var pairs = slowPairs < fastPairs ? slowPairs : fastPairs
  var to = row + (p.pointee.backward ? fast : slow) &* channels
  var contribution = from + (p.pointee.backward ? slow : fast) &* taps
  let toStep = p.pointee.backward ? stride &* channels : channels
  let contributionStep = p.pointee.backward ? taps : stride &* taps
  if channels == 1 {
    while pairs > 0 {
      to[0] = to[0] + contribution[0]
      to += toStep
      contribution += contributionStep
      pairs &-= 1
    }
    return
  }
  while pairs > 0 {
    var c = 0
    while c < channels {
      to[c] = to[c] + contribution[c]
      c &+= 1
    }
    to += toStep
    contribution += contributionStep
    pairs &-= 1
  }
}
