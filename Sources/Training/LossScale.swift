// What a loss is worth: its value where a discriminator says the same of everything, and its least value whatever it says. Both
// are computed from the graph: what the discriminator says is replaced by numbers, and the loss evaluated in Double. A cross
// entropy of two halves has 2·ln 2 and 0, a hinge loss 2 and 0. Losses without a least value, such as Wasserstein's, and those
// that depend on anything else, such as a penalty on gradients, have no scale.

import Basics
import GraphIR
import Operators

struct LossScale: Sendable, Equatable {
  /// The loss where nothing is known: the least that one answer for everything gives.
  var chance: Double
  /// The least of all answers.
  var best: Double

  /// 1 at the best, 0 at chance, negative where it is worse than knowing nothing.
  func standing(_ loss: Double) -> Double { (chance - loss) / (chance - best) }
}

struct ChanceEvaluator {
  /// Answers that are tried: logits and scores without bounds.
  private static let scores: [Double] = [-30, -10, -3, -1, -0.5, 0, 0.25, 0.5, 0.75, 1, 3, 10, 30]
  /// Answers that are probabilities.
  private static let probabilities: [Double] = [0, 0.05, 0.25, 0.4, 0.5, 0.6, 0.75, 0.95, 1]
  /// By how much the scores are widened to see whether a loss goes on falling.
  private static let widening = 4.0
  private static let tolerance = 0.02
  /// Losses of more answers would take too long.
  private static let mostElements = 1 << 16

  /// Some of what the discriminator says: a value, or the first or second half of its rows.
  private struct Group: Hashable {
    var value: ValueID
    /// 0 and 1 are the halves; nil is all of it.
    var half: Int?
  }

  private let graph: Graph
  private let isJudge: (Node) -> Bool
  /// The answer to everything that gives the judge's loss its chance level, as a score or a probability.
  private var neutral = (level: 0.0, isProbability: false)

  init(_ graph: Graph, isJudge: @escaping (Node) -> Bool) {
    self.graph = graph
    self.isJudge = isJudge
  }

  /// The scale of a sum of scalars that the discriminator learns from.
  mutating func judgeScale(of values: [ValueID]) -> LossScale? {
    guard let groups = groups(behind: values), let levels = levels(groups) else { return nil }
    var chance = Double.infinity
    for level in levels {
      guard let loss = loss(values, groups.map { ($0, level) }) else { return nil }
      if loss < chance { (chance, neutral.level) = (loss, level) }
    }
    neutral.isProbability = isProbability(groups)
    return scale(values, groups, chance, neutral.level)
  }

  /// The answer that says nothing, in the form that these have: a loss may read logits where another reads their sigmoid.
  private func neutral(for groups: [Group]) -> Double {
    let wanted = isProbability(groups)
    guard wanted != neutral.isProbability else { return neutral.level }
    return wanted
      ? Sigmoid().apply(neutral.level) : Log().apply(neutral.level / (1 - neutral.level))
  }

  /// The scale of a sum of scalars that the other network learns from, where the judge's is known.
  func makerScale(of values: [ValueID]) -> LossScale? {
    guard !values.isEmpty, let groups = groups(behind: values) else { return nil }
    let start = neutral(for: groups)
    guard let chance = loss(values, groups.map { ($0, start) }) else { return nil }
    return scale(values, groups, chance, start)
  }

  private func scale(
    _ values: [ValueID], _ groups: [Group], _ chance: Double, _ start: Double
  ) -> LossScale? {
    guard let levels = levels(groups), let best = least(values, groups, levels, start),
      let wider = least(values, groups, levels.map { $0 * widening(of: groups) }, start),
      chance.isFinite, best.isFinite, chance - best > 1e-3,
      wider > best - Self.tolerance * (chance - best)
    else { return nil }
    return LossScale(chance: chance, best: best)
  }

  /// The least loss over the answers to each group by itself, the others at the neutral one: losses are sums over groups.
  private func least(
    _ values: [ValueID], _ groups: [Group], _ levels: [Double], _ start: Double
  ) -> Double? {
    var answers = groups.map { ($0, start) }
    for index in groups.indices {
      var best = (loss: Double.infinity, level: start)
      for level in levels {
        answers[index].1 = level
        guard let loss = loss(values, answers) else { return nil }
        if loss < best.loss { best = (loss, level) }
      }
      answers[index].1 = best.level
    }
    return loss(values, answers)
  }

  // MARK: Answers

  private func isProbability(_ value: ValueID) -> Bool {
    graph.producer(of: value)?.operation is Sigmoid
  }

  private func isProbability(_ groups: [Group]) -> Bool {
    groups.contains { isProbability($0.value) }
  }

  /// Nil where some are probabilities and others are not.
  private func levels(_ groups: [Group]) -> [Double]? {
    let kinds = Set(groups.map { isProbability($0.value) })
    guard kinds.count == 1 else { return nil }
    return kinds.contains(true) ? Self.probabilities : Self.scores
  }

  private func widening(of groups: [Group]) -> Double {
    isProbability(groups) ? 1 : Self.widening
  }

  /// What the discriminator says and these values are computed from. A single value is taken as two halves, since data and
  /// what is judged may be one batch. Nil where they depend on something else.
  private func groups(behind values: [ValueID]) -> [Group]? {
    var exits: [ValueID] = []
    var seen = BitSet()
    var open = values
    while let value = open.popLast() {
      guard seen.insert(value) else { continue }
      guard let node = graph.producer(of: value) else {
        switch graph.inputs.first(where: { $0.value == value })?.role {
        case .seed, .step, .epoch: continue
        default: return nil
        }
      }
      if node.operation is Gradient { return nil }
      if isJudge(node) { exits.append(value) } else { open += node.operands }
    }
    exits.sort()
    let count = exits.reduce(0) { $0 + graph.type(of: $1).count }
    guard !exits.isEmpty, count <= Self.mostElements,
      exits.allSatisfy({ graph.type(of: $0).element == .f32 })
    else { return nil }
    if exits.count == 1, let rows = graph.type(of: exits[0]).shape.first, rows > 1 {
      return [Group(value: exits[0], half: 0), Group(value: exits[0], half: 1)]
    }
    return exits.map { Group(value: $0, half: nil) }
  }

  // MARK: Evaluating

  /// The sum of scalars, given what the discriminator says.
  private func loss(_ values: [ValueID], _ answers: [(group: Group, level: Double)]) -> Double? {
    var known: [ValueID: HostTensor] = [:]
    for (group, level) in answers {
      let type = graph.type(of: group.value)
      var tensor = known[group.value] ?? HostTensor(type)
      let middle = type.count / 2
      let range =
        switch group.half {
        case 0: 0..<middle
        case 1: middle..<type.count
        default: 0..<type.count
        }
      for index in range { tensor.values[index] = level }
      known[group.value] = tensor
    }
    var sum = 0.0
    for value in values {
      guard let result = evaluate(value, &known) else { return nil }
      sum += result.values.first ?? 0
    }
    return sum
  }

  private func evaluate(_ value: ValueID, _ known: inout [ValueID: HostTensor]) -> HostTensor? {
    if let tensor = known[value] { return tensor }
    let type = graph.type(of: value)
    guard let node = graph.producer(of: value) else { return HostTensor(type) }
    guard type.count <= Self.mostElements else { return nil }
    var operands: [HostTensor] = []
    for operand in node.operands {
      guard let tensor = evaluate(operand, &known) else { return nil }
      operands.append(tensor)
    }
    let results = node.operation.evaluate(operands, results: graph.types(of: node.results))
    for (result, tensor) in zip(node.results, results) { known[result] = tensor }
    return known[value]
  }
}
