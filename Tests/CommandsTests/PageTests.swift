// `gan-compile FILE --emit html`: what is embedded is the whole graph, nothing of a program ends the script early,
// nothing is loaded from elsewhere; in a browser, where there is one, the page draws itself.

import CommandSupport
import Formats
import Foundation
import TestSupport
import Testing

@testable import Commands

@Suite struct PageTests {
  /// The graph that a page carries.
  private func embedded(_ page: String) throws -> JSONValue {
    let start = try #require(page.range(of: "<script type=\"application/json\" id=\"graph\">"))
    let end = try #require(page.range(of: "</script>", range: start.upperBound..<page.endIndex))
    return try JSONValue.parse(String(page[start.upperBound..<end.lowerBound]), name: "page")
  }

  /// Each node with its operands, results, type and place, as `--emit json` says it.
  @Test(arguments: [TinyPrograms.convolutional, TinyPrograms.dense])
  func holdsTheWholeGraph(program: String) throws {
    for options in [[], ["-O0"], ["--graph", "generator"], ["--after", "expand-gradients"]] {
      let page = try embedded(try view(program, ["--emit", "html"] + options))
      let plain =
        ["--emit", "json"] + options + (options.first == "--graph" ? [] : ["--graph", "train"])
      let graph = try JSONValue.parse(try view(program, plain), name: "json")
      let nodes = page["nodes"]?.arrayValue ?? []
      let expected = graph["nodes"]?.arrayValue ?? []
      #expect(nodes.count == expected.count && nodes.count > 2)
      for (node, other) in zip(nodes, expected) {
        for key in ["operation", "operands", "results", "line", "column", "path", "notes"] {
          #expect(node[key] == other[key], "\(key)")
        }
        let types = (node["results"]?.arrayValue ?? []).map {
          page["types"]?.arrayValue?[$0.intValue ?? 0] ?? .null
        }
        #expect(.array(types) == other["types"])
      }
      #expect(page["inputs"]?.arrayValue?.count == graph["inputs"]?.arrayValue?.count)
      #expect(page["outputs"]?.arrayValue?.count == graph["outputs"]?.arrayValue?.count)
      let lines = page["source"]?.arrayValue?.compactMap(\.stringValue) ?? []
      #expect(lines.joined(separator: "\n") == program)
    }
  }

  /// The program has `</script>` and quotes in a comment and a string, the file in its name, a graph in its name.
  @Test func nothingEndsTheScriptEarly() throws {
    let folder = try TemporaryFolder()
    let name = "a <b>&\"'.gan"
    let file = try folder.write(TinyPrograms.dense, to: name)
    let result = compile(file, "--emit", "html")
    #expect(result.code == 0, "\(result.messages)")
    #expect(result.output.components(separatedBy: "</script>").count == 3)
    #expect(!result.output.contains("<!-- "))
    #expect(result.output.contains("<title>a &lt;b&gt;&amp;&quot;'.gan: train</title>"))
    #expect(try embedded(result.output)["title"]?.stringValue == "\(name): train")
    let ir = """
      // swift-gan ir 1
      graph "</script><script>\\"" stage fused {
        input %0 argument "</script>" : f32[2]
        %1 = relu(%0) : f32[2]
        output result "<!--" %1
      }

      """
    let graph = compile(try folder.write(ir, to: "x.ir"), "--emit", "html")
    #expect(graph.code == 0, "\(graph.messages)")
    #expect(graph.output.components(separatedBy: "</script>").count == 3)
    #expect(try embedded(graph.output)["graph"]?.stringValue == "</script><script>\"")
    #expect(try embedded(graph.output)["source"]?.arrayValue?.isEmpty == true)
  }

  @Test func loadsNothing() throws {
    let page = try view(TinyPrograms.dense, ["--emit", "html"])
    #expect(page.contains("default-src 'none'"))
    for word in ["src=", "href=", "@import", "url(http", "fetch(", "XMLHttpRequest", "import("] {
      #expect(!page.contains(word), "\(word)")
    }
    let addresses = page.components(separatedBy: "http").dropFirst()
    #expect(
      addresses.allSatisfy { $0.hasPrefix("://www.w3.org/2000/svg") || $0.hasPrefix("-equiv") })
    #expect(try view(TinyPrograms.dense, ["--emit", "html"]) == page, "the same in every run")
  }

  @Test func timesComeFromAProfile() throws {
    let folder = try TemporaryFolder()
    let file = try folder.write(TinyPrograms.dense, to: "dense.gan")
    let profile = exec("profile", file, "--steps", "2", "--threads", "1", "--json")
    #expect(profile.code == 0, "\(profile.messages)")
    let measured = try JSONValue.parse(profile.output, name: "profile")
    let kernels = measured["kernels"]?.arrayValue ?? []
    let times = try folder.write(profile.output, to: "profile.json")
    let result = compile(file, "--emit", "html", "--profile", times)
    #expect(result.code == 0, "\(result.messages)")
    let page = try embedded(result.output)
    #expect(page["timed"] == .bool(true))
    let sum = (page["nodes"]?.arrayValue ?? []).reduce(0) { $0 + ($1["ms"]?.doubleValue ?? 0) }
    let expected = kernels.filter { $0["node"]?.intValue != nil }
      .reduce(0) { $0 + ($1["ms"]?.doubleValue ?? 0) }
    #expect(abs(sum - expected) < 1e-9 && kernels.count > 10)

    let other = compile(file, "--emit", "html", "--profile", times, "--batch", "8")
    #expect(other.code == 3 && other.messages.contains("another graph"))
    let wrong = compile(file, "--emit", "html", "--profile", try folder.write("{}", to: "x.json"))
    #expect(wrong.code == 3 && wrong.messages.contains("not a profile"))
    #expect(compile(file, "--emit", "html", "--profile", folder.file("none")).code == 3)
    #expect(compile(file, "--emit", "dot", "--profile", times).code == 2)
  }

  private static let changes: [(before: Double, after: Double, text: String)] = [
    (0, 0, "0 FLOP"), (821e6, 296e6, "821 -> 296 MFLOP"), (8192, 0, "8.192 -> 0 kFLOP"),
    (1.227e12, 183.2e9, "1227 -> 183.2 GFLOP"), (1e9, 1e9 - 3, "1000 MFLOP (-3 FLOP)"),
    (1e9, 1e9 + 3, "1 GFLOP (+3 FLOP)"),
  ]

  @Test(arguments: changes)
  func changesOfArithmetic(before: Double, after: Double, text: String) {
    #expect(flopText(before, to: after) == text)
  }

  // MARK: In a browser

  /// The page of a graph given as IR text.
  private func page(ofIR lines: [String]) throws -> String {
    let folder = try TemporaryFolder()
    let text = "// swift-gan ir 1\ngraph \"g\" stage fused {\n\(lines.joined(separator: "\n"))\n}\n"
    let result = compile(try folder.write(text, to: "graph.ir"), "--emit", "html")
    #expect(result.code == 0, "\(result.messages)")
    return result.output
  }

  /// How many boxes of a kind the picture has.
  private func boxes(_ text: String, _ kind: String) -> Int {
    text.components(separatedBy: "<g class=\"\(kind)").count - 1
  }

  private func expectWholeShapes(_ text: String) throws {
    let scene = try #require(text.components(separatedBy: "id=\"scene\"").last)
    let shapes = try #require(scene.components(separatedBy: "</svg>").first)
    #expect(!shapes.contains("NaN") && !shapes.contains("undefined"))
    #expect(!shapes.contains("Infinity"))
  }

  @Test(.enabled(if: Browser.path != nil, "no browser to try the page in"))
  func drawsItselfInABrowser() throws {
    let page = compile(Places.graph("fashion-gan"), "--emit", "html").output
    let closed = try Browser.drawn(page, "")
    #expect((20...40).contains(boxes(closed, "box ")) && boxes(closed, "group ") == 0)
    #expect(closed.contains("▸ generator (1)") && closed.contains("f32[128, 28, 28, 1]"))
    let open = try Browser.drawn(page, "open=all&search=conv2d_filter_gradient&colour=flops")
    // Every operation that is no constant, the data and the two reports.
    let graph = try embedded(page)
    let operations = (graph["nodes"]?.arrayValue ?? []).count { $0["constant"] == .bool(false) }
    #expect(boxes(open, "box ") == operations + 3 && boxes(open, "group ") > 10)
    #expect(open.contains(" found</span>") && open.contains(" hit\""))
    try expectWholeShapes(open)
    let filter = try #require(
      graph["nodes"]?.arrayValue?.first { $0["operation"] == .string("conv2d_filter_gradient") })
    let value = try #require(filter["results"]?.arrayValue?.first?.intValue)
    let chosen = try Browser.drawn(page, "select=\(value)")
    #expect(chosen.contains(" selected\""))
    #expect(chosen.contains("fashion-gan.gan:\(filter["line"]?.intValue ?? 0):"))
    #expect(chosen.contains("class=\"here\""))
    let all = try Browser.drawn(page, "open=all&constants=1&inputs=1&theme=dark")
    let inputs = graph["inputs"]?.arrayValue?.count ?? 0
    let outputs = graph["outputs"]?.arrayValue?.count ?? 0
    #expect(
      boxes(all, "box ") == (graph["nodes"]?.arrayValue?.count ?? 0) + inputs + outputs)
  }

  /// A chain of operations without a place. The later half also read the earlier, the last the first: edges past all
  /// of the others.
  private func chain(_ count: Int) -> [String] {
    var lines = ["  input %0 argument \"x\" : f32[2]"]
    for node in 1...count {
      let other = count + 1 - node
      lines.append(
        other < node
          ? "  %\(node) = add(%\(node - 1), %\(other)) : f32[2]"
          : "  %\(node) = relu(%\(node - 1)) : f32[2]")
    }
    return lines + ["  output result \"y\" %\(count)"]
  }

  @Test(.enabled(if: Browser.path != nil, "no browser to try the page in"), arguments: [800, 3000])
  func drawsALongFlatGraph(count: Int) throws {
    let text = try Browser.drawn(try page(ofIR: chain(count)), "")
    #expect(boxes(text, "box ") == count + 2)
    try expectWholeShapes(text)
    // One operand of the earlier half, two of the later; for one of these they are the same value.
    let edges = text.components(separatedBy: "<path class=\"edge").count - 1
    #expect((count + count / 2...count + count / 2 + 1).contains(edges))
  }

  @Test(.enabled(if: Browser.path != nil, "no browser to try the page in"))
  func saysThatAGraphIsTooLarge() throws {
    let page = try page(ofIR: chain(7000))
    let text = try Browser.drawn(page, "search=relu&select=3")
    #expect(text.contains("7002 boxes are too many to draw"))
    #expect(boxes(text, "box ") == 0 && text.contains("3500 found"))
    #expect(text.contains("<h2>relu</h2>"), "details of what is selected")
    let small = try Browser.drawn(try self.page(ofIR: chain(10)), "")
    #expect(boxes(small, "box ") == 12 && !small.contains("12 boxes are"))
  }

  /// States that are only passed on, exchanged or saved, and a constant that becomes one.
  private static let states: [[String]] = [
    ["  input %0 state \"a\" : f32[2]", "  output state \"a\" %0"],
    [
      "  input %0 state \"a\" : f32[2]", "  input %1 state \"b\" : f32[2]",
      "  output state \"a\" %1", "  output state \"b\" %0",
    ],
    [
      "  input %0 state \"a\" : f32[2]", "  input %1 state \"old\" : f32[2]",
      "  %2 = relu(%0) : f32[2]", "  output state \"a\" %2", "  output state \"old\" %0",
    ],
    [
      "  input %0 state \"a\" : f32[2]", "  %1 = constant() {type: f32[2], values: [0.5]} : f32[2]",
      "  output state \"a\" %1",
    ],
  ]

  @Test(.enabled(if: Browser.path != nil, "no browser to try the page in"), arguments: states)
  func statesStandBesideWhatNeedsThem(lines: [String]) throws {
    let page = try page(ofIR: lines)
    for fragment in ["inputs=1&constants=1", ""] {
      let text = try Browser.drawn(page, fragment)
      let hidden = [
        fragment.contains("inputs") ? "-" : "state \"",
        fragment.contains("constants") ? "-" : "= constant",
      ]
      let shown = lines.filter { line in !hidden.contains { line.contains($0) } }
      #expect(boxes(text, "box ") == shown.count, "\(fragment)")
      #expect(text.contains("<h2>graph g</h2>"), "\(fragment): the script ran to its end")
      try expectWholeShapes(text)
    }
  }
}
