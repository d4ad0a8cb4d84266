// What a person sees while a run goes on: one line that renews itself on a terminal, plain lines
// otherwise; and with --json, what a program reads: one object a line.

import Basics
import Elaboration
import Formats
import Training

package final class Progress: TrainingObserver {
  private let console: Console
  private let quiet: Bool
  private let json: Bool
  private var run: RunDescription?
  private var began = 0.0
  private var lastShown = 0.0
  private var lastStep = 0.0
  /// Moving averages: of the time of a step with all that comes with it, so that the rest is
  /// estimated by how fast it goes now, and of the losses.
  private var pace = MovingAverage()
  private var means: [(name: String, mean: MovingAverage)] = []
  /// The columns of the line that stands there unfinished; nil where none does.
  private var openColumns: Int?
  private var lastReport: StepReport?
  private var alarms = ProgressAlarms()
  /// The reported scalars of this epoch, summed.
  private var sums: [(name: String, sum: Double, count: Int)] = []

  package init(console: Console, quiet: Bool, json: Bool) {
    self.console = console
    self.quiet = quiet
    self.json = json
  }

  /// Lines of progress between lines of results on one terminal would help nobody.
  private var isSilent: Bool { quiet || json && console.outputIsTerminal }

  package func recall(_ line: JSONValue) { alarms.recall(line) }

  package func begin(_ run: RunDescription) {
    self.run = run
    began = monotonicSeconds()
    lastStep = began
    printEvent(
      "begin",
      [
        (key: "model", value: .string(run.program.model)),
        (key: "backend", value: .string(run.backend)),
        (key: "folder", value: .string(run.folder.path)),
        (key: "step", value: .int(run.startStep)),
        (key: "total_steps", value: .int(run.totalSteps)),
        (key: "steps_per_epoch", value: .int(run.stepsPerEpoch)),
      ])
    guard !isSilent else { return }
    console.message("\(run.program.model) on \(run.backend)\n")
    for source in run.data {
      console.message(
        "  \(source.name): \(source.dataset.count) examples of \(source.dataset.name)\n")
    }
    if run.startStep > 0 { console.message("  goes on after step \(run.startStep)\n") }
    console.message("  results in \(run.folder.path)\n")
  }

  package func observe(_ event: TrainingEvent) {
    switch event {
    case .step(let report): show(report)
    case .epochEnd(let epoch, let seconds): showEpoch(epoch, seconds)
    case .warning(let text):
      printEvent("warning", [(key: "message", value: .string(text))])
      say("warning: \(text)")
    case .health(let event): show(event)
    case .sample(let sample):
      printEvent(
        "sample",
        [
          (key: "step", value: .int(sample.step)),
          (key: "name", value: sample.name.map(JSONValue.string) ?? .null),
          (key: "path", value: .string(sample.path)),
        ])
    case .checkpoint(let path):
      printEvent(
        "checkpoint",
        [
          (key: "step", value: .int(lastReport?.step ?? 0)), (key: "path", value: .string(path)),
        ])
    }
  }

  private func show(_ event: HealthEvent) {
    if json { console.print(event.logLine.text() + "\n") }
    if let diagnosis = event.diagnosis, let source = run?.source.source {
      say(String(diagnosis.text(source).dropLast()))
    } else {
      alarms.note(event)
      say("\(event.isOver ? "note" : "warning"): step \(event.step): \(event.message)")
    }
  }

  // MARK: Steps

  private func show(_ report: StepReport) {
    if json { console.print(Self.object(report).text() + "\n") }
    lastReport = report
    let now = monotonicSeconds()
    add(report, seconds: now - lastStep)
    lastStep = now
    guard !isSilent else { return }
    let isLast = report.step == report.totalSteps
    let isFirst = lastShown == 0
    let interval = console.isTerminal ? 0.1 : 10
    // Without a terminal the lines of the epochs are enough, and one now and then where epochs are
    // long.
    guard isLast || isFirst || now - lastShown >= interval else { return }
    lastShown = now
    let line = line(report, now)
    if console.isTerminal {
      draw(line, isLast: isLast)
    } else {
      console.message(line.text(width: 200) + "\n")
    }
  }

  private func add(_ report: StepReport, seconds: Double) {
    pace.add(seconds)
    for value in report.reports {
      if let index = means.firstIndex(where: { $0.name == value.name }) {
        means[index].mean.add(value.value)
      } else {
        var mean = MovingAverage()
        mean.add(value.value)
        means.append((value.name, mean))
      }
      if let index = sums.firstIndex(where: { $0.name == value.name }) {
        sums[index].sum += value.value
        sums[index].count += 1
      } else {
        sums.append((value.name, value.value, 1))
      }
    }
  }

  private func line(_ report: StepReport, _ now: Double) -> ProgressLine {
    let isEpochs = report.stepsPerEpoch > 1
    let examples = run?.program.examplesPerStep
    let rate = ProgressLine.rate(
      Double(examples ?? 1) / pace.value,
      examples == nil ? "steps" : run?.program.exampleUnit ?? "examples")
    return ProgressLine(
      epoch: isEpochs ? (report.epoch + 1, epochs(report)) : nil, step: report.step,
      totalSteps: report.totalSteps,
      losses: report.reports.map { value in
        let mean = means.first { $0.name == value.name }?.mean.value
        return ProgressLine.Loss(name: value.name, value: value.value, mean: mean ?? value.value)
      }, rate: rate, elapsed: now - began,
      left: Double(report.totalSteps - report.step) * pace.value, alarm: alarms.last)
  }

  private func epochs(_ report: StepReport) -> Int {
    (report.totalSteps - 1) / report.stepsPerEpoch + 1
  }

  // MARK: Lines

  private var style: ProgressLine.Style {
    .init(usesColour: console.coloursMessages, usesUnicode: console.usesUnicode)
  }

  /// Renews the line, in one piece and without clearing it first, so that it does not flicker. The
  /// last column stays empty: some terminals begin a new row as soon as it is written.
  private func draw(_ line: ProgressLine, isLast: Bool) {
    let width = max(1, console.width - 1)
    let text = line.text(width: width, style: style)
    // A window that was made narrower has broken the line that stands there; the new one begins
    // below it.
    let start = (openColumns ?? 0) > width ? "\n" : "\r"
    console.message(start + text + "\u{1B}[K" + (isLast ? "\n" : ""))
    openColumns = isLast ? nil : TextColumns.count(line.text(width: width))
  }

  /// A line that stays, with the time the epoch took; not for the one-step epochs of programs
  /// without data.
  private func showEpoch(_ epoch: Int, _ seconds: Double) {
    guard let report = lastReport, report.stepsPerEpoch > 1 else { return }
    let means = sums.map { ($0.name, $0.sum / Double(max(1, $0.count))) }
    sums = []
    printEvent(
      "epoch",
      [
        (key: "step", value: .int(report.step)), (key: "epoch", value: .int(epoch)),
        (key: "seconds", value: .double(Self.thousandths(seconds))),
        (key: "means", value: .object(means.map { (key: $0.0, value: .double($0.1)) })),
      ])
    guard !isSilent else { return }
    let losses = means.map { "\($0.0) \(shortNumber($0.1))" }.joined(separator: "  ")
    let head = "epoch \(epoch)/\(epochs(report))"
    let full = "\(head)  \(shortNumber(seconds)) s  mean \(losses)"
    guard console.isTerminal else { return console.message(full + "\n") }
    let width = max(1, console.width - 1)
    let text = TextColumns.count(full) <= width ? full : "\(head)  \(losses)"
    let start = openColumns == nil ? "" : "\r"
    openColumns = nil
    console.message(start + TextColumns.prefix(text, width) + "\u{1B}[K\n")
  }

  /// A message between progress lines.
  private func say(_ text: String) {
    close()
    console.message(text + "\n")
  }

  /// Ends the line that stands there unfinished, so that what follows begins on its own.
  package func close() {
    if openColumns != nil { console.message("\n") }
    openColumns = nil
  }

  package func finish(_ end: TrainingEnd, folder: String) -> Int32 {
    printEnd(end)
    switch end {
    case .finished:
      if !isSilent { say("done in \(Self.duration(monotonicSeconds() - began)): \(folder)") }
      return ExitCode.done
    case .interrupted(let checkpoint):
      say("interrupted; saved \(checkpoint)\n  go on with --resume \(folder)")
      return ExitCode.interrupted
    case .died(let death):
      say("error: training died at step \(death.step): \(death.message)")
      say(
        death.lastCheckpoint.map { "  the last good checkpoint is \($0)" }
          ?? "  no checkpoint was saved before")
      return ExitCode.died
    case .failed(let message):
      say("error: \(message)")
      return ExitCode.environment
    }
  }

  // MARK: JSON

  /// What is no step has the key `event`.
  private func printEvent(_ name: String, _ pairs: [(key: String, value: JSONValue)]) {
    guard json else { return }
    console.print(JSONValue.object([(key: "event", value: .string(name))] + pairs).text() + "\n")
  }

  private func printEnd(_ end: TrainingEnd) {
    var pairs: [(key: String, value: JSONValue)] = [
      (key: "step", value: .int(lastReport?.step ?? run?.startStep ?? 0)),
      (key: "seconds", value: .double(Self.thousandths(monotonicSeconds() - began))),
    ]
    switch end {
    case .finished: pairs.append((key: "state", value: "finished"))
    case .interrupted(let checkpoint):
      pairs.append((key: "state", value: "interrupted"))
      pairs.append((key: "checkpoint", value: .string(checkpoint)))
    case .died(let death):
      pairs.append((key: "state", value: "died"))
      pairs.append((key: "name", value: .string(death.name)))
      pairs.append((key: "value", value: .double(death.value)))
      pairs.append((key: "checkpoint", value: death.lastCheckpoint.map(JSONValue.string) ?? .null))
    case .failed(let message):
      pairs.append((key: "state", value: "failed"))
      pairs.append((key: "message", value: .string(message)))
    }
    printEvent("end", pairs)
  }

  private static func thousandths(_ seconds: Double) -> Double { (seconds * 1000).rounded() / 1000 }

  private static func object(_ report: StepReport) -> JSONValue {
    let head: [(key: String, value: JSONValue)] = [
      (key: "step", value: .int(report.step)), (key: "epoch", value: .int(report.epoch)),
      (key: "ms", value: .double((report.seconds * 1e5).rounded() / 100)),
    ]
    return .object(head + report.reports.map { (key: $0.name, value: .double($0.value)) })
  }

  // MARK: Times

  /// `1:02:03` or `2:03`
  static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e9 else { return "?" }
    let total = Int(seconds.rounded())
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let hours = total / 3600
    let minutes = total / 60 % 60
    return hours > 0
      ? "\(hours):\(two(minutes)):\(two(total % 60))" : "\(minutes):\(two(total % 60))"
  }
}

/// An exponential average of the last fifty values or so, the bias of its beginning taken out.
/// Values that are not finite are passed over.
struct MovingAverage {
  private static let weight = 0.98
  private var sum = 0.0
  private var total = 0.0

  /// 0 before the first value.
  var value: Double { total > 0 ? sum / total : 0 }

  mutating func add(_ value: Double) {
    guard value.isFinite else { return }
    sum = Self.weight * sum + (1 - Self.weight) * value
    total = Self.weight * total + (1 - Self.weight)
  }
}
