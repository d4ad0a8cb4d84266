// The verifier: what must hold of every graph, checked after every pass. It infers every type again and
// compares, so that no pass can leave a node whose types are stale.

import Basics

package struct Verifier {
  package init() {}

  /// Throws an internal error that names the first node that is wrong.
  package func verify(_ graph: Graph) throws(InternalError) {
    try verifyInputs(graph)
    var defined = BitSet()
    for input in graph.inputs { defined.insert(input.value) }
    for id in graph.nodes.ids {
      let node = graph.nodes[id]
      let place = "node \(id.index) (\(node.operation.mnemonic)) of graph \"\(graph.name)\""
      for operand in node.operands {
        guard operand.index >= 0, operand.index < graph.values.count, defined.contains(operand)
        else {
          throw InternalError("\(place) reads \(operand) before it is computed")
        }
      }
      try verifyTypes(node, id, graph, place)
      for result in node.results {
        guard defined.insert(result.index) else {
          throw InternalError("\(place) computes \(result) a second time")
        }
      }
    }
    for output in graph.outputs where !defined.contains(output.value) {
      throw InternalError("output \(output.role) of \"\(graph.name)\" is never computed")
    }
    var roles = Set<OutputRole>()
    for output in graph.outputs where !roles.insert(output.role).inserted {
      throw InternalError("output \(output.role) of \"\(graph.name)\" is there twice")
    }
  }

  private func verifyInputs(_ graph: Graph) throws(InternalError) {
    var roles = Set<InputRole>()
    for (index, input) in graph.inputs.enumerated() {
      let info = graph.values[input.value]
      guard info.producer == nil, info.index == index else {
        throw InternalError("input \(index) of \"\(graph.name)\" is not bound to an input value")
      }
      guard roles.insert(input.role).inserted else {
        throw InternalError("input \(input.role) of \"\(graph.name)\" is there twice")
      }
    }
  }

  private func verifyTypes(
    _ node: Node, _ id: NodeID, _ graph: Graph, _ place: String
  ) throws(InternalError) {
    let inferred: [TensorType]
    do {
      inferred = try node.operation.inferTypes(graph.types(of: node.operands))
    } catch {
      throw InternalError("\(place): \(error.message)")
    }
    guard inferred == graph.types(of: node.results) else {
      throw InternalError(
        "\(place) has types \(graph.types(of: node.results)), inferred \(inferred)")
    }
    for (index, result) in node.results.enumerated() {
      guard graph.values[result].producer == id, graph.values[result].index == index else {
        throw InternalError("\(place) and its result \(result) disagree")
      }
    }
    if graph.stage > .raw, node.operation.mnemonic == "gradient" {
      throw InternalError("\(place) should have been expanded")
    }
  }
}
