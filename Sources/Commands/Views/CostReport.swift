// `gan-compile FILE --emit cost`: arithmetic, bytes and arithmetic intensity of a graph as written and as run, of its
// phases, its updates and its operations, and what each pass changed. In: a graph and how passes run. Out: a value that
// CostReport+Text.swift and CostReport+JSON.swift print.

import Basics
import GraphIR
import Operators
import Passes

struct CostReport {
  /// What a set of nodes costs in one step.
  struct Sum {
    var cost = Cost.none
    /// The arithmetic with every convolution by the direct method.
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
  /// Gradients expanded, nothing shared or simplified; nil for IR text, which passes may have been over.
  var written: Cost?
  var run = Sum()
  var phases: [(phase: NodePhase, sum: Sum)]
  var updates: [UpdateCost]
  /// Of the nodes that several updates need, and of those that none needs.
  var sharedByUpdates = Sum()
  var besideUpdates = Sum()
  var rewrites: [CostRewrite]
  /// What one pass is worth: the cost of the last graph without and with it, as far as these differ. None where the
  /// number of runs is limited: the limit would let another pass run in the place of the one that is left out.
  var worth: [CostRewrite]
  /// In the graph's order, constants left out.
  var operations: [OperationCost]

  /// Runs the passes on `source`, and once more without each of those that may be left out. `isProgram`: the graph is as
  /// elaborated from a program.
  init(_ source: Graph, _ runner: PassRunner, isProgram: Bool) throws {
    var keeping = runner
    keeping.keepsGraphs = true
    let outcome = try keeping.run(source)
    graph = outcome.graph
    written = isProgram ? try source.writtenCost() : nil
    operations = Self.operations(outcome.graph)
    phases = NodePhase.allCases.map { ($0, Sum()) }
    updates = []
    rewrites = CostRewrite.all(source, outcome)
    worth = runner.limit == nil ? try Self.worth(source, runner, outcome) : []
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
      let costs = (without: without.graph.cost, with: outcome.graph.cost)
      guard costs.without != costs.with else { continue }
      found.append(
        CostRewrite(
          pass: pass.name, before: costs.without, after: costs.with,
          places: CostRewrite.places(unfused(without, source), unfused(outcome, source))))
    }
    return found
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
    let owners = findUpdates()
    let users = graph.users()
    let batches = stride(from: 0, to: updates.count, by: UInt64.bitWidth)
    // Whether a node is of one update alone is known only when all have been looked at.
    var counts = Table<NodeTag, Int>(repeating: 0, count: graph.nodes.count)
    for first in batches {
      let needs = needs(from: first, owners, users)
      for operation in operations { counts[operation.id] += needs[operation.id].nonzeroBitCount }
    }
    for operation in operations {
      if counts[operation.id] == 0 { besideUpdates.add(operation) }
      if counts[operation.id] > 1 { sharedByUpdates.add(operation) }
    }
    for first in batches {
      let needs = needs(from: first, owners, users)
      for operation in operations {
        let isAlone = counts[operation.id] == 1
        var left = needs[operation.id]
        while left != 0 {
          let index = first + left.trailingZeroBitCount
          left &= left - 1
          if isAlone {
            updates[index].alone.add(operation)
          } else {
            updates[index].shared.add(operation)
          }
        }
      }
    }
  }

  /// Which of the 64 updates from `first` on need each node, a bit for each. `owners` are the updates of the rules' nodes.
  private func needs(
    from first: Int, _ owners: Table<NodeTag, Int?>, _ users: Table<ValueTag, [NodeID]>
  ) -> Table<NodeTag, UInt64> {
    var needs = Table<NodeTag, UInt64>(repeating: 0, count: graph.nodes.count)
    for operation in operations.reversed() {
      if operation.phase == .update {
        // A shift by 64 bits or more leaves nothing.
        if let owner = owners[operation.id], owner >= first {
          needs[operation.id] = 1 << UInt64(owner - first)
        }
        continue
      }
      for result in operation.node.results {
        for reader in users[result] { needs[operation.id] |= needs[reader] }
      }
    }
    return needs
  }

  /// Lists the updates, by the places and the networks of their rules, in the order of the graph; returns which of them
  /// each node of a rule belongs to.
  private mutating func findUpdates() -> Table<NodeTag, Int?> {
    var owners = Table<NodeTag, Int?>(repeating: nil, count: graph.nodes.count)
    var known: [Origin: Int] = [:]
    for operation in operations where operation.phase == .update {
      let origin = operation.node.origin
      let network = String(origin.path.prefix { $0 != "/" })
      let key = Origin(line: Int(origin.line), column: Int(origin.column), path: network)
      let index = known[key] ?? updates.count
      if index == updates.count {
        known[key] = index
        updates.append(UpdateCost(network: network, line: origin.line, column: origin.column))
      }
      owners[operation.id] = index
    }
    return owners
  }
}
