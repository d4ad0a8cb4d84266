// The list of products: matrix products and the convolutions, and how a matrix product's operands lie in memory.

import Basics
import GraphIR
import Operators

let productRoots: [(any Operation.Type, RootEmitter)] = [
  (MatMul.self, emitMatMul),
  (Conv2D.self, emitConv2D),
  (Conv2DInputGradient.self, emitConv2DInputGradient),
  (Conv2DFilterGradient.self, emitConv2DFilterGradient),
]
private let emitMatMul: RootEmitter = { (node, epilogue) throws(EnvironmentFailure) in
  guard let operation = node.operation as? MatMul else { return }
  let (a, b) = (node.operands[0], node.operands[1])
  let (m, k, n, batch) = operation.sizes(a.type, b.type)
  emitProduct(
    node,
    Product(
      a: ProductOperand(
        buffer: a.buffer,
        layout: operation.transposeA ? .matrix(outer: 1, depth: m) : .matrix(outer: k, depth: 1),
        outer: m, depth: k, batchStride: batch > 1 ? m * k : 0),
      b: ProductOperand(
        buffer: b.buffer,
        layout: operation.transposeB ? .matrix(outer: k, depth: 1) : .matrix(outer: 1, depth: n),
        outer: n, depth: k, batchStride: batch > 1 ? k * n : 0),
      batch: batch), epilogue)
}
