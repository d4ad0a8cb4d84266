// Which checkpoints stay, also over a stop and resume; full disks; weights that fit in part; why a run
// is not resumed; verify-resume.

import Basics
import CPUBackend
import CommandSupport
import Elaboration
import Formats
import Foundation
import TestSupport
import Testing
import Training

@Suite struct PolicyTests {
  /// Epochs have five steps.
  private func steps(_ run: String) throws -> [Int] { try RunFolder(path: run).checkpointSteps() }

  @Test func theLastAndEveryNthStay() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    for (options, kept) in [
      ([], [35, 40]), (["--keep-last", "1"], [40]), (["--keep-last", "4"], [25, 30, 35, 40]),
      (["--keep-every", "3e"], [15, 30, 35, 40]),
      (["--keep-every", "12"], [12, 24, 35, 36, 40]),
      (["--keep-last", "1", "--keep-every", "20"], [20, 35, 40]),
      (["--every", "checkpoint=8"], [8, 16, 24, 32, 40]),
      (["--every", "checkpoint=8", "--keep-last", "2"], [32, 40]),
      (["--every", "checkpoint=8", "--keep-last", "1", "--keep-every", "16"], [16, 32, 40]),
    ] {
      let whole = folder.file("whole")
      let parts = folder.file("parts")
      let common = ["train", program, "--quiet"] + options
      #expect(exec(common + ["--out", whole, "--steps", "40"]).code == 0)
      #expect(try steps(whole) == kept, "\(options)")
      // Stopped twice, once in the middle of an epoch, and gone on with nothing said again.
      #expect(exec(common + ["--out", parts, "--steps", "15"]).code == 0)
      for end in ["17", "40"] {
        let resumed = exec("train", "--resume", parts, "--steps", end, "--quiet")
        #expect(resumed.code == 0, "\(resumed.messages)")
      }
      let left = try steps(parts)
      let extra: Set = [15, 17]
      #expect(
        left.filter { !extra.contains($0) || kept.contains($0) } == kept, "\(options) \(left)")
      // Where nothing is to be removed, those of the stops stay too.
      let removes = options.isEmpty || options.contains { $0.hasPrefix("--keep") }
      #expect(removes ? left.count == kept.count : left.count == kept.count + 2, "\(left)")
      try FileManager.default.removeItem(atPath: whole)
      try FileManager.default.removeItem(atPath: parts)
    }
    for wrong in [["--keep-last", "0"], ["--keep-every", "0e"], ["--keep-every", "e"]] {
      #expect(exec(["train", program] + wrong).code == 2, "\(wrong)")
    }
  }

  /// What was kept for good under an earlier --keep-every stays, however often the run goes on.
  @Test func allThatWasEverKeptForGoodStays() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    let run = folder.file("run")
    #expect(
      exec("train", program, "--out", run, "--steps", "12", "--quiet", "--keep-every", "4").code
        == 0)
    for options in [
      ["--steps", "22", "--keep-every", "7"], ["--steps", "30"], ["--steps", "40"],
    ] {
      let resumed = exec(["train", "--resume", run, "--quiet"] + options)
      #expect(resumed.code == 0, "\(resumed.messages)")
    }
    let left = try steps(run)
    #expect(Set([4, 8, 12, 14, 21, 28, 35]).isSubset(of: left), "\(left)")
    let policy = try Checkpoint(path: RunFolder(path: run).checkpointPath(step: 40)).policy
    #expect(policy.keepEvery?.intervalText == "7")
    #expect(policy.keptBefore.map(\.intervalText) == ["4"])
  }

  @Test func damagedPoliciesAreRefused() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    let run = folder.file("run")
    #expect(
      exec(
        "train", program, "--out", run, "--steps", "1", "--quiet", "--keep-last", "3",
        "--keep-every", "2e", "--every", "sample=4"
      ).code == 0)
    let path = "\(run)/checkpoints/step-00000001.safetensors"
    let policy = try Checkpoint(path: path).policy
    #expect(policy.keepLast == 3 && policy.keepEvery?.intervalText == "2e")
    #expect(policy.schedules.count == 1)
    for (key, value) in [
      ("keep_last", "0"), ("keep_last", "x"), ("keep_every", "-1"),
      ("keep_every", "[]"), ("keep_every", "[2]"), ("keep_every", "[\"2e\""), ("every", "[1]"),
      ("every", "{}"), ("every", "["), ("every", "[\"paint=3\"]"),
    ] {
      var file = try TensorFile.decode(try contents(path), name: path)
      file.metadata = file.metadata.map { $0.0 == key ? (key, value) : $0 }
      let changed = folder.file("changed.safetensors")
      try FileIO.writeAtomically(try file.encode(), to: changed)
      #expect(throws: EnvironmentFailure.self, "\(key) = \(value)") {
        try Checkpoint(path: changed)
      }
    }
  }

  // MARK: Full disks

  private func loop(
    _ folder: TemporaryFolder, observers: [any TrainingObserver] = [],
    _ free: @escaping @Sendable (String) -> Int?
  ) throws -> TrainingLoop {
    let source = try ProgramSource(path: try Tiny.make(in: folder), settings: [])
    let session = try Session(program: source.program, backend: CPUBackend(threads: 1), seed: 0)
    try session.initialize()
    let resolver = DatasetResolver(dataDirectory: nil, environment: [:])
    let feeder = try DataFeeder(
      source.program.data, replacements: [], resolver: resolver, seed: 0)
    var options = TrainingOptions()
    options.freeSpace = free
    return try TrainingLoop(
      session: session, source: source, feeder: feeder,
      folder: try RunFolder.create(folder.file("run")), startStep: 0, options: options,
      observers: observers)
  }

  @Test func aFullDiskIsToldBeforeTraining() throws {
    let folder = try TemporaryFolder()
    let loop = try loop(folder) { _ in 1000 }
    let error = #expect(throws: EnvironmentFailure.self) { try loop.run() }
    #expect(error?.message.contains("1000 bytes are free") == true, "\(String(describing: error))")
    #expect(error?.help?.contains("--out") == true)
    #expect(try steps(folder.file("run")).isEmpty)
  }

  @Test func aDiskThatFillsUpLeavesTheLastGoodCheckpoint() throws {
    let folder = try TemporaryFolder()
    let loop = try loop(folder) { path in
      FileIO.exists("\(path)/checkpoints/step-00000005.safetensors") ? 1000 : nil
    }
    let error = #expect(throws: EnvironmentFailure.self) { try loop.run() }
    #expect(error?.message.contains("is full") == true, "\(String(describing: error))")
    #expect(error?.help?.contains("step-00000005") == true)
    #expect(error?.help?.contains("--resume") == true)
    let run = folder.file("run")
    #expect(try steps(run) == [5])
    // There is room again: it goes on.
    let resumed = exec("train", "--resume", run, "--quiet")
    #expect(resumed.code == 0, "\(resumed.messages)")
    #expect(try steps(run).last == 20)
  }

  /// Does something to the run's folder after the first epoch and gathers warnings.
  private final class Meddler: TrainingObserver {
    let meddle: () throws -> Void
    var warnings: [String] = []
    var failure: String?
    init(_ meddle: @escaping () throws -> Void) { self.meddle = meddle }

    func observe(_ event: TrainingEvent) throws {
      switch event {
      case .epochEnd(1, seconds: _): try meddle()
      case .warning(let text): warnings.append(text)
      default: break
      }
    }

    func end(_ end: TrainingEnd) throws {
      if case .failed(let message) = end { failure = message }
    }
  }

  @Test func anAnimationThatIsMovedAwayBeginsAnew() throws {
    let folder = try TemporaryFolder()
    let animation = folder.file("run/samples.gif")
    let meddler = Meddler { try FileIO.remove(animation) }
    guard case .finished = try loop(folder, observers: [meddler], { _ in nil }).run() else {
      Issue.record("the run did not finish")
      return
    }
    #expect(FileIO.exists(animation))
    #expect(meddler.warnings.filter { $0.contains("animation") }.count == 1, "\(meddler.warnings)")
  }

  @Test func anErrorIsToldToObservers() throws {
    let folder = try TemporaryFolder()
    let meddler = Meddler { throw EnvironmentFailure("the moon is full") }
    let error = #expect(throws: EnvironmentFailure.self) {
      try loop(folder, observers: [meddler], { _ in nil }).run()
    }
    #expect(error?.message == "the moon is full")
    #expect(meddler.failure == "the moon is full")
    let report = String(decoding: try contents(folder.file("run/report.html")), as: UTF8.self)
    #expect(report.contains("the moon is full"))
  }

  @Test func freeSpaceIsThatOfTheNearestFolder() throws {
    let folder = try TemporaryFolder()
    let here = try #require(FreeSpace.bytes(at: folder.path))
    let below = try #require(FreeSpace.bytes(at: folder.file("not/yet/there")))
    #expect(here > 0 && abs(here - below) < 1 << 30)
    #expect(FreeSpace.bytes(at: "relative/not/there") != nil)
  }

  // MARK: Weights that fit in part

  @Test func partialWeightsAreNamed() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    let text = try lines(program).joined(separator: "\n")
    let run = folder.file("run")
    #expect(exec("train", program, "--out", run, "--steps", "2", "--quiet").code == 0)
    // Another width of the discriminator, and a layer more in the generator.
    let changed = try folder.write(
      text.replacingOccurrences(of: "dense(5)", with: "dense(7)")
        .replacingOccurrences(of: "relu() |> dense(36)", with: "relu() |> dense(8) |> dense(36)"),
      to: "changed.gan")
    let next = folder.file("next")
    for file in ["weights.safetensors", "checkpoints/step-00000002.safetensors"] {
      let weights = "\(run)/\(file)"
      let arguments = ["train", changed, "--weights", weights, "--steps", "1", "--out", next]
      let refused = exec(arguments)
      #expect(refused.code == 3)
      for words in [
        "7 taken: generator/dense/kernel", "2 missing in the file: generator/dense_2/kernel",
        "generator/dense_1/kernel (F32[8, 36] in the file, f32[8, 8] in the program)", "--partial",
      ] {
        #expect(refused.messages.contains(words), "\(words)\n\(refused.messages)")
      }
      #expect(!refused.messages.contains("of no use"), "\(refused.messages)")
      #expect(!FileIO.exists(next))
      let begun = exec(arguments + ["--partial", "--quiet"])
      #expect(begun.code == 0, "\(begun.messages)")
      #expect(begun.messages.contains("7 taken"), "\(begun.messages)")
      try FileManager.default.removeItem(atPath: next)
    }
    // A program with less: goes on, and names what it has no use for.
    let less = try folder.write(
      """
      network generator(z: [n, 3]) -> [n, 36] {
        z |> dense(8) |> batchNorm() |> relu() |> dense(36) |> tanh()
      }
      train(steps: 1) {
        let loss = mean(generator(normal([4, 3])))
        update generator minimizing loss with sgd(0)
      }
      """, to: "less.gan")
    let fewer = exec(
      "train", less, "--weights", "\(run)/checkpoints/step-00000002.safetensors", "--out", next)
    #expect(fewer.code == 0, "\(fewer.messages)")
    #expect(
      fewer.messages.contains("4 of no use to the program: discriminator/dense/kernel"),
      "\(fewer.messages)")
    // Parameters are those of the file: the rate is 0.
    let path = "\(next)/weights.safetensors"
    let (a, b) = try (
      TensorFile.decode(contents("\(run)/weights.safetensors"), name: run),
      TensorFile.decode(contents(path), name: path)
    )
    #expect(a["generator/dense/kernel"]?.data == b["generator/dense/kernel"]?.data)
    // Nothing fits: not even with --partial.
    let none = try folder.write(
      text.replacingOccurrences(of: "generator", with: "maker")
        .replacingOccurrences(of: "discriminator", with: "judge"), to: "none.gan")
    let nothing = exec(
      "train", none, "--weights", "\(run)/weights.safetensors", "--partial", "--out",
      folder.file("none"))
    #expect(nothing.code == 3 && nothing.messages.contains("missing in the file"))
  }

  // MARK: Resuming

  @Test func aRefusalShowsWhatChanged() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    let text = try lines(program).joined(separator: "\n")
    let run = folder.file("run")
    #expect(
      exec("train", program, "--out", run, "--steps", "2", "--quiet", "--set", "rate=0.05").code
        == 0)
    func refusal(_ from: String, _ to: String, _ options: [String] = []) throws -> String {
      let changed = try folder.write(
        text.replacingOccurrences(of: from, with: to), to: "changed.gan")
      let result = exec(["train", changed, "--resume", run, "--steps", "4"] + options)
      #expect(result.code == 3, "\(result.messages)")
      return result.messages
    }
    let settings = try refusal("", "", ["--set", "rate=0.5"])
    #expect(settings.contains("settings: 1 differs\n  ~ rate: 0.05 -> 0.5"), "\(settings)")
    let width = try refusal("dense(8)", "dense(9)")
    #expect(width.contains("generator/dense/kernel"), "\(width)")
    #expect(width.contains("[3, 8]") && width.contains("[3, 9]"), "\(width)")
    let data = try refusal("in -1...1", "in 0...1")
    #expect(data.contains("data: 1 differs"), "\(data)")
    let slope = try refusal("leakyReLU(0.2)", "leakyReLU(0.3)")
    #expect(slope.contains("slope: 0.2 -> 0.3"), "\(slope)")
    // The run is as it was.
    #expect(try RunFolder(path: run).checkpointSteps() == [2])
    #expect(exec("train", program, "--resume", run, "--steps", "3", "--quiet").code == 0)
  }

  @Test func verifyResumeProvesIt() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    // Over the end of an epoch, with dropout, running statistics and moments.
    let good = exec(
      "verify-resume", program, "--steps", "8", "--at", "3", "--threads", "2", "--resumed-threads",
      "1")
    #expect(good.code == 0, "\(good.messages)")
    #expect(good.output.contains("OK: "), "\(good.output)")
    #expect(good.output.contains("16 logged values"), "\(good.output)")
    for wrong in [["--at", "6"], ["--steps", "1"], ["--steps", "4", "--at", "4"]] {
      #expect(exec(["verify-resume", program] + wrong).code == 2, "\(wrong)")
    }
  }

  @Test(arguments: [
    "dense-gan", "vanilla-gan", "vanilla-gan-tf", "dcgan-mnist", "dcgan-fashion", "fashion-gan",
  ])
  func allProgramsResumeExactly(_ name: String) throws {
    let result = exec(
      "verify-resume", Places.graph(name), "--batch", "2", "--data", "synthetic",
      "--steps", "2")
    #expect(result.code == 0, "\(result.output)\(result.messages)")
  }

  /// A session that goes on with another seed draws other noise.
  @Test func verifyResumeNamesWhatDiffers() throws {
    let folder = try TemporaryFolder()
    let source = try ProgramSource(path: try Tiny.make(in: folder), settings: [])
    func report(_ change: @escaping (inout UInt64, Bool) -> Void) throws -> ResumeCheck.Report {
      let place = folder.file(UUID().uuidString)
      return try ResumeCheck(source, steps: 4, stop: 2, folder: place) { source, isResumed in
        var seed: UInt64 = 0
        change(&seed, isResumed)
        let resolver = DatasetResolver(dataDirectory: nil, environment: [:])
        return (
          try Session(program: source.program, backend: CPUBackend(threads: 1), seed: seed),
          try DataFeeder(source.program.data, replacements: [], resolver: resolver, seed: 0)
        )
      }.run()
    }
    #expect(try report { _, _ in }.difference == nil)
    let changed = try report { seed, isResumed in if isResumed { seed = 1 } }
    #expect(changed.difference?.hasPrefix("step 3: dLoss is ") == true, "\(changed)")
  }
}
