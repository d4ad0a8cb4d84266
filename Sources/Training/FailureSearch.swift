// Finds out why a run died of an infinity or a NaN. Training is reproducible to the bit, so the last steps are done again from
// the last good states, each looked at as a whole, until the first that goes wrong; then every value of that step is looked at
// in the graph as written, where each operation has its place in the program. The cause is a bad value that is computed from
// good ones and that a bad output of the step is computed from: an infinity that the program itself masks is none.

import Basics
import Elaboration
import GraphIR
import Operators
import Passes
import Planning
import Runtime

struct FailureSearch {
  enum Outcome {
    case found(NonFiniteDiagnosis)
    /// Why there is nothing to tell.
    case unknown(String)
  }

  /// The most bytes of values that are kept of one run of the step.
  static let keptBytes = 256 << 20
  /// How many of the last steps' reported values are shown.
  private static let recentSteps = 5

  let session: Session
  let data: any BatchSupplier
  let stepsPerEpoch: Int
  /// The conditional blocks of the step after so many.
  let blocks: (Int) -> Int
  /// Is told what goes on, for a person who waits.
  let tell: (String) throws -> Void
  var keptBytes = Self.keptBytes

  /// Goes from the states of `snapshot` to those with which `steps` steps were done. The states of the session, and the
  /// snapshot, are those before the bad step afterwards.
  func run(from snapshot: StateSnapshot, to steps: Int) throws -> Outcome {
    guard let start = snapshot.step, start < steps else {
      return .unknown("there are no good states to replay from")
    }
    let count = steps - start
    try tell(
      "looking for the first bad operation: replaying \(count) step\(count == 1 ? "" : "s") from step "
        + "\(start) (Ctrl-C skips it)")
    try snapshot.restore(session)
    let before = sizes(snapshot)
    var recent: [(step: Int, reports: [(name: String, value: Double)])] = []
    var failed: Int?
    for step in start..<steps {
      if Interruption.isPending { return .unknown("interrupted") }
      // A state that went bad in the step before: the copy is still of what that step began with.
      if step > start, try snapshot.take(session, step: step) != nil {
        failed = step - 1
        break
      }
      let outcome = try session.runStep(clock(step), blocks: blocks(step), data: data)
      guard outcome.reports.allSatisfy(\.value.isFinite) else {
        failed = step
        break
      }
      recent.append((step + 1, outcome.reports))
      if recent.count > Self.recentSteps { recent.removeFirst() }
    }
    if failed == nil, try session.firstNonFiniteState() != nil { failed = steps - 1 }
    guard let failed else {
      return .unknown("replaying the steps from step \(start) brought no bad value")
    }
    recent.removeAll { $0.step > failed }
    try snapshot.restore(session)
    guard var found = try cause(inStep: failed) else { return .unknown(reasonNotFound) }
    found.replayedFrom = start
    found.recent = recent
    found.weights = zip(before, sizes(snapshot)).map { ($0.network, $0.size, $1.size) }
    found.hint = Hints.hint(for: found)
    return .found(found)
  }

  private var reasonNotFound: String {
    Interruption.isPending ? "interrupted" : "no single operation of the step gives a bad value"
  }

  private func clock(_ step: Int) -> StepClock {
    StepClock(step: step, epoch: step / stepsPerEpoch)
  }

  private func sizes(_ snapshot: StateSnapshot) -> [(network: String, size: Double)] {
    session.program.networks.compactMap { network in
      snapshot.size { $0.network == network.name && $0.kind == .parameter }.map {
        (network.name, $0)
      }
    }
  }

  // MARK: One step

  /// The first bad operation of a step from the states as they are. Where the graph as written gives no bad value, the one
  /// that ran does: first with single operations, then with its kernels.
  private func cause(inStep step: Int) throws -> NonFiniteDiagnosis? {
    guard let train = session.program.train else { return nil }
    let raw = train.variants[blocks(step)]
    let pipeline = session.compiler.arithmetic.pipeline
    let unfused = pipeline.disabling([
      FuseElementwise().name, FuseEpilogues().name, FuseHorizontally().name,
    ])
    for pipeline in [.unoptimized, unfused, pipeline] {
      let graph = try PassRunner(pipeline).run(raw).graph
      var values = StepValues(graph, session, clock(step), data, keptBytes: keptBytes, tell: tell)
      guard let bad = try values.firstCause() else {
        if Interruption.isPending { return nil }
        continue
      }
      return diagnosis(bad, graph, values, step: step)
    }
    return nil
  }

  private func diagnosis(
    _ bad: ValueID, _ graph: Graph, _ values: StepValues, step: Int
  ) -> NonFiniteDiagnosis {
    let node = graph.producer(of: bad)
    return NonFiniteDiagnosis(
      step: step + 1, replayedFrom: step, operation: node?.operation.label ?? "data",
      part: StepParts(graph, session.program).part(of: bad), origin: node?.origin ?? Origin(),
      result: values.range(of: bad) ?? ValueRange(graph.type(of: bad), values: []),
      operands: (node?.operands ?? []).compactMap { operand in
        values.range(of: operand).map {
          NonFiniteDiagnosis.Operand(range: $0, from: Self.source(of: operand, graph))
        }
      }, hint: nil, recent: [], weights: [])
  }

  /// What computes an operand, in words.
  private static func source(of value: ValueID, _ graph: Graph) -> String {
    guard let node = graph.producer(of: value) else {
      switch graph.inputs.first(where: { $0.value == value })?.role {
      case .data(let source, _): return "the batch of '\(source)'"
      case .state(let name): return name
      case .step: return "the step"
      case .epoch: return "the epoch"
      case .seed: return "the seed"
      case .argument(let name): return name
      case nil: return ""
      }
    }
    if node.operation is Constant { return "a constant" }
    let place = Origin(
      line: Int(node.origin.line), column: Int(node.origin.column), path: node.origin.path
    ).provenance()
    let name =
      node.origin.notes.first { $0.hasPrefix(Origin.adjointNote(of: "")) } ?? node.operation.label
    return place.isEmpty ? name : "\(name) at \(place)"
  }
}

/// To which part of a training step the nodes of its differentiated graph belong.
struct StepParts {
  private let graph: Graph
  private let parameters: Set<String>

  init(_ graph: Graph, _ program: Program) {
    self.graph = graph
    parameters = Set(program.states.filter { $0.kind == .parameter }.map(\.name))
  }

  func part(of value: ValueID) -> NonFiniteDiagnosis.Part {
    guard let node = graph.producer(of: value) else {
      if case .data(let source, _) = graph.inputs.first(where: { $0.value == value })?.role {
        return .data(source: source)
      }
      return .forward
    }
    if let operation = Self.adjoint(node) { return .backward(of: operation) }
    let updated = updates(from: value)
    return updated.isEmpty ? .forward : .update(of: updated)
  }

  /// The name of the operation that a node is a part of the adjoint of.
  static func adjoint(_ node: Node) -> String? {
    let head = Origin.adjointNote(of: "")
    return node.origin.notes.first { $0.hasPrefix(head) }.map { String($0.dropFirst(head.count)) }
  }

  /// The parameters whose updates a value goes into without going through a gradient: the optimisers' rules, which have the
  /// names of the parameters as their paths, and what only they read.
  private func updates(from value: ValueID) -> [String] {
    if let node = graph.producer(of: value), parameters.contains(node.origin.path) {
      return [node.origin.path]
    }
    let users = graph.users()
    var found: [String] = []
    var seen = BitSet()
    var open = [value]
    while let next = open.popLast() {
      for id in users[next] where seen.insert(id) {
        let node = graph.nodes[id]
        if Self.adjoint(node) != nil { return [] }
        if parameters.contains(node.origin.path) {
          if !found.contains(node.origin.path) { found.append(node.origin.path) }
        } else {
          open += node.results
        }
      }
    }
    return found.sorted()
  }
}
