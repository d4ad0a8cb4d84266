// Plans with memory for kernels beside their values: they compute the same, nothing overlaps, the arena is near the
// bound; the verifier finds planted faults.

import Basics
import GraphIR
import Operators
import Planning
import TestSupport
import Testing

@Suite struct WorkspaceTests {
  /// Temporaries of most nodes, a few packed operands of several nodes, one thing that is kept from run to run.
  private func workspaces(for plan: Plan, seed: Int) -> [Workspace] {
    var random = PhiloxSequence(seed: UInt64(seed), stream: 5)
    let last = plan.order.count - 1
    var made = [Workspace(bytes: 100, start: 0, end: last + 2)]
    for position in plan.order.indices {
      made.append(
        Workspace(bytes: 8 * random.nextInt(below: 200), start: position, end: position))
      if random.nextInt(below: 4) == 0 {
        made.append(
          Workspace(
            bytes: 4 * random.nextInt(below: 300), start: position,
            end: min(last, position + random.nextInt(below: 12))))
      }
    }
    return made
  }

  private func randomPlan(_ seed: Int, size: Int) throws -> Plan {
    Planner().plan(
      try RandomGraph.make(seed: UInt64(seed), RandomGraphOptions(size: size, fused: true)))
  }

  @Test(arguments: 0..<60) func plansKeepTheirMeaning(_ seed: Int) throws {
    let values = try randomPlan(seed, size: 10 + seed % 50)
    let asked = workspaces(for: values, seed: seed)
    let plan = values.reserving(asked)
    try PlanVerifier().verify(plan)
    let inputs = RandomGraph.inputs(of: plan.graph, seed: UInt64(seed))
    var interpreter = PlanInterpreter(plan, inputs: inputs)
    var alone = PlanInterpreter(values, inputs: inputs)
    for _ in 0..<2 { #expect(interpreter.run() == alone.run(), "\(plan.text())") }
    #expect(interpreter.workspacesAreKept, "\(plan.text())")
    // Each has the bytes and the time that were asked for.
    let offsets = plan.workspaceOffsets(count: asked.count)
    var found = 0
    for buffer in plan.buffers {
      guard case .workspace(let index) = buffer.use else { continue }
      found += 1
      #expect(buffer.offset == offsets[index] && buffer.bytes == aligned(asked[index].bytes))
      #expect(buffer.start == asked[index].start && buffer.end == asked[index].end)
    }
    #expect(found == asked.count { $0.bytes > 0 })
  }

  @Test func arenasAreNearTheBound() throws {
    var total = (arena: 0, bound: 0)
    for seed in 200..<230 {
      let values = try randomPlan(seed, size: 80)
      let plan = values.reserving(workspaces(for: values, seed: seed))
      total.arena += plan.arenaBytes
      total.bound += plan.lowerBoundBytes
      #expect(plan.peak.bytes == plan.lowerBoundBytes)
      #expect(plan.lowerBoundBytes > values.lowerBoundBytes)
      #expect(plan.valueBytes == min(values.arenaBytes, plan.arenaBytes))
    }
    #expect(Double(total.arena) <= 1.05 * Double(total.bound))
  }

  @Test func plansAreTheSameEachTime() throws {
    let values = try randomPlan(7, size: 60)
    let asked = workspaces(for: values, seed: 7)
    let plan = values.reserving(asked)
    #expect(plan.buffers == values.reserving(asked).buffers)
    #expect(plan.text() == values.reserving(asked).text())
    // What was reserved before is given up.
    let other = plan.reserving([Workspace(bytes: 64, start: 1, end: 2)])
    let kept = other.buffers.compactMap { buffer -> Int? in
      if case .workspace = buffer.use { buffer.bytes } else { nil }
    }
    #expect(kept == [64])
    try PlanVerifier().verify(other)
  }

  @Test func nothingIsReservedForNoBytes() throws {
    let values = try randomPlan(3, size: 30)
    let plan = values.reserving([Workspace(bytes: 0, start: 0, end: 3)])
    #expect(plan.buffers.count == values.buffers.count)
    #expect(plan.lowerBoundBytes == values.lowerBoundBytes)
    #expect(plan.workspaceOffsets(count: 1) == [0])
  }

  // MARK: Copies at the end of a step

  /// States that exchange their values, and an output that is an old one.
  private func exchange() throws -> Plan {
    let builder = GraphBuilder(name: "swap", stage: .fused)
    let a = try builder.input(.state("a"), .f32(5))
    let b = try builder.input(.state("b"), .f32(5))
    builder.output(.state("a"), b)
    builder.output(.state("b"), a)
    builder.output(.report("old a"), a)
    builder.output(.result("x"), try builder.add(Tanh(), a))
    return Planner().plan(builder.finish())
  }

  @Test func copiesLieBesideWhatIsKept() throws {
    let values = try exchange()
    let plan = values.reserving([Workspace(bytes: 64, start: 0, end: values.order.count + 1)])
    try PlanVerifier().verify(plan)
    let inputs = plan.graph.inputs.enumerated().map { index, input in
      HostTensor(plan.graph.type(of: input.value), (0..<5).map { Double(index * 10 + $0) })
    }
    var interpreter = PlanInterpreter(plan, inputs: inputs)
    _ = interpreter.run()
    #expect(interpreter.workspacesAreKept)
    #expect(interpreter.states["a"]?.values == inputs[1].values)
    #expect(interpreter.states["b"]?.values == inputs[0].values)
  }

  @Test func workspacesInThePlaceOfACopyAreFound() throws {
    let values = try exchange()
    let end = values.order.count + 1
    for place in [values.outputCopies[0].offset, values.stateCopies.compactMap(\.staging)[0]] {
      try expectFault("workspace that is held", values, at: place, 0...end)
    }
  }

  // MARK: The verifier

  /// a = x·w and b = a·w are computed, then c = a + b: a is alive from 0 to 2, b from 1 to 2.
  private func chain() throws -> (plan: Plan, a: Int, b: Int) {
    let builder = GraphBuilder(name: "chain", stage: .fused)
    let x = try builder.input(.argument("x"), .f32(8, 8))
    let w = try builder.input(.state("w"), .f32(8, 8))
    let a = try builder.add(MatMul(), x, w)
    let b = try builder.add(MatMul(), a, w)
    let c = try builder.add(MatMul(), a, b)
    builder.output(.result("c"), try builder.add(MatMul(), c, w))
    let plan = Planner().plan(builder.finish())
    guard case .arena(let first) = plan.placements[a], case .arena(let second) = plan.placements[b]
    else { throw InternalError("not in the arena") }
    return (plan, first, second)
  }

  private func expectFault(_ text: String, _ plan: Plan, at offset: Int, _ times: ClosedRange<Int>)
    throws
  {
    var plan = plan
    plan.buffers.append(
      PlannedBuffer(
        use: .workspace(0), offset: offset, bytes: 64, start: times.lowerBound,
        end: times.upperBound))
    let error = #expect(throws: InternalError.self) { try PlanVerifier().verify(plan) }
    #expect(error?.message.contains(text) ?? false, "\(text): \(error?.message ?? "")")
  }

  @Test func workspacesOverOperandsAreFound() throws {
    let (plan, a, b) = try chain()
    try expectFault("reads %2", plan, at: a + 192, 1...1)
    try expectFault("reads %3", plan, at: b, 2...2)
  }

  @Test func workspacesOverResultsAreFound() throws {
    let (plan, a, b) = try chain()
    try expectFault("workspace that is held", plan, at: a, 0...0)
    // Read by several nodes, one of which writes there.
    try expectFault("workspace that is held", plan, at: b + 64, 0...1)
  }

  @Test func workspacesOverOneAnotherAreFound() throws {
    var plan = try chain().plan
    plan.arenaBytes += 128
    plan.buffers.append(
      PlannedBuffer(
        use: .workspace(1), offset: plan.arenaBytes - 128, bytes: 128, start: 0, end: 1))
    try PlanVerifier().verify(plan)
    try expectFault("workspace that is held", plan, at: plan.arenaBytes - 64, 1...2)
  }

  @Test func workspacesOutsideAreFound() throws {
    let (plan, _, _) = try chain()
    try expectFault("outside the arena", plan, at: plan.arenaBytes, 1...1)
    try expectFault("outside the arena", plan, at: -64, 1...1)
    try expectFault("outside the arena", plan, at: 32, 1...1)
    try expectFault(
      "outside the step", plan, at: 0, (plan.order.count + 1)...(plan.order.count + 1))
    try expectFault("outside the step", plan, at: 0, -1...0)
  }
}
