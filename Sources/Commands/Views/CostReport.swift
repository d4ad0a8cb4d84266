// `gan-compile FILE --emit cost`: arithmetic, bytes and arithmetic intensity of a graph as written and as run, of its
// parts, its updates and its operations, and what each pass changed. In: a graph and how passes run. Out: a value that
// CostReport+Text.swift and CostReport+JSON.swift print.

import Basics
import GraphIR
import Operators
import Passes

struct CostReport {
  /// What a set of nodes costs in one step.
  struct Sum {
    var cost = Cost.none
    /// The arithmetic with every convolution by plain sums.
    var directFlops = 0.0
    var nodes = 0

    mutating func add(_ operation: OperationCost) {
      cost = cost + operation.cost
      directFlops += operation.directFlops
      nodes += 1
    }
  }

  struct OperationCost {
    var id: NodeID
    var node: Node
    var results: [TensorType]
    var phase: NodePhase
    var cost: Cost
    var directFlops: Double
  }

  /// What the nodes behind one clause of an `update` cost.
  struct UpdateCost {
    var network: String
    var line: Int32
    var column: Int32
    /// Of the nodes that nothing else needs.
    var alone = Sum()
    /// Of the nodes that another update needs too.
    var shared = Sum()
  }

  var graph: Graph
  /// Gradients expanded, nothing shared or simplified; nil where the graph that was given is fused already.
  var written: Cost?
  var run = Sum()
  var phases: [(phase: NodePhase, sum: Sum)]
  var updates: [UpdateCost]
  /// Of the nodes that several updates need, and of those that none needs.
  var sharedByUpdates = Sum()
  var besideUpdates = Sum()
  var rewrites: [CostRewrite]
  /// What one pass is worth: the cost of the last graph without and with it, as far as these differ.
  var worth: [CostRewrite]
  /// In the graph's order, constants left out.
  var operations: [OperationCost]

  /// Runs the passes on `source`, and once more without each of those that may be left out.
  init(_ source: Graph, _ runner: PassRunner) throws {
    var keeping = runner
    keeping.keepsGraphs = true
    let outcome = try keeping.run(source)
    graph = outcome.graph
    written = source.stage == .fused ? nil : try source.writtenCost()
    operations = Self.operations(outcome.graph)
    phases = NodePhase.allCases.map { ($0, Sum()) }
    updates = []
    rewrites = CostRewrite.all(source, outcome)
    worth = try Self.worth(source, runner, outcome)
    for operation in operations {
      run.add(operation)
      let place = NodePhase.allCases.firstIndex(of: operation.phase)!
      phases[place].sum.add(operation)
    }
    attributeToUpdates()
  }

  private static func operations(_ graph: Graph) -> [OperationCost] {
    let phases = graph.phases()
    return graph.nodes.ids.compactMap { id in
      let node = graph.nodes[id]
      guard !node.isConstant else { return nil }
      return OperationCost(
        id: id, node: node, results: graph.types(of: node.results), phase: phases[id],
        cost: graph.cost(of: node), directFlops: graph.directFlops(of: node))
    }
  }

  /// The passes that run once and that something runs without, each left out by itself. Those that only clean up
  /// behind others are left in.
  private static func worth(
    _ source: Graph, _ runner: PassRunner, _ outcome: PassRunner.Outcome
  ) throws -> [CostRewrite] {
    var found: [CostRewrite] = []
    for step in runner.pipeline.steps {
      guard case .once(let pass) = step, !(pass is ExpandGradients), !(pass is DeadCode),
        outcome.records.contains(where: { $0.name == pass.name && $0.changed }),
        !found.contains(where: { $0.pass == pass.name })
      else { continue }
      var partial = runner
      partial.keepsGraphs = true
      partial.pipeline = runner.pipeline.disabling([pass.name])
      let without = try partial.run(source)
      var rewrite = CostRewrite(pass.name, from: without.graph, to: outcome.graph)
      rewrite.places = CostRewrite.places(unfused(without, source), unfused(outcome, source))
      found.append(rewrite)
    }
    return found.filter { $0.before != $0.after }
  }

  /// The last graph before fusion. A fused node stands at the place of one of its operations, so that arithmetic which
  /// has only moved would look like a change.
  private static func unfused(_ outcome: PassRunner.Outcome, _ source: Graph) -> Graph {
    outcome.records.last { ($0.graph?.stage ?? .fused) < .fused }?.graph ?? source
  }

  // MARK: Updates

  /// An update's nodes are those of its optimiser's rules, which stand at its place, and all that they need, up to
  /// earlier updates: parameters after one are given to the next.
  private mutating func attributeToUpdates() {
    var masks = Table<NodeTag, UInt64>(repeating: 0, count: graph.nodes.count)
    for operation in operations where operation.phase == .update {
      let index = updateIndex(operation.node.origin)
      if index < 64 { masks[operation.id] = 1 << UInt64(index) }
    }
    let users = graph.users()
    for operation in operations.reversed() where operation.phase != .update {
      for result in operation.node.results {
        for reader in users[result] { masks[operation.id] |= masks[reader] }
      }
    }
    for operation in operations {
      let mask = masks[operation.id]
      if mask == 0 { besideUpdates.add(operation) }
      if mask.nonzeroBitCount > 1 { sharedByUpdates.add(operation) }
      for index in updates.indices.prefix(64) where mask & (1 << UInt64(index)) != 0 {
        if mask.nonzeroBitCount == 1 {
          updates[index].alone.add(operation)
        } else {
          updates[index].shared.add(operation)
        }
      }
    }
  }

  /// The update at a node's place, a new one where there is none yet.
  private mutating func updateIndex(_ origin: Origin) -> Int {
    let network = String(origin.path.prefix { $0 != "/" })
    if let known = updates.firstIndex(where: {
      ($0.line, $0.column, $0.network) == (origin.line, origin.column, network)
    }) {
      return known
    }
    updates.append(UpdateCost(network: network, line: origin.line, column: origin.column))
    return updates.count - 1
  }
}
