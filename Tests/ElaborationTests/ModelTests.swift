// The six programs of Graphs against MODELS.md: parameter counts, output shapes, schedules,
// samples.

import Basics
import Elaboration
import GraphIR
import TestSupport
import Testing

/// The users' reference of the language.
func graphReference() throws -> String {
  String(decoding: try Places.bytes("Graphs/README.md"), as: UTF8.self)
}

/// The text of a program under Graphs.
func graphFile(_ name: String) throws -> SourceText {
  SourceText(name: "\(name).gan", bytes: try Places.bytes("Graphs/\(name).gan"))
}

struct NetworkFigures: Sendable {
  var model: String
  var network: String
  var trainable: Int
  var total: Int
  var output: [Int]
}

private let figures: [NetworkFigures] = [
  .init(
    model: "fashion-gan", network: "generator", trainable: 2_155_137, total: 2_155_137,
    output: [128, 28, 28, 1]),
  .init(
    model: "fashion-gan", network: "discriminator", trainable: 1_113_345, total: 1_113_345,
    output: [128, 1]),
  .init(
    model: "dcgan-mnist", network: "generator", trainable: 2_305_472, total: 2_330_944,
    output: [256, 28, 28, 1]),
  .init(
    model: "dcgan-mnist", network: "discriminator", trainable: 212_865, total: 212_865,
    output: [256, 1]),
  .init(
    model: "dcgan-fashion", network: "generator", trainable: 1_719_873, total: 1_727_233,
    output: [128, 28, 28, 1]),
  .init(
    model: "dcgan-fashion", network: "discriminator", trainable: 55_233, total: 55_233,
    output: [256, 1]),
  .init(
    model: "dense-gan", network: "generator", trainable: 1_486_352, total: 1_486_352,
    output: [32, 28, 28, 1]),
  .init(
    model: "dense-gan", network: "discriminator", trainable: 533_505, total: 533_505,
    output: [32, 1]),
  .init(
    model: "vanilla-gan", network: "generator", trainable: 1_510_032, total: 1_513_616,
    output: [128, 28, 28, 1]),
  .init(
    model: "vanilla-gan", network: "discriminator", trainable: 533_505, total: 533_505,
    output: [128, 1]),
  .init(
    model: "vanilla-gan-tf", network: "generator", trainable: 1_510_032, total: 1_513_616,
    output: [128, 28, 28, 1]),
  .init(
    model: "vanilla-gan-tf", network: "discriminator", trainable: 533_505, total: 533_505,
    output: [128, 1]),
]

private let models = [
  "fashion-gan", "dcgan-mnist", "dcgan-fashion", "dense-gan", "vanilla-gan", "vanilla-gan-tf",
]

@Suite struct ModelTests {
  @Test(arguments: figures) func counts(_ expected: NetworkFigures) throws {
    let program = try #require(compile(try graphFile(expected.model)).program)
    let network = try #require(program.networks.first { $0.name == expected.network })
    #expect(network.trainableCount == expected.trainable)
    #expect(network.totalCount == expected.total)
    #expect(network.results == [.f32(expected.output)])
    #expect(network.layers.reduce(0) { $0 + $1.trainable } == expected.trainable)
    #expect(network.layers.reduce(0) { $0 + $1.total } == expected.total)
    #expect(network.layers.last?.output == .f32(expected.output))
  }

  @Test(arguments: models) func everyGraphIsSound(_ name: String) throws {
    let result = compile(try graphFile(name))
    #expect(result.diagnostics.isEmpty)
    let program = try #require(result.program)
    var graphs = program.train?.variants ?? []
    graphs += program.samples.map(\.graph)
    graphs += program.networks.flatMap { [$0.graph, $0.trainingGraph] }
    for graph in graphs {
      try Verifier().verify(graph)
      // Every state that a graph reads or leaves is declared with its type.
      for input in graph.inputs {
        guard case .state(let name) = input.role else { continue }
        #expect(
          program.states.first { $0.name == name }?.type == graph.type(of: input.value))
      }
      for output in graph.outputs {
        guard case .state(let name) = output.role else { continue }
        #expect(
          program.states.first { $0.name == name }?.type == graph.type(of: output.value))
        #expect(graph.input(.state(name)) != nil)
      }
    }
  }

  @Test func sharedOptimizerHasOneCounter() throws {
    let program = try #require(compile(try graphFile("dense-gan")).program)
    #expect(
      program.states.filter { $0.kind == .counter }.map(\.name) == [
        "dAdam/discriminator/count", "gAdam/generator/count",
      ])
  }

  @Test func conditionalReportOfDcganFashion() throws {
    let program = try #require(compile(try graphFile("dcgan-fashion")).program)
    let train = try #require(program.train)
    #expect(train.reports == ["dLoss", "gLoss", "probability"])
    #expect(train.conditionalBlocks == 1)
    #expect(train.variants.count == 2)
    #expect(train.length == .steps(5000))
    #expect(
      train.schedules == [
        Schedule(count: 50, unit: .steps, actions: [.sample(nil)], block: 0)
      ])
    #expect(train.graph.output(.report("probability")) == nil)
    #expect(train.variants[1].output(.report("probability")) != nil)
  }

  @Test func samplesOfFashionGan() throws {
    let program = try #require(compile(try graphFile("fashion-gan")).program)
    #expect(program.samples.map(\.name) == [nil, "final"])
    #expect(program.samples.map(\.count) == [3, 16])
    #expect(program.samples.map(\.low) == [0, 0])
    #expect(program.samples[1].graph.outputs.map(\.role) == [.result("0")])
  }

  @Test func initialDistributions() throws {
    let program = try #require(compile(try graphFile("dcgan-mnist")).program)
    func limit(_ name: String) -> Double? {
      guard let state = program.states.first(where: { $0.name == name }),
        case .uniform(let low, let high) = state.initializer, low == -high
      else { return nil }
      return high
    }
    // Glorot: √(6/(in + out)); a transposed convolution counts its 64 output channels as its
    // fan-in, which is the same sum.
    #expect(limit("generator/dense/kernel") == (6.0 / Double(100 + 12544)).squareRoot())
    #expect(
      limit("generator/convTranspose2D_1/kernel") == (6.0 / Double(25 * (128 + 64))).squareRoot())
    let pytorch = try #require(compile(try graphFile("vanilla-gan")).program)
    let bias = pytorch.states.first { $0.name == "discriminator/dense_1/bias" }
    let expected = (1 / 512.0).squareRoot()
    #expect(bias?.initializer == .uniform(low: -expected, high: expected))
  }
}
