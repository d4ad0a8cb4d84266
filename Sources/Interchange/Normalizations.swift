// Batch normalisation in inference mode, found among the element-wise operations that it is written
// with, so that it is one operator of ONNX: other runtimes fold that into the convolution before it.
//
//   before   (x − mean) · (γ / √(variance + ε)) + β
//   after    BatchNormalization(x, γ, β, mean, variance) {epsilon: ε}

import Basics
import GraphIR
import Operators

/// One batch normalisation; the operands are values of the graph.
struct Normalization {
  var x: ValueID
  /// Nil where they are left out.
  var gamma: ValueID?
  var beta: ValueID?
  var mean: ValueID
  var variance: ValueID
  var epsilon: Double
  var result: ValueID
  /// The node that gives the result, and those on the way to it that nothing else reads.
  var last: NodeID
  var inner: [NodeID]
}

/// The normalisations of a graph by the node that gives their result. Values on the way must have no
/// other reader, and images or rows of channels must be what is normalised.
func findNormalizations(
  _ graph: Graph, _ useCounts: Table<ValueTag, Int>
) -> [NodeID: Normalization] {
  let users = graph.users()
  var found: [NodeID: Normalization] = [:]
  for id in graph.nodes.ids where graph.nodes[id].operation is Multiply {
    guard var match = NormalizationMatcher(graph: graph, useCounts: useCounts).scaled(id) else {
      continue
    }
    let product = graph.nodes[id].results[0]
    if useCounts[product] == 1, let next = users[product].first,
      graph.nodes[next].operation is Add
    {
      let operands = graph.nodes[next].operands
      let other = operands[0] == product ? operands[1] : operands[0]
      if graph.isState(other), graph.type(of: other).shape == graph.type(of: match.mean).shape {
        match.beta = other
        match.result = graph.nodes[next].results[0]
        match.last = next
        match.inner.append(id)
      }
    }
    found[match.last] = match
  }
  return found
}

private struct NormalizationMatcher {
  let graph: Graph
  let useCounts: Table<ValueTag, Int>

  /// (x − mean) · (γ / √(variance + ε))
  func scaled(_ id: NodeID) -> Normalization? {
    let node = graph.nodes[id]
    for (first, second) in [(0, 1), (1, 0)] {
      guard let difference = producer(node.operands[first], Subtract.self),
        let inner = graph.values[node.operands[first]].producer,
        useCounts[node.operands[first]] == 1,
        let quotient = producer(node.operands[second], Divide.self),
        let root = producer(quotient.operands[1], Sqrt.self),
        let sum = producer(root.operands[0], Add.self), graph.isState(sum.operands[0]),
        let epsilon = constant(sum.operands[1])
      else { continue }
      let (x, mean, variance) = (difference.operands[0], difference.operands[1], sum.operands[0])
      let channels = graph.type(of: x).shape.last.map { [$0] }
      guard [2, 4].contains(graph.type(of: x).rank), graph.isState(mean),
        graph.type(of: mean).shape == channels, graph.type(of: variance).shape == channels
      else { continue }
      var match = Normalization(
        x: x, mean: mean, variance: variance, epsilon: epsilon, result: node.results[0], last: id,
        inner: [inner])
      let numerator = quotient.operands[0]
      if graph.isState(numerator), graph.type(of: numerator).shape == channels {
        match.gamma = numerator
      } else if constant(numerator) != 1 {
        continue
      }
      return match
    }
    return nil
  }

  private func producer<Op: Operation>(_ value: ValueID, _ type: Op.Type) -> Node? {
    graph.producer(of: value).flatMap { $0.operation is Op ? $0 : nil }
  }

  /// The value of a scalar that is written in the program.
  private func constant(_ value: ValueID) -> Double? {
    guard graph.type(of: value).rank == 0 else { return nil }
    return (graph.producer(of: value)?.operation as? Constant)?.splat
  }
}

extension Graph {
  /// Whether a value is a parameter or running statistic as it is before the step.
  func isState(_ value: ValueID) -> Bool {
    guard values[value].producer == nil else { return false }
    if case .state = inputs[values[value].index].role { return true }
    return false
  }
}

extension Lowering {
  mutating func lower(_ normalization: Normalization) {
    let x = normalization.x
    let channels = type(normalization.mean)
    let layout: Layout = type(x).rank == 4 ? .channelsFirst : .native
    let gamma = normalization.gamma.map { native($0) }
    let beta = normalization.beta.map { native($0) }
    func filled(_ value: Double) -> String {
      builder.constant([Double](repeating: value, count: channels.count), channels)
    }
    let operands = [
      name(x, layout), gamma ?? filled(1), beta ?? filled(0), native(normalization.mean),
      native(normalization.variance),
    ]
    let result = builder.add(
      "BatchNormalization", operands, [("epsilon", .float(normalization.epsilon))])
    define(normalization.result, result[0], layout)
  }
}
