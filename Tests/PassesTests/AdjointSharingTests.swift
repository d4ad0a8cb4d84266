// One way back for losses whose adjoints differ by a factor per example.

import Basics
import GraphIR
import Operators
import Passes
import TestSupport
import Testing

@Suite struct AdjointSharingTests {
  private let pass = ShareAdjoints()

  /// The inputs of the golden tests: adjoints a, b of 4 examples, a last layer w, a layer v, a mask, something else.
  private let inputs = """
      input %0 argument "a" : f32[4, 1]
      input %1 argument "b" : f32[4, 1]
      input %2 argument "w" : f32[6, 1]
      input %3 argument "v" : f32[8, 6]
      input %4 argument "mask" : bool[4, 6]
      input %5 argument "other" : f32[4, 8]

    """

  private func unchanged(_ body: String) throws {
    let graph = try parsed(inputs + body, stage: .differentiated)
    #expect(try pass.run(graph) == graph)
  }

  @Test func wayBackIsShared() throws {
    try expect(
      pass,
      inputs + """
          %6 = constant() {type: f32[], values: [0.2]} : f32[]
          %7 = matmul(%0, %2) {transposeB: true} : f32[4, 6]
          %8 = multiply(%7, %6) : f32[4, 6]
          %9 = select(%4, %7, %8) : f32[4, 6]
          %10 = matmul(%9, %3) {transposeB: true} : f32[4, 8]
          %11 = multiply(%10, %5) : f32[4, 8]
          %12 = matmul(%1, %2) {transposeB: true} : f32[4, 6]
          %13 = multiply(%12, %6) : f32[4, 6]
          %14 = select(%4, %12, %13) : f32[4, 6]
          %15 = matmul(%14, %3) {transposeB: true} : f32[4, 8]
          %16 = multiply(%15, %5) : f32[4, 8]
          %17 = matmul(%5, %14) {transposeA: true} : f32[8, 6]
          %18 = sum(%16) {axes: [0]} : f32[8]
          %19 = matmul(%11, %3) : f32[4, 6]
          output result "filter" %17
          output result "bias" %18
          output result "image" %19
        """,
      """
      %6 = constant() {type: f32[], values: [0.2]} : f32[]
      %7 = reshape(%2) {shape: [1, 6]} : f32[1, 6]
      %8 = broadcast(%7) {shape: [4, 6]} : f32[4, 6]
      %9 = multiply(%8, %6) : f32[4, 6]
      %10 = select(%4, %8, %9) : f32[4, 6]
      %11 = matmul(%10, %3) {transposeB: true} : f32[4, 8]
      %12 = multiply(%11, %5) : f32[4, 8]
      %13 = multiply(%12, %0) : f32[4, 8]
      %14 = multiply(%10, %1) : f32[4, 6]
      %15 = multiply(%12, %1) : f32[4, 8]
      %16 = matmul(%5, %14) {transposeA: true} : f32[8, 6]
      %17 = sum(%15) {axes: [0]} : f32[8]
      %18 = matmul(%13, %3) : f32[4, 6]
      output result "filter" %16
      output result "bias" %17
      output result "image" %18
      """)
  }

  /// Images: the factor takes the rank of what it multiplies. A zero has any factor.
  @Test func imagesAndZeros() throws {
    try expect(
      pass,
      """
        input %0 argument "a" : f32[3, 1]
        input %1 argument "b" : f32[3, 1]
        input %2 argument "w" : f32[16, 1]
        input %3 argument "filter" : f32[2, 2, 5, 4]
        input %4 argument "mask" : bool[3, 2, 2, 4]
        %7 = constant() {type: f32[3, 2, 2, 4], values: [0.0]} : f32[3, 2, 2, 4]
        %8 = matmul(%0, %2) {transposeB: true} : f32[3, 16]
        %9 = reshape(%8) {shape: [3, 2, 2, 4]} : f32[3, 2, 2, 4]
        %10 = select(%4, %9, %7) : f32[3, 2, 2, 4]
        %11 = conv2d_input_gradient(%10, %3) {inputSize: [3, 3]} : f32[3, 3, 3, 5]
        %12 = matmul(%1, %2) {transposeB: true} : f32[3, 16]
        %13 = reshape(%12) {shape: [3, 2, 2, 4]} : f32[3, 2, 2, 4]
        %14 = select(%4, %13, %7) : f32[3, 2, 2, 4]
        %15 = conv2d_input_gradient(%14, %3) {inputSize: [3, 3]} : f32[3, 3, 3, 5]
        output result "a" %11
        output result "b" %15
      """,
      """
      %5 = constant() {type: f32[3, 2, 2, 4], values: [0.0]} : f32[3, 2, 2, 4]
      %6 = reshape(%2) {shape: [1, 16]} : f32[1, 16]
      %7 = broadcast(%6) {shape: [3, 16]} : f32[3, 16]
      %8 = reshape(%7) {shape: [3, 2, 2, 4]} : f32[3, 2, 2, 4]
      %9 = select(%4, %8, %5) : f32[3, 2, 2, 4]
      %10 = conv2d_input_gradient(%9, %3) {inputSize: [3, 3]} : f32[3, 3, 3, 5]
      %11 = reshape(%0) {shape: [3, 1, 1, 1]} : f32[3, 1, 1, 1]
      %12 = multiply(%10, %11) : f32[3, 3, 3, 5]
      %13 = reshape(%1) {shape: [3, 1, 1, 1]} : f32[3, 1, 1, 1]
      %14 = multiply(%10, %13) : f32[3, 3, 3, 5]
      output result "a" %12
      output result "b" %14
      """)
  }

  /// A network that ends in a convolution to one value: its adjoint is an image of one pixel.
  @Test func convolutionsToOnePixel() throws {
    try expect(
      pass,
      """
        input %0 argument "a" : f32[3, 1]
        input %1 argument "b" : f32[3, 1, 1, 1]
        input %2 argument "last" : f32[2, 2, 4, 1]
        input %3 argument "filter" : f32[2, 2, 5, 4]
        %4 = reshape(%0) {shape: [3, 1, 1, 1]} : f32[3, 1, 1, 1]
        %5 = conv2d_input_gradient(%4, %2) {inputSize: [2, 2]} : f32[3, 2, 2, 4]
        %6 = conv2d_input_gradient(%5, %3) {inputSize: [3, 3]} : f32[3, 3, 3, 5]
        %7 = conv2d_input_gradient(%1, %2) {inputSize: [2, 2]} : f32[3, 2, 2, 4]
        %8 = conv2d_input_gradient(%7, %3) {inputSize: [3, 3]} : f32[3, 3, 3, 5]
        output result "a" %6
        output result "b" %8
      """,
      """
      %4 = constant() {type: f32[3, 1, 1, 1], values: [1.0]} : f32[3, 1, 1, 1]
      %5 = conv2d_input_gradient(%4, %2) {inputSize: [2, 2]} : f32[3, 2, 2, 4]
      %6 = conv2d_input_gradient(%5, %3) {inputSize: [3, 3]} : f32[3, 3, 3, 5]
      %7 = reshape(%0) {shape: [3, 1, 1, 1]} : f32[3, 1, 1, 1]
      %8 = multiply(%6, %7) : f32[3, 3, 3, 5]
      %9 = multiply(%6, %1) : f32[3, 3, 3, 5]
      output result "a" %8
      output result "b" %9
      """)
  }

  /// What multiplies two ways back may itself be a value of a third one.
  @Test func waysBackAsFactors() throws {
    try expect(
      pass,
      inputs + """
          %6 = slice(%5) {starts: [0, 0], ends: [4, 1]} : f32[4, 1]
          %7 = matmul(%0, %2) {transposeB: true} : f32[4, 6]
          %8 = matmul(%7, %3) {transposeB: true} : f32[4, 8]
          %9 = matmul(%1, %2) {transposeB: true} : f32[4, 6]
          %10 = matmul(%9, %3) {transposeB: true} : f32[4, 8]
          %11 = matmul(%6, %2) {transposeB: true} : f32[4, 6]
          %12 = matmul(%11, %3) {transposeB: true} : f32[4, 8]
          %13 = multiply(%8, %12) : f32[4, 8]
          %14 = multiply(%10, %12) : f32[4, 8]
          output result "a" %13
          output result "b" %14
        """,
      """
      %6 = slice(%5) {starts: [0, 0], ends: [4, 1]} : f32[4, 1]
      %7 = reshape(%2) {shape: [1, 6]} : f32[1, 6]
      %8 = broadcast(%7) {shape: [4, 6]} : f32[4, 6]
      %9 = matmul(%8, %3) {transposeB: true} : f32[4, 8]
      %10 = multiply(%9, %6) : f32[4, 8]
      %11 = multiply(%9, %10) : f32[4, 8]
      %12 = multiply(%11, %0) : f32[4, 8]
      %13 = multiply(%11, %1) : f32[4, 8]
      output result "a" %12
      output result "b" %13
      """)
  }

  /// Two ways back with one mask, and one with another for a further batch.
  private let furtherBatch = """
      %6 = constant() {type: f32[4, 6], values: [0.0]} : f32[4, 6]
      %7 = slice(%5) {starts: [0, 0], ends: [4, 1]} : f32[4, 1]
      %8 = compare(%5, %7) {predicate: lt} : bool[4, 8]
      %9 = slice(%8) {starts: [0, 0], ends: [4, 6]} : bool[4, 6]
      %10 = matmul(%0, %2) {transposeB: true} : f32[4, 6]
      %11 = select(%4, %10, %6) : f32[4, 6]
      %12 = matmul(%11, %3) {transposeB: true} : f32[4, 8]
      %13 = matmul(%1, %2) {transposeB: true} : f32[4, 6]
      %14 = select(%4, %13, %6) : f32[4, 6]
      %15 = matmul(%14, %3) {transposeB: true} : f32[4, 8]
      %16 = matmul(%7, %2) {transposeB: true} : f32[4, 6]
      %17 = select(%9, %16, %6) : f32[4, 6]
      %18 = matmul(%17, %3) {transposeB: true} : f32[4, 8]
      %19 = negate(%18) : f32[4, 8]
      output result "a" %12
      output result "b" %15
      output result "c" %19
    """

  /// The way back of one loss for another batch, masked differently, is a unit too where it multiplies by the same
  /// weights; what leads to it and what is made of it as well.
  @Test func furtherBatchesFollow() throws {
    try expect(
      pass, inputs + furtherBatch,
      """
      %6 = constant() {type: f32[4, 6], values: [0.0]} : f32[4, 6]
      %7 = slice(%5) {starts: [0, 0], ends: [4, 1]} : f32[4, 1]
      %8 = compare(%5, %7) {predicate: lt} : bool[4, 8]
      %9 = slice(%8) {starts: [0, 0], ends: [4, 6]} : bool[4, 6]
      %10 = reshape(%2) {shape: [1, 6]} : f32[1, 6]
      %11 = broadcast(%10) {shape: [4, 6]} : f32[4, 6]
      %12 = select(%4, %11, %6) : f32[4, 6]
      %13 = matmul(%12, %3) {transposeB: true} : f32[4, 8]
      %14 = multiply(%13, %0) : f32[4, 8]
      %15 = multiply(%13, %1) : f32[4, 8]
      %16 = select(%9, %11, %6) : f32[4, 6]
      %17 = matmul(%16, %3) {transposeB: true} : f32[4, 8]
      %18 = negate(%17) : f32[4, 8]
      %19 = multiply(%18, %7) : f32[4, 8]
      output result "a" %14
      output result "b" %15
      output result "c" %19
      """)
  }

  /// With more rows than weights joining does not pay, and a unit would be one more tensor to store.
  @Test func largeFurtherBatchesStay() throws {
    let large = (inputs + furtherBatch).replacingRows(4, by: 9)
    let graph = try parsed(large, stage: .differentiated)
    let shared = try rewritten([pass], graph)
    #expect(count(MatMul.self, in: graph) == 6 && count(MatMul.self, in: shared) == 2)
    // The factor comes in before the product, not behind it.
    let end = try #require(shared.output(.result("c")))
    #expect(shared.producer(of: end)?.operation is Negate)
    expectSameResults(graph, shared, "rows of 9")
  }

  /// Elements that become rows are factors of their own.
  @Test func elementsAsRows() throws {
    func way(_ factor: String, from first: Int) -> String {
      """
        %\(first) = matmul(\(factor), %2) {transposeB: true} : f32[4, 6]
        %\(first + 1) = reshape(%\(first)) {shape: [24, 1]} : f32[24, 1]
        %\(first + 2) = matmul(%\(first + 1), %2) {transposeB: true} : f32[24, 6]
        %\(first + 3) = matmul(%\(first + 2), %3) {transposeB: true} : f32[24, 8]

      """
    }
    let graph = try parsed(
      inputs + way("%0", from: 6) + way("%1", from: 10) + """
          output result "a" %9
          output result "b" %13
        """, stage: .differentiated)
    let shared = try rewritten([pass], graph)
    #expect(count(MatMul.self, in: graph) == 6 && count(MatMul.self, in: shared) == 3)
    expectSameResults(graph, shared, "rows of 24")
  }

  /// Nothing but cheap operations would be saved.
  @Test func cheapWaysStay() throws {
    try unchanged(
      """
        %6 = matmul(%0, %2) {transposeB: true} : f32[4, 6]
        %7 = negate(%6) : f32[4, 6]
        %8 = matmul(%1, %2) {transposeB: true} : f32[4, 6]
        %9 = negate(%8) : f32[4, 6]
        output result "a" %7
        output result "b" %9
      """)
  }

  /// Two masks, as of two batches, or two layers: nothing is common but the outer product.
  @Test func differentWaysStay() throws {
    try unchanged(
      """
        %6 = constant() {type: f32[], values: [0.0]} : f32[]
        %7 = compare(%5, %6) {predicate: lt} : bool[4, 8]
        %8 = slice(%7) {starts: [0, 0], ends: [4, 6]} : bool[4, 6]
        %9 = matmul(%0, %2) {transposeB: true} : f32[4, 6]
        %10 = select(%4, %9, %6) : f32[4, 6]
        %11 = matmul(%10, %3) {transposeB: true} : f32[4, 8]
        %12 = matmul(%1, %2) {transposeB: true} : f32[4, 6]
        %13 = select(%8, %12, %6) : f32[4, 6]
        %14 = matmul(%13, %3) {transposeB: true} : f32[4, 8]
        output result "a" %11
        output result "b" %14
      """)
  }

  /// Batch statistics mix the examples.
  @Test func statisticsInBetween() throws {
    try unchanged(
      """
        %6 = matmul(%0, %2) {transposeB: true} : f32[4, 6]
        %7 = sum(%6) {axes: [0]} : f32[6]
        %8 = subtract(%6, %7) : f32[4, 6]
        %9 = matmul(%8, %3) {transposeB: true} : f32[4, 8]
        %10 = matmul(%1, %2) {transposeB: true} : f32[4, 6]
        %11 = sum(%10) {axes: [0]} : f32[6]
        %12 = subtract(%10, %11) : f32[4, 6]
        %13 = matmul(%12, %3) {transposeB: true} : f32[4, 8]
        output result "a" %9
        output result "b" %13
      """)
  }

  /// A sum of ways back with different factors is no product of one factor.
  @Test func mixedFactorsStay() throws {
    try unchanged(
      """
        %6 = matmul(%0, %2) {transposeB: true} : f32[4, 6]
        %7 = matmul(%1, %2) {transposeB: true} : f32[4, 6]
        %8 = subtract(%6, %7) : f32[4, 6]
        %9 = subtract(%7, %6) : f32[4, 6]
        %10 = matmul(%8, %3) {transposeB: true} : f32[4, 8]
        %11 = matmul(%9, %3) {transposeB: true} : f32[4, 8]
        output result "a" %10
        output result "b" %11
      """)
  }

  /// A branch that nobody reads is no second loss.
  @Test func deadWaysDoNotCount() throws {
    try unchanged(
      """
        %6 = matmul(%0, %2) {transposeB: true} : f32[4, 6]
        %7 = matmul(%6, %3) {transposeB: true} : f32[4, 8]
        %8 = matmul(%1, %2) {transposeB: true} : f32[4, 6]
        %9 = matmul(%8, %3) {transposeB: true} : f32[4, 8]
        output result "a" %7
      """)
  }

  @Test(arguments: 0..<40) func randomGraphsKeepResults(_ seed: Int) throws {
    let graph = try rewritten(
      [ExpandGradients(), Simplify(), CommonSubexpressions()],
      RewritableGraph.make(seed: UInt64(seed), size: 40, gradients: seed % 2 == 0))
    let shared = try rewritten([pass], graph)
    expectSameResults(graph, shared, graph.name)
    #expect(work(shared) <= work(graph) && (shared == graph || work(shared) < work(graph)))
  }

  /// The arithmetic of all products.
  private func work(_ graph: Graph) -> Double {
    graph.nodes.elements.reduce(0) { sum, node in
      guard node.operation is MatMul || node.operation is any ConvolutionOperation else {
        return sum
      }
      let types = (graph.types(of: node.operands), graph.types(of: node.results))
      return sum + node.operation.cost(types.0, types.1).flops
    }
  }

  @Test func randomGraphsHaveSomethingToShare() throws {
    let found = try (0..<40).count { seed in
      let graph = try rewritten(
        [ExpandGradients(), Simplify(), CommonSubexpressions()],
        RewritableGraph.make(seed: UInt64(seed), size: 40, gradients: seed % 2 == 0))
      return try pass.run(graph) != graph
    }
    #expect(found >= 10)
  }
}

extension String {
  /// IR text with another size of every first axis of one size.
  fileprivate func replacingRows(_ old: Int, by new: Int) -> String {
    split(separator: "[\(old), ", omittingEmptySubsequences: false).joined(separator: "[\(new), ")
  }
}

/// The six programs.
@Suite struct AdjointSharingProgramTests {
  static let sharing = ["dcgan-mnist", "vanilla-gan-tf"]
  static let all = sharing + ["dcgan-fashion", "dense-gan", "fashion-gan", "vanilla-gan"]

  @Test(arguments: all) func narrowProgramsKeepResults(_ name: String) throws {
    let graph = try programGradients("Tests/TrainingTests/Fixtures/\(name).gan")
    let shared = try rewritten([ShareAdjoints(), Simplify(), CommonSubexpressions()], graph)
    #expect((shared != graph) == Self.sharing.contains(name))
    expectSameStep(graph, shared, name)
  }

  @Test func wholeProgramsSaveProducts() throws {
    let digits = try programGradients("Graphs/dcgan-mnist.gan")
    let fewer = try rewritten([ShareAdjoints()], digits)
    #expect(
      count(Conv2DInputGradient.self, in: fewer) == count(Conv2DInputGradient.self, in: digits) - 1)
    #expect(!fewer.nodes.elements.contains { isOuterProduct($0, fewer) })

    let garments = try programGradients("Graphs/vanilla-gan-tf.gan")
    let less = try rewritten([ShareAdjoints()], garments)
    // The layer of 512, and three outer products of the last one, which are element-wise now.
    #expect(count(MatMul.self, in: less) == count(MatMul.self, in: garments) - 4)
    #expect(!less.nodes.elements.contains { isOuterProduct($0, less) })
  }

  private func isOuterProduct(_ node: Node, _ graph: Graph) -> Bool {
    guard let product = node.operation as? MatMul else { return false }
    return product.sizes(graph.type(of: node.operands[0]), graph.type(of: node.operands[1])).k == 1
  }

  @Test(arguments: all.filter { !sharing.contains($0) })
  func otherProgramsStay(_ name: String) throws {
    let graph = try programGradients("Graphs/\(name).gan")
    #expect(try ShareAdjoints().run(graph) == graph)
  }

  @Test func exactMathLeavesItOut() throws {
    let graph = try programStep("Tests/TrainingTests/Fixtures/dcgan-mnist.gan")
    func records(_ pipeline: Pipeline) throws -> [PassRecord] {
      try PassRunner(pipeline).run(graph).records.filter { $0.name == ShareAdjoints().name }
    }
    #expect(try records(.exact).isEmpty)
    #expect(try records(.standard).map(\.changed) == [true])
  }
}
