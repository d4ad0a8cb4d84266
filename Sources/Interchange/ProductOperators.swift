// Matrix products.

import Basics
import Formats
import GraphIR
import Operators

enum ProductOperators {
  static let entries: [String: OperatorTable.Entry] = [
    "MatMul": .init([], matmul),
    "Gemm": .init(["alpha", "beta", "transA", "transB"], gemm),
  ]

  /// α A′ B′ + β C, where A′ is A or Aᵀ and C is broadcast.
  @Sendable private static func gemm(_ node: NodeImport) throws -> [ModelValue?] {
    let (a, b) = (try node.real(node.input(0)), try node.input(1))
    let builder = node.builder
    let product = try builder.matmul(
      node.planar(a), node.planar(b), transposeA: node.flag("transA"),
      transposeB: node.flag("transB"))
    var y = try builder.scaled(product, by: node.float("alpha", 1))
    let beta = try node.float("beta", 1)
    if let c = node.optional(2), beta != 0 {
      y = try builder.add(y, builder.scaled(node.planar(c), by: beta))
    }
    return [node.result(y, a.element)]
  }

  /// As NumPy's: vectors count as a row or a column, leading axes are broadcast.
  @Sendable private static func matmul(_ node: NodeImport) throws -> [ModelValue?] {
    let (a, b) = (try node.real(node.input(0)), try node.real(node.input(1)))
    let builder = node.builder
    guard a.rank > 0, b.rank > 0 else { throw Malformed(what: "multiplies a scalar") }
    var (x, y) = (try node.planar(a), try node.planar(b))
    if a.rank == 1 { x = try builder.reshape(x, [1, a.shape[0]]) }
    if b.rank == 1 { y = try builder.reshape(y, [b.shape[0], 1]) }
    var product = try product(builder, x, y)
    var shape = builder.shape(of: product)
    if b.rank == 1 { shape.removeLast() }
    if a.rank == 1 { shape.remove(at: shape.count - (b.rank == 1 ? 1 : 2)) }
    product = try builder.reshape(product, shape)
    return [node.result(product, a.element)]
  }

  private static func product(
    _ builder: GraphBuilder, _ x: ValueID, _ y: ValueID
  ) throws -> ValueID {
    let (a, b) = (builder.shape(of: x), builder.shape(of: y))
    // One matrix for all: the rows of all products are those of one.
    if b.count == 2, a.count > 2 { return try multiplyRows(builder, x, y) }
    guard let batch = broadcastShapes(Array(a.dropLast(2)), Array(b.dropLast(2))) else {
      throw Malformed(what: "multiplies \(shapeText(a)) by \(shapeText(b))")
    }
    return try builder.matmul(
      builder.broadcast(x, to: batch + a.suffix(2)), builder.broadcast(y, to: batch + b.suffix(2)))
  }
}
