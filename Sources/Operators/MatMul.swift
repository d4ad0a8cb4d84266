// Matrix multiplication, with either operand transposed.

import Basics
import GraphIR

package struct MatMul: Operation {
  package static let mnemonic = "matmul"
  package static let summary =
    "The matrix product over the last two axes; leading axes are equal and multiply matrix by matrix."
  package static let signature = [OperandSpec("a"), OperandSpec("b")]
  package static var samples: [Sample<MatMul>] {
    let sizes: [(m: Int, k: Int, n: Int)] = [(1, 1, 1), (2, 3, 4), (5, 1, 3), (7, 5, 1), (1, 4, 9)]
    var all: [Sample<MatMul>] = []
    for transposeA in [false, true] {
      for transposeB in [false, true] {
        let operation = MatMul(transposeA: transposeA, transposeB: transposeB)
        func sample(_ batch: [Int], _ m: Int, _ k: Int, _ n: Int, _ smooth: Bool = true)
          -> Sample<MatMul>
        {
          Sample(
            operation,
            [
              .f32(batch + (transposeA ? [k, m] : [m, k])),
              .f32(batch + (transposeB ? [n, k] : [k, n])),
            ], differentiable: smooth)
        }
        all += sizes.map { sample([], $0.m, $0.k, $0.n) }
        all += [sample([3], 2, 3, 2), sample([2, 2], 1, 3, 2)]
        // For kernels: beyond one register tile in each direction.
        all.append(sample([], 19, 37, 53, false))
      }
    }
    return all
  }

  package var transposeA: Bool
  package var transposeB: Bool
  package init() { self.init(transposeA: false, transposeB: false) }
  package init(transposeA: Bool = false, transposeB: Bool = false) {
    self.transposeA = transposeA
    self.transposeB = transposeB
  }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("transposeA", &transposeA, default: false)
    try visitor.attribute("transposeB", &transposeB, default: false)
  }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try check(operands, [.f32])
    let (a, b) = (operands[0], operands[1])
    guard a.rank >= 2, b.rank >= 2 else {
      throw Diagnostic(
        "shape.rank", "\(mnemonic) needs operands with two axes or more, found \(a) and \(b)")
    }
    guard a.shape.dropLast(2) == b.shape.dropLast(2) else {
      throw Diagnostic(
        "shape.mismatch",
        "\(mnemonic) needs equal axes before the last two, found \(a) and \(b)")
    }
    let (rows, inner) = matrix(a, transposeA)
    let (innerB, columns) = matrix(b, transposeB)
    guard inner == innerB else {
      throw Diagnostic(
        "shape.mismatch",
        "\(mnemonic) cannot multiply \(a)\(transposeA ? " transposed" : "") by "
          + "\(b)\(transposeB ? " transposed" : ""): \(inner) columns against \(innerB) rows")
    }
    return [.f32(Array(a.shape.dropLast(2)) + [rows, columns])]
  }

  /// Rows and columns of an operand's matrices, as they are multiplied.
  private func matrix(_ type: TensorType, _ transposed: Bool) -> (rows: Int, columns: Int) {
    let (first, second) = (type.shape[type.rank - 2], type.shape[type.rank - 1])
    return transposed ? (second, first) : (first, second)
  }

  /// Rows m, inner size k, columns n and the number of products.
  package func sizes(_ a: TensorType, _ b: TensorType) -> (m: Int, k: Int, n: Int, batch: Int) {
    let (m, k) = matrix(a, transposeA)
    return (m, k, matrix(b, transposeB).columns, a.shape.dropLast(2).reduce(1, *))
  }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] {
    // With leading axes the first one counts the products.
    if operands[0].rank > 2 { return [[0], [1]] }
    return transposeA ? [] : [[0]]
  }

  package func rowUse(_ operands: [TensorType]) -> RowUse {
    if operands[0].rank > 2 { return .each([0, 1]) }
    guard transposeA else { return .each([0]) }
    // With B transposed too, the sum is along the second axis of B.
    return transposeB ? .mixed : .summed([0, 1])
  }

  /// With Y = A′ · B′, where A′ is A or Aᵀ and B′ is B or Bᵀ: dA′ = dY · B′ᵀ, dB′ = A′ᵀ · dY;
  /// and where A′ = Aᵀ, dA = (dA′)ᵀ = B′ · dYᵀ, where B′ = Bᵀ, dB = (dB′)ᵀ = dYᵀ · A′.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    let builder = scope.builder
    let (a, b, dy) = (scope.operands[0], scope.operands[1], scope.seed)
    if scope.needs(0) {
      let adjoint =
        transposeA
        ? try builder.matmul(b, dy, transposeA: transposeB, transposeB: true)
        : try builder.matmul(dy, b, transposeB: !transposeB)
      scope.setAdjoint(of: 0, adjoint)
    }
    if scope.needs(1) {
      let adjoint =
        transposeB
        ? try builder.matmul(dy, a, transposeA: true, transposeB: transposeA)
        : try builder.matmul(a, dy, transposeA: !transposeA)
      scope.setAdjoint(of: 1, adjoint)
    }
  }

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let (m, k, n, batch) = sizes(operands[0].type, operands[1].type)
    // Strides of a[i, p] and b[p, j]; the inner loop runs along a row of the result.
    let (aRow, aColumn) = transposeA ? (1, m) : (k, 1)
    let (bRow, bColumn) = transposeB ? (1, k) : (n, 1)
    var result = [Double](repeating: 0, count: results[0].count)
    result.withUnsafeMutableBufferPointer { result in
      operands[0].values.withUnsafeBufferPointer { a in
        operands[1].values.withUnsafeBufferPointer { b in
          guard let y = result.baseAddress, let a = a.baseAddress, let b = b.baseAddress
          else { return }
          var row = 0
          while row < batch * m {
            let matrix = row / m
            let start = a + (matrix * m * k + (row - matrix * m) * aRow)
            let target = y + row * n
            var p = 0
            while p < k {
              let factor = start[p * aColumn]
              let source = b + (matrix * k * n + p * bRow)
              var j = 0
              while j < n {
                target[j] += factor * source[j * bColumn]
                j += 1
              }
              p += 1
            }
            row += 1
          }
        }
      }
    }
    return [HostTensor(results[0], result)]
  }

  /// 2 m n k for each product.
  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    let (m, k, n, batch) = sizes(operands[0], operands[1])
    let products = Double(batch) * Double(m) * Double(n) * Double(k)
    return Cost(flops: 2 * products, bytes: Cost.traffic(operands, results))
  }
}
