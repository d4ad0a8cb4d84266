// `gan-exec profile FILE`: where the time of a training step goes, kernel by kernel.

import Basics
import Elaboration
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
      OptionSpec("--all", nil, "every kernel, not only the longest 25"),
      OptionSpec("-O0", nil, "run the unoptimised graph"),
    ])

  package static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    let steps = try arguments.integer("--steps", in: 1...1_000_000) ?? 10
    let seed = try arguments.seed() ?? 0
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
    let times = try BenchCommand.repeated(steps) { try timed.step() }
    let median = Spread(milliseconds: times).median
    console.print(
      "\(source.program.model) on \(workplace.backend.summary): \(Progress.short(median)) ms a step "
        + "(median of \(steps))\n")
    console.print(
      table(
        profiling.profile, executable.plan.graph, arguments.has("--all"), steps,
        peak: limits.arithmetic))
    return ExitCode.done
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

  private static func table(
    _ profile: [ProfileEntry], _ graph: Graph, _ all: Bool, _ steps: Int, peak: Double
  ) -> String {
    let total = Double(profile.reduce(0) { $0 + $1.nanoseconds })
    let sorted = profile.sorted { $0.nanoseconds > $1.nanoseconds }
    var text = "      ms  share  GFLOP/s  % of peak    GB/s  kernel\n"
    for entry in all ? sorted[...] : sorted.prefix(25) {
      let milliseconds = Double(entry.nanoseconds) / 1e6 / Double(steps)
      var rates = String(repeating: " ", count: 28)
      var what = entry.kernel
      if let id = entry.node {
        let node = graph.nodes[id]
        let cost = node.operation.cost(
          graph.types(of: node.operands), graph.types(of: node.results))
        let seconds = Double(max(1, entry.nanoseconds)) / 1e9 / Double(steps)
        rates =
          column(cost.flops / 1e9 / seconds, 9) + column(100 * cost.flops / seconds / peak, 11)
          + column(cost.bytes / 1e9 / seconds, 8)
        let types = graph.types(of: node.results).map(\.description).joined(separator: ", ")
        what += "  \(types)  line \(node.origin.line) \(node.origin.path)"
        if let note = node.origin.notes.first { what += " (\(note))" }
      }
      text += column(milliseconds, 8) + column(100 * Double(entry.nanoseconds) / max(1, total), 6)
      text += "%" + rates + "  " + what + "\n"
    }
    return text
      + "\(profile.count) launches a step, \(Progress.short(total / 1e6 / Double(steps))) ms in kernels\n"
  }
}
