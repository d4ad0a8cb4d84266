// Short names for building graphs: one function for each operation. Requests that change nothing (a reshape to the
// same shape, a factor of 1) give back their operand.

import Basics
import GraphIR

// Constants

extension GraphBuilder {
  /// A scalar constant.
  package func scalar(_ value: Double, _ element: ElementType = .f32) throws(Diagnostic) -> ValueID
  {
    try add(Constant(TensorType(element, []), [value]))
  }

  /// A scalar constant of a value's element type.
  package func scalar(_ value: Double, like x: ValueID) throws(Diagnostic) -> ValueID {
    try scalar(value, type(of: x).element)
  }

  /// All values in row-major order, or one for every element.
  package func constant(_ type: TensorType, _ values: [Double]) throws(Diagnostic) -> ValueID {
    try add(Constant(type, values))
  }

  /// 0, 1, 2 … along the last axis.
  package func iota(_ type: TensorType) throws(Diagnostic) -> ValueID { try add(Iota(type)) }

  /// x · factor
  package func scaled(_ x: ValueID, by factor: Double) throws(Diagnostic) -> ValueID {
    factor == 1 ? x : try multiply(x, factor)
  }
}

// Arithmetic

extension GraphBuilder {
  package func add(_ a: ValueID, _ b: ValueID) throws(Diagnostic) -> ValueID {
    try add(Add(), a, b)
  }
  package func subtract(_ a: ValueID, _ b: ValueID) throws(Diagnostic) -> ValueID {
    try add(Subtract(), a, b)
  }
  package func multiply(_ a: ValueID, _ b: ValueID) throws(Diagnostic) -> ValueID {
    try add(Multiply(), a, b)
  }
  package func divide(_ a: ValueID, _ b: ValueID) throws(Diagnostic) -> ValueID {
    try add(Divide(), a, b)
  }
  package func modulo(_ a: ValueID, _ b: ValueID) throws(Diagnostic) -> ValueID {
    try add(Modulo(), a, b)
  }
  package func minimum(_ a: ValueID, _ b: ValueID) throws(Diagnostic) -> ValueID {
    try add(Minimum(), a, b)
  }
  package func maximum(_ a: ValueID, _ b: ValueID) throws(Diagnostic) -> ValueID {
    try add(Maximum(), a, b)
  }
  package func power(_ a: ValueID, _ b: ValueID) throws(Diagnostic) -> ValueID {
    try add(Power(), a, b)
  }

  package func add(_ a: ValueID, _ b: Double) throws(Diagnostic) -> ValueID {
    try add(a, scalar(b, like: a))
  }
  package func subtract(_ a: ValueID, _ b: Double) throws(Diagnostic) -> ValueID {
    try subtract(a, scalar(b, like: a))
  }
  package func subtract(_ a: Double, _ b: ValueID) throws(Diagnostic) -> ValueID {
    try subtract(scalar(a, like: b), b)
  }
  package func multiply(_ a: ValueID, _ b: Double) throws(Diagnostic) -> ValueID {
    try multiply(a, scalar(b, like: a))
  }
  package func divide(_ a: ValueID, _ b: Double) throws(Diagnostic) -> ValueID {
    try divide(a, scalar(b, like: a))
  }
  package func divide(_ a: Double, _ b: ValueID) throws(Diagnostic) -> ValueID {
    try divide(scalar(a, like: b), b)
  }
  package func minimum(_ a: ValueID, _ b: Double) throws(Diagnostic) -> ValueID {
    try minimum(a, scalar(b, like: a))
  }
  package func maximum(_ a: ValueID, _ b: Double) throws(Diagnostic) -> ValueID {
    try maximum(a, scalar(b, like: a))
  }
  package func power(_ a: ValueID, _ b: Double) throws(Diagnostic) -> ValueID {
    try power(a, scalar(b, like: a))
  }
  /// base to the power of a value.
  package func power(_ a: Double, _ b: ValueID) throws(Diagnostic) -> ValueID {
    try power(scalar(a, like: b), b)
  }
}

// Functions of one element

extension GraphBuilder {
  package func negate(_ x: ValueID) throws(Diagnostic) -> ValueID { try add(Negate(), x) }
  package func exp(_ x: ValueID) throws(Diagnostic) -> ValueID { try add(Exp(), x) }
  package func log(_ x: ValueID) throws(Diagnostic) -> ValueID { try add(Log(), x) }
  package func sqrt(_ x: ValueID) throws(Diagnostic) -> ValueID { try add(Sqrt(), x) }
  package func square(_ x: ValueID) throws(Diagnostic) -> ValueID { try add(Square(), x) }
  package func absolute(_ x: ValueID) throws(Diagnostic) -> ValueID { try add(Absolute(), x) }
  package func sign(_ x: ValueID) throws(Diagnostic) -> ValueID { try add(Sign(), x) }
  package func erf(_ x: ValueID) throws(Diagnostic) -> ValueID { try add(Erf(), x) }
  package func tanh(_ x: ValueID) throws(Diagnostic) -> ValueID { try add(Tanh(), x) }
  package func sigmoid(_ x: ValueID) throws(Diagnostic) -> ValueID { try add(Sigmoid(), x) }
  package func softplus(_ x: ValueID) throws(Diagnostic) -> ValueID { try add(Softplus(), x) }
  package func relu(_ x: ValueID) throws(Diagnostic) -> ValueID { try add(Relu(), x) }

  package func leakyRelu(_ x: ValueID, slope: Double) throws(Diagnostic) -> ValueID {
    try add(LeakyRelu(slope: slope), x)
  }
  package func elu(_ x: ValueID, alpha: Double = 1) throws(Diagnostic) -> ValueID {
    try add(Elu(alpha: alpha), x)
  }
  package func stopGradient(_ x: ValueID) throws(Diagnostic) -> ValueID {
    try add(StopGradient(), x)
  }
}

// Choices, conversions, losses

extension GraphBuilder {
  package func compare(_ predicate: Compare.Predicate, _ a: ValueID, _ b: ValueID)
    throws(Diagnostic) -> ValueID
  {
    try add(Compare(predicate), a, b)
  }
  package func compare(_ predicate: Compare.Predicate, _ a: ValueID, _ b: Double)
    throws(Diagnostic) -> ValueID
  {
    try compare(predicate, a, scalar(b, like: a))
  }
  package func select(_ condition: ValueID, _ a: ValueID, _ b: ValueID) throws(Diagnostic)
    -> ValueID
  {
    try add(Select(), condition, a, b)
  }
  package func convert(_ x: ValueID, to element: ElementType) throws(Diagnostic) -> ValueID {
    type(of: x).element == element ? x : try add(Convert(to: element), x)
  }
  package func bceWithLogits(_ x: ValueID, _ target: ValueID) throws(Diagnostic) -> ValueID {
    try add(BceWithLogits(), x, target)
  }
  package func bceClamped(_ p: ValueID, _ target: ValueID) throws(Diagnostic) -> ValueID {
    try add(BceClamped(), p, target)
  }
}
