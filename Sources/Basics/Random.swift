// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011). A number is a function of (seed, step, stream, index) alone, so results do not depend on threads,
// batching or the order of evaluation. Every backend computes the same bits.

/// The four words that Philox makes of one counter.
package struct PhiloxBlock: Hashable, Sendable {
  package var x0: UInt32, x1: UInt32, x2: UInt32, x3: UInt32
  package subscript(lane: Int) -> UInt32 {
    switch lane & 3 {
    case 0: x0
    case 1: x1
    case 2: x2
    default: x3
    }
  }
}

package enum Philox {
  /// The block with counter (block, step, stream, block >> 32) under the key `seed`.
  /// Element `i` of a random tensor is word `i % 4` of block `i / 4`.
  package static func block(seed: UInt64, step: UInt32, stream: UInt32, block: UInt64)
    -> PhiloxBlock
  {
    var c0 = UInt32(truncatingIfNeeded: block)
    var c1 = step
    var c2 = stream
    var c3 = UInt32(truncatingIfNeeded: block >> 32)
    var k0 = UInt32(truncatingIfNeeded: seed)
    var k1 = UInt32(truncatingIfNeeded: seed >> 32)
    for _ in 0..<10 {
      let p0 = UInt64(c0) &* 0xD251_1F53
      let p1 = UInt64(c2) &* 0xCD9E_8D57
      let n0 = UInt32(truncatingIfNeeded: p1 >> 32) ^ c1 ^ k0
      let n2 = UInt32(truncatingIfNeeded: p0 >> 32) ^ c3 ^ k1
      c1 = UInt32(truncatingIfNeeded: p1)
      c3 = UInt32(truncatingIfNeeded: p0)
      c0 = n0
      c2 = n2
      k0 &+= 0x9E37_79B9
      k1 &+= 0xBB67_AE85
    }
    return PhiloxBlock(x0: c0, x1: c1, x2: c2, x3: c3)
  }

  /// The word of element `index`.
  package static func word(seed: UInt64, step: UInt32, stream: UInt32, index: Int) -> UInt32 {
    block(seed: seed, step: step, stream: stream, block: UInt64(index >> 2))[index & 3]
  }

  /// A float in [0, 1) with 24 random bits: (word >> 8) · 2⁻²⁴, exact in f32.
  package static func uniform(_ word: UInt32) -> Double { Double(word >> 8) * 0x1p-24 }
}

/// A seeded sequence for host-side decisions (initial values, shuffles): successive words of one stream.
package struct PhiloxSequence: Sendable {
  private let seed: UInt64
  private let step: UInt32
  private let stream: UInt32
  private var next: UInt64 = 0
  private var current = PhiloxBlock(x0: 0, x1: 0, x2: 0, x3: 0)

  package init(seed: UInt64, step: UInt32 = 0, stream: UInt32) {
    self.seed = seed
    self.step = step
    self.stream = stream
  }

  package mutating func nextWord() -> UInt32 {
    if next & 3 == 0 {
      current = Philox.block(seed: seed, step: step, stream: stream, block: next >> 2)
    }
    defer { next &+= 1 }
    return current[Int(next & 3)]
  }

  /// A double in [0, 1) with 53 random bits.
  package mutating func nextUniform() -> Double {
    let high = UInt64(nextWord())
    return Double((high << 32 | UInt64(nextWord())) >> 11) * 0x1p-53
  }

  /// An unbiased integer in 0..<bound (Lemire's method); `bound` must be in 1...2³².
  package mutating func nextInt(below bound: Int) -> Int {
    let bound64 = UInt64(bound)
    let threshold = (UInt64(1) << 32) % bound64
    while true {
      let product = UInt64(nextWord()) &* bound64
      if product & 0xFFFF_FFFF >= threshold { return Int(product >> 32) }
    }
  }
}

/// FNV-1a: a hash of names that is the same in every process, for random streams and program hashes.
package struct StableHash: Sendable {
  package private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325
  package init() {}
  package mutating func combine(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
  }
  package mutating func combine(_ text: String) {
    combine(text.utf8)
    combine(CollectionOfOne(UInt8(0)))
  }
  /// The random stream of a name: the hash folded to 32 bits.
  package static func stream(_ name: String) -> UInt32 {
    var hash = StableHash()
    hash.combine(name)
    return UInt32(truncatingIfNeeded: hash.value ^ (hash.value >> 32))
  }
}
