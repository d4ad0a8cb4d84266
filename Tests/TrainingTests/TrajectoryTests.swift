// The truth test: from given weights, noise and data, the first three training steps of the six
// models agree with what Keras and PyTorch computed (Tools/make-fixtures.py), losses, weights and
// running statistics alike.

import Basics
import CPUBackend
import Commands
import Elaboration
import Formats
import GraphIR
import Passes
import Runtime
import TestSupport
import Testing
import Training

/// A fixture file and the narrow program beside it.
struct Fixture {
  static let names = [
    "vanilla-gan", "vanilla-gan-tf", "dense-gan", "dcgan-mnist", "dcgan-fashion", "fashion-gan",
  ]
  static let steps = 3

  let source: ProgramSource
  let file: TensorFile
  /// Tensors that must agree only to an absolute number.
  private var loose: [String: Double] = [:]

  init(_ name: String) throws {
    source = try ProgramSource(path: "\(Places.fixtures)/\(name).gan", settings: [])
    let path = "\(Places.fixtures)/\(name).safetensors"
    file = try TensorFile.decode(try FileIO.read(path), name: path)
    for line in (file.metadata("loose") ?? "").split(separator: "\n") {
      let parts = line.split(separator: "=")
      loose[String(parts[0])] = Double(parts[1])
    }
  }

  func floats(_ name: String) throws -> [Float] {
    let tensor = try #require(file[name], "the fixture has no \(name)")
    return try #require(tensor.floats)
  }

  /// The largest allowed difference to a tensor of the fixture.
  func tolerance(_ name: String, _ expected: [Float]) -> Double {
    loose[name] ?? 1e-4 * Double(expected.map(abs).max() ?? 0)
  }

  /// A session with the fixture's weights, and its batches.
  func session(
    optimized: Bool, on backend: (any Backend)? = nil
  ) throws -> (Session, GivenBatches) {
    let session = try Session(
      program: source.program, backend: backend ?? CPUBackend(threads: 2), seed: 0,
      compiler: GraphCompiler(optimized ? .fast : .unoptimized))
    try session.initialize()
    for tensor in file.tensors where tensor.name.hasPrefix("init/") {
      let name = String(tensor.name.dropFirst(5))
      let state = try #require(source.program.states.first { $0.name == name }, "no state \(name)")
      #expect(state.type.shape == tensor.shape, "\(name)")
      try session.setBytes(name, tensor.data)
    }
    var batches: [String: [[Float]]] = [:]
    for data in source.program.data {
      batches[data.name] = try (0..<Self.steps).map { try floats("step\($0)/\(data.name)") }
    }
    return (session, GivenBatches(batches))
  }
}

@Suite struct TrajectoryTests {
  @Test(arguments: Fixture.names, [true, false])
  func agreesWithTheFramework(name: String, optimized: Bool) throws {
    let fixture = try Fixture(name)
    let (session, batches) = try fixture.session(optimized: optimized)
    var compared = 0
    func compare(_ name: String, _ found: [Float]) throws {
      let expected = try fixture.floats(name)
      try #require(expected.count == found.count, "\(name)")
      let difference = zip(expected, found).map { abs(Double($0) - Double($1)) }.max() ?? 0
      let allowed = fixture.tolerance(name, expected)
      let isNear = difference <= allowed
      #expect(isNear, "\(name): off by \(difference), allowed is \(allowed)")
      compared += 1
    }
    for step in 0..<Fixture.steps {
      let outcome = try session.runStep(StepClock(step: step, epoch: 0), blocks: 0, data: batches)
      for report in outcome.reports where fixture.file["step\(step)/\(report.name)"] != nil {
        try compare("step\(step)/\(report.name)", [Float(report.value)])
      }
      for tensor in fixture.file.tensors where tensor.name.hasPrefix("after\(step + 1)/") {
        let state = String(tensor.name.drop { $0 != "/" }.dropFirst())
        try compare(tensor.name, session.floats(of: state))
      }
    }
    // Two sets of weights and at least two losses a step.
    let parameters = fixture.source.program.states.count {
      $0.kind == .parameter || $0.kind == .runningStatistic
    }
    #expect(compared >= 2 * parameters + 6)
  }

  /// The test must be able to fail: after two steps the weights are not those after three.
  @Test func noticesAMissingStep() throws {
    let fixture = try Fixture("dense-gan")
    let (session, batches) = try fixture.session(optimized: true)
    for step in 0..<2 {
      _ = try session.runStep(StepClock(step: step, epoch: 0), blocks: 0, data: batches)
    }
    let name = "after3/generator/dense/kernel"
    let expected = try fixture.floats(name)
    let found = try session.floats(of: "generator/dense/kernel")
    let difference = zip(expected, found).map { abs(Double($0) - Double($1)) }.max() ?? 0
    #expect(difference > 10 * fixture.tolerance(name, expected))
  }
}
