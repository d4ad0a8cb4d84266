// The training loop: steps, logs, samples and checkpoints when they are due, and an orderly end
// whatever the cause.

import Basics
import Elaboration
import Formats

package struct TrainingOptions: Sendable {
  /// Where the run ends, counted from its beginning; nil is the program's own length.
  package var length: TrainProgram.Length?
  /// Replaces the schedules of an action.
  package var schedules: [Schedule] = []
  /// Rolling checkpoints that are kept where the program asks for none of its own.
  package var keptCheckpoints = 2
  /// Looks at every computed value of every step for infinities and NaN. Slow.
  package var checksFinite = false
  /// The checkpoint that the run goes on from.
  package var resumedFrom: String?

  package init() {}
}

/// What happens, told to the command line as it happens.
package enum TrainingEvent: Sendable {
  case step(StepReport)
  /// Epochs done, and the seconds that this one took.
  case epochEnd(Int, seconds: Double)
  case sample(path: String)
  case checkpoint(path: String)
  case warning(String)
}

package struct StepReport: Sendable {
  /// Steps done, this one included.
  package var step: Int
  package var totalSteps: Int
  /// The epoch of this step, from 0.
  package var epoch: Int
  package var stepsPerEpoch: Int
  package var seconds: Double
  package var reports: [(name: String, value: Double)]
}

package enum TrainingEnd: Sendable {
  case finished
  case interrupted(checkpoint: String)
  case died(TrainingDeath)
}

/// A run that ended because a value was infinite or NaN. No checkpoint of such a state is ever
/// written.
package struct TrainingDeath: Error, Sendable {
  package var step: Int
  /// A reported scalar, a state, or with `checksFinite` an operation and its place.
  package var name: String
  package var value: Double
  package var lastCheckpoint: String?
}

package final class TrainingLoop {
  private let session: Session
  private let source: ProgramSource
  private let train: TrainProgram
  private let feeder: DataFeeder
  private let folder: RunFolder
  private let options: TrainingOptions
  private let writer: SampleWriter
  private let tell: (TrainingEvent) -> Void
  private let schedules: [Schedule]
  private let stepsPerEpoch: Int
  private var step: Int
  private var lastCheckpoint: (step: Int, path: String)?
  private var rolling: [String] = []
  private var curves: LossCurves
  private var epochBegan = 0.0
  private var lastFlush = 0.0

  /// `startStep` steps have been done already; the states are in place.
  package init(
    session: Session, source: ProgramSource, feeder: DataFeeder, folder: RunFolder,
    startStep: Int, options: TrainingOptions, tell: @escaping (TrainingEvent) -> Void
  ) throws {
    guard let train = session.program.train else {
      throw Diagnostic(
        "train.missing", "the program has no train block, so there is nothing to train")
    }
    self.session = session
    self.source = source
    self.train = train
    self.feeder = feeder
    self.folder = folder
    self.options = options
    self.tell = tell
    writer = SampleWriter(session: session, folder: folder, data: feeder)
    stepsPerEpoch = max(1, feeder.stepsPerEpoch)
    step = startStep
    lastCheckpoint = options.resumedFrom.map { (startStep, $0) }
    schedules = Self.effectiveSchedules(train, session.program, options)
    curves = LossCurves(reports: train.reports)
  }

  /// The program's schedules, those of replaced actions taken out, and the unnamed sample each
  /// epoch where none names it.
  private static func effectiveSchedules(
    _ train: TrainProgram, _ program: Program, _ options: TrainingOptions
  ) -> [Schedule] {
    let replaced = options.schedules.flatMap(\.actions)
    var schedules = train.schedules.map { schedule in
      var copy = schedule
      copy.actions.removeAll { replaced.contains($0) }
      return copy
    }
    schedules += options.schedules
    let hasUnnamed = program.samples.contains { $0.name == nil }
    if hasUnnamed, !schedules.contains(where: { $0.actions.contains(.sample(nil)) }) {
      schedules.append(Schedule(count: 1, unit: .epochs, actions: [.sample(nil)], block: nil))
    }
    return schedules
  }

  /// The step at which the run ends.
  package var totalSteps: Int {
    switch options.length ?? train.length {
    case .steps(let count): return count
    case .epochs(let count):
      let (steps, overflow) = count.multipliedReportingOverflow(by: stepsPerEpoch)
      return overflow ? Int.max / 2 : steps
    }
  }

  // MARK: Running

  package func run() throws -> TrainingEnd {
    do {
      return try runSteps()
    } catch let death as TrainingDeath {
      return .died(death)
    }
  }

  private func runSteps() throws -> TrainingEnd {
    let kept = try folder.openLogs(reports: train.reports, after: step)
    defer { try? folder.close() }
    for line in kept { curves.add(line) }
    if step > 0 { try prepareToGoOn() }
    // Every variant is bound before the first step, so that a missing kernel or memory shows at
    // once.
    for blocks in 0..<train.variants.count where blocks == 0 || isPossible(blocks) {
      _ = try session.stepExecutable(blocks: blocks)
    }
    epochBegan = monotonicSeconds()
    lastFlush = epochBegan
    while step < totalSteps {
      let started = monotonicSeconds()
      let clock = StepClock(step: step, epoch: step / stepsPerEpoch)
      let outcome = try session.runStep(
        clock, blocks: dueBlocks(), data: feeder, checkingFinite: options.checksFinite)
      if let end = try finishStep(clock, outcome, seconds: monotonicSeconds() - started) {
        return end
      }
    }
    return try finish()
  }

  /// What a run that was stopped left behind is brought to the state after `step` steps.
  private func prepareToGoOn() throws {
    try writer.rewind(toStep: step, stepsPerEpoch: stepsPerEpoch)
    if savesEachEpoch {
      rolling = try folder.checkpointSteps().filter { $0 <= step }.map(folder.checkpointPath)
    }
  }

  /// Whether checkpoints are saved each epoch, because the program asks for none.
  private var savesEachEpoch: Bool {
    !schedules.contains { $0.actions.contains(.checkpoint) }
  }

  /// What follows a step's computation. Returns how the run ends, if it does.
  private func finishStep(
    _ clock: StepClock, _ outcome: Session.StepOutcome, seconds: Double
  ) throws -> TrainingEnd? {
    let line = Self.logLine(clock, outcome.reports)
    try folder.append(line, reports: train.reports)
    try checkFinite(outcome)
    step += 1
    curves.add(line)
    tell(
      .step(
        StepReport(
          step: step, totalSteps: totalSteps, epoch: clock.epoch, stepsPerEpoch: stepsPerEpoch,
          seconds: seconds, reports: outcome.reports)))
    try runDueActions()
    if step % stepsPerEpoch == 0 { try endEpoch() }
    // So that a run can be followed by its log.
    if monotonicSeconds() - lastFlush > 1 { try flush(durably: false) }
    guard Interruption.isPending, step < totalSteps else { return nil }
    let path = try saveCheckpoint()
    try writeCurves()
    return .interrupted(checkpoint: path)
  }

  /// Ends the run where the step just done brought an infinity or a NaN; its line is in the log.
  private func checkFinite(_ outcome: Session.StepOutcome) throws {
    let bad = outcome.firstNonFinite ?? outcome.reports.first { !$0.value.isFinite }
    guard let bad else { return }
    try flush(durably: true)
    try writeCurves()
    throw TrainingDeath(
      step: step + 1, name: bad.name, value: bad.value, lastCheckpoint: lastCheckpoint?.path)
  }

  private func flush(durably: Bool) throws(EnvironmentFailure) {
    try folder.flush(durably: durably)
    lastFlush = monotonicSeconds()
  }

  private func endEpoch() throws {
    // Programs without data have epochs of one step; they are saved now and then only.
    if savesEachEpoch, stepsPerEpoch > 1 || step % 1000 == 0 { try rollCheckpoint() }
    if stepsPerEpoch > 1 {
      try flush(durably: false)
      try writeCurves()
    }
    let now = monotonicSeconds()
    tell(.epochEnd(step / stepsPerEpoch, seconds: now - epochBegan))
    epochBegan = now
  }

  private func finish() throws -> TrainingEnd {
    _ = try saveCheckpoint()
    for sample in session.program.samples {
      tell(.sample(path: try writer.write(sample, label: "final")))
    }
    try FileIO.writeAtomically(
      try Weights.encode(session, of: CarriedProgram(source)),
      to: "\(folder.path)/weights.safetensors")
    try writeCurves()
    return .finished
  }

  // MARK: Schedules

  /// The number of steps between two occurrences of a schedule.
  private func period(_ schedule: Schedule) -> Int {
    let (product, overflow) = schedule.count.multipliedReportingOverflow(
      by: schedule.unit == .steps ? 1 : stepsPerEpoch)
    return overflow ? Int.max : max(1, product)
  }

  /// The conditional blocks that belong to the step about to run.
  private func dueBlocks() -> Int {
    var blocks = 0
    for schedule in schedules {
      if let block = schedule.block, (step + 1) % period(schedule) == 0 { blocks |= 1 << block }
    }
    return blocks
  }

  /// Whether there can be a step of this run in which these blocks are due, and only these: the
  /// first step in which all of them are is the least common multiple of their periods.
  private func isPossible(_ blocks: Int) -> Bool {
    func isIn(_ schedule: Schedule) -> Bool {
      schedule.block.map { blocks & (1 << $0) != 0 } ?? false
    }
    var common = 1
    for schedule in schedules where isIn(schedule) {
      let period = period(schedule)
      let (product, overflow) = (common / gcd(common, period)).multipliedReportingOverflow(
        by: period)
      guard !overflow, product <= totalSteps else { return false }
      common = product
    }
    return schedules.allSatisfy { schedule in
      schedule.block == nil || isIn(schedule) || common % period(schedule) != 0
    }
  }

  private func gcd(_ a: Int, _ b: Int) -> Int {
    var (a, b) = (a, b)
    while b != 0 { (a, b) = (b, a % b) }
    return max(1, a)
  }

  /// Samples before checkpoints, so that a run that goes on from a checkpoint lacks no picture.
  private func runDueActions() throws {
    let due = schedules.filter { step % period($0) == 0 }
    for schedule in due {
      for case .sample(let name) in schedule.actions {
        guard let sample = session.program.samples.first(where: { $0.name == name }) else {
          continue
        }
        let label =
          schedule.unit == .epochs
          ? "epoch-\(RunFolder.padded(step / stepsPerEpoch, 4))"
          : "step-\(RunFolder.padded(step, 8))"
        tell(.sample(path: try writer.write(sample, label: label)))
      }
    }
    if due.contains(where: { $0.actions.contains(.checkpoint) }) { _ = try saveCheckpoint() }
  }

  // MARK: Files

  /// Saves a checkpoint of the steps done, once per step.
  private func saveCheckpoint() throws -> String {
    if let last = lastCheckpoint, last.step == step { return last.path }
    if let bad = try session.firstNonFiniteState() {
      try flush(durably: true)
      throw TrainingDeath(
        step: step, name: bad.name, value: bad.value, lastCheckpoint: lastCheckpoint?.path)
    }
    // The log first: a checkpoint never stands before the lines of its steps.
    try flush(durably: true)
    let path = folder.checkpointPath(step: step)
    let checkpoint = try Checkpoint(session: session, source: source, step: step, feeder: feeder)
    try FileIO.writeAtomically(try checkpoint.encode(), to: path)
    lastCheckpoint = (step, path)
    tell(.checkpoint(path: path))
    return path
  }

  /// Saves a checkpoint and removes the oldest of those saved this way.
  private func rollCheckpoint() throws {
    rolling.append(try saveCheckpoint())
    while rolling.count > options.keptCheckpoints {
      try? FileIO.remove(rolling.removeFirst())
    }
  }

  private func writeCurves() throws {
    let plot = curves.plot(title: session.program.model)
    try FileIO.writeAtomically(Array(plot.utf8), to: "\(folder.path)/losses.svg")
  }

  private static func logLine(
    _ clock: StepClock, _ reports: [(name: String, value: Double)]
  ) -> JSONValue {
    var pairs: [(key: String, value: JSONValue)] = [
      (key: "step", value: .int(clock.step + 1)), (key: "epoch", value: .int(clock.epoch)),
    ]
    for report in reports {
      // The shortest text that reads back as the same float.
      let shortest = Double(Float(report.value).description) ?? report.value
      pairs.append((key: report.name, value: .double(shortest)))
    }
    return .object(pairs)
  }
}
