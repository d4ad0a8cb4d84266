// What the fusing passes report: every reason where it is the true one, and on the programs, every operation
// once and no neighbours without a reason.

import Basics
import Elaboration
import GraphIR
import Operators
import Passes
import TestSupport
import Testing

@Suite struct FusionReportTests {
  private static let pipeline = Pipeline([.once(FuseElementwise()), .once(FuseEpilogues())])

  private func report(_ graph: Graph) throws -> FusionReport {
    try PassRunner(Self.pipeline).run(graph).fusion
  }

  /// `producer reason consumer bytes` of each refusal.
  private func described(_ report: FusionReport) -> [String] {
    func name(_ neighbour: FusionReport.Neighbour) -> String {
      switch neighbour {
      case .kernel(let index): report.kernels[index].label.operation
      case .other(let label): label.operation
      }
    }
    return report.refusals.map {
      "\(name($0.producer)) \($0.reason.name) \(name($0.consumer)) \($0.bytes)"
    }
  }

  // MARK: Reasons

  @Test(arguments: [
    (
      """
        input %0 argument "x" : f32[3]
        input %1 argument "y" : f32[4, 3]
        %2 = tanh(%0) : f32[3]
        %3 = add(%2, %1) : f32[4, 3]
        output result "r" %3
      """, ["fused other-shape fused 24"]
    ),
    (
      """
        input %0 step : i32[]
        %1 = convert(%0) {to: f64} : f64[]
        %2 = sqrt(%1) : f64[]
        %3 = convert(%2) {to: f32} : f32[]
        %4 = tanh(%3) : f32[]
        output result "r" %4
      """, ["fused host-arithmetic fused 8"]
    ),
    // The path leads through the reduction; what is read by both is written anyway.
    (
      """
        input %0 argument "x" : f32[4, 3]
        %1 = tanh(%0) : f32[4, 3]
        %2 = sum(%1) {axes: [0]} : f32[3]
        %3 = subtract(%1, %2) : f32[4, 3]
        output result "r" %3
      """,
      [
        "fused reduction-between fused 48", "fused no-prologue sum 48", "sum reduction fused 24",
      ]
    ),
    // The path leads through a product. A product and its epilogue read the same value: one pair.
    (
      """
        input %0 argument "x" : f32[4, 4]
        %1 = tanh(%0) : f32[4, 4]
        %2 = matmul(%1, %1) : f32[4, 4]
        %3 = transpose(%2) {permutation: [1, 0]} : f32[4, 4]
        %4 = add(%1, %3) : f32[4, 4]
        output result "r" %4
      """,
      [
        "fused cycle fused 64", "fused no-prologue-of-product matmul 64",
        "transpose no-epilogue fused 128",
      ]
    ),
    (
      """
        input %0 argument "x" : f32[4, 4]
        %1 = tanh(%0) : f32[4, 4]
        %2 = matmul(%1, %1) : f32[4, 4]
        %3 = add(%1, %2) : f32[4, 4]
        output result "r" %3
      """,
      ["fused no-prologue-of-product matmul 128"]
    ),
    (
      """
        input %0 argument "x" : f32[1, 4, 4, 2]
        input %1 argument "dy" : f32[1, 4, 4, 2]
        %2 = conv2d_filter_gradient(%0, %1) {padding: [0, 0, 0, 0], kernelSize: [1, 1]} \
      : f32[1, 1, 2, 2]
        %3 = square(%2) : f32[1, 1, 2, 2]
        output result "r" %3
      """, ["conv2d_filter_gradient filter-gradient fused 32"]
    ),
    (
      """
        input %0 argument "x" : f32[2, 3]
        %1 = transpose(%0) {permutation: [1, 0]} : f32[3, 2]
        %2 = square(%1) : f32[3, 2]
        output result "r" %2
      """, ["transpose no-epilogue fused 48"]
    ),
    (
      """
        input %0 argument "x" : f32[2, 3]
        input %1 argument "w" : f32[3, 8]
        input %2 argument "bias" : f32[4]
        %3 = matmul(%0, %1) : f32[2, 8]
        %4 = reshape(%3) {shape: [2, 2, 4]} : f32[2, 2, 4]
        %5 = add(%4, %2) : f32[2, 2, 4]
        output result "r" %5
      """, ["matmul operand-shape fused 128"]
    ),
    (
      """
        input %0 argument "x" : f32[4, 5]
        input %1 argument "w" : f32[5, 1]
        input %2 argument "y" : f32[4, 3]
        %3 = matmul(%0, %1) : f32[4, 1]
        %4 = add(%3, %2) : f32[4, 3]
        output result "r" %4
      """, ["matmul result-shape fused 32"]
    ),
    (
      """
        input %0 argument "x" : f32[4, 4]
        %1 = matmul(%0, %0) : f32[4, 4]
        %2 = tanh(%1) : f32[4, 4]
        %3 = sum(%2) {axes: [0]} : f32[4]
        %4 = subtract(%1, %3) : f32[4, 4]
        output result "r" %4
      """, ["matmul root-taken fused 128", "sum reduction fused 32"]
    ),
    // What has the statistics' shape waits for a reduction; what has the batch's reads the batch again.
    (
      """
        input %0 argument "x" : f32[4, 3]
        %1, %2 = moments(%0) {axes: [0]} : f32[3], f32[3]
        %3 = sqrt(%2) : f32[3]
        %4 = subtract(%0, %1) : f32[4, 3]
        %5 = divide(%4, %3) : f32[4, 3]
        output result "r" %5
      """,
      [
        "fused other-shape fused 24", "moments reduction fused 24",
        "moments batch-statistics fused 24",
      ]
    ),
    // Statistics behind a product, with an epilogue and without, also through a reshape.
    (
      """
        input %0 argument "x" : f32[4, 4]
        %1 = matmul(%0, %0) : f32[4, 4]
        %2 = tanh(%1) : f32[4, 4]
        %3, %4 = moments(%2) {axes: [0]} : f32[4], f32[4]
        %5 = subtract(%2, %3) : f32[4, 4]
        output result "r" %5
      """,
      [
        "matmul reduction-between fused 64", "matmul product-statistics moments 64",
        "moments batch-statistics fused 32",
      ]
    ),
    (
      """
        input %0 argument "x" : f32[4, 4]
        %1 = matmul(%0, %0) : f32[4, 4]
        %2 = reshape(%1) {shape: [8, 2]} : f32[8, 2]
        %3, %4 = moments(%2) {axes: [0]} : f32[2], f32[2]
        output result "mean" %3
      """, ["matmul product-statistics moments 128"]
    ),
    (
      """
        input %0 argument "x" : f32[4, 4]
        %1 = matmul(%0, %0) : f32[4, 4]
        %2 = matmul(%0, %0) {transposeB: true} : f32[4, 4]
        %3 = add(%1, %2) : f32[4, 4]
        output result "r" %3
      """, ["matmul other-root matmul 128"]
    ),
    // A region in front of a product, and one behind a reshape of another.
    (
      """
        input %0 argument "x" : f32[2, 6]
        input %1 argument "row" : f32[3]
        %2 = tanh(%0) : f32[2, 6]
        %3 = reshape(%2) {shape: [4, 3]} : f32[4, 3]
        %4 = add(%3, %1) : f32[4, 3]
        %5 = matmul(%4, %4) {transposeB: true} : f32[4, 4]
        output result "r" %5
      """, ["fused other-shape fused 96", "fused no-prologue-of-product matmul 96"]
    ),
  ])
  func reasons(_ body: String, _ expected: [String]) throws {
    let graph = try parsed(body, stage: .differentiated)
    #expect(described(try report(graph)).sorted() == expected.sorted())
  }

  @Test func limits() throws {
    func chain(inputs: Bool) throws -> Graph {
      let builder = GraphBuilder(name: "long", stage: .differentiated)
      var x = try builder.input(.argument("x"), .f32(4))
      for index in 0..<100 {
        let other = inputs ? try builder.input(.argument("a\(index)"), .f32(4)) : x
        x = try builder.add(x, other)
      }
      builder.output(.result("r"), x)
      return builder.finish()
    }
    let steps = try report(chain(inputs: false))
    #expect(steps.kernels.map(\.operations.count) == [36, 64])
    #expect(steps.refusals.map(\.reason) == [.tooManySteps(65, limit: 64)])
    let inputs = try report(chain(inputs: true))
    #expect(inputs.refusals.map(\.reason.name).allSatisfy { $0 == "too-many-inputs" })
    #expect(inputs.refusals.count == inputs.kernels.count - 1 && inputs.kernels.count > 3)
  }

  /// What lies between the two is named: the reduction, not the arithmetic on its result.
  @Test func cyclesNameWhatLiesBetween() throws {
    let graph = try parsed(
      """
        input %0 argument "x" : f32[4, 3]
        %1 = matmul(%0, %0) {transposeB: true} : f32[4, 4]
        %2 = reshape(%1) {shape: [2, 2, 4]} : f32[2, 2, 4]
        %3 = sum(%2) {axes: [0, 1]} : f32[4]
        %4 = sqrt(%3) : f32[4]
        %5 = subtract(%1, %4) : f32[4, 4]
        output result "r" %5
      """, stage: .differentiated)
    let found = try report(graph).refusals.compactMap { refusal -> OperationLabel? in
      if case .reductionBetween(let between) = refusal.reason { between } else { nil }
    }
    #expect(found.map(\.operation) == ["sum"] && found.map(\.shape) == [[4]])
  }

  // MARK: Bytes

  /// A bias and an activation behind a product: neither sum nor its addend go through memory.
  @Test func savedBytes() throws {
    let graph = try parsed(
      """
        input %0 argument "x" : f32[4, 3]
        input %1 argument "w" : f32[3, 5]
        input %2 argument "bias" : f32[5]
        %3 = matmul(%0, %1) : f32[4, 5]
        %4 = add(%3, %2) : f32[4, 5]
        %5 = tanh(%4) : f32[4, 5]
        output result "r" %5
      """, stage: .differentiated)
    let found = try report(graph)
    let kernel = try #require(found.kernels.first)
    #expect(found.kernels.count == 1 && found.refusals.isEmpty)
    #expect(kernel.root?.operation == "matmul" && kernel.root?.shape == [4, 5])
    #expect(kernel.operations.map(\.operation) == ["add", "tanh"])
    #expect(kernel.bytes == 4 * (12 + 15 + 5 + 20))
    #expect(kernel.savedBytes == 4 * 4 * 20)
  }

  /// Copies compute nothing, and are not forgotten.
  @Test func copiesAreRemoved() throws {
    let graph = try parsed(
      """
        input %0 argument "x" : f32[3]
        %1 = stop_gradient(%0) : f32[3]
        output result "r" %1
      """, stage: .differentiated)
    let found = try report(graph)
    #expect(found.kernels.isEmpty)
    #expect(found.removed.map(\.operation) == ["stop_gradient"])
  }

  // MARK: Programs

  /// The graphs of a program: the step and the samples.
  private static func graphs(_ name: String) throws -> [Graph] {
    let source = SourceText(name: "\(name).gan", bytes: try Places.bytes("Graphs/\(name).gan"))
    let result = compile(source, options: ElaborationOptions(settings: [("batch", "8")]))
    let program = try #require(result.program)
    return [try #require(program.train).graph] + program.samples.map(\.graph)
  }

  private static let models = [
    "dcgan-fashion", "dcgan-mnist", "dense-gan", "fashion-gan", "vanilla-gan", "vanilla-gan-tf",
  ]

  @Test(arguments: models) func everyOperationIsThereOnce(_ name: String) throws {
    for pipeline in [Pipeline.standard, .exact, .unoptimized] {
      for graph in try Self.graphs(name) {
        let outcome = try PassRunner(pipeline, keepsGraphs: true).run(graph)
        let fusing = outcome.records.firstIndex { $0.name == "fuse-elementwise" }
        let before = fusing.flatMap { outcome.records[$0 - 1].graph } ?? outcome.graph
        let expected = before.nodes.elements.filter { $0.operation.isElementwise }
        let fusion = outcome.fusion
        let found = fusion.kernels.flatMap(\.operations) + fusion.removed
        func key(_ operation: String, _ origin: Origin) -> String { "\(operation) \(origin)" }
        #expect(
          found.map { key($0.operation, $0.origin) }.sorted()
            == expected.map { key($0.operation.mnemonic, $0.origin) }.sorted())
        let kernels = outcome.graph.nodes.elements.filter {
          $0.operation is Fused || $0.operation.isElementwise || $0.operation.isProduct
        }
        #expect(fusion.kernels.count == kernels.count)
      }
    }
  }

  /// Every region that reads what a product makes, or makes what a product reads, says why it is not one with it.
  @Test(arguments: models) func noNeighboursWithoutAReason(_ name: String) throws {
    var pairs = 0
    for graph in try Self.graphs(name) {
      let fusion = try PassRunner(.standard).run(graph).fusion
      let fused = try #require(fusion.graph)
      var kernelAt: [Int: Int] = [:]
      for (index, kernel) in fusion.kernels.enumerated() { kernelAt[kernel.node] = index }
      for (index, kernel) in fusion.kernels.enumerated() {
        for operand in fused.nodes.elements[kernel.node].operands {
          var producer = fused.values[operand].producer
          while let id = producer, fused.nodes[id].operation is Reshape {
            producer = fused.values[fused.nodes[id].operands[0]].producer
          }
          guard let other = producer.flatMap({ kernelAt[$0.index] }) else { continue }
          let isRegion = (fusion.kernels[other].isMemoryPass, kernel.isMemoryPass)
          guard isRegion.0 || isRegion.1 else { continue }
          pairs += 1
          let refusals = fusion.refusals.filter {
            $0.producer == .kernel(other) && $0.consumer == .kernel(index)
          }
          #expect(!refusals.isEmpty && refusals.allSatisfy { $0.bytes > 0 })
        }
      }
    }
    #expect(pairs > 10)
  }
}
