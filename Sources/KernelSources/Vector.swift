// The vector of this module's instruction set, and its basic operations. Everything is inlined;
// loads and stores need no alignment (they compile to movups and its kin).

#if WIDTH16
  typealias Vector = SIMD16<Float>
  typealias Integers = SIMD16<Int32>
  typealias Words = SIMD16<UInt32>
  typealias Wide = SIMD8<UInt64>
  let width = 16
  let tileRows = 12
#elseif WIDTH8
  typealias Vector = SIMD8<Float>
  typealias Integers = SIMD8<Int32>
  typealias Words = SIMD8<UInt32>
  typealias Wide = SIMD4<UInt64>
  let width = 8
  let tileRows = 6
#else
  typealias Vector = SIMD4<Float>
  typealias Integers = SIMD4<Int32>
  typealias Words = SIMD4<UInt32>
  typealias Wide = SIMD2<UInt64>
  let width = 4
  let tileRows = 6
#endif
let tileColumns = 2 * width

typealias Source = UnsafePointer<Float>
typealias Target = UnsafeMutablePointer<Float>

@inline(__always) func load(_ p: Source) -> Vector {
  UnsafeRawPointer(p).loadUnaligned(as: Vector.self)
}
@inline(__always) func load(_ p: Target) -> Vector {
  UnsafeRawPointer(p).loadUnaligned(as: Vector.self)
}
@inline(__always) func store(_ v: Vector, _ p: Target) {
  UnsafeMutableRawPointer(p).storeBytes(of: v, as: Vector.self)
}
@inline(__always) func loadIntegers(_ p: Source) -> Integers {
  UnsafeRawPointer(p).loadUnaligned(as: Integers.self)
}
@inline(__always) func store(_ v: Integers, _ p: Target) {
  UnsafeMutableRawPointer(p).storeBytes(of: v, as: Integers.self)
}
@inline(__always) func splat(_ x: Float) -> Vector { Vector(repeating: x) }
@inline(__always) func splatInteger(_ x: Int32) -> Integers { Integers(repeating: x) }
@inline(__always) func words(_ v: Vector) -> Words { unsafeBitCast(v, to: Words.self) }
@inline(__always) func integers(_ v: Words) -> Integers { unsafeBitCast(v, to: Integers.self) }
@inline(__always) func integers(_ v: Vector) -> Integers { unsafeBitCast(v, to: Integers.self) }
@inline(__always) func floats(_ v: Words) -> Vector { unsafeBitCast(v, to: Vector.self) }
@inline(__always) func floats(_ v: Integers) -> Vector { unsafeBitCast(v, to: Vector.self) }

/// c + a·b, fused where the hardware fuses; elsewhere `addingProduct` would call libm for each
/// lane.
@inline(__always) func multiplyAdd(_ c: Vector, _ a: Vector, _ b: Vector) -> Vector {
  #if WIDTH4 && arch(x86_64)
    c + a * b
  #else
    fused(a, b, c)
  #endif
}

@inline(__always) func magnitude(_ x: Vector) -> Vector { floats(words(x) & 0x7FFF_FFFF) }
/// |x| with the sign of s.
@inline(__always) func copySign(_ x: Vector, _ s: Vector) -> Vector {
  floats((words(x) & 0x7FFF_FFFF) | (words(s) & 0x8000_0000))
}

/// ⌊x⌋.
@inline(__always) func floor(_ x: Vector) -> Vector {
  #if WIDTH4 && arch(x86_64)
    // SSE2 has no rounding instruction; from 2²³ on, every float is whole (NaN and infinities pass
    // too).
    let small = magnitude(x) .< splat(0x1p23)
    let whole = converted(truncated(choose(small, x, splat(0))))
    let down = whole - choose(whole .> x, splat(1), splat(0))
    return choose(small, copySign(down, x), x)
  #else
    roundedDown(x)
  #endif
}

/// The larger; NaN where either is (the first comparison keeps a NaN b, the second takes a NaN a).
@inline(__always) func maximum(_ a: Vector, _ b: Vector) -> Vector {
  choose((a .> b) .| (a .!= a), a, b)
}
@inline(__always) func minimum(_ a: Vector, _ b: Vector) -> Vector {
  choose((a .< b) .| (a .!= a), a, b)
}

/// The sum of all lanes, halves added first: an order fixed by the width.
@inline(__always) func laneSum(_ v: Vector) -> Float {
  #if WIDTH16
    let h = v.lowHalf + v.highHalf
    let q = h.lowHalf + h.highHalf
  #elseif WIDTH8
    let q = v.lowHalf + v.highHalf
  #else
    let q = v
  #endif
  let p = q.lowHalf + q.highHalf
  return p[0] + p[1]
}

/// Where share `index` of `count` begins among `units`.
@inline(__always) func shareStart(_ units: Int, _ index: Int, _ count: Int) -> Int {
  units &* index / count
}

/// Copies n elements, nothing beyond.
@inline(__always) func copyElements(_ from: Source, _ to: Target, _ n: Int) {
  var i = 0
  while i &+ width <= n {
    store(load(from + i), to + i)
    i &+= width
  }
  while i < n {
    to[i] = from[i]
    i &+= 1
  }
}
@inline(__always) func fillElements(_ value: Float, _ to: Target, _ n: Int) {
  var i = 0
  let v = splat(value)
  while i &+ width <= n {
    store(v, to + i)
    i &+= width
  }
  while i < n {
    to[i] = value
    i &+= 1
  }
}
