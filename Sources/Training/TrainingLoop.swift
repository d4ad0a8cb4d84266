// The training loop: steps, logs, samples and checkpoints when they are due, and an orderly end
// whatever the cause.

import Basics
import Elaboration
import Formats

package struct TrainingOptions: Sendable {
  /// Where the run ends, counted from its beginning; nil is the program's own length.
  package var length: TrainProgram.Length?
  /// When checkpoints are saved and which stay; its schedules replace those of an action.
  package var policy = CheckpointPolicy()
  /// How many bytes there are at a path; nil where that is not known.
  package var freeSpace: @Sendable (String) -> Int? = FreeSpace.bytes
  /// Looks at every computed value of every step for infinities and NaN. Slow.
  package var checksFinite = false
  /// Looks for the operation at fault where a value is not finite.
  package var diagnoses = true
  /// The checkpoint that the run goes on from.
  package var resumedFrom: String?

  package init() {}
}

package final class TrainingLoop {
  private let session: Session
  private let source: ProgramSource
  private let train: TrainProgram
  private let feeder: DataFeeder
  /// Batches for the steps, read ahead.
  package let batches: BatchPrefetcher
  private let folder: RunFolder
  private let options: TrainingOptions
  private let writer: SampleWriter
  private let log: RunLog
  private var observers: [any TrainingObserver]
  private let schedule: RunSchedule
  private let health: HealthWatch
  private let stepsPerEpoch: Int
  private var step: Int
  private var lastCheckpoint: (step: Int, path: String)?
  private var keeper: CheckpointKeeper
  private let space: CheckpointSpace
  /// What the steps ask for batches.
  private let supplier: WatchedSupplier
  private var epochBegan = 0.0
  private var lastFlush = 0.0
  private let times = RunTimes()

  /// `startStep` steps have been done already; the states are in place. The observers are told after the log.
  package init(
    session: Session, source: ProgramSource, feeder: DataFeeder, folder: RunFolder,
    startStep: Int, options: TrainingOptions, observers: [any TrainingObserver]
  ) throws {
    guard let train = session.program.train else {
      throw Diagnostic(
        "train.missing", "the program has no train block, so there is nothing to train")
    }
    self.session = session
    self.source = source
    self.train = train
    self.feeder = feeder
    batches = try BatchPrefetcher(feeder)
    supplier = WatchedSupplier(batches)
    self.folder = folder
    self.options = options
    log = RunLog(folder: folder, reports: train.reports)
    self.observers =
      [
        log, LossPlotWriter(reports: train.reports), RunReport(reports: train.reports),
        TensorBoardWriter(),
      ] + observers
    writer = SampleWriter(session: session, source: source, folder: folder, data: feeder)
    stepsPerEpoch = max(1, feeder.stepsPerEpoch)
    schedule = RunSchedule(
      train, session.program, replacing: options.policy.schedules, stepsPerEpoch: stepsPerEpoch)
    keeper = CheckpointKeeper(
      options.policy, savesEachEpoch: !schedule.hasCheckpoints, stepsPerEpoch: stepsPerEpoch)
    space = CheckpointSpace(source, free: options.freeSpace)
    health = HealthWatch(session, train, feeder: feeder, folder: folder)
    step = startStep
    lastCheckpoint = options.resumedFrom.map { (startStep, $0) }
  }

  private var description: RunDescription {
    RunDescription(
      source: source, train: train, backend: session.backend.summary, folder: folder,
      seed: session.seed, data: feeder.sources, startStep: step, totalSteps: totalSteps,
      stepsPerEpoch: stepsPerEpoch, times: times)
  }

  private func tell(_ event: TrainingEvent) throws {
    try toObservers { try $0.observe(event) }
    try tell(health: try watch { try health.observe(event) })
  }

  private func tell(health events: [HealthEvent]) throws {
    for event in events { try toObservers { try $0.observe(.health(event)) } }
  }

  private func toObservers(_ tell: (any TrainingObserver) throws -> Void) throws {
    try watch {
      for observer in observers {
        do {
          try tell(observer)
        } catch let failure as EnvironmentFailure where !observer.isEssential {
          observers.removeAll { $0 === observer }
          try self.tell(.warning("the run goes on without this record: \(failure.message)"))
        }
      }
    }
  }

  /// The time that observers and the watch over the run's health take is counted, so that a run can say it.
  private func watch<Result>(_ body: () throws -> Result) rethrows -> Result {
    let began = monotonicSeconds()
    defer { times.observers += monotonicSeconds() - began }
    return try body()
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
    try recall()
    defer { try? log.close() }
    let description = description
    try watch { for observer in observers { try observer.begin(description) } }
    let end: TrainingEnd
    do {
      end = try runSteps()
    } catch let death as TrainingDeath {
      end = .died(death)
      try tell(.health(try diagnosis(of: death)))
    } catch {
      let failure = withWayOn(error)
      // As far as they can: what is on the disk says how the run ended.
      let message = (failure as? EnvironmentFailure)?.message ?? "\(failure)"
      for observer in observers { try? observer.end(.failed(message)) }
      throw failure
    }
    try flush(durably: true)
    try toObservers { try $0.end(end) }
    return end
  }

  /// What is known of the steps that were done before.
  private func recall() throws {
    try health.load(upTo: step)
    try log.open(after: step) { line in
      health.recall(line)
      for observer in observers { observer.recall(line) }
    }
    try health.open()
  }

  /// Whatever could not be written or read: what there is to go on from. Where it is a batch that
  /// cannot be read, the steps done are saved.
  private func withWayOn(_ error: any Error) -> any Error {
    guard var failure = error as? EnvironmentFailure else { return error }
    // A step's kernels run when all its batches are there, so the states are those after `step` steps.
    let isSaved = supplier.hasFailed && step > 0 && (try? saveCheckpoint()) != nil
    let wayOn = CheckpointSpace.help(lastCheckpoint?.path, folder.path)
    if isSaved, let help = failure.help, let wayOn {
      failure.help = "\(help); \(wayOn)"
    } else {
      failure.help = failure.help ?? wayOn
    }
    return failure
  }

  /// What is known of the death of the run.
  private func diagnosis(of death: TrainingDeath) throws -> HealthEvent {
    try health.diagnosis(
      of: death, isWanted: options.diagnoses, stepsPerEpoch: stepsPerEpoch,
      blocks: { self.schedule.blocks(after: $0) }, tell: { try self.tell(.warning($0)) })
  }

  private func runSteps() throws -> TrainingEnd {
    defer { batches.stop() }
    try space.require(in: folder.path, lastCheckpoint: lastCheckpoint?.path)
    if step > 0 { try prepareToGoOn() }
    // Every variant is bound before the first step, so that a missing kernel or memory shows at
    // once.
    for blocks in 0..<train.variants.count
    where blocks == 0 || schedule.isPossible(blocks, totalSteps: totalSteps) {
      _ = try session.stepExecutable(blocks: blocks)
    }
    epochBegan = monotonicSeconds()
    lastFlush = epochBegan
    while step < totalSteps {
      let started = monotonicSeconds()
      let clock = StepClock(step: step, epoch: step / stepsPerEpoch)
      let blocks = schedule.blocks(after: step)
      if let bad = try watch({ try health.prepare(step: step, blocks: blocks) }) {
        throw death(bad)
      }
      let outcome = try session.runStep(
        clock, blocks: blocks, data: supplier, checkingFinite: options.checksFinite)
      if let end = try finishStep(clock, outcome, seconds: monotonicSeconds() - started) {
        return end
      }
    }
    return try finish()
  }

  /// What a run that was stopped left behind is brought to the state after `step` steps.
  private func prepareToGoOn() throws {
    try writer.rewind(toStep: step, stepsPerEpoch: stepsPerEpoch)
    try tellOfAnimation()
    keeper.adopt(try folder.checkpointSteps().filter { $0 <= step })
  }

  /// What follows a step's computation. Returns how the run ends, if it does.
  private func finishStep(
    _ clock: StepClock, _ outcome: Session.StepOutcome, seconds: Double
  ) throws -> TrainingEnd? {
    step += 1
    times.steps += seconds
    times.waited = batches.secondsWaited
    try tell(
      .step(
        StepReport(
          step: step, totalSteps: totalSteps, epoch: clock.epoch, stepsPerEpoch: stepsPerEpoch,
          seconds: seconds, reports: outcome.reports)))
    try checkFinite(outcome)
    try tell(health: try watch { try health.measure(step: step) })
    try runDueActions()
    if step % stepsPerEpoch == 0 { try endEpoch() }
    // So that a run can be followed by its log.
    if monotonicSeconds() - lastFlush > 1 { try flush(durably: false) }
    guard Interruption.isPending, step < totalSteps else { return nil }
    return .interrupted(checkpoint: try saveCheckpoint())
  }

  /// Ends the run where the step just done brought an infinity or a NaN; its line is in the log.
  private func checkFinite(_ outcome: Session.StepOutcome) throws {
    let bad = outcome.firstNonFinite ?? outcome.reports.first { !$0.value.isFinite }
    if let bad { throw death(bad) }
  }

  private func death(_ bad: (name: String, value: Double)) -> TrainingDeath {
    TrainingDeath(
      step: step, name: bad.name, value: bad.value, lastCheckpoint: lastCheckpoint?.path)
  }

  private func flush(durably: Bool) throws {
    try toObservers { try $0.flush(durably: durably) }
    try health.flush(durably: durably)
    lastFlush = monotonicSeconds()
  }

  private func endEpoch() throws {
    // Programs without data have epochs of one step; they are saved now and then only.
    if keeper.savesEachEpoch, stepsPerEpoch > 1 || step % 1000 == 0 { try rollCheckpoint() }
    if stepsPerEpoch > 1 { try flush(durably: false) }
    let now = monotonicSeconds()
    try tell(.epochEnd(step / stepsPerEpoch, seconds: now - epochBegan))
    epochBegan = now
  }

  private func finish() throws -> TrainingEnd {
    _ = try saveCheckpoint()
    // Before the last pictures, which matter less.
    try FileIO.writeAtomically(
      try Weights.encode(session, of: CarriedProgram(source)),
      to: "\(folder.path)/weights.safetensors")
    for sample in session.program.samples {
      try draw(sample, label: "final")
    }
    return .finished
  }

  // MARK: What is due

  /// Samples before checkpoints, so that a run that goes on from a checkpoint lacks no picture.
  private func runDueActions() throws {
    let due = schedule.due(after: step)
    for schedule in due {
      for case .sample(let name) in schedule.actions {
        guard let sample = session.program.samples.first(where: { $0.name == name }) else {
          continue
        }
        let label =
          schedule.unit == .epochs
          ? "epoch-\(RunFolder.padded(step / stepsPerEpoch, 4))"
          : "step-\(RunFolder.padded(step, 8))"
        try draw(sample, label: label)
      }
    }
    if due.contains(where: { $0.actions.contains(.checkpoint) }) || keeper.isAsked(step) {
      try rollCheckpoint()
    }
  }

  private func draw(_ sample: SampleProgram, label: String) throws {
    let began = monotonicSeconds()
    let drawn = try writer.write(sample, label: label, step: step)
    times.samples += monotonicSeconds() - began
    try tell(.sample(drawn))
    try tellOfAnimation()
  }

  private func tellOfAnimation() throws {
    if let warning = writer.takeWarning() { try tell(.warning(warning)) }
  }

  // MARK: Files

  /// Saves a checkpoint of the steps done, once per step.
  private func saveCheckpoint() throws -> String {
    if let last = lastCheckpoint, last.step == step { return last.path }
    if let bad = try session.firstNonFiniteState() { throw death(bad) }
    try space.require(in: folder.path, lastCheckpoint: lastCheckpoint?.path)
    // The log first: a checkpoint never stands before the lines of its steps.
    try flush(durably: true)
    let path = folder.checkpointPath(step: step)
    let checkpoint = try Checkpoint(
      session: session, source: source, step: step, feeder: feeder, policy: options.policy)
    try FileIO.writeAtomically(try checkpoint.encode(), to: path)
    lastCheckpoint = (step, path)
    try tell(.checkpoint(path: path))
    return path
  }

  /// Saves a checkpoint, and removes those that the policy keeps no longer.
  private func rollCheckpoint() throws {
    _ = try saveCheckpoint()
    for old in keeper.saved(step) { try? FileIO.remove(folder.checkpointPath(step: old)) }
  }
}

/// Passes batches on and remembers whether one could not be had.
private final class WatchedSupplier: BatchSupplier {
  private let supplier: any BatchSupplier
  private(set) var hasFailed = false

  init(_ supplier: any BatchSupplier) { self.supplier = supplier }

  func fill(
    source: String, batch: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(EnvironmentFailure) {
    do throws(EnvironmentFailure) {
      try supplier.fill(source: source, batch: batch, into: buffer)
    } catch {
      hasFailed = true
      throw error
    }
  }
}
