// Arithmetic, comparisons and logic, element by element with broadcasting.

import Basics
import Formats
import GraphIR
import Operators

enum ElementwiseOperators {
  static let entries: [String: OperatorTable.Entry] = [
    "Add": binary { try $0.add($1, $2) },
    "Sub": binary { try $0.subtract($1, $2) },
    "Mul": binary { try $0.multiply($1, $2) },
    "Div": .init { node in
      try arithmetic(node) { builder, a, b in
        builder.type(of: a).element == .i32
          ? try truncatedQuotient(builder, a, b) : try builder.divide(a, b)
      }
    },
    "Mod": .init(["fmod"], modulo),
    "Pow": .init([], power),
    "Max": variadic { try $0.maximum($1, $2) },
    "Min": variadic { try $0.minimum($1, $2) },
    "Sum": variadic { try $0.add($1, $2) },
    "Mean": .init { node in
      let values = try node.allInputs()
      for value in values { _ = try node.real(value) }
      return [
        try node.elementwise(values, to: values[0].element) { ids in
          let sum = try ids.dropFirst().reduce(ids[0]) { try node.builder.add($0, $1) }
          return try node.builder.divide(sum, Double(ids.count))
        }
      ]
    },
    "Neg": number { try $0.negate($1) },
    "Abs": number { try $0.absolute($1) },
    "Sign": number { try $0.sign($1) },
    "Exp": unary { try $0.builder.exp($1) },
    "Log": unary { try $0.builder.log($1) },
    "Sqrt": unary { try $0.builder.sqrt($1) },
    "Reciprocal": unary { try $0.builder.divide(1, $1) },
    "Erf": unary { try $0.builder.erf($1) },
    "Floor": unary { try floor($0.builder, $1) },
    "Ceil": unary { try $0.builder.negate(floor($0.builder, $0.builder.negate($1))) },
    "Round": unary { try round($0.builder, $1) },
    "Sinh": unary { try sinh($0.builder, $1) },
    "Cosh": unary { node, x in
      let builder = node.builder
      let sum = try builder.add(builder.exp(x), builder.exp(builder.negate(x)))
      return try builder.multiply(sum, 0.5)
    },
    "Asinh": unary { try asinh($0.builder, $1) },
    "Acosh": unary { node, x in
      let builder = node.builder
      let root = try builder.sqrt(builder.subtract(builder.square(x), 1))
      return try builder.log(builder.add(x, root))
    },
    "Atanh": unary { try atanh($0.builder, $1) },
    "Equal": comparison(.eq), "Less": comparison(.lt), "LessOrEqual": comparison(.le),
    "Greater": comparison(.gt), "GreaterOrEqual": comparison(.ge),
    "And": logic { try $0.minimum($1, $2) },
    "Or": logic { try $0.maximum($1, $2) },
    "Xor": logic { try $0.absolute($0.subtract($1, $2)) },
    "Not": .init { node in
      let x = try boolean(node, 0)
      return [
        try node.elementwise(x) { try node.builder.compare(.eq, asNumber(node.builder, $0), 0) }
      ]
    },
    "Where": .init([], choice),
    "IsNaN": .init { node in
      let x = try node.real(node.input(0))
      return [try node.elementwise([x], to: .bool) { try node.builder.compare(.ne, $0[0], $0[0]) }]
    },
    "IsInf": .init(["detect_negative", "detect_positive"], isInfinite),
    "Clip": .init(["min", "max"], clip),
  ]

  // MARK: Arithmetic

  typealias Binary = @Sendable (GraphBuilder, ValueID, ValueID) throws -> ValueID

  private static func binary(_ body: @escaping Binary) -> OperatorTable.Entry {
    .init { try arithmetic($0, body) }
  }

  /// A function of one number, real or whole.
  private static func number(
    _ body: @escaping @Sendable (GraphBuilder, ValueID) throws -> ValueID
  ) -> OperatorTable.Entry {
    .init { node in
      let x = try node.input(0)
      return [
        try node.elementwise(x) {
          try wrapped(node.builder, body(node.builder, $0), x.element)
        }
      ]
    }
  }

  private static func arithmetic(
    _ node: NodeImport, _ body: Binary
  ) throws -> [ModelValue?] {
    let (a, b) = (try node.input(0), try node.input(1))
    try checkSame(node, [a, b])
    return [
      try node.elementwise([a, b], to: a.element) {
        try wrapped(node.builder, body(node.builder, $0[0], $0[1]), a.element)
      }
    ]
  }

  private static func variadic(_ body: @escaping Binary) -> OperatorTable.Entry {
    .init { node in
      let values = try node.allInputs()
      try checkSame(node, values)
      return [
        try node.elementwise(values, to: values[0].element) { ids in
          try ids.dropFirst().reduce(ids[0]) { try body(node.builder, $0, $1) }
        }
      ]
    }
  }

  static func checkSame(_ node: NodeImport, _ values: [ModelValue]) throws {
    for value in values where value.element != values[0].element {
      throw Malformed(
        what: "has operands of \(values[0].element.text) and \(value.element.text)")
    }
  }

  /// A whole number of fewer than 32 bits wraps around as its type does.
  private static func wrapped(
    _ builder: GraphBuilder, _ x: ValueID, _ element: ONNXElement
  ) throws -> ValueID {
    guard element.isWhole, let bits = element.bits, bits < 32 else { return x }
    let size = Double(1 << bits)
    if element == .uint8 || element == .uint16 {
      return try builder.modulo(x, builder.scalar(size, .i32))
    }
    let shifted = try builder.modulo(builder.add(x, size / 2), builder.scalar(size, .i32))
    return try builder.subtract(shifted, size / 2)
  }

  /// Division toward zero; ours is with floor.
  private static func truncatedQuotient(
    _ builder: GraphBuilder, _ a: ValueID, _ b: ValueID
  ) throws -> ValueID {
    let size = try builder.divide(builder.absolute(a), builder.absolute(b))
    return try builder.multiply(
      builder.multiply(builder.sign(a), builder.sign(b)), size)
  }

  @Sendable private static func modulo(_ node: NodeImport) throws -> [ModelValue?] {
    let (a, b) = (try node.input(0), try node.input(1))
    try checkSame(node, [a, b])
    let hasSignOfDividend = try node.flag("fmod")
    return [
      try node.elementwise([a, b], to: a.element) { ids in
        let builder = node.builder
        let (x, y) = (ids[0], ids[1])
        let size = try builder.modulo(builder.absolute(x), builder.absolute(y))
        let remainder =
          hasSignOfDividend
          ? try builder.multiply(builder.sign(x), size) : try builder.modulo(x, y)
        guard a.element.isReal else { return remainder }
        // By an infinity: the dividend itself, or, where its sign is the other, the infinity.
        let agrees = try builder.compare(.ge, builder.multiply(x, builder.sign(y)), 0)
        let whole = hasSignOfDividend ? x : try builder.select(agrees, x, y)
        let isInfinite = try builder.compare(.eq, builder.absolute(y), .infinity)
        let isFinite = try builder.compare(.lt, builder.absolute(x), .infinity)
        return try builder.select(
          isFinite, builder.select(isInfinite, whole, remainder), remainder)
      }
    ]
  }

  /// The result has the type of the base; whole numbers are computed as reals.
  @Sendable private static func power(_ node: NodeImport) throws -> [ModelValue?] {
    let (a, b) = (try node.input(0), try node.input(1))
    let exponent = b.count == 1 ? b.values?.first : nil
    return [
      try node.elementwise([a, b], to: a.element) { ids in
        let builder = node.builder
        let base = try builder.convert(ids[0], to: .f32)
        let power: ValueID
        switch exponent {
        case 2 where b.rank <= a.rank: power = try builder.square(base)
        case 0.5 where a.element.isReal && b.rank <= a.rank: power = try builder.sqrt(base)
        default: power = try builder.power(base, builder.convert(ids[1], to: .f32))
        }
        if a.element.isReal { return power }
        return try builder.convert(
          wholePower(builder, power, builder.convert(ids[1], to: .f32), b.values), to: .i32)
      }
    ]
  }

  /// A power of a whole number as a whole number: rounded where the exponent is whole and not
  /// negative, since the power then is one, else cut toward 0. `known` are the exponents where they
  /// are known.
  private static func wholePower(
    _ builder: GraphBuilder, _ power: ValueID, _ exponent: ValueID, _ known: [Double]?
  ) throws -> ValueID {
    let rounded = try floor(builder, builder.add(power, 0.5))
    if let known, known.allSatisfy({ $0 >= 0 && $0 == $0.rounded() }) { return rounded }
    let isWhole = try builder.compare(
      .eq, exponent, builder.maximum(floor(builder, exponent), builder.scalar(0)))
    let cut = try builder.multiply(
      builder.sign(power), floor(builder, builder.absolute(power)))
    return try builder.select(isWhole, rounded, cut)
  }

  /// x less its remainder by 1, which is exact.
  static func floor(_ builder: GraphBuilder, _ x: ValueID) throws -> ValueID {
    let whole = try builder.subtract(x, builder.modulo(x, builder.scalar(1)))
    return try unlessWhole(builder, x, whole)
  }

  /// To the nearest whole number, halves to the even one.
  private static func round(_ builder: GraphBuilder, _ x: ValueID) throws -> ValueID {
    // Of |x|, whose part behind the point is exact.
    let size = try builder.absolute(x)
    let low = try floor(builder, size)
    let part = try builder.subtract(size, low)
    let isOdd = try builder.modulo(low, builder.scalar(2))
    let isAbove = try builder.compare(.gt, part, 0.5)
    let isHalf = try builder.compare(.eq, part, 0.5)
    let step = try builder.select(
      isAbove, builder.scalar(1), builder.select(isHalf, isOdd, builder.scalar(0)))
    let rounded = try builder.multiply(builder.sign(x), builder.add(low, step))
    return try unlessWhole(builder, x, rounded)
  }

  /// Beyond 2²³ every number is whole; so are infinities.
  private static func unlessWhole(
    _ builder: GraphBuilder, _ x: ValueID, _ rounded: ValueID
  ) throws -> ValueID {
    let isLarge = try builder.compare(.ge, builder.absolute(x), 0x1p23)
    return try builder.select(isLarge, x, rounded)
  }

  /// From 1 on (exp |x| − exp(−|x|)) / 2. Below, with m = exp(−|x|) − 1,
  /// sinh |x| = −m (2 + m) / (2 (1 + m)), which does not cancel near 0.
  private static func sinh(_ builder: GraphBuilder, _ x: ValueID) throws -> ValueID {
    let size = try builder.absolute(x)
    let inverse = try builder.exp(builder.negate(size))
    let large = try builder.multiply(builder.subtract(builder.exp(size), inverse), 0.5)
    let m = try builder.elu(builder.negate(size))
    let numerator = try builder.negate(builder.multiply(m, builder.add(m, 2)))
    let small = try builder.divide(numerator, builder.multiply(builder.add(m, 1), 2))
    let isLarge = try builder.compare(.ge, size, 1)
    return try builder.multiply(builder.sign(x), builder.select(isLarge, large, small))
  }

  /// sign x · log(|x| + √(x² + 1)), which does not cancel for negative x; below 1 with
  /// |x| + √(x² + 1) = 1 + (|x| + x² / (1 + √(x² + 1))).
  private static func asinh(_ builder: GraphBuilder, _ x: ValueID) throws -> ValueID {
    let size = try builder.absolute(x)
    let square = try builder.square(x)
    let root = try builder.sqrt(builder.add(square, 1))
    let large = try builder.log(builder.add(size, root))
    let rest = try builder.add(size, builder.divide(square, builder.add(root, 1)))
    let isSmall = try builder.compare(.lt, size, 1)
    return try builder.multiply(
      builder.sign(x), builder.select(isSmall, logarithm(builder, oneAnd: rest), large))
  }

  /// ½ log((1 + x) / (1 − x)); below ½ with (1 + x) / (1 − x) = 1 + 2x / (1 − x).
  private static func atanh(_ builder: GraphBuilder, _ x: ValueID) throws -> ValueID {
    let below = try builder.subtract(1, x)
    let large = try builder.log(builder.divide(builder.add(x, 1), below))
    let rest = try builder.divide(builder.add(x, x), below)
    let isSmall = try builder.compare(.lt, builder.absolute(x), 0.5)
    return try builder.multiply(
      builder.select(isSmall, logarithm(builder, oneAnd: rest), large), 0.5)
  }

  /// log(1 + u) without loss near 0: with w = 1 + u as it is rounded, u · log w / (w − 1), and u
  /// where w is 1 (W. Kahan's).
  private static func logarithm(_ builder: GraphBuilder, oneAnd u: ValueID) throws -> ValueID {
    let w = try builder.add(u, 1)
    let difference = try builder.subtract(w, 1)
    let isNothing = try builder.compare(.eq, difference, 0)
    let divisor = try builder.select(isNothing, builder.scalar(1), difference)
    let value = try builder.multiply(builder.log(w), builder.divide(u, divisor))
    return try builder.select(isNothing, u, value)
  }

  // MARK: Comparisons and logic

  /// Booleans are compared and combined as 0 and 1.
  static func asNumber(_ builder: GraphBuilder, _ x: ValueID) throws -> ValueID {
    builder.type(of: x).element == .bool ? try builder.convert(x, to: .f32) : x
  }

  private static func comparison(_ predicate: Compare.Predicate) -> OperatorTable.Entry {
    .init { node in
      let (a, b) = (try node.input(0), try node.input(1))
      try checkSame(node, [a, b])
      return [
        try node.elementwise([a, b], to: .bool) { ids in
          let builder = node.builder
          return try builder.compare(
            predicate, asNumber(builder, ids[0]), asNumber(builder, ids[1]))
        }
      ]
    }
  }

  private static func boolean(_ node: NodeImport, _ index: Int) throws -> ModelValue {
    let value = try node.input(index)
    guard value.element == .bool else {
      throw Malformed(what: "needs booleans, found \(value.element.text)")
    }
    return value
  }

  private static func logic(_ body: @escaping Binary) -> OperatorTable.Entry {
    .init { node in
      let values = [try boolean(node, 0), try boolean(node, 1)]
      return [
        try node.elementwise(values, to: .bool) { ids in
          let builder = node.builder
          let number = try body(
            builder, asNumber(builder, ids[0]), asNumber(builder, ids[1]))
          return try builder.compare(.ne, number, 0)
        }
      ]
    }
  }

  @Sendable private static func choice(_ node: NodeImport) throws -> [ModelValue?] {
    let condition = try boolean(node, 0)
    let (a, b) = (try node.input(1), try node.input(2))
    try checkSame(node, [a, b])
    return [
      try node.elementwise([condition, a, b], to: a.element) { ids in
        let builder = node.builder
        let chosen = try builder.select(
          ids[0], asNumber(builder, ids[1]), asNumber(builder, ids[2]))
        return a.element == .bool ? try builder.compare(.ne, chosen, 0) : chosen
      }
    ]
  }

  @Sendable private static func isInfinite(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.real(node.input(0))
    let negative = try node.flag("detect_negative", true)
    let positive = try node.flag("detect_positive", true)
    return [
      try node.elementwise([x], to: .bool) { ids in
        let builder = node.builder
        switch (negative, positive) {
        case (true, true): return try builder.compare(.eq, builder.absolute(ids[0]), .infinity)
        case (true, false): return try builder.compare(.eq, ids[0], -.infinity)
        case (false, true): return try builder.compare(.eq, ids[0], .infinity)
        case (false, false):
          return try builder.constant(
            TensorType(.bool, builder.shape(of: ids[0])), [0])
        }
      }
    ]
  }

  /// The limits are attributes before version 11, then inputs.
  @Sendable private static func clip(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.input(0)
    let builder = node.builder
    func limit(_ name: String, _ index: Int) throws -> ValueID? {
      if let value = try node.float(name) { return try builder.scalar(value) }
      guard let value = node.optional(index) else { return nil }
      return try builder.reshape(node.planar(value), [])
    }
    let (low, high) = (try limit("min", 1), try limit("max", 2))
    return [
      try node.elementwise(x) { id in
        var y = id
        if let low { y = try builder.maximum(y, low) }
        if let high { y = try builder.minimum(y, high) }
        return y
      }
    ]
  }
}
