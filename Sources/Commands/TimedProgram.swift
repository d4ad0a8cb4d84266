// A program made ready to be timed: its states, its step, its data. `bench` and `profile` share it.

import Basics
import Elaboration
import Formats
import GraphIR
import Runtime
import Training

/// Wall times of the same work done several times.
struct Spread {
  var median: Double
  var least: Double
  var most: Double

  /// In milliseconds, from at least one time in seconds.
  init(milliseconds seconds: [Double]) {
    let sorted = seconds.sorted()
    median = sorted[sorted.count / 2] * 1000
    least = sorted[0] * 1000
    most = sorted[sorted.count - 1] * 1000
  }
}

final class TimedProgram {
  let program: Program
  let workplace: Workplace
  let session: Session
  private let data: any BatchSupplier
  /// What reads ahead; nil where batches are random.
  let batches: BatchPrefetcher?
  private var stepsDone = 0
  /// The scalars that the last step reported.
  private(set) var reports: [(name: String, value: Double)] = []

  /// States have their first values. `data` nil stands for random batches of the declared shapes.
  init(
    _ program: Program, _ workplace: Workplace, seed: UInt64, data: DataFeeder? = nil
  ) throws {
    self.program = program
    self.workplace = workplace
    batches = try data.map { try BatchPrefetcher($0) }
    self.data = batches ?? RandomBatches(program.data, seed: seed)
    session = try Session(
      program: program, backend: workplace.backend, seed: seed, compiler: workplace.compiler)
    try session.initialize()
  }

  func stepExecutable() throws -> any Executable { try session.stepExecutable(blocks: 0) }

  /// Runs the next step, feeding its data and reading its scalars included. Returns its seconds.
  @discardableResult
  func step() throws -> Double {
    let began = monotonicSeconds()
    reports = try session.runStep(StepClock(step: stepsDone, epoch: 0), blocks: 0, data: data)
      .reports
    stepsDone += 1
    return monotonicSeconds() - began
  }

  /// Draws a sample and reads it. Returns its seconds.
  func draw(_ sample: SampleProgram) throws -> Double {
    let began = monotonicSeconds()
    _ = try session.draw(sample, data: data)
    return monotonicSeconds() - began
  }

  var stateBytes: Int { program.states.reduce(0) { $0 + $1.type.byteCount } }
}

/// How long a step's batches kept it waiting.
struct DataWait {
  /// Milliseconds a step, until the batches were ready.
  var waited: Double
  /// Milliseconds a step, for copying them to where the step reads them.
  var copied: Double

  /// In all since the beginning, or a step since an earlier moment.
  init(_ batches: BatchPrefetcher, since before: DataWait? = nil, steps: Int = 1) {
    let count = Double(max(1, steps))
    waited = (batches.secondsWaited * 1e3 - (before?.waited ?? 0)) / count
    copied = (batches.secondsCopied * 1e3 - (before?.copied ?? 0)) / count
  }

  var text: String {
    "data: waited \(shortNumber(waited)) ms a step, copied in \(shortNumber(copied)) ms\n"
  }
}
