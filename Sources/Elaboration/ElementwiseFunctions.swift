// Element-wise functions. On constants they compute at once, so that shapes, rates and settings may
// use them.

import Basics
import GraphIR
import Operators

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension FunctionLibrary {
  private typealias Build = @Sendable (GraphBuilder, ValueID) throws(Diagnostic) -> ValueID

  /// A function of one element: on numbers by `constant`, on tensors by `build`.
  private static func unary(
    _ name: String, _ summary: String, _ constant: @escaping @Sendable (Double) -> Double,
    _ build: @escaping Build
  ) -> FunctionEntry {
    FunctionEntry(name, .elementwise, [.x], summary) { site throws(Diagnostic) in
      if let number = try site.value("x").number { return .float(constant(number)) }
      return site.result(try build(site.builder, try site.real("x").id))
    }
  }

  static let elementwiseFunctions: [FunctionEntry] =
    [
      unary("exp", "eˣ", { exp($0) }) { b, x throws(Diagnostic) in try b.exp(x) },
      unary("log", "The natural logarithm.", { log($0) }) { b, x throws(Diagnostic) in try b.log(x)
      },
      unary("sqrt", "The square root.", { $0.squareRoot() }) { b, x throws(Diagnostic) in
        try b.sqrt(x)
      },
      whole("square", "x²") { b, x throws(Diagnostic) in try b.multiply(x, x) },
      whole("abs", "The absolute value.") { b, x throws(Diagnostic) in try b.absolute(x) },
      whole("sign", "−1, 0 or 1.") { b, x throws(Diagnostic) in try b.sign(x) },
      unary("tanh", "The hyperbolic tangent.", { tanh($0) }) { b, x throws(Diagnostic) in
        try b.tanh(x)
      },
      unary("sigmoid", "1/(1 + e⁻ˣ)", { 1 / (1 + exp(-$0)) }) { b, x throws(Diagnostic) in
        try b.sigmoid(x)
      },
      unary("softplus", "log(1 + eˣ)", { max($0, 0) + log1p(exp(-Swift.abs($0))) }) {
        b, x throws(Diagnostic) in try b.softplus(x)
      },
      unary("relu", "max(x, 0)", { max($0, 0) }) { b, x throws(Diagnostic) in try b.relu(x) },
      FunctionEntry(
        "leakyReLU", .elementwise, [.x, Parameter("slope", .number, .float(0.3))],
        "x where it is positive, else slope · x."
      ) { site throws(Diagnostic) in
        let slope = try site.number("slope")
        return site.result(try site.builder.leakyRelu(try site.float("x").id, slope: slope))
      },
      FunctionEntry(
        "elu", .elementwise, [.x, Parameter("alpha", .number, .float(1))],
        "x where it is positive, else alpha · (eˣ − 1)."
      ) { site throws(Diagnostic) in
        let alpha = try site.number("alpha")
        return site.result(try site.builder.elu(try site.float("x").id, alpha: alpha))
      },
      FunctionEntry("selu", .elementwise, [.x], "The self-normalising elu (Klambauer et al. 2017).")
      {
        site throws(Diagnostic) in
        let b = site.builder
        let y = try b.elu(try site.float("x").id, alpha: 1.6732632423543772)
        return site.result(try b.multiply(y, 1.0507009873554805))
      },
      FunctionEntry("gelu", .elementwise, [.x], "x · Φ(x), the erf form.") {
        site throws(Diagnostic) in
        let b = site.builder
        let x = try site.float("x").id
        let erf = try b.erf(try b.multiply(x, 0.5.squareRoot()))
        return site.result(try b.multiply(try b.multiply(x, 0.5), try b.add(erf, 1)))
      },
      FunctionEntry("swish", .elementwise, [.x], "x · sigmoid(x)") { site throws(Diagnostic) in
        let x = try site.float("x").id
        return site.result(try site.builder.multiply(x, try site.builder.sigmoid(x)))
      },
      FunctionEntry(
        "clip", .elementwise, [.x, Parameter("low", .tensor), Parameter("high", .tensor)],
        "x limited to low…high; the gradient is 0 outside."
      ) { site throws(Diagnostic) in
        let (least, most) = (try site.value("low"), try site.value("high"))
        if let bottom = least.number, let top = most.number, bottom > top {
          throw site.bad("high", "high is \(most.text), but low is \(least.text)")
        }
        let low = try site.pairwise("maximum", try site.operand("x"), try site.operand("low"))
        return try site.pairwise("minimum", (low, site.range), try site.operand("high"))
      },
    ]
    + ["minimum", "maximum", "power"].map { name in
      FunctionEntry(
        name, .elementwise, [Parameter("a", .tensor), Parameter("b", .tensor)],
        name == "power"
          ? "a to the power of b, element by element."
          : "The \(name == "minimum" ? "smaller" : "larger") of a and b, element by element."
      ) { site throws(Diagnostic) in
        try site.pairwise(name, try site.operand("a"), try site.operand("b"))
      }
    } + [
      FunctionEntry(
        "where", .elementwise,
        [Parameter("c", .tensor), Parameter("a", .tensor), Parameter("b", .tensor)],
        "a where the condition c holds, else b."
      ) { site throws(Diagnostic) in try site.choose() }
    ]

  /// A function that maps whole numbers to whole numbers.
  private static func whole(
    _ name: String, _ summary: String, _ build: @escaping Build
  ) -> FunctionEntry {
    FunctionEntry(name, .elementwise, [.x], summary) { site throws(Diagnostic) in
      let value = try site.value("x")
      switch value {
      case .integer(let number):
        switch name {
        case "square":
          return try site.elaborator.combine(
            .multiply, (value, site.range), (value, site.range), at: site.range)
        case "abs": return number < 0 ? try site.elaborator.negate(value, at: site.range) : value
        default: return .integer(number.signum())
        }
      case .float(let number):
        switch name {
        case "square": return .float(number * number)
        case "abs": return .float(Swift.abs(number))
        default: return .float(number > 0 ? 1 : (number < 0 ? -1 : 0))
        }
      default: break
      }
      let x = try site.elaborator.numeric(try site.tensor("x"))
      if name == "square", x.type.element != .i32 {
        return site.result(try site.builder.square(x.id))
      }
      return site.result(try build(site.builder, x.id))
    }
  }
}

extension CallSite {
  /// minimum, maximum or power of two operands.
  func pairwise(
    _ name: String, _ a: Elaborator.Operand, _ b: Elaborator.Operand
  ) throws(Diagnostic) -> Value {
    if let x = a.value.number, let y = b.value.number {
      if case .integer(let m) = a.value, case .integer(let n) = b.value {
        switch name {
        case "minimum": return .integer(min(m, n))
        case "maximum": return .integer(max(m, n))
        default:
          let exact = pow(x, y)
          // Whole results that a Double holds exactly stay integers.
          if n >= 0, Swift.abs(exact) < 0x1p53 { return .integer(Int(exact)) }
          return .float(exact)
        }
      }
      return .float(name == "minimum" ? min(x, y) : name == "maximum" ? max(x, y) : pow(x, y))
    }
    var (x, y) = try elaborator.promoted(a, b, name)
    _ = try elaborator.broadcast(x, y, name, at: range)
    switch name {
    case "minimum": return result(try builder.minimum(x.id, y.id))
    case "maximum": return result(try builder.maximum(x.id, y.id))
    default:
      if x.type.element == .i32 {
        (x, y) = (try elaborator.asFloat(x), try elaborator.asFloat(y))
      }
      return result(try builder.power(x.id, y.id))
    }
  }

  /// `where(c, a, b)`
  func choose() throws(Diagnostic) -> Value {
    let condition = try value("c")
    if case .boolean(let flag) = condition { return try value(flag ? "a" : "b") }
    var c = try tensor("c")
    if c.type.element != .bool { c = try elaborator.converted(c, to: .bool) }
    let (a, b) = try elaborator.promoted(try operand("a"), try operand("b"), "where")
    let shape = try elaborator.broadcast(a, b, "where", at: range)
    let branch = TensorValue(id: a.id, type: a.type.with(shape: shape), place: a.place)
    _ = try elaborator.broadcast(c, branch, "where", at: range)
    return result(try builder.select(c.id, a.id, b.id))
  }
}
