// Runs one training step as written (-O0) and as the passes made it, on the same weights, data and random numbers, and
// compares them value by value.
//
// First the outputs of the step as it really runs. Then every value of the differentiated step: some at a time are made
// outputs of the graph, which passes must keep, so that it is known exactly which value is which, whatever became of
// the node that computed it. Where values differ, the passes are bisected: the first run after which they do is named.
//
// Passes may change roundings, and how much that matters is different for every value: the gradient of a bias before
// batch normalisation is nothing but roundings. So the bound of a value is measured: how far it moves, in the step as
// written, when every weight is changed by a random part of up to `disturbance`,
//   bound = max(safety · moved, least · size, operandShare · size of the operands)
// where sizes and differences are root mean squares over the elements.

import Basics
import Elaboration
import GraphIR
import Operators
import Passes
import Planning
import Runtime

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package struct OptimizationCheck {
  /// One value in both forms of the step.
  package struct Finding: Sendable {
    /// The operation that computes it, or what it is as an output of the step.
    package var name: String
    package var type: TensorType
    package var origin: Origin
    /// Its place in the order of the step as written.
    package var order: Int
    /// Root mean squares: of the value itself, of the difference, and the most that the latter may be.
    package var size: Double
    package var difference: Double
    package var bound: Double
    /// NaN differences fail.
    package var passed: Bool { difference <= bound }
  }

  package struct Report: Sendable {
    /// Outputs of the step as it runs, then all values that could be compared in the order of the step as written.
    package var outputs: [Finding]
    package var values: [Finding]
    /// The pass after which the first failure shows, and the number of its run where it is one of the step as it runs.
    package var culprit: (pass: String, run: Int?)?

    /// The first failure in the order of the step as written. A value behind which an output fails may be right where
    /// keeping it keeps the passes from their mistake; then it is the output.
    package var first: Finding? {
      values.first { !$0.passed } ?? outputs.filter { !$0.passed }.min { $0.order < $1.order }
    }
    package var failures: Int { outputs.count { !$0.passed } + values.count { !$0.passed } }
  }

  private static let disturbance = 1e-5
  private static let disturbances = 2
  private static let safety = 16.0
  private static let least = 1e-4
  private static let operandShare = 1e-6
  /// The most bytes of values that are kept at a time.
  private static let keptBytes = 256 << 20

  private let program: Program
  private let backend: any Backend
  private let pipeline: Pipeline
  private let seed: UInt64
  private let data: any BatchSupplier
  private let raw: Graph
  private let written: Graph
  /// The bytes of the states before the step, in the order of the program.
  private let states: [[UInt8]]

  /// `pipeline` is what is checked. All conditional blocks of the step take part.
  package init(
    _ program: Program, backend: any Backend, pipeline: Pipeline, seed: UInt64,
    data: any BatchSupplier
  ) throws {
    guard let train = program.train else {
      throw Diagnostic("train.missing", "the program has no train block")
    }
    self.program = program
    self.backend = backend
    self.pipeline = pipeline
    self.seed = seed
    self.data = data
    raw = train.variants.last ?? train.graph
    written = try PassRunner(.unoptimized).run(raw).graph
    let session = try Session(program: program, backend: backend, seed: seed)
    session.initialize()
    states = program.states.map { session.bytes(of: $0.name) }
  }

  package func run() throws -> Report {
    let whole = try compare(Subject(start: raw, reference: written, kept: outputs()))
    var report = Report(outputs: whole.findings, values: [], culprit: nil)
    if let limit = try firstBadRun(whole) {
      let record = try PassRunner(pipeline).run(raw).records[limit - 1]
      report.culprit = (record.name, record.index + 1)
    }
    var sizes = Table<ValueTag, Double>(repeating: 0, count: written.values.count)
    for window in windows() {
      let comparison = try compare(keeping(window), &sizes)
      report.values += comparison.findings
      if report.culprit == nil, let limit = try firstBadRun(comparison) {
        let records = try PassRunner(pipeline).run(comparison.subject.start).records
        report.culprit = (records[limit - 1].name, nil)
      }
    }
    return report
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

  /// Consecutive values of the step as written. Booleans are left out: roundings may turn a comparison.
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

  /// The step as written with some of its values as outputs, beside its own.
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
    var expected: [[Float]]
    var findings: [Finding]
  }

  private func compare(_ subject: Subject) throws -> Comparison {
    var sizes = Table<ValueTag, Double>(repeating: 0, count: written.values.count)
    return try compare(subject, &sizes)
  }

  /// `sizes` holds those of values that were compared earlier, for the bounds of what is computed from them.
  private func compare(
    _ subject: Subject, _ sizes: inout Table<ValueTag, Double>
  ) throws -> Comparison {
    let reference = try load(subject.reference, PassRunner(Pipeline([])))
    let expected = try values(reference, subject.kept, disturbed: nil)
    var moved = [Double](repeating: 0, count: expected.count)
    for trial in 0..<Self.disturbances {
      let other = try values(reference, subject.kept, disturbed: trial)
      for index in moved.indices {
        moved[index] = max(moved[index], Self.difference(expected[index], other[index]))
      }
    }
    let found = try values(load(subject.start, PassRunner(pipeline)), subject.kept, disturbed: nil)
    var findings: [Finding] = []
    for (index, kept) in subject.kept.enumerated() {
      let size = Self.size(expected[index])
      sizes[kept.value] = size
      let node = written.producer(of: kept.value)
      let operands = (node?.operands ?? []).map { sizes[$0] }.max() ?? 0
      findings.append(
        Finding(
          name: kept.name, type: written.type(of: kept.value), origin: node?.origin ?? Origin(),
          order: written.values[kept.value].producer?.index ?? -1, size: size,
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

  // MARK: - Running

  /// A graph after some passes, on states of its own.
  private struct Bound {
    var graph: LoadedGraph
    var store: any StateStore
  }

  private func load(_ graph: Graph, _ runner: PassRunner) throws -> Bound {
    let plan = Planner().plan(try runner.run(graph).graph)
    let store = backend.makeStateStore()
    for state in program.states { try store.declare(state.name, state.type) }
    let executable = try backend.load(plan, states: store)
    return Bound(graph: try LoadedGraph(executable, program.data), store: store)
  }

  /// Runs the first step from the initial states, disturbed by the random numbers of a trial where there is one.
  private func values(
    _ bound: Bound, _ kept: [Kept], disturbed trial: Int?
  ) throws -> [[Float]] {
    for (state, bytes) in zip(program.states, states) {
      let bytes = trial.map { disturbed(bytes, state, trial: $0) } ?? bytes
      bytes.withUnsafeBytes { bound.store.write(state.name, $0) }
    }
    try bound.graph.feed(seed: seed, clock: StepClock(step: 0, epoch: 0), data: data)
    bound.graph.executable.run()
    return kept.map { bound.graph.floats(output: $0.output) }
  }

  private func disturbed(_ bytes: [UInt8], _ state: StateDeclaration, trial: Int) -> [UInt8] {
    guard state.type.element == .f32 else { return bytes }
    var random = PhiloxSequence(
      seed: seed, step: UInt32(trial), stream: StableHash.stream("disturbed \(state.name)"))
    var bytes = bytes
    bytes.withUnsafeMutableBytes { raw in
      let values = raw.bindMemory(to: Float.self)
      for index in values.indices {
        values[index] *= Float(1 + Self.disturbance * (2 * random.nextUniform() - 1))
      }
    }
    return bytes
  }

  // MARK: - Bisecting

  /// The number of the run of a pass, from 1, with which a value that failed fails first; nil where none did.
  private func firstBadRun(_ comparison: Comparison) throws -> Int? {
    let failed = comparison.findings.indices.filter { !comparison.findings[$0].passed }
    guard !failed.isEmpty else { return nil }
    let kept = failed.map { comparison.subject.kept[$0] }
    var good = 0
    var bad = try PassRunner(pipeline).run(comparison.subject.start).records.count
    while bad - good > 1 {
      let middle = (good + bad) / 2
      let bound = try load(comparison.subject.start, PassRunner(pipeline, limit: middle))
      let found = try values(bound, kept, disturbed: nil)
      let fails = zip(failed, found).contains { index, values in
        let difference = Self.difference(comparison.expected[index], values)
        return !(difference <= comparison.findings[index].bound)
      }
      if fails { bad = middle } else { good = middle }
    }
    return bad > 0 ? bad : nil
  }
}
