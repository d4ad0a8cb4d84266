// The pipeline as data, and the runner that gives every pass verification, timing, dumps and a limit.

import Basics
import GraphIR

/// An ordered list of passes, some of them repeated until nothing changes.
package struct Pipeline: Sendable {
  /// The pipelines that programs are compiled with, by what they may do to roundings. Two runs have the same bits only
  /// with the same one.
  package enum Arithmetic: String, CaseIterable, Sendable {
    case fast, exact, unoptimized

    package var pipeline: Pipeline {
      switch self {
      case .fast: .standard
      case .exact: .exact
      case .unoptimized: .unoptimized
      }
    }
  }

  package enum Step: Sendable {
    case once(any Pass)
    case untilStable([any Pass], limit: Int)
  }
  package var steps: [Step]
  package init(_ steps: [Step]) { self.steps = steps }

  private static let cleaning: Step = .untilStable(
    [FoldConstants(), Simplify(), CommonSubexpressions(), DeadCode()], limit: 8)

  /// What programs are compiled with.
  package static let standard = Pipeline([
    // First, so that a network called twice is differentiated once.
    cleaning,
    .once(FoldUpsampling()),
    .once(ExpandGradients()),
    // Adjoints come with ones, zeros and broadcasts that fold away.
    cleaning,
    // Where the gradients of all losses are there, what they have in common is one value, and convolutions are whole.
    .once(ShareAdjoints()),
    cleaning,
    // After adjoints are shared: losses of one batch take less work as one way back than two batches as one.
    .once(JoinBatches()),
    .once(FactorSums()),
    cleaning,
    .once(ChooseConvolutions()),
    .once(ReadMaskedSigns()),
    .once(DeadCode()),
    // Regions before epilogues: a matmul then takes over a whole region at once.
    .once(FuseElementwise()),
    .once(FuseEpilogues()),
    // Last: of the small regions, those that no product could take over are left.
    .once(FuseHorizontally()),
    // Epilogues that see through a reshape leave reshapes of their operands and results.
    cleaning,
  ])

  /// `--math exact`: without the passes that change roundings.
  package static let exact = standard.disabling(changingRoundings)
  private static let changingRoundings = [
    FoldUpsampling().name, ShareAdjoints().name, JoinBatches().name, FactorSums().name,
    ChooseConvolutions().name,
  ]

  /// `-O0`: only what is needed to run at all; the oracle for all other passes.
  package static let unoptimized = Pipeline([.once(ExpandGradients()), .once(DeadCode())])

  /// Every pass by name, for `--pipeline` and `--list-passes`.
  package static let allPasses: [any Pass] = [
    FoldConstants(), Simplify(), CommonSubexpressions(), DeadCode(), ExpandGradients(),
    FuseElementwise(), FuseEpilogues(), FoldUpsampling(), ShareAdjoints(), JoinBatches(),
    FactorSums(), ChooseConvolutions(), ReadMaskedSigns(), FuseHorizontally(),
  ]

  /// The pipeline without the passes of these names.
  package func disabling(_ names: [String]) -> Pipeline {
    Pipeline(
      steps.map { step in
        switch step {
        case .once(let pass): names.contains(pass.name) ? .untilStable([], limit: 1) : step
        case .untilStable(let passes, let limit):
          .untilStable(passes.filter { !names.contains($0.name) }, limit: limit)
        }
      })
  }
}

/// What one run of a pass did.
package struct PassRecord: Sendable {
  package var index: Int
  package var name: String
  package var seconds: Double
  package var nodesBefore: Int
  package var nodesAfter: Int
  package var changed: Bool
  /// The graph after it; nil unless the runner keeps graphs.
  package var graph: Graph?
}

package struct PassRunner: Sendable {
  package var pipeline: Pipeline
  /// Whether the verifier runs after every pass.
  package var verifies: Bool
  /// Whether each record keeps its graph, for dumps.
  package var keepsGraphs: Bool
  /// No pass after this many runs, but `expand-gradients` always runs, because nothing else can be executed.
  package var limit: Int?

  package init(
    _ pipeline: Pipeline = .standard, verifies: Bool = false, keepsGraphs: Bool = false,
    limit: Int? = nil
  ) {
    self.pipeline = pipeline
    #if DEBUG
      self.verifies = true
    #else
      self.verifies = verifies
    #endif
    self.keepsGraphs = keepsGraphs
    self.limit = limit
  }

  package struct Outcome: Sendable {
    package var graph: Graph
    package var records: [PassRecord]
    /// What the fusing passes decided; of the last graph where none ran.
    package var fusion = FusionReport()
  }

  /// Is told of each run of a pass, with the graph after it.
  package typealias Observer = (PassRecord, Graph) -> Void

  /// Runs the pipeline. Diagnostics are the user's; an internal error names the pass that broke the graph, and has the
  /// graph before it.
  package func run(
    _ graph: Graph, observing observer: Observer = { _, _ in }
  ) throws -> Outcome {
    var outcome = Outcome(graph: graph, records: [])
    for step in pipeline.steps {
      switch step {
      case .once(let pass): _ = try apply(pass, &outcome, observer)
      case .untilStable(let passes, let limit):
        try applyUntilStable(passes, limit: limit, &outcome, observer)
      }
    }
    if outcome.fusion.passes.isEmpty { outcome.fusion.begin(outcome.graph) }
    return outcome
  }

  /// Runs passes round after round until none has anything left to do.
  private func applyUntilStable(
    _ passes: [any Pass], limit: Int, _ outcome: inout Outcome, _ observer: Observer
  ) throws {
    // How many passes in a row have found nothing to do. Once all have, another round would find nothing either.
    var idle = 0
    for _ in 0..<limit {
      for pass in passes {
        idle = try apply(pass, &outcome, observer) ? 0 : idle + 1
        if idle >= passes.count { return }
      }
    }
  }

  /// Runs one pass; returns whether it changed the graph.
  private func apply(
    _ pass: any Pass, _ outcome: inout Outcome, _ observer: Observer
  ) throws -> Bool {
    if let limit, outcome.records.count >= limit, pass.name != "expand-gradients" { return false }
    guard outcome.graph.stage >= pass.requires else {
      throw Diagnostic(
        "pipeline.stage",
        "the pass \(pass.name) asks for a graph of stage \(pass.requires); this one is "
          + "\(outcome.graph.stage)",
        help: "expand-gradients must come before it in the pipeline")
    }
    let before = outcome.graph
    let start = monotonicSeconds()
    let after: Graph
    if let fusing = pass as? any FusingPass {
      after = try fusing.run(before, explaining: &outcome.fusion)
    } else {
      after = try pass.run(before)
    }
    let seconds = monotonicSeconds() - start
    if verifies {
      do {
        try Verifier().verify(after)
      } catch {
        throw InternalError(
          "after the pass \(pass.name): \(error.message)",
          lastGood: Self.lastGood(before, pass.name))
      }
    }
    let changed = after != before
    outcome.graph = after
    let record = PassRecord(
      index: outcome.records.count, name: pass.name, seconds: seconds,
      nodesBefore: before.nodes.count, nodesAfter: after.nodes.count, changed: changed,
      graph: keepsGraphs ? after : nil)
    outcome.records.append(record)
    observer(record, after)
    return changed
  }

  /// `sample-walk.last-good.ir`: a graph that was read may have any name.
  private static func lastGood(_ graph: Graph, _ pass: String) -> InternalError.LastGood {
    let letters = graph.name.prefix(60).map { letter in
      letter.isASCII && (letter.isLetter || letter.isNumber) ? letter : "-"
    }
    return InternalError.LastGood(
      fileName: "\(String(letters)).last-good.ir", text: GraphPrinter.text(graph), pass: pass)
  }
}
