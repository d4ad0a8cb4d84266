// `gan-compile diff A B`: what is different in two programs, two dumps, or one program before and after passes.

import Basics
import Elaboration
import Formats
import GraphIR
import Passes
import Training

enum DiffCommand {
  static let spec = CommandSpec(
    "diff", "A [B]", count: 1...2,
    "Shows what differs between two programs (.gan) or graphs (.ir), or, with two of --before and "
      + "--after, between two places of the pipeline of one. Exits with 4 if anything does.",
    options: [
      OptionSpec("--before", "PASS", "the graph before the first run of a pass, or of this number"),
      OptionSpec("--after", "PASS", "the graph after the last run of a pass, or of this number"),
      OptionSpec("--graph", "NAME", "only this graph: train, sample, sample:NAME, or a network"),
      OptionSpec("--json", nil, "one JSON object instead of the text"),
      OptionSpec("--pipeline", "A,B,C", "run these passes instead of the standard ones"),
      OptionSpec("--disable", "PASS", "leave a pass out (repeatable)"),
      OptionSpec("--pass-limit", "N", "stop after N runs of passes"),
      OptionSpec("--verify-each", nil, "verify the graph after every pass"),
      OptionSpec("--batch", "N", "the same as --set batch=N"),
    ])

  /// What one argument names.
  private struct Subject {
    enum Contents {
      case program(ProgramSource)
      case graph(Graph)
    }
    var path: String
    var contents: Contents

    var program: ProgramSource? {
      if case .program(let source) = contents { source } else { nil }
    }
    var dump: Graph? {
      if case .graph(let graph) = contents { graph } else { nil }
    }
  }

  /// One side of a comparison: a graph, where it comes from and at which place of the pipeline it is taken.
  private struct Side {
    var graph: Graph
    var subject: Subject
    var choice: PassChoice?

    /// `vanilla.gan after simplify`
    var label: String { subject.path + (choice.map { " \($0.text)" } ?? "") }
    /// The file that places are in; those in a dump are places of a program that is not known here.
    var file: String? { subject.program == nil ? nil : subject.path }
  }

  static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    let choices = try PassChoice.all(arguments)
    let paths = arguments.positionals
    try checkCount(of: choices, paths)
    try checkPipelineOptions(arguments, choices)
    let subjects = try paths.map { try subject($0, arguments, console) }
    let programs = subjects.compactMap(\.program)
    if programs.count == 2, choices.isEmpty, !arguments.has("--graph") {
      return show(
        try ProgramDiff(programs[0].program, programs[1].program), (paths[0], paths[1]), arguments,
        console)
    }
    if programs.isEmpty, arguments.has("--graph") {
      throw UsageError("--graph chooses among the graphs of a program; a dump holds one")
    }
    let sides = try sides(subjects, choices, arguments)
    return show(try GraphDiff(sides[0].graph, sides[1].graph), sides, arguments, console)
  }

  /// One file is compared at two places, two files at none or one.
  private static func checkCount(
    of choices: [PassChoice], _ paths: [String]
  ) throws(UsageError) {
    guard choices.count == 2 || paths.count == 2 else {
      throw UsageError(
        "expected a second file to compare with, or two of --before and --after",
        help: "gan-compile diff FILE --before PASS --after PASS")
    }
    guard choices.count <= 1 || paths.count == 1 else {
      throw UsageError(
        "two files are compared at one place of the pipeline; \(choices.count) are given")
    }
  }

  /// Without a place no pass runs.
  private static func checkPipelineOptions(
    _ arguments: ParsedArguments, _ choices: [PassChoice]
  ) throws(UsageError) {
    guard choices.isEmpty, let option = ChosenPipeline.options.first(where: arguments.has) else {
      return
    }
    throw UsageError(
      "\(option) changes what passes do, and graphs are compared before all of them",
      help: "--after PASS compares them behind a pass")
  }

  // MARK: What is compared

  private static func subject(
    _ path: String, _ arguments: ParsedArguments, _ console: Console
  ) throws -> Subject {
    if path.hasSuffix(".ir") {
      return Subject(path: path, contents: .graph(try CompileCommand.readIR(path)))
    }
    let source = try ProgramSource(path: path, settings: try arguments.settings())
    showWarnings(source, on: console)
    return Subject(path: path, contents: .program(source))
  }

  private static func sides(
    _ subjects: [Subject], _ choices: [PassChoice], _ arguments: ParsedArguments
  ) throws -> [Side] {
    let dumpName = subjects.lazy.compactMap(\.dump?.name).first
    let hasProgram = subjects.contains { $0.program != nil }
    return try subjects.flatMap { subject in
      let graph = try graph(of: subject, dumpName: dumpName, arguments)
      // A dump stands at its place already, where the other side is a program.
      let isAtPlace = subject.dump != nil && hasProgram
      let places: [PassChoice?] = isAtPlace || choices.isEmpty ? [nil] : choices
      guard places.contains(where: { $0 != nil }) else {
        return [Side(graph: graph, subject: subject, choice: nil)]
      }
      let runner = try ChosenPipeline.runner(arguments, for: graph)
      let history = try ChosenPipeline.history(of: graph, runner).history
      return try places.map { choice in
        Side(
          graph: try choice?.graph(in: history) ?? graph, subject: subject, choice: choice)
      }
    }
  }

  /// The graph that `--graph` names; of a program that a dump is compared with, the one of the dump's name.
  private static func graph(
    of subject: Subject, dumpName: String?, _ arguments: ParsedArguments
  ) throws(UsageError) -> Graph {
    switch subject.contents {
    case .graph(let graph): return graph
    case .program(let source):
      let graphs = ProgramGraphs(source.program)
      if let dumpName, !arguments.has("--graph") { return try graphs.graph(ofDump: dumpName) }
      return try graphs.graph(named: arguments.value("--graph"))
    }
  }

  // MARK: What is said

  private static func show(
    _ diff: ProgramDiff, _ paths: (String, String), _ arguments: ParsedArguments, _ console: Console
  ) -> Int32 {
    if arguments.has("--json") {
      let head = head([paths.0, paths.1], isEqual: diff.isEmpty)
      console.print(JSONValue.object(head + DiffJSON.object(diff)).text() + "\n")
    } else if !diff.isEmpty {
      let paint = DiffPaint(usesColour: console.usesColour)
      console.print(ProgramDiffText(diff: diff, paint: paint, files: paths).text())
    }
    return conclude(isEqual: diff.isEmpty, arguments, console)
  }

  private static func show(
    _ diff: GraphDiff, _ sides: [Side], _ arguments: ParsedArguments, _ console: Console
  ) -> Int32 {
    let name = sides[1].graph.name
    if arguments.has("--json") {
      let graph: JSONValue = [
        "graph": .string(name), "only": .null, "difference": DiffJSON.object(diff),
      ]
      let head = head(sides.map(\.label), isEqual: diff.isEmpty)
      let graphs: JSONValue = .array(diff.isEmpty ? [] : [graph])
      console.print(JSONValue.object(head + [("graphs", graphs)]).text() + "\n")
    } else if !diff.isEmpty {
      let paint = DiffPaint(usesColour: console.usesColour)
      console.print("graph \(name)\(places(sides)): \(GraphDiffText.counts(diff))\n")
      let files = (sides[0].file, sides[1].file)
      console.print(GraphDiffText(diff: diff, paint: paint, files: files).text())
    }
    return conclude(isEqual: diff.isEmpty, arguments, console)
  }

  /// ` before fuse-elementwise -> after fuse-epilogues`, or one place where both sides stand at it.
  private static func places(_ sides: [Side]) -> String {
    let places = sides.map { $0.choice?.text }
    guard places[0] != places[1] else { return places[0].map { " " + $0 } ?? "" }
    return " " + places.map { $0 ?? "as it is" }.joined(separator: " -> ")
  }

  private static func head(
    _ labels: [String], isEqual: Bool
  ) -> [(key: String, value: JSONValue)] {
    [
      ("before", .string(labels[0])), ("after", .string(labels[1])), ("equal", .bool(isEqual)),
    ]
  }

  private static func conclude(
    isEqual: Bool, _ arguments: ParsedArguments, _ console: Console
  ) -> Int32 {
    if isEqual, !arguments.has("--json") { console.print("no difference\n") }
    return isEqual ? ExitCode.done : ExitCode.checkFailed
  }
}
