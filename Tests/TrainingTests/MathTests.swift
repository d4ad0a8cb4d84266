// `--math fast` against `--math exact`: the full-size convolutional programs, three steps from the same start. Fast
// computes the same sums in Winograd's form and by phases of the up-sampling.

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
  }

  private func run(_ program: Program, _ arithmetic: Pipeline.Arithmetic) throws -> Run {
    let session = try Session(
      program: program, backend: CPUBackend(threads: 2), seed: 5,
      compiler: GraphCompiler(arithmetic))
    session.initialize()
    let data = RandomBatches(program.data, seed: 11)
    var run = Run()
    let names = program.states.filter { $0.kind == .parameter }.map(\.name)
    for name in names { run.start[name] = session.floats(of: name) }
    for step in 0..<3 {
      let outcome = try session.runStep(
        StepClock(step: step, epoch: 0), blocks: 0, data: data)
      run.losses += outcome.reports.map(\.value)
    }
    for name in names { run.end[name] = session.floats(of: name) }
    run.winograd = try PassRunner(arithmetic.pipeline).run(program.train!.graph).graph.nodes
      .elements.count {
        let root = ($0.operation as? Fused)?.root?.operation ?? $0.operation
        return ((root as? any ConvolutionOperation)?.method ?? .direct) != .direct
      }
    return run
  }

  @Test(arguments: ["fashion-gan", "dcgan-mnist", "dcgan-fashion"])
  func fastTrainsAsExact(name: String) throws {
    let program = try ProgramSource(
      path: Places.graph(name), settings: [(name: "batch", value: "3")]
    ).program
    let fast = try run(program, .fast)
    let exact = try run(program, .exact)
    #expect(fast.winograd > 0 && exact.winograd == 0)
    try #require(fast.losses.count == exact.losses.count && fast.losses.count >= 6)
    for (a, b) in zip(fast.losses, exact.losses) {
      #expect(abs(a - b) <= 1e-4 * max(abs(a), abs(b)), "\(name): a loss of \(a) and \(b)")
    }
    for (parameter, start) in exact.start {
      let a = fast.end[parameter]!
      let b = exact.end[parameter]!
      let difference = zip(a, b).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
      let change = zip(b, start).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
      // Adam's first steps are nearly the signs of gradients: a few near zero fall the other way.
      #expect(
        difference <= 1e-3 * change,
        "\(name): \(parameter) ends elsewhere, \(difference) of \(change)")
    }
  }
}
