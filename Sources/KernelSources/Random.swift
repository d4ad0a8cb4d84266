// Philox4x32-10 (Salmon et al., SC 2011) on vectors: one 64-bit lane a block, the same bits as Basics'
// `Philox`.

import KernelTable

private var lowHalf: Wide { @inline(__always) get { Wide(repeating: 0xFFFF_FFFF) } }

/// The words (0, 1) and (2, 3) of the blocks first, first + 1, …, one block a lane, the first word of
/// a pair in the lower half.
///
/// A round multiplies two of the four words to 64 bits. The words stay in the lower halves of their
/// lanes, where the multiplication takes them from; what is above them means nothing until the end.
@inline(__always) private func blocks(_ key: PhiloxKey, _ first: UInt64) -> (Wide, Wide) {
  var c0 = Wide(repeating: first)
  for lane in 0..<width / 2 { c0[lane] = c0[lane] &+ UInt64(truncatingIfNeeded: lane) }
  // A tensor has fewer than 2³¹ elements: no carry into the upper half within a vector.
  var c3 = Wide(repeating: first &>> 32)
  var c1 = Wide(repeating: UInt64(key.step))
  var c2 = Wide(repeating: UInt64(key.stream))
  var k0 = UInt64(key.low)
  var k1 = UInt64(key.high)
  // Written out, for in a loop the multipliers are not known to be of 32 bits, and are multiplied as 64.
  mix(&c0, &c1, &c2, &c3, &k0, &k1)
  mix(&c0, &c1, &c2, &c3, &k0, &k1)
  mix(&c0, &c1, &c2, &c3, &k0, &k1)
  mix(&c0, &c1, &c2, &c3, &k0, &k1)
  mix(&c0, &c1, &c2, &c3, &k0, &k1)
  mix(&c0, &c1, &c2, &c3, &k0, &k1)
  mix(&c0, &c1, &c2, &c3, &k0, &k1)
  mix(&c0, &c1, &c2, &c3, &k0, &k1)
  mix(&c0, &c1, &c2, &c3, &k0, &k1)
  mix(&c0, &c1, &c2, &c3, &k0, &k1)
  return (c0 & lowHalf | c1 &<< 32, c2 & lowHalf | c3 &<< 32)
}

/// One round. Only the lower halves of the keys count.
@inline(__always) private func mix(
  _ c0: inout Wide, _ c1: inout Wide, _ c2: inout Wide, _ c3: inout Wide, _ k0: inout UInt64,
  _ k1: inout UInt64
) {
  let p0 = (c0 & lowHalf) &* Wide(repeating: 0xD251_1F53)
  let p1 = (c2 & lowHalf) &* Wide(repeating: 0xCD9E_8D57)
  c0 = (p1 &>> 32) ^ c1 ^ Wide(repeating: k0)
  c2 = (p0 &>> 32) ^ c3 ^ Wide(repeating: k1)
  c1 = p1
  c3 = p0
  k0 = k0 &+ 0x9E37_79B9
  k1 = k1 &+ 0xBB67_AE85
}

/// Stores a[0], b[0], a[1], b[1], … as numbers: words of blocks in order.
@inline(__always) private func storeInterleaved(
  _ a: Wide, _ b: Wide, _ to: Target, _ number: (Words) -> Vector
) {
  var low = Wide()
  var high = Wide()
  let quarter = width / 4
  for l in 0..<quarter {
    low[2 &* l] = a[l]
    low[2 &* l &+ 1] = b[l]
    high[2 &* l] = a[quarter &+ l]
    high[2 &* l &+ 1] = b[quarter &+ l]
  }
  store(number(unsafeBitCast(low, to: Words.self)), to)
  store(number(unsafeBitCast(high, to: Words.self)), to + width)
}

/// The upper 24 bits of a word, as a float.
@inline(__always) private func upper(_ w: Words) -> Vector {
  converted(integers(w &>> 8))
}

/// Uniform numbers of the elements first ..< first + n, first a multiple of 4. Writes up to 2·width
/// − 1 beyond.
func fillUniform(_ key: PhiloxKey, _ first: Int, _ n: Int, _ to: Target) {
  var i = 0
  while i < n {
    let (a, b) = blocks(key, UInt64(truncatingIfNeeded: (first &+ i) / 4))
    storeInterleaved(a, b, to + i) { upper($0) * splat(0x1p-24) }
    i &+= 2 &* width
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
    let (a, b) = blocks(key, UInt64(truncatingIfNeeded: (first &+ i) / 4))
    // Words 0 and 2 of a block side by side, and words 1 and 3: both pairs of a block at once.
    let radius = a & lowHalf | b &<< 32
    let angle = a &>> 32 | b & ~lowHalf
    let pair = normalPair(
      unsafeBitCast(radius, to: Words.self), unsafeBitCast(angle, to: Words.self))
    let x = unsafeBitCast(pair.0, to: Wide.self)
    let y = unsafeBitCast(pair.1, to: Wide.self)
    storeInterleaved(x & lowHalf | y &<< 32, x &>> 32 | y & ~lowHalf, to + i) {
      unsafeBitCast($0, to: Vector.self)
    }
    i &+= 2 &* width
  }
}
