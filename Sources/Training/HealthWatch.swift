// Looks after the health of a run: copies the states now and then, measures what steps do to the weights and how different the
// samples are, hands all of it to the monitor, and finds out why a run died. What is measured is kept in health.jsonl, a line a
// measure, so that a run that goes on knows what the one before has seen.

import Basics
import Elaboration
import Formats
import GraphIR
import Operators
import Runtime

final class HealthWatch {
  /// What copying and comparing one float of the states takes, in operations of a step's arithmetic: some 1 ns to 10 ns beside
  /// 50 to 100 operations a nanosecond.
  private static let operationsPerFloat = 300.0
  /// The part of a run's time that may go into it.
  private static let share = 0.002
  /// The bounds of the number of steps between copies. The larger one bounds what is replayed.
  private static let intervals = 10...1000
  /// States of more bytes are not copied; a run with such is replayed from its last checkpoint.
  private static let mostBytes = 1 << 30

  private let session: Session
  private let feeder: DataFeeder
  private let folder: RunFolder
  private let roles: TrainingRoles
  /// The networks that the step with certain conditional blocks updates.
  private let updated: [[String]]
  private let snapshot: StateSnapshot
  private let copies: Bool
  /// Of each network, the periods of the `every` blocks that update it.
  private let periods: [String: [Int]]
  /// Known from the first step on.
  private var moments: MeasureMoments?
  private var monitor: HealthMonitor
  private var log: AppendLog?
  /// What a run that goes on has measured before, how much of it the monitor knows, and its text.
  private var loaded: [(step: Int, measure: HealthMeasure)] = []
  private var recalled = 0
  private var loadedText: [UInt8] = []
  /// The networks that are measured when the step that runs is done.
  private var measured: [String] = []
  private var startedAt: Int?
  private var dataDiversity: [String: Double?] = [:]
  private var lastDrawn: [String: Int] = [:]

  init(_ session: Session, _ train: TrainProgram, feeder: DataFeeder, folder: RunFolder) {
    self.session = session
    self.feeder = feeder
    self.folder = folder
    let program = session.program
    roles = TrainingRoles(train.variants.last ?? train.graph, program)
    updated = train.variants.map { TrainingRoles.learners(of: $0, program) }
    periods = MeasureMoments.periods(train, updated: updated)
    snapshot = StateSnapshot(program)
    copies = StateSnapshot.byteCount(program) <= Self.mostBytes
    monitor = HealthMonitor(roles, makers: Self.makers(program, roles))
  }

  /// Where the network that a sample's images come from is updated.
  private static func makers(_ program: Program, _ roles: TrainingRoles) -> [String: Origin] {
    var found: [String: Origin] = [:]
    for sample in program.samples {
      guard let value = sample.graph.output(.result("0")),
        let path = sample.graph.producer(of: value)?.origin.path
      else { continue }
      found[sample.name ?? ""] = roles.update(of: String(path.prefix { $0 != "/" }))
    }
    return found
  }

  // MARK: The file

  // A run that goes on loads its file, recalls the lines of the log one after the other, and opens the file to go on with it.

  /// Reads what was measured in the first `step` steps.
  func load(upTo step: Int) throws(EnvironmentFailure) {
    guard step > 0, FileIO.exists(folder.healthPath) else { return }
    for line in try FileIO.read(folder.healthPath).split(separator: UInt8(ascii: "\n")) {
      // A last line that was cut short is none.
      guard let value = try? JSONValue.parse(Array(line), name: folder.healthPath),
        let number = value["step"]?.intValue, number <= step
      else { continue }
      loadedText += line + [UInt8(ascii: "\n")]
      if let measure = HealthMeasure(value) { loaded.append((number, measure)) }
    }
  }

  /// Brings the monitor to the state after a line of the log.
  func recall(_ line: JSONValue) {
    guard line["event"] == nil, let step = line["step"]?.intValue else { return }
    let reports = (line.objectValue ?? []).compactMap { key, value in
      // Reports are f32, and a line has the shortest text of each.
      value.doubleValue.map { (name: key, value: Double(Float($0))) }
    }
    _ = monitor.note(step: step, reports: reports)
    recallMeasures(upTo: step)
  }

  /// After the last line.
  func open() throws(EnvironmentFailure) {
    recallMeasures(upTo: .max)
    try FileIO.writeAtomically(loadedText, to: folder.healthPath)
    log = try AppendLog(path: folder.healthPath)
    loaded = []
    recalled = 0
    loadedText = []
  }

  private func recallMeasures(upTo step: Int) {
    while recalled < loaded.count, loaded[recalled].step <= step {
      let (step, measure) = loaded[recalled]
      recalled += 1
      if case .diversity(let sample, _, _, _) = measure { lastDrawn[sample] = step }
      _ = monitor.note(step: step, measure)
    }
  }

  func flush(durably: Bool) throws { try log?.flush(durably: durably) }

  private func note(_ measure: HealthMeasure, step: Int) throws -> [HealthEvent] {
    try log?.append(measure.line(step: step).text())
    return monitor.note(step: step, measure)
  }

  // MARK: Steps

  /// Before the step after `step` steps, in which these conditional blocks stand: copies the states where it is time. Returns a
  /// state that is not finite.
  func prepare(step: Int, blocks: Int) throws -> (name: String, value: Double)? {
    measured = []
    if startedAt == nil { startedAt = step }
    let moments =
      try self.moments ?? MeasureMoments(interval: Self.interval(session), periods: periods)
    self.moments = moments
    let learners = updated.indices.contains(blocks) ? updated[blocks] : []
    let due = learners.filter { moments.isDue($0, step: step) }
    guard copies, moments.isMultiple(step) || step == startedAt || !due.isEmpty else { return nil }
    if let bad = try snapshot.take(session, step: step) { return bad }
    measured = due
    return nil
  }

  /// After a step.
  func measure(step: Int) throws -> [HealthEvent] {
    var events: [HealthEvent] = []
    for network in measured {
      guard let moved = try snapshot.movement(of: network, session) else { continue }
      let gradient = snapshot.size { state in
        state.network == network && state.kind == .moment
          && (state.name.hasSuffix("/m") || state.name.hasSuffix("/momentum"))
      }
      events += try note(
        .movement(
          network: network, weights: moved.weights, change: moved.change, gradient: gradient),
        step: step)
    }
    measured = []
    return events
  }

  /// The steps from one copy to the next, by the arithmetic of a step and the size of the states: a function of the program, so
  /// that a run that goes on measures where the whole one does.
  private static func interval(_ session: Session) throws -> Int {
    let graph = try session.stepExecutable(blocks: 0).plan.graph
    let operations = graph.nodes.elements.reduce(0.0) { sum, node in
      sum + node.operation.cost(graph.types(of: node.operands), graph.types(of: node.results)).flops
    }
    let floats = Double(StateSnapshot.byteCount(session.program)) / 4
    let steps = floats * operationsPerFloat / (share * max(1, operations))
    return Int(
      min(max(steps.rounded(.up), Double(intervals.lowerBound)), Double(intervals.upperBound)))
  }

  // MARK: Events

  /// What an event of the run says about its health.
  func observe(_ event: TrainingEvent) throws -> [HealthEvent] {
    switch event {
    case .step(let report): return monitor.note(step: report.step, reports: report.reports)
    case .sample(let drawn): return try note(drawn)
    case .epochEnd, .checkpoint, .warning, .health: return []
    }
  }

  /// What is drawn at the end of a run is no part of the history: a run that is stopped has another end. Nor is what is drawn
  /// twice after one step.
  private func note(_ drawn: DrawnSample) throws -> [HealthEvent] {
    guard drawn.label != "final" else { return [] }
    let name = drawn.name ?? ""
    guard lastDrawn[name].map({ $0 < drawn.step }) ?? true, drawn.shape.count >= 2 else {
      return []
    }
    lastDrawn[name] = drawn.step
    let elements = drawn.shape.dropFirst().reduce(1, *)
    let images = Diversity.compared(drawn.shape[0], elements: elements)
    guard let value = Diversity.of(drawn.values, rows: images, elements: elements) else {
      return []
    }
    if dataDiversity[name] == nil {
      dataDiversity[name] = .some(
        try Diversity.ofData(like: drawn.shape, images: images, session.program, feeder))
    }
    return try note(
      .diversity(sample: name, count: images, value: value, ofData: dataDiversity[name] ?? nil),
      step: drawn.step)
  }

  // MARK: Death

  /// What can be found out about the end of a run. The states of the session are not those of the end afterwards.
  func diagnosis(
    of death: TrainingDeath, isWanted: Bool, stepsPerEpoch: Int, blocks: @escaping (Int) -> Int,
    tell: @escaping (String) throws -> Void
  ) throws -> HealthEvent {
    var event = HealthEvent(.nonFinite, step: death.step, message: death.message)
    event.subject = death.name
    guard isWanted else { return event }
    if snapshot.step == nil { try? restoreCheckpoint(of: death) }
    let search = FailureSearch(
      session: session, data: feeder, stepsPerEpoch: stepsPerEpoch, blocks: blocks, tell: tell)
    let outcome: FailureSearch.Outcome
    do {
      outcome = try search.run(from: snapshot, to: death.step)
    } catch {
      // The run has died whatever becomes of the search: memory or a device may be short.
      outcome = .unknown("\(error)")
    }
    switch outcome {
    case .found(let diagnosis):
      event.diagnosis = diagnosis
      event.message += "; \(diagnosis.summary)"
      (event.line, event.column) = (Int(diagnosis.origin.line), Int(diagnosis.origin.column))
    case .unknown(let reason): event.message += "; the operation at fault is not known: \(reason)"
    }
    return event
  }

  /// For states too large to be copied while the run goes on.
  private func restoreCheckpoint(of death: TrainingDeath) throws {
    guard let path = death.lastCheckpoint else { return }
    let checkpoint = try Checkpoint(path: path)
    try checkpoint.restore(session, path: path)
    _ = try snapshot.take(session, step: checkpoint.step)
  }
}

/// In which steps what a step does to a network is measured: the first one at or after each multiple of the interval that
/// updates it. A function of the step alone, so that a run that goes on measures where the whole one does.
struct MeasureMoments {
  let interval: Int
  /// Of each network that not every step updates, the periods of the blocks that do.
  let periods: [String: [Int]]

  /// The periods of the networks that are updated in `every` blocks only; `updated` are the networks that each variant of the
  /// step updates.
  static func periods(_ train: TrainProgram, updated: [[String]]) -> [String: [Int]] {
    var periods: [String: [Int]] = [:]
    for schedule in train.schedules {
      guard let block = schedule.block, updated.indices.contains(1 << block) else { continue }
      for network in updated[1 << block] where !updated[0].contains(network) {
        // Blocks that compute are due by steps, whatever an epoch has of them.
        periods[network, default: []].append(schedule.period(stepsPerEpoch: 1))
      }
    }
    return periods
  }

  func isMultiple(_ step: Int) -> Bool { step % interval == 0 }

  /// Whether a network is measured in the step after `step` steps.
  func isDue(_ network: String, step: Int) -> Bool {
    let periods = self.periods[network] ?? [1]
    guard periods.contains(where: { (step + 1) % $0 == 0 }) else { return false }
    // The step before that updated it, as in RunSchedule.blocks; none before the first one.
    let last = periods.map { step / $0 * $0 - 1 }.max() ?? -1
    return last < 0 || last / interval < step / interval
  }
}

extension HealthMeasure {
  /// Its line in health.jsonl.
  func line(step: Int) -> JSONValue {
    func number(_ value: Double?) -> JSONValue { value.map { .double($0) } ?? .null }
    switch self {
    case .movement(let network, let weights, let change, let gradient):
      return [
        "step": .int(step), "measure": "movement", "network": .string(network),
        "weights": .double(weights), "change": .double(change), "gradient": number(gradient),
      ]
    case .diversity(let sample, let count, let value, let ofData):
      return [
        "step": .int(step), "measure": "diversity", "sample": .string(sample),
        "images": .int(count),
        "value": .double(value), "data": number(ofData),
      ]
    }
  }

  /// Nil for a line of something else.
  init?(_ line: JSONValue) {
    switch line["measure"]?.stringValue {
    case "movement":
      guard let network = line["network"]?.stringValue, let weights = line["weights"]?.doubleValue,
        let change = line["change"]?.doubleValue
      else { return nil }
      self = .movement(
        network: network, weights: weights, change: change,
        gradient: line["gradient"]?.doubleValue)
    case "diversity":
      guard let sample = line["sample"]?.stringValue, let count = line["images"]?.intValue,
        let value = line["value"]?.doubleValue
      else { return nil }
      self = .diversity(
        sample: sample, count: count, value: value, ofData: line["data"]?.doubleValue)
    default: return nil
    }
  }
}
