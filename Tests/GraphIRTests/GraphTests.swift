// The builder, the verifier, the evaluator and DOT.

import Basics
import GraphIR
import Operators
import TestSupport
import Testing

@Suite struct GraphTests {
  // MARK: - Builder

  @Test func sharingMakesEqualNodesOne() throws {
    for sharing in [false, true] {
      let builder = GraphBuilder(name: "sharing", sharing: sharing)
      let x = try builder.input(.argument("x"), .f32(2))
      #expect(try builder.input(.argument("x"), .f32(2)) == x, "an input is there once")
      let a = try builder.leakyRelu(x, slope: 0.2)
      let b = try builder.leakyRelu(x, slope: 0.2)
      let c = try builder.leakyRelu(x, slope: 0.3)
      #expect((a == b) == sharing)
      #expect(a != c)
      #expect((try builder.scalar(0) == builder.scalar(0)) == sharing)
      #expect(try builder.scalar(0) != builder.scalar(-0.0), "zeros differ by their bits")
      #expect((try builder.scalar(.nan) == builder.scalar(-.nan)) == sharing, "all NaNs are one")
    }
  }

  @Test func shapeErrorsAppearWhenANodeIsBuilt() throws {
    let builder = GraphBuilder(name: "errors")
    let x = try builder.input(.argument("x"), .f32(2, 3))
    let y = try builder.input(.argument("y"), .f32(4, 5))
    #expect { try builder.matmul(x, y) } throws: { ($0 as? Diagnostic)?.code == "shape.mismatch" }
    #expect(builder.graph.nodes.count == 0, "nothing was added")
    #expect { try builder.input(.step, .f32(0)) } throws: {
      ($0 as? Diagnostic)?.code == "shape.size"
    }
  }

  @Test func outputsAreReplaced() throws {
    let builder = GraphBuilder(name: "outputs")
    let x = try builder.input(.state("x"), .f32())
    let y = try builder.negate(x)
    builder.setOutput(.state("x"), x)
    builder.setOutput(.state("x"), y)
    let graph = builder.finish()
    #expect(graph.outputs.count == 1)
    #expect(graph.output(.state("x")) == y)
    #expect(graph.useCounts()[x] == 1)
    #expect(graph.users()[x] == [NodeID(0)])
  }

  // MARK: - Verifier

  @Test(arguments: 0..<20) func randomGraphsAreValid(seed: Int) throws {
    try Verifier().verify(try RandomGraph.make(seed: UInt64(seed)))
  }

  /// Each fault makes a valid graph invalid in one way.
  static let faults: [(name: String, words: String, plant: @Sendable (inout Graph) -> Void)] = [
    ("stale type", "inferred", { $0.values[ValueID(3)].type = .f32(9, 9) }),
    (
      "operand from below", "before it is computed",
      { $0.nodes[NodeID(0)].operands[0] = ValueID($0.values.count - 1) }
    ),
    (
      "operand out of range", "before it is computed",
      { $0.nodes[NodeID(0)].operands[0] = ValueID(1000) }
    ),
    (
      "result twice", "",
      { $0.nodes[NodeID(3)].results = $0.nodes[NodeID(2)].results }
    ),
    ("wrong producer", "disagree", { $0.values[ValueID(3)].producer = NodeID(2) }),
    ("wrong index", "disagree", { $0.values[ValueID(5)].index = 0 }),
    ("input with a producer", "not bound", { $0.values[ValueID(0)].producer = NodeID(0) }),
    ("input twice", "twice", { $0.inputs[1].role = $0.inputs[0].role }),
    ("output never computed", "never computed", { $0.outputs[0].value = ValueID(500) }),
    ("output twice", "twice", { $0.outputs[1].role = $0.outputs[0].role }),
    (
      "attribute that the types do not allow", "",
      { $0.nodes[NodeID(0)].operation = MatMul(transposeA: true) }
    ),
  ]

  @Test(arguments: faults.indices) func plantedFaultsAreFound(index: Int) throws {
    let fault = Self.faults[index]
    var graph = try IRTextTests.example()
    try Verifier().verify(graph)
    fault.plant(&graph)
    do {
      try Verifier().verify(graph)
      Issue.record("not found: \(fault.name)")
    } catch {
      let isNamed = fault.words.isEmpty || error.message.contains(fault.words)
      #expect(isNamed, "\(fault.name): \(error.message)")
    }
  }

  @Test func gradientsMustBeExpanded() throws {
    let builder = GraphBuilder(name: "late", stage: .differentiated)
    let x = try builder.input(.argument("x"), .f32())
    _ = try builder.gradient(try builder.square(x), wrt: [x])
    #expect(throws: InternalError.self) { try Verifier().verify(builder.finish()) }
    builder.setStage(.raw)
    try Verifier().verify(builder.finish())
  }

  // MARK: - Evaluator

  @Test func evaluatesWhatIsNeeded() throws {
    let builder = GraphBuilder(name: "evaluate")
    let x = try builder.input(.argument("x"), .f32(2))
    let y = try builder.input(.argument("y"), .f32(2))
    let sum = try builder.add(x, y)
    let unused = try builder.log(x)
    builder.output(.result("product"), try builder.multiply(sum, sum))
    builder.output(.result("y"), y)
    let graph = builder.finish()
    let inputs = [HostTensor(.f32(2), [1, 2]), HostTensor(.f32(2), [3, -5])]
    let results = Evaluator().evaluate(graph, inputs: inputs)
    #expect(results.map(\.values) == [[16, 9], [3, -5]])
    let all = Evaluator().evaluateAll(graph, inputs: inputs)
    #expect(all[unused] == nil)
    #expect(all[sum]?.values == [4, -3])
  }

  @Test func roundingIsThatOfTheElementType() throws {
    let builder = GraphBuilder(name: "rounding")
    let x = try builder.input(.argument("x"), .f32())
    builder.output(.result("y"), try builder.add(x, 1))
    let graph = builder.finish()
    let inputs = [HostTensor(.f32(), [1e-9])]
    #expect(Evaluator().evaluate(graph, inputs: inputs)[0].values == [1 + 1e-9])
    #expect(Evaluator(rounding: true).evaluate(graph, inputs: inputs)[0].values == [1])
  }

  @Test(arguments: 0..<20) func parsedGraphsMeanTheSame(seed: Int) throws {
    let graph = try RandomGraph.make(seed: UInt64(seed), RandomGraphOptions(size: 15))
    let back = try parsed(GraphPrinter.text(graph))
    let inputs = RandomGraph.inputs(of: graph, seed: 5)
    let results = Evaluator().evaluate(graph, inputs: inputs)
    #expect(results == Evaluator().evaluate(back, inputs: inputs))
    #expect(results.allSatisfy { $0.values.allSatisfy(\.isFinite) })
    // Sharing nodes does not change the meaning either.
    let shared = try RandomGraph.make(
      seed: UInt64(seed), RandomGraphOptions(size: 15, sharing: true))
    #expect(shared.nodes.count <= graph.nodes.count)
  }

  // MARK: - DOT

  @Test func dotText() throws {
    let builder = GraphBuilder(name: "a \"b\"")
    let x = try builder.input(.data(source: "x\\", round: 0), .f32(2, 3))
    builder.origin = Origin(line: 3, column: 1, path: "net/dense")
    let y = try builder.leakyRelu(x, slope: 0.2)
    builder.origin = Origin()
    builder.output(.result("y"), try builder.multiply(y, y))
    let text = DotPrinter.text(builder.finish())
    #expect(
      text == #"""
        digraph "a \"b\"" {
          rankdir=TB;
          node [shape=box, fontname="Helvetica"];
          edge [fontname="Helvetica", fontsize=9];
          v0 [shape=ellipse, label="data \"x\\\\\" round 0\nf32[2, 3]"];
          subgraph cluster_0 {
            label="net";
            n0 [label="leaky_relu\n{slope: 0.2}\nline 3"];
          }
          n1 [label="multiply"];
          o0 [shape=doubleoctagon, label="result \"y\""];
          v0 -> n0 [label="f32[2, 3]"];
          n0 -> n1 [label="f32[2, 3]"];
          n0 -> n1 [label="f32[2, 3]"];
          n1 -> o0 [label="f32[2, 3]"];
        }

        """#)
  }

  @Test func dotClustersAreInOrderAndWhole() throws {
    let graph = try RandomGraph.make(seed: 12, RandomGraphOptions(size: 30))
    let text = DotPrinter.text(graph)
    #expect(text == DotPrinter.text(graph))
    #expect(text.contains("label=\"net\";"))
    #expect(text.contains("label=\"other\";"))
    for id in graph.nodes.ids {
      #expect(text.components("n\(id.index) [label=") == 1)
    }
  }
}

extension String {
  /// How often a text occurs, at the beginning of a line's content.
  fileprivate func components(_ text: String) -> Int {
    split(separator: "\n").filter { $0.drop { $0 == " " }.hasPrefix(text) }.count
  }
}
