// `gan-compile FILE`: tables of what a program is, or one of its forms as text.

import Basics
import Elaboration
import Formats
import GraphIR
import GraphSyntax
import Operators
import Passes
import Planning
import Training

package enum CompileCommand {
  package static let spec = CommandSpec(
    "", "FILE", count: 0...1,
    "Shows a program (.gan), a graph (.ir) or an ONNX model (.onnx): its networks and training step, or one\n"
      + "of its forms.",
    options: [
      OptionSpec(
        "--emit", "FORM",
        "syntax, ir, plan, dot, json, memory, memory-svg, cost, html or opencl instead of the tables"
      ),
      OptionSpec(
        "--graph", "NAME", "train (default), sample, sample NAME as sample:NAME, or a network"),
      OptionSpec(
        "--after", "PASS",
        "the graph after the last run of a pass (with ir, dot, json or html), or all of them (with "
          + "--dump-dir); a name, a pattern such as 'fuse-*', or the number of a run"),
      OptionSpec("--before", "PASS", "the same before the first run of it"),
      OptionSpec(
        "--dump-dir", "DIR",
        "write the graph after every pass, or those of --before and --after, numbered, with "
          + "index.json and times.json"),
      OptionSpec(
        "--explain-fusion", nil,
        "what each element-wise operation was fused into, and which neighbours were not and why"),
      OptionSpec(
        "--json", nil,
        "with --explain-fusion, --emit memory or --emit cost, one JSON object instead of the text"),
      OptionSpec(
        "--profile", "FILE", "with --emit html, what `gan-exec profile --json` measured"),
      OptionSpec("--list-passes", nil, "list the passes and the standard pipeline"),
      OptionSpec("--pipeline", "A,B,C", "run these passes instead of the standard ones"),
      OptionSpec("--math", "fast|exact", "whether passes may change roundings (default fast)"),
      OptionSpec("--disable", "PASS", "leave a pass out (repeatable)"),
      OptionSpec("--pass-limit", "N", "stop after N runs of passes, for bisecting"),
      OptionSpec("--verify-each", nil, "verify the graph after every pass"),
      OptionSpec("--time-passes", nil, "show the time and the nodes of every pass"),
      OptionSpec("--batch", "N", "the same as --set batch=N"),
    ])

  static let forms = [
    "syntax", "ir", "plan", "dot", "json", "memory", "memory-svg", "cost", "html", "opencl",
  ]

  package static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    if arguments.has("--list-passes") {
      console.print(PassList.text())
      return ExitCode.done
    }
    guard let path = arguments.positionals.first else {
      throw UsageError("expected FILE, found none")
    }
    let form = arguments.value("--emit")
    if let form, !forms.contains(form) {
      throw UsageError(
        "--emit takes \(forms.joined(separator: ", ")), not '\(form)'",
        help: suggestion(for: form, in: forms))
    }
    try checkExplaining(arguments)
    try GraphView.check(arguments)
    try checkChoices(arguments, form, isOfDump: path.hasSuffix(".ir"))
    if ONNXFile.isONNX(path) { return try showONNX(path, form, arguments, console) }
    if path.hasSuffix(".ir") { return try showIR(path, form ?? "ir", arguments, console) }
    if form == "syntax" { return try showSyntax(path, console) }
    let source = try readProgram(arguments, console)
    let explains = arguments.has("--explain-fusion")
    if form == nil, !explains, !arguments.has("--dump-dir"), !arguments.has("--time-passes") {
      console.print(try ProgramSummary(source.program, ChosenPipeline.runner(arguments)).text())
      return ExitCode.done
    }
    let isOfGraph = ["--graph", "--before", "--after", "--dump-dir"].contains(where: arguments.has)
    if form == "json", !isOfGraph {
      console.print(
        try ProgramSummary(source.program, ChosenPipeline.runner(arguments)).json().text(
          indented: true) + "\n")
      return ExitCode.done
    }
    let graph = try ProgramGraphs(source.program).graph(named: arguments.value("--graph"))
    return try show(graph, form, arguments, console)
  }

  /// What is explained is the whole pipeline's fusion, in one form.
  private static func checkExplaining(_ arguments: ParsedArguments) throws(UsageError) {
    guard arguments.has("--explain-fusion") else {
      guard arguments.has("--json"), !GraphView.hasJSON(arguments) else { return }
      throw UsageError(
        "--json needs --explain-fusion, --emit memory or --emit cost",
        help: "--emit json prints the program")
    }
    for option in ["--emit", "--after", "--before"] where arguments.has(option) {
      throw UsageError("\(option) chooses what to print, and so does --explain-fusion")
    }
  }

  /// `--before` and `--after` must be of passes, and of something that they choose.
  private static func checkChoices(
    _ arguments: ParsedArguments, _ form: String?, isOfDump: Bool
  ) throws(UsageError) {
    let choices = try PassChoice.all(arguments)
    if form == "syntax" {
      guard !isOfDump else { throw UsageError("a graph has no syntax; --emit ir prints it") }
      for option in ["--before", "--after", "--dump-dir"] where arguments.has(option) {
        throw UsageError("--emit syntax is of the program as it stands; \(option) is of passes")
      }
    }
    let shown = form ?? (isOfDump ? "ir" : "")
    guard let choice = choices.first, !arguments.has("--dump-dir"),
      !["ir", "dot", "json", "html"].contains(shown)
    else { return }
    let option = choice.isAfter ? "--after" : "--before"
    throw UsageError(
      shown.isEmpty
        ? "\(option) chooses a graph, and nothing says how to show it"
        : "--emit \(shown) is of the whole pipeline; \(option) does not go with it",
      help: "it goes with --emit ir, dot, json or html, and with --dump-dir")
  }

  // MARK: Forms

  private static func showSyntax(_ path: String, _ console: Console) throws -> Int32 {
    let source = SourceText(name: path, bytes: try FileIO.read(path, limit: 64 << 20))
    let parsed = parse(source)
    guard !parsed.hasErrors else {
      throw ProgramErrors(source: source, diagnostics: parsed.diagnostics)
    }
    console.print(dumpSyntax(parsed.file, source: source))
    return ExitCode.done
  }

  /// A graph from IR text goes on from the stage it is at.
  private static func showIR(
    _ path: String, _ form: String, _ arguments: ParsedArguments, _ console: Console
  ) throws -> Int32 {
    let graph = try readIR(path)
    return try show(graph, form, arguments, console)
  }

  /// The graph that an ONNX model is imported as.
  private static func showONNX(
    _ path: String, _ form: String?, _ arguments: ParsedArguments, _ console: Console
  ) throws -> Int32 {
    if form == "syntax" { throw UsageError("a graph has no syntax; --emit ir prints it") }
    if arguments.has("--graph") { throw UsageError("an ONNX model has one graph only") }
    let model = try ONNXFile.read(path, arguments)
    console.message(ONNXFile.assumptions(model))
    let showsGraph = ["--explain-fusion", "--dump-dir", "--time-passes"].contains(
      where: arguments.has)
    if form == nil, !showsGraph {
      console.print(try ONNXSummary(model, ChosenPipeline.runner(arguments)).text())
      return ExitCode.done
    }
    return try show(model.graph, form, arguments, console)
  }

  /// Whether a file holds a graph rather than a program: there is no text that its places are in.
  static func isGraph(_ path: String) -> Bool { path.hasSuffix(".ir") || ONNXFile.isONNX(path) }

  /// The graph of a dump.
  static func readIR(_ path: String) throws -> Graph {
    let source = SourceText(
      name: path, bytes: try FileIO.read(path, limit: GraphParser.maximumBytes))
    do throws(Diagnostic) {
      return try GraphParser.parseOne(source, operations: OperatorSet.standard)
    } catch {
      throw ProgramErrors(source: source, diagnostics: [error])
    }
  }

  private static func show(
    _ graph: Graph, _ form: String?, _ arguments: ParsedArguments, _ console: Console
  ) throws -> Int32 {
    let runner = try ChosenPipeline.runner(arguments, for: graph)
    let choices = try PassChoice.all(arguments)
    let isOfDump = isGraph(arguments.positionals[0])
    let folder = arguments.value("--dump-dir").map { DumpFolder($0, isOfDump: isOfDump) }
    let outcome: PassRunner.Outcome
    var shown: Graph?
    if folder == nil, choices.isEmpty {
      outcome = try runner.run(graph)
    } else {
      let history: PassHistory
      (history, outcome) = try ChosenPipeline.history(of: graph, runner, savingTo: folder)
      try folder?.write(history, choices)
      shown = try choices.last?.graph(in: history)
    }
    if arguments.has("--time-passes") { console.message(PassList.times(outcome.records)) }
    if arguments.has("--explain-fusion") {
      // The places in IR text are those of the program that it was made of.
      let explanation = FusionExplanation(
        outcome, file: isOfDump ? nil : arguments.positionals[0])
      console.print(
        arguments.has("--json") ? explanation.json().text() + "\n" : explanation.text())
      return ExitCode.done
    }
    if let form { try checkStage(of: outcome.graph, for: form) }
    return try show(shown ?? outcome.graph, form, from: graph, outcome, runner, arguments, console)
  }

  private static func show(
    _ shown: Graph, _ form: String?, from graph: Graph, _ outcome: PassRunner.Outcome,
    _ runner: PassRunner, _ arguments: ParsedArguments, _ console: Console
  ) throws -> Int32 {
    switch form {
    case "ir": console.print(GraphPrinter.text(shown))
    case "dot": console.print(DotPrinter.text(shown))
    case "json": console.print(GraphJSON.object(shown).text(indented: true) + "\n")
    case "plan": console.print(Planner().plan(outcome.graph).text())
    case let view?:
      let text = try GraphView.text(view, of: shown, from: graph, runner, arguments)
      if let text { console.print(text) }
    default: break
    }
    return ExitCode.done
  }

  /// Only a graph that can be executed has a plan; what gradients cost is known when they are expanded.
  private static func checkStage(of graph: Graph, for form: String) throws(UsageError) {
    let help = "--pipeline must have expand-gradients"
    if form == "cost", graph.nodes.elements.contains(where: { $0.operation is Gradient }) {
      throw UsageError(
        "--emit cost counts the backward pass, which is not expanded yet", help: help)
    }
    guard ["plan", "memory", "memory-svg"].contains(form), graph.stage == .raw else { return }
    throw UsageError(
      "--emit \(form) is of a plan, and the graph is still of stage raw", help: help)
  }
}

/// Text about passes.
enum PassList {
  static func text() -> String {
    let width = Pipeline.allPasses.map(\.name.count).max() ?? 0
    var text = "passes:\n"
    for pass in Pipeline.allPasses {
      text +=
        "  \(pass.name)\(String(repeating: " ", count: width - pass.name.count + 2))"
        + "\(pass.summary)\n"
    }
    text += "standard pipeline:\n"
    for step in Pipeline.standard.steps {
      switch step {
      case .once(let pass): text += "  \(pass.name)\n"
      case .untilStable(let passes, let limit):
        text +=
          "  { \(passes.map(\.name).joined(separator: ", ")) } until nothing changes, "
          + "at most \(limit) times\n"
      }
    }
    return text
  }

  static func times(_ records: [PassRecord]) -> String {
    var text = ""
    for record in records {
      let change =
        record.changed ? "\(record.nodesBefore) -> \(record.nodesAfter) nodes" : "no change"
      text +=
        "\(record.index + 1). \(record.name): \(shortNumber(record.seconds * 1000)) ms, "
        + "\(change)\n"
    }
    return text
  }
}

/// A graph as JSON: what the IR text says, for tools.
enum GraphJSON {
  static func object(_ graph: Graph) -> JSONValue {
    let nodes = graph.nodes.elements.map { node -> JSONValue in
      let attributes = node.operation.attributes.map {
        (key: $0.name, value: JSONValue.string(GraphPrinter.text($0.value)))
      }
      let types = graph.types(of: node.results).map { JSONValue.string($0.description) }
      return .object(
        [
          (key: "operation", value: .string(node.operation.mnemonic)),
          (key: "operands", value: ids(node.operands)), (key: "results", value: ids(node.results)),
          (key: "types", value: .array(types)), (key: "attributes", value: .object(attributes)),
        ] + originMembers(node.origin))
    }
    let inputs = graph.inputs.map { input -> JSONValue in
      [
        "role": .string(GraphPrinter.text(input.role)), "value": .int(input.value.index),
        "type": .string(graph.type(of: input.value).description),
      ]
    }
    let outputs = graph.outputs.map { output -> JSONValue in
      ["role": .string(GraphPrinter.text(output.role)), "value": .int(output.value.index)]
    }
    return [
      "graph": .string(graph.name), "stage": .string(graph.stage.rawValue),
      "inputs": .array(inputs), "nodes": .array(nodes), "outputs": .array(outputs),
    ]
  }

  private static func ids(_ values: [ValueID]) -> JSONValue {
    .array(values.map { .int($0.index) })
  }
}
