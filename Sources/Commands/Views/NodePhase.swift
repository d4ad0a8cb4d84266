// Which phase of a step a node belongs to: the networks and losses forward, their derivatives, or the optimisers'
// rules. Pictures and tables colour and group by it. Nothing that runs depends on it.

import Basics
import GraphIR
import Operators

/// A phase of a step.
enum NodePhase: String, CaseIterable, Sendable { case forward, backward, update }

extension Graph {
  /// The phase that each node belongs to.
  ///
  /// Elaboration gives the nodes of an optimiser's rule the parameter's name as their path, and differentiation notes
  /// what is an adjoint. A fused node with parts of several phases is backward where nothing that the step reports, gives
  /// out or keeps as a statistic needs it other than by way of an update. What a graph without any such output
  /// computes for its updates is backward only behind an adjoint. A constant belongs to its first reader. O(size).
  func phases() -> Table<NodeTag, NodePhase> {
    let updates = updateNodes()
    let needed = neededBesides(updates)
    var phases = Table<NodeTag, NodePhase>(repeating: .forward, count: nodes.count)
    for id in nodes.ids {
      let node = nodes[id]
      if updates.contains(id) {
        phases[id] = .update
      } else if node.isAdjoint {
        phases[id] = .backward
      } else if !needed.nodes.contains(id) {
        let readsBackward = node.operands.contains { operand in
          values[operand].producer.map { phases[$0] == .backward } ?? false
        }
        if readsBackward || needed.exist { phases[id] = .backward }
      }
    }
    let users = self.users()
    for id in nodes.ids where nodes[id].isConstant {
      if let reader = users[nodes[id].results[0]].first { phases[id] = phases[reader] }
    }
    return phases
  }

  /// The nodes whose path is the name of a state.
  private func updateNodes() -> BitSet {
    var names: Set<String> = []
    for input in inputs {
      if case .state(let name) = input.role { names.insert(name) }
    }
    var found = BitSet()
    for id in nodes.ids where names.contains(nodes[id].origin.path) { found.insert(id) }
    return found
  }

  /// The nodes that reports, results and statistics need without an update between, and whether there are such outputs.
  private func neededBesides(_ updates: BitSet) -> (nodes: BitSet, exist: Bool) {
    var wanted = BitSet()
    var exist = false
    for output in outputs {
      if case .state = output.role {
        guard let producer = values[output.value].producer, !updates.contains(producer),
          !nodes[producer].isAdjoint
        else { continue }
      }
      wanted.insert(output.value)
      exist = true
    }
    var found = BitSet()
    for id in nodes.ids.reversed() where !updates.contains(id) {
      guard nodes[id].results.contains(where: { wanted.contains($0) }) else { continue }
      found.insert(id)
      for operand in nodes[id].operands { wanted.insert(operand) }
    }
    return (found, exist)
  }
}

extension Node {
  fileprivate var isAdjoint: Bool {
    operation is Gradient || origin.isAdjoint
  }

  /// Numbers of the program, not work of the step.
  var isConstant: Bool { operation is Constant }

  /// `conv2d + add, leaky_relu`, `add, sqrt, …`, `matmul`.
  var displayName: String {
    guard let fused = operation as? Fused else { return operation.mnemonic }
    let names = fused.region.steps.map { $0.operation.operation.mnemonic }
    var steps = names.prefix(3).joined(separator: ", ")
    if names.count > 3 { steps = names.prefix(2).joined(separator: ", ") + ", …" }
    guard let root = fused.root else { return steps }
    return steps.isEmpty ? root.operation.mnemonic : "\(root.operation.mnemonic) + \(steps)"
  }
}
