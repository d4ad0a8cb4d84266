// The graph: a value. Nodes stand in topological order; every value has a type; passes read one graph and
// build another, so that a snapshot is an assignment and use counts never go stale.

import Basics

package enum NodeTag {}
package enum ValueTag {}
package typealias NodeID = ID<NodeTag>
package typealias ValueID = ID<ValueTag>

/// How far a graph has come; the verifier asks for more in later stages.
package enum Stage: String, Hashable, Sendable, CaseIterable, Comparable {
  /// As elaborated: `gradient` nodes stand for what is still to be differentiated.
  case raw
  /// Differentiated: only operations that can be executed.
  case differentiated
  /// Fused: element-wise work stands in regions.
  case fused

  package static func < (a: Stage, b: Stage) -> Bool {
    allCases.firstIndex(of: a)! < allCases.firstIndex(of: b)!
  }
}

package struct Node: Sendable {
  package var operation: any Operation
  package var operands: [ValueID]
  package var results: [ValueID]
  package var origin: Origin
}

package struct ValueInfo: Sendable, Hashable {
  package var type: TensorType
  /// The node that computes it; nil for an input of the graph.
  package var producer: NodeID?
  /// Which of the producer's results, or which of the graph's inputs, it is.
  package var index: Int
}

/// What fills an input of the graph.
package enum InputRole: Hashable, Sendable {
  /// A batch of a data source; `round` counts the batches of one step (`repeat`).
  case data(source: String, round: Int)
  /// A parameter, moment, running statistic or counter, as it was before the step.
  case state(String)
  /// The number of steps done before this one: i32[].
  case step
  /// The number of epochs done before this step: i32[].
  case epoch
  /// The run's seed: i32[2], low word first.
  case seed
  /// An argument of a graph that stands alone (a network by itself, a test).
  case argument(String)
}

/// What becomes of an output of the graph.
package enum OutputRole: Hashable, Sendable {
  /// The new value of a state.
  case state(String)
  /// A scalar that is logged.
  case report(String)
  /// A result: the images of a sample, a network's output.
  case result(String)
}

package struct InputBinding: Hashable, Sendable {
  package var role: InputRole
  package var value: ValueID
  package init(role: InputRole, value: ValueID) {
    self.role = role
    self.value = value
  }
}

package struct OutputBinding: Hashable, Sendable {
  package var role: OutputRole
  package var value: ValueID
  package init(role: OutputRole, value: ValueID) {
    self.role = role
    self.value = value
  }
}

package struct Graph: Sendable {
  package var name: String
  package var stage: Stage
  package var nodes: Table<NodeTag, Node>
  package var values: Table<ValueTag, ValueInfo>
  package var inputs: [InputBinding]
  package var outputs: [OutputBinding]

  package init(name: String, stage: Stage = .raw) {
    self.name = name
    self.stage = stage
    nodes = Table()
    values = Table()
    inputs = []
    outputs = []
  }

  package func type(of value: ValueID) -> TensorType { values[value].type }
  package func types(of list: [ValueID]) -> [TensorType] { list.map { values[$0].type } }

  package func producer(of value: ValueID) -> Node? {
    values[value].producer.map { nodes[$0] }
  }

  /// The nodes that read each value, in order; outputs of the graph are not among them. O(size).
  package func users() -> Table<ValueTag, [NodeID]> {
    var users = Table<ValueTag, [NodeID]>(repeating: [], count: values.count)
    for id in nodes.ids {
      for operand in nodes[id].operands where users[operand].last != id {
        users[operand].append(id)
      }
    }
    return users
  }

  /// How often each value is read, outputs of the graph included. O(size).
  package func useCounts() -> Table<ValueTag, Int> {
    var counts = Table<ValueTag, Int>(repeating: 0, count: values.count)
    for id in nodes.ids { for operand in nodes[id].operands { counts[operand] += 1 } }
    for output in outputs { counts[output.value] += 1 }
    return counts
  }

  /// The nodes that an output depends on. O(size).
  package func liveNodes() -> BitSet {
    var live = BitSet()
    var wanted = BitSet()
    for output in outputs { wanted.insert(output.value) }
    for id in nodes.ids.reversed() {
      guard nodes[id].results.contains(where: { wanted.contains($0) }) else { continue }
      live.insert(id)
      for operand in nodes[id].operands { wanted.insert(operand) }
    }
    return live
  }

  /// What live nodes and outputs read, the inputs of the graph among them. O(size).
  package func liveInputs() -> BitSet {
    let live = liveNodes()
    var values = BitSet()
    for output in outputs { values.insert(output.value) }
    for id in nodes.ids where live.contains(id) {
      for operand in nodes[id].operands { values.insert(operand) }
    }
    return values
  }

  package func input(_ role: InputRole) -> ValueID? { inputs.first { $0.role == role }?.value }
  package func output(_ role: OutputRole) -> ValueID? { outputs.first { $0.role == role }?.value }
}

extension Graph: Equatable {
  /// The same nodes, types, inputs and outputs with the same numbers; origins do not count.
  package static func == (a: Graph, b: Graph) -> Bool {
    guard
      a.name == b.name, a.stage == b.stage, a.inputs == b.inputs, a.outputs == b.outputs,
      a.values.elements == b.values.elements, a.nodes.count == b.nodes.count
    else { return false }
    // A pass that has found nothing to do gives back the graph it was given.
    let isOneBuffer = a.nodes.elements.withUnsafeBufferPointer { x in
      b.nodes.elements.withUnsafeBufferPointer { y in x.baseAddress == y.baseAddress }
    }
    if isOneBuffer { return true }
    return zip(a.nodes.elements, b.nodes.elements).allSatisfy { x, y in
      x.operands == y.operands && x.results == y.results && x.operation.isEqual(to: y.operation)
    }
  }
}
