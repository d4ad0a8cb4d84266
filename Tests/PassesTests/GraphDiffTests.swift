// The difference of two graphs: none with itself, one for one planted change, and that one at the right node.

import Basics
import GraphIR
import Operators
import Passes
import TestSupport
import Testing

@Suite struct GraphDiffTests {
  /// A small step: two layers, a loss, and an update.
  private static let small = """
    input %0 argument "x" : f32[4, 3]
    input %1 state "a/kernel" : f32[3, 5]
    input %2 state "b/kernel" : f32[5, 2]
    %3 = matmul(%0, %1) : f32[4, 5] @ 3:1 "a"
    %4 = leaky_relu(%3) {slope: 0.2} : f32[4, 5] @ 3:5 "a"
    %5 = matmul(%4, %2) : f32[4, 2] @ 4:1 "b"
    %6 = tanh(%5) : f32[4, 2] @ 4:5 "b"
    %7 = sum(%6) {axes: [0, 1]} : f32[] @ 5:1
    %8 = subtract(%2, %7) : f32[5, 2] @ 6:1
    output report "loss" %7
    output state "b/kernel" %8
    """

  /// Kinds and names of the changes from the small graph to one with some text replaced.
  private func changes(_ pairs: (String, String)...) throws -> [String] {
    var text = Self.small
    for (old, new) in pairs {
      #expect(text.contains(old))
      text = text.replacing(old, with: new)
    }
    return try changes(parsed(Self.small), parsed(text))
  }

  private func changes(_ before: Graph, _ after: Graph) throws -> [String] {
    try GraphDiff(before, after).changes.map { change in
      let old = change.before.map(\.name).joined(separator: "+")
      let new = change.after.map(\.name).joined(separator: "+")
      return "\(change.kind) \(old == new ? old : "\(old)>\(new)")"
    }
  }

  @Test func whatIsNoDifference() throws {
    #expect(try changes() == [])
    // Numbers of values, places and order.
    #expect(try changes(("%6", "%16"), ("@ 4:5", "@ 40:50")) == [])
    let lines = Self.small.split(separator: "\n").map(String.init)
    let swapped = lines.enumerated().map { $0 == 0 ? lines[1] : $0 == 1 ? lines[0] : $1 }
    #expect(
      try changes(parsed(Self.small), parsed(swapped.joined(separator: "\n"))) == [])
  }

  @Test func singleChanges() throws {
    #expect(try changes(("slope: 0.2", "slope: 0.1")) == ["changed leaky_relu"])
    #expect(
      try changes(("leaky_relu(%3) {slope: 0.2}", "sigmoid(%3)")) == ["changed leaky_relu>sigmoid"])
    #expect(
      try changes(("%6 = tanh(%5)", "%15 = relu(%5) : f32[4, 2]\n%6 = tanh(%15)")) == [
        "added >relu"
      ])
    #expect(
      try changes(("%6 = tanh(%5) : f32[4, 2] @ 4:5 \"b\"\n", ""), ("sum(%6)", "sum(%5)"))
        == ["removed tanh>"])
    #expect(try changes(("subtract(%2, %7)", "subtract(%7, %2)")) == ["rewired subtract"])
    #expect(
      try changes(("input %1 state \"a/kernel\"", "input %1 state \"c/kernel\""))
        == ["renamed state \"a/kernel\">state \"c/kernel\""])
    #expect(
      try changes(("report \"loss\"", "report \"gLoss\""))
        == ["renamed output report \"loss\">output report \"gLoss\""])
    #expect(
      try changes(("output report \"loss\" %7\n", "")) == ["removed output report \"loss\">"])
    #expect(
      try changes(("output report \"loss\" %7", "output report \"loss\" %0"))
        == ["rewired output report \"loss\""])
  }

  /// Each reader once, and outputs of the graph are readers: what was added before an output is its new value.
  @Test func readers() throws {
    let before = """
      input %0 argument "x" : f32[4]
      %1 = exp(%0) : f32[4]
      output result "0" %1
      """
    let after = """
      input %0 argument "x" : f32[4]
      %1 = exp(%0) : f32[4]
      %2 = leaky_relu(%1) {slope: 0.3} : f32[4]
      %3 = multiply(%2, %2) : f32[4]
      output result "0" %3
      """
    let added = try GraphDiff(parsed(before), parsed(after)).changes
    #expect(added.map(\.kind) == [.added, .added])
    #expect(added[0].readers.map(\.name) == ["multiply"])
    #expect(added[1].readers.map(\.name) == ["output result \"0\""])
    #expect(added[0].after[0].attributes == [.init(name: "slope", value: "0.3")])
    let removed = try GraphDiff(parsed(after), parsed(before)).changes
    #expect(removed.map { $0.readers.map(\.name) } == [["multiply"], ["output result \"0\""]])
    #expect(removed[0].before[0].attributes == [.init(name: "slope", value: "0.3")])
  }

  /// An input that is new stands between nothing: who reads it is said.
  @Test func aNewInput() throws {
    let found = try changes(
      ("input %1", "input %21 state \"c/kernel\" : f32[3, 5]\ninput %1"),
      ("matmul(%0, %1)", "matmul(%0, %21)"),
      ("output report", "output state \"a/kernel\" %1\noutput report"))
    #expect(found.contains("rewired matmul"), "\(found)")
  }

  /// Many readers of one value and many outputs: time that grows with the square of them would take minutes.
  @Test(.timeLimit(.minutes(1))) func manyReadersAndOutputs() throws {
    func graph(_ name: String, slope: Double) throws -> Graph {
      let builder = GraphBuilder(name: "many")
      let input = try builder.input(.argument("x"), .f32(4))
      for index in 0..<8000 {
        let value = try builder.addUnshared(LeakyRelu(slope: slope), [input])
        let end = try builder.addUnshared(Square(), [value[0]])
        builder.output(.result("\(name) \(index)"), end[0])
      }
      return builder.finish()
    }
    let diff = try GraphDiff(graph("old", slope: 0.1), graph("new", slope: 0.2))
    #expect(diff.count(.changed) == 8000 && diff.count(.renamed) == 8000)
    #expect(diff.changes.count == 16000)
  }

  /// Early and late changes at once do not make strangers of what is between them.
  @Test func severalChanges() throws {
    #expect(
      try changes(
        ("slope: 0.2", "slope: 0.1"),
        ("%8 = subtract(%2, %7)", "%9 = negate(%7) : f32[]\n%8 = subtract(%2, %9)"))
        == ["changed leaky_relu", "added >negate"])
  }

  @Test func retyped() throws {
    let found = try changes(
      ("f32[3, 5]", "f32[3, 6]"), ("f32[4, 5]", "f32[4, 6]"), ("f32[5, 2]", "f32[6, 2]"))
    #expect(
      found == [
        "retyped state \"a/kernel\"", "retyped state \"b/kernel\"", "retyped matmul",
        "retyped leaky_relu", "retyped subtract",
      ])
  }

  @Test func fusedAndSplit() throws {
    let graph = try parsed(Self.small, stage: .differentiated)
    let regions = try rewritten([FuseElementwise()], graph)
    let fused = try rewritten([FuseEpilogues()], regions)
    #expect(
      try changes(graph, fused) == [
        "fused matmul+leaky_relu>fused", "fused matmul+tanh>fused", "fused subtract>fused",
      ])
    #expect(try GraphDiff(fused, graph).count(.split) == 3)
    #expect(try GraphDiff(fused, graph).stages == (.fused, .differentiated))
    // A change within a kernel is that change, and the kernel is the same one.
    let other = try rewritten(
      [FuseElementwise(), FuseEpilogues()],
      parsed(Self.small.replacing("slope: 0.2", with: "slope: 0.3"), stage: .differentiated))
    #expect(try changes(fused, other) == ["changed leaky_relu"])
  }

  @Test func twins() throws {
    let twin = try changes(
      ("%6 = tanh(%5)", "%20 = matmul(%4, %2) : f32[4, 2] @ 9:9\n%6 = tanh(%20)"),
      ("subtract(%2, %7)", "subtract(%5, %7)"),
      ("f32[5, 2] @ 6:1", "f32[4, 2] @ 6:1"), ("output state", "output result"))
    // What else there is: the update has another type and is an output of another role.
    #expect(
      twin == [
        "added >matmul", "retyped subtract", "removed output state \"b/kernel\">",
        "added >output result \"b/kernel\"",
      ])
  }

  // MARK: - Planted changes

  /// Kinds of changes; one is tried at each of so many nodes.
  private enum Plant: Int, CaseIterable {
    case attribute = 29
    case insertion = 97
    case removal = 17
    case replacement = 13
  }

  /// The graph with one change at a node; nil where this kind of change cannot be made there.
  private func planted(_ plant: Plant, at id: NodeID, in graph: Graph) throws -> Graph? {
    var rewriter = try GraphRewriter(graph)
    let node = graph.nodes[id]
    let type = graph.type(of: node.results[0])
    for other in graph.nodes.ids {
      guard other == id else {
        try rewriter.keep(graph.nodes[other])
        continue
      }
      rewriter.builder.origin = node.origin
      let operands = rewriter.values(node.operands)
      switch plant {
      case .attribute:
        guard let changed = Self.withOtherAttribute(node.operation) else { return nil }
        let results = try rewriter.builder.addUnshared(changed, operands)
        for (old, new) in zip(node.results, results) { rewriter.replace(old, by: new) }
      case .insertion:
        guard type.element == .f32 else { return nil }
        try rewriter.keep(node)
        let inserted = try rewriter.builder.addUnshared(
          Erf(), [rewriter.value(node.results[0])])
        rewriter.replace(node.results[0], by: inserted[0])
      case .removal:
        guard node.operands.count == 1, node.results.count == 1,
          graph.type(of: node.operands[0]) == type
        else { return nil }
        rewriter.replace(node.results[0], by: operands[0])
      case .replacement:
        guard node.operation.isElementwise, node.operands.count == 1, type.element == .f32,
          graph.type(of: node.operands[0]) == type
        else { return nil }
        let replaced = try rewriter.builder.addUnshared(Erf(), operands)
        rewriter.replace(node.results[0], by: replaced[0])
      }
    }
    return rewriter.finish()
  }

  private static func withOtherAttribute(_ operation: any Operation) -> (any Operation)? {
    switch operation {
    case let constant as Constant where constant.type.element.isFloat:
      Constant(constant.type, [123.456])
    case is LeakyRelu: LeakyRelu(slope: 0.777)
    case is Convert, is Compare: nil
    default: nil
    }
  }

  @Test(arguments: Places.programs)
  func plantedChangesAreFoundAndNothingElse(program: String) throws {
    let raw = try programStep("Graphs/\(program).gan")
    let graphs = try [
      raw, rewritten([ExpandGradients(), Simplify(), CommonSubexpressions()], raw),
    ]
    var count = 0
    for graph in graphs {
      #expect(try GraphDiff(graph, graph).isEmpty)
      let live = graph.liveNodes()
      for (index, plant) in Plant.allCases.enumerated() {
        for id in graph.nodes.ids
        where live.contains(id) && (id.index + 7 * index) % plant.rawValue == 0 {
          guard let changed = try planted(plant, at: id, in: graph) else { continue }
          let diff = try GraphDiff(graph, changed)
          let node = graph.nodes[id]
          let what = "\(plant) at \(GraphPrinter.line(node, in: graph))"
          try #require(diff.changes.count == 1, "\(what): \(diff.changes)")
          let change = diff.changes[0]
          count += 1
          switch plant {
          case .attribute:
            #expect(change.kind == .changed && change.attributes.count == 1, "\(what)")
            #expect(change.before[0].value == node.results[0], "\(what)")
          case .insertion:
            #expect(change.kind == .added && change.after[0].name == "erf", "\(what)")
            #expect(change.reads.map(\.name) == [node.operation.mnemonic], "\(what)")
          case .removal:
            #expect(change.kind == .removed, "\(what)")
            #expect(change.before[0].name == node.operation.mnemonic, "\(what)")
          case .replacement:
            #expect(change.kind == .changed && change.after[0].name == "erf", "\(what)")
            #expect(change.before[0].value == node.results[0], "\(what)")
          }
        }
      }
    }
    #expect(count > 12, "\(count)")
  }

  /// Whatever a pass does to a random graph: no change says that the texts of both, numbers and places aside, are equal,
  /// and the other way round.
  @Test(arguments: 0..<25)
  func emptyMeansEqual(_ seed: Int) throws {
    let graph = try ExpandGradients().run(RewritableGraph.make(seed: UInt64(seed)))
    #expect(try GraphDiff(graph, graph).isEmpty)
    for pass in Pipeline.allPasses {
      let result = try pass.run(graph)
      let diff = try GraphDiff(graph, result)
      #expect(diff.isEmpty == (result == graph), "\(pass.name): \(diff.changes)")
      #expect(try GraphDiff(result, graph).isEmpty == diff.isEmpty)
    }
  }
}

extension Places {
  static let programs = [
    "vanilla-gan", "vanilla-gan-tf", "dense-gan", "dcgan-mnist", "dcgan-fashion", "fashion-gan",
  ]
}
