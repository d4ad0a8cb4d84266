// The passes that options choose, run on one graph, every graph on the way kept; and what is saved when one of them
// fails.

import Basics
import GraphIR
import Passes
import Training

package enum ChosenPipeline {
  /// The options that it comes from, beside those that every command takes.
  static let options = ["--pipeline", "--disable", "--pass-limit", "--verify-each"]

  static func runner(_ arguments: ParsedArguments) throws -> PassRunner {
    var pipeline = (try Workplace.arithmetic(arguments) ?? .fast).pipeline
    let names = Pipeline.allPasses.map(\.name)
    func pass(_ name: String) throws -> any Pass {
      guard let pass = Pipeline.allPasses.first(where: { $0.name == name }) else {
        throw UsageError("there is no pass '\(name)'", help: suggestion(for: name, in: names))
      }
      return pass
    }
    if let list = arguments.value("--pipeline") {
      pipeline = Pipeline(
        try list.split(separator: ",").map { .once(try pass(String($0))) })
    }
    let disabled = arguments.values("--disable")
    for name in disabled { _ = try pass(name) }
    return PassRunner(
      pipeline.disabling(disabled), verifies: arguments.has("--verify-each"),
      limit: try arguments.integer("--pass-limit", in: 0...Int.max))
  }

  /// The same for one graph: a fused one has been through its passes, and only those of `--pipeline` run on it.
  static func runner(_ arguments: ParsedArguments, for graph: Graph) throws -> PassRunner {
    var runner = try runner(arguments)
    if graph.stage == .fused, !arguments.has("--pipeline") { runner.pipeline = Pipeline([]) }
    return runner
  }

  /// Runs the passes and keeps every graph. Where one fails and there is a folder for dumps, all graphs up to there are
  /// written to it, and the error names the last.
  package static func history(
    of graph: Graph, _ runner: PassRunner, savingTo folder: DumpFolder? = nil
  ) throws -> (history: PassHistory, outcome: PassRunner.Outcome) {
    var history = PassHistory(graph)
    do {
      let outcome = try runner.run(graph) { history.append($0, $1) }
      return (history, outcome)
    } catch {
      guard let folder, let last = try? folder.write(history, []) else { throw error }
      throw naming(last, in: error)
    }
  }

  /// The error with a word on where the graph is that the failed pass was given.
  private static func naming(_ file: String, in error: any Error) -> any Error {
    let place = "; the graph before that pass is in \(file)"
    switch error {
    case var error as InternalError:
      error.message += place
      error.lastGood = nil
      return error
    case var error as Diagnostic:
      error.message += place
      return error
    default: return error
    }
  }
}
