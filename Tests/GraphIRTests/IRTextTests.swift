// IR text: printer and parser are exact inverses over every kind of attribute, role and origin, and over random
// graphs; the text itself is fixed by one golden example.

import Basics
import GraphIR
import Operators
import TestSupport
import Testing

@Suite struct IRTextTests {
  static func example() throws(Diagnostic) -> Graph {
    let builder = GraphBuilder(name: "train")
    let images = try builder.input(.data(source: "images", round: 1), .f32(4, 3))
    let kernel = try builder.input(.state("net/dense/kernel"), .f32(5, 3))
    let step = try builder.input(.step, .i32())
    builder.origin = Origin(line: 14, column: 8, path: "net/dense")
    let product = try builder.matmul(images, kernel, transposeB: true)
    builder.origin = Origin(
      line: 15, column: 3, path: "net/batchNorm", notes: ["adjoint of matmul"])
    let moments = try builder.moments(product, axes: [0])
    builder.origin = Origin()
    let rate = try builder.convert(step, to: .f32)
    let scaled = try builder.leakyRelu(try builder.multiply(kernel, rate), slope: 0.2)
    builder.output(.report("mean"), moments.mean)
    builder.output(.state("net/dense/kernel"), scaled)
    return builder.finish()
  }

  static let exampleText = """
    // swift-gan ir 1
    graph "train" stage raw {
      input %0 data "images" round 1 : f32[4, 3]
      input %1 state "net/dense/kernel" : f32[5, 3]
      input %2 step : i32[]
      %3 = matmul(%0, %1) {transposeB: true} : f32[4, 5] @ 14:8 "net/dense"
      %4, %5 = moments(%3) {axes: [0]} : f32[5], f32[5] @ 15:3 "net/batchNorm" ["adjoint of matmul"]
      %6 = convert(%2) {to: f32} : f32[]
      %7 = multiply(%1, %6) : f32[5, 3]
      %8 = leaky_relu(%7) {slope: 0.2} : f32[5, 3]
      output report "mean" %4
      output state "net/dense/kernel" %8
    }

    """

  @Test func textIsWhatTheReadmeSays() throws {
    #expect(GraphPrinter.text(try Self.example()) == Self.exampleText)
    #expect(areIdentical(try parsed(Self.exampleText), try Self.example()))
  }

  @Test func everyRoleAndStage() throws {
    for stage in Stage.allCases {
      let builder = GraphBuilder(name: "roles \"\\ \n\t\r\u{1} é 🦊", stage: stage)
      let roles: [InputRole] = [
        .data(source: "a \"b\"", round: 0), .data(source: "x", round: 3), .state(""), .step, .epoch,
        .seed, .argument("z\\"),
      ]
      for role in roles { _ = try builder.input(role, role == .seed ? .i32(2) : .i32()) }
      for (index, input) in builder.graph.inputs.enumerated() {
        builder.output(.result("r\(index)"), input.value)
        builder.output(.state("r\(index)"), input.value)
        builder.output(.report("r\(index)"), input.value)
      }
      let graph = builder.finish()
      let text = GraphPrinter.text(graph)
      #expect(areIdentical(try parsed(text), graph))
      #expect(text.split(separator: "\n").count == 1 + 1 + 7 + 21 + 1, "one line an item")
    }
  }

  @Test func everyOrigin() throws {
    let origins = [
      Origin(), Origin(line: 1, column: 2), Origin(path: "only/path"), Origin(notes: ["only"]),
      Origin(line: 7, path: "p"), Origin(line: 3, column: 4, path: "a", notes: ["x", "y \"z\""]),
      Origin(notes: [""]), Origin(line: -5, column: Int(Int32.max)),
    ]
    let builder = GraphBuilder(name: "origins")
    var x = try builder.input(.argument("x"), .f32(2))
    for origin in origins {
      builder.origin = origin
      x = try builder.negate(x)
    }
    builder.output(.result("x"), x)
    let graph = builder.finish()
    let back = try parsed(GraphPrinter.text(graph))
    #expect(back.nodes.elements.map(\.origin) == origins)
  }

  static let set = OperationSet(OperatorSet.standard.all + [Everything.self])

  static var everything: [Everything] {
    var full = Everything()
    full.int = -42
    full.word32 = .max
    full.float = FloatAttribute(0.1 + 0.2)
    full.bool = true
    full.mode = .exact
    full.string = "a \"quoted\" \\ line\nand more \u{0} \u{7F} ü"
    full.ints = [Int.min, -1, 0, Int.max]
    full.floats = [
      0.0, -0.0, 1.0, 1e300, FloatAttribute(.leastNonzeroMagnitude), 1e16, 0.1,
      FloatAttribute(.infinity), FloatAttribute(-.infinity),
      FloatAttribute(.nan), FloatAttribute(Double(Float(0.1))),
    ]
    full.nested = [[], ["a"], ["b", "c]"]]
    full.type = TensorType(.bool, [1, 2, 3])
    full.region = Region(
      inputCount: 2,
      steps: [
        .init(Add(), [.input(0), .input(1)]), .init(LeakyRelu(slope: 0.2), [.step(0)]),
        .init(Compare(.lt), [.step(0), .step(1)]),
      ], results: [.step(2), .step(0), .input(1)])
    var inner = Everything()
    inner.region = Region(inputCount: 1, steps: [.init(Negate(), [.input(0)])], results: [])
    inner.operation = AnyOperation(Conv2D(stride: [2, 2], padding: [1, 2, 1, 2]))
    full.operation = AnyOperation(inner)
    return [Everything(), full, inner]
  }

  @Test func everyKindOfAttribute() throws {
    for operation in Self.everything {
      let builder = GraphBuilder(name: "attributes")
      let x = try builder.input(.argument("x"), .f32(2))
      let results = try builder.add(operation, [x, x])
      builder.output(.result("y"), results[1])
      let graph = builder.finish()
      let text = GraphPrinter.text(graph)
      let back = try parsed(text, operations: Self.set)
      #expect(areIdentical(back, graph), "\(text)")
      #expect(GraphPrinter.text(back) == text)
    }
  }

  @Test func regionsAndOperationsReadWell() {
    #expect(
      GraphPrinter.text(AttributeValue.region(Self.everything[1].region))
        == "(2) { s0 = add(i0, i1); s1 = leaky_relu(s0) {slope: 0.2}; "
        + "s2 = compare(s0, s1) {predicate: lt}; yield s2, s0, i1 }")
    #expect(
      GraphPrinter.text(AttributeValue.operation(AnyOperation(MatMul(transposeB: true))))
        == "matmul {transposeB: true}")
  }

  @Test func fusedNodesComeBack() throws {
    let region = Region(
      inputCount: 2,
      steps: [.init(Add(), [.input(0), .input(1)]), .init(LeakyRelu(slope: 0.2), [.step(0)])],
      results: [.step(1), .step(0)])
    let builder = GraphBuilder(name: "fused", stage: .fused)
    let x = try builder.input(.argument("x"), .f32(1, 5, 5, 2))
    let w = try builder.input(.argument("w"), .f32(3, 3, 2, 4))
    let b = try builder.input(.argument("b"), .f32(4))
    let root = Conv2D(stride: [2, 2], padding: [1, 1, 1, 1])
    let results = try builder.add(Fused(root: root, region: region), [x, w, b])
    let plain = try builder.add(
      Fused(region: Region(inputCount: 1, steps: [], results: [.input(0)])), [results[0]])
    builder.output(.result("y"), plain[0])
    let graph = builder.finish()
    #expect(areIdentical(try parsed(GraphPrinter.text(graph)), graph))
  }

  @Test func samplesOfAllOperationsComeBack() throws {
    for type in OperatorSet.standard.all { try roundTripSamples(type) }
  }

  private func roundTripSamples<T: Operation>(_ type: T.Type) throws {
    for sample in T.samples {
      let builder = GraphBuilder(name: T.mnemonic)
      var operands: [ValueID] = []
      for (index, type) in sample.operands.enumerated() {
        operands.append(try builder.input(.argument("\(index)"), type))
      }
      let results = try builder.add(sample.operation, operands)
      builder.output(.result("0"), results[0])
      let graph = builder.finish()
      #expect(areIdentical(try parsed(GraphPrinter.text(graph)), graph), "\(sample.operation)")
    }
  }

  @Test(arguments: 0..<150) func randomGraphsComeBack(seed: Int) throws {
    let graph = try RandomGraph.make(
      seed: UInt64(seed), RandomGraphOptions(size: 4 + seed % 20, sharing: seed % 2 == 0))
    let text = GraphPrinter.text(graph)
    let back = try parsed(text)
    #expect(areIdentical(back, graph), "seed \(seed)\n\(text)")
    #expect(GraphPrinter.text(back) == text, "seed \(seed)")
    let again = try RandomGraph.make(
      seed: UInt64(seed), RandomGraphOptions(size: 4 + seed % 20, sharing: seed % 2 == 0))
    #expect(GraphPrinter.text(again) == text, "the same seed gives the same bytes")
  }

  @Test func severalGraphsInOneText() throws {
    let first = try Self.example()
    var second = try RandomGraph.make(seed: 3)
    second.name = "sample"
    let text = GraphPrinter.text(first, second)
    let back = try GraphParser.parse(
      SourceText(name: "two.ir", text), operations: OperatorSet.standard)
    #expect(back.count == 2)
    #expect(areIdentical(back[0], first))
    #expect(areIdentical(back[1], second))
  }

  @Test func inputsMayBeNumberedAfterNodes() throws {
    let builder = GraphBuilder(name: "late")
    let x = try builder.input(.argument("x"), .f32(2))
    let y = try builder.negate(x)
    let late = try builder.input(.argument("late"), .f32(2))
    builder.output(.result("y"), try builder.add(y, late))
    let graph = builder.finish()
    let back = try parsed(GraphPrinter.text(graph))
    #expect(areIdentical(back, graph))
    #expect(back.inputs[1].value == ValueID(2))
  }

  @Test func gapsAreClosedAndCommentsSkipped() throws {
    let text = """
      // swift-gan ir 1
      // A dump that lines were cut out of.
      graph "g" stage raw {
        input %3 argument "x" : f32[2]   // an input
        %70 = negate(%3) : f32[2]
        %8 = exp(%70)
          : f32[2]
        output result "y" %8
      }
      """
    let graph = try parsed(text)
    #expect(graph.values.count == 3)
    #expect(graph.outputs[0].value == ValueID(1), "order of the numbers, not of the lines")
    #expect(areIdentical(try parsed(GraphPrinter.text(graph)), graph))
  }

  @Test func windowsLineEnds() throws {
    let text = Self.exampleText.split(separator: "\n").joined(separator: "\r\n")
    #expect(areIdentical(try parsed(text), try Self.example()))
  }
}
