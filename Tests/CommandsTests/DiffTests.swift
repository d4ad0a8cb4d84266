// `gan-compile diff`: golden texts over two small programs, JSON, colours, exit codes.

import CommandSupport
import Commands
import Formats
import Foundation
import TestSupport
import Testing

@Suite struct DiffTests {
  private static let dense = """
    model "tiny"
    let batch = 4
    data images: [batch, 6] in -1...1 from "/nowhere/images.npy"
    network generator(z: [n, 3]) -> [n, 6] {
      z |> dense(8) |> relu() |> dense(6) |> tanh()
    }
    network discriminator(x: [n, 6]) -> [n, 1] { x |> dense(1) }
    train(steps: 3) {
      let fake = generator(normal([batch, 3]))
      let dLoss = bceWithLogits(discriminator(images), 1) + bceWithLogits(discriminator(fake), 0)
      update discriminator minimizing dLoss with sgd(0.1)
      report dLoss
    }
    sample(count: 4) { generator(normal([count, 3])) }
    """

  private static let convolutions = """
    model "small"
    network net(x: [n, 4, 4, 2]) -> [n, 8, 8, 3] {
      x |> upsample(2) |> conv2D(3, kernel: 3, padding: same) |> leakyReLU(0.2)
    }
    sample(count: 2) { net(normal([count, 4, 4, 2])) }
    """

  /// The difference of a program to itself with some text replaced; paths are `a.gan` and `b.gan`.
  private func diff(
    _ program: String, _ pairs: [(String, String)], _ options: String...
  ) throws -> (code: Int32, output: String) {
    let folder = try TemporaryFolder()
    var other = program
    for (old, new) in pairs {
      #expect(other.contains(old))
      other = other.replacingOccurrences(of: old, with: new)
    }
    let a = try folder.write(program, to: "a.gan")
    let b = try folder.write(other, to: "b.gan")
    let result = compile(["diff", a, b] + options)
    #expect(result.messages.isEmpty, "\(result.messages)")
    return (result.code, result.output.replacingOccurrences(of: folder.path + "/", with: ""))
  }

  @Test func namesAndLayoutAreNoDifference() throws {
    for pairs in [
      [], [("fake", "forged")], [("let batch = 4\n", "\n\n// A comment.\nlet batch = 2 * 2\n")],
      [("z: [n, 3]", "z: [m, 3]"), ("-> [n, 6]", "-> [m, 6]"), ("  z |>", "  z\n |>")],
      [("batch", "size")],
    ] {
      let found = try diff(Self.dense, pairs)
      #expect(found.code == 0, "\(pairs): \(found.output)")
      #expect(found.output == "no difference\n")
    }
  }

  @Test func textOfAChangedLayer() throws {
    let found = try diff(Self.dense, [("relu()", "tanh()")])
    #expect(found.code == 4)
    #expect(
      found.output == """
        graph train: 1 changed
          ~ %7 relu -> tanh f32[4, 8] at b.gan:5:20 generator
        graph sample: 1 changed
          ~ %7 relu -> tanh f32[4, 8] at b.gan:5:20 generator
        graph generator: 1 changed
          ~ %5 relu -> tanh f32[4, 8] at b.gan:5:20 generator

        """)
  }

  @Test func textOfAnInsertedLayer() throws {
    let found = try diff(
      Self.convolutions, [("|> leakyReLU(0.2)", "|> leakyReLU(0.3) |> tanh()")], "--graph", "net")
    #expect(found.code == 4)
    #expect(
      found.output == """
        graph net: 1 added, 1 changed
          ~ %6 leaky_relu f32[2, 8, 8, 3] at b.gan:3:62 net
              slope: 0.2 -> 0.3
          + %7 tanh f32[2, 8, 8, 3] at b.gan:3:80 net
              reads %6 leaky_relu
              read by output result "0"

        """)
  }

  /// What is new or in another's place is shown with its attributes.
  @Test func textOfAttributes() throws {
    let changed = try diff(Self.dense, [("relu()", "leakyReLU(0.3)")], "--graph", "generator")
    #expect(
      changed.output == """
        graph generator: 1 changed
          ~ %5 relu -> leaky_relu {slope: 0.3} f32[4, 8] at b.gan:5:20 generator

        """)
    let added = try diff(
      Self.dense, [("relu()", "relu() |> leakyReLU(0.3)")], "--graph", "generator")
    #expect(added.output.contains("  + %6 leaky_relu {slope: 0.3} f32[4, 8]"), "\(added.output)")
  }

  @Test func textOfParametersAndTraining() throws {
    let found = try diff(
      Self.dense, [("dense(8)", "dense(7)"), ("steps: 3", "steps: 4"), ("-1...1", "0...1")])
    #expect(found.code == 4)
    let head = found.output.components(separatedBy: "graph train").first ?? ""
    #expect(
      head == """
        program: 2 differ
          ~ train: 3 steps -> 4 steps
          ~ sample: count 4, seed 0, shown in -1.0...1.0 -> count 4, seed 0, shown in 0.0...1.0
        data: 1 differs
          ~ images: f32[4, 6] in -1.0...1.0 from "/nowhere/images.npy", shuffled -> f32[4, 6] in 0.0...1.0 \
        from "/nowhere/images.npy", shuffled
        parameters and states: 3 differ
          ~ generator/dense/kernel: f32[3, 8], uniform in -0.738549...0.738549, \
        parameter -> f32[3, 7], uniform in -0.774597...0.774597, parameter
          ~ generator/dense/bias: f32[8], begins as 0.0, parameter -> f32[7], begins as 0.0, parameter
          ~ generator/dense_1/kernel: f32[8, 6], uniform in -0.654654...0.654654, \
        parameter -> f32[7, 6], uniform in -0.679366...0.679366, parameter

        """)
    #expect(found.output.contains("graph train: 3 retyped\n"), "\(found.output)")
  }

  @Test func textOfAPass() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Self.convolutions, to: "a.gan")
    let result = compile(
      "diff", path, "--graph", "net", "--before", "fuse-elementwise", "--after", "fuse-epilogues")
    #expect(result.code == 4, "\(result.messages)")
    #expect(
      result.output.replacingOccurrences(of: folder.path + "/", with: "") == """
        graph net before fuse-elementwise -> after fuse-epilogues: 1 fused
          stage: differentiated -> fused
          * fused into %4 fused f32[2, 8, 8, 3] at a.gan:3:62 net
              %4 conv2d f32[2, 8, 8, 3] at a.gan:3:23 net/conv2D
              %5 add f32[2, 8, 8, 3] at a.gan:3:23 net/conv2D
              %6 leaky_relu f32[2, 8, 8, 3] at a.gan:3:62 net

        """)
    let none = compile(
      "diff", path, "--graph", "net", "--after", "factor-sums", "--after", "factor-sums")
    #expect(none.code == 0 && none.output == "no difference\n")
  }

  /// A dump against the program that it was made of, and against another one.
  @Test func dumps() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Self.dense, to: "a.gan")
    #expect(compile(path, "--dump-dir", folder.file("dumps")).code == 0)
    let first = folder.file("dumps/000-elaborated.ir")
    #expect(compile("diff", first, path).code == 0)
    let names = try FileIO.list(folder.file("dumps")).filter { $0.hasSuffix(".ir") }
    for name in names {
      let dump = folder.file("dumps/\(name)")
      #expect(compile("diff", dump, dump).output == "no difference\n")
      #expect(compile("diff", dump, dump, "--graph", "train").code == 2)
    }
    let last = folder.file("dumps/\(names[names.count - 1])")
    #expect(compile("diff", first, last).code == 4)
    #expect(
      compile("diff", last, path, "--after", "\(names.count - 1)").output == "no difference\n")
  }

  /// Samples with names and steps with conditional blocks are found by the names that their dumps say.
  @Test func dumpsOfNamedGraphs() throws {
    let folder = try TemporaryFolder()
    let text = Self.dense.replacing("sample(count: 4)", with: "sample walk(count: 4)")
    let path = try folder.write(text, to: "a.gan")
    for graph in ["train", "sample:walk", "generator"] {
      let dump = compile(path, "--emit", "ir", "--graph", graph, "--before", "1")
      let file = try folder.write(dump.output, to: "dump.ir")
      #expect(compile("diff", file, path).output == "no difference\n", "\(graph)")
      #expect(compile("diff", path, file).output == "no difference\n", "\(graph)")
    }
    let dump = compile(path, "--emit", "ir", "--graph", "sample:walk", "--before", "1")
    let other = try folder.write(
      dump.output.replacing("sample walk", with: "sample run"), to: "other.ir")
    let unknown = compile("diff", other, path)
    #expect(unknown.code == 2 && unknown.messages.contains("sample run"), "\(unknown.messages)")
    #expect(compile("diff", other, path, "--graph", "sample:walk").code == 0)
  }

  /// No pass runs on fused graphs unless it is named; what is compared says where it was taken.
  @Test func places() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Self.dense, to: "a.gan")
    let fused = try folder.write(compile(path, "--emit", "ir").output, to: "fused.ir")
    let none = compile("diff", fused, fused, "--after", "simplify")
    #expect(none.code == 2 && none.messages.contains("fused"), "\(none.messages)")
    let chosen = compile("diff", fused, fused, "--after", "simplify", "--pipeline", "simplify")
    #expect(chosen.code == 0, "\(chosen.messages)")
    let other = try folder.write(
      Self.dense.replacing("relu()", with: "tanh()"), to: "b.gan")
    let text = compile("diff", path, other, "--after", "simplify")
    #expect(text.output.hasPrefix("graph train after simplify: "), "\(text.output)")
    let json = try JSONValue.parse(
      compile("diff", path, other, "--after", "simplify", "--json").output, name: "json")
    #expect(json["before"]?.stringValue == "\(path) after simplify")
    #expect(json["after"]?.stringValue == "\(other) after simplify")
  }

  @Test func json() throws {
    let found = try diff(Self.dense, [("relu()", "tanh()")], "--json")
    #expect(found.code == 4 && found.output.count { $0 == "\n" } == 1)
    let value = try JSONValue.parse(found.output, name: "json")
    #expect(value["equal"]?.boolValue == false)
    #expect(value["before"]?.stringValue == "a.gan" && value["after"]?.stringValue == "b.gan")
    let graphs = try #require(value["graphs"]?.arrayValue)
    #expect(graphs.map { $0["graph"]?.stringValue } == ["train", "sample", "generator"])
    let changes = try #require(graphs[0]["difference"]?["changes"]?.arrayValue)
    #expect(changes.count == 1)
    #expect(changes[0]["kind"]?.stringValue == "changed")
    #expect(changes[0]["before"]?.arrayValue?.first?["name"]?.stringValue == "relu")
    #expect(changes[0]["after"]?.arrayValue?.first?["line"]?.intValue == 5)
    #expect(graphs[0]["difference"]?["counts"]?["changed"]?.intValue == 1)
    let none = try diff(Self.dense, [], "--json")
    #expect(none.code == 0)
    #expect(try JSONValue.parse(none.output, name: "json")["equal"]?.boolValue == true)
  }

  @Test func colours() throws {
    let folder = try TemporaryFolder()
    let a = try folder.write(Self.convolutions, to: "a.gan")
    let b = try folder.write(
      Self.convolutions.replacingOccurrences(of: "|> leakyReLU(0.2)", with: ""), to: "b.gan")
    for usesColour in [true, false] {
      var output = ""
      let console = Console(
        output: { output += $0 }, errors: { _ in }, isTerminal: true, usesColour: usesColour)
      #expect(ganCompile(["diff", a, b], console: console) == 4)
      #expect(output.contains("\u{1B}[31m- %") == usesColour)
      #expect(output.contains("\u{1B}") == usesColour)
    }
    #expect(Console.allowsColour(["TERM": "xterm"]) && Console.allowsColour(["NO_COLOR": ""]))
    #expect(!Console.allowsColour(["NO_COLOR": "1"]) && !Console.allowsColour(["TERM": "dumb"]))
  }

  @Test func wrongUsage() throws {
    let path = Places.graph("dense-gan")
    for (arguments, code, says) in [
      ([], 2, "expected A [B]"), ([path], 2, "second file"),
      ([path, "--after", "simplify"], 2, "second file"),
      ([path, path, "--after", "simplify", "--after", "dead-code"], 2, "one place"),
      ([path, "--after", "simplfy", "--after", "dead-code"], 2, "did you mean simplify?"),
      ([path, path, "--graph", "generatr"], 2, "did you mean generator?"),
      ([path, path, "--pipeline", "simplify"], 2, "--pipeline changes what passes do"),
      ([path, path, "--graph", "train", "--disable", "simplify"], 2, "--disable changes"),
      ([path, path, "--verify-each"], 2, "--verify-each changes"),
      ([path, path, "--pass-limit", "3"], 2, "--pass-limit changes"),
      ([path, "/nowhere.gan"], 3, "/nowhere.gan"),
    ] as [([String], Int32, String)] {
      let result = compile(["diff"] + arguments)
      #expect(result.code == code, "\(arguments): \(result.messages)")
      #expect(result.messages.contains(says), "\(arguments): \(result.messages)")
      #expect(result.output.isEmpty)
    }
  }
}
