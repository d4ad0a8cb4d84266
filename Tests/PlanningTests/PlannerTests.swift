// Plans of random graphs compute what the graph means, fit the bound, and pass the verifier; the verifier finds
// planted faults; states that exchange values do; the text of a small plan is as it is.

import Basics
import GraphIR
import Operators
import Planning
import TestSupport
import Testing

@Suite struct PlannerTests {
  private func randomGraph(_ seed: Int, size: Int) throws -> Graph {
    try RandomGraph.make(seed: UInt64(seed), RandomGraphOptions(size: size, fused: true))
  }

  /// Runs the plan for a few steps beside the evaluator.
  private func expectSameResults(_ graph: Graph, _ first: [HostTensor], steps: Int = 3) throws {
    let plan = Planner().plan(graph)
    try PlanVerifier().verify(plan)
    var interpreter = PlanInterpreter(plan, inputs: first)
    var inputs = first
    for _ in 0..<steps {
      let expected = Evaluator(rounding: true).evaluate(graph, inputs: inputs)
      let found = interpreter.run()
      #expect(found == expected, "\(graph.name)\n\(plan.text())")
      for (output, value) in zip(graph.outputs, expected) {
        guard case .state(let name) = output.role, let input = graph.input(.state(name)) else {
          continue
        }
        inputs[graph.values[input].index] = value
        #expect(interpreter.states[name]?.values == value.values, "\(graph.name) \(name)")
      }
    }
  }

  @Test(arguments: 0..<150) func randomGraphsKeepTheirMeaning(_ seed: Int) throws {
    let graph = try randomGraph(seed, size: 10 + seed % 50)
    try Verifier().verify(graph)
    try expectSameResults(graph, RandomGraph.inputs(of: graph, seed: UInt64(seed)))
  }

  @Test func arenasAreNearTheBound() throws {
    var worst = 1.0
    var total = (arena: 0, bound: 0, none: 0)
    for seed in 200..<230 {
      let plan = Planner().plan(try randomGraph(seed, size: 80))
      worst = max(worst, Double(plan.arenaBytes) / Double(plan.lowerBoundBytes))
      total.arena += plan.arenaBytes
      total.bound += plan.lowerBoundBytes
      total.none += plan.withoutReuseBytes
      #expect(plan.peak.bytes == plan.lowerBoundBytes)
    }
    #expect(worst < 1.25)
    #expect(Double(total.arena) <= 1.05 * Double(total.bound))
    #expect(total.arena < total.none)
  }

  @Test func plansAreTheSameEachTime() throws {
    let graph = try randomGraph(7, size: 60)
    let text = Planner().plan(graph).text()
    #expect(Planner().plan(graph).text() == text)
  }

  // MARK: States

  private func values(_ graph: Graph) -> [HostTensor] {
    graph.inputs.enumerated().map { index, input in
      let type = graph.type(of: input.value)
      return HostTensor(type, (0..<type.count).map { Double(index * 100 + $0) / 8 })
    }
  }

  @Test func statesAreExchanged() throws {
    let builder = GraphBuilder(name: "swap", stage: .fused)
    let a = try builder.input(.state("a"), .f32(5))
    let b = try builder.input(.state("b"), .f32(5))
    let c = try builder.input(.state("c"), .f32(5))
    builder.output(.state("a"), b)
    builder.output(.state("b"), c)
    builder.output(.state("c"), a)
    builder.output(.report("old a"), a)
    let graph = builder.finish()
    let plan = Planner().plan(graph)
    #expect(plan.stateCopies.filter { $0.staging != nil }.count == 1)
    try expectSameResults(graph, values(graph))
  }

  @Test func copiesReadBeforeTheyOverwrite() throws {
    // The average takes the weight's old value, the weight a new one: the weight's buffer may not be overwritten
    // before the copy.
    let builder = GraphBuilder(name: "chain", stage: .fused)
    let weight = try builder.input(.state("w"), .f32(5))
    _ = try builder.input(.state("old"), .f32(5))
    let updated = try builder.add(Tanh(), weight)
    builder.output(.state("w"), updated)
    builder.output(.state("old"), weight)
    let graph = builder.finish()
    let plan = Planner().plan(graph)
    #expect(plan.stateCopies.map(\.state) == ["old", "w"])
    try expectSameResults(graph, values(graph))
  }

  @Test func updatesGoOverTheOldValue() throws {
    let builder = GraphBuilder(name: "sgd", stage: .fused)
    let weight = try builder.input(.state("w"), .f32(8, 8))
    let x = try builder.input(.argument("x"), .f32(8, 8))
    // The update stands before the last reader of the old weight; it is moved behind it.
    let updated = try builder.add(Subtract(), weight, x)
    let product = try builder.add(MatMul(), x, weight)
    builder.output(.state("w"), updated)
    builder.output(.result("y"), product)
    let graph = builder.finish()
    let plan = Planner().plan(graph)
    #expect(plan.stateCopies.isEmpty)
    #expect(plan.placements[updated] == .state("w"))
    try expectSameResults(graph, values(graph))
  }

  @Test(arguments: [false, true]) func severalUpdatesGoOverEachOther(_ isReported: Bool) throws {
    let builder = GraphBuilder(name: "twice", stage: .fused)
    let weight = try builder.input(.state("w"), .f32(8, 8))
    let x = try builder.input(.argument("x"), .f32(8, 8))
    let first = try builder.add(Subtract(), weight, x)
    let y = try builder.add(MatMul(), x, first)
    // The second update stands before the last reader of the first one; it is moved behind it.
    let second = try builder.add(Subtract(), first, y)
    let z = try builder.add(MatMul(), y, first)
    builder.output(.state("w"), try builder.add(Reshape([8, 8]), second))
    builder.output(.result("z"), z)
    if isReported { builder.output(.report("first"), first) }
    let graph = builder.finish()
    let plan = Planner().plan(graph)
    #expect(plan.stateCopies.isEmpty)
    #expect(plan.placements[second] == .state("w"))
    #expect((plan.placements[first] == .state("w")) == !isReported)
    try expectSameResults(graph, values(graph))
  }

  @Test func anUpdateDoesNotOverwriteAStateThatIsReadLater() throws {
    let builder = GraphBuilder(name: "kept", stage: .fused)
    let weight = try builder.input(.state("w"), .f32(8, 8))
    let first = try builder.add(Subtract(), weight, try builder.add(Tanh(), weight))
    // The product needs the first update and reads the old value: the second update, which is moved behind it, may
    // overwrite both, the first may not.
    let second = try builder.add(Subtract(), first, try builder.add(Relu(), first))
    let both = try builder.add(MatMul(), try builder.add(Tanh(), first), weight)
    builder.output(.state("w"), second)
    builder.output(.result("both"), both)
    let graph = builder.finish()
    let plan = Planner().plan(graph)
    #expect(plan.stateCopies.isEmpty)
    #expect(plan.placements[second] == .state("w"))
    #expect(plan.placements[first] != .state("w"))
    try expectSameResults(graph, values(graph))
  }

  /// A product whose epilogue is an update of the state, as the fusion of an optimiser makes it.
  private func epilogueUpdate(_ a: (ValueID, ValueID) -> ValueID) throws -> Graph {
    let builder = GraphBuilder(name: "epilogue", stage: .fused)
    let weight = try builder.input(.state("w"), .f32(64))
    let x = try builder.input(.argument("x"), .f32(8, 8))
    let view = try builder.add(Reshape([8, 8]), weight)
    let region = Region(
      inputCount: 2, steps: [.init(Subtract(), [.input(1), .input(0)])], results: [.step(0)])
    let new = try builder.add(Fused(root: MatMul(), region: region), [x, a(x, view), view])
    builder.output(.state("w"), try builder.add(Reshape([64]), new[0]))
    return builder.finish()
  }

  @Test func epiloguesUpdateStatesInPlace() throws {
    let graph = try epilogueUpdate { x, _ in x }
    #expect(Planner().plan(graph).stateCopies.isEmpty)
    try expectSameResults(graph, values(graph))
    // Not where the root reads the state.
    let other = try epilogueUpdate { _, weight in weight }
    #expect(Planner().plan(other).stateCopies.count == 1)
    try expectSameResults(other, values(other), steps: 1)
  }

  @Test func regionsOfSeveralShapesUpdateStatesInPlace() throws {
    let builder = GraphBuilder(name: "two", stage: .fused)
    let a = try builder.input(.state("a"), .f32(8))
    let b = try builder.input(.state("b"), .f32(3))
    let x = try builder.input(.argument("x"), .f32(8))
    let y = try builder.input(.argument("y"), .f32(3))
    let rate = try builder.input(.argument("rate"), .f32())
    let region = Region(
      inputCount: 5,
      steps: [
        .init(Multiply(), [.input(1), .input(4)]), .init(Add(), [.input(0), .step(0)]),
        .init(Multiply(), [.input(3), .input(4)]), .init(Add(), [.input(2), .step(2)]),
      ], results: [.step(1), .step(3)])
    let results = try builder.add(Fused(region: region), [a, x, b, y, rate])
    builder.output(.state("a"), results[0])
    builder.output(.state("b"), results[1])
    let graph = builder.finish()
    let plan = Planner().plan(graph)
    #expect(plan.stateCopies.isEmpty)
    #expect(results.map { plan.placements[$0] } == [.state("a"), .state("b")])
    try expectSameResults(graph, values(graph))
  }

  /// Parts run at once: neither may write over what the other one reads.
  @Test func partsDoNotOverwriteWhatOthersRead() throws {
    let builder = GraphBuilder(name: "parts", stage: .fused)
    let a = try builder.input(.state("a"), .f32(8))
    let x = try builder.input(.argument("x"), .f32(8))
    let y = try builder.add(Tanh(), x)
    let region = Region(
      inputCount: 2,
      steps: [
        .init(Add(), [.input(0), .input(1)]), .init(Subtract(), [.input(0), .input(1)]),
      ], results: [.step(0), .step(1)])
    let results = try builder.add(Fused(region: region), [a, y])
    builder.output(.state("a"), results[0])
    builder.output(.result("r"), results[1])
    let graph = builder.finish()
    let plan = Planner().plan(graph)
    #expect(plan.stateCopies.map(\.state) == ["a"])
    #expect(plan.placements[results[1]] != plan.placements[y])
    try expectSameResults(graph, values(graph))
    var wrong = plan
    wrong.placements[results[1]] = plan.placements[y]
    #expect(throws: InternalError.self) { try PlanVerifier().verify(wrong) }
  }

  @Test func aProductIsNotWrittenOverItsOperand() throws {
    let builder = GraphBuilder(name: "power", stage: .fused)
    let weight = try builder.input(.state("w"), .f32(4, 4))
    builder.output(.state("w"), try builder.add(MatMul(), weight, weight))
    let graph = builder.finish()
    #expect(Planner().plan(graph).stateCopies.count == 1)
    try expectSameResults(graph, values(graph), steps: 1)
  }

  @Test func oneValueForTwoStates() throws {
    let builder = GraphBuilder(name: "both", stage: .fused)
    let a = try builder.input(.state("a"), .f32(3))
    _ = try builder.input(.state("b"), .f32(3))
    let value = try builder.add(Tanh(), a)
    builder.output(.state("a"), value)
    builder.output(.state("b"), value)
    builder.output(.report("value"), value)
    let graph = builder.finish()
    try expectSameResults(graph, values(graph))
  }

  @Test func broadcastOperandsAreNotOverwritten() throws {
    let builder = GraphBuilder(name: "view", stage: .fused)
    let x = try builder.input(.argument("x"), .f32(4))
    // y and its view as a row are read at different places by one node.
    let y = try builder.add(Tanh(), x)
    let column = try builder.add(Reshape([4, 1]), y)
    let row = try builder.add(Reshape([1, 4]), y)
    builder.output(.result("outer"), try builder.add(Subtract(), column, row))
    let z = try builder.add(Tanh(), y)
    builder.output(.result("z"), try builder.add(Add(), z, z))
    let graph = builder.finish()
    try expectSameResults(graph, values(graph))
  }

  // MARK: Size

  /// A graph of tens of thousands of nodes is planned, and verified, in moments: what grows with the square of the nodes is
  /// limited. (The test would run for minutes.)
  @Test func largeGraphsArePlanned() throws {
    let builder = GraphBuilder(name: "large", stage: .fused)
    let x = try builder.input(.state("x"), .f32(4, 6))
    var (a, b) = (x, x)
    for index in 0..<12_000 {
      let next = try builder.add(Subtract(), a, b)
      (a, b) = (b, index % 3 == 0 ? try builder.add(Reshape([4, 6]), next) : next)
      if index % 2 == 0 {
        b = try builder.add(MatMul(transposeA: false, transposeB: false), b, square(builder))
      }
    }
    builder.output(.state("x"), try builder.add(Tanh(), b))
    let plan = Planner().plan(builder.finish())
    try PlanVerifier().verify(plan)
    #expect(plan.arenaBytes < 10_000)
  }

  private func square(_ builder: GraphBuilder) throws -> ValueID {
    try builder.constant(.f32(6, 6), [0.5])
  }

  // MARK: Text

  @Test func theTextOfASmallPlan() throws {
    let builder = GraphBuilder(name: "small", stage: .fused)
    builder.origin = Origin(line: 3, column: 1, path: "net/dense")
    let x = try builder.input(.data(source: "images", round: 0), .f32(2, 8))
    let w = try builder.input(.state("w"), .f32(8, 8))
    let step = try builder.input(.state("count"), .i32())
    let y = try builder.add(MatMul(), x, w)
    let z = try builder.add(Tanh(), y)
    let loss = try builder.add(Sum(axes: [0, 1]), z)
    let g = try builder.add(MatMul(transposeA: true, transposeB: false), x, z)
    let rate = try builder.constant(.f32(8, 8), [0.5])
    let scaled = try builder.add(Multiply(), g, rate)
    builder.output(.state("w"), try builder.add(Subtract(), w, scaled))
    builder.output(.report("loss"), loss)
    builder.output(.report("old count"), step)
    let one = try builder.scalar(1, .i32)
    builder.output(.state("count"), try builder.add(Add(), step, one))
    let plan = Planner().plan(builder.finish())
    let text = """
      plan "small"
      input %0 f32[2, 8] data images (input 0)
      input %1 f32[8, 8] state w
      input %2 i32[] state count
      constant %7 f32[8, 8] constants+0 one element
      constant %10 i32[] constants+64
      0: matmul(%0, %1) → %3 f32[2, 8] arena+256  3:1 net/dense
      1: tanh(%3) → %4 f32[2, 8] arena+256 over %3  3:1 net/dense
      2: sum(%4) → %5 f32[] arena+320  3:1 net/dense
      3: matmul(%0, %4) → %6 f32[8, 8] arena+0  3:1 net/dense
      4: multiply(%6, %7) → %8 f32[8, 8] arena+0 over %6  3:1 net/dense
      5: subtract(%1, %8) → %9 f32[8, 8] state w in place  3:1 net/dense
      6: add(%2, %10) → %11 i32[] arena+0  3:1 net/dense
      save %2 to arena+64
      copy %11 from arena+0 to state count: the old value is wanted at the end of the step
      output %9 f32[8, 8] state w from state w
      output %5 f32[] report loss from arena+320
      output %2 i32[] report old count from arena+64
      output %11 i32[] state count from state count
      arena 384 bytes, lower bound 384, without reuse 1024
      constants 128 bytes, states 260 bytes, state copies 1

      """
    #expect(plan.text() == text)
  }
}
