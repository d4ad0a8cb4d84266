// `--before`, `--after` and `--dump-dir`: which graphs of a pipeline are meant, and a folder of them.

import Basics
import Formats
import GraphIR
import Passes
import Training

/// A choice of graphs by the runs of passes that they stand before or after.
struct PassChoice {
  var isAfter: Bool
  var pattern: PassPattern

  /// What `--before` and `--after` say, in the order of the command line.
  static func all(_ arguments: ParsedArguments) throws(UsageError) -> [PassChoice] {
    var choices: [PassChoice] = []
    for option in arguments.inOrder(["--before", "--after"]) {
      let choice = PassChoice(
        isAfter: option.name == "--after", pattern: PassPattern(option.value))
      try choice.checkName()
      choices.append(choice)
    }
    return choices
  }

  private func checkName() throws(UsageError) {
    let names = Pipeline.allPasses.map(\.name)
    guard !pattern.isNumber, !names.contains(where: pattern.matches) else { return }
    throw UsageError(
      "there is no pass '\(pattern.text)'",
      help: suggestion(for: pattern.text, in: names) ?? "the passes are those of --list-passes")
  }

  /// The runs that are meant, at least one.
  func runs(in history: PassHistory) throws(UsageError) -> [PassRecord] {
    let runs = history.runs(of: pattern)
    if history.records.isEmpty, history.initial.stage == .fused {
      throw UsageError(
        "no pass ran: the graph is fused, and has been through its passes",
        help: "--pipeline chooses passes that run on it")
    }
    if runs.isEmpty {
      throw UsageError(
        pattern.isNumber
          ? "there is no run \(pattern.text); the pipeline had \(history.records.count)"
          : "the pass \(pattern.text) did not run")
    }
    return runs
  }

  /// The one graph: before the first of the runs, or after the last.
  func graph(in history: PassHistory) throws(UsageError) -> Graph {
    let runs = try runs(in: history)
    return isAfter
      ? history.graph(after: runs[runs.count - 1]) : history.graph(before: runs[0])
  }

  /// `after fuse-elementwise`
  var text: String { "\(isAfter ? "after" : "before") \(pattern.text)" }
}

/// A folder of the graphs of a pipeline as numbered files. All but the times are the same bytes in every run.
package struct DumpFolder {
  let path: String
  /// Whether the pipeline began with a graph that was read, not elaborated.
  let isOfDump: Bool

  package init(_ path: String, isOfDump: Bool) {
    self.path = path
    self.isOfDump = isOfDump
  }

  private struct Dump {
    var number: Int
    var pass: String
    var when: String
    var changed: Bool
    var graph: Graph

    /// `007-simplify.ir`, `007-simplify.before.ir`: in the order of the pipeline when sorted.
    var file: String {
      "\(RunFolder.padded(number, 3))-\(pass)\(when == "before" ? ".before" : "").ir"
    }
  }

  /// Without choices the graph as it came and the one after every run. Dumps that were there before are replaced. Returns
  /// the path of the last.
  @discardableResult
  func write(_ history: PassHistory, _ choices: [PassChoice]) throws -> String? {
    let dumps = try dumps(history, choices)
    try FileIO.createDirectory(path)
    removeDumps()
    var entries: [JSONValue] = []
    for dump in dumps {
      let text = GraphPrinter.text(dump.graph)
      try FileIO.writeAtomically(text, to: "\(path)/\(dump.file)")
      entries.append(Self.entry(dump, text))
    }
    try write(["ir_version": .int(IRText.version), "dumps": .array(entries)], to: "index")
    try write(["passes": .array(history.records.map(Self.times))], to: "times")
    return dumps.last.map { "\(path)/\($0.file)" }
  }

  private func write(_ value: JSONValue, to name: String) throws {
    try FileIO.writeAtomically(value.text(indented: true) + "\n", to: "\(path)/\(name).json")
  }

  /// Removes the dumps that an index of ours names, so that a folder holds those of one pipeline. Nothing else goes.
  private func removeDumps() {
    guard let bytes = try? FileIO.read("\(path)/index.json", limit: 64 << 20),
      let index = try? JSONValue.parse(String(decoding: bytes, as: UTF8.self), name: "index.json"),
      index["ir_version"] != nil
    else { return }
    for entry in index["dumps"]?.arrayValue ?? [] {
      guard let file = entry["file"]?.stringValue, file.hasSuffix(".ir"), !file.contains("/"),
        file.first?.isNumber == true
      else { continue }
      try? FileIO.remove("\(path)/\(file)")
    }
  }

  private func dumps(
    _ history: PassHistory, _ choices: [PassChoice]
  ) throws(UsageError) -> [Dump] {
    var befores: Set<Int> = []
    var afters = choices.isEmpty ? Set(history.records.map(\.index)) : []
    for choice in choices {
      for run in try choice.runs(in: history) {
        if choice.isAfter { afters.insert(run.index) } else { befores.insert(run.index) }
      }
    }
    var dumps: [Dump] = []
    if choices.isEmpty {
      dumps.append(
        Dump(
          number: 0, pass: isOfDump ? "read" : "elaborated", when: "after", changed: true,
          graph: history.initial))
    }
    func add(_ record: PassRecord, _ when: String, _ graph: Graph) {
      dumps.append(
        Dump(
          number: record.index + 1, pass: record.name, when: when, changed: record.changed,
          graph: graph))
    }
    for record in history.records {
      if befores.contains(record.index) { add(record, "before", history.graph(before: record)) }
      if afters.contains(record.index) { add(record, "after", history.graph(after: record)) }
    }
    return dumps
  }

  private static func entry(_ dump: Dump, _ text: String) -> JSONValue {
    var hash = StableHash()
    hash.combine(text)
    return [
      "file": .string(dump.file), "run": .int(dump.number), "pass": .string(dump.pass),
      "when": .string(dump.when), "graph": .string(dump.graph.name),
      "stage": .string(dump.graph.stage.rawValue), "hash": .string(String(hash.value, radix: 16)),
      "nodes": .int(dump.graph.nodes.count), "changed": .bool(dump.changed),
    ]
  }

  private static func times(_ record: PassRecord) -> JSONValue {
    [
      "run": .int(record.index + 1), "pass": .string(record.name),
      "ms": .double((record.seconds * 1e6).rounded() / 1e3),
      "nodes_before": .int(record.nodesBefore), "nodes_after": .int(record.nodesAfter),
      "changed": .bool(record.changed),
    ]
  }
}
