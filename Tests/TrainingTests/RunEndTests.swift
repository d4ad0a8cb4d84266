// Runs that end in the middle: data that go away, and a person who does not wait for a search.

import Basics
import CPUBackend
import CommandSupport
import Elaboration
import Formats
import Foundation
import Synchronization
import Testing
import Training

/// Does something at an event of a run.
private final class Watcher: TrainingObserver {
  private let body: (TrainingEvent) throws -> Void
  init(_ body: @escaping (TrainingEvent) throws -> Void) { self.body = body }
  func observe(_ event: TrainingEvent) throws { try body(event) }
}

@Suite struct RunEndTests {
  private func loop(
    _ folder: TemporaryFolder, _ program: String,
    _ observer: @escaping (TrainingEvent) throws -> Void
  ) throws -> TrainingLoop {
    let source = try ProgramSource(path: program, settings: [])
    let session = try Session(program: source.program, backend: CPUBackend(threads: 1), seed: 0)
    try session.initialize()
    // Pictures are read for each batch.
    let resolver = DatasetResolver(environment: [:], pictureMemory: 0)
    let feeder = try DataFeeder(source.program.data, replacements: [], resolver: resolver, seed: 0)
    return try TrainingLoop(
      session: session, source: source, feeder: feeder,
      folder: try RunFolder.create(folder.file("run")), startStep: 0, options: TrainingOptions(),
      observers: [Watcher(observer)])
  }

  @Test func dataThatGoAwayLeaveACheckpointOfAllSteps() throws {
    let folder = try TemporaryFolder()
    let pictures = folder.file("pictures")
    for seed in 0..<22 {
      try PictureTests.save(
        PictureTests.picture(6, 6, 1, seed: seed), folder, "pictures/\(seed).png")
    }
    let program = try folder.write(Tiny.program(data: pictures), to: "tiny.gan")
    let away = folder.file("away")
    let loop = try loop(folder, program) { event in
      if case .step(let report) = event, report.step == 7 {
        try FileManager.default.moveItem(atPath: pictures, toPath: away)
        try FileManager.default.createDirectory(
          atPath: pictures, withIntermediateDirectories: false)
      }
    }
    let error = #expect(throws: EnvironmentFailure.self) { try loop.run() }
    #expect(error?.message.contains("\(pictures)/") == true, "\(String(describing: error))")
    #expect(error?.help?.contains("--resume") == true, "\(String(describing: error))")
    let run = folder.file("run")
    let last = try #require(try RunFolder(path: run).checkpointSteps().last)
    // Some batches had been read ahead.
    #expect(last >= 7 && last < 20)
    #expect(try lines("\(run)/log.jsonl").count == last)
    #expect(error?.help?.contains(run) == true)

    // The pictures are back: it goes on as if nothing had been.
    try FileManager.default.removeItem(atPath: pictures)
    try FileManager.default.moveItem(atPath: away, toPath: pictures)
    let resumed = exec("train", "--resume", run, "--quiet", "--threads", "1")
    #expect(resumed.code == 0, "\(resumed.messages)")
    let whole = folder.file("whole")
    #expect(exec("train", program, "--out", whole, "--quiet").code == 0)
    try expectSameRun(whole, run)
  }

  /// The page and TensorBoard's records are for looking at: a run does not end because of them.
  @Test func recordsThatCannotBeWrittenAreDone() throws {
    let folder = try TemporaryFolder()
    let run = folder.file("run")
    let warnings = Mutex<[String]>([])
    let loop = try loop(folder, try Tiny.make(in: folder)) { event in
      if case .step(let report) = event, report.step == 2 {
        for name in ["report.html", "losses.svg"] {
          if FileIO.exists("\(run)/\(name)") { try FileIO.remove("\(run)/\(name)") }
          try FileIO.createDirectory("\(run)/\(name)/in-the-way")
        }
      }
      if case .warning(let text) = event { warnings.withLock { $0.append(text) } }
    }
    guard case .finished = try loop.run() else {
      Issue.record("the run did not finish")
      return
    }
    let found = warnings.withLock { $0 }
    #expect(found.count { $0.contains("goes on without this record") } == 2, "\(found)")
    #expect(
      found.contains { $0.contains("report.html") } && found.contains { $0.contains("losses.svg") })
    #expect(try lines("\(run)/log.jsonl").count == 20)
    #expect(FileIO.exists("\(run)/weights.safetensors"))
  }

  /// Ctrl-C while the search for the cause of a death goes on: the run has died all the same.
  @Test func aSearchCanBeSkipped() throws {
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGINT)
    var before = sigset_t()
    pthread_sigmask(SIG_BLOCK, &signals, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }

    let folder = try TemporaryFolder()
    let program = try Tiny.make(
      in: folder, train: "steps: 60", body: "let bad = log(30.0 - step)\n  report bad")
    let sent = Mutex(false)
    let events = Mutex<[HealthEvent]>([])
    let loop = try loop(folder, program) { event in
      if case .warning(let text) = event, text.contains("replaying") {
        // To this thread alone, where it waits until it is taken away.
        if sent.withLock({
          let was = $0; $0 = true; return !was
        }) {
          pthread_kill(pthread_self(), SIGINT)
        }
      }
      if case .health(let event) = event { events.withLock { $0.append(event) } }
    }
    let end = try loop.run()
    if sent.withLock({ $0 }) {
      var taken: Int32 = 0
      sigwait(&signals, &taken)
    }
    guard case .died(let death) = end else {
      Issue.record("the run ended in \(end)")
      return
    }
    #expect(sent.withLock { $0 }, "the search says that it begins")
    #expect(death.name == "bad" && death.step == 31)
    let found = events.withLock { $0.last }
    let event = try #require(found)
    #expect(event.kind == .nonFinite && event.diagnosis == nil)
    #expect(event.message.contains("interrupted"), "\(event.message)")
  }
}
