// Softmax and its logarithm over rows, and the index of the largest element.

import KernelTable

/// output[r, c] = e^(x − max) / Σ, or x − max − ln Σ. SoftmaxArguments.
func softmaxKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: SoftmaxArguments.self)
  let n = p.pointee.columns
  guard n > 0 else { return }
  let end = shareStart(p.pointee.rows, index &+ 1, count)
  var r = shareStart(p.pointee.rows, index, count)
  while r < end {
    let x = p.pointee.input! + r &* n
    let y = p.pointee.output! + r &* n
    let largest = largestOf(x, n)
    let sum = exponentialSum(x, n, largest)
    let shift = splat(largest)
    if p.pointee.logarithm {
      let log = splat(logarithm(splat(sum))[0])
      eachLane(x, y, n) { $0 - shift - log }
    } else {
      let all = splat(sum)
      eachLane(x, y, n) { exponential($0 - shift) / all }
    }
    r &+= 1
  }
}

private func largestOf(_ x: Source, _ n: Int) -> Float {
  var i = 0
  var m = splat(-.infinity)
  while i &+ width <= n {
    m = maximum(m, load(x + i))
    i &+= width
  }
  var largest = splat(m[0])
  for lane in 1..<width { largest = maximum(largest, splat(m[lane])) }
  while i < n {
    largest = maximum(largest, splat(x[i]))
    i &+= 1
  }
  return largest[0]
}

private func exponentialSum(_ x: Source, _ n: Int, _ largest: Float) -> Float {
  var i = 0
  var s = splat(0)
  while i &+ width <= n {
    s = s + exponential(load(x + i) - splat(largest))
    i &+= width
  }
  var sum = laneSum(s)
  while i < n {
    sum += exponential(splat(x[i] - largest))[0]
    i &+= 1
  }
  return sum
}

@inline(__always) private func eachLane(
  _ x: Source, _ y: Target, _ n: Int, _ body: (Vector) -> Vector
) {
  var i = 0
  while i < n {
    if i &+ width <= n {
      store(body(load(x + i)), y + i)
      i &+= width
    } else {
      y[i] = body(splat(x[i]))[0]
      i &+= 1
    }
  }
}

/// output[o, i] = the first r with the largest input[o, r, i]; a NaN is larger than all.
/// ArgmaxArguments.
func argmaxKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: ArgmaxArguments.self)
  let inner = p.pointee.inner
  let reduce = p.pointee.reduce
  let total = p.pointee.outer &* inner
  let end = shareStart(total, index &+ 1, count)
  var at = shareStart(total, index, count)
  while at < end {
    let o = at / inner
    let x = p.pointee.input! + (o &* reduce &* inner &+ (at &- o &* inner))
    var best = 0
    var value = x[0]
    var r = 1
    while r < reduce && value == value {
      let next = x[r &* inner]
      if next > value || next != next {
        value = next
        best = r
      }
      r &+= 1
    }
    p.pointee.output![at] = Int32(truncatingIfNeeded: best)
    at &+= 1
  }
}
