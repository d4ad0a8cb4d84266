// The one way to make a graph: appends nodes, infers their types, and where asked for, shares equal ones.

import Basics

/// Builds one graph, front to back. Not thread-safe; made and used in one place.
package final class GraphBuilder {
  private struct Key: Hashable {
    var operation: AnyOperation
    var operands: [ValueID]
  }

  package private(set) var graph: Graph
  /// Given to every node that is added.
  package var origin = Origin()
  /// Whether equal operations on equal operands become one node.
  private let sharing: Bool
  private var known: [Key: NodeID] = [:]
  private var knownInputs: [InputRole: ValueID] = [:]

  package init(name: String, stage: Stage = .raw, sharing: Bool = false) {
    graph = Graph(name: name, stage: stage)
    self.sharing = sharing
  }

  /// Appends an input of the graph; one that is there already is returned.
  package func input(_ role: InputRole, _ type: TensorType) throws(Diagnostic) -> ValueID {
    if let known = knownInputs[role] { return known }
    let info = ValueInfo(type: try type.checked(), producer: nil, index: graph.inputs.count)
    let value = graph.values.append(info)
    graph.inputs.append(InputBinding(role: role, value: value))
    knownInputs[role] = value
    return value
  }

  /// Appends an output of the graph.
  package func output(_ role: OutputRole, _ value: ValueID) {
    graph.outputs.append(OutputBinding(role: role, value: value))
  }

  /// Replaces the value of an output that is there, else appends it: states that are updated several times.
  package func setOutput(_ role: OutputRole, _ value: ValueID) {
    if let index = graph.outputs.firstIndex(where: { $0.role == role }) {
      graph.outputs[index].value = value
    } else {
      output(role, value)
    }
  }

  package func type(of value: ValueID) -> TensorType { graph.values[value].type }
  package func shape(of value: ValueID) -> [Int] { graph.values[value].type.shape }
  package var stage: Stage { graph.stage }

  /// The node that computes a value, without a copy of the graph, which would make the next `add` copy all of it.
  package func producer(of value: ValueID) -> Node? { graph.producer(of: value) }

  /// Appends a node and returns its results. Their types are inferred here, so that a shape error is found where the
  /// program is known.
  package func add(_ operation: any Operation, _ operands: [ValueID]) throws(Diagnostic)
    -> [ValueID]
  {
    guard sharing else { return try append(operation, operands).results }
    let key = Key(operation: AnyOperation(operation), operands: operands)
    if let node = known[key] { return graph.nodes[node].results }
    let added = try append(operation, operands)
    known[key] = added.node
    return added.results
  }

  /// Appends a node that is never shared: one whose results must stay apart from equal ones.
  package func addUnshared(
    _ operation: any Operation, _ operands: [ValueID]
  ) throws(Diagnostic) -> [ValueID] {
    try append(operation, operands).results
  }

  private func append(
    _ operation: any Operation, _ operands: [ValueID]
  ) throws(Diagnostic) -> (node: NodeID, results: [ValueID]) {
    let types = try operation.inferTypes(graph.types(of: operands))
    let id = NodeID(graph.nodes.count)
    var results: [ValueID] = []
    for (index, type) in types.enumerated() {
      let info = ValueInfo(type: try type.checked(), producer: id, index: index)
      results.append(graph.values.append(info))
    }
    let node = Node(operation: operation, operands: operands, results: results, origin: origin)
    _ = graph.nodes.append(node)
    return (id, results)
  }

  /// Appends a node with one result.
  package func add(_ operation: any Operation, _ operands: ValueID...) throws(Diagnostic) -> ValueID
  {
    try add(operation, operands)[0]
  }

  package func setStage(_ stage: Stage) { graph.stage = stage }

  /// The finished graph.
  package func finish() -> Graph { graph }
}
