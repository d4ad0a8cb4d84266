// exp, log and what is made of them, on whole vectors. Polynomials are Taylor series where their
// remainder is below a quarter of an ulp, else interpolations at Chebyshev nodes, fitted in Double
// for this file.

/// Adding and taking away 1.5·2²³ rounds to the nearest whole number (|x| < 2²²).
@inline(__always) private var roundingMagic: Float { 0x1.8p23 }

/// ln 2 in two parts: the first has nine significant bits, so that its product with an exponent is
/// exact.
@inline(__always) private var ln2High: Float { 0x1.62p-1 }
@inline(__always) private var ln2Low: Float { 0x1.c85fep-10 }

/// x · 2ⁿ in two steps, so that n from −150 to 128 keeps subnormal results and overflows to
/// infinity.
@inline(__always) private func scaled(_ x: Vector, _ n: Integers) -> Vector {
  let half = n &>> 1
  let rest = n &- half
  let a = floats((half &+ 127) &<< 23)
  let b = floats((rest &+ 127) &<< 23)
  return x * a * b
}

/// eˣ = 2ⁿ · e^r with |r| ≤ ½ ln 2; up to 1.5 ulp.
@inline(__always) func exponential(_ x: Vector) -> Vector {
  // Beyond these, the result is 0 or infinite; NaN fails both comparisons and passes.
  let low = splat(-104)
  let high = splat(89)
  let t = choose(x .> high, high, choose(x .< low, low, x))
  let shifted = multiplyAdd(splat(roundingMagic), t, splat(0x1.715476p0))
  let n = integers(shifted) &- integers(splat(roundingMagic))
  let whole = shifted - splat(roundingMagic)
  var r = multiplyAdd(t, whole, splat(-ln2High))
  r = multiplyAdd(r, whole, splat(-ln2Low))
  var p = splat(1.0 / 5040)
  p = multiplyAdd(splat(1.0 / 720), p, r)
  p = multiplyAdd(splat(1.0 / 120), p, r)
  p = multiplyAdd(splat(1.0 / 24), p, r)
  p = multiplyAdd(splat(1.0 / 6), p, r)
  p = multiplyAdd(splat(0.5), p, r)
  p = multiplyAdd(r, p * r, r)
  return scaled(p + 1, n)
}

/// x = (1 + f) · 2^e with 1 + f from √½ to √2, for positive finite x (subnormal ones too).
@inline(__always) private func splitExponent(_ x: Vector) -> (f: Vector, e: Vector) {
  let tiny = x .< splat(0x1p-126)
  let bits = words(choose(tiny, x * splat(0x1p25), x))
  // The offset makes the mantissa carry into the exponent from √2 on.
  let shifted = bits &+ (0x3F80_0000 &- 0x3F35_04F3)
  let e = integers(shifted &>> 23) &- 127
  let m = (shifted & 0x007F_FFFF) &+ 0x3F35_04F3
  let corrected = e &- choose(tiny, splatInteger(25), splatInteger(0))
  return (floats(m) - 1, converted(corrected))
}

/// ln x: s = f/(2 + f), ln(1 + f) = f − (f²/2 − s·(f²/2 + R(s²))), R the rest of 2·artanh; below 1
/// ulp.
@inline(__always) func logarithm(_ x: Vector) -> Vector {
  let (f, e) = splitExponent(x)
  let s = f / (f + 2)
  let z = s * s
  var r = splat(2.0 / 9)
  r = multiplyAdd(splat(2.0 / 7), r, z)
  r = multiplyAdd(splat(2.0 / 5), r, z)
  r = multiplyAdd(splat(2.0 / 3), r, z) * z
  let half = f * f * 0.5
  let small = multiplyAdd(e * splat(ln2Low), s, half + r)
  let result = multiplyAdd(f - (half - small), e, splat(ln2High))
  return logarithmSpecials(x, result)
}

/// ln 0 = −∞, ln ∞ = ∞, NaN of negative numbers and NaN.
@inline(__always) private func logarithmSpecials(_ x: Vector, _ result: Vector) -> Vector {
  var y = choose(x .== splat(.infinity), x, result)
  y = choose(x .== splat(0), splat(-.infinity), y)
  return choose(x .>= splat(0), y, splat(.nan))
}

/// ln(1 + y) for y ≥ 0: the rounding of 1 + y is made good to first order.
@inline(__always) func logarithmOnePlus(_ y: Vector) -> Vector {
  let u = y + 1
  return logarithm(u) + (y - (u - 1)) / u
}

/// 1/(1 + e⁻ˣ).
@inline(__always) func sigmoid(_ x: Vector) -> Vector {
  splat(1) / (exponential(splat(0) - x) + 1)
}

/// ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|).
@inline(__always) func softplus(_ x: Vector) -> Vector {
  maximum(x, splat(0)) + logarithmOnePlus(exponential(splat(0) - magnitude(x)))
}

/// max(x, 0) − x·t + ln(1 + e^−|x|).
@inline(__always) func bceWithLogits(_ x: Vector, _ t: Vector) -> Vector {
  maximum(x, splat(0)) - x * t + logarithmOnePlus(exponential(splat(0) - magnitude(x)))
}

/// tanh x: an odd polynomial up to 0.63, else 1 − 2/(e^2|x| + 1).
@inline(__always) func hyperbolicTangent(_ x: Vector) -> Vector {
  let a = magnitude(x)
  let z = x * x
  var p = splat(0.002269501633)
  p = multiplyAdd(splat(-0.008323186994), p, z)
  p = multiplyAdd(splat(0.02176250288), p, z)
  p = multiplyAdd(splat(-0.05395846162), p, z)
  p = multiplyAdd(splat(0.1333330015), p, z)
  p = multiplyAdd(splat(-0.3333333315), p, z)
  let small = multiplyAdd(x, p * z, x)
  let large = splat(1) - splat(2) / (exponential(a + a) + 1)
  return choose(a .< splat(0.63), small, copySign(large, x))
}

/// erf x: an odd polynomial below 1, else 1 − e^−x² · q(1/x), 1 from 4 on; up to 4 ulp.
@inline(__always) func errorFunction(_ x: Vector) -> Vector {
  let a = magnitude(x)
  let z = x * x
  var p = splat(7.875875049e-05)
  p = multiplyAdd(splat(-0.0008016864283), p, z)
  p = multiplyAdd(splat(0.005189087423), p, z)
  p = multiplyAdd(splat(-0.02685421201), p, z)
  p = multiplyAdd(splat(0.1128359472), p, z)
  p = multiplyAdd(splat(-0.3761262667), p, z)
  p = multiplyAdd(splat(1.128379166), p, z)
  let s = splat(1) / a
  var q = splat(0.056429671)
  q = multiplyAdd(splat(-0.3223183763), q, s)
  q = multiplyAdd(splat(0.7813588228), q, s)
  q = multiplyAdd(splat(-1.006274172), q, s)
  q = multiplyAdd(splat(0.6398246085), q, s)
  q = multiplyAdd(splat(0.008001051237), q, s)
  q = multiplyAdd(splat(-0.2962162052), q, s)
  q = multiplyAdd(splat(0.002773911426), q, s)
  q = multiplyAdd(splat(0.5640042907), q, s)
  let tail = splat(1) - exponential(splat(0) - z) * q * s
  let large = choose(a .>= splat(4), splat(1), tail)
  return choose(a .< splat(1), x * p, choose(x .== x, copySign(large, x), x))
}

/// The sine and cosine of 2π·t for t in 0..<1, reduced exactly to an eighth of a turn.
@inline(__always) func sineCosineTurns(_ t: Vector) -> (sine: Vector, cosine: Vector) {
  let shifted = t * 4 + splat(roundingMagic)
  let quadrant = integers(shifted) & 3
  let r = t - (shifted - splat(roundingMagic)) * 0.25
  // 2π in two parts, so that the angle is right to its last bit.
  let a = multiplyAdd(r * splat(-0x1.777a5cp-23), r, splat(0x1.921fb6p2))
  let z = a * a
  var s = splat(1.0 / 362880)
  s = multiplyAdd(splat(-1.0 / 5040), s, z)
  s = multiplyAdd(splat(1.0 / 120), s, z)
  s = multiplyAdd(splat(-1.0 / 6), s, z)
  let sine = multiplyAdd(a, s * z, a)
  var c = splat(-1.0 / 3_628_800)
  c = multiplyAdd(splat(1.0 / 40320), c, z)
  c = multiplyAdd(splat(-1.0 / 720), c, z)
  c = multiplyAdd(splat(1.0 / 24), c, z)
  c = multiplyAdd(splat(-0.5), c, z)
  let cosine = multiplyAdd(splat(1), c, z)
  let odd = (quadrant & 1) .== splatInteger(1)
  let negateSine = (quadrant & 2) .== splatInteger(2)
  let negateCosine = ((quadrant &+ 1) & 2) .== splatInteger(2)
  let s1 = choose(odd, cosine, sine)
  let c1 = choose(odd, sine, cosine)
  return (choose(negateSine, splat(0) - s1, s1), choose(negateCosine, splat(0) - c1, c1))
}

/// The rounding error of p = a·b, exactly.
@inline(__always) private func productError(_ a: Vector, _ b: Vector, _ p: Vector) -> Vector {
  #if WIDTH4 && arch(x86_64)
    // Without fused multiply-add: halves of twelve bits, whose products are exact.
    let ah = floats(words(a) & 0xFFFF_F000)
    let bh = floats(words(b) & 0xFFFF_F000)
    let al = a - ah
    let bl = b - bh
    return ((ah * bh - p) + ah * bl + al * bh) + al * bl
  #else
    return fused(a, b, splat(0) - p)
  #endif
}

/// xʸ = e^(y·ln|x|), the logarithm and the product in two floats each; up to 16 ulp. C's special
/// cases.
@inline(__always) func power(_ x: Vector, _ y: Vector) -> Vector {
  let a = magnitude(x)
  let (f, e) = splitExponent(a)
  let d = f + 2
  let s = f / d
  // The quotient's remainder: f − s·d, and what d lost.
  let sd = s * d
  let remainder = (f - sd) - productError(s, d, sd)
  let low0 = (remainder - s * (f - (d - 2))) / d
  let z = s * s
  var r = splat(2.0 / 11)
  r = multiplyAdd(splat(2.0 / 9), r, z)
  r = multiplyAdd(splat(2.0 / 7), r, z)
  r = multiplyAdd(splat(2.0 / 5), r, z)
  r = multiplyAdd(splat(2.0 / 3), r, z) * z * s
  // ln|x| = e·ln 2 + 2s + rest, added without loss into two floats.
  let big = e * splat(ln2High)
  let s2 = s + s
  let head = big + s2
  let part = head - big
  let lost = (big - (head - part)) + (s2 - part)
  let tail = lost + (multiplyAdd(r, e, splat(ln2Low)) + (low0 + low0))
  let logHigh = head + tail
  let logLow = tail - (logHigh - head)
  let finite = (a .> splat(0)) .& (a .< splat(.infinity))
  let zeroOrInfinite = choose(a .== splat(0), splat(-.infinity), a)
  let h = choose(finite, logHigh, zeroOrInfinite)
  let l = choose(finite, logLow, splat(0))
  let p = y * h
  let bounded = magnitude(p) .< splat(200)
  let error = choose(bounded, multiplyAdd(productError(y, h, p), y, l), splat(0))
  let main = exponential(p)
  var result = choose(main .< splat(.infinity), multiplyAdd(main, main, error), main)
  // Negative bases: whole exponents only; odd ones negate. From 2²⁴ on, all floats are even.
  let whole = floor(y) .== y
  let halfY = y * 0.5
  let isOdd = whole .& (floor(halfY) .!= halfY)
  let negative = integers(x) .< splatInteger(0)
  result = choose(negative .& isOdd, floats(words(result) ^ 0x8000_0000), result)
  result = choose(
    (x .< splat(0)) .& (a .< splat(.infinity)) .& (magnitude(y) .< splat(.infinity))
      .& (floor(y) .!= y),
    splat(.nan), result)
  let one =
    (y .== splat(0)) .| (x .== splat(1))
    .| ((x .== splat(-1)) .& (magnitude(y) .== splat(.infinity)))
  result = choose((x .!= x) .| (y .!= y), x + y, result)
  return choose(one, splat(1), result)
}
