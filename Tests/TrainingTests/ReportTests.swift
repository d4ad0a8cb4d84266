// report.html and the records for TensorBoard: what they hold after a run, while it goes on, and of
// one that was stopped and went on; pictures in bounded numbers; the page drawn by a browser.

import Basics
import CommandSupport
import Foundation
import GraphIR
import Testing

@testable import Formats
@testable import Training

@Suite struct ReportTests {
  private func page(_ run: String) throws -> [UInt8] { try contents("\(run)/report.html") }

  /// The data that a page carries.
  private func data(_ run: String) throws -> JSONValue {
    try JSONValue.parse(try #require(ReportPage.embedded(in: page(run))), name: "page")
  }

  /// The steps of the pictures in a page.
  private func pictures(_ run: String) throws -> [Int] {
    String(decoding: try page(run), as: UTF8.self)
      .matches(of: #/<img data-step="(\d+)" alt="[^"]+" src="data:image/png;base64,[^"]+">/#)
      .compactMap { Int($0.1) }
  }

  @Test func holdsTheWholeRun() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(
      in: folder, train: "epochs: 3", top: "optimizer spare = sgd(rate) // </script><!--")
    let run = folder.file("run")
    #expect(exec("train", program, "--out", run, "--seed", "7", "--set", "rate=2e-2").code == 0)
    let text = String(decoding: try page(run), as: UTF8.self)
    #expect(text.components(separatedBy: "</script>").count == 3, "nothing ends a script early")
    #expect(!text.contains("<!--") && !text.contains("http-equiv=\"refresh\""))
    #expect(!text.contains("src=\"http") && !text.contains("href=") && !text.contains("url(http"))

    let data = try data(run)
    #expect(data["model"] == "tiny" && data["state"] == "finished" && data["seed"] == "7")
    #expect(data["step"] == 15 && data["total_steps"] == 15 && data["steps_per_epoch"] == 5)
    #expect(data["examples_per_step"] == 4 && data["example"] == "images")
    let settings = data["settings"]?.arrayValue ?? []
    #expect(settings.contains { $0 == ["rate", "0.02"] || $0 == ["rate", "2e-2"] }, "\(settings)")
    let updates = (data["updates"]?.arrayValue ?? []).compactMap(\.stringValue)
    #expect(
      updates == [
        "optimizer spare = sgd(rate)", "update discriminator minimizing dLoss with adam(rate)",
        "update generator minimizing gLoss with adam(rate)",
      ])
    #expect(data["source"]?.stringValue == String(decoding: try contents(program), as: UTF8.self))
    let curves = data["curves"]?.arrayValue ?? []
    #expect(curves.map { $0["name"] } == ["dLoss", "gLoss"])
    let log = try lines("\(run)/log.jsonl").map { try JSONValue.parse($0, name: "log") }
    for curve in curves {
      let name = curve["name"]?.stringValue ?? ""
      #expect(curve["x"] == .array((1...15).map { .int($0) }))
      #expect(curve["y"] == .array(log.compactMap { $0[name] }))
    }
    #expect(data["speed"]?["x"]?.arrayValue?.count == 15)
    let session = try #require(data["sessions"]?.arrayValue?.first)
    #expect(session["last_step"] == 15 && session["state"] == "finished")
    let spent = ["step_seconds", "sample_seconds", "observer_seconds"]
      .compactMap { session[$0]?.doubleValue }
    #expect(spent.count == 3 && spent.allSatisfy { $0 > 0 })
    #expect(spent.reduce(0, +) <= (session["seconds"]?.doubleValue ?? 0) + 0.002)
    // The last sample is the last epoch's picture, and is not there twice.
    #expect(try pictures(run) == [5, 10, 15])
    let last = Base64.encode(try contents("\(run)/samples/epoch-0003.png"))
    #expect(text.contains(String(decoding: last, as: UTF8.self)))
  }

  /// But for times the report of a run in parts is that of the run at one go, with a session for each part.
  @Test func goesOnWithTheHistory() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    let (whole, parts) = (folder.file("whole"), folder.file("parts"))
    #expect(exec("train", program, "--out", whole).code == 0)
    #expect(exec("train", program, "--out", parts, "--steps", "7").code == 0)
    #expect(try data(parts)["total_steps"] == 7)
    #expect(exec("train", program, "--resume", parts).code == 0)
    let (one, two) = (try data(whole), try data(parts))
    for key in ["curves", "settings", "updates", "health", "step", "total_steps", "state"] {
      #expect(one[key] == two[key], "\(key)")
    }
    #expect(one["speed"]?["x"] == two["speed"]?["x"], "the speed of the first part is kept")
    #expect(try pictures(whole) == [5, 10, 15, 20])
    #expect(try pictures(parts) == [5, 10, 15, 20])
    let sessions = two["sessions"]?.arrayValue ?? []
    #expect(sessions.map { $0["first_step"] } == [1, 8])
    #expect(sessions.map { $0["last_step"] } == [7, 20])
    #expect(try contents("\(whole)/samples.gif") == contents("\(parts)/samples.gif"))
    // A page that somebody spoilt costs the history of times only.
    try FileIO.writeAtomically("<!doctype html>", to: "\(parts)/report.html")
    #expect(exec("train", program, "--resume", parts, "--steps", "25").code == 0)
    #expect(try data(parts)["sessions"]?.arrayValue?.count == 1)
    #expect(try data(parts)["curves"]?.arrayValue?.first?["x"]?.arrayValue?.count == 25)
  }

  /// The last checkpoints are gone, so a run goes on before the beginning of a part that the page knows.
  @Test func aPartThatIsUndoneIsForgotten() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    let run = folder.file("run")
    let common = ["train", program, "--quiet", "--keep-last", "9"]
    #expect(exec(common + ["--out", run, "--steps", "12"]).code == 0)
    #expect(exec(common + ["--resume", run, "--steps", "20"]).code == 0)
    for step in [12, 15, 20] {
      try FileIO.remove("\(run)/checkpoints/step-000000\(step).safetensors")
    }
    #expect(exec(common + ["--resume", run, "--steps", "14"]).code == 0)
    let data = try data(run)
    #expect(data["sessions"]?.arrayValue?.map { $0["first_step"] } == [1, 11])
    let steps = data["speed"]?["x"]?.arrayValue?.compactMap(\.intValue)
    #expect(steps == Array(1...14))
  }

  @Test func aPartThatWasKilledIsNotRunning() throws {
    let folder = try TemporaryFolder()
    var description = try description(folder)
    try RunReport(reports: []).begin(description)
    description.startStep = 3
    try RunReport(reports: []).begin(description)
    let sessions = try data(description.folder.path)["sessions"]?.arrayValue
    #expect(sessions?.map { $0["state"] } == ["stopped", "running"])
  }

  /// A description of a run that never was, for observers alone.
  private func description(_ folder: TemporaryFolder) throws -> RunDescription {
    let source = try ProgramSource(path: try Tiny.make(in: folder), settings: [])
    let run = RunFolder(path: folder.file("run"))
    try FileIO.createDirectory(run.samples)
    return RunDescription(
      source: source, train: try #require(source.program.train), backend: "none", folder: run,
      seed: 0, data: [], startStep: 0, totalSteps: 20, stepsPerEpoch: 5, times: RunTimes())
  }

  @Test func theStateIsTold() throws {
    let folder = try TemporaryFolder()
    let description = try description(folder)
    let run = description.folder.path
    func observed(_ events: [TrainingEvent], _ end: TrainingEnd?) throws -> JSONValue {
      let report = RunReport(reports: description.train.reports)
      try report.begin(description)
      for event in events { try report.observe(event) }
      if let end { try report.end(end) }
      return try data(run)
    }
    #expect(try observed([], nil)["state"] == "running")
    let text = String(decoding: try page(run), as: UTF8.self)
    #expect(text.contains("<noscript><meta http-equiv=\"refresh\""))
    let step = StepReport(
      step: 3, totalSteps: 20, epoch: 0, stepsPerEpoch: 5, seconds: 0.001,
      reports: [("dLoss", .nan), ("gLoss", 1)])
    let health = HealthEvent(.collapse, step: 3, message: "all <alike>")
    let died = try observed(
      [.step(step), .health(health), .warning("look out")],
      .died(TrainingDeath(step: 3, name: "dLoss", value: .nan, lastCheckpoint: nil)))
    #expect(died["state"] == "died" && died["message"] == "dLoss is NaN" && died["step"] == 3)
    #expect(died["health"] == .array([shown(health)]) && died["warnings"] == ["look out"])
    #expect(died["curves"]?.arrayValue?.first?["x"] == [], "what is not finite is a gap")
    #expect(try observed([], .interrupted(checkpoint: "c"))["state"] == "interrupted")
    // The line of a health event in the log comes back when the run goes on.
    let report = RunReport(reports: description.train.reports)
    for line in [step.logLine, health.logLine] { report.recall(line) }
    try report.begin(description)
    #expect(try data(run)["health"] == .array([shown(health)]))
  }

  /// An event as it stands in the page.
  private func shown(_ event: HealthEvent) -> JSONValue {
    .object(
      (event.logLine.objectValue ?? []) + [(key: "words", value: .string(event.kind.words))])
  }

  /// A death at the place of an operation of the tiny program.
  private func death() -> HealthEvent {
    var event = HealthEvent(.nonFinite, step: 9, message: "dLoss is NaN")
    event.subject = "dLoss"
    (event.line, event.column) = (6, 3)
    event.diagnosis = NonFiniteDiagnosis(
      step: 8, replayedFrom: 4, operation: "log", part: .backward(of: "divide"),
      origin: .init(line: 6, column: 3, path: "generator/dense"),
      result: ValueRange(TensorType.f32([2]), values: [.nan, 1.5]),
      operands: [
        .init(range: ValueRange(TensorType.f32([2, 1]), values: [-0.25, 3]), from: "tanh, line 9")
      ],
      hint: "log(max(x, 1e-6))", recent: [], weights: [])
    return event
  }

  @Test func eventsComeBackFromTheirLines() throws {
    var over = HealthEvent(.explodingWeights, step: 3, message: "all is well (line 4)")
    over.subject = "generator"
    over.isOver = true
    (over.line, over.column) = (4, 7)
    var update = death()
    update.diagnosis?.part = .update(of: ["a/weight", "b"])
    update.diagnosis?.hint = nil
    var data = death()
    data.diagnosis?.part = .data(source: "images")
    for event in [over, death(), update, data, HealthEvent(.flatLoss, step: 1, message: "")] {
      let text = event.logLine.text()
      let back = try #require(HealthEvent(logLine: try JSONValue.parse(text, name: "log")))
      #expect(back.logLine.text() == text)
      #expect(back.subject == event.subject && back.isOver == event.isOver)
      #expect(back.line == event.line && back.column == event.column)
      #expect(back.diagnosis?.part == event.diagnosis?.part)
    }
    #expect(HealthEvent(logLine: ["step": 1, "epoch": 0]) == nil)
    #expect(
      HealthEvent(logLine: ["step": 1, "event": "health", "kind": "?", "message": ""]) == nil)
    // A diagnosis that somebody spoilt costs no more than itself.
    let listed: JSONValue = [["type": "f32[-1]", "from": "x"]]
    let spoilt = (death().logLine.objectValue ?? []).map { pair in
      (key: pair.key, value: pair.key == "operands" ? listed : pair.value)
    }
    let back = try #require(HealthEvent(logLine: .object(spoilt)))
    #expect(back.diagnosis == nil && back.line == 6)
  }

  /// A page with a death and with what is over, as a run that goes on writes it.
  private func pageWithEvents() throws -> (text: String, health: [JSONValue]) {
    let folder = try TemporaryFolder()
    let description = try description(folder)
    var over = HealthEvent(.explodingWeights, step: 3, message: "in bounds")
    over.isOver = true
    let report = RunReport(reports: description.train.reports)
    for line in [over.logLine, death().logLine] { report.recall(line) }
    try report.begin(description)
    let run = description.folder.path
    return (
      String(decoding: try page(run), as: UTF8.self), try data(run)["health"]?.arrayValue ?? []
    )
  }

  @Test func thePageHasWordsForEvents() throws {
    let health = try pageWithEvents().health
    try #require(health.count == 2)
    #expect(health[0]["words"] == "exploding weights" && health[0]["over"] == true)
    #expect(health[1]["words"] == "not finite" && health[1]["line"] == 6)
    #expect(health[1]["part_words"] == "the backward part (adjoint of divide)")
  }

  @Test(.enabled(if: Browser.path != nil, "no browser to try the page in"))
  func showsWhatIsKnownOfADeath() throws {
    let shown = try Browser.drawn(try pageWithEvents().text, "")
    let markup = try #require(shown.components(separatedBy: "<script").first)
    for text in [
      "exploding weights, over", "not finite", "line 6: <code>data images:",
      "in the backward part (adjoint of divide), step 8", "<td>operand 1</td><td>f32[2, 1]</td>",
      ">-0.2500</td>", "tanh, line 9", "help: log(max(x, 1e-6))",
    ] {
      #expect(markup.contains(text), "\(text)")
    }
  }

  // MARK: Pictures

  @Test func picturesOfALongRunAreThinned() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("picture", to: "a.png")
    var pictures = ReportPictures()
    for step in 1...1000 {
      pictures.add(sample: nil, label: "l", step: step, path: path)
      pictures.add(sample: "walk", label: "l", step: step, path: path)
      for name in [nil, "walk"] {
        let steps = pictures.all.filter { $0.sample == name }.map(\.picture.step)
        #expect(steps.count <= 61 && steps.first == 1 && steps.last == step)
        #expect(steps == steps.sorted() && Set(steps).count == steps.count)
      }
    }
    #expect(pictures.all.count > 60)
    pictures.add(sample: nil, label: "final", step: 1000, path: path)
    pictures.add(sample: nil, label: "gone", step: 1001, path: folder.file("nowhere.png"))
    #expect(pictures.all.filter { $0.sample == nil }.last?.picture.label == "l")
  }

  @Test func largePicturesKeepThePageSmall() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a.png")
    try FileIO.writeAtomically([UInt8](repeating: 7, count: 1 << 20), to: path)
    var pictures = ReportPictures()
    for step in 1...40 {
      pictures.add(sample: nil, label: "l", step: step, path: path)
      #expect(pictures.all.last?.picture.step == step)
    }
    let sizes = pictures.all.map(\.picture.text.count)
    #expect(sizes.reduce(0, +) <= 17 << 20 && sizes.count > 4)
  }

  // MARK: In a browser

  @Test(.enabled(if: Browser.path != nil, "no browser to try the page in"))
  func drawsItself() throws {
    let folder = try TemporaryFolder()
    let run = folder.file("run")
    #expect(exec("train", try Tiny.make(in: folder), "--out", run).code == 0)
    let page = String(decoding: try page(run), as: UTF8.self)
    let log = try JSONValue.parse(try lines("\(run)/log.jsonl")[11], name: "log")
    let dLoss = try #require(log["dLoss"]?.doubleValue)
    let shown = try Browser.drawn(page, "at=12&picture=10&theme=dark&log=1&smooth=0")
    // What is shown; the script comes behind it.
    let markup = try #require(shown.components(separatedBy: "<script").first)
    #expect(!markup.contains("NaN") && !markup.contains("undefined"))
    #expect(shown.contains("data-theme=\"dark\""))
    #expect(shown.contains("step 12, epoch 3"))
    let digits = String(format: dLoss >= 1 ? "%.3f" : "%.4f", dLoss)
    #expect(shown.contains(">\(digits)</td>"), "\(digits)")
    #expect(shown.contains("epoch 2, step 10") && shown.contains("2 / 4"))
    #expect(shown.components(separatedBy: "class=\"line\"").count == 4, "two losses and the speed")
    let zoomed = try Browser.drawn(page, "from=5&to=9&hidden=gLoss")
    #expect(zoomed.components(separatedBy: "class=\"line\"").count == 3)
    #expect(zoomed.contains("4 / 4"))
  }

  // MARK: TensorBoard

  private func events(_ run: String) throws -> [[TensorBoardEvent]] {
    try FileIO.list("\(run)/tensorboard").map {
      try TensorBoardEvent.read(try contents("\(run)/tensorboard/\($0)"), name: $0)
    }
  }

  @Test func recordsForTensorBoard() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    let run = folder.file("run")
    #expect(exec("train", program, "--out", run, "--steps", "7").code == 0)
    #expect(exec("train", program, "--resume", run).code == 0)
    let files = try events(run)
    try #require(files.count == 2)
    #expect(files.allSatisfy { $0.first?.content == .fileVersion })
    #expect(files[1][1].content == .sessionStart && files[1][1].step == 8)
    let log = try lines("\(run)/log.jsonl").map { try JSONValue.parse($0, name: "log") }
    var losses: [Int: Float] = [:]
    var images: [Int] = []
    for event in files.joined() {
      switch event.content {
      case .scalars(let scalars):
        #expect(
          scalars.map(\.tag)
            == ["train/dLoss", "train/gLoss", "speed/ms_per_step", "speed/images_per_second"])
        losses[event.step] = scalars.first?.value
      case .image(let tag, let width, let height, let channels, let png):
        #expect(tag == "samples" && channels == 1)
        let image = try PNG.decode(png, name: "png")
        #expect(image.width == width && image.height == height)
        images.append(event.step)
      case .text(let tag, let text):
        #expect(tag == "program" && text.hasPrefix("    model \"tiny\"\n"))
      case .fileVersion, .sessionStart: break
      }
    }
    #expect(losses.count == 20)
    for line in log {
      #expect(
        Double(losses[line["step"]?.intValue ?? 0] ?? .nan)
          == line["dLoss"]?.doubleValue.map { Double(Float($0)) })
    }
    // The final sample of the first part, those of the epochs, and the last one.
    #expect(images == [5, 7, 10, 15, 20, 20])
  }

  /// After fifteen thousand steps a point is the mean of four; the rest comes at the end.
  @Test func aLongRunHasMeans() throws {
    let folder = try TemporaryFolder()
    var description = try description(folder)
    description.totalSteps = 30_000
    let writer = TensorBoardWriter()
    try writer.begin(description)
    for step in 15_001...15_010 {
      try writer.observe(
        .step(
          StepReport(
            step: step, totalSteps: 30_000, epoch: 0, stepsPerEpoch: 5, seconds: 0.5,
            reports: [("dLoss", Double(step - 15_000))])))
    }
    try writer.observe(.health(HealthEvent(.flatLoss, step: 8, message: "flat")))
    try writer.end(.finished)
    let events = try #require(try events(description.folder.path).first)
    let scalars = events.compactMap { event -> String? in
      guard case .scalars(let scalars) = event.content else { return nil }
      return "\(event.step): \(scalars.map { "\($0.tag) \($0.value)" }.joined(separator: ", "))"
    }
    let speed = "speed/ms_per_step 500.0, speed/images_per_second 8.0"
    #expect(
      scalars == [
        "15004: train/dLoss 2.5, \(speed)", "15008: train/dLoss 6.5, \(speed)",
        "15010: train/dLoss 9.5, \(speed)",
      ])
    #expect(events.contains { $0.content == .text(tag: "health/flatLoss", "flat") })
  }
}
