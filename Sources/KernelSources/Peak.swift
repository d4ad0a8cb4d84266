// What the machine can do at most: multiply-adds in registers, and three streams through memory.
// The figures of other kernels are given as shares of these.

import KernelTable

/// v·factor + addend, the chain's next value.
@inline(__always) private func advance(_ v: inout Vector, _ factor: Vector, _ addend: Vector) {
  v = multiplyAdd(addend, v, factor)
}

/// MultiplyAddArguments. As many independent chains as hide the latency of an operation and leave
/// registers for the two constants (and on SSE2 for a product).
func multiplyAddKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: MultiplyAddArguments.self).pointee
  var task = shareStart(p.taskCount, index, count)
  let end = shareStart(p.taskCount, index &+ 1, count)
  while task < end {
    p.target![task] = multiplyAddChains(p.rounds, splat(p.factor), splat(p.addend))
    task &+= 1
  }
}

@inline(__always) private func multiplyAddChains(
  _ rounds: Int, _ factor: Vector, _ addend: Vector
) -> Float {
  // Different starts, or the compiler would see that the chains are one.
  var v0 = splat(0)
  var v1 = splat(1)
  var v2 = splat(2)
  var v3 = splat(3)
  var v4 = splat(4)
  var v5 = splat(5)
  var v6 = splat(6)
  var v7 = splat(7)
  var v8 = splat(8)
  var v9 = splat(9)
  var v10 = splat(10)
  var v11 = splat(11)
  #if WIDTH16
    var v12 = splat(12)
    var v13 = splat(13)
    var v14 = splat(14)
    var v15 = splat(15)
  #endif
  var round = 0
  while round < rounds {
    advance(&v0, factor, addend)
    advance(&v1, factor, addend)
    advance(&v2, factor, addend)
    advance(&v3, factor, addend)
    advance(&v4, factor, addend)
    advance(&v5, factor, addend)
    advance(&v6, factor, addend)
    advance(&v7, factor, addend)
    advance(&v8, factor, addend)
    advance(&v9, factor, addend)
    advance(&v10, factor, addend)
    advance(&v11, factor, addend)
    #if WIDTH16
      advance(&v12, factor, addend)
      advance(&v13, factor, addend)
      advance(&v14, factor, addend)
      advance(&v15, factor, addend)
    #endif
    round &+= 1
  }
  var sum = ((v0 + v1) + (v2 + v3)) + ((v4 + v5) + (v6 + v7))
  sum = sum + ((v8 + v9) + (v10 + v11))
  #if WIDTH16
    sum = sum + ((v12 + v13) + (v14 + v15))
  #endif
  return laneSum(sum)
}

/// How many chains `multiplyAdd` has.
#if WIDTH16
  let multiplyAddChainCount = 16
#else
  let multiplyAddChainCount = 12
#endif

/// TriadArguments.
func triadKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: TriadArguments.self).pointee
  let factor = splat(p.factor)
  var i = shareStart(p.count, index, count)
  let end = shareStart(p.count, index &+ 1, count)
  while i &+ width <= end {
    store(multiplyAdd(load(p.a! + i), load(p.b! + i), factor), p.target! + i)
    i &+= width
  }
  while i < end {
    // Through a vector, so that every element is rounded alike wherever shares are cut.
    p.target![i] = multiplyAdd(splat(p.a![i]), splat(p.b![i]), factor)[0]
    i &+= 1
  }
}
