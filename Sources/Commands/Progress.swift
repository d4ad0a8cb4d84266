// What a person sees while a run goes on: one line that renews itself on a terminal, plain lines
// otherwise.

import Basics
import Formats
import Training

package final class Progress: TrainingObserver {
  private let console: Console
  private let quiet: Bool
  private let json: Bool
  private var began = 0.0
  private var lastShown = 0.0
  private var firstStep = 0
  /// A moving average of the step time, so that the rest is estimated by how fast it goes now.
  private var pace = 0.0
  private var lineIsOpen = false
  private var lastReport: StepReport?
  /// The reported scalars of this epoch, summed.
  private var sums: [(name: String, sum: Double, count: Int)] = []

  package init(console: Console, quiet: Bool, json: Bool) {
    self.console = console
    self.quiet = quiet
    self.json = json
  }

  package func begin(_ run: RunDescription, kept: [JSONValue]) {
    began = monotonicSeconds()
    firstStep = run.startStep
    guard !quiet else { return }
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
    case .warning(let text): say("warning: \(text)")
    case .epochEnd(let epoch, let seconds): showEpoch(epoch, seconds)
    case .health(let event): say("warning: step \(event.step): \(event.message)")
    case .sample, .checkpoint: break
    }
  }

  /// A line that stays, with the time the epoch took; not for the one-step epochs of programs
  /// without data.
  private func showEpoch(_ epoch: Int, _ seconds: Double) {
    guard !quiet, let report = lastReport, report.stepsPerEpoch > 1 else { return }
    let means = sums.map { "\($0.name) \(Self.short($0.sum / Double(max(1, $0.count))))" }
    sums = []
    let end = console.isTerminal ? "\u{1B}[K" : ""
    if lineIsOpen { console.message("\r") }
    lineIsOpen = false
    console.message(
      "epoch \(epoch)/\(epochs(report))  \(Self.short(seconds)) s  "
        + "mean \(means.joined(separator: "  "))\(end)\n")
  }

  private func epochs(_ report: StepReport) -> Int {
    (report.totalSteps - 1) / report.stepsPerEpoch + 1
  }

  private func addToMeans(_ report: StepReport) {
    for value in report.reports {
      if let index = sums.firstIndex(where: { $0.name == value.name }) {
        sums[index].sum += value.value
        sums[index].count += 1
      } else {
        sums.append((value.name, value.value, 1))
      }
    }
  }

  private func show(_ report: StepReport) {
    if json { console.print(Self.object(report).text() + "\n") }
    guard !quiet else { return }
    lastReport = report
    addToMeans(report)
    pace = report.step == firstStep + 1 ? report.seconds : 0.9 * pace + 0.1 * report.seconds
    let now = monotonicSeconds()
    let isLast = report.step == report.totalSteps
    let interval = console.isTerminal ? 0.1 : 10
    // Without a terminal the lines of the epochs are enough, and one now and then where epochs are
    // long.
    guard isLast || report.step == firstStep + 1 || now - lastShown >= interval else { return }
    lastShown = now
    let text = line(report, now)
    if console.isTerminal {
      console.message("\r" + fitted(text) + "\u{1B}[K" + (isLast ? "\n" : ""))
      lineIsOpen = !isLast
    } else {
      console.message(text + "\n")
    }
  }

  private func line(_ report: StepReport, _ now: Double) -> String {
    let rest = Double(report.totalSteps - report.step) * pace
    let losses = report.reports.map { "\($0.name) \(Self.short($0.value))" }.joined(separator: "  ")
    return
      "epoch \(report.epoch + 1)/\(epochs(report))  step \(report.step)/\(report.totalSteps)  "
      + "\(losses)  "
      + "\(Self.short(pace * 1000)) ms/step  \(Self.duration(rest)) left"
  }

  private func fitted(_ text: String) -> String {
    text.count < console.width ? text : String(text.prefix(max(1, console.width - 1)))
  }

  /// A message between progress lines.
  private func say(_ text: String) {
    if lineIsOpen { console.message("\n") }
    lineIsOpen = false
    console.message(text + "\n")
  }

  package func finish(_ end: TrainingEnd, folder: String) -> Int32 {
    switch end {
    case .finished:
      if !quiet { say("done in \(Self.duration(monotonicSeconds() - began)): \(folder)") }
      return ExitCode.done
    case .interrupted(let checkpoint):
      say("interrupted; saved \(checkpoint)\n  go on with --resume \(folder)")
      return ExitCode.interrupted
    case .died(let death):
      let value = death.value.isNaN ? "NaN" : "\(death.value)"
      say("error: training died at step \(death.step): \(death.name) is \(value)")
      say(
        death.lastCheckpoint.map { "  the last good checkpoint is \($0)" }
          ?? "  no checkpoint was saved before; --check-finite names the operation")
      return ExitCode.died
    }
  }

  private static func object(_ report: StepReport) -> JSONValue {
    let head: [(key: String, value: JSONValue)] = [
      (key: "step", value: .int(report.step)), (key: "epoch", value: .int(report.epoch)),
      (key: "ms", value: .double((report.seconds * 1e5).rounded() / 100)),
    ]
    return .object(head + report.reports.map { (key: $0.name, value: .double($0.value)) })
  }

  /// Four significant digits.
  static func short(_ value: Double) -> String {
    guard value.isFinite, value != 0 else { return "\(value)" }
    if abs(value) < 1e-4 { return tiny(value) }
    var digits = 3
    var scale = abs(value)
    while scale >= 10, digits > 0 {
      scale /= 10
      digits -= 1
    }
    while scale < 1, digits < 8 {
      scale *= 10
      digits += 1
    }
    var factor = 1.0
    for _ in 0..<digits { factor *= 10 }
    return "\((value * factor).rounded() / factor)"
  }

  /// `1.234e-07`
  private static func tiny(_ value: Double) -> String {
    var mantissa = value
    var exponent = 0
    while abs(mantissa) < 1, exponent < 330 {
      mantissa *= 10
      exponent += 1
    }
    return "\((mantissa * 1000).rounded() / 1000)e-\(exponent < 10 ? "0" : "")\(exponent)"
  }

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
