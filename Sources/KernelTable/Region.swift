// Element-wise regions: a small program that the region kernel interprets a block of lanes at a
// time, one vector kernel per instruction. The same programs are the epilogues of the matrix
// kernels. Every lane is 4 bytes: f32, i32, or a boolean as i32 0 or 1.

/// What an instruction computes. `a`, `b`, `c` are the operands, `x`, `y` the immediates. Float
/// functions have a relative error of at most 4 ulp (pow and erf: 16), and give the IEEE results at
/// infinities, NaN and zeros. min and max propagate NaN as NumPy does.
package enum RegionOpcode {
  case copy
  // f32 → f32
  case add, subtract, multiply, divide, minimum, maximum
  /// a − b·⌊a/b⌋, with the sign of b (exact for |a/b| < 2²⁴).
  case modulo
  case power
  case negate, exp, log, squareRoot, square, absolute
  /// −1, 0, 1; NaN of NaN.
  case sign
  case tanh, sigmoid, softplus, relu
  /// a where a > 0, else x·a.
  case leakyRelu
  /// a where a > 0, else x·(eᵃ − 1).
  case elu
  case erf, reciprocal, reciprocalSquareRoot, floor
  /// max(a, 0) − a·b + log(1 + e^−|a|): logits a, targets b.
  case bceWithLogits
  // With the immediate x as second operand.
  case addImmediate, multiplyImmediate, minimumImmediate, maximumImmediate
  /// x − a, x / a.
  case immediateSubtract, immediateDivide
  // Pairs and triples that optimisers and averages are full of, rounded as their parts are one after
  // the other: a·x + b·y, a·x + b²·y, a / (b + x), √a / b, a − b·c, a / (√b + x), a / (√b / c + x).
  case weightedSum, weightedSquareSum, divideShifted, divideRoot, subtractProduct
  case divideShiftedRoot, divideShiftedRootQuotient
  // An optimiser's update in one loop: a − b·m / (√v + x), and a − b·m / (√v / c + x), where m and v are the results of
  // the two instructions before, a weighted sum and a weighted square sum, which wait for this one to be computed with.
  case heldSum, heldSquareSum, adaptiveUpdate, adaptiveUpdateQuotient
  // What gradients of activations and dropout are full of: a > x ? b : y·b, and a ≥ x ? y : 0.
  case slopeAbove, stepAt
  /// The constant x in every lane; no operand.
  case constant
  /// The i32 constant `integer` in every lane; no operand.
  case integerConstant
  // f32, f32 → bool
  case equal, notEqual, less, lessEqual, greater, greaterEqual
  // f32 → bool, with the immediate x as second operand.
  case greaterImmediate, greaterEqualImmediate
  /// a ≠ 0 ? b : c, for lanes of any type.
  case select
  // bool → bool
  case not, and, or
  /// i32 or bool → f32; f32 → i32 towards zero; i32 or f32 bits ≠ 0 → bool is `integerToBool`,
  /// `floatToBool`.
  case integerToFloat, floatToInteger, integerToBool, floatToBool
  // i32, wrapping; division and modulo round down; division by zero gives 0.
  case addInteger, subtractInteger, multiplyInteger, divideInteger, moduloInteger
  case minimumInteger, maximumInteger, negateInteger, absoluteInteger, signInteger
  case equalInteger, notEqualInteger, lessInteger, lessEqualInteger
  case greaterInteger, greaterEqualInteger
  /// Uniform in [0, 1) and standard normal numbers of the lane's flat index: Philox4x32-10 with the
  /// key in the input `a` (access `.words`, i32[2], low word first), the step in the input `b`
  /// (`.words`, i32[]) and the stream in `integer`. Element i is made of word i mod 4 of block i /
  /// 4. Uniform: (word >> 8)·2⁻²⁴. Normal: of words (0, 1) elements 0, 1, of (2, 3) elements 2, 3;
  /// r = √(−2 ln(((w₀ >> 8) + 1)·2⁻²⁴)), θ = 2π·(w₁ >> 8)·2⁻²⁴; r·cos θ, r·sin θ.
  case uniform, normal

  /// Whether the operands are read as words, not lane by lane.
  package var readsWords: Bool {
    @inline(never) get {
      switch self {
      case .uniform, .normal: true
      default: false
      }
    }
  }
}

/// One instruction. Operands: `register(r)` is r ≥ 0; `input(i)` is −1 − i. Unused operands are 0.
package struct RegionInstruction {
  package var opcode: RegionOpcode
  /// The register that is written. Registers may be written again; operands are read first.
  package var destination: Int32
  package var a: Int32
  package var b: Int32
  package var c: Int32
  package var x: Float
  package var y: Float
  package var integer: Int32

  package init(
    _ opcode: RegionOpcode, destination: Int, a: Int = 0, b: Int = 0, c: Int = 0, x: Float = 0,
    y: Float = 0, integer: Int32 = 0
  ) {
    self.opcode = opcode
    self.destination = Int32(destination)
    self.a = Int32(a)
    self.b = Int32(b)
    self.c = Int32(c)
    self.x = x
    self.y = y
    self.integer = integer
  }

  /// The operand that reads input `index` straight from memory.
  package static func input(_ index: Int) -> Int { -1 - index }
}

/// How an input is read at flat index i of the region's shape.
package enum RegionAccess {
  /// Element i. The memory may be an output's, at the same place.
  case full
  /// Element 0 always.
  case scalar
  /// Element i mod `period`: a tensor of the trailing axes, such as a bias.
  case trailing
  /// Element i / `period`: a tensor of the leading axes.
  case leading
  /// Any broadcast: `rank` axes of `sizes` (their product is the region's count) with element
  /// `strides`, 0 where the input is broadcast.
  case strided
  /// Not read lane by lane: the key or the step of a random opcode.
  case words
}

package struct RegionInput {
  package var pointer: UnsafeRawPointer?
  package var access: RegionAccess
  package var period: Int
  package var rank: Int
  package var sizes: UnsafePointer<Int>?
  package var strides: UnsafePointer<Int>?

  package init(
    _ pointer: UnsafeRawPointer?, _ access: RegionAccess, period: Int = 1, rank: Int = 0,
    sizes: UnsafePointer<Int>? = nil, strides: UnsafePointer<Int>? = nil
  ) {
    self.pointer = pointer
    self.access = access
    self.period = period
    self.rank = rank
    self.sizes = sizes
    self.strides = strides
  }
}

/// A result: the value of an operand (register or input) at the program's end, stored at flat index
/// i. The memory may be that of `full` inputs (exactly the same start), of no other input.
package struct RegionOutput {
  package var source: Int32
  package var pointer: UnsafeMutableRawPointer?
  package init(source: Int, _ pointer: UnsafeMutableRawPointer?) {
    self.source = Int32(source)
    self.pointer = pointer
  }
}

/// A program over `count` elements: the argument of the `region` kernel, or an epilogue. As an
/// epilogue, `count` is the whole of C (all batches), and input 0 should be C itself (`full`).
package struct RegionArguments {
  package var instructions: UnsafePointer<RegionInstruction>?
  package var instructionCount = 0
  package var inputs: UnsafePointer<RegionInput>?
  package var inputCount = 0
  package var outputs: UnsafePointer<RegionOutput>?
  package var outputCount = 0
  /// Registers are 0..<registerCount. Few registers keep the blocks in the first-level cache.
  package var registerCount = 0
  package var count = 0
  package init() {}

  /// Lanes of a block.
  package static let blockLanes = 1024

  /// Scratch of one share, also as part of a matrix kernel's scratch.
  @inline(never)
  package func scratchBytes() -> Int {
    regionScratchBytes(
      instructions: instructionCount, inputs: inputCount, outputs: outputCount,
      registers: registerCount)
  }

  /// The largest useful number of shares.
  @inline(never)
  package func tasks() -> Int { (count + 4095) / 4096 }
}

/// Programs that have nothing to do with each other, in one launch: no output of one lies where another reads
/// or writes. The argument of the `regions` kernel.
package struct RegionsArguments {
  package var programs: UnsafePointer<RegionArguments>?
  package var programCount = 0
  package init() {}

  /// Elements that shares are cut at, of each program on its own.
  package static let unit = 64

  /// All programs' elements, in units.
  @inline(never)
  package func units() -> Int {
    var total = 0
    var index = 0
    while index < programCount {
      total += (programs![index].count + RegionsArguments.unit - 1) / RegionsArguments.unit
      index += 1
    }
    return total
  }

  /// Scratch of one share: programs run one after the other.
  @inline(never)
  package func scratchBytes() -> Int {
    var most = 0
    var index = 0
    while index < programCount {
      most = max(most, programs![index].scratchBytes())
      index += 1
    }
    return most
  }

  /// The largest useful number of shares, counted as for one program.
  @inline(never)
  package func tasks() -> Int { (units() * RegionsArguments.unit + 4095) / 4096 }
}

/// Scratch of a region with so many parts: a slot table, a copy of the program, and blocks of
/// lanes: one a register, two an input, one an output, and three for random numbers and tails.
@inline(never)
package func regionScratchBytes(
  instructions: Int, inputs: Int, outputs: Int, registers: Int
) -> Int {
  let blocks = registers + 2 * inputs + outputs + 3
  let table = (registers + 2 * inputs + 2 * outputs) * 64 + instructions * 64 + 256
  return table + blocks * (RegionArguments.blockLanes + 64) * 4
}
