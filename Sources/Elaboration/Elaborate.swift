// The entry points of the module: syntax tree in, program and diagnostics out.
//
// Elaboration runs twice. The first pass finds all errors and what can be known only at the end:
// which parameters each network has, how each is updated (UpdatePlan), how many batches a step
// takes. The second makes the graphs.

import Basics
import GraphIR
import GraphSyntax

package struct ElaborationOptions: Sendable {
  /// `--set name=value`, in order; `--batch N` is `--set batch=N`.
  package var settings: [(name: String, value: String)]
  /// `--count N` of `gan-exec sample`: replaces the count of one sample.
  package var sampleCount: SampleCount?
  /// The shapes at which a network is instantiated by itself, as `gan-exec eval` needs it: they
  /// bind the dimension variables of the signature. What does not fit the signature is left to the
  /// caller to report.
  package var argumentShapes: [(network: String, argument: String, shape: [Int])]

  package init(
    settings: [(name: String, value: String)] = [], sampleCount: SampleCount? = nil,
    argumentShapes: [(network: String, argument: String, shape: [Int])] = []
  ) {
    self.settings = settings
    self.sampleCount = sampleCount
    self.argumentShapes = argumentShapes
  }
}

/// Another count for one sample; every other sample keeps its own.
package struct SampleCount: Hashable, Sendable {
  /// The sample's name; nil for the one that `Program.sample(named:)` then chooses.
  package var sample: String?
  package var count: Int

  package init(sample: String?, count: Int) {
    self.sample = sample
    self.count = count
  }
}

package struct ElaborationResult: Sendable {
  /// Nil where there is an error.
  package var program: Program?
  /// Errors and warnings, in the order of the text.
  package var diagnostics: [Diagnostic]

  package var hasErrors: Bool { diagnostics.contains { $0.severity == .error } }
}

/// Elaborates a file that parsed without errors. Never fails otherwise than by diagnostics.
package func elaborate(
  _ file: SourceFile, source: SourceText, options: ElaborationOptions = ElaborationOptions()
) -> ElaborationResult {
  Elaborator(file, source: source, options: options).run()
}

/// Parses and elaborates a text. With syntax errors, those alone are given: names that the parser
/// left out would only be missed.
package func compile(
  _ source: SourceText, options: ElaborationOptions = ElaborationOptions()
) -> ElaborationResult {
  let parsed = parse(source)
  if parsed.hasErrors { return ElaborationResult(program: nil, diagnostics: parsed.diagnostics) }
  var result = elaborate(parsed.file, source: source, options: options)
  result.diagnostics = parsed.diagnostics + result.diagnostics
  result.program?.warnings = result.diagnostics
  return result
}

extension Elaborator {
  func run() -> ElaborationResult {
    collectDeclarations()
    applySettings()
    evaluateConstants()
    checkDeclarations()

    // First pass.
    _ = elaborateGraphs()
    if errorCount > 0 || exhausted { return failure() }

    // Second pass, with what the first has learned.
    updates.close(&states)
    dataRounds = [:]
    guard let graphs = elaborateGraphs(), errorCount == 0, !exhausted else { return failure() }

    let warnings = sortedDiagnostics
    let program = Program(
      model: declarations.model?.name.value ?? modelName, settings: settingsInForce,
      data: dataDeclarations(), states: orderedStates, networks: graphs.networks,
      train: graphs.train, samples: graphs.samples, defaults: defaults, slips: findSlips(),
      warnings: warnings)
    return ElaborationResult(program: program, diagnostics: warnings)
  }

  private struct Graphs {
    var train: TrainProgram?
    var samples: [SampleProgram]
    var networks: [NetworkProgram]
  }

  /// Train step, samples, and every network by itself. Nil where there were errors.
  private func elaborateGraphs() -> Graphs? {
    let train = elaborateTrain()
    let samples = declarations.samples.compactMap { elaborateSample($0) }
    let networks = declarations.names(.network).compactMap { name in
      declarations.networks[name].flatMap { elaborateAlone($0) }
    }
    guard errorCount == 0 else { return nil }
    return Graphs(train: train, samples: samples, networks: networks)
  }

  private func failure() -> ElaborationResult {
    // No program without a reason: an error that was counted but never shown would be a bug of
    // ours.
    if !diagnostics.contains(where: { $0.severity == .error }) {
      report(Diagnostic("internal", "the program could not be elaborated; this is a bug of ours"))
    }
    return ElaborationResult(program: nil, diagnostics: sortedDiagnostics)
  }

  /// In the order of the text; those without a place first.
  private var sortedDiagnostics: [Diagnostic] {
    diagnostics.enumerated().sorted { a, b in
      let (x, y) = (a.element.range?.start ?? -1, b.element.range?.start ?? -1)
      return x == y ? a.offset < b.offset : x < y
    }.map(\.element)
  }

  /// The file's name without folder and ending.
  private var modelName: String {
    let base = source.name.split(separator: "/").last.map(String.init) ?? "model"
    return base.hasSuffix(".gan") ? String(base.dropLast(4)) : base
  }

  private var settingsInForce: [(name: String, value: String)] {
    declarations.names(.constant).compactMap { name in
      guard case .success(let value)? = declarations.constants[name]?.result else { return nil }
      return (name, value.text)
    }
  }
}
