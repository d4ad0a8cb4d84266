// Who learns from which loss in a training step, and who judges whom: read from the raw graph of the step, never from names.
//
// The losses are the scalars whose gradients with respect to parameters are asked for. A network J judges a network M where
// - J reads data and what M computes, neither of them through another network,
// - M learns from a loss that is computed from what J says, and J from another one,
// - no other network that learns reads what J says.
// So a decoder does not judge its encoder, nor one generator of a cycle the other.

import Basics
import Elaboration
import GraphIR
import Operators

struct TrainingRoles {
  /// A scalar that parameters are moved to lessen.
  struct Loss {
    var value: ValueID
    /// The networks whose parameters it moves, sorted.
    var networks: [String]
    /// The `update` that asks for it.
    var origin: Origin
  }

  /// A reported scalar that is a loss, a sum of losses of the same networks, or a summand of one.
  struct LossReport {
    var name: String
    var value: ValueID
    var networks: [String]
    /// Whether it is a summand only.
    var isPart: Bool
    var origin: Origin
  }

  /// A network that tells another's results from data, and what their losses say.
  struct Duel {
    var judge: String
    var maker: String
    /// The reports that add up to what each learns from.
    var judgeReports: [String]
    var makerReports: [String]
    var judgeScale: LossScale
    /// Nil where the maker's loss says nothing by itself.
    var makerScale: LossScale?
    var origin: Origin
  }

  let losses: [Loss]
  let reports: [LossReport]
  private(set) var duels: [Duel] = []

  /// `graph` is the raw graph of a step.
  init(_ graph: Graph, _ program: Program) {
    let reader = RoleReader(graph, program)
    losses = reader.losses()
    reports = reader.lossReports(losses)
    duels = reader.duels(losses, reports)
  }

  /// Where a network is updated first.
  func update(of network: String) -> Origin? {
    losses.first { $0.networks.contains(network) }?.origin
  }

  var learners: [String] { Array(Set(losses.flatMap(\.networks))).sorted() }

  /// The networks that a raw graph updates, without anything about their losses.
  static func learners(of graph: Graph, _ program: Program) -> [String] {
    Array(Set(RoleReader(graph, program).losses().flatMap(\.networks))).sorted()
  }
}

/// Reads the roles from a graph.
private struct RoleReader {
  private let graph: Graph
  private let networks: Set<String>
  /// The network of each parameter.
  private let owners: [String: String]
  private let reportOutputs: [(name: String, value: ValueID)]

  init(_ graph: Graph, _ program: Program) {
    self.graph = graph
    networks = Set(program.networks.map(\.name))
    owners = Dictionary(
      program.states.compactMap { state in
        state.kind == .parameter ? state.network.map { (state.name, $0) } : nil
      }, uniquingKeysWith: { first, _ in first })
    reportOutputs = graph.outputs.compactMap { output in
      if case .report(let name) = output.role { (name, output.value) } else { nil }
    }
  }

  // MARK: Losses

  func losses() -> [TrainingRoles.Loss] {
    var found: [TrainingRoles.Loss] = []
    for node in graph.nodes.elements where node.operation is Gradient {
      let moved = Set(node.operands.dropFirst().compactMap(network(ofParameter:)))
      guard !moved.isEmpty else { continue }
      found.append(
        TrainingRoles.Loss(value: node.operands[0], networks: moved.sorted(), origin: node.origin))
    }
    return found
  }

  /// The network of a value that is a parameter, as it was before the step or after an update: the rule's nodes have the
  /// parameter's name as their path.
  private func network(ofParameter value: ValueID) -> String? {
    if let node = graph.producer(of: value) { return owners[node.origin.path] }
    for case .state(let name) in graph.inputs.filter({ $0.value == value }).map(\.role) {
      return owners[name]
    }
    return nil
  }

  func lossReports(_ losses: [TrainingRoles.Loss]) -> [TrainingRoles.LossReport] {
    reportOutputs.compactMap { name, value in
      let origin = graph.producer(of: value)?.origin ?? Origin()
      func report(_ networks: [String], isPart: Bool) -> TrainingRoles.LossReport {
        TrainingRoles.LossReport(
          name: name, value: value, networks: networks, isPart: isPart, origin: origin)
      }
      if let terms = terms(of: value, endingAt: Set(losses.map(\.value))) {
        let summed = losses.filter { terms.contains($0.value) }
        if let first = summed.first, summed.allSatisfy({ $0.networks == first.networks }) {
          return report(first.networks, isPart: false)
        }
      }
      if let whole = losses.first(where: { isSummand(value, of: $0.value) }) {
        return report(whole.networks, isPart: true)
      }
      return nil
    }
  }

  /// The values of `ends` that a scalar is a sum of, with factors that are constants above 0; nil where it is something
  /// else.
  private func terms(of value: ValueID, endingAt ends: Set<ValueID>) -> Set<ValueID>? {
    var found: Set<ValueID> = []
    let isSum = walk(value) { value in
      guard ends.contains(value) else { return false }
      found.insert(value)
      return true
    }
    return isSum ? found : nil
  }

  /// Whether a loss is a sum with this summand.
  private func isSummand(_ value: ValueID, of loss: ValueID) -> Bool {
    var isFound = false
    _ = walk(loss) { next in
      if next == value { isFound = true }
      return next == value
    }
    return isFound
  }

  /// Takes a sum apart, and its summands as long as `isEnd` does not hold. Returns whether all of it ended so.
  private func walk(_ value: ValueID, _ isEnd: (ValueID) -> Bool) -> Bool {
    var endsWell = true
    var seen = BitSet()
    var open = [value]
    while let next = open.popLast() {
      guard seen.insert(next), !isEnd(next) else { continue }
      let summands = summands(of: next)
      if summands.isEmpty { endsWell = false }
      open += summands
    }
    return endsWell
  }

  /// What a value is a sum of, with factors above 0; empty where it is no sum.
  private func summands(of value: ValueID) -> [ValueID] {
    guard let node = graph.producer(of: value) else { return [] }
    switch node.operation {
    case is Add: return node.operands
    case is StopGradient, is Reshape: return [node.operands[0]]
    case is Divide: return isPositive(node.operands[1]) ? [node.operands[0]] : []
    case is Multiply:
      if isPositive(node.operands[0]) { return [node.operands[1]] }
      return isPositive(node.operands[1]) ? [node.operands[0]] : []
    default: return []
    }
  }

  private func isPositive(_ value: ValueID) -> Bool {
    ((graph.producer(of: value)?.operation as? Constant)?.splat ?? 0) > 0
  }

  // MARK: Duels

  /// The network that a node belongs to: the first part of its path. Nodes of updates belong to none.
  private func network(of node: Node) -> String? {
    let path = node.origin.path
    guard !path.isEmpty, owners[path] == nil else { return nil }
    let first = String(path.prefix { $0 != "/" })
    return networks.contains(first) ? first : nil
  }

  /// The values that are computed from those for which `isRoot` holds without going through a network, except the one that
  /// is `within`, or through a gradient.
  private func spread(
    within network: String?, from isRoot: (ValueID) -> Bool
  ) -> BitSet {
    var found = BitSet()
    for input in graph.inputs where isRoot(input.value) { found.insert(input.value) }
    for node in graph.nodes.elements {
      let owner = self.network(of: node)
      let isOwn = network != nil && owner == network
      let passes = owner == nil && !(node.operation is Gradient) && owners[node.origin.path] == nil
      guard isOwn || passes && node.operands.contains(where: { found.contains($0) }) else {
        continue
      }
      for result in node.results { found.insert(result) }
    }
    return found
  }

  private func reads(_ network: String, _ values: BitSet) -> Bool {
    graph.nodes.elements.contains { node in
      self.network(of: node) == network
        && node.operands.contains { value in
          values.contains(value) && graph.producer(of: value).flatMap(self.network(of:)) != network
        }
    }
  }

  func duels(
    _ losses: [TrainingRoles.Loss], _ reports: [TrainingRoles.LossReport]
  ) -> [TrainingRoles.Duel] {
    let learners = Set(losses.flatMap(\.networks)).sorted()
    let data = Set(
      graph.inputs.filter { input in
        if case .data = input.role { graph.type(of: input.value).element == .f32 } else { false }
      }.map(\.value))
    let fromData = spread(within: nil) { data.contains($0) }
    let outputs = Dictionary(
      uniqueKeysWithValues: learners.map { ($0, spread(within: $0) { _ in false }) })
    var found: [TrainingRoles.Duel] = []
    for judge in learners {
      guard let said = outputs[judge], reads(judge, fromData),
        !learners.contains(where: { $0 != judge && reads($0, said) })
      else { continue }
      for maker in learners where maker != judge {
        guard let made = outputs[maker], reads(judge, made) else { continue }
        let of = { (network: String, other: String) in
          losses.filter {
            $0.networks.contains(network) && !$0.networks.contains(other) && said.contains($0.value)
          }
        }
        guard let update = of(judge, maker).first, !of(maker, judge).isEmpty else { continue }
        if let duel = duel(judge, maker, reports, at: update.origin) { found.append(duel) }
      }
    }
    return found
  }

  /// Nil where the losses are not reported, or do not tell who is ahead.
  private func duel(
    _ judge: String, _ maker: String, _ reports: [TrainingRoles.LossReport], at origin: Origin
  ) -> TrainingRoles.Duel? {
    func own(_ network: String, _ other: String) -> [TrainingRoles.LossReport] {
      let all = reports.filter { $0.networks.contains(network) && !$0.networks.contains(other) }
      let whole = all.filter { !$0.isPart }
      return whole.isEmpty ? all : whole
    }
    let judged = own(judge, maker)
    let made = own(maker, judge)
    var evaluator = ChanceEvaluator(graph) { self.network(of: $0) == judge }
    // One report that says it all, or else all of them together.
    for choice in judged.map({ [$0] }) + (judged.count > 1 ? [judged] : []) {
      guard let scale = evaluator.judgeScale(of: choice.map(\.value)) else { continue }
      return TrainingRoles.Duel(
        judge: judge, maker: maker, judgeReports: choice.map(\.name),
        makerReports: made.map(\.name),
        judgeScale: scale, makerScale: evaluator.makerScale(of: made.map(\.value)), origin: origin)
    }
    return nil
  }
}
