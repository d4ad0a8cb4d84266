// One graph as written against the same graph as the passes make it: OptimizationCheck.swift says how.

import Basics
import GraphIR
import Operators
import Passes

struct GraphOptimizationCheck {
  typealias Finding = OptimizationCheck.Finding

  struct Result {
    var outputs: [Finding] = []
    var values: [Finding] = []
    var culprit: (pass: String, run: Int?)?

    /// The first failure in the order of the graph as written, kept values before outputs.
    var first: Finding? { values.first { !$0.passed } ?? outputs.firstFailure.map { outputs[$0] } }
  }

  private static let disturbances = 2
  private static let safety = 16.0
  private static let least = 1e-4
  private static let operandShare = 1e-6
  /// The most bytes of values that are kept at a time.
  private static let keptBytes = 256 << 20

  private let raw: Graph
  private let written: Graph
  private let pipeline: Pipeline
  private let runs: OptimizationRuns

  init(_ graph: Graph, _ pipeline: Pipeline, _ runs: OptimizationRuns) throws {
    raw = graph
    written = try PassRunner(.unoptimized).run(graph).graph
    self.pipeline = pipeline
    self.runs = runs
  }

  func run(findingCulprit: Bool) throws -> Result {
    var sizes = emptySizes()
    let whole = try compare(Subject(start: raw, reference: written, kept: outputs()), &sizes)
    var result = Result(outputs: whole.findings)
    let failedWhole = whole.findings.firstFailure == nil ? nil : whole
    var failedWindow: Comparison?
    sizes = emptySizes()
    for window in windows() {
      let comparison = try compare(keeping(window), &sizes)
      result.values += comparison.findings
      if failedWindow == nil, comparison.findings.firstFailure != nil { failedWindow = comparison }
    }
    if findingCulprit { result.culprit = try culprit(failedWindow, failedWhole) }
    return result
  }

  // MARK: - What is compared

  /// A value that is compared: an output of both graphs.
  private struct Kept {
    var output: Int
    var value: ValueID
    var name: String
  }

  /// A graph that the passes begin with, the same as written, and the outputs of both that are compared.
  private struct Subject {
    var start: Graph
    var reference: Graph
    var kept: [Kept]
  }

  private func outputs() -> [Kept] {
    written.outputs.enumerated().map { index, output in
      Kept(output: index, value: output.value, name: GraphPrinter.text(output.role))
    }
  }

  /// Consecutive values of the graph as written. Booleans are left out: roundings may turn a comparison.
  private func windows() -> [[ValueID]] {
    var windows: [[ValueID]] = [[]]
    var bytes = 0
    for node in written.nodes.elements where !(node.operation is Constant) {
      for value in node.results where written.type(of: value).element != .bool {
        let size = written.type(of: value).byteCount
        if bytes > 0, bytes + size > Self.keptBytes {
          windows.append([])
          bytes = 0
        }
        windows[windows.count - 1].append(value)
        bytes += size
      }
    }
    return windows
  }

  /// The graph as written with some of its values as outputs, beside its own.
  private func keeping(_ values: [ValueID]) -> Subject {
    var graph = written
    var kept: [Kept] = []
    for value in values {
      let name = written.producer(of: value)?.operation.mnemonic ?? ""
      kept.append(Kept(output: graph.outputs.count, value: value, name: name))
      graph.outputs.append(OutputBinding(role: .result("value \(value.index)"), value: value))
    }
    return Subject(start: graph, reference: graph, kept: kept)
  }

  // MARK: - Comparing

  private struct Comparison {
    var subject: Subject
    /// The values as written, one for each that is kept.
    var expected: [[Float]]
    var findings: [Finding]
  }

  private func emptySizes() -> Table<ValueTag, Double> {
    Table(repeating: 0, count: written.values.count)
  }

  /// `sizes` holds those of values that were compared earlier, for the bounds of what is computed from them.
  private func compare(
    _ subject: Subject, _ sizes: inout Table<ValueTag, Double>
  ) throws -> Comparison {
    let places = subject.kept.map(\.output)
    let reference = try runs.load(subject.reference)
    let expected = try runs.values(reference, outputs: places)
    var moved = [Double](repeating: 0, count: expected.count)
    for trial in 0..<Self.disturbances {
      let other = try runs.values(reference, outputs: places, disturbed: trial)
      for index in moved.indices {
        moved[index] = max(moved[index], Self.difference(expected[index], other[index]))
      }
    }
    let made = try runs.load(PassRunner(pipeline).run(subject.start).graph)
    let found = try runs.values(made, outputs: places)
    var findings: [Finding] = []
    for (index, kept) in subject.kept.enumerated() {
      let size = Self.size(expected[index])
      sizes[kept.value] = size
      let node = written.producer(of: kept.value)
      let operands = (node?.operands ?? []).map { sizes[$0] }.max() ?? 0
      findings.append(
        Finding(
          graph: raw.name, name: kept.name, type: written.type(of: kept.value),
          origin: node?.origin ?? Origin(),
          order: written.values[kept.value].producer?.index ?? -1,
          isFinite: expected[index].allSatisfy(\.isFinite), size: size,
          difference: Self.difference(expected[index], found[index]),
          bound: max(
            Self.safety * moved[index], Self.least * size, Self.operandShare * operands)))
    }
    return Comparison(subject: subject, expected: expected, findings: findings)
  }

  /// The root mean square of the finite elements.
  private static func size(_ values: [Float]) -> Double {
    let finite = values.lazy.filter(\.isFinite)
    let sum = finite.reduce(0.0) { $0 + Double($1) * Double($1) }
    return (sum / Double(max(1, values.count))).squareRoot()
  }

  /// The root mean square of the difference; infinite where one side alone is not a number or not finite.
  private static func difference(_ x: [Float], _ y: [Float]) -> Double {
    var sum = 0.0
    for (a, b) in zip(x, y) where a != b && !(a.isNaN && b.isNaN) {
      guard a.isFinite, b.isFinite else { return .infinity }
      sum += (Double(a) - Double(b)) * (Double(a) - Double(b))
    }
    return (sum / Double(max(1, x.count))).squareRoot()
  }

  // MARK: - Bisecting

  /// The pass that spoils the first value that fails: of kept values where some of them fail, else of the outputs. Runs
  /// are counted in the graph as it really runs, so a run is named only where its outputs show the same pass.
  private func culprit(
    _ window: Comparison?, _ whole: Comparison?
  ) throws -> (pass: String, run: Int?)? {
    let ofOutputs = try whole.flatMap { try firstBadRun($0) }
    guard let window, let ofValue = try firstBadRun(window) else {
      return ofOutputs.map { ($0.name, $0.index + 1) }
    }
    let isSame = ofOutputs?.name == ofValue.name
    return (ofValue.name, isSame ? ofOutputs.map { $0.index + 1 } : nil)
  }

  /// The run of a pass with which the first failure of a comparison begins to fail; nil where nothing fails, or where it
  /// does without any pass.
  private func firstBadRun(_ comparison: Comparison) throws -> PassRecord? {
    guard let index = comparison.findings.firstFailure else { return nil }
    let start = comparison.subject.start
    let output = comparison.subject.kept[index].output
    let records = try PassRunner(pipeline).run(start).records
    var good = 0
    var bad = records.count
    while bad - good > 1 {
      let middle = (good + bad) / 2
      let bound = try runs.load(PassRunner(pipeline, limit: middle).run(start).graph)
      let found = try runs.values(bound, outputs: [output])
      var finding = comparison.findings[index]
      finding.difference = Self.difference(comparison.expected[index], found[0])
      if finding.passed { good = middle } else { bad = middle }
    }
    return bad > 0 ? records[bad - 1] : nil
  }
}

extension [OptimizationCheck.Finding] {
  /// The index of the first that failed, in the order of the graph as written.
  fileprivate var firstFailure: Int? {
    indices.filter { !self[$0].passed }.min { self[$0].order < self[$1].order }
  }
}
