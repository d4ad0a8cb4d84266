// Reverse-mode differentiation. The derivative is written behind the forward part, with the operations' own
// gradient rules, and only where a path leads from the requested values to the loss: a generator's step
// computes no weight gradients of the discriminator it passes through.
//
// Before:  %9 = gradient(%8, %1)
// After:   %9 = the nodes of ∂%8/∂%1

import Basics
import GraphIR
import Operators

/// Appends the derivative of a scalar with respect to values of the same builder. Nil for a value on which the scalar
/// does not depend. O(nodes).
package func differentiate(
  builder: GraphBuilder, loss: ValueID, wrt: [ValueID]
) throws(Diagnostic) -> [ValueID?] {
  guard builder.type(of: loss).isScalar, builder.type(of: loss).element.isFloat else {
    throw Diagnostic(
      "gradient.scalar", "a gradient is of a scalar, but this is \(builder.type(of: loss))",
      help: "take the mean or the sum first")
  }
  let origin = builder.origin
  defer { builder.origin = origin }
  let forward = builder.graph
  let dependent = valuesDependingOn(wrt, in: forward)
  var adjoints: [ValueID: ValueID] = [:]
  guard dependent.contains(loss) else { return wrt.map { _ in nil } }
  adjoints[loss] = try builder.scalar(1, builder.type(of: loss).element)

  for id in forward.nodes.ids.reversed() {
    let node = forward.nodes[id]
    let seeds = node.results.map { adjoints[$0] }
    guard seeds.contains(where: { $0 != nil }), !node.operation.blocksGradient else { continue }
    let wanted = node.operands.map { dependent.contains($0) }
    guard wanted.contains(true) else { continue }
    builder.origin = node.origin.noting(Origin.adjointNote(of: node.operation.mnemonic))
    var scope = GradientScope(
      builder: builder, operands: node.operands, results: node.results, seeds: seeds, wanted: wanted
    )
    try node.operation.gradient(&scope)
    for (operand, adjoint) in zip(node.operands, scope.adjoints) {
      guard let adjoint else { continue }
      let summed = try builder.sumTo(adjoint, builder.shape(of: operand))
      adjoints[operand] =
        try adjoints[operand].map { old throws(Diagnostic) in
          try builder.add(old, summed)
        } ?? summed
    }
  }
  return wrt.map { adjoints[$0] }
}

/// The values on which a change of `roots` acts, through operations that let a gradient pass.
package func valuesDependingOn(_ roots: [ValueID], in graph: Graph) -> BitSet {
  var dependent = BitSet()
  for root in roots { dependent.insert(root) }
  for node in graph.nodes.elements where !node.operation.blocksGradient {
    guard node.operands.contains(where: { dependent.contains($0) }) else { continue }
    for result in node.results where graph.type(of: result).element.isFloat {
      dependent.insert(result)
    }
  }
  return dependent
}

/// Replaces every `gradient` node by the derivative it stands for. Nodes are visited in order, so inner gradients are
/// expanded before those that differentiate through them.
package struct ExpandGradients: Pass {
  package init() {}
  package let name = "expand-gradients"
  package let summary = "Replace gradient nodes by the backward graph they stand for."

  package func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    var rewriter = try GraphRewriter(graph)
    for node in graph.nodes.elements {
      guard node.operation is Gradient else {
        try rewriter.keep(node)
        continue
      }
      let operands = rewriter.values(node.operands)
      let builder = rewriter.builder
      builder.origin = node.origin
      let found = try differentiate(
        builder: builder, loss: operands[0], wrt: Array(operands.dropFirst()))
      for (index, result) in node.results.enumerated() {
        if let adjoint = found[index] {
          rewriter.replace(result, by: adjoint)
        } else {
          let zero = try builder.constant(builder.type(of: operands[index + 1]), [0])
          rewriter.replace(result, by: zero)
        }
      }
    }
    rewriter.builder.setStage(max(graph.stage, .differentiated))
    return rewriter.finish()
  }
}
