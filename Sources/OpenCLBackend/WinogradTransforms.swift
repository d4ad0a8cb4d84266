// The transforms of Winograd's convolutions as C statements, made from their matrices, which follow from the points
// (Toom and Cook; Lavin and Gray 2015). In: matrices. Out: additions and multiplications, with what rows or columns of
// opposite points share computed once.

import GraphIR
import Operators

/// y = M x on vectors, as statements.
struct LinearTransform {
  /// [output][input]
  let matrix: [[Double]]
  var outputs: Int { matrix.count }
  var inputs: Int { matrix[0].count }

  var adjoint: LinearTransform {
    LinearTransform(matrix: (0..<inputs).map { column in matrix.map { $0[column] } })
  }

  /// Declares `output(r)` for every row from the names `input(c)`, all vectors of `width`.
  func statements(
    width: Int, input: (Int) -> String, output: (Int) -> String
  ) -> [String] {
    let type = cType(.f32, width)
    var lines: [String] = []
    // Opposite points' columns: what one adds, the other adds or subtracts.
    var names = (0..<inputs).map(input)
    var sign = Array(repeating: Array(repeating: 0, count: inputs), count: outputs)
    var minus = [Int: String]()
    var gone = [Bool](repeating: false, count: inputs)
    for (first, second) in Self.pairs(adjoint.matrix) {
      lines.append("const \(type) p_\(first) = \(names[first]) + \(names[second]);")
      lines.append("const \(type) m_\(first) = \(names[first]) - \(names[second]);")
      names[first] = "p_\(first)"
      minus[first] = "m_\(first)"
      gone[second] = true
      for row in matrix.indices where matrix[row][first] != matrix[row][second] {
        sign[row][first] = -1
      }
    }
    func sum(_ row: Int, _ columns: [Int]) -> String {
      let terms = columns.filter { !gone[$0] && matrix[row][$0] != 0 }.map { column in
        let name = sign[row][column] < 0 ? minus[column] ?? "" : names[column]
        return (matrix[row][column], name)
      }
      return Self.sum(terms, width)
    }
    let all = Array(0..<inputs)
    var done = [Bool](repeating: false, count: outputs)
    if minus.isEmpty {
      // Opposite points' rows share their even and their odd parts.
      for (first, second) in Self.pairs(matrix) {
        let same = all.filter { matrix[first][$0] == matrix[second][$0] }
        let opposite = all.filter { matrix[first][$0] != matrix[second][$0] }
        lines.append("const \(type) s_\(first) = \(sum(first, same));")
        lines.append("const \(type) r_\(first) = \(sum(first, opposite));")
        lines.append("const \(type) \(output(first)) = s_\(first) + r_\(first);")
        lines.append("const \(type) \(output(second)) = s_\(first) - r_\(first);")
        (done[first], done[second]) = (true, true)
      }
    }
    for row in 0..<outputs where !done[row] {
      lines.append("const \(type) \(output(row)) = \(sum(row, all));")
    }
    return lines
  }

  /// Rows that are equal but for the signs of some elements, not of all.
  private static func pairs(_ rows: [[Double]]) -> [(Int, Int)] {
    var pairs: [(Int, Int)] = []
    var used = [Bool](repeating: false, count: rows.count)
    for first in rows.indices where !used[first] {
      for second in rows.indices.dropFirst(first + 1) where !used[second] {
        let both = zip(rows[first], rows[second]).filter { $0 != 0 || $1 != 0 }
        guard both.allSatisfy({ abs($0) == abs($1) }), both.contains(where: { $0 == $1 }),
          both.contains(where: { $0 != $1 })
        else { continue }
        pairs.append((first, second))
        (used[first], used[second]) = (true, true)
        break
      }
    }
    return pairs
  }

  /// Σ factor · name
  private static func sum(_ terms: [(Double, String)], _ width: Int) -> String {
    // One without a factor first, where there is one: it saves the multiplication.
    let start = terms.firstIndex { $0.0 == 1 } ?? 0
    guard !terms.isEmpty else { return cLiteral(0, .f32, width) }
    var rest = terms
    let first = rest.remove(at: start)
    var text = first.0 == 1 ? first.1 : "\(cLiteral(first.0, .f32, width)) * \(first.1)"
    for (factor, name) in rest {
      switch factor {
      case 1: text = "(\(text)) + \(name)"
      case -1: text = "(\(text)) - \(name)"
      default: text = "fma(\(cLiteral(factor, .f32, width)), \(name), \(text))"
      }
    }
    return text
  }
}

extension WinogradForm {
  /// Bᵀ, pixels of a tile to points: the coefficients of Π (x − q) over the finite points q other than the row's own.
  var inputTransform: LinearTransform {
    let finite = Self.finitePoints(points)
    func product(without own: Int?) -> [Double] {
      var coefficients = [1.0]
      for (index, q) in finite.enumerated() where index != own {
        let shifted = [0] + coefficients
        coefficients = zip(shifted, coefficients + [0]).map { $0 - q * $1 }
      }
      return coefficients + Array(repeating: 0, count: points - coefficients.count)
    }
    return LinearTransform(
      matrix: finite.indices.map { product(without: $0) } + [product(without: nil)])
  }

  /// Aᵀ, points to outputs of a tile: the powers of the points, the last point in the last output alone.
  var outputTransform: LinearTransform {
    let finite = Self.finitePoints(points)
    return LinearTransform(
      matrix: (0..<tile).map { output in
        finite.map { point in (0..<output).reduce(1.0) { power, _ in power * point } }
          + [output == tile - 1 ? 1 : 0]
      })
  }
}

/// A transform along both axes of a square, column by column and then row by row.
struct SquareTransform {
  let axis: LinearTransform
  /// Lanes of each value.
  let width: Int
  /// Loops over columns and rows are unrolled, so that the values between stay in registers.
  let isUnrolled: Bool

  /// `column` declares what a column `j` (a C name) needs and is asked for the value in row r of it; `row` takes the names of
  /// the results in row `i` (a C name).
  func write(
    into kernel: inout KernelText, column: (_ kernel: inout KernelText) -> Void,
    value: (_ row: Int) -> String,
    row: (_ kernel: inout KernelText, _ names: [String]) -> Void
  ) {
    let (inputs, outputs) = (axis.inputs, axis.outputs)
    let type = cType(.f32, width)
    let pragma = "#pragma unroll"
    kernel.line("\(type) half_way[\(outputs * inputs)];")
    if isUnrolled { kernel.line(pragma) }
    kernel.block("for (int j = 0; j < \(inputs); j++)") { kernel in
      column(&kernel)
      for r in 0..<inputs { kernel.line("const \(type) d_\(r) = \(value(r));") }
      kernel.lines(axis.statements(width: width, input: { "d_\($0)" }, output: { "o_\($0)" }))
      for r in 0..<outputs { kernel.line("half_way[\(r * inputs) + j] = o_\(r);") }
    }
    if isUnrolled { kernel.line(pragma) }
    kernel.block("for (int i = 0; i < \(outputs); i++)") { kernel in
      for c in 0..<inputs {
        kernel.line("const \(type) d_\(c) = half_way[i * \(inputs) + \(c)];")
      }
      kernel.lines(axis.statements(width: width, input: { "d_\($0)" }, output: { "o_\($0)" }))
      row(&kernel, (0..<outputs).map { "o_\($0)" })
    }
  }
}
