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

/// A pass with a mistake: kernels forget the bias behind their product.
private struct ForgetBias: Pass {
  let name = "forget-bias"
  let summary = "Wrong on purpose."

  func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    var graph = graph
    for id in graph.nodes.ids {
      guard var fused = graph.nodes[id].operation as? Fused, fused.root != nil else { continue }
      let behind = graph.nodes[id].operands.dropFirst(fused.rootOperandCount)
      let biases = behind.map { value in
        graph.inputs.contains { input in
          if case .state(let name) = input.role {
            input.value == value && name.hasSuffix("/bias")
          } else {
            false
          }
        }
      }
      // Input 0 of the region is the product.
      let isBiased = fused.region.steps.first.map { step in
        if case .input(let index)? = step.arguments.last {
          step.operation.operation is Add && index > 0 && biases[index - 1]
        } else {
          false
        }
      }
      guard isBiased == true else { continue }
      func forgetting(_ reference: Region.Reference) -> Region.Reference {
        reference == .step(0) ? .input(0) : reference
      }
      for index in fused.region.steps.indices.dropFirst() {
        fused.region.steps[index].arguments = fused.region.steps[index].arguments.map(forgetting)
      }
      fused.region.results = fused.region.results.map(forgetting)
      graph.nodes[id].operation = fused
    }
    return graph
  }
}

/// A pass with a mistake in the graphs of one name alone.
private struct WrongIn: Pass {
  let graph: String
  let wrong: WrongPass
  var name: String { wrong.name }
  var summary: String { wrong.summary }

  func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    graph.name == self.graph ? try wrong.run(graph) : graph
  }
}

@Suite struct OptimizationCheckTests {
  private func source(_ text: String = Tiny.program(data: "/nowhere.npy")) throws -> ProgramSource {
    try ProgramSource(SourceText(name: "tiny.gan", text), settings: [])
  }

  private func report(
    _ pipeline: Pipeline, of text: String = Tiny.program(data: "/nowhere.npy")
  ) throws -> OptimizationCheck.Report {
    let program = try source(text).program
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

  /// Biases begin as zeros, and zeros hide them.
  @Test func aForgottenBias() throws {
    let report = try report(standard(with: ForgetBias(), after: "fuse-epilogues"))
    let first = try #require(report.first)
    #expect(report.culprit?.pass == "forget-bias" && report.culprit?.run != nil)
    #expect(first.origin.line > 0, "\(first)")
  }

  /// Of two mistakes the pass is that of the value that is named, though the other one stands earlier in the pipeline.
  @Test func theCulpritIsThatOfTheValue() throws {
    let early = WrongPass(name: "wrong-adjoint") { operation, origin in
      operation is Multiply && origin.notes == ["adjoint of tanh"] ? Add() : nil
    }
    let late = WrongPass(name: "wrong-slope") { operation, _ in
      operation is LeakyRelu ? LeakyRelu(slope: 0.21) : nil
    }
    var pipeline = try standard(with: early, after: "expand-gradients")
    pipeline.steps.append(.once(late))
    let report = try report(pipeline)
    #expect(report.first?.name == "leaky_relu" && report.culprit?.pass == "wrong-slope")
  }

  @Test func mistakesInSamplesAlone() throws {
    let wrong = WrongPass(name: "wrong-tanh") { operation, _ in operation is Tanh ? Erf() : nil }
    let report = try report(
      standard(with: WrongIn(graph: "sample", wrong: wrong), after: "fold-upsampling"))
    #expect(report.graphs == 2 && report.failures > 0)
    #expect(report.first?.graph == "sample" && report.first?.name == "tanh")
    #expect(report.culprit?.pass == "wrong-tanh")
  }

  @Test func whichGraphsAreCompared() throws {
    let blocks = Tiny.program(
      data: "/nowhere.npy",
      body: """
        every 2 steps { let loss = mean(fake)
          report loss }
        every 3 steps { let other = mean(fake * fake)
          report other }
        """)
    let found = try report(.standard, of: blocks)
    #expect(found.graphs == 3 && found.failures == 0)
    #expect(Set(found.values.map(\.graph)) == ["train", "train-3", "sample"])
  }

  /// Where a value is infinite, nothing is shown by its being infinite on both sides; that is said.
  @Test func whatSaysNothing() throws {
    let program = """
      model "loud"
      network net(z: [n, 3]) -> [n, 5] { z |> dense(5) }
      sample(count: 4) { exp(1000 * net(normal([count, 3]))) }
      """
    let report = try report(.standard, of: program)
    #expect(report.graphs == 1 && report.failures == 0 && report.silent > 0)
    let silent = report.values.filter { !$0.isTelling }
    #expect(silent.contains { $0.name == "exp" && !$0.isFinite })
    #expect(report.values.contains { $0.isTelling })
    let folder = try TemporaryFolder()
    let path = try folder.write(program, to: "loud.gan")
    let result = exec("check", path, "--optimizations")
    #expect(result.code == 0 && result.output.contains("too sensitive"), "\(result.messages)")
    let none = try folder.write("model \"none\"\n", to: "none.gan")
    #expect(exec("check", none, "--optimizations").code == 2)
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
    #expect((value["values"]?.intValue ?? 0) > 100 && value["graphs"]?.intValue == 2)
    #expect(value["largest"]?.arrayValue?.first?["graph"]?.stringValue != nil)
    #expect(exec("check", path, "--optimizations", "--gradients").code == 2)
    #expect(exec("check", path, "--optimizations", "-O0").code == 2)
  }
}
