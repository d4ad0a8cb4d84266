// What holds of every graph: each pass keeps what the graph computes, its dump reads back, and the pipeline, run a
// second time, finds nothing to do.

import Basics
import GraphIR
import Operators
import Passes
import TestSupport
import Testing

@Suite struct PropertyTests {
  /// Graphs with nothing left to differentiate.
  private static func graphs(_ seed: Int) throws -> [Graph] {
    let first = try RewritableGraph.make(seed: UInt64(seed))
    let second = try RandomGraph.make(seed: UInt64(seed), RandomGraphOptions(size: 25))
    return try [first, second].map { try ExpandGradients().run($0) }
  }

  @Test(arguments: 0..<25)
  func everyPassKeepsResults(_ seed: Int) throws {
    for graph in try Self.graphs(seed) {
      for pass in Pipeline.allPasses {
        let result = try pass.run(graph)
        try Verifier().verify(result)
        // Folding rounds what it computes, as a kernel would: compared at rounded values, it changes no bit.
        let folds = pass.name == "fold-constants"
        expectSameResults(
          graph, result, "\(graph.name): \(pass.name)", rounding: folds,
          tolerance: folds ? 0 : 1e-12)
        let text = GraphPrinter.text(result)
        let read = try GraphParser.parseOne(
          SourceText(name: "dump.ir", text), operations: OperatorSet.standard)
        #expect(read == result, "\(graph.name): \(pass.name)")
        #expect(GraphPrinter.text(read) == text)
      }
    }
  }

  @Test(arguments: 0..<25)
  func theRegionsOfEpiloguesKeepResults(_ seed: Int) throws {
    for graph in try Self.graphs(seed) {
      let regions = try FuseElementwise().run(Simplify().run(graph))
      let result = try FuseEpilogues().run(regions)
      try Verifier().verify(result)
      expectSameResults(graph, result, graph.name)
      expectSameResults(regions, result, graph.name, rounding: true, tolerance: 1e-5)
    }
  }

  @Test(arguments: 0..<30)
  func standardPipelineAgreesWithNone(_ seed: Int) throws {
    let graph = try RewritableGraph.make(seed: UInt64(seed), gradients: seed % 3 != 0)
    let plain = try PassRunner(.unoptimized).run(graph).graph
    let best = try PassRunner(.standard).run(graph).graph
    expectSameResults(plain, best, graph.name, tolerance: 1e-5)
    #expect(best.stage == .fused)
    #expect(best.nodes.count <= plain.nodes.count)
    #expect(!best.nodes.elements.contains { $0.operation.isElementwise })
    let again = try PassRunner(.standard).run(best).graph
    #expect(again == best, "\(graph.name)")
    let repeated = try PassRunner(.standard).run(graph).graph
    #expect(GraphPrinter.text(repeated) == GraphPrinter.text(best))
  }

  /// Passes that come before differentiation must leave the gradients as they are.
  @Test(arguments: 0..<30)
  func passesOverRawGraphsKeepGradients(_ seed: Int) throws {
    let graph = try RewritableGraph.make(seed: UInt64(seed), gradients: true)
    let plain = try ExpandGradients().run(graph)
    let passes: [any Pass] = [Simplify(), CommonSubexpressions(), DeadCode()]
    for pass in passes {
      let result = try ExpandGradients().run(pass.run(graph))
      expectSameResults(plain, result, "\(graph.name): \(pass.name)", tolerance: 1e-9)
    }
    let folded = try ExpandGradients().run(FoldConstants().run(graph))
    expectSameResults(plain, folded, "\(graph.name): fold", tolerance: 1e-5)
  }
}
