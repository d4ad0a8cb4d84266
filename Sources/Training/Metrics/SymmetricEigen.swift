// Eigenvalues of symmetric matrices and singular values of any square ones, by Jacobi's rotations in Double: slow for
// wide matrices, but as exact as can be, short, and the same bits everywhere (Golub and Van Loan, Matrix Computations,
// 8.5 and 8.6).

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A square matrix in row-major order.
package struct SquareMatrix: Sendable {
  package let size: Int
  package var values: [Double]

  package init(size: Int, values: [Double]? = nil) {
    self.size = size
    self.values = values ?? [Double](repeating: 0, count: size * size)
  }

  package static func identity(_ size: Int) -> SquareMatrix {
    var matrix = SquareMatrix(size: size)
    for i in 0..<size { matrix[i, i] = 1 }
    return matrix
  }

  package subscript(row: Int, column: Int) -> Double {
    get { values[row * size + column] }
    set { values[row * size + column] = newValue }
  }

  package var trace: Double { (0..<size).reduce(0) { $0 + self[$1, $1] } }

  /// (row p, row q) ← (c · p − s · q, s · p + c · q)
  fileprivate mutating func rotateRows(_ p: Int, _ q: Int, _ c: Double, _ s: Double) {
    let size = size
    values.withUnsafeMutableBufferPointer { values in
      guard let base = values.baseAddress else { return }
      let first = base + p * size
      let second = base + q * size
      for k in 0..<size {
        let (x, y) = (first[k], second[k])
        first[k] = c * x - s * y
        second[k] = s * x + c * y
      }
    }
  }

  fileprivate mutating func rotateColumns(_ p: Int, _ q: Int, _ c: Double, _ s: Double) {
    let size = size
    values.withUnsafeMutableBufferPointer { values in
      for k in 0..<size {
        let (x, y) = (values[k * size + p], values[k * size + q])
        values[k * size + p] = c * x - s * y
        values[k * size + q] = s * x + c * y
      }
    }
  }
}

/// A rotation (c, s) that makes [[a, b], [b, d]] diagonal, by the smaller of the two angles.
private func rotation(_ a: Double, _ b: Double, _ d: Double) -> (c: Double, s: Double) {
  let ratio = (d - a) / (2 * b)
  let tangent = (ratio < 0 ? -1 : 1) / (abs(ratio) + (1 + ratio * ratio).squareRoot())
  let cosine = 1 / (1 + tangent * tangent).squareRoot()
  return (cosine, tangent * cosine)
}

/// Far more sweeps than any matrix takes: convergence is quadratic, after 6 to 10.
private let mostSweeps = 60

/// A = Σ λᵢ vᵢ vᵢᵀ of a symmetric matrix.
package struct SymmetricEigen: Sendable {
  /// In no order.
  package private(set) var values: [Double]
  /// Row i is the eigenvector of value i.
  package private(set) var vectors: SquareMatrix

  package init(_ matrix: SquareMatrix) {
    var rest = matrix
    var vectors = SquareMatrix.identity(matrix.size)
    for _ in 0..<mostSweeps {
      var isDiagonal = true
      for p in 0..<matrix.size {
        for q in p + 1..<max(p + 1, matrix.size) {
          let (a, b, d) = (rest[p, p], rest[p, q], rest[q, q])
          // Below this an element changes no digit of either eigenvalue.
          guard abs(b) > 1e-17 * (abs(a) + abs(d)) || (a == 0 && d == 0 && b != 0) else { continue }
          isDiagonal = false
          let (c, s) = rotation(a, b, d)
          rest.rotateRows(p, q, c, s)
          rest.rotateColumns(p, q, c, s)
          rest[p, q] = 0
          rest[q, p] = 0
          vectors.rotateRows(p, q, c, s)
        }
      }
      if isDiagonal { break }
    }
    values = (0..<matrix.size).map { rest[$0, $0] }
    self.vectors = vectors
  }
}

/// The singular values of a square matrix, in no order: rows are turned in pairs until all are orthogonal; then they are
/// as long as the singular values (Hestenes, 1958).
package func singularValues(_ matrix: SquareMatrix) -> [Double] {
  var rows = matrix
  func product(_ p: Int, _ q: Int) -> Double {
    var sum = 0.0
    for k in 0..<rows.size { sum += rows[p, k] * rows[q, k] }
    return sum
  }
  for _ in 0..<mostSweeps {
    var isOrthogonal = true
    for p in 0..<rows.size {
      for q in p + 1..<max(p + 1, rows.size) {
        let b = product(p, q)
        let (a, d) = (product(p, p), product(q, q))
        guard abs(b) > 1e-15 * (a * d).squareRoot(), b != 0 else { continue }
        isOrthogonal = false
        let (c, s) = rotation(a, b, d)
        rows.rotateRows(p, q, c, s)
      }
    }
    if isOrthogonal { break }
  }
  return (0..<rows.size).map { product($0, $0).squareRoot() }
}
