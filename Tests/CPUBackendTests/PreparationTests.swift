// What is packed of states alone is made once and kept until a state changes: sampling reads the same weights in
// every run.

import BackendSupport
import Basics
import GraphIR
import Operators
import Planning
import Runtime
import Testing

@testable import CPUBackend

@Suite struct PreparationTests {
  /// Products and convolutions of states, one of them of a transposed state; no state changes.
  private func sampling() throws -> Graph {
    let builder = GraphBuilder(name: "sampling", stage: .fused)
    let x = try builder.input(.argument("x"), .f32(65, 130))
    let w = try builder.input(.state("w"), .f32(130, 130))
    let image = try builder.input(.argument("image"), .f32(2, 9, 9, 16))
    let filter = try builder.input(.state("filter"), .f32(3, 3, 16, 32))
    builder.output(.result("product"), try builder.matmul(x, w, transposeB: true))
    builder.output(.result("direct"), try builder.conv2D(image, filter))
    var convolution = Conv2D()
    convolution.method = .winograd(points: 7)
    let fast = try builder.add(convolution, [image, filter])[0]
    let turned = try builder.transpose(filter, [0, 1, 3, 2])
    var back = Conv2DInputGradient(stride: [1, 1], padding: [0, 0, 0, 0], inputSize: [9, 9])
    back.method = .winograd(points: 7)
    builder.output(.result("fast"), fast)
    // Of [3, 3, 16 out, 32 in] transposed twice, so that the shapes fit.
    let again = try builder.transpose(turned, [0, 1, 3, 2])
    builder.output(.result("back"), try builder.add(back, [fast, again])[0])
    return builder.finish()
  }

  private func inputs(_ graph: Graph, _ seed: UInt64) -> [HostTensor] {
    var filler = Filler(seed)
    return graph.inputs.map { filler.uniform(graph.type(of: $0.value), -1, 1) }
  }

  private func write(_ tensor: HostTensor, _ name: String, _ states: any StateStore) throws {
    try states.write(name, elements: Lanes.bytes(tensor))
  }

  @Test func aSecondRunPreparesNothing() throws {
    let graph = try sampling()
    let loaded = try Loaded(graph, CPUBackend(threads: 2), inputs(graph, 1))
    let first = try loaded.step()
    let executable = try #require(loaded.executable as? CPUExecutable)
    executable.isProfiling = true
    #expect(try loaded.step() == first)
    let preparing: Set = ["pack", "packFilter", "winogradFilter"]
    let prepared = executable.profile.filter { preparing.contains($0.kernel) }
    #expect(prepared.contains { $0.kernel == "winogradFilter" })
    #expect(prepared.allSatisfy { $0.nanoseconds == 0 }, "\(prepared)")
    let others = executable.profile.filter { !preparing.contains($0.kernel) }
    #expect(!others.isEmpty && others.allSatisfy { $0.nanoseconds > 0 })
  }

  @Test func aChangedStateIsSeen() throws {
    let graph = try sampling()
    var values = inputs(graph, 1)
    let loaded = try Loaded(graph, CPUBackend(threads: 2), values)
    let before = try loaded.step()
    let others = inputs(graph, 2)
    for (index, input) in graph.inputs.enumerated() {
      guard case .state(let name) = input.role else { continue }
      values[index] = others[index]
      try write(others[index], name, loaded.states)
    }
    let after = try loaded.step()
    #expect(after == (try Loaded(graph, CPUBackend(threads: 2), values).step()))
    for (a, b) in zip(before, after) { #expect(a != b) }
  }

  @Test func aStateChangedByAnotherPlanIsSeen() throws {
    let graph = try sampling()
    let backend = try CPUBackend(threads: 2)
    let loaded = try Loaded(graph, backend, inputs(graph, 1))
    let builder = GraphBuilder(name: "training", stage: .fused)
    let filter = try builder.input(.state("filter"), .f32(3, 3, 16, 32))
    builder.output(.state("filter"), try builder.multiply(filter, 2))
    let training = try backend.load(Planner().plan(builder.finish()), states: loaded.states)
    let before = loaded.outputs(try loaded.step())
    try training.run()
    let after = loaded.outputs(try loaded.step())
    // Doubling is exact.
    for index in 1...2 {
      #expect(after[index].values == before[index].values.map { 2 * $0 })
    }
    #expect(after[0].values == before[0].values)
  }

  @Test func aPlanThatChangesStatesKeepsNothing() throws {
    let builder = GraphBuilder(name: "training", stage: .fused)
    let x = try builder.input(.argument("x"), .f32(65, 130))
    let w = try builder.input(.state("w"), .f32(130, 130))
    let product = try builder.matmul(x, w)
    builder.output(.result("product"), product)
    builder.output(.state("w"), try builder.add(w, builder.sum(product, axes: [0])))
    let graph = builder.finish()
    let values = inputs(graph, 3)
    let loaded = try Loaded(graph, CPUBackend(threads: 2), values)
    let first = try loaded.step()
    #expect(try loaded.step()[0] != first[0])
  }
}
