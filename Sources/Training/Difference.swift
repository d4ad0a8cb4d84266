// How far two computations of one node are apart, beside the size of what they computed.

import GraphIR
import Operators

/// Differences of the results of one node with given operands.
package struct Difference {
  /// Where terms cancel each other, roundings are beside the terms, not beside what is left of them.
  private let termSize: Double

  package init(_ operation: any Operation, _ types: [TensorType], _ operands: [[UInt8]?]) {
    guard operation is Sum || operation is Moments, let bytes = operands.first ?? nil,
      let type = types.first
    else {
      termSize = 0
      return
    }
    let values = Difference.numbers(bytes, type)
    let mean = values.isEmpty ? 0 : values.reduce(0) { $0 + abs($1) } / Double(values.count)
    let terms = (operation as? Sum).map { sum in
      sum.axes.reduce(1) { $0 * type.shape[$1] }
    }
    termSize = mean * Double(terms ?? 1)
  }

  /// The largest difference of the elements over the largest magnitude; infinite where only one is a number.
  package func between(_ found: [UInt8], _ expected: [UInt8], _ type: TensorType) -> Double {
    let (found, expected) = (Difference.numbers(found, type), Difference.numbers(expected, type))
    var size = termSize
    var worst = 0.0
    for (a, b) in zip(found, expected) {
      if b.isFinite { size = max(size, abs(b)) }
      if a == b || a.isNaN && b.isNaN { continue }
      if !type.element.isFloat { return .infinity }
      guard a.isFinite, b.isFinite else { return .infinity }
      // Denormal numbers may be flushed.
      if abs(a - b) > 1.2e-38 { worst = max(worst, abs(a - b)) }
    }
    return worst == 0 ? 0 : worst / max(size, 1e-30)
  }

  private static func numbers(_ bytes: [UInt8], _ type: TensorType) -> [Double] {
    bytes.withUnsafeBytes { raw in
      switch type.element {
      case .f32: raw.bindMemory(to: Float.self).map(Double.init)
      case .f64: Array(raw.bindMemory(to: Double.self))
      case .i32, .bool: raw.bindMemory(to: Int32.self).map(Double.init)
      }
    }
  }
}
