// What the nodes of a graph cost: arithmetic operations and bytes moved, as their operations say. `bench`, `profile`,
// the tables and the pictures share it.

import Formats
import GraphIR
import Operators
import Passes

extension Cost {
  static let none = Cost(flops: 0, bytes: 0)

  /// Operations a byte moved; nil where nothing is.
  var intensity: Double? { bytes > 0 ? flops / bytes : nil }
}

extension Graph {
  /// The arithmetic and the memory traffic of one run of a node. Constants are there before the step. What a gradient
  /// will cost is known only when it is expanded; until then it is nothing.
  func cost(of node: Node) -> Cost {
    if node.isConstant || node.operation is Gradient { return .none }
    return node.operation.cost(types(of: node.operands), types(of: node.results))
  }

  /// The arithmetic and the memory traffic of all its nodes, each run once.
  var cost: Cost { nodes.elements.reduce(.none) { $0 + cost(of: $1) } }

  /// The arithmetic of a node were its convolution direct: Winograd's forms do less.
  func directFlops(of node: Node) -> Double {
    let executed = cost(of: node).flops
    let fused = node.operation as? Fused
    let operation = fused?.root?.operation ?? node.operation
    guard let convolution = operation as? any ConvolutionOperation,
      convolution.method != .direct
    else { return executed }
    var direct = convolution
    direct.method = .direct
    let own = types(of: Array(node.operands.prefix(fused?.rootOperandCount ?? node.operands.count)))
    guard let results = try? convolution.inferTypes(own) else { return executed }
    return executed - convolution.cost(own, results).flops + direct.cost(own, results).flops
  }

  /// The cost of a graph as the program says it: gradients expanded, nothing shared or simplified.
  func writtenCost() throws -> Cost { try PassRunner(.unoptimized).run(self).graph.cost }
}

/// `821 MFLOP`
func flopText(_ flops: Double) -> String {
  let unit = FlopUnit(flops)
  return "\(unit.number(flops)) \(unit.name)"
}

/// `821 -> 296 MFLOP`, in the unit of the smaller unless that makes the other too long a number; what is too small a
/// change to be seen so, as `1.2 GFLOP (-3 FLOP)`.
func flopText(_ before: Double, to after: Double) -> String {
  let (low, high) = (min(before, after), max(before, after))
  let unit = FlopUnit(low > high / 10_000 ? low : high)
  if unit.number(before) != unit.number(after) {
    return "\(unit.number(before)) -> \(unit.number(after)) \(unit.name)"
  }
  guard before != after else { return flopText(after) }
  return "\(flopText(after)) (\(after < before ? "-" : "+")\(flopText(high - low)))"
}

struct FlopUnit {
  let name: String
  private let size: Double

  init(_ flops: Double) {
    let units = [("FLOP", 1.0), ("kFLOP", 1e3), ("MFLOP", 1e6), ("GFLOP", 1e9), ("TFLOP", 1e12)]
    (name, size) = units.last { flops >= $0.1 } ?? units[0]
  }

  /// Up to four digits.
  func number(_ flops: Double) -> String { shortNumber(flops / size) }
}

/// Costs are sums of whole numbers; a sum beyond an Int is printed as a Double.
func wholeNumber(_ value: Double) -> JSONValue {
  Int(exactly: value.rounded()).map { .int($0) } ?? .double(value)
}
