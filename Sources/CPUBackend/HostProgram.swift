// A small interpreter for scalar arithmetic in f64: the schedules of optimisers. In: scalars in buffers. Out: scalars in
// buffers. One launch computes a whole chain with libm; a training step runs a few dozen such operations, so speed does
// not matter, but it allocates nothing.

import Basics
import GraphIR
import KernelTable
import Operators

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What an instruction computes, in Double; the result is rounded to its element type.
enum HostOpcode: UInt8 {
  case identity, add, subtract, multiply, divide, modulo, minimum, maximum, power
  case equal, notEqual, less, lessEqual, greater, greaterEqual, select
  case negate, absolute, sign, exp, log, sqrt, square, tanh, sigmoid, softplus, erf
  case relu, leakyRelu, elu, bceWithLogits, bceClamped

  /// The opcode of an operation and its immediate, nil where there is none.
  static func find(_ operation: any Operation) -> (opcode: HostOpcode, x: Double)? {
    switch operation {
    case let compare as Compare: (predicate(compare.predicate), 0)
    case let leaky as LeakyRelu: (.leakyRelu, leaky.slope.value)
    case let elu as Elu: (.elu, elu.alpha.value)
    default: plain[ObjectIdentifier(type(of: operation))].map { ($0, 0) }
    }
  }

  private static func predicate(_ predicate: Compare.Predicate) -> HostOpcode {
    switch predicate {
    case .eq: .equal
    case .ne: .notEqual
    case .lt: .less
    case .le: .lessEqual
    case .gt: .greater
    case .ge: .greaterEqual
    }
  }

  private static let plain: [ObjectIdentifier: HostOpcode] = [
    ObjectIdentifier(Add.self): .add, ObjectIdentifier(Subtract.self): .subtract,
    ObjectIdentifier(Multiply.self): .multiply, ObjectIdentifier(Divide.self): .divide,
    ObjectIdentifier(Modulo.self): .modulo, ObjectIdentifier(Minimum.self): .minimum,
    ObjectIdentifier(Maximum.self): .maximum, ObjectIdentifier(Power.self): .power,
    ObjectIdentifier(Select.self): .select, ObjectIdentifier(Negate.self): .negate,
    ObjectIdentifier(Absolute.self): .absolute, ObjectIdentifier(Sign.self): .sign,
    ObjectIdentifier(Exp.self): .exp, ObjectIdentifier(Log.self): .log,
    ObjectIdentifier(Sqrt.self): .sqrt, ObjectIdentifier(Square.self): .square,
    ObjectIdentifier(Tanh.self): .tanh, ObjectIdentifier(Sigmoid.self): .sigmoid,
    ObjectIdentifier(Softplus.self): .softplus, ObjectIdentifier(Erf.self): .erf,
    ObjectIdentifier(Relu.self): .relu, ObjectIdentifier(Convert.self): .identity,
    ObjectIdentifier(StopGradient.self): .identity,
    ObjectIdentifier(BceWithLogits.self): .bceWithLogits,
    ObjectIdentifier(BceClamped.self): .bceClamped,
  ]
}

/// Arguments are slots: inputs first, then one slot an instruction.
struct HostInstruction {
  var opcode: HostOpcode
  var element: UInt8
  var a: Int32
  var b: Int32
  var c: Int32
  var x: Double
}

/// A scalar in memory and the slot it is read into or written from.
struct HostScalar {
  var pointer: UnsafeMutableRawPointer
  var element: UInt8
  var slot: Int32
}

struct HostProgramArguments {
  var instructions: UnsafePointer<HostInstruction>
  var instructionCount: Int
  var inputs: UnsafePointer<HostScalar>
  var inputCount: Int
  var outputs: UnsafePointer<HostScalar>
  var outputCount: Int
  var slots: UnsafeMutablePointer<Double>
}

/// The element type as it stands in arguments.
func hostElement(_ element: ElementType) -> UInt8 {
  switch element {
  case .f32: 0
  case .i32: 1
  case .bool: 2
  case .f64: 3
  }
}

/// Runs a program: a launch of one share.
func hostProgramKernel(
  _ raw: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  guard index == 0 else { return }
  let program = raw.assumingMemoryBound(to: HostProgramArguments.self)
  let slots = program.pointee.slots
  for i in 0..<program.pointee.inputCount {
    let scalar = program.pointee.inputs[i]
    slots[Int(scalar.slot)] = load(scalar)
  }
  for i in 0..<program.pointee.instructionCount {
    let instruction = program.pointee.instructions[i]
    let a = slots[Int(instruction.a)]
    let b = slots[Int(instruction.b)]
    let c = slots[Int(instruction.c)]
    var result = evaluate(instruction.opcode, a, b, c, instruction.x)
    if instruction.element == 1, instruction.opcode == .divide || instruction.opcode == .modulo {
      result = b == 0 ? 0 : instruction.opcode == .divide ? floor(a / b) : a - floor(a / b) * b
    }
    slots[program.pointee.inputCount + i] = rounded(result, instruction.element)
  }
  for i in 0..<program.pointee.outputCount {
    let scalar = program.pointee.outputs[i]
    store(slots[Int(scalar.slot)], scalar)
  }
}

private func load(_ scalar: HostScalar) -> Double {
  switch scalar.element {
  case 0: Double(scalar.pointer.load(as: Float.self))
  case 3: scalar.pointer.load(as: Double.self)
  default: Double(scalar.pointer.load(as: Int32.self))
  }
}

private func store(_ value: Double, _ scalar: HostScalar) {
  switch scalar.element {
  case 0: scalar.pointer.storeBytes(of: Float(value), as: Float.self)
  case 3: scalar.pointer.storeBytes(of: value, as: Double.self)
  default: scalar.pointer.storeBytes(of: whole(value), as: Int32.self)
  }
}

/// Toward zero, saturating, as the vector kernels convert.
private func whole(_ value: Double) -> Int32 {
  if value.isNaN { return 0 }
  if value >= 2_147_483_647 { return .max }
  if value <= -2_147_483_648 { return .min }
  return Int32(value)
}

private func rounded(_ value: Double, _ element: UInt8) -> Double {
  switch element {
  case 0: Double(Float(value))
  case 1: Double(whole(value))
  case 2: value != 0 ? 1 : 0
  default: value
  }
}

private func evaluate(_ opcode: HostOpcode, _ a: Double, _ b: Double, _ c: Double, _ x: Double)
  -> Double
{
  switch opcode {
  case .identity: a
  case .add: a + b
  case .subtract: a - b
  case .multiply: a * b
  case .divide: a / b
  case .modulo: floored(a, b)
  case .minimum: a.isNaN ? a : b.isNaN ? b : min(a, b)
  case .maximum: a.isNaN ? a : b.isNaN ? b : max(a, b)
  case .power: pow(a, b)
  case .equal: a == b ? 1 : 0
  case .notEqual: a != b ? 1 : 0
  case .less: a < b ? 1 : 0
  case .lessEqual: a <= b ? 1 : 0
  case .greater: a > b ? 1 : 0
  case .greaterEqual: a >= b ? 1 : 0
  case .select: a != 0 ? b : c
  case .negate: -a
  case .absolute: abs(a)
  case .sign: a > 0 ? 1 : a < 0 ? -1 : a
  default: function(opcode, a, b, x)
  }
}

private func function(_ opcode: HostOpcode, _ a: Double, _ b: Double, _ x: Double) -> Double {
  switch opcode {
  case .exp: exp(a)
  case .log: log(a)
  case .sqrt: a.squareRoot()
  case .square: a * a
  case .tanh: tanh(a)
  case .sigmoid: 1 / (1 + exp(-a))
  case .softplus: max(a, 0) + log1p(exp(-abs(a)))
  case .erf: erf(a)
  case .relu: a > 0 ? a : a.isNaN ? a : 0
  case .leakyRelu: a > 0 ? a : x * a
  case .elu: a > 0 ? a : x * expm1(a)
  case .bceWithLogits: max(a, 0) - a * b + log1p(exp(-abs(a)))
  case .bceClamped: -(b * max(log(a), -100) + (1 - b) * max(log1p(-a), -100))
  default: .nan
  }
}

private func floored(_ a: Double, _ b: Double) -> Double {
  let remainder = fmod(a, b)
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder
}
