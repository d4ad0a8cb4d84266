// The one-dimensional transforms of Winograd's convolutions on whole vectors, for 6, 7 and 8 points. Each is a row of
// Toom and Cook's matrices with common parts taken out; their common scale 1/Π(p − q) stands in the filters' matrices.
// The points, in order, the last one always ∞:
//
//     6:  0  1  −1  1/2  −2  ∞        7:  0  1  −1  2  −2  1/2  ∞        8:  0  1  −1  2  −2  1/2  −1/2  ∞
//
// All take the number of points, or of outputs, as a constant, and compile to the case alone.

/// Values along one axis of a tile, points or pixels; those from the count on mean nothing and cost nothing.
typealias Line = (Vector, Vector, Vector, Vector, Vector, Vector, Vector, Vector)

/// Bᵀ d: the coefficients of Π (x − q) over the points q other than a row's own.
@inline(__always) func inputTransform(_ points: Int, _ d: Line) -> Line {
  switch points {
  case 6: sixPoints(d)
  case 7: sevenPoints(d)
  default: eightPoints(d)
  }
}

///     0:  1  −3/2  −2   3/2   1   0        1/2:  0  −2  −1   2   1   0
///     1:  0  −1   1/2  5/2   1   0         −2:   0  1/2  −1  −1/2  1   0
///    −1:  0   1  −5/2  1/2   1   0          ∞:   0   1  −3/2  −2  3/2  1
@inline(__always) private func sixPoints(_ d: Line) -> Line {
  let odd = d.3 - d.1
  let even = d.4 - d.2
  let zero = splat(0)
  return (
    fma(odd, 1.5, fma(d.2, -2, d.0 + d.4)),
    fma(d.3, 2.5, fma(d.2, 0.5, d.4 - d.1)),
    fma(d.2, -2.5, fma(d.3, 0.5, d.4 + d.1)),
    fma(odd, 2, even),
    fma(odd, -0.5, even),
    fma(even, 1.5, fma(d.3, -2, d.1 + d.5)), zero, zero
  )
}

/// The factor x − 1/2 of all rows but its own is taken first: e[i] = d[i + 1] − d[i] / 2. What is left is
///
///     0:  4  0  −5  0  1       ±1:  0  ∓4  −4  ±1  1       ±2:  0  ∓2  −1  ±2  1       ∞:  0  4  0  −5  0  1
///
/// on e, and 0  4  0  −5  0  1  0 on d for the point 1/2.
@inline(__always) private func sevenPoints(_ d: Line) -> Line {
  let e0 = fma(d.0, -0.5, d.1)
  let e1 = fma(d.1, -0.5, d.2)
  let e2 = fma(d.2, -0.5, d.3)
  let e3 = fma(d.3, -0.5, d.4)
  let e4 = fma(d.4, -0.5, d.5)
  let e5 = fma(d.5, -0.5, d.6)
  let even1 = fma(e2, -4, e4)
  let odd1 = fma(e1, -4, e3)
  let even2 = e4 - e2
  let odd2 = e3 - e1
  return (
    fma(e0, 4, fma(e2, -5, e4)), even1 + odd1, even1 - odd1, fma(odd2, 2, even2),
    fma(odd2, -2, even2), fma(d.1, 4, fma(d.3, -5, d.5)), fma(e1, 4, fma(e3, -5, e5)), splat(0)
  )
}

///       0:  −1  0  21/4  0  −21/4  0  1  0           ±2:  0  ±1/2  1/4  ∓5/2  −5/4  ±2  1  0
///      ±1:  0  ±1  1  ∓17/4  −17/4  ±1  1  0       ±1/2:  0  ±2  4  ∓5/2  −5  ±1/2  1  0
///       ∞:  0  −1  0  21/4  0  −21/4  0  1
@inline(__always) private func eightPoints(_ d: Line) -> Line {
  let even1 = fma(d.4, -4.25, d.2 + d.6)
  let odd1 = fma(d.3, -4.25, d.1 + d.5)
  let even2 = fma(d.4, -1.25, fma(d.2, 0.25, d.6))
  let odd2 = fma(d.3, -2.5, fma(d.1, 0.5, d.5 + d.5))
  let evenHalf = fma(d.4, -5, fma(d.2, 4, d.6))
  let oddHalf = fma(d.3, -2.5, fma(d.5, 0.5, d.1 + d.1))
  return (
    fma(d.2 - d.4, 5.25, d.6 - d.0), even1 + odd1, even1 - odd1, even2 + odd2, even2 - odd2,
    evenHalf + oddHalf, evenHalf - oddHalf, fma(d.3 - d.5, 5.25, d.7 - d.1)
  )
}

/// B v: the adjoint of `inputTransform`.
@inline(__always) func inputAdjoint(_ points: Int, _ v: Line) -> Line {
  switch points {
  case 6: sixPointsAdjoint(v)
  case 7: sevenPointsAdjoint(v)
  default: eightPointsAdjoint(v)
  }
}

@inline(__always) private func sixPointsAdjoint(_ v: Line) -> Line {
  let odd = fma(v.0, 1.5, fma(v.3, 2, v.4 * splat(-0.5)))
  let even = fma(v.5, 1.5, v.3 + v.4)
  let zero = splat(0)
  return (
    v.0,
    (v.2 - v.1) + (v.5 - odd),
    fma(v.0, -2, fma(v.1, 0.5, fma(v.2, -2.5, zero - even))),
    fma(v.1, 2.5, fma(v.2, 0.5, fma(v.5, -2, odd))),
    (v.0 + v.1) + (v.2 + even),
    v.5, zero, zero
  )
}

@inline(__always) private func sevenPointsAdjoint(_ v: Line) -> Line {
  let sum1 = v.1 + v.2
  let difference1 = v.1 - v.2
  let sum2 = v.3 + v.4
  let difference2 = v.3 - v.4
  let e0 = v.0 * splat(4)
  let e1 = fma(difference1, -4, fma(difference2, -2, v.6 * splat(4)))
  let e2 = fma(v.0, -5, fma(sum1, -4, splat(0) - sum2))
  let e3 = fma(difference2, 2, fma(v.6, -5, difference1))
  let e4 = v.0 + (sum1 + sum2)
  let e5 = v.6
  return (
    e0 * splat(-0.5), fma(v.5, 4, fma(e1, -0.5, e0)), fma(e2, -0.5, e1),
    fma(v.5, -5, fma(e3, -0.5, e2)), fma(e4, -0.5, e3), fma(e5, -0.5, e4) + v.5, e5, splat(0)
  )
}

@inline(__always) private func eightPointsAdjoint(_ v: Line) -> Line {
  let sum1 = v.1 + v.2
  let difference1 = v.1 - v.2
  let sum2 = v.3 + v.4
  let difference2 = v.3 - v.4
  let sumHalf = v.5 + v.6
  let differenceHalf = v.5 - v.6
  let both = difference2 + differenceHalf
  return (
    splat(0) - v.0,
    fma(difference2, 0.5, fma(differenceHalf, 2, difference1 - v.7)),
    fma(v.0, 5.25, fma(sum2, 0.25, fma(sumHalf, 4, sum1))),
    fma(v.7, 5.25, fma(difference1, -4.25, both * splat(-2.5))),
    fma(v.0, -5.25, fma(sum1, -4.25, fma(sum2, -1.25, sumHalf * splat(-5)))),
    fma(v.7, -5.25, fma(difference2, 2, fma(differenceHalf, 0.5, difference1))),
    (v.0 + sum1) + (sum2 + sumHalf), v.7
  )
}

/// x·c + y.
@inline(__always) private func fma(_ x: Vector, _ c: Float, _ y: Vector) -> Vector {
  multiplyAdd(y, x, splat(c))
}

/// Aᵀ m for `count` outputs: Σ over points p of p^j · m in output j, the last point in the last output only.
@inline(__always) func outputTransform(_ points: Int, _ count: Int, _ m: Line) -> Line {
  let zero = splat(0)
  let sum = m.1 + m.2
  let difference = m.1 - m.2
  var y: Line
  let last: Vector
  if points == 6 {
    last = m.5
    y = (
      (m.0 + sum) + (m.3 + m.4),
      fma(m.4, -2, fma(m.3, 0.5, difference)),
      fma(m.4, 4, fma(m.3, 0.25, sum)),
      fma(m.4, -8, fma(m.3, 0.125, difference)),
      fma(m.4, 16, fma(m.3, 0.0625, sum)), zero, zero, zero
    )
  } else {
    let sum2 = m.3 + m.4
    let difference2 = m.3 - m.4
    // The point −1/2 is there with 8 points only.
    let sumHalf = points == 8 ? m.5 + m.6 : m.5
    let differenceHalf = points == 8 ? m.5 - m.6 : m.5
    last = points == 8 ? m.7 : m.6
    y = (
      (m.0 + sum) + (sum2 + sumHalf),
      fma(difference2, 2, fma(differenceHalf, 0.5, difference)),
      fma(sum2, 4, fma(sumHalf, 0.25, sum)),
      fma(difference2, 8, fma(differenceHalf, 0.125, difference)),
      fma(sum2, 16, fma(sumHalf, 0.0625, sum)),
      fma(difference2, 32, fma(differenceHalf, 0.03125, difference)), zero, zero
    )
  }
  switch count {
  case 2: y.1 = y.1 + last
  case 3: y.2 = y.2 + last
  case 4: y.3 = y.3 + last
  case 5: y.4 = y.4 + last
  default: y.5 = y.5 + last
  }
  return y
}

/// The powers of the points: Σ over j < count of p^j · d_j for each point p, the highest for the last.
@inline(__always) func powerTransform(_ points: Int, _ count: Int, _ values: Line) -> Line {
  let zero = splat(0)
  var d = values
  if count < 6 { d.5 = zero }
  if count < 5 { d.4 = zero }
  if count < 4 { d.3 = zero }
  if count < 3 { d.2 = zero }
  let last = count == 2 ? d.1 : count == 3 ? d.2 : count == 4 ? d.3 : count == 5 ? d.4 : d.5
  let even = d.0 + (d.2 + d.4)
  let odd = d.1 + (d.3 + d.5)
  if points == 6 {
    let half = fma(fma(fma(fma(d.4, 0.5, d.3), 0.5, d.2), 0.5, d.1), 0.5, d.0)
    let two = fma(fma(fma(fma(d.4, -2, d.3), -2, d.2), -2, d.1), -2, d.0)
    return (d.0, even + odd, even - odd, half, two, last, zero, zero)
  }
  let even2 = fma(fma(d.4, 4, d.2), 4, d.0)
  let odd2 = fma(fma(d.5, 4, d.3), 4, d.1)
  let evenHalf = fma(fma(d.4, 0.25, d.2), 0.25, d.0)
  let oddHalf = fma(fma(d.5, 0.25, d.3), 0.25, d.1)
  return (
    d.0, even + odd, even - odd, fma(odd2, 2, even2), fma(odd2, -2, even2),
    fma(oddHalf, 0.5, evenHalf), points == 8 ? fma(oddHalf, -0.5, evenHalf) : last, last
  )
}

/// `count` vectors, `stride` apart.
@inline(__always) func loadLine(_ count: Int, _ p: Target, _ stride: Int) -> Line {
  let zero = splat(0)
  return (
    load(p), load(p + stride), count > 2 ? load(p + 2 &* stride) : zero,
    count > 3 ? load(p + 3 &* stride) : zero, count > 4 ? load(p + 4 &* stride) : zero,
    count > 5 ? load(p + 5 &* stride) : zero, count > 6 ? load(p + 6 &* stride) : zero,
    count > 7 ? load(p + 7 &* stride) : zero
  )
}
@inline(__always) func storeLine(_ count: Int, _ v: Line, _ p: Target, _ stride: Int) {
  store(v.0, p)
  store(v.1, p + stride)
  if count > 2 { store(v.2, p + 2 &* stride) }
  if count > 3 { store(v.3, p + 3 &* stride) }
  if count > 4 { store(v.4, p + 4 &* stride) }
  if count > 5 { store(v.5, p + 5 &* stride) }
  if count > 6 { store(v.6, p + 6 &* stride) }
  if count > 7 { store(v.7, p + 7 &* stride) }
}

/// A vector of channels, from channel c on, of `count` pixels.
@inline(__always) func loadPixels(
  _ count: Int, _ pixels: UnsafePointer<Source>, _ stride: Int, _ c: Int
) -> Line {
  let zero = splat(0)
  return (
    load(pixels[0] + c), load(pixels[stride] + c),
    count > 2 ? load(pixels[2 &* stride] + c) : zero,
    count > 3 ? load(pixels[3 &* stride] + c) : zero,
    count > 4 ? load(pixels[4 &* stride] + c) : zero,
    count > 5 ? load(pixels[5 &* stride] + c) : zero,
    count > 6 ? load(pixels[6 &* stride] + c) : zero,
    count > 7 ? load(pixels[7 &* stride] + c) : zero
  )
}
