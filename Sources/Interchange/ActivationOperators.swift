// Activations: real functions of one value, written with the operations that we have.

import Basics
import Formats
import GraphIR
import Operators

enum ActivationOperators {
  static let entries: [String: OperatorTable.Entry] = [
    "Relu": .init { node in
      let x = try node.input(0)
      return [
        try node.elementwise(x) {
          x.element.isReal ? try node.builder.relu($0) : try node.builder.maximum($0, 0)
        }
      ]
    },
    "LeakyRelu": unary(["alpha"]) {
      try $0.builder.leakyRelu($1, slope: $0.float("alpha", 0.01))
    },
    "PRelu": .init([], prelu),
    "ThresholdedRelu": unary(["alpha"]) { node, x in
      let builder = node.builder
      let isAbove = try builder.compare(.gt, x, node.float("alpha", 1))
      return try builder.select(isAbove, x, builder.scalar(0))
    },
    "Elu": unary(["alpha"]) { try $0.builder.elu($1, alpha: $0.float("alpha", 1)) },
    "Celu": unary(["alpha"]) { node, x in
      // max(0, x) + min(0, α (exp(x/α) − 1)): elu of x/α, times α.
      let alpha = try node.float("alpha", 1)
      return try node.builder.scaled(
        node.builder.elu(node.builder.scaled(x, by: 1 / alpha)), by: alpha)
    },
    "Selu": unary(["alpha", "gamma"]) { node, x in
      let alpha = try node.float("alpha", 1.67326319217681884765625)
      let gamma = try node.float("gamma", 1.05070102214813232421875)
      return try node.builder.scaled(node.builder.elu(x, alpha: alpha), by: gamma)
    },
    "Sigmoid": unary { try $0.builder.sigmoid($1) },
    "Tanh": unary { try $0.builder.tanh($1) },
    "Softplus": unary { try $0.builder.softplus($1) },
    "Softsign": unary { node, x in
      try node.builder.divide(x, node.builder.add(node.builder.absolute(x), 1))
    },
    "HardSigmoid": unary(["alpha", "beta"]) { node, x in
      try hardSigmoid(
        node.builder, x, alpha: node.float("alpha", 0.2), beta: node.float("beta", 0.5))
    },
    "HardSwish": unary { node, x in
      try node.builder.multiply(x, hardSigmoid(node.builder, x, alpha: 1.0 / 6, beta: 0.5))
    },
    "Mish": unary { node, x in
      try node.builder.multiply(x, node.builder.tanh(node.builder.softplus(x)))
    },
    "Swish": unary(["alpha"]) { node, x in
      let scaled = try node.builder.scaled(x, by: node.float("alpha", 1))
      return try node.builder.multiply(x, node.builder.sigmoid(scaled))
    },
    "Gelu": unary(["approximate"], gelu),
    "Shrink": unary(["bias", "lambd"]) { node, x in
      // x − bias above λ, x + bias below −λ, else 0.
      let builder = node.builder
      let (bias, limit) = (try node.float("bias", 0), try node.float("lambd", 0.5))
      let zero = try builder.scalar(0)
      let low = try builder.select(
        builder.compare(.lt, x, -limit), builder.add(x, bias), zero)
      return try builder.select(
        builder.compare(.gt, x, limit), builder.subtract(x, bias), low)
    },
    "Softmax": softmax { try $0.softmax($1) },
    "LogSoftmax": softmax { try $0.logSoftmax($1) },
    "Hardmax": softmax { builder, x in
      let last = builder.shape(of: x).count - 1
      return try builder.oneHot(builder.argMax(x, axis: last), count: builder.shape(of: x)[last])
    },
  ]

  /// The slope is broadcast to the input.
  @Sendable private static func prelu(_ node: NodeImport) throws -> [ModelValue?] {
    let (x, slope) = (try node.real(node.input(0)), try node.input(1))
    return [
      try node.elementwise([x, slope], to: x.element) { ids in
        let builder = node.builder
        let isPositive = try builder.compare(.gt, ids[0], 0)
        return try builder.select(isPositive, ids[0], builder.multiply(ids[0], ids[1]))
      }
    ]
  }

  /// max(0, min(1, α x + β))
  private static func hardSigmoid(
    _ builder: GraphBuilder, _ x: ValueID, alpha: Double, beta: Double
  ) throws -> ValueID {
    let line = try builder.add(builder.scaled(x, by: alpha), beta)
    return try builder.maximum(builder.minimum(line, 1), 0)
  }

  /// x Φ(x), or its approximation by a hyperbolic tangent.
  @Sendable private static func gelu(_ node: NodeImport, _ x: ValueID) throws -> ValueID {
    let builder = node.builder
    let half = try builder.scaled(x, by: 0.5)
    switch try node.string("approximate", "none") {
    case "none":
      let shape = try builder.erf(builder.scaled(x, by: 0.5.squareRoot()))
      return try builder.multiply(half, builder.add(shape, 1))
    case "tanh":
      let cube = try builder.multiply(builder.square(x), x)
      let inner = try builder.add(x, builder.scaled(cube, by: 0.044715))
      let shape = try builder.tanh(builder.scaled(inner, by: (2 / Double.pi).squareRoot()))
      return try builder.multiply(half, builder.add(shape, 1))
    case let other: throw Malformed(what: "has the unknown approximation '\(other)'")
    }
  }

  /// Along one axis; before version 13 along all axes from one on.
  private static func softmax(
    _ body: @escaping @Sendable (GraphBuilder, ValueID) throws -> ValueID
  ) -> OperatorTable.Entry {
    .init(["axis"]) { node in
      let x = try node.real(node.input(0))
      let builder = node.builder
      let id = try node.planar(x)
      guard node.opset < 13 else {
        let axis = try node.axis(node.int("axis", -1), rank: x.rank)
        return [
          node.result(try alongAxis(builder, id, axis) { try body(builder, $0) }, x.element)
        ]
      }
      let axis = try node.axis(node.int("axis", 1), rank: x.rank, extra: 0)
      let rows = x.shape[..<axis].reduce(1, *)
      let flat = try body(builder, builder.reshape(id, [rows, x.count / rows]))
      return [node.result(try builder.reshape(flat, x.shape), x.element)]
    }
  }
}

/// Applies a function of the last axis, which keeps the shape, along another axis.
func alongAxis(
  _ builder: GraphBuilder, _ x: ValueID, _ axis: Int, _ body: (ValueID) throws -> ValueID
) throws -> ValueID {
  let rank = builder.shape(of: x).count
  if axis == rank - 1 { return try body(x) }
  var order = Array(0..<rank)
  order.swapAt(axis, rank - 1)
  return try builder.transpose(body(builder.transpose(x, order)), order)
}
