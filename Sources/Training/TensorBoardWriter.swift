// A run's records for TensorBoard (`tensorboard --logdir RUN`): the reported scalars, the speed, the
// grids as pictures, health events and the program as texts. One event file a process; a run that
// goes on begins another, whose first record says from which step on earlier files do not count.
//
// A scalar's points are the means of more and more steps: one at first, and twice as many after each
// five thousand points. TensorBoard shows a thousand, and a record a step would cost a short step more
// than it is worth.

import Basics
import Elaboration
import Formats

package final class TensorBoardWriter: TrainingObserver {
  package let isEssential = false
  private static let pointsPerWidth = 5000

  private struct Mean {
    var name: String
    var sum = 0.0
    var count = 0
  }

  private var file: AppendLog?
  private var examplesPerStep: Int?
  private var unit = ""
  private var means: [Mean] = []
  private var seconds = 0.0
  private var stepsSince = 0
  private var step = 0

  package init() {}

  package func begin(_ run: RunDescription) throws {
    try FileIO.createDirectory(run.folder.tensorBoard)
    let path = try Self.unusedPath(in: run.folder.tensorBoard, at: secondsSince1970())
    file = try AppendLog(path: path, fresh: true)
    step = run.startStep
    examplesPerStep = run.program.examplesPerStep
    unit = run.program.exampleUnit
    means = run.train.reports.map { Mean(name: $0) }
    try write(.fileVersion, step: 0)
    if step > 0 {
      try write(.sessionStart, step: step + 1)
    } else {
      let text = String(decoding: run.source.source.bytes, as: UTF8.self)
      let indented = text.split(separator: "\n", omittingEmptySubsequences: false)
        .map { "    " + $0 }.joined(separator: "\n")
      try write(.text(tag: "program", indented), step: 0)
    }
  }

  /// A name that sorts behind those that are there, since files are read in the order of their
  /// names.
  private static func unusedPath(
    in folder: String, at now: Double
  ) throws(EnvironmentFailure) -> String {
    let prefix = "events.out.tfevents."
    let newest = try FileIO.list(folder).filter { $0.hasPrefix(prefix) }
      .compactMap { Int($0.dropFirst(prefix.count).prefix { $0 != "." }) }.max()
    let time = max(Int(now), newest.map { $0 < Int.max ? $0 + 1 : $0 } ?? 0)
    return "\(folder)/\(prefix)\(RunFolder.padded(time, 10)).gan-exec"
  }

  package func observe(_ event: TrainingEvent) throws {
    switch event {
    case .step(let report): try add(report)
    case .sample(let sample): try add(sample)
    case .health(let event):
      try write(.text(tag: "health/\(event.kind.rawValue)", event.message), step: event.step)
    case .epochEnd, .checkpoint, .warning: break
    }
  }

  package func flush(durably: Bool) throws { try file?.flush() }

  package func end(_ end: TrainingEnd) throws {
    try writeMeans()
    try file?.close()
    file = nil
  }

  // MARK: Records

  private func add(_ report: StepReport) throws {
    step = report.step
    seconds += report.seconds
    stepsSince += 1
    for value in report.reports {
      guard let index = means.firstIndex(where: { $0.name == value.name }) else {
        continue
      }
      means[index].sum += value.value
      means[index].count += 1
    }
    if step % Self.stepsPerPoint(step) == 0 { try writeMeans() }
  }

  /// How many steps a point is the mean of: 1, 2, 4, … for 5000 points each. A function of the step, so that a run that goes
  /// on has the points of one that never stopped.
  static func stepsPerPoint(_ step: Int) -> Int {
    let widths = (step - 1) / pointsPerWidth + 1
    return 1 << (Int.bitWidth - 1 - widths.leadingZeroBitCount)
  }

  private func writeMeans() throws {
    guard stepsSince > 0 else { return }
    var scalars: [TensorBoardEvent.Scalar] = []
    for index in means.indices where means[index].count > 0 {
      let mean = means[index].sum / Double(means[index].count)
      scalars.append(.init("train/\(means[index].name)", Float(mean)))
      means[index].sum = 0
      means[index].count = 0
    }
    let pace = seconds / Double(stepsSince)
    scalars.append(.init("speed/ms_per_step", Float(pace * 1000)))
    if let examplesPerStep, pace > 0 {
      scalars.append(.init("speed/\(unit)_per_second", Float(Double(examplesPerStep) / pace)))
    }
    seconds = 0
    stepsSince = 0
    try write(.scalars(scalars), step: step)
  }

  private func add(_ sample: DrawnSample) throws {
    // The file that was just written holds the picture as it is wanted. One that somebody took away
    // meanwhile is no reason to end a run.
    guard let grid = sample.grid, let png = try? FileIO.read(sample.path) else { return }
    let tag = sample.name.map { "samples/\($0)" } ?? "samples"
    try write(
      .image(tag: tag, width: grid.width, height: grid.height, channels: grid.channels, png: png),
      step: sample.step)
  }

  private func write(_ content: TensorBoardEvent.Content, step: Int) throws {
    guard let file else { return }
    let event = TensorBoardEvent(wallTime: secondsSince1970(), step: step, content)
    var bytes: [UInt8] = []
    TFRecord.append(event.encode(), to: &bytes)
    try file.append(bytes: bytes)
  }
}
