// The one-dimensional transforms of Winograd's convolutions with the points 0, 1, −1, 1/2, −2 and ∞, on whole
// vectors. Each is a row of Toom and Cook's matrices with common parts taken out; their common scale 1/Π(p − q)
// stands in the filters' matrices.

typealias Six = (Vector, Vector, Vector, Vector, Vector, Vector)

/// Bᵀ d: the coefficients of Π (x − q) over the points q other than a row's own.
///
///     0:  1  −3/2  −2   3/2   1   0        1/2:  0  −2  −1   2   1   0
///     1:  0  −1   1/2  5/2   1   0         −2:   0  1/2  −1  −1/2  1   0
///    −1:  0   1  −5/2  1/2   1   0          ∞:   0   1  −3/2  −2  3/2  1
@inline(__always) func inputTransform(_ d: Six) -> Six {
  let odd = d.3 - d.1
  let even = d.4 - d.2
  return (
    fma(odd, 1.5, fma(d.2, -2, d.0 + d.4)),
    fma(d.3, 2.5, fma(d.2, 0.5, d.4 - d.1)),
    fma(d.2, -2.5, fma(d.3, 0.5, d.4 + d.1)),
    fma(odd, 2, even),
    fma(odd, -0.5, even),
    fma(even, 1.5, fma(d.3, -2, d.1 + d.5))
  )
}

/// B v: the adjoint of `inputTransform`.
@inline(__always) func inputAdjoint(_ v: Six) -> Six {
  let odd = fma(v.0, 1.5, fma(v.3, 2, v.4 * splat(-0.5)))
  let even = fma(v.5, 1.5, v.3 + v.4)
  return (
    v.0,
    (v.2 - v.1) + (v.5 - odd),
    fma(v.0, -2, fma(v.1, 0.5, fma(v.2, -2.5, splat(0) - even))),
    fma(v.1, 2.5, fma(v.2, 0.5, fma(v.5, -2, odd))),
    (v.0 + v.1) + (v.2 + even),
    v.5
  )
}

/// x·c + y.
@inline(__always) private func fma(_ x: Vector, _ c: Float, _ y: Vector) -> Vector {
  multiplyAdd(y, x, splat(c))
}

typealias Five = (Vector, Vector, Vector, Vector, Vector)

/// Aᵀ m for `count` outputs: Σ over points p of p^j · m in output j, the last point in the last output only. Outputs
/// from `count` on mean nothing; with a constant `count` they cost nothing.
@inline(__always) func outputTransform(_ count: Int, _ m: Six) -> Five {
  let sum = m.1 + m.2
  let difference = m.1 - m.2
  var y: Five = (
    (m.0 + sum) + (m.3 + m.4),
    fma(m.4, -2, fma(m.3, 0.5, difference)),
    fma(m.4, 4, fma(m.3, 0.25, sum)),
    fma(m.4, -8, fma(m.3, 0.125, difference)),
    fma(m.4, 16, fma(m.3, 0.0625, sum))
  )
  switch count {
  case 2: y.1 = y.1 + m.5
  case 3: y.2 = y.2 + m.5
  case 4: y.3 = y.3 + m.5
  default: y.4 = y.4 + m.5
  }
  return y
}

/// The powers of the points: Σ over j < count of p^j · d_j for each point p, the highest for the last. d beyond
/// `count` must be zero.
@inline(__always) func powerTransform(_ d: Five, _ last: Vector) -> Six {
  let even = d.0 + (d.2 + d.4)
  let odd = d.1 + d.3
  let half = fma(fma(fma(fma(d.4, 0.5, d.3), 0.5, d.2), 0.5, d.1), 0.5, d.0)
  let two = fma(fma(fma(fma(d.4, -2, d.3), -2, d.2), -2, d.1), -2, d.0)
  return (d.0, even + odd, even - odd, half, two, last)
}

@inline(__always) func loadSix(_ p: Target, _ stride: Int) -> Six {
  (
    load(p), load(p + stride), load(p + 2 &* stride), load(p + 3 &* stride), load(p + 4 &* stride),
    load(p + 5 &* stride)
  )
}
@inline(__always) func storeSix(_ v: Six, _ p: Target, _ stride: Int) {
  store(v.0, p)
  store(v.1, p + stride)
  store(v.2, p + 2 &* stride)
  store(v.3, p + 3 &* stride)
  store(v.4, p + 4 &* stride)
  store(v.5, p + 5 &* stride)
}
