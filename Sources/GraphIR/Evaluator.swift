// The reference evaluator: runs a graph node by node in Double. It is the oracle for finite differences, for
// kernels and for passes.

import Basics

package struct Evaluator {
  /// Whether each result is rounded to its element type, as a backend would; finite differences want it exact.
  package var rounding: Bool

  package init(rounding: Bool = false) { self.rounding = rounding }

  /// Evaluates every node that an output depends on; `inputs` in the order of the graph's inputs. Returns all values,
  /// nil for those not needed.
  package func evaluateAll(_ graph: Graph, inputs: [HostTensor]) -> Table<ValueTag, HostTensor?> {
    var values = Table<ValueTag, HostTensor?>(repeating: nil, count: graph.values.count)
    for (binding, tensor) in zip(graph.inputs, inputs) { values[binding.value] = tensor }
    let live = graph.liveNodes()
    for id in graph.nodes.ids where live.contains(id) {
      let node = graph.nodes[id]
      let operands = node.operands.map { values[$0]! }
      let types = graph.types(of: node.results)
      let results = node.operation.evaluate(operands, results: types)
      for (value, result) in zip(node.results, results) {
        values[value] = rounding || !result.type.element.isFloat ? result.rounded() : result
      }
    }
    return values
  }

  /// The values of the graph's outputs, in order.
  package func evaluate(_ graph: Graph, inputs: [HostTensor]) -> [HostTensor] {
    let values = evaluateAll(graph, inputs: inputs)
    return graph.outputs.map { values[$0.value]! }
  }
}
