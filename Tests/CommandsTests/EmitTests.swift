// The forms of a program: each is there, reads back where it can be read, and is the same in every
// run.

import Basics
import CommandSupport
import Formats
import Foundation
import GraphIR
import Operators
import TestSupport
import Testing

@Suite struct EmitTests {
  private func parsed(_ text: String) throws -> Graph {
    try GraphParser.parseOne(SourceText(name: "emitted", text), operations: OperatorSet.standard)
  }

  @Test(arguments: ["train", "sample", "generator", "discriminator"])
  func irReadsBack(graph: String) throws {
    let folder = try TemporaryFolder()
    let path = Places.graph("vanilla-gan")
    for options in [[], ["-O0"], ["--pass-limit", "3"]] {
      let first = compile([path, "--emit", "ir", "--graph", graph] + options)
      #expect(first.code == 0, "\(first.messages)")
      let read = try parsed(first.output)
      #expect(GraphPrinter.text(read) == first.output)
      // The same text from the text, without any further pass.
      let file = try folder.write(first.output, to: "graph.ir")
      let again = compile(file, "--emit", "ir", "--pipeline", "")
      #expect(again.code == 0, "\(again.messages)")
      #expect(again.output == first.output)
    }
  }

  @Test(arguments: ["ir", "plan", "dot", "json", "memory", "syntax"])
  func everyFormIsStable(form: String) throws {
    let path = Places.graph("dense-gan")
    let first = compile(path, "--emit", form)
    #expect(first.code == 0, "\(first.messages)")
    #expect(first.output.count > 500)
    #expect(compile(path, "--emit", form).output == first.output)
    switch form {
    case "json": _ = try JSONValue.parse(first.output, name: "json")
    case "dot":
      #expect(first.output.hasPrefix("digraph"))
      let bare = unquoted(first.output)
      #expect(bare.count { $0 == "{" } == bare.count { $0 == "}" })
    case "memory": #expect(first.output.contains("arena"))
    case "syntax": #expect(first.output.contains("generator"))
    default: break
    }
  }

  /// The text without its quoted parts.
  private func unquoted(_ text: String) -> String {
    var out = ""
    var isQuoted = false
    var isEscaped = false
    for character in text {
      if character == "\"", !isEscaped { isQuoted.toggle() }
      isEscaped = character == "\\" && !isEscaped
      if !isQuoted { out.append(character) }
    }
    return out
  }

  @Test func jsonOfAGraph() throws {
    let result = compile(Places.graph("dense-gan"), "--emit", "json", "--graph", "generator", "-O0")
    let value = try JSONValue.parse(result.output, name: "json")
    #expect(value["graph"]?.stringValue == "generator")
    let nodes = value["nodes"]?.arrayValue ?? []
    #expect(nodes.contains { $0["operation"]?.stringValue == "matmul" })
    #expect(nodes.contains { ($0["line"]?.intValue ?? 0) > 0 })
  }

  @Test func beforeAndAfterAPass() throws {
    let path = Places.graph("vanilla-gan")
    let before = compile(path, "--emit", "ir", "--before", "expand-gradients")
    let after = compile(path, "--emit", "ir", "--after", "expand-gradients")
    #expect(before.code == 0 && after.code == 0)
    #expect(before.output.contains(" gradient(") && !after.output.contains(" gradient("))
    let wrong = compile(path, "--emit", "ir", "--after", "expand-gradient")
    #expect(wrong.code == 2)
    #expect(wrong.messages.contains("expand-gradients"))
  }

  @Test func passesAreListedAndTimed() {
    let list = compile("--list-passes")
    #expect(list.code == 0)
    #expect(compile("passes").output == list.output)
    for name in ["dead-code", "expand-gradients"] { #expect(list.output.contains(name)) }
    let timed = compile(Places.graph("dense-gan"), "--time-passes", "--verify-each")
    #expect(timed.code == 0)
    #expect(timed.messages.contains("expand-gradients") && timed.messages.contains(" ms"))
    let disabled = compile(
      Places.graph("dense-gan"), "--time-passes", "--disable", "dead-code", "--emit", "ir")
    #expect(disabled.code == 0 && !disabled.messages.contains("dead-code"))
  }

  @Test func graphsOfAProgram() {
    let wrong = compile(Places.graph("dense-gan"), "--emit", "ir", "--graph", "generatr")
    #expect(wrong.code == 2)
    #expect(wrong.messages.contains("generator") && wrong.messages.contains("train"))
  }

  @Test func aWrongIRFile() throws {
    let folder = try TemporaryFolder()
    let good = compile(Places.graph("dense-gan"), "--emit", "ir", "--graph", "generator", "-O0")
      .output
    let file = try folder.write(
      good.replacingOccurrences(of: "matmul(", with: "matmull("), to: "x.ir")
    let result = compile(file)
    #expect(result.code == 1)
    #expect(result.messages.hasPrefix("\(file):"))
    #expect(result.messages.contains("matmull"))
    #expect(compile(folder.file("missing.ir")).code == 3)
  }

  // MARK: Format, ops, check

  @Test(arguments: Places.models)
  func formatIsIdempotent(model: String) throws {
    let folder = try TemporaryFolder()
    let path = Places.graph(model)
    let once = compile("format", path)
    #expect(once.code == 0)
    #expect(try once.output == text(path), "the programs are in the canonical layout")
    let crowded = try text(path).replacingOccurrences(of: "  ", with: " ")
    let file = try folder.write(crowded, to: "x.gan")
    #expect(compile("format", file, "--check").code == 4)
    #expect(compile("format", file, "--in-place").code == 0)
    let formatted = try text(file)
    #expect(compile("format", file, "--check").code == 0)
    #expect(compile("format", file).output == formatted)
  }

  @Test func operations() {
    let all = compile("ops")
    #expect(all.code == 0)
    for name in OperatorSet.standard.names {
      #expect(all.output.contains("\n\(name) ") || all.output.hasPrefix("\(name) "), "\(name)")
      #expect(compile("ops", name).code == 0)
    }
    #expect(compile("ops", "conv2d").output.contains("padding"))
    let wrong = compile("ops", "conv2")
    #expect(wrong.code == 2 && wrong.messages.contains("conv2d"))
  }

  @Test func defaultsInUseAreExplainedWithTheirPlaces() {
    let result = compile("explain", Places.graph("dcgan-mnist"))
    #expect(result.code == 0)
    #expect(result.output.contains("batch = 256"))
    #expect(result.output.contains("dcgan-mnist.gan:14:"))
    #expect(result.output.contains("momentum"))
  }
}
