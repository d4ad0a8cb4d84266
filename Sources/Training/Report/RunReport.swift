// report.html: one file that shows a run in a browser, while it goes on and after, with nothing to
// load from elsewhere. An observer gathers what happens; ReportPage puts it into a page. What the
// log does not hold (times, how earlier sessions ended) a run that goes on takes from the page that
// is there.

import Basics
import Formats

package final class RunReport: TrainingObserver {
  package let isEssential = false
  /// One process that trained: a run that goes on has several.
  private struct Session {
    var beganAt: Double
    var firstStep: Int
    var lastStep: Int
    var seconds = 0.0
    var stepSeconds = 0.0
    var waitSeconds = 0.0
    var sampleSeconds = 0.0
    var observerSeconds = 0.0
    var processor: String
    var backend: String
    var state: String
  }

  private var run: RunDescription?
  private var facts: [(key: String, value: JSONValue)] = []
  private var curves: LossCurves
  private var speed = LossCurves(reports: ["ms"])
  private var pictures = ReportPictures()
  private var sessions: [Session] = []
  private var health: [HealthEvent] = []
  private var warnings: [String] = []
  private var lastCheckpoint: String?
  private var message: String?
  private var step = 0
  private var began = 0.0
  private let pace = WritePace(interval: 5)
  /// Health events and warnings that are shown; of more, the first ones and the last.
  private static let mostEvents = 200

  package init(reports: [String]) { curves = LossCurves(reports: reports) }

  package func begin(_ run: RunDescription) throws {
    self.run = run
    facts = RunFacts(run: run).pairs
    step = run.startStep
    began = monotonicSeconds()
    if step > 0 {
      restore(from: run.folder.reportPath)
      let files = try SampleWriter.drawn(in: run.folder, stepsPerEpoch: run.stepsPerEpoch)
      for file in files where file.step <= step && file.path.hasSuffix(".png") {
        pictures.add(sample: file.name, label: file.label, step: file.step, path: file.path)
      }
    }
    sessions.append(
      Session(
        beganAt: secondsSince1970(), firstStep: step + 1, lastStep: step,
        processor: RunFacts.processor, backend: run.backend, state: "running"))
    try write()
  }

  package func observe(_ event: TrainingEvent) throws {
    switch event {
    case .step(let report):
      step = report.step
      curves.add(report.logLine)
      speed.add(step: report.step) { _ in report.seconds * 1000 }
    case .sample(let sample):
      if sample.grid != nil {
        pictures.add(
          sample: sample.name, label: sample.label, step: sample.step, path: sample.path)
      }
    case .checkpoint(let path): lastCheckpoint = path
    case .health(let event): add(event)
    case .warning(let text): if warnings.count < Self.mostEvents { warnings.append(text) }
    case .epochEnd: break
    }
  }

  package func flush(durably: Bool) throws { if pace.isDue { try write() } }

  package func end(_ end: TrainingEnd) throws {
    switch end {
    case .finished: sessions[sessions.count - 1].state = "finished"
    case .interrupted: sessions[sessions.count - 1].state = "interrupted"
    case .died(let death):
      sessions[sessions.count - 1].state = "died"
      message = death.message
      lastCheckpoint = death.lastCheckpoint
    case .failed(let text):
      sessions[sessions.count - 1].state = "failed"
      message = text
    }
    try write()
  }

  private func add(_ event: HealthEvent) {
    // The middle goes: how it began and where it stands are what counts.
    if health.count >= Self.mostEvents { health.remove(at: Self.mostEvents / 2) }
    health.append(event)
  }

  // MARK: Going on

  package func recall(_ line: JSONValue) {
    curves.add(line)
    if let event = HealthEvent(logLine: line) { add(event) }
  }

  /// What only the page knows of the time before. A page that is missing or was changed costs no
  /// more than that.
  private func restore(from path: String) {
    guard let page = try? FileIO.read(path, limit: 256 << 20),
      let json = ReportPage.embedded(in: page),
      let known = try? JSONValue.parse(json, name: path)
    else { return }
    for value in (known["sessions"]?.arrayValue ?? []).prefix(1000) {
      guard let session = Self.session(value), session.firstStep <= step else { continue }
      sessions.append(session)
    }
    let xs = known["speed"]?["x"]?.arrayValue?.compactMap(\.doubleValue) ?? []
    let ys = known["speed"]?["y"]?.arrayValue?.compactMap(\.doubleValue) ?? []
    let points = zip(xs, ys).filter { $0.0 <= Double(step) }.map { (x: $0.0, y: $0.1) }
    let width = known["speed"]?["steps_per_point"]?.intValue ?? 1
    if let restored = LossCurves(name: "ms", points: points, stepsPerPoint: width) {
      speed = restored
    }
  }

  private static func session(_ value: JSONValue) -> Session? {
    guard let beganAt = value["began_at"]?.doubleValue,
      let first = value["first_step"]?.intValue, let last = value["last_step"]?.intValue,
      let processor = value["processor"]?.stringValue, let backend = value["backend"]?.stringValue,
      let state = value["state"]?.stringValue
    else { return nil }
    return Session(
      beganAt: beganAt, firstStep: first, lastStep: last,
      seconds: value["seconds"]?.doubleValue ?? 0,
      stepSeconds: value["step_seconds"]?.doubleValue ?? 0,
      waitSeconds: value["wait_seconds"]?.doubleValue ?? 0,
      sampleSeconds: value["sample_seconds"]?.doubleValue ?? 0,
      observerSeconds: value["observer_seconds"]?.doubleValue ?? 0,
      // A page that says of an earlier process that it runs was left by one that was killed.
      processor: processor, backend: backend, state: state == "running" ? "stopped" : state)
  }

  // MARK: Writing

  private func write() throws {
    guard let run else { return }
    sessions[sessions.count - 1].lastStep = step
    sessions[sessions.count - 1].seconds = monotonicSeconds() - began
    sessions[sessions.count - 1].stepSeconds = run.times.steps
    sessions[sessions.count - 1].waitSeconds = run.times.waited
    sessions[sessions.count - 1].sampleSeconds = run.times.samples
    sessions[sessions.count - 1].observerSeconds = run.times.observers
    try pace.write {
      let page = ReportPage(
        title: run.program.model, isRunning: sessions.last?.state == "running",
        pause: Int(pace.pause.rounded(.up)), data: .object(data(run)), pictures: pictures.all)
      try FileIO.writeAtomically(page.html(), to: run.folder.reportPath)
    }
  }

  private func data(_ run: RunDescription) -> [(key: String, value: JSONValue)] {
    facts + [
      (key: "state", value: .string(sessions.last?.state ?? "")),
      (key: "message", value: message.map(JSONValue.string) ?? .null),
      (key: "checkpoint", value: lastCheckpoint.map(JSONValue.string) ?? .null),
      (key: "folder", value: .string(run.folder.path)),
      (key: "seed", value: .string("\(run.seed)")),
      (key: "step", value: .int(step)), (key: "total_steps", value: .int(run.totalSteps)),
      (key: "steps_per_epoch", value: .int(run.stepsPerEpoch)),
      (key: "written_at", value: .double(secondsSince1970().rounded())),
      (key: "pause", value: .int(Int(pace.pause.rounded(.up)))),
      (key: "sessions", value: .array(sessions.map(json))),
      (key: "steps_per_point", value: .int(curves.stepsPerPoint)),
      (key: "curves", value: .array(curves.series.map { points($0, curves.stepsPerPoint) })),
      (
        key: "speed",
        value: speed.series.first.map { points($0, speed.stepsPerPoint) } ?? .null
      ),
      (key: "health", value: .array(health.map(eventJSON))),
      (key: "warnings", value: .array(warnings.map(JSONValue.string))),
    ]
  }

  /// Its line in the log, with what the page says in words.
  private func eventJSON(_ event: HealthEvent) -> JSONValue {
    var pairs = event.logLine.objectValue ?? []
    pairs.append((key: "words", value: .string(event.kind.words)))
    if let diagnosis = event.diagnosis {
      pairs.append((key: "part_words", value: .string(diagnosis.partText)))
    }
    return .object(pairs)
  }

  /// Six digits or so, which is more than a plot shows.
  private func points(_ series: LinePlot.Series, _ stepsPerPoint: Int) -> JSONValue {
    .object([
      (key: "name", value: .string(series.name)),
      (key: "steps_per_point", value: .int(stepsPerPoint)),
      (key: "x", value: .array(series.points.map { .int(Int($0.x)) })),
      (key: "y", value: .array(series.points.map { .double(shortestDecimal(ofFloat: $0.y)) })),
    ])
  }

  private func json(_ session: Session) -> JSONValue {
    func seconds(_ value: Double) -> JSONValue { .double((value * 1000).rounded() / 1000) }
    return .object([
      (key: "began_at", value: .double(session.beganAt.rounded())),
      (key: "first_step", value: .int(session.firstStep)),
      (key: "last_step", value: .int(session.lastStep)),
      (key: "seconds", value: seconds(session.seconds)),
      (key: "step_seconds", value: seconds(session.stepSeconds)),
      (key: "wait_seconds", value: seconds(session.waitSeconds)),
      (key: "sample_seconds", value: seconds(session.sampleSeconds)),
      (key: "observer_seconds", value: seconds(session.observerSeconds)),
      (key: "processor", value: .string(session.processor)),
      (key: "backend", value: .string(session.backend)),
      (key: "state", value: .string(session.state)),
    ])
  }
}
