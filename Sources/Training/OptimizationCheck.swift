// Runs the graphs of a program as written (-O0) and as the passes made them, on the same weights, data and random
// numbers, and compares them value by value: the training step without conditional blocks and with all of them, and
// each sample.
//
// First the outputs of a graph as it really runs. Then every value of the differentiated graph: some at a time are made
// outputs of the graph, which passes must keep, so that it is known exactly which value is which, whatever became of
// the node that computed it. Where values differ, the passes are bisected for the first of them: the first run after
// which it differs is named.
//
// Passes may change roundings, and how much that matters is different for every value: the gradient of a bias before
// batch normalisation is nothing but roundings. So the bound of a value is measured: how far it moves, in the graph as
// written, when every weight is changed by a random part of up to 10⁻⁵,
//   bound = max(safety · moved, least · size, operandShare · size of the operands)
// where sizes and differences are root mean squares over the elements.

import Basics
import Elaboration
import GraphIR
import Passes
import Runtime

/// Whether the passes of a pipeline keep what the graphs of a program compute.
package struct OptimizationCheck {
  /// One value in both forms of a graph.
  package struct Finding: Sendable {
    /// The graph's name: `train`, `train-3` for the step with the conditional blocks of these bits, `sample`.
    package var graph: String
    /// The operation that computes it, or what it is as an output of the graph.
    package var name: String
    package var type: TensorType
    package var origin: Origin
    /// Its place in the order of the graph as written.
    package var order: Int
    /// Whether all elements of it are finite in the graph as written.
    package var isFinite: Bool
    /// Root mean squares: of the value's finite elements, of the difference, and the most that the latter may be.
    package var size: Double
    package var difference: Double
    package var bound: Double

    /// A difference that is not finite or not a number fails, whatever the bound.
    package var passed: Bool { difference.isFinite && difference <= bound }
    /// Whether passing says anything: not where a change of the last bits of the weights may move the value by as much
    /// as its size, nor where it is not finite to begin with.
    package var isTelling: Bool { isFinite && bound.isFinite && (size == 0 || bound < size) }
  }

  package struct Report: Sendable {
    /// How many graphs were compared.
    package var graphs = 0
    /// Outputs of the graphs as they run, then all values that could be compared, graph by graph in the order as written.
    package var outputs: [Finding] = []
    package var values: [Finding] = []
    /// The first failure, in the first graph that has one. A value behind which an output fails may be right where
    /// keeping it keeps the passes from their mistake; then it is the output.
    package var first: Finding?
    /// The pass after which `first` fails, and the number of its run where the outputs of the graph as it runs show the
    /// same pass.
    package var culprit: (pass: String, run: Int?)?

    package var failures: Int { count { !$0.passed } }
    /// How many passed because nothing can be said of them.
    package var silent: Int { count { $0.passed && !$0.isTelling } }

    private func count(_ isMeant: (Finding) -> Bool) -> Int {
      outputs.count(where: isMeant) + values.count(where: isMeant)
    }
  }

  private let graphs: [Graph]
  private let pipeline: Pipeline
  private let runs: OptimizationRuns

  /// `pipeline` is what is checked. Throws a diagnostic where the program has neither a training step nor a sample.
  package init(
    _ program: Program, backend: any Backend, pipeline: Pipeline, seed: UInt64,
    data: any BatchSupplier
  ) throws {
    let variants = program.train?.variants ?? []
    graphs = variants.prefix(1) + variants.dropFirst().suffix(1) + program.samples.map(\.graph)
    guard !graphs.isEmpty else {
      throw Diagnostic("train.missing", "the program has neither a train block nor a sample")
    }
    self.pipeline = pipeline
    runs = try OptimizationRuns(program, backend: backend, seed: seed, data: data)
  }

  /// Compares all graphs. Takes four runs of each and about as many compilations for each 256 MiB of values, and some
  /// more where something fails.
  package func run() throws -> Report {
    var report = Report()
    for graph in graphs {
      let found = try GraphOptimizationCheck(graph, pipeline, runs).run(
        findingCulprit: report.first == nil)
      report.graphs += 1
      report.outputs += found.outputs
      report.values += found.values
      if report.first == nil {
        report.first = found.first
        report.culprit = found.culprit
      }
    }
    return report
  }
}
