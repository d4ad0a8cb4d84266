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
  private enum Subject {
    case program(ProgramSource)
    case graph(Graph)
  }

  static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    let choices = try PassChoice.all(arguments)
    let paths = arguments.positionals
    let isOneFile = paths.count == 1
    guard choices.count == 2 || !isOneFile else {
      throw UsageError(
        "expected a second file to compare with, or two of --before and --after",
        help: "gan-compile diff FILE --before PASS --after PASS")
    }
    guard choices.count <= 1 || isOneFile else {
      throw UsageError(
        "two files are compared at one place of the pipeline; \(choices.count) are given")
    }
    let subjects = try paths.map { try subject($0, arguments, console) }
    if case .program(let before) = subjects[0],
      case .program(let after) = subjects[subjects.count - 1],
      choices.isEmpty, !arguments.has("--graph")
    {
      return show(
        try ProgramDiff(before.program, after.program), (paths[0], paths[1]), arguments, console)
    }
    let name = try arguments.value("--graph") ?? graphName(subjects)
    let graphs = try subjects.map { subject in
      try isOneFile
        ? choices.map { try graph(subject, name, $0, arguments) }
        : [graph(subject, name, place(of: subject, among: subjects, choices.first), arguments)]
    }.flatMap { $0 }
    let labels = isOneFile ? choices.map { "\(paths[0]) \($0.text)" } : paths
    return show(
      try GraphDiff(graphs[0], graphs[1]), labels, places(subjects, paths), graphs[1].name,
      arguments,
      console)
  }

  // MARK: What is compared

  private static func subject(
    _ path: String, _ arguments: ParsedArguments, _ console: Console
  ) throws -> Subject {
    if path.hasSuffix(".ir") { return .graph(try CompileCommand.readIR(path)) }
    let source = try ProgramSource(path: path, settings: try arguments.settings())
    showWarnings(source, on: console)
    return .program(source)
  }

  /// The graph of a program that a dump is compared with is the one of the same name.
  private static func graphName(_ subjects: [Subject]) throws -> String? {
    for case .graph(let graph) in subjects { return graph.name }
    return nil
  }

  /// A dump stands at its place already, where the other side is a program.
  private static func place(
    of subject: Subject, among subjects: [Subject], _ choice: PassChoice?
  ) -> PassChoice? {
    guard case .graph = subject else { return choice }
    let hasProgram = subjects.contains { if case .program = $0 { true } else { false } }
    return hasProgram ? nil : choice
  }

  private static func graph(
    _ subject: Subject, _ name: String?, _ choice: PassChoice?, _ arguments: ParsedArguments
  ) throws -> Graph {
    let graph =
      switch subject {
      case .program(let source): try ProgramGraphs(source.program).graph(named: name)
      case .graph(let graph): graph
      }
    guard let choice else { return graph }
    var runner = try CompileCommand.runner(arguments)
    runner.keepsGraphs = true
    return try choice.graph(in: PassHistory(graph, runner.run(graph)))
  }

  /// The files of places; those in a dump are places of a program that is not known here.
  private static func places(_ subjects: [Subject], _ paths: [String]) -> (String?, String?) {
    func place(_ index: Int) -> String? {
      if case .program = subjects[index] { paths[index] } else { nil }
    }
    return (place(0), place(subjects.count - 1))
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
    _ diff: GraphDiff, _ labels: [String], _ files: (String?, String?), _ name: String,
    _ arguments: ParsedArguments, _ console: Console
  ) -> Int32 {
    if arguments.has("--json") {
      let graph: JSONValue = [
        "graph": .string(name), "only": .null, "difference": DiffJSON.object(diff),
      ]
      let head = head(labels, isEqual: diff.isEmpty)
      let graphs: JSONValue = .array(diff.isEmpty ? [] : [graph])
      console.print(JSONValue.object(head + [("graphs", graphs)]).text() + "\n")
    } else if !diff.isEmpty {
      let paint = DiffPaint(usesColour: console.usesColour)
      console.print("graph \(name): \(GraphDiffText.counts(diff))\n")
      console.print(GraphDiffText(diff: diff, paint: paint, files: files).text())
    }
    return conclude(isEqual: diff.isEmpty, arguments, console)
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
