// One vector loop per opcode of a region.

import KernelTable

/// Runs instruction k of a run over `lanes` lanes from flat index `start`.
@inline(__always) func executeStep(_ run: RegionRun, _ k: Int, _ start: Int, _ lanes: Int) {
  let step = run.steps + k
  switch step.pointee.opcode {
  case .heldSum, .heldSquareSum: break
  case .adaptiveUpdate: adaptiveUpdate(step, run.slots, lanes, false)
  case .adaptiveUpdateQuotient: adaptiveUpdate(step, run.slots, lanes, true)
  default: execute(step.pointee, run.slots, start, lanes, run.spare)
  }
}

/// The update and the two instructions before it, which hold its averages.
@inline(__always) private func adaptiveUpdate(
  _ step: UnsafePointer<RegionStep>, _ slots: UnsafeMutablePointer<RegionSlot>, _ lanes: Int,
  _ divides: Bool
) {
  let (sum, squares, last) = (step[-2], step[-1], step[0])
  let (a, b) = (slots[Int(sum.a)], slots[Int(sum.b)])
  let (c, d) = (slots[Int(squares.a)], slots[Int(squares.b)])
  let (p, rate) = (slots[Int(last.a)], slots[Int(last.b)])
  let divisor = slots[Int(last.c)]
  let (toSum, toSquares) = (slots[Int(sum.d)].pointer, slots[Int(squares.d)].pointer)
  let to = slots[Int(last.d)].pointer
  let (xa, xb) = (splat(sum.x), splat(sum.y))
  let (xc, xd) = (splat(squares.x), splat(squares.y))
  let shift = splat(last.x)
  var v = 0
  var i = 0
  while i < lanes {
    let m = load(a.pointer + v &* a.step) * xa + load(b.pointer + v &* b.step) * xb
    let g = load(d.pointer + v &* d.step)
    let s = load(c.pointer + v &* c.step) * xc + g * g * xd
    var root = squareRoot(s)
    if divides { root = root / load(divisor.pointer + v &* divisor.step) }
    let q = m / (root + shift)
    let new = load(p.pointer + v &* p.step) - q * load(rate.pointer + v &* rate.step)
    store(m, toSum + i)
    store(s, toSquares + i)
    store(new, to + i)
    v &+= 1
    i &+= width
  }
}

/// Runs one instruction over `lanes` lanes from flat index `start`.
private func execute(
  _ i: RegionStep, _ slots: UnsafeMutablePointer<RegionSlot>, _ start: Int, _ lanes: Int,
  _ spare: Target
) {
  let d = slots[Int(i.d)].pointer
  let a = slots[Int(i.a)]
  let b = slots[Int(i.b)]
  let x = splat(i.x)
  switch i.opcode {
  case .copy: unary(d, a, lanes) { $0 }
  case .add: binary(d, a, b, lanes) { $0 + $1 }
  case .subtract: binary(d, a, b, lanes) { $0 - $1 }
  case .multiply: binary(d, a, b, lanes) { $0 * $1 }
  case .divide: binary(d, a, b, lanes) { $0 / $1 }
  case .minimum: binary(d, a, b, lanes, minimum)
  case .maximum: binary(d, a, b, lanes, maximum)
  case .modulo: binary(d, a, b, lanes, flooredModulo)
  case .power: binary(d, a, b, lanes, power)
  case .negate: unary(d, a, lanes) { floats(words($0) ^ 0x8000_0000) }
  case .exp: unary(d, a, lanes, exponential)
  case .log: unary(d, a, lanes, logarithm)
  case .squareRoot: unary(d, a, lanes) { squareRoot($0) }
  case .square: unary(d, a, lanes) { $0 * $0 }
  case .absolute: unary(d, a, lanes, magnitude)
  case .sign: unary(d, a, lanes, signOf)
  case .tanh: unary(d, a, lanes, hyperbolicTangent)
  case .sigmoid: unary(d, a, lanes, sigmoid)
  case .softplus: unary(d, a, lanes, softplus)
  case .relu: unary(d, a, lanes) { choose($0 .<= splat(0), splat(0), $0) }
  case .leakyRelu: unary(d, a, lanes) { choose($0 .> splat(0), $0, $0 * x) }
  case .elu: binary(d, a, RegionSlot(pointer: spareSplat(spare, x), step: 0), lanes, elu)
  case .erf: unary(d, a, lanes, errorFunction)
  case .reciprocal: unary(d, a, lanes, reciprocal)
  case .reciprocalSquareRoot: unary(d, a, lanes, reciprocalSquareRoot)
  case .floor: unary(d, a, lanes, floor)
  case .bceWithLogits:
    binary(d, a, b, lanes, bceWithLogits)
  case .addImmediate: unary(d, a, lanes) { $0 + x }
  case .multiplyImmediate: unary(d, a, lanes) { $0 * x }
  case .minimumImmediate: unary(d, a, lanes) { minimum($0, x) }
  case .maximumImmediate: unary(d, a, lanes) { maximum($0, x) }
  case .immediateSubtract: unary(d, a, lanes) { x - $0 }
  case .immediateDivide: unary(d, a, lanes) { x / $0 }
  case .weightedSum:
    let y = splat(i.y)
    binary(d, a, b, lanes) { $0 * x + $1 * y }
  case .weightedSquareSum:
    let y = splat(i.y)
    binary(d, a, b, lanes) { $0 * x + $1 * $1 * y }
  case .divideShifted: binary(d, a, b, lanes) { $0 / ($1 + x) }
  case .divideRoot: binary(d, a, b, lanes) { squareRoot($0) / $1 }
  case .subtractProduct:
    ternary(d, a, b, slots[Int(i.c)], lanes) { $0 - $1 * $2 }
  case .divideShiftedRoot: binary(d, a, b, lanes) { $0 / (squareRoot($1) + x) }
  case .divideShiftedRootQuotient:
    ternary(d, a, b, slots[Int(i.c)], lanes) { $0 / (squareRoot($1) / $2 + x) }
  case .slopeAbove:
    let y = splat(i.y)
    binary(d, a, b, lanes) { choose($0 .> x, $1, $1 * y) }
  case .stepAt:
    let y = splat(i.y)
    unary(d, a, lanes) { choose($0 .>= x, y, splat(0)) }
  case .greaterImmediate: unary(d, a, lanes) { floats(boolean($0 .> x)) }
  case .greaterEqualImmediate: unary(d, a, lanes) { floats(boolean($0 .>= x)) }
  default: executeOther(i, slots, start, lanes, spare)
  }
}

/// Comparisons, choices, conversions, integers and random numbers.
private func executeOther(
  _ i: RegionStep, _ slots: UnsafeMutablePointer<RegionSlot>, _ start: Int, _ lanes: Int,
  _ spare: Target
) {
  let d = slots[Int(i.d)].pointer
  let a = slots[Int(i.a)]
  let b = slots[Int(i.b)]
  let c = slots[Int(i.c)]
  switch i.opcode {
  case .constant: fillElements(i.x, d, lanes)
  case .integerConstant: fillElements(Float(bitPattern: UInt32(bitPattern: i.integer)), d, lanes)
  case .equal: compare(d, a, b, lanes) { $0 .== $1 }
  case .notEqual: compare(d, a, b, lanes) { $0 .!= $1 }
  case .less: compare(d, a, b, lanes) { $0 .< $1 }
  case .lessEqual: compare(d, a, b, lanes) { $0 .<= $1 }
  case .greater: compare(d, a, b, lanes) { $0 .> $1 }
  case .greaterEqual: compare(d, a, b, lanes) { $0 .>= $1 }
  case .select: selectLanes(d, a, b, c, lanes)
  case .not: integerBinary(d, a, a, lanes) { v, _ in boolean(v .== splatInteger(0)) }
  case .and:
    integerBinary(d, a, b, lanes) { v, w in
      boolean((v .!= splatInteger(0)) .& (w .!= splatInteger(0)))
    }
  case .or: integerBinary(d, a, b, lanes) { v, w in boolean((v | w) .!= splatInteger(0)) }
  case .integerToFloat: unary(d, a, lanes) { converted(integers($0)) }
  case .floatToInteger: unary(d, a, lanes) { floats(saturatedInteger($0)) }
  case .integerToBool: integerBinary(d, a, a, lanes) { v, _ in boolean(v .!= splatInteger(0)) }
  case .floatToBool: unary(d, a, lanes) { floats(boolean($0 .!= splat(0))) }
  case .addInteger: integerBinary(d, a, b, lanes) { $0 &+ $1 }
  case .subtractInteger: integerBinary(d, a, b, lanes) { $0 &- $1 }
  case .multiplyInteger: integerBinary(d, a, b, lanes) { $0 &* $1 }
  case .divideInteger: integerBinary(d, a, b, lanes) { floorDivided($0, $1).quotient }
  case .moduloInteger: integerBinary(d, a, b, lanes) { floorDivided($0, $1).remainder }
  case .minimumInteger: integerBinary(d, a, b, lanes) { choose($0 .< $1, $0, $1) }
  case .maximumInteger: integerBinary(d, a, b, lanes) { choose($0 .> $1, $0, $1) }
  case .negateInteger: integerBinary(d, a, a, lanes) { v, _ in splatInteger(0) &- v }
  case .absoluteInteger:
    integerBinary(d, a, a, lanes) { v, _ in choose(v .< splatInteger(0), splatInteger(0) &- v, v) }
  case .signInteger:
    integerBinary(d, a, a, lanes) { v, _ in
      boolean(v .> splatInteger(0)) &- boolean(v .< splatInteger(0))
    }
  case .equalInteger: integerBinary(d, a, b, lanes) { boolean($0 .== $1) }
  case .notEqualInteger: integerBinary(d, a, b, lanes) { boolean($0 .!= $1) }
  case .lessInteger: integerBinary(d, a, b, lanes) { boolean($0 .< $1) }
  case .lessEqualInteger: integerBinary(d, a, b, lanes) { boolean($0 .<= $1) }
  case .greaterInteger: integerBinary(d, a, b, lanes) { boolean($0 .> $1) }
  case .greaterEqualInteger: integerBinary(d, a, b, lanes) { boolean($0 .>= $1) }
  case .uniform, .normal: executeDraw(i, slots, start, lanes, spare, 0)
  default: break
  }
}

@inline(__always) private func unary(
  _ d: Target, _ a: RegionSlot, _ lanes: Int, _ body: (Vector) -> Vector
) {
  var p = a.pointer
  var i = 0
  while i < lanes {
    store(body(load(p)), d + i)
    p += a.step
    i &+= width
  }
}

@inline(__always) private func binary(
  _ d: Target, _ a: RegionSlot, _ b: RegionSlot, _ lanes: Int, _ body: (Vector, Vector) -> Vector
) {
  var p = a.pointer
  var q = b.pointer
  var i = 0
  while i < lanes {
    store(body(load(p), load(q)), d + i)
    p += a.step
    q += b.step
    i &+= width
  }
}

@inline(__always) private func compare(
  _ d: Target, _ a: RegionSlot, _ b: RegionSlot, _ lanes: Int, _ body: (Vector, Vector) -> Mask
) {
  binary(d, a, b, lanes) { floats(boolean(body($0, $1))) }
}

@inline(__always) private func integerBinary(
  _ d: Target, _ a: RegionSlot, _ b: RegionSlot, _ lanes: Int,
  _ body: (Integers, Integers) -> Integers
) {
  binary(d, a, b, lanes) { floats(body(integers($0), integers($1))) }
}

@inline(__always) private func selectLanes(
  _ d: Target, _ a: RegionSlot, _ b: RegionSlot, _ c: RegionSlot, _ lanes: Int
) {
  var p = a.pointer
  var q = b.pointer
  var r = c.pointer
  var i = 0
  while i < lanes {
    let condition = integers(load(p)) .!= splatInteger(0)
    store(choose(condition, load(q), load(r)), d + i)
    p += a.step
    q += b.step
    r += c.step
    i &+= width
  }
}

@inline(__always) private func ternary(
  _ d: Target, _ a: RegionSlot, _ b: RegionSlot, _ c: RegionSlot, _ lanes: Int,
  _ body: (Vector, Vector, Vector) -> Vector
) {
  var p = a.pointer
  var q = b.pointer
  var r = c.pointer
  var i = 0
  while i < lanes {
    store(body(load(p), load(q), load(r)), d + i)
    p += a.step
    q += b.step
    r += c.step
    i &+= width
  }
}

/// x in every lane of a vector of spare memory.
@inline(__always) private func spareSplat(_ spare: Target, _ x: Vector) -> Target {
  store(x, spare)
  return spare
}

@inline(__always) private func flooredModulo(_ a: Vector, _ b: Vector) -> Vector {
  a - b * floor(a / b)
}

@inline(__always) private func reciprocal(_ a: Vector) -> Vector { splat(1) / a }
@inline(__always) private func reciprocalSquareRoot(_ a: Vector) -> Vector {
  splat(1) / squareRoot(a)
}

@inline(__always) private func signOf(_ v: Vector) -> Vector {
  choose(v .== v, choose(v .== splat(0), splat(0), copySign(splat(1), v)), v)
}

@inline(__always) private func elu(_ a: Vector, _ x: Vector) -> Vector {
  choose(a .> splat(0), a, x * exponentialMinusOne(a))
}

/// eˣ − 1 for x ≤ 0: a series near 0, where the difference would cancel.
@inline(__always) private func exponentialMinusOne(_ x: Vector) -> Vector {
  var p = splat(1.0 / 40320)
  p = multiplyAdd(splat(1.0 / 5040), p, x)
  p = multiplyAdd(splat(1.0 / 720), p, x)
  p = multiplyAdd(splat(1.0 / 120), p, x)
  p = multiplyAdd(splat(1.0 / 24), p, x)
  p = multiplyAdd(splat(1.0 / 6), p, x)
  p = multiplyAdd(splat(0.5), p, x)
  let series = multiplyAdd(x, p * x, x)
  return choose(magnitude(x) .< splat(0.5), series, exponential(x) - 1)
}

/// Towards zero; beyond the range the nearest integer, NaN gives 0.
@inline(__always) private func saturatedInteger(_ x: Vector) -> Integers {
  let inside = magnitude(x) .< splat(0x1p31)
  let t = truncated(choose(inside, x, splat(0)))
  let edge = choose(x .> splat(0), splatInteger(.max), splatInteger(.min))
  return choose(inside .| (x .!= x), t, edge)
}

/// Lane by lane, rounding down; a zero divisor gives 0 for both. There is no vector instruction for
/// it.
@inline(__always) private func floorDivided(_ a: Integers, _ b: Integers)
  -> (quotient: Integers, remainder: Integers)
{
  var quotient = Integers(repeating: 0)
  var remainder = Integers(repeating: 0)
  for lane in 0..<width {
    let n = Int(a[lane])
    let d = Int(b[lane])
    if d != 0 {
      var q = n / d
      var r = n &- q &* d
      if r != 0 && (r < 0) != (d < 0) {
        q &-= 1
        r &+= d
      }
      quotient[lane] = Int32(truncatingIfNeeded: q)
      remainder[lane] = Int32(truncatingIfNeeded: r)
    }
  }
  return (quotient, remainder)
}

/// Random numbers of the flat indices from `start` on, into the lanes of the result from `lane` on. Blocks of numbers begin at
/// multiples of four; they are made in spare memory and moved.
func executeDraw(
  _ i: RegionStep, _ slots: UnsafeMutablePointer<RegionSlot>, _ start: Int, _ lanes: Int,
  _ spare: Target, _ lane: Int
) {
  let d = slots[Int(i.d)].pointer + lane
  let key = slots[Int(i.a)].pointer
  let step = slots[Int(i.b)].pointer
  let philox = PhiloxKey(
    low: key[0].bitPattern, high: key[1].bitPattern, step: step[0].bitPattern,
    stream: UInt32(bitPattern: i.integer))
  let first = start & ~3
  let n = lanes &+ (start &- first)
  switch i.opcode {
  case .uniform: fillUniform(philox, first, n, spare)
  default: fillNormal(philox, first, n, spare)
  }
  copyElements(spare + (start &- first), d, lanes)
}
