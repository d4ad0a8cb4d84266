// The verifier of plans finds planted faults.

import Basics
import GraphIR
import Operators
import Planning
import Testing

@Suite struct PlanVerifierTests {
  /// a = x·w, b = x·x, c = b·a; the state takes w − c, and e reads c late.
  private func plan() throws -> (plan: Plan, values: [ValueID]) {
    let builder = GraphBuilder(name: "faults", stage: .fused)
    let x = try builder.input(.argument("x"), .f32(8, 8))
    let w = try builder.input(.state("w"), .f32(8, 8))
    let a = try builder.add(MatMul(), x, w)
    let b = try builder.add(MatMul(), x, x)
    let c = try builder.add(MatMul(), b, a)
    let d = try builder.add(Subtract(), w, c)
    let half = try builder.constant(.f32(8, 8), [0.5])
    let e = try builder.add(MatMul(), half, c)
    builder.output(.state("w"), d)
    builder.output(.result("e"), e)
    return (Planner().plan(builder.finish()), [x, w, a, b, c, d, e])
  }

  @Test func aPlanIsFound() throws {
    try PlanVerifier().verify(plan().plan)
  }

  private func expectFault(_ text: String, _ change: (inout Plan, [ValueID]) -> Void) throws {
    var (plan, values) = try plan()
    change(&plan, values)
    do {
      try PlanVerifier().verify(plan)
      Issue.record("the fault was not found: \(text)")
    } catch {
      #expect(error.message.contains(text), "\(error.message)")
    }
  }

  @Test func overlapsAreFound() throws {
    // b over a, which c still reads.
    try expectFault("holds something else") { plan, values in
      plan.placements[values[3]] = plan.placements[values[2]]
    }
  }

  @Test func partialOverlapsAreFound() throws {
    try expectFault("holds something else") { plan, values in
      guard case .arena(let offset) = plan.placements[values[2]] else { return }
      plan.arenaBytes += 64
      plan.placements[values[3]] = .arena(offset + 64)
    }
  }

  @Test func wrongOrdersAreFound() throws {
    try expectFault("holds something else") { plan, _ in plan.order.swapAt(1, 2) }
  }

  @Test func missingNodesAreFound() throws {
    try expectFault("is never run") { plan, _ in
      plan.order.removeLast()
      plan.inPlace.removeLast()
    }
  }

  @Test func missingPlacesAreFound() throws {
    try expectFault("has no place") { plan, values in plan.placements[values[3]] = .none }
  }

  @Test func placesOutsideAreFound() throws {
    try expectFault("outside") { plan, _ in plan.arenaBytes -= 64 }
    try expectFault("not aligned") { plan, values in plan.placements[values[3]] = .arena(4) }
  }

  @Test func writingOverAnOperandIsFound() throws {
    try expectFault("while it reads it") { plan, values in
      plan.placements[values[4]] = plan.placements[values[3]]
    }
  }

  @Test func writingOverInputsIsFound() throws {
    try expectFault("must not change") { plan, values in plan.placements[values[3]] = .input(0) }
  }

  @Test func statesOverwrittenTooEarlyAreFound() throws {
    // b goes into the state that d still reads.
    try expectFault("holds something else") { plan, values in
      plan.placements[values[3]] = .state("w")
    }
  }

  @Test func lostStatesAreFound() throws {
    try expectFault("does not get its new value") { plan, values in
      plan.placements[values[5]] = .arena(plan.arenaBytes)
      plan.arenaBytes += 256
    }
  }

  @Test func lostOutputsAreFound() throws {
    try expectFault("is not there after the step") { plan, _ in
      plan.outputPlacements[1] = .arena(plan.arenaBytes - 64)
    }
  }

  @Test func wrongCopiesAreFound() throws {
    let builder = GraphBuilder(name: "swap", stage: .fused)
    let a = try builder.input(.state("a"), .f32(4))
    let b = try builder.input(.state("b"), .f32(4))
    builder.output(.state("a"), b)
    builder.output(.state("b"), a)
    var plan = Planner().plan(builder.finish())
    try PlanVerifier().verify(plan)
    for index in plan.stateCopies.indices { plan.stateCopies[index].staging = nil }
    #expect(throws: InternalError.self) { try PlanVerifier().verify(plan) }
  }
}
