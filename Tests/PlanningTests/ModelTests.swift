// The plans of the six programs: they verify, no state needs a copy, and the arena is near the bound.

import Basics
import Elaboration
import GraphIR
import Passes
import Planning
import TestSupport
import Testing

@Suite struct ModelPlanTests {
  static let names = [
    "dcgan-fashion", "dcgan-mnist", "dense-gan", "fashion-gan", "vanilla-gan", "vanilla-gan-tf",
  ]

  @Test(arguments: names) func plans(_ name: String) throws {
    let source = SourceText(name: "\(name).gan", bytes: try Places.bytes("Graphs/\(name).gan"))
    let result = compile(source, options: ElaborationOptions(settings: [("batch", "8")]))
    let train = try #require(result.program?.train)
    for pipeline in [Pipeline.standard, .unoptimized] {
      let graph = try PassRunner(pipeline).run(train.graph).graph
      let plan = Planner().plan(graph)
      try PlanVerifier().verify(plan)
      #expect(plan.stateCopies.isEmpty)
      #expect(Double(plan.arenaBytes) <= 1.05 * Double(plan.lowerBoundBytes))
      #expect(plan.arenaBytes < plan.withoutReuseBytes / 2)
    }
  }

  /// Regions at once share bytes as they did one after the other.
  @Test(arguments: names) func horizontalFusionTakesNoMemory(_ name: String) throws {
    let source = SourceText(name: "\(name).gan", bytes: try Places.bytes("Graphs/\(name).gan"))
    let train = try #require(compile(source).program?.train)
    let pass = FuseHorizontally()
    let apart = try PassRunner(Pipeline.standard.disabling([pass.name])).run(train.graph).graph
    let joined = try pass.run(apart)
    #expect(joined.nodes.count < apart.nodes.count)
    let (first, second) = (Planner().plan(apart), Planner().plan(joined))
    try PlanVerifier().verify(second)
    #expect(second.stateCopies.isEmpty)
    #expect(second.arenaBytes <= first.arenaBytes)
  }
}
