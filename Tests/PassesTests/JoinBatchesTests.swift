// One network on two batches at once.

import Basics
import GraphIR
import Operators
import Passes
import TestSupport
import Testing

/// Bytes that are moved cost next to nothing, so that graphs of any size are joined wherever they can be.
private let eager = JoinBatches(price: 0x1p-16)

@Suite struct JoinBatchesTests {
  /// The inputs of the golden tests: two batches of 4 rows, two layers, adjoints of the second.
  private let inputs = """
      input %0 argument "real" : f32[4, 6]
      input %1 argument "fake" : f32[4, 6]
      input %2 argument "w" : f32[6, 8]
      input %3 argument "bias" : f32[8]
      input %4 argument "v" : f32[8, 5]
      input %5 argument "dReal" : f32[4, 5]
      input %6 argument "dFake" : f32[4, 5]

    """

  private func unchanged(_ body: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let graph = try parsed(inputs + body, stage: .differentiated)
    #expect(try eager.run(graph) == graph, sourceLocation: sourceLocation)
  }

  @Test func forwardAndBack() throws {
    try expect(
      eager,
      inputs + """
          %7 = matmul(%0, %2) : f32[4, 8]
          %8 = add(%7, %3) : f32[4, 8]
          %9 = relu(%8) : f32[4, 8]
          %10 = matmul(%9, %4) : f32[4, 5]
          %11 = matmul(%9, %5) {transposeA: true} : f32[8, 5]
          %12 = matmul(%5, %4) {transposeB: true} : f32[4, 8]
          %13 = multiply(%12, %9) : f32[4, 8]
          %14 = sum(%13) {axes: [0]} : f32[8]
          %15 = matmul(%0, %13) {transposeA: true} : f32[6, 8]
          %16 = matmul(%1, %2) : f32[4, 8]
          %17 = add(%16, %3) : f32[4, 8]
          %18 = relu(%17) : f32[4, 8]
          %19 = matmul(%18, %6) {transposeA: true} : f32[8, 5]
          %20 = matmul(%6, %4) {transposeB: true} : f32[4, 8]
          %21 = multiply(%20, %18) : f32[4, 8]
          %22 = sum(%21) {axes: [0]} : f32[8]
          %23 = matmul(%1, %21) {transposeA: true} : f32[6, 8]
          %24 = add(%19, %11) : f32[8, 5]
          %25 = add(%22, %14) : f32[8]
          %26 = add(%15, %23) : f32[6, 8]
          %27 = matmul(%18, %4) : f32[4, 5]
          output result "onReal" %10
          output result "onFake" %27
          output result "dV" %24
          output result "dBias" %25
          output result "dW" %26
        """,
      """
      %7 = concat(%0, %1) {axis: 0} : f32[8, 6]
      %8 = matmul(%7, %2) : f32[8, 8]
      %9 = add(%8, %3) : f32[8, 8]
      %10 = relu(%9) : f32[8, 8]
      %11 = matmul(%10, %4) : f32[8, 5]
      %12 = slice(%11) {starts: [0, 0], ends: [4, 5]} : f32[4, 5]
      %13 = slice(%11) {starts: [4, 0], ends: [8, 5]} : f32[4, 5]
      %14 = concat(%5, %6) {axis: 0} : f32[8, 5]
      %15 = matmul(%10, %14) {transposeA: true} : f32[8, 5]
      %16 = matmul(%14, %4) {transposeB: true} : f32[8, 8]
      %17 = multiply(%16, %10) : f32[8, 8]
      %18 = sum(%17) {axes: [0]} : f32[8]
      %19 = matmul(%7, %17) {transposeA: true} : f32[6, 8]
      output result "onReal" %12
      output result "onFake" %13
      output result "dV" %15
      output result "dBias" %18
      output result "dW" %19
      """)
  }

  /// Attributes that count rows count both batches; a half that something else reads is cut out.
  @Test func shapesAndHalves() throws {
    try expect(
      eager,
      inputs + """
          %7 = matmul(%0, %2) : f32[4, 8]
          %8 = reshape(%7) {shape: [4, 2, 4]} : f32[4, 2, 4]
          %9 = slice(%8) {starts: [0, 1, 0], ends: [4, 2, 4]} : f32[4, 1, 4]
          %10 = reshape(%9) {shape: [4, 4]} : f32[4, 4]
          %11 = matmul(%1, %2) : f32[4, 8]
          %12 = reshape(%11) {shape: [4, 2, 4]} : f32[4, 2, 4]
          %13 = slice(%12) {starts: [0, 1, 0], ends: [4, 2, 4]} : f32[4, 1, 4]
          %14 = reshape(%13) {shape: [4, 4]} : f32[4, 4]
          %15 = tanh(%14) : f32[4, 4]
          output result "real" %10
          output result "fake" %15
        """,
      """
      %7 = concat(%0, %1) {axis: 0} : f32[8, 6]
      %8 = matmul(%7, %2) : f32[8, 8]
      %9 = reshape(%8) {shape: [8, 2, 4]} : f32[8, 2, 4]
      %10 = slice(%9) {starts: [0, 1, 0], ends: [8, 2, 4]} : f32[8, 1, 4]
      %11 = reshape(%10) {shape: [8, 4]} : f32[8, 4]
      %12 = slice(%11) {starts: [0, 0], ends: [4, 4]} : f32[4, 4]
      %13 = slice(%11) {starts: [4, 0], ends: [8, 4]} : f32[4, 4]
      %14 = tanh(%13) : f32[4, 4]
      output result "real" %12
      output result "fake" %14
      """)
  }

  /// Images, with everything between two convolutions that keeps rows apart.
  @Test func images() throws {
    let builder = GraphBuilder(name: "images", stage: .differentiated)
    let filter = try builder.input(.state("filter"), .f32(3, 3, 2, 4))
    let last = try builder.input(.state("last"), .f32(3, 3, 4, 2))
    for name in ["real", "fake"] {
      let image = try builder.input(.argument(name), .f32(3, 8, 8, 2))
      var x = try builder.conv2D(image, filter, stride: [1, 1], padding: [1, 1, 1, 1])
      let window = PoolWindow(size: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0])
      let small = try builder.maxPool(x, window: window)
      x = try builder.add(MaxPoolGradient(window), x, builder.tanh(small))
      x = try builder.pad(x, before: [0, 1, 0, 0], after: [0, 0, 1, 0], mode: .edge)
      x = try builder.concat([x, builder.square(x)], axis: 1)
      x = try builder.add(Transpose([0, 2, 1, 3]), builder.add(Softmax(), x))
      x = try builder.conv2D(x, last, stride: [2, 2], padding: [0, 0, 0, 0])
      builder.output(.result(name), x)
    }
    let graph = builder.finish()
    let joined = try rewritten([eager], graph)
    // One node for each two, one concatenation and two slices.
    #expect(joined.nodes.count == graph.nodes.count / 2 + 3)
    expectSameResults(graph, joined, "images")
  }

  @Test func differentWeightsStay() throws {
    try unchanged(
      """
        %7 = add(%2, %2) : f32[6, 8]
        %8 = matmul(%0, %2) : f32[4, 8]
        %9 = matmul(%1, %7) : f32[4, 8]
        output result "real" %8
        output result "fake" %9
      """)
  }

  /// The second batch meets the weights that the first one has changed.
  @Test func changedWeightsStay() throws {
    try unchanged(
      """
        %7 = matmul(%0, %2) : f32[4, 8]
        %8 = matmul(%0, %7) {transposeA: true} : f32[6, 8]
        %9 = subtract(%2, %8) : f32[6, 8]
        %10 = matmul(%1, %9) : f32[4, 8]
        %11 = relu(%7) : f32[4, 8]
        %12 = relu(%10) : f32[4, 8]
        output result "real" %11
        output result "fake" %12
      """)
  }

  /// The second batch is made of what became of the first: at once, and further on.
  @Test func dependentBatchesStay() throws {
    try unchanged(
      """
        %7 = matmul(%5, %4) {transposeB: true} : f32[4, 8]
        %8 = slice(%7) {starts: [0, 0], ends: [4, 5]} : f32[4, 5]
        %9 = matmul(%8, %4) {transposeB: true} : f32[4, 8]
        output result "real" %7
        output result "fake" %9
      """)
    let square = """
        input %0 argument "x" : f32[4, 6]
        input %1 argument "w" : f32[6, 6]
        %2 = matmul(%0, %1) : f32[4, 6]
        %3 = matmul(%2, %1) : f32[4, 6]
        output result "y" %3
      """
    let graph = try parsed(square, stage: .differentiated)
    #expect(try eager.run(graph) == graph)
  }

  /// Each of the two sums has a reader of its own.
  @Test func sumsThatAreReadStay() throws {
    let graph = try parsed(
      inputs + """
          %7 = matmul(%0, %2) : f32[4, 8]
          %8 = matmul(%1, %2) : f32[4, 8]
          %9 = matmul(%0, %7) {transposeA: true} : f32[6, 8]
          %10 = matmul(%1, %8) {transposeA: true} : f32[6, 8]
          %11 = add(%9, %10) : f32[6, 8]
          output result "sum" %11
          output result "real" %9
        """, stage: .differentiated)
    let joined = try rewritten([eager], graph)
    #expect(joined.nodes.elements.count { ($0.operation as? MatMul)?.transposeA == true } == 2)
    expectSameResults(graph, joined, "sums")
  }

  /// A joint must not wait for itself by way of another joint.
  @Test func crossedBatches() throws {
    let graph = try parsed(
      inputs + """
          %7 = matmul(%0, %2) : f32[4, 8]
          %8 = matmul(%7, %4) : f32[4, 5]
          %9 = matmul(%5, %4) {transposeB: true} : f32[4, 8]
          %10 = matmul(%6, %4) {transposeB: true} : f32[4, 8]
          %11 = matmul(%9, %4) : f32[4, 5]
          %12 = slice(%11) {starts: [0, 0], ends: [4, 1]} : f32[4, 1]
          %13 = multiply(%12, %1) : f32[4, 6]
          %14 = matmul(%13, %2) : f32[4, 8]
          output result "a" %8
          output result "b" %10
          output result "c" %14
        """, stage: .differentiated)
    let joined = try rewritten([eager], graph)
    #expect(count(MatMul.self, in: joined) < count(MatMul.self, in: graph))
    expectSameResults(graph, joined, "crossed")
  }

  /// Statistics of a batch are of that batch.
  @Test func batchStatisticsStayApart() throws {
    let graph = try parsed(
      inputs + """
          %7 = matmul(%0, %2) : f32[4, 8]
          %8, %9 = moments(%7) {axes: [0]} : f32[8], f32[8]
          %10 = subtract(%7, %8) : f32[4, 8]
          %11 = matmul(%1, %2) : f32[4, 8]
          %12, %13 = moments(%11) {axes: [0]} : f32[8], f32[8]
          %14 = subtract(%11, %12) : f32[4, 8]
          output result "real" %10
          output result "fake" %14
        """, stage: .differentiated)
    let joined = try rewritten([eager], graph)
    #expect(count(MatMul.self, in: joined) == 1 && count(Moments.self, in: joined) == 2)
    expectSameResults(graph, joined, "statistics")
  }

  /// Masks keep their streams, and with them every bit.
  @Test func drawsStay() throws {
    let graph = try parsed(
      """
        input %0 seed : i32[2]
        input %1 step : i32[]
        input %2 argument "real" : f32[4, 6]
        input %3 argument "fake" : f32[4, 6]
        input %4 argument "w" : f32[6, 8]
        %5 = matmul(%2, %4) : f32[4, 8]
        %6 = random_uniform(%0, %1) {shape: [4, 8], stream: 7} : f32[4, 8]
        %7 = multiply(%5, %6) : f32[4, 8]
        %8 = matmul(%3, %4) : f32[4, 8]
        %9 = random_uniform(%0, %1) {shape: [4, 8], stream: 9} : f32[4, 8]
        %10 = multiply(%8, %9) : f32[4, 8]
        output result "real" %7
        output result "fake" %10
      """, stage: .differentiated)
    let joined = try rewritten([eager], graph)
    func draws(_ graph: Graph) -> [RandomUniform] {
      graph.nodes.elements.compactMap { $0.operation as? RandomUniform }
    }
    #expect(draws(joined) == draws(graph))
    #expect(count(MatMul.self, in: joined) == 1)
    expectSameResults(graph, joined, "draws")
  }

  @Test func threeBatches() throws {
    let graph = try parsed(
      inputs + """
          %7 = matmul(%0, %2) : f32[4, 8]
          %8 = matmul(%1, %2) : f32[4, 8]
          %9 = subtract(%0, %1) : f32[4, 6]
          %10 = matmul(%9, %2) : f32[4, 8]
          output result "a" %7
          output result "b" %8
          output result "c" %10
        """, stage: .differentiated)
    let joined = try rewritten([eager], graph)
    #expect(count(MatMul.self, in: joined) == 2)
    expectSameResults(graph, joined, "three")
  }

  @Test(arguments: 0..<40) func randomGraphsKeepResults(_ seed: Int) throws {
    let graph = try rewritten(
      [ExpandGradients(), Simplify(), CommonSubexpressions()],
      RewritableGraph.make(seed: UInt64(seed), size: 40, gradients: seed % 2 == 0))
    let joined = try rewritten([eager], graph)
    expectSameResults(graph, joined, graph.name)
    #expect(products(joined) <= products(graph))
  }

  @Test func randomGraphsHaveSomethingToJoin() throws {
    let found = try (0..<40).count { seed in
      let graph = try rewritten(
        [ExpandGradients(), Simplify(), CommonSubexpressions()],
        RewritableGraph.make(seed: UInt64(seed), size: 40, gradients: seed % 2 == 0))
      return try products(eager.run(graph)) < products(graph)
    }
    #expect(found >= 10, "\(found)")
  }

  private func products(_ graph: Graph) -> Int {
    count(MatMul.self, in: graph) + count(Conv2D.self, in: graph)
      + count(Conv2DInputGradient.self, in: graph) + count(Conv2DFilterGradient.self, in: graph)
  }
}

/// What is worth joining.
@Suite struct JoinBatchesCostTests {
  /// Two dense layers on two batches, with the gradients of a loss of both.
  private func network(rows: Int, sizes: [Int]) throws -> Graph {
    let builder = GraphBuilder(name: "network")
    var weights: [ValueID] = []
    for (index, (from, to)) in zip(sizes, sizes.dropFirst()).enumerated() {
      weights.append(try builder.input(.state("w\(index)"), .f32(from, to)))
    }
    var loss = try builder.scalar(0)
    for name in ["real", "fake"] {
      var x = try builder.input(.argument(name), .f32(rows, sizes[0]))
      for weight in weights { x = try builder.tanh(builder.matmul(x, weight)) }
      loss = try builder.add(loss, builder.mean(builder.square(x)))
    }
    for (index, gradient) in try builder.gradient(loss, wrt: weights).enumerated() {
      builder.output(.result("g\(index)"), gradient)
    }
    return try rewritten(
      [ExpandGradients(), Simplify(), CommonSubexpressions()], builder.finish())
  }

  @Test func denseLayersAreJoined() throws {
    let graph = try network(rows: 8, sizes: [128, 256, 256])
    let joined = try rewritten([JoinBatches()], graph)
    // Each layer once forward, once for its weights, and one of the two once back.
    #expect(count(MatMul.self, in: graph) == 10)
    #expect(count(MatMul.self, in: joined) == 5)
    expectSameResults(graph, joined, "dense")
  }

  /// Rows larger than the weights, and weights too small for a launch.
  @Test func smallWeightsAreNot() throws {
    for (rows, sizes) in [(300, [128, 256, 256]), (8, [16, 32, 32])] {
      let graph = try network(rows: rows, sizes: sizes)
      #expect(try JoinBatches().run(graph) == graph, "\(rows)")
      #expect(count(MatMul.self, in: try rewritten([eager], graph)) == 5)
    }
  }

  @Test func convolutionsAreNot() throws {
    let builder = GraphBuilder(name: "convolutions", stage: .differentiated)
    let filter = try builder.input(.state("filter"), .f32(3, 3, 16, 64))
    for name in ["real", "fake"] {
      let image = try builder.input(.argument(name), .f32(16, 16, 16, 16))
      builder.output(
        .result(name), try builder.conv2D(image, filter, stride: [1, 1], padding: [1, 1, 1, 1]))
    }
    let graph = builder.finish()
    #expect(try JoinBatches().run(graph) == graph)
    #expect(count(Conv2D.self, in: try eager.run(graph)) == 1)
  }
}

/// The six programs.
@Suite struct JoinBatchesProgramTests {
  static let all = [
    "dcgan-fashion", "dcgan-mnist", "dense-gan", "fashion-gan", "vanilla-gan", "vanilla-gan-tf",
  ]

  /// With all that can be joined joined.
  @Test(arguments: all) func narrowProgramsKeepResults(_ name: String) throws {
    let graph = try programGradients("Tests/TrainingTests/Fixtures/\(name).gan")
    let joined = try rewritten([eager, Simplify(), CommonSubexpressions()], graph)
    // Dcgan-fashion's networks read each of their weights once.
    #expect((joined != graph) == (name != "dcgan-fashion"))
    expectSameStep(graph, joined, name)
  }

  /// Both batches of the discriminator go through it as one, and all that is left of its gradients are products.
  @Test func vanillaGanIsJoined() throws {
    let graph = try programGradients("Graphs/vanilla-gan.gan")
    let joined = try rewritten([JoinBatches()], graph)
    // Three layers forward, two back, three gradients of weights: eight less.
    #expect(count(MatMul.self, in: joined) == count(MatMul.self, in: graph) - 8)
    #expect(count(Concat.self, in: joined) == 2 && count(Slice.self, in: joined) == 2)

  }

  /// The way back through the discriminator's generated batch is shared by two losses, and joined with the real one.
  @Test func vanillaGanTFIsJoined() throws {
    let graph = try rewritten(
      [ShareAdjoints(), Simplify(), CommonSubexpressions()],
      programGradients("Graphs/vanilla-gan-tf.gan"))
    let joined = try rewritten([JoinBatches()], graph)
    // Three layers forward, one back, three gradients of weights.
    #expect(count(MatMul.self, in: joined) == count(MatMul.self, in: graph) - 7)
  }

  /// The product that makes a gradient of weights hands its rows to the optimiser's update: nothing else reads them.
  @Test(arguments: ["vanilla-gan", "vanilla-gan-tf"])
  func gradientsOfWeightsAreNotStored(_ name: String) throws {
    let step = try programStep("Graphs/\(name).gan")
    func stored(_ pipeline: Pipeline) throws -> Int {
      let graph = try PassRunner(pipeline).run(step).graph
      return graph.nodes.elements.count { ($0.operation as? MatMul)?.transposeA == true }
    }
    #expect(try stored(.standard) == 0)
    #expect(try stored(Pipeline.standard.disabling([JoinBatches().name])) == 3)
  }

  /// Convolutions with small weights and large images.
  @Test(arguments: ["dcgan-fashion", "dcgan-mnist", "fashion-gan"])
  func convolutionalProgramsStay(_ name: String) throws {
    let graph = try programGradients("Graphs/\(name).gan")
    #expect(try JoinBatches().run(graph) == graph)
  }

  @Test func exactMathLeavesItOut() throws {
    let step = try programStep("Graphs/vanilla-gan.gan")
    func records(_ pipeline: Pipeline) throws -> [PassRecord] {
      try PassRunner(pipeline).run(step).records.filter { $0.name == JoinBatches().name }
    }
    #expect(try records(.exact).isEmpty)
    #expect(try records(.standard).map(\.changed) == [true])
  }
}

@Suite struct MinimumCutTests {
  /// Against all ways to part small random graphs.
  @Test(arguments: 0..<60) func smallestOfAll(_ seed: Int) {
    var random = PhiloxSequence(seed: UInt64(seed), stream: 3)
    var cut = MinimumCut()
    let count = 2 + random.nextInt(below: 6)
    for _ in 2..<max(count, 3) { _ = cut.addVertex() }
    let vertices = max(count, 3)
    var edges: [(from: Int, to: Int, capacity: Double)] = []
    for _ in 0..<3 * vertices {
      let from = random.nextInt(below: vertices)
      let to = random.nextInt(below: vertices)
      guard from != to else { continue }
      edges.append((from, to, Double(random.nextInt(below: 9))))
    }
    for edge in edges { cut.connect(edge.from, edge.to, edge.capacity) }
    func cost(_ isInside: (Int) -> Bool) -> Double {
      edges.reduce(0) { $0 + (isInside($1.from) && !isInside($1.to) ? $1.capacity : 0) }
    }
    // Source 0 and sink 1 are the lowest bits.
    let sets = (0..<1 << vertices).filter { $0 & 3 == 1 }
    let costs = sets.map { set in cost { set >> $0 & 1 == 1 } }
    let best = zip(costs, sets).map { (cost: $0, size: $1.nonzeroBitCount) }
      .min { ($0.cost, -$0.size) < ($1.cost, -$1.size) }
    let side = cut.sourceSide()
    #expect(side.contains(cut.source) && !side.contains(cut.sink))
    #expect(cost { side.contains($0) } == best?.cost)
    #expect((0..<vertices).count { side.contains($0) } == best?.size)
  }
}
