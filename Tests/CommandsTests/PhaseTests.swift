// Which part of a step a node belongs to.

import Basics
import Elaboration
import GraphIR
import Operators
import Passes
import TestSupport
import Testing
import Training

@testable import Commands

@Suite struct PhaseTests {
  private func phases(_ graph: Graph) -> [(node: Node, phase: NodePhase)] {
    let phases = graph.phases()
    return graph.nodes.ids.map { (graph.nodes[$0], phases[$0]) }.filter { !$0.node.isConstant }
  }

  /// Fusion loses the notes of adjoints; what is filter gradient, update or forward is told all the same.
  @Test(arguments: Places.models) func partsOfAStep(model: String) throws {
    let source = try ProgramSource(path: Places.graph(model), settings: [("batch", "8")])
    let train = try #require(source.program.train)
    for pipeline in [Pipeline.standard, .exact, .unoptimized] {
      let graph = try PassRunner(pipeline).run(train.graph).graph
      let found = phases(graph)
      for phase in NodePhase.allCases { #expect(found.contains { $0.phase == phase }) }
      for (node, phase) in found {
        if node.operation is Conv2DFilterGradient { #expect(phase == .backward) }
        if node.operation is RandomNormal { #expect(phase == .forward) }
      }
      // New parameters come from updates, reports and statistics do not.
      let phases = graph.phases()
      let kinds = Dictionary(uniqueKeysWithValues: source.program.states.map { ($0.name, $0.kind) })
      for output in graph.outputs {
        guard let producer = graph.values[output.value].producer else { continue }
        switch output.role {
        case .state(let name) where kinds[name] == .runningStatistic:
          #expect(phases[producer] == .forward, "\(name)")
        case .state(let name): #expect(phases[producer] == .update, "\(name)")
        default: #expect(phases[producer] == .forward)
        }
      }
    }
  }

  /// Without a report the forward pass is still no adjoint.
  @Test func aStepThatReportsNothing() throws {
    let text = TinyPrograms.convolutional.replacingOccurrences(of: "report dLoss, gLoss", with: "")
    let source = try ProgramSource(SourceText(name: "x.gan", text), settings: [])
    let train = try #require(source.program.train)
    let graph = try PassRunner(.unoptimized).run(train.graph).graph
    let found = phases(graph).filter { $0.node.operation is Conv2D && $0.node.origin.notes.isEmpty }
    #expect(found.count == 2 && found.allSatisfy { $0.phase == .forward })
  }

  @Test func aNetworkAloneIsForward() throws {
    let source = try ProgramSource(SourceText(name: "x.gan", TinyPrograms.dense), settings: [])
    for network in source.program.networks {
      let graph = try PassRunner().run(network.graph).graph
      #expect(phases(graph).allSatisfy { $0.phase == .forward })
    }
  }
}
