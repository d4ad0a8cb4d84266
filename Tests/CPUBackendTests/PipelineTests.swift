// Random graphs through the pipelines of passes and onto the kernels: the optimised graph computes on the CPU what the
// reference evaluator makes of the original.

import BackendSupport
import Basics
import GraphIR
import Operators
import Passes
import TestSupport
import Testing

@testable import CPUBackend

@Suite struct PipelineTests {
  @Test(arguments: 0..<40) func optimizedGraphsAgree(_ seed: Int) throws {
    var graph = try RandomGraph.make(
      seed: UInt64(seed), RandomGraphOptions(size: 10 + seed, differentiable: seed % 2 == 0))
    // A state keeps its type from step to step.
    for (index, output) in graph.outputs.enumerated() {
      guard case .state(let name) = output.role, let old = graph.input(.state(name)),
        graph.type(of: old) != graph.type(of: output.value)
      else { continue }
      graph.outputs[index].role = .result("new \(name)")
    }
    let inputs = RandomGraph.inputs(of: graph, seed: UInt64(seed))
    let expected = Evaluator().evaluate(graph, inputs: inputs)
    // Where a comparison or a rounding to whole numbers is on the edge, f32 may fall to the other side.
    let rounded = Evaluator(rounding: true).evaluate(graph, inputs: inputs)
    for pipeline in [Pipeline.standard, .unoptimized] {
      let made = try PassRunner(pipeline).run(graph).graph
      let loaded = try Loaded(made, CPUBackend(threads: 2), inputs)
      let found = loaded.outputs(try loaded.step())
      for (index, output) in made.outputs.enumerated() {
        let spread = Agreement.error(rounded[index], expected[index])
        let error = Agreement.error(found[index], expected[index])
        #expect(error <= max(1e-4, 10 * spread), "seed \(seed) \(output.role): \(error)")
      }
    }
  }

  @Test(arguments: 0..<20) func gradientsAgree(_ seed: Int) throws {
    let forward = try RandomGraph.make(
      seed: UInt64(1000 + seed), RandomGraphOptions(size: 8 + seed, differentiable: true))
    // The same graph with the gradient of its loss by every floating input.
    let builder = GraphBuilder(name: forward.name)
    var values: [ValueID: ValueID] = [:]
    var variables: [ValueID] = []
    for input in forward.inputs {
      let value = try builder.input(input.role, forward.type(of: input.value))
      values[input.value] = value
      if forward.type(of: input.value).element == .f32 { variables.append(value) }
    }
    for node in forward.nodes.elements {
      let results = try builder.add(node.operation, node.operands.map { values[$0]! })
      for (old, new) in zip(node.results, results) { values[old] = new }
    }
    let loss = try #require(forward.outputs.first)
    let adjoints = try builder.add(Gradient(), [values[loss.value]!] + variables)
    for (index, adjoint) in adjoints.enumerated() { builder.output(.result("\(index)"), adjoint) }
    let graph = builder.finish()
    let inputs = RandomGraph.inputs(of: graph, seed: UInt64(seed))
    let plain = try PassRunner(.unoptimized).run(graph).graph
    let expected = Evaluator().evaluate(plain, inputs: inputs)
    let rounded = Evaluator(rounding: true).evaluate(plain, inputs: inputs)
    for made in [plain, try PassRunner().run(graph).graph] {
      let loaded = try Loaded(made, CPUBackend(threads: 1), inputs)
      let found = loaded.outputs(try loaded.step())
      for index in made.outputs.indices {
        let spread = Agreement.error(rounded[index], expected[index])
        let error = Agreement.error(found[index], expected[index])
        #expect(error <= max(1e-4, 10 * spread), "seed \(seed), input \(index): \(error)")
      }
    }
  }
}
