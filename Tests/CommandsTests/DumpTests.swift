// `--dump-dir`, `--before` and `--after`: which graphs are written, that they are the same in every process, read back,
// and can be gone on from; and what is said of those that cannot.

import Basics
import CommandSupport
import Commands
import Formats
import Foundation
import GraphIR
import Operators
import Passes
import TestSupport
import Testing

@Suite struct DumpTests {
  private struct Dump {
    var file: String
    var run: Int
    var pass: String
    var when: String
    var stage: String
  }

  private func dumps(in folder: String) throws -> [Dump] {
    let index = try JSONValue.parse(try text("\(folder)/index.json"), name: "index")
    #expect(index["ir_version"]?.intValue == IRText.version)
    return try #require(index["dumps"]?.arrayValue).map { entry in
      Dump(
        file: try #require(entry["file"]?.stringValue), run: try #require(entry["run"]?.intValue),
        pass: try #require(entry["pass"]?.stringValue),
        when: try #require(entry["when"]?.stringValue),
        stage: try #require(entry["stage"]?.stringValue))
    }
  }

  /// Every dump of every graph of the repository says its stage and reads back to the same text.
  @Test(arguments: Places.models)
  func everyDumpReadsBack(model: String) throws {
    let folder = try TemporaryFolder()
    let result = compile(Places.graph(model), "--dump-dir", folder.path, "--batch", "4")
    #expect(result.code == 0, "\(result.messages)")
    let dumps = try dumps(in: folder.path)
    let names = try FileIO.list(folder.path)
    #expect(dumps.map(\.file) == names.filter { $0.hasSuffix(".ir") })
    #expect(names.count == dumps.count + 2 && dumps.count > 20)
    for dump in dumps {
      let text = try text(folder.file(dump.file))
      let graph = try GraphParser.parseOne(
        SourceText(name: dump.file, text), operations: OperatorSet.standard)
      #expect(GraphPrinter.text(graph) == text, "\(dump.file)")
      #expect(graph.stage.rawValue == dump.stage)
    }
    #expect(dumps.first?.stage == "raw" && dumps.last?.stage == "fused")
    let times = try JSONValue.parse(try text(folder.file("times.json")), name: "times")
    #expect(times["passes"]?.arrayValue?.count == dumps.count - 1)
  }

  /// From each dump, the rest of the passes lead to the same end.
  @Test func everyDumpCanBeGoneOnFrom() throws {
    let folder = try TemporaryFolder()
    let path = Places.graph("vanilla-gan")
    #expect(compile(path, "--dump-dir", folder.path, "--batch", "4").code == 0)
    let dumps = try dumps(in: folder.path)
    let last = try text(folder.file(dumps[dumps.count - 1].file))
    for (index, dump) in dumps.enumerated() {
      let rest = dumps[(index + 1)...].map(\.pass).joined(separator: ",")
      let result = compile(folder.file(dump.file), "--emit", "ir", "--pipeline", rest)
      #expect(result.code == 0, "\(dump.file): \(result.messages)")
      #expect(result.output == last, "\(dump.file)")
    }
  }

  /// Hashing is seeded anew in each process, so that what depended on the order of a dictionary would show here.
  @Test func dumpsAreTheSameInEveryProcess() throws {
    let folder = try TemporaryFolder()
    for threads in ["1", "5"] {
      let process = Process()
      process.executableURL = URL(filePath: try built("gan-compile"))
      process.arguments = [
        Places.graph("dcgan-mnist"), "--dump-dir", folder.file(threads), "--threads", threads,
        "--batch", "4", "--before", "*", "--after", "*",
      ]
      try process.run()
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
    }
    let names = try FileIO.list(folder.file("1"))
    #expect(names.count > 40)
    #expect(try names == FileIO.list(folder.file("5")))
    for name in names where name != "times.json" {
      #expect(try text(folder.file("1/\(name)")) == text(folder.file("5/\(name)")), "\(name)")
    }
  }

  @Test func patternsChooseRuns() throws {
    let folder = try TemporaryFolder()
    let path = Places.graph("dense-gan")
    let result = compile(
      path, "--dump-dir", folder.path, "--batch", "4", "--before", "fuse-*", "--after",
      "*-gradients", "--after", "2")
    #expect(result.code == 0, "\(result.messages)")
    let dumps = try dumps(in: folder.path)
    let found = dumps.map { "\($0.when) \($0.pass)" }
    #expect(
      found == [
        "after simplify", "after expand-gradients", "before fuse-elementwise",
        "before fuse-epilogues", "before fuse-horizontally",
      ])
    #expect(dumps[0].file == "002-simplify.ir" && dumps[0].run == 2)
    #expect(dumps[2].file.hasSuffix("-fuse-elementwise.before.ir"))
    #expect(try FileIO.list(folder.path).count == 7)
    // The same graph by its pattern alone.
    let emitted = compile(path, "--batch", "4", "--emit", "ir", "--before", "fuse-el?mentwise")
    #expect(try emitted.output == text(folder.file(dumps[2].file)))
  }

  @Test func wrongPatterns() {
    let path = Places.graph("dense-gan")
    for (arguments, says) in [
      (["--after", "simplfy"], "did you mean simplify?"), (["--before", "fold*x"], "fold*x"),
      (["--after", "999"], "no run 999"),
      (["--after", "join-batches", "--math", "exact"], "did not run"),
    ] {
      let result = compile([path, "--emit", "ir", "--batch", "4"] + arguments)
      #expect(result.code == 2, "\(arguments)")
      #expect(result.messages.contains(says), "\(result.messages)")
      #expect(result.output.isEmpty)
    }
  }

  /// Where nothing is shown that `--before` and `--after` could choose, they are refused, and so is a wrong name.
  @Test func choicesWithoutEffect() throws {
    let path = Places.graph("dense-gan")
    let folder = try TemporaryFolder()
    for (arguments, says) in [
      ([], "nothing says how"), (["--emit", "plan"], "whole pipeline"),
      (["--emit", "cost"], "whole pipeline"), (["--emit", "syntax"], "of passes"),
      (["--time-passes"], "nothing says how"),
    ] {
      let result = compile([path, "--batch", "4", "--after", "simplify"] + arguments)
      #expect(result.code == 2, "\(arguments)")
      #expect(result.messages.contains(says), "\(arguments): \(result.messages)")
      #expect(result.output.isEmpty)
      let wrong = compile([path, "--batch", "4", "--after", "simplfy"] + arguments)
      #expect(wrong.code == 2, "\(arguments)")
    }
    #expect(compile(path, "--emit", "syntax", "--dump-dir", folder.path).code == 2)
    // With a choice, JSON is of the graph that it names.
    let json = compile(path, "--batch", "4", "--emit", "json", "--before", "1")
    #expect(json.code == 0, "\(json.messages)")
    let value = try JSONValue.parse(json.output, name: "json")
    #expect(value["graph"]?.stringValue == "train" && value["stage"]?.stringValue == "raw")
    let dumped = compile(
      path, "--batch", "4", "--emit", "plan", "--dump-dir", folder.path, "--after", "simplify")
    #expect(dumped.code == 0, "\(dumped.messages)")
    let file = try folder.write(
      compile(path, "--batch", "4", "--emit", "ir").output, to: "x.ir")
    #expect(compile(file, "--emit", "syntax").code == 2)
  }

  /// A folder holds the dumps of one pipeline; what is not ours stays.
  @Test func oldDumpsGo() throws {
    let folder = try TemporaryFolder()
    let path = Places.graph("dense-gan")
    #expect(compile(path, "--dump-dir", folder.path, "--batch", "4").code == 0)
    try folder.write("mine", to: "mine.ir")
    let many = try FileIO.list(folder.path).count
    let file = folder.file("000-elaborated.ir")
    let read = try folder.write(try text(file), to: "again.ir")
    let result = compile(
      read, "--dump-dir", folder.path, "--pipeline", "simplify,dead-code")
    #expect(result.code == 0, "\(result.messages)")
    let names = try FileIO.list(folder.path)
    #expect(
      names == [
        "000-read.ir", "001-simplify.ir", "002-dead-code.ir", "again.ir", "index.json", "mine.ir",
        "times.json",
      ])
    #expect(names.count < many)
    #expect(try dumps(in: folder.path).map(\.pass) == ["read", "simplify", "dead-code"])
    // A wrong choice takes nothing away.
    #expect(compile(path, "--dump-dir", folder.path, "--after", "999").code == 2)
    #expect(try FileIO.list(folder.path) == names)
  }

  // MARK: Passes that fail

  /// What was done before a pass failed is there, and the error names the last graph.
  @Test func dumpsUpToAFailure() throws {
    let folder = try TemporaryFolder()
    let result = compile(
      Places.graph("dense-gan"), "--dump-dir", folder.path, "--batch", "4", "--pipeline",
      "simplify,dead-code,fuse-elementwise")
    #expect(result.code == 1, "\(result.messages)")
    #expect(result.messages.contains("002-dead-code.ir"), "\(result.messages)")
    #expect(
      try FileIO.list(folder.path) == [
        "000-elaborated.ir", "001-simplify.ir", "002-dead-code.ir", "index.json", "times.json",
      ])
  }

  /// A pass that breaks the graph: the graph before it is saved, with what makes it happen again.
  @Test func theLastGoodGraph() throws {
    struct Breaking: Pass {
      let name = "dead-code"
      let summary = "Wrong on purpose."
      func run(_ graph: Graph) -> Graph {
        var graph = graph
        graph.values[graph.nodes.elements[0].results[0]].type = TensorType(.bool, [77])
        return graph
      }
    }
    let folder = try TemporaryFolder()
    let raw = compile(
      Places.graph("dense-gan"), "--batch", "4", "--graph", "generator", "--emit", "ir",
      "--before", "1"
    ).output
    let graph = try GraphParser.parseOne(
      SourceText(name: "x.ir", raw), operations: OperatorSet.standard)
    let runner = PassRunner(
      Pipeline([.once(Simplify()), .once(Breaking())]), verifies: true)
    let good = GraphPrinter.text(try Simplify().run(graph))
    do {
      _ = try runner.run(graph)
      Issue.record("the pass is wrong")
    } catch {
      var messages = ""
      let console = Console(output: { _ in }, errors: { messages += $0 }, isTerminal: false)
      let code = report(error, program: "gan-compile", on: console, savingTo: folder.path)
      #expect(code == 70)
      let file = folder.file("generator.last-good.ir")
      #expect(try text(file) == good)
      #expect(messages.contains("gan-compile \(file) --pipeline dead-code --verify-each"))
    }
    // With a folder for dumps it is the last one there.
    let dumps = DumpFolder(folder.file("dumps"), isOfDump: false)
    do {
      _ = try ChosenPipeline.history(of: graph, runner, savingTo: dumps)
      Issue.record("the pass is wrong")
    } catch let error as InternalError {
      #expect(error.message.contains("001-simplify.ir") && error.lastGood?.text == nil)
      #expect(try text(folder.file("dumps/001-simplify.ir")) == good)
    }
  }

  // MARK: Dumps that cannot be used

  @Test func aPipelineThatNeedsALaterStage() throws {
    let folder = try TemporaryFolder()
    let raw = compile(Places.graph("dense-gan"), "--emit", "ir", "--before", "1", "--batch", "4")
    let file = try folder.write(raw.output, to: "raw.ir")
    let fused = compile(file, "--pipeline", "fuse-elementwise", "--emit", "ir")
    #expect(fused.code == 1)
    #expect(fused.messages.contains("stage differentiated; this one is raw"), "\(fused.messages)")
    #expect(fused.messages.contains("expand-gradients must come before"))
    for form in ["plan", "memory"] {
      let planned = compile(file, "--pipeline", "", "--emit", form)
      #expect(planned.code == 2 && planned.messages.contains("raw"), "\(planned.messages)")
    }
  }

  @Test func newerAndTruncatedDumps() throws {
    let folder = try TemporaryFolder()
    let good = compile(
      Places.graph("dense-gan"), "--emit", "ir", "--graph", "generator", "--batch", "4"
    ).output
    let newer = good.replacingOccurrences(of: "swift-gan ir 1", with: "swift-gan ir 2")
    let half = String(good.prefix(good.count / 2))
    let line = good.split(separator: "\n").dropLast(2).joined(separator: "\n")
    for (text, code) in [
      (newer, "ir.version"), (half, "ir."), (line, "ir.truncated"), ("", "ir.version"),
      ("model \"x\"", "ir.version"),
    ] {
      let file = try folder.write(text, to: "x.ir")
      for arguments in [[file], ["diff", file, file], ["diff", Places.graph("dense-gan"), file]] {
        let result = compile(arguments)
        #expect(result.code == 1, "\(arguments)")
        #expect(result.messages.hasPrefix("\(file):"), "\(result.messages)")
        #expect(result.messages.contains("[\(code)"), "\(result.messages)")
      }
    }
  }
}
