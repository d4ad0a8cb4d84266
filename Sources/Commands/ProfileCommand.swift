// `gan-exec profile FILE`: where the time of a training step goes, kernel by kernel.

import Basics
import Elaboration
import Formats
import GraphIR
import Planning
import Runtime
import Training

package enum ProfileCommand {
  package static let spec = CommandSpec(
    "profile", "FILE", count: 1...1,
    "Runs some training steps and shows the time of each kernel.",
    options: [
      OptionSpec("--steps", "N", "how many steps to measure (default 10)"),
      OptionSpec("--data", "SOURCE", "train on this data (default: random numbers of its shapes)"),
      OptionSpec("--batch", "N", "the same as --set batch=N"),
      OptionSpec("--seed", "N", "the run's seed (default 0)"),
      OptionSpec("--all", nil, "every row, not only the longest 25"),
      OptionSpec(
        "--by", "launch|kernel|line", "a row for each launch (default), kernel, or source line"),
      OptionSpec(
        "--trace", "FILE", "then write when each share of each kernel ran, for Perfetto"),
      OptionSpec(
        "--json", nil,
        "each launch in one JSON object instead; `gan-compile --emit html --profile` reads it"),
      OptionSpec("-O0", nil, "run the unoptimised graph"),
    ])

  package static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    let steps = try arguments.integer("--steps", in: 1...1_000_000) ?? 10
    let seed = try arguments.seed() ?? 0
    let grouping = try grouping(arguments)
    for option in ["--by", "--all"] where arguments.has("--json") && arguments.has(option) {
      throw UsageError("\(option) is for the table; --json has every launch")
    }
    let workplace = try Workplace(arguments)
    let source = try ProgramSource(
      path: arguments.positionals[0], settings: try arguments.settings())
    let timed = try TimedProgram(
      source.program, workplace, seed: seed,
      data: try feeder(arguments, source.program, workplace, seed))
    let executable = try timed.stepExecutable()
    guard let profiling = executable as? any Profiling else {
      throw EnvironmentFailure("the backend \(workplace.backend.name) cannot time its kernels")
    }
    let limits = try MachineLimits(workplace.backend)
    try BenchCommand.warmUp { try timed.step() }
    profiling.isProfiling = true
    let waitedBefore = timed.batches.map { DataWait($0) }
    let times = try BenchCommand.repeated(steps) { try timed.step() }
    let median = Spread(milliseconds: times).median
    let wait = timed.batches.map { DataWait($0, since: waitedBefore, steps: steps) }
    let graph = executable.plan.graph
    if arguments.has("--json") {
      let object = KernelTimes.json(
        model: source.program.model, backend: workplace.backend.summary, profiling.profile, graph,
        steps: steps, median: median, wait: wait)
      console.print(object.text() + "\n")
    } else {
      console.print(
        "\(source.program.model) on \(workplace.backend.summary): "
          + "\(shortNumber(median)) ms a step (median of \(steps))\n")
      let table = ProfileTable(
        profiling.profile, graph, by: grouping, steps: steps, peak: limits.arithmetic)
      console.print(table.text(rows: arguments.has("--all") ? Int.max : 25))
      if let wait { console.print(wait.text) }
    }
    profiling.isProfiling = false
    if let path = arguments.value("--trace") {
      try writeTrace(
        of: timed, executable, steps: steps, to: path, file: arguments.positionals[0], console)
    }
    return ExitCode.done
  }

  private static func grouping(
    _ arguments: ParsedArguments
  ) throws(UsageError) -> ProfileTable.Grouping {
    guard let name = arguments.value("--by") else { return .launch }
    let names = ProfileTable.Grouping.allCases.map(\.rawValue)
    guard let grouping = ProfileTable.Grouping(rawValue: name) else {
      throw UsageError(
        "--by takes \(names.joined(separator: ", ")), not '\(name)'",
        help: suggestion(for: name, in: names))
    }
    return grouping
  }

  /// The data that was asked for; nil where nothing was.
  private static func feeder(
    _ arguments: ParsedArguments, _ program: Program, _ workplace: Workplace, _ seed: UInt64
  ) throws -> DataFeeder? {
    guard arguments.has("--data") else { return nil }
    return try DataFeeder(
      program.data, replacements: try dataReplacements(arguments, program.data),
      limits: ClassLimit.ofData(program.dataGraphs), resolver: workplace.resolver, seed: seed)
  }

  /// Runs further steps and writes when every share of every kernel ran.
  private static func writeTrace(
    of timed: TimedProgram, _ executable: any Executable, steps: Int, to path: String,
    file: String, _ console: Console
  ) throws {
    guard let tracing = executable as? any Tracing else {
      throw EnvironmentFailure(
        "the backend \(timed.workplace.backend.name) cannot trace its kernels")
    }
    let recorded = min(steps, max(1, mostTraceBytes / max(1, tracing.traceBytesPerRun)))
    try tracing.startTrace(runs: recorded)
    var times: [(start: UInt64, end: UInt64)] = []
    for _ in 0..<recorded {
      let start = monotonicNanoseconds()
      try timed.step()
      times.append((start, monotonicNanoseconds()))
    }
    let trace = StepTrace(
      program: timed.program.model, file: file, graph: executable.plan.graph,
      launches: tracing.profile, spans: tracing.trace, steps: times)
    try FileIO.writeAtomically(trace.encode(), to: path)
    let rest = recorded < steps ? ", as many as a viewer bears" : ""
    console.message(
      "\(path): \(recorded) \(recorded == 1 ? "step" : "steps")\(rest), for ui.perfetto.dev or "
        + "chrome://tracing\n")
  }

  /// About 200,000 shares, 50 MB of JSON.
  private static let mostTraceBytes = 200_000 * 24
}
