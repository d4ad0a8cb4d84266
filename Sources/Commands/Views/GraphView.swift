// The views of a graph that `gan-compile --emit` names beside its plain forms: cost, memory. In: a graph and
// the options. Out: text.

import GraphIR
import Passes
import Planning

enum GraphView {
  /// Whether the form that is asked for can be JSON.
  static func hasJSON(_ arguments: ParsedArguments) -> Bool {
    ["cost", "memory"].contains(arguments.value("--emit"))
  }

  static func check(_ arguments: ParsedArguments) throws(UsageError) {
    guard let view = arguments.value("--emit"), ["cost", "memory", "memory-svg"].contains(view)
    else {
      return
    }
    for option in ["--after", "--before"] where arguments.has(option) {
      throw UsageError("--emit \(view) is of the whole pipeline; \(option) does not go with it")
    }
  }

  /// The text of a view, nil where there is none of this name. `source` is what the passes
  /// begin with.
  static func text(
    _ view: String, from source: Graph, _ runner: PassRunner,
    _ arguments: ParsedArguments
  ) throws -> String? {
    switch view {
    case "cost":
      let report = try CostReport(source, runner)
      return arguments.has("--json") ? report.json().text() + "\n" : report.text()
    case "memory":
      let report = MemoryReport(Planner().plan(try runner.run(source).graph))
      return arguments.has("--json") ? report.json().text() + "\n" : report.text()
    case "memory-svg":
      return MemoryChart(MemoryReport(Planner().plan(try runner.run(source).graph))).svg()
    default:
      return nil
    }
  }
}
