// Element-wise operations as instructions of the block interpreter: one entry an operation. This list is what the
// CPU backend can run element-wise; there is no other.

import GraphIR
import KernelTable
import Operators

/// One step to lower: its arguments and their element types.
struct RegionStep {
  var operation: any Operation
  var arguments: [RegionOperand]
  var elements: [ElementType]
}

typealias Lowering =
  @Sendable (_ step: RegionStep, _ compiler: inout RegionCompiler) -> RegionOperand

enum RegionLowering {
  /// The lowering of an operation, nil where the interpreter has none.
  static func find(_ operation: any Operation) -> Lowering? {
    table[ObjectIdentifier(type(of: operation))]
  }

  static let all: [(any Operation.Type, Lowering)] = [
    (Add.self, add),
    (Subtract.self, subtract),
    (Multiply.self, multiply),
    (Divide.self, divide),
    (Modulo.self, binary(.modulo, .moduloInteger)),
    (Minimum.self, commutative(.minimum, .minimumImmediate, .minimumInteger)),
    (Maximum.self, commutative(.maximum, .maximumImmediate, .maximumInteger)),
    (Power.self, power),
    (Compare.self, compare),
    (
      Select.self,
      { step, compiler in
        compiler.emit(.select, step.arguments[0], step.arguments[1], step.arguments[2])
      }
    ),
    (Negate.self, unary(.negate, .negateInteger)),
    (Absolute.self, unary(.absolute, .absoluteInteger)),
    (Sign.self, unary(.sign, .signInteger)),
    (Exp.self, unary(.exp)),
    (Log.self, unary(.log)),
    (Sqrt.self, unary(.squareRoot)),
    (Square.self, unary(.square)),
    (Tanh.self, unary(.tanh)),
    (Sigmoid.self, unary(.sigmoid)),
    (Softplus.self, unary(.softplus)),
    (Erf.self, unary(.erf)),
    (Relu.self, unary(.relu)),
    (
      LeakyRelu.self,
      { step, compiler in
        let slope = (step.operation as? LeakyRelu)?.slope.value ?? 0
        return compiler.emit(.leakyRelu, step.arguments[0], x: Float(slope))
      }
    ),
    (
      Elu.self,
      { step, compiler in
        let alpha = (step.operation as? Elu)?.alpha.value ?? 1
        return compiler.emit(.elu, step.arguments[0], x: Float(alpha))
      }
    ),
    (Convert.self, convert),
    (StopGradient.self, { step, _ in step.arguments[0] }),
    (BceWithLogits.self, binary(.bceWithLogits)),
    (BceClamped.self, bceClamped),
    (RandomUniform.self, draw(.uniform)),
    (RandomNormal.self, draw(.normal)),
  ]

  private static let table = Dictionary(
    uniqueKeysWithValues: all.map { (ObjectIdentifier($0.0), $0.1) })

  // MARK: Families

  private static func unary(_ float: RegionOpcode, _ integer: RegionOpcode? = nil) -> Lowering {
    { step, compiler in
      let opcode = step.elements[0] == .i32 ? integer ?? float : float
      return compiler.emit(opcode, step.arguments[0])
    }
  }

  private static func binary(_ float: RegionOpcode, _ integer: RegionOpcode? = nil) -> Lowering {
    { step, compiler in
      let opcode = step.elements[0] == .i32 ? integer ?? float : float
      return compiler.emit(opcode, step.arguments[0], step.arguments[1])
    }
  }

  private static func commutative(
    _ float: RegionOpcode, _ immediate: RegionOpcode, _ integer: RegionOpcode
  ) -> Lowering {
    { step, compiler in
      let (a, b) = (step.arguments[0], step.arguments[1])
      if step.elements[0] == .i32 { return compiler.emit(integer, a, b) }
      if let x = compiler.constant(b) { return compiler.emit(immediate, a, x: x) }
      if let x = compiler.constant(a) { return compiler.emit(immediate, b, x: x) }
      return compiler.emit(float, a, b)
    }
  }

  /// Seed and step are read as words.
  private static func draw(_ opcode: RegionOpcode) -> Lowering {
    { step, compiler in
      let stream = (step.operation as? any RandomOperation)?.stream ?? 0
      return compiler.emit(
        opcode, step.arguments[0], step.arguments[1], integer: Int32(bitPattern: stream))
    }
  }

  // MARK: Single operations

  private static let add = commutative(.add, .addImmediate, .addInteger)
  private static let multiply = commutative(.multiply, .multiplyImmediate, .multiplyInteger)

  private static let subtract: Lowering = { step, compiler in
    let (a, b) = (step.arguments[0], step.arguments[1])
    if step.elements[0] == .i32 { return compiler.emit(.subtractInteger, a, b) }
    if let x = compiler.constant(b) { return compiler.emit(.addImmediate, a, x: -x) }
    if let x = compiler.constant(a) { return compiler.emit(.immediateSubtract, b, x: x) }
    return compiler.emit(.subtract, a, b)
  }

  private static let divide: Lowering = { step, compiler in
    let (a, b) = (step.arguments[0], step.arguments[1])
    if step.elements[0] == .i32 { return compiler.emit(.divideInteger, a, b) }
    // The reciprocal of a power of two is exact (as long as it is a normal number).
    if let x = compiler.constant(b), x.isNormal, x.significand == 1, (1 / x).isNormal {
      return compiler.emit(.multiplyImmediate, a, x: 1 / x)
    }
    if let x = compiler.constant(a) { return compiler.emit(.immediateDivide, b, x: x) }
    return compiler.emit(.divide, a, b)
  }

  private static let power: Lowering = { step, compiler in
    let (a, b) = (step.arguments[0], step.arguments[1])
    if compiler.constant(b) == 2 { return compiler.emit(.square, a) }
    if compiler.constant(b) == 1 { return a }
    return compiler.emit(.power, a, b)
  }

  private static let compare: Lowering = { step, compiler in
    let predicate = (step.operation as? Compare)?.predicate ?? .eq
    let isFloat = step.elements[0] == .f32
    if isFloat, predicate == .gt || predicate == .ge,
      let x = compiler.constant(step.arguments[1])
    {
      let opcode = predicate == .gt ? RegionOpcode.greaterImmediate : .greaterEqualImmediate
      return compiler.emit(opcode, step.arguments[0], x: x)
    }
    let opcode: RegionOpcode =
      switch predicate {
      case .eq: isFloat ? .equal : .equalInteger
      case .ne: isFloat ? .notEqual : .notEqualInteger
      case .lt: isFloat ? .less : .lessInteger
      case .le: isFloat ? .lessEqual : .lessEqualInteger
      case .gt: isFloat ? .greater : .greaterInteger
      case .ge: isFloat ? .greaterEqual : .greaterEqualInteger
      }
    return compiler.emit(opcode, step.arguments[0], step.arguments[1])
  }

  private static let convert: Lowering = { step, compiler in
    let to = (step.operation as? Convert)?.to ?? .f32
    let a = step.arguments[0]
    switch (step.elements[0], to) {
    case (.f32, .i32): return compiler.emit(.floatToInteger, a)
    case (.f32, .bool): return compiler.emit(.floatToBool, a)
    case (.i32, .f32), (.bool, .f32): return compiler.emit(.integerToFloat, a)
    case (.i32, .bool): return compiler.emit(.integerToBool, a)
    default: return a
    }
  }

  /// −(t · max(log p, −100) + (1 − t) · max(log(1 − p), −100))
  private static let bceClamped: Lowering = { step, compiler in
    let (p, t) = (step.arguments[0], step.arguments[1])
    let logPresent = compiler.emit(.log, p)
    let present = compiler.emit(.maximumImmediate, logPresent, x: -100)
    let rest = compiler.emit(.immediateSubtract, p, x: 1)
    let logAbsent = compiler.emit(.log, rest)
    let absent = compiler.emit(.maximumImmediate, logAbsent, x: -100)
    let first = compiler.emit(.multiply, t, present)
    let other = compiler.emit(.immediateSubtract, t, x: 1)
    let second = compiler.emit(.multiply, other, absent)
    return compiler.emit(.negate, compiler.emit(.add, first, second))
  }
}
