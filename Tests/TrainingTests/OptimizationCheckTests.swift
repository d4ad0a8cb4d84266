// `gan-exec check --optimizations`: sound passes are within their bounds, and a wrong pass is found and named with the
// first value that it spoils.

import Basics
import CPUBackend
import CommandSupport
import Formats
import GraphIR
import Operators
import Passes
import TestSupport
import Testing
import Training

/// A pass with a mistake: an operation is another one, where `replacement` gives one.
private struct WrongPass: Pass {
  let name: String
  let summary = "Wrong on purpose."
  let replacement: @Sendable (any Operation, Origin) -> (any Operation)?

  func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    var graph = graph
    for id in graph.nodes.ids {
      let node = graph.nodes[id]
      if var fused = node.operation as? Fused {
        for index in fused.region.steps.indices {
          let step = fused.region.steps[index].operation.operation
          if let other = replacement(step, node.origin) {
            fused.region.steps[index].operation = AnyOperation(other)
          }
        }
        graph.nodes[id].operation = fused
      } else if let other = replacement(node.operation, node.origin) {
        graph.nodes[id].operation = other
      }
    }
    return graph
  }
}

@Suite struct OptimizationCheckTests {
  private func source() throws -> ProgramSource {
    try ProgramSource(
      SourceText(name: "tiny.gan", Tiny.program(data: "/nowhere.npy")), settings: [])
  }

  private func report(_ pipeline: Pipeline) throws -> OptimizationCheck.Report {
    let program = try source().program
    return try OptimizationCheck(
      program, backend: CPUBackend(threads: 2), pipeline: pipeline, seed: 3,
      data: RandomBatches(program.data, seed: 4)
    ).run()
  }

  /// The standard pipeline with a pass after the one of a name.
  private func standard(with wrong: any Pass, after name: String) throws -> Pipeline {
    var steps = Pipeline.standard.steps
    let index = try #require(
      steps.firstIndex { step in
        if case .once(let pass) = step { pass.name == name } else { false }
      })
    steps.insert(.once(wrong), at: index + 1)
    return Pipeline(steps)
  }

  @Test(arguments: Pipeline.Arithmetic.allCases)
  func soundPassesPass(_ arithmetic: Pipeline.Arithmetic) throws {
    let report = try report(arithmetic.pipeline)
    #expect(report.failures == 0 && report.first == nil && report.culprit == nil)
    #expect(report.outputs.count > 20 && report.values.count > 100)
    // The bounds are worth something: most values are held to less than a thousandth of their size.
    let tight = (report.outputs + report.values).count { $0.bound <= 1e-3 * $0.size }
    #expect(tight * 10 > 6 * (report.outputs.count + report.values.count))
    if arithmetic == .unoptimized {
      #expect((report.outputs + report.values).allSatisfy { $0.difference == 0 })
    }
  }

  /// The slope of the discriminator's activation, a little off, wherever in the pipeline.
  @Test(arguments: ["fold-upsampling", "expand-gradients", "choose-convolutions", "fuse-epilogues"])
  func aWrongSlope(after name: String) throws {
    let wrong = WrongPass(name: "wrong-slope") { operation, _ in
      operation is LeakyRelu ? LeakyRelu(slope: 0.21) : nil
    }
    let report = try report(standard(with: wrong, after: name))
    let first = try #require(report.first)
    #expect(first.name == "leaky_relu" && first.origin.path == "discriminator")
    let line = try #require(
      Tiny.program(data: "").split(separator: "\n", omittingEmptySubsequences: false)
        .firstIndex { $0.contains("leakyReLU") })
    #expect(Int(first.origin.line) == line + 1)
    #expect(report.culprit?.pass == "wrong-slope")
    let run = try #require(report.culprit?.run)
    let records = try PassRunner(standard(with: wrong, after: name))
      .run(source().program.train!.graph).records
    #expect(records[run - 1].name == "wrong-slope")
  }

  /// A gradient that is wrong where nothing forward is.
  @Test func aWrongAdjoint() throws {
    let wrong = WrongPass(name: "wrong-adjoint") { operation, origin in
      operation is Multiply && origin.notes == ["adjoint of tanh"] ? Add() : nil
    }
    let report = try report(standard(with: wrong, after: "expand-gradients"))
    let first = try #require(report.first)
    #expect(first.name == "multiply" && first.origin.notes == ["adjoint of tanh"])
    #expect(first.origin.path == "generator")
    #expect(report.culprit?.pass == "wrong-adjoint")
  }

  @Test func theCommand() throws {
    let folder = try TemporaryFolder()
    let path = try Tiny.make(in: folder)
    let result = exec("check", path, "--optimizations")
    #expect(result.code == 0, "\(result.output)\(result.messages)")
    #expect(result.output.hasPrefix("compared ") && result.output.contains(": 0 beyond"))
    let json = exec(
      "check", path, "--optimizations", "--json", "--data", "images=\(folder.file("images.npy"))")
    #expect(json.code == 0, "\(json.messages)")
    let value = try JSONValue.parse(json.output, name: "json")
    #expect(value["failures"]?.intValue == 0 && value["pass"]?.stringValue == nil)
    #expect((value["values"]?.intValue ?? 0) > 100)
    #expect(exec("check", path, "--optimizations", "--gradients").code == 2)
    #expect(exec("check", path, "--optimizations", "-O0").code == 2)
  }
}
