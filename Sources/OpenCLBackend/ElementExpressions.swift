// Element-wise operations as C expressions: one entry an operation. This list is what the backend can run element-wise;
// there is no other. Expressions hold for one element and for vectors of them alike.

import Basics
import GraphIR
import Operators

/// One step to write: its arguments are names or literals, all of one width.
struct ElementStep {
  var operation: any Operation
  var arguments: [String]
  /// Element types of the arguments and of the result.
  var elements: [ElementType]
  var result: ElementType
  var width: Int
  var place: ElementPlace

  /// A number of the first argument's type.
  func literal(_ x: Double) -> String { cLiteral(x, elements[0], width) }
  var type: String { cType(result, width) }
  /// Whether the arithmetic is that of whole numbers.
  var isWhole: Bool { elements[0] == .i32 || elements[0] == .bool }
}

/// A constant of an element type, exact.
func cLiteral(_ x: Double, _ element: ElementType, _ width: Int = 1) -> String {
  let text: String
  switch element {
  case .f32:
    let value = Float(x)
    text = value.isNaN ? "NAN" : value.isInfinite ? "INFINITY" : "\(value.magnitude)f"
  case .f64:
    text = x.isNaN ? "(double)NAN" : x.isInfinite ? "(double)INFINITY" : "\(x.magnitude)"
  case .i32, .bool:
    // The least number has no positive twin.
    let value = x.isNaN ? 0 : Int64(max(-2_147_483_648, min(2_147_483_647, x)))
    text =
      value == -2_147_483_648 ? "(-2147483647 - 1)" : value < 0 ? "(\(value))" : "\(value)"
    return width == 1 ? text : "(\(cType(element, width)))(\(text))"
  }
  let signed = x.sign == .minus && !x.isNaN ? "-\(text)" : text
  return width == 1 ? "(\(signed))" : "(\(cType(element, width)))(\(signed))"
}

typealias ElementExpression = @Sendable (_ step: ElementStep) -> String

enum ElementExpressions {
  static func find(_ operation: any Operation) -> ElementExpression? {
    table[ObjectIdentifier(type(of: operation))]
  }

  static let all: [(any Operation.Type, ElementExpression)] = [
    (Add.self, { "\($0.arguments[0]) + \($0.arguments[1])" }),
    (Subtract.self, { "\($0.arguments[0]) - \($0.arguments[1])" }),
    (Multiply.self, { "\($0.arguments[0]) * \($0.arguments[1])" }),
    (Divide.self, divide),
    (Modulo.self, modulo),
    (Minimum.self, extreme("min", "<")),
    (Maximum.self, extreme("max", ">")),
    (Power.self, power),
    (Compare.self, compare),
    (
      Select.self,
      { chosen($0, "\($0.arguments[0]) != 0", $0.arguments[1], $0.arguments[2]) }
    ),
    (Negate.self, { "-\($0.arguments[0])" }),
    (
      Absolute.self,
      { $0.isWhole ? "wrapped_abs(\($0.arguments[0]))" : "fabs(\($0.arguments[0]))" }
    ),
    (Sign.self, sign),
    (Exp.self, function("exp")),
    (Log.self, function("log")),
    (Sqrt.self, function("sqrt")),
    (Square.self, { "\($0.arguments[0]) * \($0.arguments[0])" }),
    (Tanh.self, function("tanh")),
    (Sigmoid.self, { "\($0.literal(1)) / (\($0.literal(1)) + exp(-\($0.arguments[0])))" }),
    (Softplus.self, { softplus($0, $0.arguments[0]) }),
    (Erf.self, function("erf")),
    // NaN stays NaN.
    (Relu.self, { chosen($0, "\($0.arguments[0]) <= 0", $0.literal(0), $0.arguments[0]) }),
    (
      LeakyRelu.self,
      { step in
        let slope = (step.operation as? LeakyRelu)?.slope.value ?? 0
        let x = step.arguments[0]
        return chosen(step, "\(x) > 0", x, "\(step.literal(slope)) * \(x)")
      }
    ),
    (
      Elu.self,
      { step in
        let alpha = (step.operation as? Elu)?.alpha.value ?? 1
        let x = step.arguments[0]
        return chosen(step, "\(x) > 0", x, "\(step.literal(alpha)) * expm1(\(x))")
      }
    ),
    (Convert.self, convert),
    (StopGradient.self, { $0.arguments[0] }),
    (
      BceWithLogits.self,
      { "\(softplus($0, $0.arguments[0])) - \($0.arguments[0]) * \($0.arguments[1])" }
    ),
    (BceClamped.self, bceClamped),
    (RandomUniform.self, draw("uniform_block")),
    (RandomNormal.self, draw("normal_block")),
  ]

  private static let table = Dictionary(
    uniqueKeysWithValues: all.map { (ObjectIdentifier($0.0), $0.1) })

  // MARK: Families

  private static func function(_ name: String) -> ElementExpression {
    { "\(name)(\($0.arguments[0]))" }
  }

  /// `condition ? yes : no` of each lane.
  private static func chosen(
    _ step: ElementStep, _ condition: String, _ yes: String, _ no: String
  ) -> String {
    // Comparisons of doubles in vectors would be long; f64 is for scalars alone.
    step.width == 1 ? "(\(condition) ? \(yes) : \(no))" : "select(\(no), \(yes), \(condition))"
  }

  /// NaN where either is NaN.
  private static func extreme(_ whole: String, _ sign: String) -> ElementExpression {
    { step in
      let (a, b) = (step.arguments[0], step.arguments[1])
      if step.isWhole { return "\(whole)(\(a), \(b))" }
      // The second where it is NaN or beats the first, unless the first is NaN.
      let isSecond = "(\(b) \(sign) \(a)) | (\(b) != \(b))"
      return step.width == 1
        ? "((\(isSecond)) && \(a) == \(a) ? \(b) : \(a))"
        : "select(\(a), \(b), (\(isSecond)) & (\(a) == \(a)))"
    }
  }

  /// The numbers of a block of four by their flat index; operands are the seed's words and the step.
  private static func draw(_ name: String) -> ElementExpression {
    { step in
      let stream = (step.operation as? any RandomOperation)?.stream ?? 0
      let flat = step.place.flat
      func block(_ more: Int) -> String {
        let number = more == 0 ? "(\(flat)) / 4u" : "(\(flat)) / 4u + \(more)u"
        return "\(name)(\(step.arguments[0]), \(step.arguments[1]), \(stream)u, \(number))"
      }
      switch step.width {
      case 1: return "lane_of(\(block(0)), (\(flat)) % 4u)"
      case 2: return "pair_of(\(block(0)), (\(flat)) % 4u)"
      default:
        let blocks = (0..<step.width / 4).map(block).joined(separator: ", ")
        return step.width == 4 ? blocks : "(float\(step.width))(\(blocks))"
      }
    }
  }

  // MARK: Single operations

  private static let divide: ElementExpression = { step in
    let (a, b) = (step.arguments[0], step.arguments[1])
    return step.isWhole ? "floored_quotient(\(a), \(b))" : "\(a) / \(b)"
  }

  /// The remainder has the divisor's sign.
  private static let modulo: ElementExpression = { step in
    let (a, b) = (step.arguments[0], step.arguments[1])
    return step.isWhole ? "floored_remainder(\(a), \(b))" : "floored_modulo(\(a), \(b))"
  }

  private static let power: ElementExpression = { step in
    "pow(\(step.arguments[0]), \(step.arguments[1]))"
  }

  private static let compare: ElementExpression = { step in
    let predicate = (step.operation as? Compare)?.predicate ?? .eq
    let sign =
      switch predicate {
      case .eq: "=="
      case .ne: "!="
      case .lt: "<"
      case .le: "<="
      case .gt: ">"
      case .ge: ">="
      }
    // A vector's truth is −1.
    return "(\(step.arguments[0]) \(sign) \(step.arguments[1])) & 1"
  }

  private static let sign: ElementExpression = { step in
    let x = step.arguments[0]
    if step.isWhole {
      let (one, zero) = (step.literal(1), step.literal(0))
      return "clamp(\(x), \(cLiteral(-1, .i32, step.width)), \(one)) + \(zero)"
    }
    // C's sign of NaN is 0, ours is NaN.
    return chosen(step, "\(x) != \(x)", x, "sign(\(x))")
  }

  private static func softplus(_ step: ElementStep, _ x: String) -> String {
    "fmax(\(x), \(step.literal(0))) + log1p(exp(-fabs(\(x))))"
  }

  /// −(t · max(log p, −100) + (1 − t) · max(log(1 − p), −100))
  private static let bceClamped: ElementExpression = { step in
    let (p, t) = (step.arguments[0], step.arguments[1])
    let (one, least) = (step.literal(1), step.literal(-100))
    // C's fmax drops NaN; these keep it.
    func atLeast(_ x: String) -> String { chosen(step, "\(x) < \(least)", least, x) }
    return "-(\(t) * \(atLeast("log(\(p))")) + (\(one) - \(t)) * \(atLeast("log1p(-\(p))")))"
  }

  private static let convert: ElementExpression = { step in
    let x = step.arguments[0]
    switch (step.elements[0], step.result) {
    case (.f32, .i32), (.f64, .i32): return "convert_\(step.type)_sat_rtz(\(x))"
    case (_, .bool): return "(\(x) != \(step.literal(0))) & 1"
    case (.i32, .f32), (.bool, .f32), (.f64, .f32), (_, .f64):
      return "convert_\(step.type)(\(x))"
    default: return x
    }
  }
}
