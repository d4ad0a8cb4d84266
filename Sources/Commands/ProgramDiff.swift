// The difference of two programs: what they keep and read, how long they train, and each of their graphs.

import Basics
import Elaboration
import GraphIR
import Passes
import Training

/// A value; nothing here prints.
struct ProgramDiff {
  /// A state, a data source or a setting of the training; nil where one side does not have it.
  struct Entry: Hashable {
    var kind: GraphDiff.Kind
    var name: String
    var before: String?
    var after: String?
  }
  struct GraphEntry {
    var name: String
    /// Nil where only one program has the graph.
    var diff: GraphDiff?
    var isAfter: Bool
  }

  var states: [Entry]
  var data: [Entry]
  var facts: [Entry]
  /// The graphs that differ, in the order of the program. What is said of states and data is left out.
  var graphs: [GraphEntry]

  var isEmpty: Bool { states.isEmpty && data.isEmpty && facts.isEmpty && graphs.isEmpty }

  init(_ before: Program, _ after: Program) throws {
    let old = ProgramGraphs(before)
    let new = ProgramGraphs(after)
    var renamed: [(old: String, new: String)] = []
    graphs = []
    for name in old.names {
      guard let other = new[name] else {
        graphs.append(GraphEntry(name: name, diff: nil, isAfter: false))
        continue
      }
      var diff = try GraphDiff(old[name] ?? other, other)
      renamed += Self.renamedStates(diff).filter { pair in !renamed.contains { $0 == pair } }
      diff.changes.removeAll { Self.isOfStateOrData($0) }
      if !diff.isEmpty { graphs.append(GraphEntry(name: name, diff: diff, isAfter: false)) }
    }
    for name in new.names where old[name] == nil {
      graphs.append(GraphEntry(name: name, diff: nil, isAfter: true))
    }
    states = Self.entries(
      before.states.map { ($0.name, Self.text($0)) }, after.states.map { ($0.name, Self.text($0)) },
      renamed)
    data = Self.entries(
      before.data.map { ($0.name, Self.text($0)) }, after.data.map { ($0.name, Self.text($0)) }, [])
    facts = Self.entries(Self.facts(before), Self.facts(after), [])
  }

  // MARK: States and data

  /// Pairs of names that a graph's difference found to be one state.
  private static func renamedStates(_ diff: GraphDiff) -> [(old: String, new: String)] {
    diff.changes.compactMap { change in
      guard change.kind == .renamed, let old = stateName(change.before),
        let new = stateName(change.after)
      else { return nil }
      return (old, new)
    }
  }

  private static func stateName(_ items: [GraphDiff.Item]) -> String? {
    guard let name = items.first?.name, name.hasPrefix("state \""), name.hasSuffix("\"") else {
      return nil
    }
    return String(name.dropFirst("state \"".count).dropLast())
  }

  /// Whether a change is of an input or output that the lists of states and data tell about.
  private static func isOfStateOrData(_ change: GraphDiff.Change) -> Bool {
    let items = change.before + change.after
    guard change.kind != .rewired else { return false }
    return items.allSatisfy { item in
      item.isBinding
        && ["state ", "data ", "output state "].contains { item.name.hasPrefix($0) }
    }
  }

  private static func entries(
    _ before: [(name: String, text: String)], _ after: [(name: String, text: String)],
    _ renamed: [(old: String, new: String)]
  ) -> [Entry] {
    var found: [Entry] = []
    for (name, text) in before {
      if let other = after.first(where: { $0.name == name }) {
        if other.text != text {
          found.append(Entry(kind: .changed, name: name, before: text, after: other.text))
        }
      } else if let new = renamed.first(where: { $0.old == name })?.new,
        !before.contains(where: { $0.name == new }),
        let other = after.first(where: { $0.name == new })
      {
        found.append(
          Entry(kind: .renamed, name: name, before: text, after: "\(new): \(other.text)"))
      } else {
        found.append(Entry(kind: .removed, name: name, before: text, after: nil))
      }
    }
    let named = Set(renamed.filter { pair in before.contains { $0.name == pair.old } }.map(\.new))
    for (name, text) in after
    where !before.contains(where: { $0.name == name }) && !named.contains(name) {
      found.append(Entry(kind: .added, name: name, before: nil, after: text))
    }
    return found
  }

  private static func text(_ state: StateDeclaration) -> String {
    "\(state.type), \(text(state.initializer)), \(text(state.kind))"
  }

  private static func text(_ kind: StateKind) -> String {
    switch kind {
    case .parameter: "parameter"
    case .runningStatistic: "running statistic"
    case .moment: "moment"
    case .counter: "counter"
    case .average: "average"
    }
  }

  private static func text(_ initializer: Initializer) -> String {
    switch initializer {
    case .constant(let value): "begins as \(value)"
    case .normal(let deviation): "normal of deviation \(deviation)"
    case .uniform(let low, let high): "uniform in \(low)...\(high)"
    case .truncatedNormal(let deviation): "truncated normal of deviation \(deviation)"
    case .copy(let other): "a copy of \(other)"
    }
  }

  private static func text(_ data: DataDeclaration) -> String {
    var text = "\(data.type)"
    if let low = data.low, let high = data.high { text += " in \(low)...\(high)" }
    switch data.source {
    case .named(let name): text += " from \(GraphPrinter.quoted(name))"
    case .part(let source, let name): text += " from \(source).\(name)"
    }
    text += ", \(data.order.rawValue)"
    if let other = data.with { text += " with \(other)" }
    return data.batchesPerStep == 1 ? text : text + ", \(data.batchesPerStep) batches a step"
  }

  // MARK: Training and samples

  private static func facts(_ program: Program) -> [(name: String, text: String)] {
    var facts = [(name: "model", text: program.model)]
    if let train = program.train {
      switch train.length {
      case .epochs(let count): facts.append(("train", "\(count) epochs"))
      case .steps(let count): facts.append(("train", "\(count) steps"))
      }
      for (index, schedule) in train.schedules.enumerated() {
        facts.append(("every \(index + 1)", text(schedule)))
      }
    }
    for sample in program.samples {
      facts.append(
        (
          "sample\(sample.name.map { " " + $0 } ?? "")",
          "count \(sample.count), seed \(sample.seed), shown in \(sample.low)...\(sample.high)"
        ))
    }
    return facts
  }

  private static func text(_ schedule: Schedule) -> String {
    let actions = schedule.actions.map { action in
      switch action {
      case .sample(let name): name.map { "sample \($0)" } ?? "sample"
      case .checkpoint: "checkpoint"
      }
    }
    let all = actions + (schedule.block.map { ["block \($0 + 1)"] } ?? [])
    return "\(schedule.count) \(schedule.unit.rawValue): \(all.joined(separator: ", "))"
  }
}

/// All graphs of a program by the names that `--graph` takes. Of the step, each combination of conditional blocks.
private struct ProgramGraphs {
  private(set) var names: [String] = []
  private var graphs: [String: Graph] = [:]

  init(_ program: Program) {
    for (index, graph) in (program.train?.variants ?? []).enumerated() {
      add(index == 0 ? "train" : "train with blocks \(String(index, radix: 2))", graph)
    }
    for sample in program.samples {
      add(sample.name.map { "sample:\($0)" } ?? "sample", sample.graph)
    }
    for network in program.networks { add(network.name, network.graph) }
  }

  private mutating func add(_ name: String, _ graph: Graph) {
    if graphs.updateValue(graph, forKey: name) == nil { names.append(name) }
  }

  subscript(name: String) -> Graph? { graphs[name] }
}
