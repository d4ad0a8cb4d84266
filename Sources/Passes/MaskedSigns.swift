// The backward part of an activation before a dropout asks for the sign of a value that the network itself does not
// need any more: it goes on with the masked one. Where the mask lets a value through, both have the same sign; where it
// does not, the gradient is zero whichever way the sign falls. Asking for the sign of the masked value frees the other
// from waiting in memory for the backward part.
//
// Before:  %y = multiply(%x, %mask)  …  %g = multiply(%d, %mask)   select(compare(%x, 0) {gt}, %g, multiply(%g, slope))
// After:                                                           select(compare(%y, 0) {gt}, %g, multiply(%g, slope))
//
// It is exact: a mask is 0 or a scale of at least 1, so that no product of it loses its sign by underflow, and 0 times a
// positive slope is the same 0.

import Basics
import GraphIR
import Operators

package struct ReadMaskedSigns: Pass {
  package init() {}
  package let name = "read-masked-signs"
  package let summary = "Ask for the sign of a dropout's result in place of its operand's."
  package var requires: Stage { .differentiated }

  package func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    let products = MaskedProducts(graph)
    guard !products.isEmpty else { return graph }
    var rewriter = try GraphRewriter(graph)
    for (index, node) in graph.nodes.elements.enumerated() {
      guard let sign = products.sign(readBy: node, at: index) else {
        try rewriter.keep(node)
        continue
      }
      rewriter.builder.origin = node.origin
      let compared = try rewriter.builder.add(
        sign.compare.operation, rewriter.values([sign.masked, sign.compare.operands[1]]))
      let operands = compared + rewriter.values(Array(node.operands.dropFirst()))
      rewriter.replace(node.results[0], by: try rewriter.builder.add(node.operation, operands)[0])
    }
    return rewriter.finish()
  }
}

/// The products of tensors with masks.
private struct MaskedProducts {
  private let graph: Graph
  /// Nodes that are such products, by the tensor that is masked. For lookup only.
  private var byFactor: [ValueID: [(mask: ValueID, node: Int)]] = [:]

  init(_ graph: Graph) {
    self.graph = graph
    for (index, node) in graph.nodes.elements.enumerated() where node.operation is Multiply {
      for (factor, other) in [(0, 1), (1, 0)] where isMask(node.operands[other]) {
        byFactor[node.operands[factor], default: []].append((node.operands[other], index))
      }
    }
  }

  var isEmpty: Bool { byFactor.isEmpty }

  /// A truth value as a number, perhaps times a constant of at least 1.
  private func isMask(_ value: ValueID) -> Bool {
    guard let node = graph.producer(of: value), graph.type(of: value).shape != [] else {
      return false
    }
    if node.operation is Convert { return graph.type(of: node.operands[0]).element == .bool }
    guard node.operation is Multiply else { return false }
    return zip(node.operands, node.operands.reversed()).contains { factor, scale in
      guard let constant = graph.splat(scale), constant >= 1, constant.isFinite,
        let convert = graph.producer(of: factor), convert.operation is Convert
      else { return false }
      return graph.type(of: convert.operands[0]).element == .bool
    }
  }

  /// The masked value whose sign can take the place of the one that a select asks for, and the comparison.
  func sign(readBy node: Node, at index: Int) -> (masked: ValueID, compare: Node)? {
    guard node.operation is Select, let compare = graph.producer(of: node.operands[0]),
      let comparison = compare.operation as? Compare, comparison.predicate == .gt,
      graph.splat(compare.operands[1]) == 0, let products = byFactor[compare.operands[0]],
      let gradient = graph.producer(of: node.operands[1]), gradient.operation is Multiply,
      isMultiple(node.operands[2], of: node.operands[1])
    else { return nil }
    let shape = graph.type(of: compare.operands[0]).shape
    for (mask, product) in products where product < index && gradient.operands.contains(mask) {
      let masked = graph.nodes.elements[product].results[0]
      if graph.type(of: mask).shape == shape, graph.type(of: masked).shape == shape {
        return (masked, compare)
      }
    }
    return nil
  }

  /// Whether a value is another one times a positive constant.
  private func isMultiple(_ value: ValueID, of other: ValueID) -> Bool {
    guard let node = graph.producer(of: value), node.operation is Multiply else { return false }
    return zip(node.operands, node.operands.reversed()).contains { factor, scale in
      factor == other && (graph.splat(scale) ?? 0) > 0
    }
  }
}
