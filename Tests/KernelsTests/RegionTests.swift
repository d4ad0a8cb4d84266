// Element-wise regions: the functions against Double, the ways of access, outputs, aliasing and
// random numbers.

import Glibc
import KernelTable
import Testing

/// Runs a program and returns its outputs.
func runProgram(
  _ isa: Isa, count: Int, registers: Int, _ instructions: [RegionInstruction],
  inputs: [RegionInput], outputs: [(Int, Floats)], comment: String = ""
) {
  instructions.withPointer { code in
    inputs.withPointer { ins in
      outputs.map { RegionOutput(source: $0.0, $0.1.raw) }.withPointer { outs in
        var a = RegionArguments()
        a.instructions = code
        a.instructionCount = instructions.count
        a.inputs = ins
        a.inputCount = inputs.count
        a.outputs = outs
        a.outputCount = outputs.count
        a.registerCount = registers
        a.count = count
        launchAll(
          isa.table.region, a, scratch: a.scratchBytes(), outputs: outputs.map(\.1), comment)
      }
    }
  }
}

/// One instruction over given operands.
func apply(
  _ isa: Isa, _ opcode: RegionOpcode, _ operands: [Float]..., x: Float = 0, y: Float = 0
) -> [Float] {
  let inputs = operands.map { Floats($0) }
  let count = operands[0].count
  let out = Floats(count)
  let code = [
    RegionInstruction(
      opcode, destination: 0, a: -1, b: operands.count > 1 ? -2 : -1,
      c: operands.count > 2 ? -3 : -1, x: x, y: y)
  ]
  runProgram(
    isa, count: count, registers: 1, code, inputs: inputs.map { RegionInput($0.raw, .full) },
    outputs: [(0, out)])
  return out.values
}

/// The error of a float in units of its own last place.
func ulps(_ found: Float, _ expected: Double) -> Double {
  let e = Float(expected)
  if e.isNaN { return found.isNaN ? 0 : .infinity }
  if found == e { return 0 }
  if !found.isFinite || !e.isFinite {
    // The largest float and infinity are neighbours.
    return abs(expected) > 3.40282e38 && abs(Double(found)) > 3.40282e38 ? 1 : .infinity
  }
  return abs(Double(found) - expected) / Double(max(abs(e), 0x1p-126).ulp)
}

struct FunctionCase: Sendable, CustomTestStringConvertible {
  var name: String
  var opcode: RegionOpcode
  var bound: Double
  var low: Float
  var high: Float
  var exact: @Sendable (Double) -> Double
  var testDescription: String { name }
}

let functionCases: [FunctionCase] = [
  .init(name: "exp", opcode: .exp, bound: 2, low: -105, high: 90) { Glibc.exp($0) },
  .init(name: "log", opcode: .log, bound: 2, low: 0, high: 1e6) { Glibc.log($0) },
  .init(name: "tanh", opcode: .tanh, bound: 4, low: -12, high: 12) { Glibc.tanh($0) },
  .init(name: "sigmoid", opcode: .sigmoid, bound: 4, low: -87, high: 30) {
    1 / (1 + Glibc.exp(-$0))
  },
  .init(name: "softplus", opcode: .softplus, bound: 4, low: -87, high: 100) {
    Glibc.log1p(Glibc.exp(-abs($0))) + max($0, 0)
  },
  .init(name: "erf", opcode: .erf, bound: 4, low: -5, high: 5) { Glibc.erf($0) },
  .init(name: "elu", opcode: .elu, bound: 4, low: -20, high: 3) { $0 > 0 ? $0 : Glibc.expm1($0) },
  .init(name: "sqrt", opcode: .squareRoot, bound: 0.5, low: 0, high: 1e10) { Glibc.sqrt($0) },
  .init(name: "rsqrt", opcode: .reciprocalSquareRoot, bound: 2, low: 1e-6, high: 1e10) {
    1 / Glibc.sqrt($0)
  },
  .init(name: "floor", opcode: .floor, bound: 0, low: -20, high: 20) { Glibc.floor($0) },
]

@Suite struct RegionTests {
  @Test(arguments: Isa.all, functionCases)
  func functionsAreAccurate(isa: Isa, test: FunctionCase) {
    var values: [Float] = []
    let n = 20_000
    for i in 0...n { values.append(test.low + (test.high - test.low) * Float(i) / Float(n)) }
    // Small magnitudes too, down to subnormal ones.
    var small: Float = 1
    while small > 0x1p-148 {
      values.append(small)
      if test.low < 0 { values.append(-small) }
      small *= 0.83
    }
    let found = apply(isa, test.opcode, values, x: 1)
    var worst = (0.0, Float(0))
    for (x, y) in zip(values, found) {
      let error = ulps(y, test.exact(Double(x)))
      if error > worst.0 { worst = (error, x) }
    }
    #expect(worst.0 <= test.bound, "\(test.name) at \(worst.1): \(worst.0) ulp")
  }

  @Test(arguments: Isa.all)
  func powerIsAccurate(isa: Isa) {
    var random = Values(7)
    var a: [Float] = []
    var b: [Float] = []
    for _ in 0..<20_000 {
      a.append(Float(Glibc.exp(Double(random.next()) * 20)))
      b.append(random.next() * 4)
    }
    let special: [Float] = [
      0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, .infinity, -.infinity, .nan, 1e30, -1e30, 7.5,
      0x1p-133,
    ]
    for x in special {
      for y in special {
        a.append(x)
        b.append(y)
      }
    }
    let found = apply(isa, .power, a, b)
    for i in found.indices {
      let exact = Glibc.pow(Double(a[i]), Double(b[i]))
      let error = ulps(found[i], exact)
      #expect(error <= 16, "pow(\(a[i]), \(b[i])) = \(found[i]), not \(exact): \(error) ulp")
      if exact == 0 && found[i] == 0 && a[i] != 0 && abs(a[i]) != .infinity { continue }
      #expect(exact.isNaN || (found[i].sign == exact.sign), "pow(\(a[i]), \(b[i])) sign")
    }
  }

  @Test(arguments: Isa.all)
  func specialValues(isa: Isa) {
    let x: [Float] = [0, -0.0, 1, -1, .infinity, -.infinity, .nan, 200, -200, 0x1p-133]
    func check(_ opcode: RegionOpcode, _ exact: (Double) -> Double, _ immediate: Float = 0) {
      let found = apply(isa, opcode, x, x: immediate)
      for i in x.indices {
        #expect(ulps(found[i], exact(Double(x[i]))) <= 4, "\(opcode)(\(x[i])) = \(found[i])")
      }
    }
    check(.exp, { Glibc.exp($0) })
    check(.log, { Glibc.log($0) })
    check(.tanh, { Glibc.tanh($0) })
    check(.erf, { Glibc.erf($0) })
    check(.relu, { $0.isNaN ? $0 : max($0, 0) })
    check(.leakyRelu, { $0 > 0 ? $0 : $0 * Double(Float(0.2)) }, 0.2)
    check(.sign, { $0.isNaN ? $0 : ($0 > 0 ? 1 : ($0 < 0 ? -1 : 0)) })
    check(.absolute, { abs($0) })
    check(.negate, { -$0 })
    check(.square, { $0 * $0 })
    check(.reciprocal, { 1 / $0 })
    check(.floor, { Glibc.floor($0) })
    check(.sigmoid, { $0 < -100 ? 0 : 1 / (1 + Glibc.exp(-$0)) })
    check(.softplus, { $0 < -100 ? 0 : ($0 > 100 ? $0 : Glibc.log1p(Glibc.exp($0))) })
    check(.addImmediate, { $0 + 2 }, 2)
    check(.immediateSubtract, { 2 - $0 }, 2)
    check(.immediateDivide, { 2 / $0 }, 2)
    check(.multiplyImmediate, { 2 * $0 }, 2)
    check(.minimumImmediate, { $0.isNaN ? $0 : min($0, 0.5) }, 0.5)
    check(.maximumImmediate, { $0.isNaN ? $0 : max($0, 0.5) }, 0.5)
  }

  @Test(arguments: Isa.all)
  func binaryOperations(isa: Isa) {
    let some: [Float] = [0, 1, -1, 2.5, -2.5, 7, -7, 0.3, .nan, .infinity]
    var a: [Float] = []
    var b: [Float] = []
    for x in some {
      for y in some {
        a.append(x)
        b.append(y)
      }
    }
    func check(_ opcode: RegionOpcode, _ exact: (Float, Float) -> Float) {
      let found = apply(isa, opcode, a, b)
      for i in a.indices {
        let e = exact(a[i], b[i])
        #expect(
          found[i] == e || (found[i].isNaN && e.isNaN),
          "\(opcode)(\(a[i]), \(b[i])) = \(found[i]), not \(e)")
      }
    }
    check(.add, +)
    check(.subtract, -)
    check(.multiply, *)
    check(.divide, /)
    check(.minimum) { $0.isNaN || $1.isNaN ? .nan : min($0, $1) }
    check(.maximum) { $0.isNaN || $1.isNaN ? .nan : max($0, $1) }
    check(.modulo) { $0 - $1 * ($0 / $1).rounded(.down) }
    func checkBool(_ opcode: RegionOpcode, _ exact: (Float, Float) -> Bool) {
      check(opcode) { Float(bitPattern: exact($0, $1) ? 1 : 0) }
    }
    checkBool(.equal, ==)
    checkBool(.notEqual, !=)
    checkBool(.less, <)
    checkBool(.lessEqual, <=)
    checkBool(.greater, >)
    checkBool(.greaterEqual, >=)
    let found = apply(isa, .bceWithLogits, a, b)
    for i in a.indices where a[i].isFinite && b[i].isFinite {
      let x = Double(a[i])
      let exact = max(x, 0) - x * Double(b[i]) + Glibc.log1p(Glibc.exp(-abs(x)))
      #expect(abs(Double(found[i]) - exact) <= 1e-6 * max(1, abs(x * Double(b[i]))))
    }
  }

  /// They round as their parts do one after the other, to the bit.
  @Test(arguments: Isa.all)
  func joinedOperations(isa: Isa) {
    var random = Values(5)
    let a = random.floats(100)
    let b = random.floats(100)
    let c = random.floats(100)
    let positive = a.map { abs($0) }
    let (x, y): (Float, Float) = (0.999, 0.1)
    func parts(_ value: (Int) -> Float) -> [Float] { a.indices.map(value) }
    #expect(apply(isa, .weightedSum, a, b, x: x, y: y) == parts { a[$0] * x + b[$0] * y })
    #expect(
      apply(isa, .weightedSquareSum, a, b, x: x, y: y)
        == parts { a[$0] * x + (b[$0] * b[$0]) * y })
    #expect(apply(isa, .divideShifted, a, positive, x: y) == parts { a[$0] / (positive[$0] + y) })
    #expect(
      apply(isa, .divideRoot, positive, b) == parts { positive[$0].squareRoot() / b[$0] })
    #expect(apply(isa, .subtractProduct, a, b, c) == parts { a[$0] - b[$0] * c[$0] })
    #expect(
      apply(isa, .slopeAbove, a, b, x: 0.25, y: y) == parts { a[$0] > 0.25 ? b[$0] : b[$0] * y })
    #expect(apply(isa, .stepAt, a, x: 0.25, y: y) == parts { a[$0] >= 0.25 ? y : 0 })
    #expect(
      apply(isa, .divideShiftedRoot, a, positive, x: y)
        == parts { a[$0] / (positive[$0].squareRoot() + y) })
    #expect(
      apply(isa, .divideShiftedRootQuotient, a, positive, c, x: y)
        == parts { a[$0] / (positive[$0].squareRoot() / c[$0] + y) })
  }

  @Test(arguments: Isa.all)
  func integerOperations(isa: Isa) {
    let some: [Int32] = [0, 1, -1, 2, -2, 7, -7, 100, .max, .min]
    var a: [Int32] = []
    var b: [Int32] = []
    for x in some {
      for y in some {
        a.append(x)
        b.append(y)
      }
    }
    func check(_ opcode: RegionOpcode, _ exact: (Int32, Int32) -> Int32) {
      let ins = [Floats(integers: a), Floats(integers: b)]
      let out = Floats(a.count)
      runProgram(
        isa, count: a.count, registers: 1,
        [RegionInstruction(opcode, destination: 0, a: -1, b: -2)],
        inputs: ins.map { RegionInput($0.raw, .full) }, outputs: [(0, out)])
      for i in a.indices {
        #expect(out.int32s[i] == exact(a[i], b[i]), "\(opcode)(\(a[i]), \(b[i]))")
      }
    }
    func floorDivide(_ x: Int32, _ y: Int32) -> Int32 {
      y == 0 ? 0 : Int32(truncatingIfNeeded: Int(Glibc.floor(Double(x) / Double(y))))
    }
    check(.addInteger, &+)
    check(.subtractInteger, &-)
    check(.multiplyInteger, &*)
    check(.divideInteger, floorDivide)
    check(.moduloInteger) { $1 == 0 ? 0 : $0 &- floorDivide($0, $1) &* $1 }
    check(.minimumInteger, min)
    check(.maximumInteger, max)
    check(.negateInteger) { x, _ in 0 &- x }
    check(.absoluteInteger) { x, _ in x < 0 ? 0 &- x : x }
    check(.signInteger) { x, _ in x.signum() }
    check(.equalInteger) { $0 == $1 ? 1 : 0 }
    check(.notEqualInteger) { $0 != $1 ? 1 : 0 }
    check(.lessInteger) { $0 < $1 ? 1 : 0 }
    check(.lessEqualInteger) { $0 <= $1 ? 1 : 0 }
    check(.greaterInteger) { $0 > $1 ? 1 : 0 }
    check(.greaterEqualInteger) { $0 >= $1 ? 1 : 0 }
    check(.and) { $0 != 0 && $1 != 0 ? 1 : 0 }
    check(.or) { $0 != 0 || $1 != 0 ? 1 : 0 }
    check(.not) { x, _ in x == 0 ? 1 : 0 }
    check(.integerToBool) { x, _ in x != 0 ? 1 : 0 }
    check(.integerToFloat) { x, _ in Int32(bitPattern: Float(x).bitPattern) }
  }

  @Test(arguments: Isa.all)
  func conversionsAndChoice(isa: Isa) {
    let x: [Float] = [0, 1.9, -1.9, 3e9, -3e9, .nan, 2_147_483_520, 0x1p-133, -0.0]
    let found = apply(isa, .floatToInteger, x).map { Int32(bitPattern: $0.bitPattern) }
    #expect(found == [0, 1, -1, .max, .min, 0, 2_147_483_520, 0, 0])
    let flags = apply(isa, .floatToBool, x).map(\.bitPattern)
    #expect(flags == [0, 1, 1, 1, 1, 1, 1, 1, 0])
    let chosen = apply(
      isa, .select, [Float(bitPattern: 1), 0, Float(bitPattern: 7)], [1, 2, 3], [4, 5, 6])
    #expect(chosen == [1, 5, 3])
  }
}
