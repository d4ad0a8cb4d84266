// Whole runs of a tiny GAN: what is in the folder, stopping and going on, what is refused, how a
// run dies.

import Basics
import CommandSupport
import Formats
import Foundation
import Testing
import Training

@Suite struct RunTests {
  @Test func everyFileIsThereAndWellFormed() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder, train: "epochs: 3")
    let run = folder.file("run")
    let result = exec("train", program, "--out", run, "--seed", "7")
    #expect(result.code == 0, "\(result.messages)")
    #expect(result.output.isEmpty, "results go to standard output, progress does not")

    #expect(try contents("\(run)/program.gan") == contents(program))
    // 22 examples in batches of 4: five steps an epoch.
    let log = try lines("\(run)/log.jsonl")
    #expect(log.count == 15)
    for (index, line) in log.enumerated() {
      let value = try JSONValue.parse(line, name: "log")
      #expect(value["step"]?.intValue == index + 1)
      #expect(value["epoch"]?.intValue == index / 5)
      #expect(value["dLoss"]?.doubleValue?.isFinite == true)
      #expect(value["gLoss"]?.doubleValue?.isFinite == true)
    }
    let table = try lines("\(run)/losses.csv")
    #expect(table.first == "step,epoch,dLoss,gLoss")
    #expect(table.count == 16)
    #expect(table.allSatisfy { $0.split(separator: ",").count == 4 })
    let plot = String(decoding: try contents("\(run)/losses.svg"), as: UTF8.self)
    #expect(plot.contains("<svg") && plot.contains("</svg>") && plot.contains("dLoss"))

    let names = ["epoch-0001.png", "epoch-0002.png", "epoch-0003.png", "final.png"]
    #expect(try FileIO.list("\(run)/samples") == names)
    let grids = try names.map { name -> Image in
      let path = "\(run)/samples/\(name)"
      return try PNG.decode(try FileIO.read(path), name: path)
    }
    #expect(grids.allSatisfy { $0.width == grids[0].width && $0.channels == 1 })
    #expect(grids[0].pixels != grids[2].pixels, "training changes the samples")
    #expect(grids[2].pixels == grids[3].pixels, "the same noise each time")
    let animation = try contents("\(run)/samples.gif")
    #expect(animation.starts(with: Array("GIF89a".utf8)) && animation.last == 0x3B)

    // Rolling checkpoints: the last two stay.
    let checkpoints = try FileIO.list("\(run)/checkpoints")
    #expect(checkpoints == ["step-00000010.safetensors", "step-00000015.safetensors"])
    let weights = try TensorFile.decode(
      try contents("\(run)/weights.safetensors"), name: "weights", requireChecksum: true)
    #expect(weights["generator/dense/kernel"]?.shape == [3, 8])
    #expect(weights["generator/batchNorm/runningVariance"] != nil)
    #expect(weights.tensors.allSatisfy { !$0.name.contains("adam") })
  }

  @Test func aRunInAFolderThatHoldsOneIsRefused() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder, train: "steps: 2")
    #expect(exec("train", program, "--out", folder.file("run")).code == 0)
    let before = try contents(folder.file("run/log.jsonl"))
    let again = exec("train", program, "--out", folder.file("run"))
    #expect(again.code == 3)
    #expect(again.messages.contains("--resume"))
    #expect(try contents(folder.file("run/log.jsonl")) == before)
  }

  // MARK: Going on

  @Test func aRunThatIsGoingOnIsNotResumed() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    let run = folder.file("run")
    #expect(exec("train", program, "--out", run, "--steps", "6").code == 0)
    #expect(!FileIO.exists("\(run)/.lock"))
    let found = try RunFolder(path: run).lock()
    let lock = try #require(found)
    let log = try contents("\(run)/log.jsonl")
    let refused = exec("train", "--resume", run, "--quiet")
    #expect(refused.code == 3)
    #expect(refused.messages.contains("a run is going on in '\(run)'"), "\(refused.messages)")
    #expect(try contents("\(run)/log.jsonl") == log)
    lock.release()
    #expect(exec("train", "--resume", run, "--quiet").code == 0)
  }

  /// Pictures of the user's own stay, and a sample that was changed is left out of the animation.
  @Test func foreignPicturesStay() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    let run = folder.file("run")
    #expect(exec("train", program, "--out", run, "--steps", "10", "--quiet").code == 0)
    let picture = try contents("\(run)/samples/epoch-0002.png")
    for name in ["mine-epoch-0009.png", "epoch-9.png"] {
      try FileIO.writeAtomically(picture, to: "\(run)/samples/\(name)")
    }
    let small = Image(width: 1, height: 1, channels: 1, pixels: [7])
    try FileIO.writeAtomically(try PNG.encode(small), to: "\(run)/samples/epoch-0001.png")
    let resumed = exec("train", "--resume", run)
    #expect(resumed.code == 0, "\(resumed.messages)")
    #expect(FileIO.exists("\(run)/samples/mine-epoch-0009.png"))
    #expect(FileIO.exists("\(run)/samples/epoch-9.png"))
    #expect(FileIO.exists("\(run)/samples.gif"))
  }

  @Test func aDamagedLogIsNamedAndLeftAsItIs() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    let run = folder.file("run")
    #expect(exec("train", program, "--out", run, "--steps", "10", "--quiet").code == 0)
    let log = "\(run)/log.jsonl"
    let good = try contents(log)
    var lines = try lines(log)
    lines[2] = lines[2].replacingOccurrences(of: "step", with: "stop")
    let damaged = Array((lines.joined(separator: "\n") + "\n").utf8)
    try FileIO.writeAtomically(damaged, to: log)
    let refused = exec("train", "--resume", run, "--quiet")
    #expect(refused.code == 3)
    #expect(
      refused.messages.contains("log.jsonl: line 3 is no step of a run"), "\(refused.messages)")
    #expect(try contents(log) == damaged)
    // A last line that was cut short is none.
    try FileIO.writeAtomically(good + Array("{\"step\":11,\"ep".utf8), to: log)
    #expect(exec("train", "--resume", run, "--quiet").code == 0)
    let whole = folder.file("whole")
    #expect(exec("train", program, "--out", whole, "--quiet").code == 0)
    try expectSameRun(whole, run)
  }

  @Test(arguments: [1, 5, 7, 19])
  func stoppedAndResumedEqualsUninterrupted(stop: Int) throws {
    let folder = try TemporaryFolder()
    let body = "every 3 steps { report mean(images) }"
      .replacingOccurrences(
        of: "report mean(images)", with: "let level = mean(images)\n report level")
    let program = try Tiny.make(in: folder, body: body)
    let whole = folder.file("whole")
    let parts = folder.file("parts")
    #expect(exec("train", program, "--out", whole, "--seed", "3").code == 0)
    #expect(exec("train", program, "--out", parts, "--seed", "3", "--steps", "\(stop)").code == 0)
    let resumed = exec("train", program, "--resume", parts)
    #expect(resumed.code == 0, "\(resumed.messages)")
    try expectSameRun(whole, parts)
    for name in try FileIO.list("\(whole)/samples") {
      #expect(
        try contents("\(whole)/samples/\(name)") == contents("\(parts)/samples/\(name)"), "\(name)")
    }
  }

  @Test func resumeNeedsNothingButTheFolder() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    let other = folder.file("other.npy")
    try FileIO.writeAtomically(try Tiny.pictures(30, seed: 9).encode(), to: other)
    let options = [
      "--data", "images=\(other)", "--set", "rate=2e-2", "--batch", "5", "--seed", "11",
    ]
    let whole = folder.file("whole")
    let parts = folder.file("parts")
    #expect(exec(["train", program, "--out", whole] + options).code == 0)
    #expect(exec(["train", program, "--out", parts, "--steps", "6"] + options).code == 0)
    try FileManager.default.removeItem(atPath: program)
    let resumed = exec("train", "--resume", parts)
    #expect(resumed.code == 0, "\(resumed.messages)")
    try expectSameRun(whole, parts)
  }

  @Test func whatDoesNotFitTheRunIsRefused() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    let run = folder.file("run")
    #expect(exec("train", program, "--out", run, "--steps", "4").code == 0)
    let checkpoint = try contents("\(run)/checkpoints/step-00000004.safetensors")

    // Comments and layout do not matter, anything else does.
    let text = String(decoding: try contents(program), as: UTF8.self)
    let commented = try folder.write("// a comment\n\n" + text + "\n\n", to: "commented.gan")
    #expect(exec("train", commented, "--resume", run, "--steps", "5").code == 0)
    let changed = try folder.write(
      text.replacingOccurrences(of: "dense(8)", with: "dense(9)"), to: "changed.gan")
    let otherProgram = exec("train", changed, "--resume", run)
    #expect(otherProgram.code == 3)
    #expect(otherProgram.messages.contains("another program"))
    #expect(exec("train", program, "--resume", run, "--set", "rate=0.5").code == 3)
    #expect(exec("train", program, "--resume", run, "--seed", "1").code == 3)

    // Data: other data by name, the same name with other contents, data that went away.
    let other = folder.file("other.npy")
    try FileIO.writeAtomically(try Tiny.pictures(22, seed: 5).encode(), to: other)
    let otherData = exec("train", program, "--resume", run, "--data", "images=\(other)")
    #expect(otherData.code == 3)
    #expect(otherData.messages.contains("changed"))
    let images = folder.file("images.npy")
    let good = try contents(images)
    var flipped = good
    flipped[good.count - 1] ^= 1
    try FileIO.writeAtomically(flipped, to: images)
    #expect(exec("train", program, "--resume", run).code == 3)
    try FileIO.remove(images)
    #expect(exec("train", program, "--resume", run).code == 3)
    try FileIO.writeAtomically(good, to: images)

    #expect(try contents("\(run)/checkpoints/step-00000004.safetensors") == checkpoint)
    #expect(exec("train", program, "--resume", run).code == 0)
  }

  /// A resumed run is computed as it began; the checkpoint says how.
  @Test func aRunKeepsItsArithmetic() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    for (option, name) in [(["--math", "exact"], "exact"), (["-O0"], "unoptimized"), ([], "fast")] {
      let (whole, parts) = (folder.file("whole \(name)"), folder.file("parts \(name)"))
      #expect(exec(["train", program, "--out", whole, "--steps", "6"] + option).code == 0)
      #expect(exec(["train", program, "--out", parts, "--steps", "3"] + option).code == 0)
      for other in [["--math", "exact"], ["--math", "fast"], ["-O0"]]
      where other != option && !(name == "fast" && other == ["--math", "fast"]) {
        let refused = exec(["train", "--resume", parts, "--steps", "6"] + other)
        #expect(refused.code == 3)
        #expect(refused.messages.contains("the run was computed with"))
      }
      #expect(exec("train", "--resume", parts, "--steps", "6").code == 0)
      let last = "checkpoints/step-00000006.safetensors"
      let bytes = try contents("\(whole)/\(last)")
      #expect(try contents("\(parts)/\(last)") == bytes)
      #expect(try Checkpoint(path: "\(whole)/\(last)").arithmetic?.rawValue == name)
    }
  }

  @Test func aDamagedNewestCheckpointIsSkippedWithAWord() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    let whole = folder.file("whole")
    let run = folder.file("run")
    #expect(exec("train", program, "--out", whole).code == 0)
    #expect(
      exec("train", program, "--out", run, "--steps", "11", "--every", "checkpoint=4").code == 0)
    let newest = "\(run)/checkpoints/step-00000011.safetensors"
    var bytes = try contents(newest)
    bytes[bytes.count - 9] ^= 0x10
    try FileIO.writeAtomically(bytes, to: newest)
    let middle = "\(run)/checkpoints/step-00000008.safetensors"
    try FileIO.writeAtomically(Array(try contents(middle).prefix(1000)), to: middle)
    let resumed = exec("train", program, "--resume", run)
    #expect(resumed.code == 0, "\(resumed.messages)")
    #expect(resumed.messages.contains("skipping a damaged checkpoint"))
    #expect(resumed.messages.contains("goes on after step 4"))
    try expectSameRun(whole, run)
  }

  @Test func noReadableCheckpoint() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    let run = folder.file("run")
    #expect(exec("train", program, "--resume", run).code == 3)
    #expect(exec("train", program, "--out", run, "--steps", "2").code == 0)
    try folder.write("no checkpoint", to: "run/checkpoints/step-00000002.safetensors")
    try folder.write("x", to: "run/checkpoints/step-99999999999999999999.safetensors")
    let result = exec("train", program, "--resume", run)
    #expect(result.code == 3)
    #expect(result.messages.contains("no checkpoint that can be read"))
  }

  @Test func aFolderOrACheckpointIsNoProgram() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    let run = folder.file("run")
    #expect(exec("train", program, "--out", run, "--steps", "2").code == 0)
    let asProgram = exec("train", run)
    #expect(asProgram.code == 3)
    #expect(asProgram.messages.contains("--resume \(run)"))
    let checkpoint = exec("train", "\(run)/checkpoints/step-00000002.safetensors")
    #expect(checkpoint.code == 2)
    #expect(checkpoint.messages.contains("--resume"))
  }

  @Test func resumeOfAFileSaysWhatToDo() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    let run = folder.file("run")
    #expect(exec("train", program, "--out", run, "--steps", "2").code == 0)
    let log = try contents("\(run)/log.jsonl")
    let checkpoint = "\(run)/checkpoints/step-00000002.safetensors"
    for arguments in [["train", program], ["train"]] {
      let result = exec(arguments + ["--resume", checkpoint])
      #expect(result.code == 2)
      #expect(result.messages.contains("'\(checkpoint)' is a file"), "\(result.messages)")
      #expect(result.messages.contains("--resume \(run);"), "\(result.messages)")
      #expect(result.messages.contains("--weights \(checkpoint)"), "\(result.messages)")
    }
    let weights = exec("train", "--resume", "\(run)/weights.safetensors")
    #expect(weights.code == 2 && weights.messages.contains("is a file"), "\(weights.messages)")
    #expect(!weights.messages.contains("go on"), "\(weights.messages)")
    #expect(exec("train", "--resume", program).code == 2)
    #expect(try contents("\(run)/log.jsonl") == log)
    #expect(RunFolder.path(ofCheckpoint: "checkpoints/a.safetensors") == ".")
    #expect(RunFolder.path(ofCheckpoint: "/checkpoints/a.safetensors") == "/")
    #expect(RunFolder.path(ofCheckpoint: "runs/x/checkpoints/a.safetensors") == "runs/x")
    #expect(RunFolder.path(ofCheckpoint: "a.safetensors") == nil)
  }

  // MARK: Dying

  @Test func aNonFiniteLossEndsTheRun() throws {
    let folder = try TemporaryFolder()
    // At step 6 the loss divides by zero.
    let program = try Tiny.make(
      in: folder, train: "steps: 20", body: "let bad = 1 / (6 - step)\n report bad")
    let run = folder.file("run")
    let result = exec("train", program, "--out", run, "--every", "checkpoint=4")
    #expect(result.code == 5, "\(result.messages)")
    #expect(result.messages.contains("bad") && result.messages.contains("step 7"))
    #expect(result.messages.contains("step-00000004.safetensors"))
    #expect(try FileIO.list("\(run)/checkpoints") == ["step-00000004.safetensors"])
    let log = try lines("\(run)/log.jsonl")
    // The seven steps, and why it died.
    #expect(log.count == 8)
    #expect(log.dropLast().last?.contains("\"bad\":\"Infinity\"") == true, "\(log)")
    #expect(log.last?.contains("\"event\":\"health\"") == true, "\(log)")
    #expect(try lines("\(run)/losses.csv").count == 8)
  }

  @Test func aStateThatIsNotFiniteIsNeverSaved() throws {
    let folder = try TemporaryFolder()
    // The reported losses of the first step are finite; the update of the generator is not.
    let program = try Tiny.make(in: folder, train: "steps: 3")
    let text = String(decoding: try contents(program), as: UTF8.self)
      .replacingOccurrences(
        of: "update generator minimizing gLoss",
        with: "update generator minimizing 1e38 * 1e38 * gLoss")
    let wild = try folder.write(text, to: "wild.gan")
    let run = folder.file("run")
    let result = exec("train", wild, "--out", run, "--steps", "1")
    #expect(result.code == 5, "\(result.messages)")
    #expect(result.messages.contains("generator/"))
    #expect(try FileIO.list("\(run)/checkpoints").isEmpty)
    #expect(!FileIO.exists("\(run)/weights.safetensors"))
  }

  @Test func checkFiniteNamesTheOperation() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(
      in: folder, train: "steps: 9", body: "let bad = log(mean(images) - 100)\n report bad")
    let result = exec("train", program, "--out", folder.file("run"), "--check-finite")
    #expect(result.code == 5)
    #expect(result.messages.contains("the kernel at "), "\(result.messages)")
  }

  // MARK: Folders that cannot be written

  @Test func outputThatCannotBeWritten() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    try folder.write("a file", to: "file")
    for out in [folder.file("file"), folder.file("file/run"), "/proc/run", "/dev/null/run"] {
      let result = exec("train", program, "--steps", "1", "--out", out)
      #expect(result.code == 3, "\(out): \(result.messages)")
      #expect(!result.messages.contains("internal"))
    }
    // A folder stands where a checkpoint belongs: the run ends, what was saved stays.
    let run = folder.file("run")
    #expect(exec("train", program, "--steps", "4", "--out", run).code == 0)
    try FileIO.createDirectory("\(run)/checkpoints/step-00000008.safetensors/in/the/way")
    let blocked = exec("train", program, "--resume", run, "--every", "checkpoint=4")
    #expect(blocked.code == 3, "\(blocked.messages)")
    #expect(blocked.messages.contains("step-00000008.safetensors"))
    #expect(FileIO.exists("\(run)/checkpoints/step-00000004.safetensors"))
  }

  @Test func aBatchLargerThanTheData() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    let result = exec("train", program, "--batch", "23", "--out", folder.file("run"))
    #expect(result.code == 3)
    #expect(result.messages.contains("fewer than one batch of 23"))
  }

  @Test func aSourceOfAnotherShape() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    try FileIO.writeAtomically(try Tiny.pictures(9, side: 7).encode(), to: folder.file("wide.npy"))
    let result = exec(
      "train", program, "--data", "images=\(folder.file("wide.npy"))", "--out", folder.file("run"))
    #expect(result.code == 3)
    #expect(result.messages.contains("[7, 7]") && result.messages.contains("[6, 6, 1]"))
    #expect(!FileIO.exists(folder.file("run")), "nothing is left behind")
  }
}
