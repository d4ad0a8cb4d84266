// The pipeline and its runner: limits, passes left out, stages, records, and graphs of a real step's size.

import Basics
import GraphIR
import Operators
import Passes
import TestSupport
import Testing

@Suite struct PipelineTests {
  /// A chain of convolutions with normalisation, residuals and an optimiser: about 75 nodes a layer once expanded.
  private static func network(layers: Int) throws -> Graph {
    let builder = GraphBuilder(name: "network")
    var x = try builder.input(.data(source: "x", round: 0), .f32(2, 3, 3, 4))
    var parameters: [(name: String, value: ValueID)] = []
    for layer in 0..<layers {
      let w = try builder.input(.state("w\(layer)"), .f32(1, 1, 4, 4))
      let scale = try builder.input(.state("s\(layer)"), .f32(4))
      parameters += [("w\(layer)", w), ("s\(layer)", scale)]
      let y = try builder.conv2D(x, w, stride: [1, 1], padding: [0, 0, 0, 0])
      let moments = try builder.moments(y, axes: [0, 1, 2])
      let deviation = try builder.sqrt(builder.add(moments.variance, 1e-3))
      let normal = try builder.divide(builder.subtract(y, moments.mean), deviation)
      x = try builder.add(builder.leakyRelu(builder.multiply(normal, scale), slope: 0.2), x)
    }
    let loss = try builder.mean(builder.square(x))
    let gradients = try builder.gradient(loss, wrt: parameters.map(\.value))
    for (parameter, gradient) in zip(parameters, gradients) {
      let type = builder.type(of: parameter.value)
      let moment = try builder.input(.state(parameter.name + "/m"), type)
      let next = try builder.add(builder.scaled(moment, by: 0.5), builder.scaled(gradient, by: 0.5))
      builder.output(
        .state(parameter.name), try builder.subtract(parameter.value, builder.scaled(next, by: 0.1))
      )
      builder.output(.state(parameter.name + "/m"), next)
    }
    builder.output(.report("loss"), loss)
    return builder.finish()
  }

  @Test func largeGraphs() throws {
    let graph = try Self.network(layers: 40)
    let outcome = try PassRunner(.standard).run(graph)
    #expect(outcome.records.map(\.nodesAfter).max() ?? 0 > 1500)
    // What is left: convolutions, moments and reductions with regions, nothing quadratic in between.
    #expect(outcome.graph.nodes.count < 700)
    for record in outcome.records { #expect(record.nodesAfter >= 0 && record.seconds >= 0) }
  }

  @Test func deepGraphsKeepResults() throws {
    let graph = try Self.network(layers: 5)
    let plain = try PassRunner(.unoptimized).run(graph).graph
    let best = try PassRunner(.standard).run(graph).graph
    expectSameResults(plain, best, "network", tolerance: 1e-5)
  }

  @Test func recordsNameEveryRun() throws {
    let graph = try Self.network(layers: 1)
    let outcome = try PassRunner(.standard, keepsGraphs: true).run(graph)
    #expect(outcome.records.map(\.index) == Array(0..<outcome.records.count))
    #expect(outcome.records.last?.graph == outcome.graph)
    var before = graph
    for record in outcome.records {
      let after = try #require(record.graph)
      #expect(record.nodesBefore == before.nodes.count && record.nodesAfter == after.nodes.count)
      #expect(record.changed == (after != before), "\(record.name)")
      before = after
    }
  }

  /// For bisection: with any limit the graph can be executed and computes the same.
  @Test func limits() throws {
    let graph = try Self.network(layers: 1)
    let plain = try PassRunner(.unoptimized).run(graph).graph
    let all = try PassRunner(.standard).run(graph).records.count
    for limit in 0...all {
      let outcome = try PassRunner(.standard, limit: limit).run(graph)
      #expect(outcome.graph.stage >= .differentiated)
      expectSameResults(plain, outcome.graph, "limit \(limit)", tolerance: 1e-5)
    }
  }

  @Test func everyPassCanBeLeftOut() throws {
    let graph = try Self.network(layers: 1)
    let plain = try PassRunner(.unoptimized).run(graph).graph
    for pass in Pipeline.allPasses where pass.name != "expand-gradients" {
      let outcome = try PassRunner(Pipeline.standard.disabling([pass.name])).run(graph)
      #expect(!outcome.records.contains { $0.name == pass.name })
      expectSameResults(plain, outcome.graph, "without \(pass.name)", tolerance: 1e-5)
    }
    // Nothing can run without its gradients.
    let none = PassRunner(Pipeline.standard.disabling(["expand-gradients"]))
    #expect(throws: Diagnostic.self) { try none.run(graph) }
  }

  @Test func namesAreUnique() {
    let names = Pipeline.allPasses.map(\.name)
    #expect(Set(names).count == names.count)
    for pass in Pipeline.allPasses { #expect(!pass.summary.isEmpty) }
  }

  /// A pass that breaks a graph is named.
  @Test func brokenPassesAreNamed() throws {
    struct Breaking: Pass {
      let name = "breaking"
      let summary = "Changes a type."
      func run(_ graph: Graph) -> Graph {
        var graph = graph
        if let last = graph.nodes.elements.last {
          graph.values[last.results[0]].type = TensorType(.bool, [77])
        }
        return graph
      }
    }
    let runner = PassRunner(Pipeline([.once(Breaking())]), verifies: true)
    let error = #expect(throws: InternalError.self) { try runner.run(Self.network(layers: 1)) }
    #expect(error?.message.contains("breaking") == true)
  }

  /// Stars and question marks; many stars take no longer than few.
  @Test func patterns() {
    for (pattern, name, matches) in [
      ("fuse-*", "fuse-epilogues", true), ("fuse-*", "refuse-all", false), ("*", "", true),
      ("", "", true), ("", "a", false), ("?", "", false), ("a?c", "abc", true),
      ("*-?oin*", "pre-join", true), ("a*b*c", "aXbXbc", true), ("a*b*c", "aXbXb", false),
      ("*ab", "aab", true), ("**", "x", true), ("a**", "a", true), ("*a*", "bbb", false),
      ("simplify", "simplify2", false), ("*fy", "simplify", true),
    ] {
      #expect(PassPattern(pattern).matches(name) == matches, "\(pattern) on \(name)")
    }
    let stars = PassPattern(String(repeating: "*a", count: 25))
    #expect(stars.matches(String(repeating: "a", count: 200)))
    #expect(!stars.matches(String(repeating: "a", count: 200) + "b"))
  }
}
