// `--math fast` against `--math exact`: the full-size programs, three steps from the same start. Fast computes the same
// sums in Winograd's form, by phases of the up-sampling, with two batches as one and one way back for two losses.

import Basics
import CPUBackend
import Elaboration
import Formats
import GraphIR
import Operators
import Passes
import TestSupport
import Testing
import Training

@Suite struct MathTests {
  private struct Run {
    var losses: [Double] = []
    var start: [String: [Float]] = [:]
    var end: [String: [Float]] = [:]
    var winograd = 0
    /// Products and convolutions of the step.
    var products = 0
  }

  private func run(_ program: Program, _ arithmetic: Pipeline.Arithmetic) throws -> Run {
    let session = try Session(
      program: program, backend: CPUBackend(threads: 2), seed: 5,
      compiler: GraphCompiler(arithmetic))
    try session.initialize()
    let data = RandomBatches(program.data, seed: 11)
    var run = Run()
    let names = program.states.filter { $0.kind == .parameter }.map(\.name)
    for name in names { run.start[name] = try session.floats(of: name) }
    for step in 0..<3 {
      let outcome = try session.runStep(
        StepClock(step: step, epoch: 0), blocks: 0, data: data)
      run.losses += outcome.reports.map(\.value)
    }
    for name in names { run.end[name] = try session.floats(of: name) }
    let graph = try PassRunner(arithmetic.pipeline).run(program.train!.graph).graph
    for node in graph.nodes.elements {
      let root = (node.operation as? Fused)?.root?.operation ?? node.operation
      if let convolution = root as? any ConvolutionOperation {
        run.products += 1
        if convolution.method != .direct { run.winograd += 1 }
      } else if root is MatMul {
        run.products += 1
      }
    }
    return run
  }

  @Test(arguments: [
    "fashion-gan", "dcgan-mnist", "dcgan-fashion", "vanilla-gan", "vanilla-gan-tf", "dense-gan",
  ])
  func fastTrainsAsExact(name: String) throws {
    let program = try ProgramSource(
      path: Places.graph(name), settings: [(name: "batch", value: "3")]
    ).program
    let fast = try run(program, .fast)
    let exact = try run(program, .exact)
    // Convolutions take another form, or there are fewer products.
    #expect(fast.winograd > 0 || fast.products < exact.products, "\(name): fast is exact")
    #expect(exact.winograd == 0)
    try #require(fast.losses.count == exact.losses.count && fast.losses.count >= 6)
    for (a, b) in zip(fast.losses, exact.losses) {
      #expect(abs(a - b) <= 1e-4 * max(abs(a), abs(b)), "\(name): a loss of \(a) and \(b)")
    }
    for (parameter, start) in exact.start {
      let a = fast.end[parameter]!
      let b = exact.end[parameter]!
      let difference = zip(a, b).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
      let change = zip(b, start).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
      // Adam's first steps are nearly the signs of gradients: a few near zero fall the other way. A bias before a batch
      // normalisation has no gradient but roundings, which move it by a few millionths.
      #expect(
        difference <= 1e-3 * change + 1e-11 * Double(start.count),
        "\(name): \(parameter) ends elsewhere, \(difference) of \(change)")
    }
  }
}
