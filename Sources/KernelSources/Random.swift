// Philox4x32-10 (Salmon et al., SC 2011) on vectors: one lane a block, the same bits as Basics'
// `Philox`.

import KernelTable

/// The low and high halves of a·m, lane by lane: even and odd lanes are multiplied as 64-bit lanes.
@inline(__always) private func wideProduct(_ a: Words, _ m: UInt64) -> (low: Words, high: Words) {
  let x = unsafeBitCast(a, to: Wide.self)
  let factor = Wide(repeating: m)
  let lowMask = Wide(repeating: 0xFFFF_FFFF)
  let even = (x & lowMask) &* factor
  let odd = (x &>> 32) &* factor
  let low = (even & lowMask) | (odd &<< 32)
  let high = (even &>> 32) | (odd & ~lowMask)
  return (unsafeBitCast(low, to: Words.self), unsafeBitCast(high, to: Words.self))
}

/// The four words of the blocks first, first + 1, …, one block a lane.
@inline(__always) private func blocks(_ key: PhiloxKey, _ first: UInt64)
  -> (Words, Words, Words, Words)
{
  var c0 = Words(repeating: UInt32(truncatingIfNeeded: first))
  for lane in 0..<width { c0[lane] = c0[lane] &+ UInt32(truncatingIfNeeded: lane) }
  // A tensor has fewer than 2³¹ elements: no carry into the upper half within a vector.
  var c3 = Words(repeating: UInt32(truncatingIfNeeded: first &>> 32))
  var c1 = Words(repeating: key.step)
  var c2 = Words(repeating: key.stream)
  var k0 = key.low
  var k1 = key.high
  var round = 0
  while round < 10 {
    let p0 = wideProduct(c0, 0xD251_1F53)
    let p1 = wideProduct(c2, 0xCD9E_8D57)
    c0 = p1.high ^ c1 ^ Words(repeating: k0)
    c2 = p0.high ^ c3 ^ Words(repeating: k1)
    c1 = p1.low
    c3 = p0.low
    k0 = k0 &+ 0x9E37_79B9
    k1 = k1 &+ 0xBB67_AE85
    round &+= 1
  }
  return (c0, c1, c2, c3)
}

/// Stores lane l of part w at element 4·l + w.
@inline(__always) private func storeInterleaved(
  _ a: Vector, _ b: Vector, _ c: Vector, _ d: Vector, _ to: Target
) {
  var r = Vector()
  let quarter = width / 4
  for part in 0..<4 {
    for l in 0..<quarter {
      r[4 &* l] = a[part &* quarter &+ l]
      r[4 &* l &+ 1] = b[part &* quarter &+ l]
      r[4 &* l &+ 2] = c[part &* quarter &+ l]
      r[4 &* l &+ 3] = d[part &* quarter &+ l]
    }
    store(r, to + part &* width)
  }
}

/// The upper 24 bits of a word, as a float.
@inline(__always) private func upper(_ w: Words) -> Vector {
  converted(integers(w &>> 8))
}

/// Uniform numbers of the elements first ..< first + n, first a multiple of 4. Writes up to 4·width
/// − 1 beyond.
func fillUniform(_ key: PhiloxKey, _ first: Int, _ n: Int, _ to: Target) {
  var i = 0
  while i < n {
    let w = blocks(key, UInt64(truncatingIfNeeded: (first &+ i) / 4))
    let scale = splat(0x1p-24)
    storeInterleaved(
      upper(w.0) * scale, upper(w.1) * scale, upper(w.2) * scale, upper(w.3) * scale, to + i)
    i &+= 4 &* width
  }
}

/// Two normal numbers of two words (Box and Muller).
@inline(__always) private func normalPair(_ a: Words, _ b: Words) -> (Vector, Vector) {
  let u = (upper(a) + 1) * splat(0x1p-24)
  let r = squareRoot(logarithm(u) * splat(-2))
  let turn = sineCosineTurns(upper(b) * splat(0x1p-24))
  return (r * turn.cosine, r * turn.sine)
}

/// Normal numbers of the elements first ..< first + n, as `fillUniform`.
func fillNormal(_ key: PhiloxKey, _ first: Int, _ n: Int, _ to: Target) {
  var i = 0
  while i < n {
    let w = blocks(key, UInt64(truncatingIfNeeded: (first &+ i) / 4))
    let p = normalPair(w.0, w.1)
    let q = normalPair(w.2, w.3)
    storeInterleaved(p.0, p.1, q.0, q.1, to + i)
    i &+= 4 &* width
  }
}
