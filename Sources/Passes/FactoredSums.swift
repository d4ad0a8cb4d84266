// A sum of multiples of one factor is the factor times the sum: the products need not be stored to be added up, and sums
// of one tensor by several factors, as in the way back through a batch normalisation, are one sum. Changes roundings.
//
// Before:  %4 = multiply(%x, %scale)          %5 = sum(%4) {axes: [0]}       with %scale the same along axis 0
// After:   %5 = sum(%x) {axes: [0]}           %6 = multiply(%5, %scale)

import Basics
import GraphIR
import Operators

package struct FactorSums: Pass {
  package init() {}
  package let name = "factor-sums"
  package let summary = "Sum before multiplying by what is the same along the summed axes."
  package var requires: Stage { .differentiated }

  package func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    let finder = FactorFinder(graph)
    var rewriter = try GraphRewriter(graph)
    for node in graph.nodes.elements {
      guard let sum = node.operation as? Sum,
        let (factors, common) = finder.factors(of: node.operands[0], in: sum)
      else {
        try rewriter.keep(node)
        continue
      }
      let builder = rewriter.builder
      builder.origin = node.origin.noting("factors taken out")
      var result = try builder.add(sum, [rewriter.value(common)])[0]
      for factor in factors {
        let shape = sum.shape(ofFactor: graph.type(of: factor).shape, graph.type(of: common).rank)
        result = try builder.multiply(result, builder.reshape(rewriter.value(factor), shape))
      }
      rewriter.replace(node.results[0], by: result)
    }
    return rewriter.finish()
  }
}

extension Sum {
  /// The shape in which a factor of the summed tensor, of some rank, multiplies the sum.
  fileprivate func shape(ofFactor factor: [Int], _ rank: Int) -> [Int] {
    let padded = Array(repeating: 1, count: rank - factor.count) + factor
    if keepDims { return padded }
    return padded.indices.filter { !axes.contains($0) }.map { padded[$0] }
  }
}

/// What can be taken out of sums of a graph.
private struct FactorFinder {
  private let graph: Graph
  /// How many operands each value is.
  private var uses: [Int]
  /// The sums of each value. For lookup only.
  private var sums: [ValueID: [Sum]] = [:]

  init(_ graph: Graph) {
    self.graph = graph
    uses = Array(repeating: 0, count: graph.values.count)
    for node in graph.nodes.elements {
      for operand in node.operands { uses[operand.index] += 1 }
      if let sum = node.operation as? Sum { sums[node.operands[0], default: []].append(sum) }
    }
    for output in graph.outputs { uses[output.value.index] += 1 }
  }

  /// The factors of a value that are the same along the summed axes, and what is left; nil where there are none, or
  /// where what is left would have to be stored for the sum beside a product that is stored anyway.
  func factors(of value: ValueID, in sum: Sum) -> (factors: [ValueID], common: ValueID)? {
    var factors: [ValueID] = []
    var common = value
    while let (factor, rest) = factor(of: common, in: sum),
      uses[common.index] == 1 || (sums[rest] ?? []).contains(where: { $0.axes == sum.axes })
    {
      factors.append(factor)
      common = rest
    }
    return factors.isEmpty ? nil : (factors, common)
  }

  private func factor(of value: ValueID, in sum: Sum) -> (factor: ValueID, rest: ValueID)? {
    guard let node = graph.producer(of: value), node.operation is Multiply else { return nil }
    let shape = graph.type(of: value).shape
    for (factor, rest) in zip(node.operands.reversed(), node.operands)
    where graph.type(of: rest).shape == shape
      && isRepeated(graph.type(of: factor).shape, along: sum.axes, of: shape)
    {
      return (factor, rest)
    }
    return nil
  }

  /// Whether a tensor that broadcasts to `shape` is repeated along the axes.
  private func isRepeated(_ factor: [Int], along axes: [Int], of shape: [Int]) -> Bool {
    let padded = Array(repeating: 1, count: shape.count - factor.count) + factor
    return !axes.isEmpty && axes.allSatisfy { padded[$0] == 1 && shape[$0] > 1 }
  }
}
