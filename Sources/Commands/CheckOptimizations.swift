// `gan-exec check FILE --optimizations`: the graphs as written against the graphs as the passes made them.

import Basics
import Elaboration
import Formats
import GraphIR
import Passes
import Training

enum CheckOptimizations {
  /// How many of the largest differences are shown.
  private static let shown = 10

  static func run(
    _ source: ProgramSource, _ arguments: ParsedArguments, _ console: Console
  ) throws -> Int32 {
    guard source.program.train != nil || !source.program.samples.isEmpty else {
      throw UsageError(
        "\(source.source.name) has neither a train block nor a sample, so nothing runs to be checked"
      )
    }
    let arithmetic = try Workplace.arithmetic(arguments) ?? .fast
    guard arithmetic != .unoptimized else {
      throw UsageError("--optimizations compares -O0 with what it is without -O0")
    }
    let seed = try arguments.seed() ?? 0
    let report = try OptimizationCheck(
      source.program, backend: Workplace.makeBackend(arguments), pipeline: arithmetic.pipeline,
      seed: seed, data: data(source.program, arguments, seed: seed)
    ).run()
    let file = source.source.name
    console.print(
      arguments.has("--json") ? json(report).text() + "\n" : text(report, file: file))
    return report.failures == 0 ? ExitCode.done : ExitCode.checkFailed
  }

  /// Real data where it is asked for, else noise in the range of the sources.
  static func data(
    _ program: Program, _ arguments: ParsedArguments, seed: UInt64
  ) throws -> any BatchSupplier {
    guard arguments.has("--data") else { return RandomBatches(program.data, seed: seed) }
    let resolver = DatasetResolver(
      dataDirectory: arguments.value("--data-dir"), environment: processEnvironment())
    return try DataFeeder(
      program.data, replacements: dataReplacements(arguments, program.data),
      limits: ClassLimit.ofData(program.dataGraphs), resolver: resolver, seed: seed)
  }

  // MARK: Results

  /// Those with the largest differences beside what they may be, the largest first.
  private static func largest(
    _ report: OptimizationCheck.Report
  ) -> [OptimizationCheck.Finding] {
    let all = (report.outputs + report.values).filter { !($0.difference == 0) }
    let order = all.indices.sorted { x, y in
      let (a, b) = (share(all[x]), share(all[y]))
      return a == b ? x < y : a > b
    }
    return order.prefix(shown).map { all[$0] }
  }

  /// The difference as a part of the bound; above 1 is a failure.
  private static func share(_ finding: OptimizationCheck.Finding) -> Double {
    let share = finding.difference / finding.bound
    return share.isNaN ? .infinity : share
  }

  private static func text(_ report: OptimizationCheck.Report, file: String) -> String {
    let graphs = report.graphs == 1 ? "a graph" : "\(report.graphs) graphs"
    var text =
      "compared \(report.outputs.count) outputs and \(report.values.count) values of \(graphs): "
      + "\(report.failures) beyond \(report.failures == 1 ? "its bound" : "their bounds"), "
      + "\(report.silent) of the others too sensitive to say anything\n"
    if let first = report.first {
      text += "first: \(line(first, file: file))\n"
      if let culprit = report.culprit {
        let run = culprit.run.map {
          ", run \($0) of the pipeline (--pass-limit \($0 - 1) is right)"
        }
        text += "made by the pass \(culprit.pass)\(run ?? "")\n"
      }
    }
    let some = largest(report)
    guard !some.isEmpty else { return text }
    text += "largest differences beside their bounds\n"
    for finding in some { text += "  \(line(finding, file: file))\n" }
    return text
  }

  /// `train: leaky_relu f32[128, 256] at x.gan:22:8 generator: difference 3.1e-7, bound 1e-4, size 0.4`
  private static func line(_ finding: OptimizationCheck.Finding, file: String) -> String {
    let origin = finding.origin
    var place = origin.line > 0 ? " at \(file):\(origin.line):\(origin.column)" : ""
    if !origin.path.isEmpty { place += " \(origin.path)" }
    if !origin.notes.isEmpty { place += " (\(origin.notes.joined(separator: ", ")))" }
    return "\(finding.graph): \(finding.name) \(finding.type)\(place): difference "
      + "\(shortNumber(finding.difference)), bound \(shortNumber(finding.bound)), size "
      + shortNumber(finding.size)
  }

  private static func json(_ report: OptimizationCheck.Report) -> JSONValue {
    [
      "graphs": .int(report.graphs), "outputs": .int(report.outputs.count),
      "values": .int(report.values.count), "failures": .int(report.failures),
      "too_sensitive": .int(report.silent), "first": report.first.map(json) ?? .null,
      "pass": report.culprit.map { .string($0.pass) } ?? .null,
      "run": report.culprit?.run.map { .int($0) } ?? .null,
      "largest": .array(largest(report).map(json)),
    ]
  }

  private static func json(_ finding: OptimizationCheck.Finding) -> JSONValue {
    [
      "graph": .string(finding.graph), "name": .string(finding.name),
      "type": .string(finding.type.description),
      "line": .int(Int(finding.origin.line)), "column": .int(Int(finding.origin.column)),
      "path": .string(finding.origin.path),
      "notes": .array(finding.origin.notes.map { .string($0) }),
      "size": .double(finding.size), "difference": .double(finding.difference),
      "bound": .double(finding.bound),
    ]
  }
}
