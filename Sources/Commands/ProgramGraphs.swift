// The graphs of a program by the names that people and dumps give them.

import Basics
import Elaboration
import GraphIR

/// A value; the graphs are those of the elaborated program, in its order.
struct ProgramGraphs {
  enum Kind: Hashable { case step, sample, network }

  struct Entry {
    var kind: Kind
    /// What `--graph` takes; nil for a step in which conditional blocks stand.
    var option: String?
    /// What it is called in results.
    var title: String
    var graph: Graph
  }

  private(set) var all: [Entry] = []

  init(_ program: Program) {
    for (blocks, graph) in (program.train?.variants ?? []).enumerated() {
      add(
        .step, option: blocks == 0 ? "train" : nil,
        title: blocks == 0 ? "train" : "train with blocks \(String(blocks, radix: 2))", graph)
    }
    for sample in program.samples {
      let name = sample.name.map { "sample:\($0)" } ?? "sample"
      add(.sample, option: name, title: name, sample.graph)
    }
    for network in program.networks {
      // A network may be called as the step or a sample is.
      let isTaken = all.contains { $0.option == network.name }
      let name = isTaken ? "network:\(network.name)" : network.name
      add(.network, option: name, title: name, network.graph)
    }
  }

  private mutating func add(_ kind: Kind, option: String?, title: String, _ graph: Graph) {
    all.append(Entry(kind: kind, option: option, title: title, graph: graph))
  }

  /// What `--graph` may say.
  var options: [String] { all.compactMap(\.option) }

  /// The graph that `--graph` names; without a name the first.
  func graph(named option: String?) throws(UsageError) -> Graph {
    let wanted = option ?? options.first ?? "train"
    if let entry = all.first(where: { $0.option == wanted }) { return entry.graph }
    throw UsageError(
      "the program has no graph '\(wanted)'; it has \(options.joined(separator: ", "))",
      help: suggestion(for: wanted, in: options))
  }

  /// The graph that has this name itself, as a dump of it does.
  func graph(ofDump name: String) throws(UsageError) -> Graph {
    if let entry = all.first(where: { $0.graph.name == name }) { return entry.graph }
    throw UsageError(
      "the dump is of the graph '\(name)', and the program has none of this name",
      help: "--graph chooses one: \(options.joined(separator: ", "))")
  }

  /// The graph of the same kind and name in another program.
  func counterpart(of entry: Entry) -> Entry? {
    all.first { $0.kind == entry.kind && $0.graph.name == entry.graph.name }
  }
}
