// Exit codes and what is said: wrong options, wrong programs, missing files, help.

import Basics
import CommandSupport
import Commands
import Formats
import Foundation
import TestSupport
import Testing

@Suite struct UsageTests {
  @Test func helpOfEveryCommand() {
    for (run, commands) in [
      (
        compile as ([String]) -> CommandResult,
        ["", "format", "check", "explain", "ops", "passes", "diff"]
      ),
      (
        exec as ([String]) -> CommandResult,
        ["train", "sample", "eval", "export", "check", "bench", "profile", "data", "devices"]
      ),
    ] {
      for command in commands {
        let result = run(command.isEmpty ? ["x.gan", "--help"] : [command, "--help"])
        #expect(result.code == 0)
        #expect(result.output.hasPrefix("usage: gan-"), "\(command)")
        #expect(result.output.contains("--set NAME=VALUE"))
        #expect(result.messages.isEmpty)
      }
      #expect(run(["--help"]).code == 0)
      #expect(run(["--version"]).output.contains("gan-"))
      #expect(run([]).code == 2)
    }
  }

  @Test func wrongUsage() throws {
    let graph = Places.graph("vanilla-gan")
    let cases: [(arguments: [String], says: String)] = [
      (["trian", graph], "train"), (["train"], "FILE"), (["train", graph, "more"], "FILE"),
      (["train", graph, "--epoch", "3"], "--epochs"), (["train", graph, "--epochs"], "value"),
      (["train", graph, "--epochs", "0"], "--epochs"),
      (["train", graph, "--epochs", "1e9"], "1e9"),
      (["train", graph, "--epochs", "3", "--steps", "3"], "exclude"),
      (["train", graph, "--steps=-1"], "--steps"), (["train", graph, "--quiet=yes"], "no value"),
      (["train", graph, "--seed", "-1"], "--seed"),
      (["train", graph, "--threads", "0"], "--threads"),
      (["train", graph, "--threads", "100000"], "256"), (["train", graph, "--isa", "v5"], "v4"),
      (["train", graph, "--math", "sloppy"], "exact"),
      (["train", graph, "--every", "sample"], "--every"),
      (["train", graph, "--every", "sample=0"], "--every"),
      (["train", graph, "--every", "picture=3"], "--every"),
      (["train", graph, "--set", "rate"], "NAME=VALUE"),
      (["train", graph, "--set", "rat=1"], "rate"),
      (["train", graph, "--data", "image=x"], "images"),
      (["train", graph, "--resume", "x", "--out", "y"], "--out"),
      (["train", graph, "--resume", "x", "--weights", "y"], "--weights"),
      (["sample", graph], "--weights"), (["sample", graph, "--out", "x.jpg"], ".png"),
      (["eval", graph], "NETWORK"), (["eval", graph, "generator"], "--output"),
      (
        ["eval", graph, "generator", "--input", "z=a", "--input", "z=b", "--output", "y.npy"],
        "'z' is given twice: a and b"
      ),
      (["check"], "FILE"), (["devices", "x"], "found x"),
    ]
    for (arguments, says) in cases {
      let result = exec(arguments)
      #expect(result.code == 2, "\(arguments): \(result.messages)")
      #expect(result.messages.contains(says), "\(arguments): \(result.messages)")
      #expect(result.output.isEmpty)
    }
    for (arguments, says) in [
      ([graph, "--emit", "irr"], "did you mean"), ([graph, "--emit"], "value"),
      ([graph, "--pipeline", "dead-code,nothing"], "nothing"),
      ([graph, "--disable", "deadcode"], "dead-code"),
      ([graph, "--pass-limit", "x"], "--pass-limit"), (["format"], "FILE"),
    ] {
      let result = compile(arguments)
      #expect(result.code == 2, "\(arguments): \(result.messages)")
      #expect(result.messages.contains(says), "\(arguments): \(result.messages)")
    }
  }

  @Test func programsWithErrors() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(
      """
      let batch = 4
      network generator(z: [n, 3]) -> [n, 4] { z |> dens(4) }
      network discriminator(x: [n, 4]) -> [n, 1] { x |> dense(2) |> leakyRelu() }
      train(steps: 3) {
        let fake = generator(normal([batch, 5]))
        report fak
      }
      """, to: "wrong.gan")
    for result in [
      compile(path), compile("check", path), exec("train", path), exec("check", path),
      compile(path, "--emit", "ir"),
    ] {
      #expect(result.code == 1)
      #expect(result.output.isEmpty)
      // Several independent errors, each with its place and the mend.
      #expect(result.messages.contains("\(path):2:"))
      #expect(result.messages.contains("\(path):3:"))
      #expect(result.messages.contains("dense") && result.messages.contains("leakyReLU"))
      #expect(result.messages.contains(" errors\n"), "\(result.messages)")
      #expect(result.messages.contains("^"))
    }
    let broken = try folder.write("network {", to: "broken.gan")
    for result in [compile(broken), compile("format", broken), compile(broken, "--emit", "syntax")]
    {
      #expect(result.code == 1)
      #expect(result.messages.contains("\(broken):1:"))
    }
    let binary = folder.file("binary.gan")
    try FileIO.writeAtomically((0..<2000).map { UInt8(truncatingIfNeeded: $0 * 7) }, to: binary)
    #expect(compile(binary).code == 1)
    let empty = try folder.write("", to: "empty.gan")
    #expect(compile(empty).code == 0)
    #expect(exec("train", empty).code == 1)
    #expect(exec("check", empty, "--gradients").code == 2)
    #expect(compile(empty, "--emit", "ir").code == 2)
  }

  @Test func missingFilesAndData() throws {
    let folder = try TemporaryFolder()
    let missing = folder.file("missing.gan")
    for result in [
      compile(missing), compile("format", missing), compile("check", missing), compile(folder.path),
      exec("train", missing), exec("sample", folder.file("missing.safetensors")),
      exec("eval", missing, "generator", "--output", "x.npy"), exec("data", folder.file("none")),
      exec("train", Places.graph("vanilla-gan"), "--data", folder.file("none")),
      exec("train", Places.graph("vanilla-gan"), "--resume", folder.file("none")),
      exec("train", Places.graph("vanilla-gan"), "--backend", "opencl:99"),
    ] {
      #expect(result.code == 3, "\(result.messages)")
      #expect(!result.messages.contains("internal"))
    }
    // A dry run, because the set may be found elsewhere.
    let nowhere = exec(
      "train", Places.graph("vanilla-gan"), "--data-dir", folder.path, "--data", "mnist",
      "--dry-run")
    if nowhere.code != 0 {
      #expect(nowhere.code == 3)
      #expect(nowhere.messages.contains(folder.path))
    }
  }

  @Test func resultsAndMessagesAreApart() throws {
    let data = exec("data", "synthetic")
    #expect(data.code == 0 && data.messages.isEmpty)
    #expect(data.output.contains("60000") && data.output.contains("[28, 28, 1]"))
    let json = exec("data", "synthetic", "--json")
    #expect(try JSONValue.parse(json.output, name: "json")["examples"]?.intValue == 60_000)
    let devices = exec("devices")
    #expect(devices.code == 0 && devices.output.hasPrefix("cpu"))
    let threads = exec("devices", "--threads", "3", "--isa", "base")
    #expect(threads.output.contains("base") && threads.output.contains("3 threads"))
  }

  @Test func aDryRunTrainsNothing() throws {
    let folder = try TemporaryFolder()
    let run = folder.file("run")
    let result = exec(
      "train", Places.graph("vanilla-gan"), "--data", "synthetic", "--dry-run", "--out", run)
    #expect(result.code == 0, "\(result.messages)")
    #expect(result.output.contains("468 steps an epoch"))
    #expect(!FileIO.exists(run))
  }

  @Test func jsonLinesOfARun() throws {
    let folder = try TemporaryFolder()
    let result = exec(
      "train", Places.graph("vanilla-gan"), "--data", "synthetic", "--batch", "2", "--steps", "3",
      "--out", folder.file("run"), "--json", "--quiet")
    #expect(result.code == 0 && result.messages.isEmpty, "\(result.messages)")
    let lines = try result.output.split(separator: "\n").map {
      try JSONValue.parse(String($0), name: "line")
    }
    let steps = lines.filter { $0["event"] == nil }
    #expect(steps.map { $0["step"]?.intValue } == [1, 2, 3])
    #expect(steps.allSatisfy { $0["dLoss"]?.doubleValue != nil && $0["ms"]?.doubleValue != nil })
  }

  // MARK: Parsing

  @Test func parsedArguments() throws {
    let spec = CommandSpec(
      "x", "A [B]", count: 1...2, "Does x.",
      options: [OptionSpec("--list", "N", "numbers"), OptionSpec("--flag", nil, "a flag")])
    let parsed = try ParsedArguments(
      ["a", "--list", "1", "--list=2", "--flag", "--set", "n=a=b", "--", "--list"], spec)
    #expect(parsed.positionals == ["a", "--list"])
    #expect(parsed.values("--list") == ["1", "2"] && parsed.value("--list") == "2")
    #expect(parsed.has("--flag") && !parsed.has("--help"))
    #expect(try parsed.settings().map(\.value) == ["a=b"])
    for wrong in [[], ["a", "b", "c"], ["a", "--lst", "1"], ["a", "--list"], ["a", "--flag=1"]] {
      #expect(throws: UsageError.self) { try ParsedArguments(wrong, spec) }
    }
    #expect(throws: UsageError.self) { try ParsedArguments(["a", "--set", "=3"], spec).settings() }
  }
}
