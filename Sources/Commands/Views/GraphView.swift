// The views of a graph that `gan-compile --emit` names beside its plain forms: cost, memory, pages. In: a graph and
// the options. Out: text.

import Basics
import Formats
import GraphIR
import OpenCLBackend
import Passes
import Planning

enum GraphView {
  /// Whether the form that is asked for can be JSON.
  static func hasJSON(_ arguments: ParsedArguments) -> Bool {
    ["cost", "memory"].contains(arguments.value("--emit"))
  }

  static func check(_ arguments: ParsedArguments) throws(UsageError) {
    if arguments.has("--profile"), arguments.value("--emit") != "html" {
      throw UsageError("--profile needs --emit html")
    }
    guard let view = arguments.value("--emit"),
      ["cost", "memory", "memory-svg", "opencl"].contains(view)
    else {
      return
    }
    for option in ["--after", "--before"] where arguments.has(option) {
      throw UsageError("--emit \(view) is of the whole pipeline; \(option) does not go with it")
    }
  }

  /// The text of a view, nil where there is none of this name. `shown` is the graph that the options choose, `source`
  /// what the passes began with.
  static func text(
    _ view: String, of shown: Graph, from source: Graph, _ runner: PassRunner,
    _ arguments: ParsedArguments
  ) throws -> String? {
    switch view {
    case "cost":
      let report = try CostReport(source, runner, isProgram: !isIR(arguments))
      return arguments.has("--json") ? report.json().text() + "\n" : report.text()
    case "memory":
      let report = MemoryReport(try plan(shown, arguments))
      return arguments.has("--json") ? report.json().text() + "\n" : report.text()
    case "memory-svg":
      return MemoryChart(MemoryReport(try plan(shown, arguments))).svg()
    case "html":
      return try page(of: shown, arguments)
    case "opencl":
      return try openCL(Planner().plan(shown), arguments)
    default:
      return nil
    }
  }

  private static func isIR(_ arguments: ParsedArguments) -> Bool {
    CompileCommand.isGraph(arguments.positionals[0])
  }

  /// The plan of a graph; where a backend is named, with what its kernels need beside the values.
  private static func plan(_ graph: Graph, _ arguments: ParsedArguments) throws -> Plan {
    let plan = Planner().plan(graph)
    guard ["--backend", "--isa", "--threads"].contains(where: arguments.has) else { return plan }
    return try Workplace.makeBackend(arguments).reserving(plan)
  }

  /// The source of all kernels: for the device of `--backend`, or, where none is named, for a GPU as most are.
  private static func openCL(_ plan: Plan, _ arguments: ParsedArguments) throws -> String {
    if case .opencl = try BackendChoice(arguments),
      let backend = try Workplace.makeBackend(arguments) as? OpenCLBackend
    {
      return try backend.source(of: plan)
    }
    return try OpenCLBackend.source(of: plan, traits: .gpu, tiles: TileTable())
  }

  private static func page(of graph: Graph, _ arguments: ParsedArguments) throws -> String {
    let path = arguments.positionals[0]
    // The places in IR text are those of the program that it was made of.
    let source =
      isIR(arguments) ? nil : SourceText(name: path, bytes: try FileIO.read(path, limit: 64 << 20))
    let times = try arguments.value("--profile").map { try KernelTimes(reading: $0, for: graph) }
    return Page(PageGraph(graph, source: source, times: times)).html()
  }
}
