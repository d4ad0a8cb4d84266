// The same bits: for any number of threads, after a stop and resume, after Ctrl-C, and after
// SIGKILL in the middle of writing a checkpoint. Of the real models, on pictures made here.

import CommandSupport
import Formats
import Foundation
import TestSupport
import Testing
import Training

@Suite struct BitsTests {
  /// 300 pictures of 28×28, with edges and noise.
  private func data(in folder: TemporaryFolder) throws -> String {
    let path = folder.file("pictures.npy")
    try FileIO.writeAtomically(try Tiny.pictures(300, side: 28, seed: 3).encode(), to: path)
    return path
  }

  @Test(arguments: [("vanilla-gan", "128", 20), ("dcgan-mnist", "13", 20), ("fashion-gan", "3", 3)])
  func threadsDoNotChangeABit(name: String, batch: String, steps: Int) throws {
    let folder = try TemporaryFolder()
    let data = try data(in: folder)
    for threads in [1, 2, 3, 5] {
      let result = exec(
        "train", Places.graph(name), "--data", data, "--batch", batch, "--steps", "\(steps)",
        "--seed", "4", "--threads", "\(threads)", "--out", folder.file("t\(threads)"), "--every",
        "sample=20")
      try #require(result.code == 0, "\(result.messages)")
    }
    for threads in [2, 3, 5] { try expectSameRun(folder.file("t1"), folder.file("t\(threads)")) }
    // Not the same because nothing happens: the losses move.
    let log = try lines(folder.file("t1/log.jsonl"))
    #expect(log.count == steps && Set(log.map { $0.drop { $0 != "d" } }).count == steps)
  }

  @Test func anotherSeedIsAnotherRun() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    for seed in ["1", "2"] {
      #expect(exec("train", program, "--seed", seed, "--out", folder.file(seed)).code == 0)
    }
    #expect(
      try contents(folder.file("1/weights.safetensors"))
        != contents(folder.file("2/weights.safetensors")))
  }

  @Test func stoppedAtSevenAndResumed() throws {
    let folder = try TemporaryFolder()
    let data = try data(in: folder)
    let common = ["train", Places.graph("vanilla-gan"), "--data", data, "--batch", "32"]
    let whole = folder.file("whole")
    let parts = folder.file("parts")
    #expect(exec(common + ["--steps", "20", "--out", whole]).code == 0)
    #expect(exec(common + ["--steps", "7", "--out", parts]).code == 0)
    let resumed = exec(common + ["--steps", "20", "--resume", parts, "--threads", "1"])
    #expect(resumed.code == 0, "\(resumed.messages)")
    try expectSameRun(whole, parts)
  }

  @Test func killedInTheMiddleOfACheckpointAndResumed() throws {
    let folder = try TemporaryFolder()
    let data = try data(in: folder)
    let common = ["train", Places.graph("vanilla-gan"), "--data", data, "--batch", "8", "--quiet"]
    let run = folder.file("run")
    var found: String?
    for attempt in 0..<12 where found == nil {
      try? FileManager.default.removeItem(atPath: run)
      let child = try Child(
        common + ["--steps", "100000", "--every", "checkpoint=1", "--out", run])
      found = try child.killWhileWriting(in: "\(run)/checkpoints", after: 2 + attempt % 3)
    }
    let temporary = try #require(found, "the process was never caught writing")
    #expect(FileIO.exists(temporary), "a half-written checkpoint is there")

    let last = try #require(try RunFolder(path: run).checkpointSteps().last)
    let end = "\(last + 3)"
    let resumed = exec(common + ["--steps", end, "--resume", run])
    #expect(resumed.code == 0, "\(resumed.messages)")
    #expect(!FileIO.exists(temporary), "what the killed process left behind is removed")
    let whole = folder.file("whole")
    #expect(exec(common + ["--steps", end, "--out", whole]).code == 0)
    try expectSameRun(whole, run)
  }

  @Test(arguments: [SIGINT, SIGTERM])
  func interruptedAndResumed(signal: Int32) throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder, train: "steps: 1000000")
    let run = folder.file("run")
    let child = try Child(["train", program, "--out", run, "--json"])
    try child.waitForOutput(lines: 5)
    child.send(signal)
    #expect(child.wait() == 130)
    let last = try #require(try RunFolder(path: run).checkpointSteps().last)
    #expect(try lines("\(run)/log.jsonl").count == last)
    let end = "\(last + 10)"
    #expect(exec("train", "--resume", run, "--steps", end).code == 0)
    let whole = folder.file("whole")
    #expect(exec("train", program, "--steps", end, "--out", whole).code == 0)
    try expectSameRun(whole, run)
  }

  @Test func aFullDiskIsAnErrorAndTheLastCheckpointStays() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder, train: "steps: 100000")
    let run = folder.file("run")
    // The limit on the size of a file stands for the full disk: one of the records that grow reaches it,
    // the checkpoints do not.
    let child = try Child(
      ["train", program, "--out", run, "--quiet"] + [
        "--every", "checkpoint=50", "--every", "sample=100000",
      ], fileBlocks: 64)
    #expect(child.wait() == 3)
    let records = ["log.jsonl", "losses.csv", "tensorboard/events"]
    #expect(records.contains { child.errors.contains($0) }, "\(child.errors)")
    let last = try #require(try RunFolder(path: run).checkpointSteps().last)
    #expect(exec("train", "--resume", run, "--steps", "\(last + 2)").code == 0)
  }
}
