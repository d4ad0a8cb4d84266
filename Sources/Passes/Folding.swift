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

  private func folded(_ node: Node, _ rewriter: GraphRewriter) throws(Diagnostic) -> Constant? {
    guard node.results.count == 1, !node.operands.isEmpty, !(node.operation is Gradient) else {
      return nil
    }
    let new = rewriter.builder.graph
    var constants: [Constant] = []
    for operand in rewriter.values(node.operands) {
      guard let constant = new.producer(of: operand)?.operation as? Constant else { return nil }
      constants.append(constant)
    }
    let type = rewriter.old.type(of: node.results[0])
    let splats = constants.allSatisfy { $0.values.count == 1 }
    if splats, node.operation.isElementwise {
      let operands = constants.map { HostTensor($0.type.with(shape: []), [$0.values[0].value]) }
      let result = node.operation.evaluate(operands, results: [type.with(shape: [])])[0].rounded()
      return Constant(type, [result.values[0]])
    }
    if splats, node.operation.isReshape || node.operation is Broadcast || node.operation is Transpose {
      return Constant(type, [constants[0].values[0].value])
    }
    let inputs = constants.map(\.type.count).max() ?? 0
    guard type.count <= Self.largestResult, inputs <= Self.largestResult else { return nil }
    let operands = constants.map { constant in
      let values = constant.values.map(\.value)
      return values.count == constant.type.count
        ? HostTensor(constant.type, values) : HostTensor(constant.type, repeating: values[0])
    }
    let result = node.operation.evaluate(operands, results: [type])[0].rounded()
    return Constant(type, compact(result.values))
  }

  /// One value where all are the same bits.
  private func compact(_ values: [Double]) -> [Double] {
    let attributes = values.map { FloatAttribute($0) }
    guard let first = attributes.first, attributes.allSatisfy({ $0 == first }) else { return values }
    return [first.value]
  }
}
