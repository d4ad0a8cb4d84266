// Constant folding: what depends on constants alone is computed now, by the reference evaluator, and rounded
// to its element type as a kernel would have.
//
// Before:  %1 = constant {value: 2}   %2 = constant {value: 3}   %3 = multiply(%1, %2)
// After:   %3 = constant {value: 6}

import Basics
import GraphIR
import Operators

package struct FoldConstants: Pass {
  package init() {}
  package let name = "fold-constants"
  package let summary = "Compute what depends on constants alone."

  /// Larger results stay computed: a plan should not hold megabytes that a kernel fills in microseconds.
  private static let largestResult = 4096

  package func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    guard Self.hasWork(graph) else { return graph }
    var rewriter = try GraphRewriter(graph)
    for node in graph.nodes.elements {
      if let constant = try folded(node, rewriter) {
        rewriter.builder.origin = node.origin
        let results = try rewriter.builder.add(constant, [])
        rewriter.replace(node.results[0], by: results[0])
      } else {
        try rewriter.keep(node)
      }
    }
    return rewriter.finish()
  }

  /// Whether there is a node that reads constants alone; most often there is none.
  private static func hasWork(_ graph: Graph) -> Bool {
    var constants = BitSet()
    for node in graph.nodes.elements {
      if node.operation is Constant {
        constants.insert(node.results[0])
      } else if !node.operands.isEmpty, node.operands.allSatisfy({ constants.contains($0) }) {
        return true
      }
    }
    return false
  }

  private func folded(_ node: Node, _ rewriter: GraphRewriter) throws(Diagnostic) -> Constant? {
    guard node.results.count == 1, !node.operands.isEmpty, !(node.operation is Gradient),
      !rewriter.isPinned(node)
    else { return nil }
    var constants: [Constant] = []
    for operand in rewriter.values(node.operands) {
      guard let constant = rewriter.producer(ofNew: operand)?.operation as? Constant else {
        return nil
      }
      constants.append(constant)
    }
    let type = rewriter.old.type(of: node.results[0])
    if let value = splat(node.operation, constants, type) { return Constant(type, [value]) }
    let largest = constants.map(\.type.count).max() ?? 0
    guard type.count <= Self.largestResult, largest <= Self.largestResult else { return nil }
    // What the operand's buffer would hold: 0.1 is not a value of f32.
    let operands = constants.map { constant in
      constant.evaluate([], results: [constant.type])[0].rounded()
    }
    let result = node.operation.evaluate(operands, results: [type])[0].rounded()
    return Constant(type, compact(result.values))
  }

  /// The one value of all elements of the result, where one element of each operand is enough to tell it.
  private func splat(
    _ operation: any Operation, _ constants: [Constant], _ type: TensorType
  ) -> Double? {
    var operands: [HostTensor] = []
    for constant in constants {
      guard let value = constant.splat else { return nil }
      operands.append(HostTensor(constant.type.with(shape: []), [value]).rounded())
    }
    if operation.isElementwise {
      return operation.evaluate(operands, results: [type.with(shape: [])])[0].rounded().values[0]
    }
    let movesElements =
      operation.isReshape || operation is Broadcast || operation is Transpose
      || operation is Slice || operation is Concat || operation is UpsampleNearest
    guard movesElements, compact(operands.map { $0.values[0] }).count == 1 else { return nil }
    return operands[0].values[0]
  }

  /// One value where all are the same bits.
  private func compact(_ values: [Double]) -> [Double] {
    let attributes = values.map { FloatAttribute($0) }
    guard let first = attributes.first, attributes.allSatisfy({ $0 == first }) else {
      return values
    }
    return [first.value]
  }
}
