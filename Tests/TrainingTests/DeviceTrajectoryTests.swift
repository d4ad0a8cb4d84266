// The six models on a device of OpenCL: ten steps beside the CPU's, and what belongs to a run: checkpoints that go from one
// to the other, the check that names a wrong kernel.

import Basics
import CPUBackend
import Elaboration
import Formats
import GraphIR
import OpenCLBackend
import Planning
import Runtime
import TestSupport
import Testing

@testable import Training

/// Whether there is a device; tests that need one say so when they skip.
private let hasDevice = (try? OpenCLBackend.device(at: nil)) != nil
private let missing: Comment = "no OpenCL device here (Debian: pocl-opencl-icd)"

@Suite(.onOwnThreads, .enabled(if: hasDevice, missing)) struct DeviceTrajectoryTests {
  private func makeDevice() throws -> OpenCLBackend {
    try OpenCLBackend(device: OpenCLBackend.device(at: nil))
  }

  /// Losses, parameters and what is averaged after ten steps of the narrow programs, from the same weights, data and noise:
  /// within 10⁻³ (moments are not compared: one number that falls to the other side of a kink moves them by more). Gradients
  /// of biases before batch normalisation are nothing but roundings, which Adam makes steps of: how far a parameter goes
  /// for roundings alone is measured on the CPU, with and without optimisations.
  @Test(arguments: Fixture.names) func tenStepsBesideTheCPU(_ name: String) throws {
    let fixture = try Fixture(name)
    let (cpu, _) = try fixture.session(optimized: true)
    let (plain, _) = try fixture.session(optimized: false)
    let (other, _) = try fixture.session(optimized: true, on: makeDevice())
    let data = RandomBatches(fixture.source.program.data, seed: 3)
    for step in 0..<10 {
      let clock = StepClock(step: step, epoch: 0)
      let expected = try cpu.runStep(clock, blocks: 0, data: data).reports
      _ = try plain.runStep(clock, blocks: 0, data: data)
      let found = try other.runStep(clock, blocks: 0, data: data).reports
      for (a, b) in zip(found, expected) {
        #expect(abs(a.value - b.value) <= 1e-3 * max(1, abs(b.value)), "\(step) \(a.name)")
      }
    }
    for state in fixture.source.program.states
    where state.kind != .moment && state.type.element == .f32 {
      let expected = try cpu.floats(of: state.name)
      let size = expected.map(abs).max() ?? 0
      let worst = difference(try other.floats(of: state.name), expected)
      let sensitivity = difference(try plain.floats(of: state.name), expected)
      #expect(
        worst <= 1e-3 * max(size, 1) + 4 * sensitivity,
        "\(state.name): \(worst) of \(size), \(sensitivity) by roundings alone")
    }
  }

  private func difference(_ a: [Float], _ b: [Float]) -> Float {
    zip(a, b).map { abs($0 - $1) }.max() ?? 0
  }

  @Test func twoRunsHaveTheSameBits() throws {
    let fixture = try Fixture("dcgan-fashion")
    let runs = try (0..<2).map { _ in
      let (session, _) = try fixture.session(optimized: true, on: makeDevice())
      let data = RandomBatches(fixture.source.program.data, seed: 3)
      for step in 0..<2 {
        _ = try session.runStep(StepClock(step: step, epoch: 0), blocks: 0, data: data)
      }
      return try fixture.source.program.states.map { try session.bytes(of: $0.name) }
    }
    #expect(runs[0] == runs[1])
  }

  /// A checkpoint of one backend is one of the other: its bytes are equal.
  @Test func statesGoFromOneBackendToTheOther() throws {
    let fixture = try Fixture("vanilla-gan")
    let (cpu, _) = try fixture.session(optimized: true)
    let (other, _) = try fixture.session(optimized: true, on: makeDevice())
    for state in fixture.source.program.states {
      let bytes = try cpu.bytes(of: state.name)
      try other.setBytes(state.name, bytes)
      #expect(try other.bytes(of: state.name) == bytes, "\(state.name)")
    }
    let data = RandomBatches(fixture.source.program.data, seed: 3)
    let clock = StepClock(step: 0, epoch: 0)
    let expected = try cpu.runStep(clock, blocks: 0, data: data).reports
    let found = try other.runStep(clock, blocks: 0, data: data).reports
    for (a, b) in zip(found, expected) { #expect(abs(a.value - b.value) < 1e-4, "\(a.name)") }
  }

  // MARK: The check of a device

  private func check(_ backend: any Backend) throws -> DeviceCheck.Report {
    let fixture = try Fixture("dense-gan")
    return try DeviceCheck(
      fixture.source.program, reference: CPUBackend(threads: 1), device: backend,
      compiler: GraphCompiler(), seed: 1,
      data: RandomBatches(fixture.source.program.data, seed: 1), bound: OperationBounds.bound
    ).run()
  }

  @Test func aRightDevicePasses() throws {
    let report = try check(makeDevice())
    #expect(report.failures == 0, "\(String(describing: report.first))")
    #expect(report.findings.count > 20)
    #expect(report.findings.contains { $0.difference > 0 })
    #expect(report.reports.count >= 2)
  }

  /// A device that gets one operation wrong is caught there, not where its result is read.
  @Test func aWrongKernelIsNamed() throws {
    let right = try check(CPUBackend(threads: 1))
    #expect(right.failures == 0)
    let place = right.findings.count / 2
    let report = try check(WrongBackend(output: place))
    #expect(report.failures == 1)
    let first = try #require(report.first)
    #expect(first.operation == right.findings[place].operation)
    #expect(first.origin == right.findings[place].origin)
  }
}

/// The CPU, but that one output of a graph without states among its outputs comes out a little wrong.
private final class WrongBackend: Backend {
  private let cpu: CPUBackend
  private let output: Int
  init(output: Int) throws {
    cpu = try CPUBackend(threads: 1)
    self.output = output
  }

  var name: String { "wrong" }
  var summary: String { "wrong" }
  func makeStateStore() -> any StateStore { cpu.makeStateStore() }
  func reserving(_ plan: Plan) throws(EnvironmentFailure) -> Plan { try cpu.reserving(plan) }
  func load(
    _ plan: Plan, states: any StateStore
  ) throws(EnvironmentFailure) -> any Executable {
    WrongExecutable(try cpu.load(plan, states: states), output)
  }
}

private final class WrongExecutable: Executable {
  private let right: any Executable
  private let wrong: Int
  init(_ right: any Executable, _ wrong: Int) {
    self.right = right
    self.wrong = wrong
  }

  var plan: Plan { right.plan }
  func fill<Failure: Error>(
    input index: Int, _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) { try right.fill(input: index, body) }
  func run() throws(EnvironmentFailure) { try right.run() }
  func read(
    output index: Int, into bytes: UnsafeMutableRawBufferPointer
  ) throws(EnvironmentFailure) {
    try right.read(output: index, into: bytes)
    guard index == wrong else { return }
    let type = plan.graph.type(of: plan.graph.outputs[index].value)
    switch type.element {
    case .f32:
      let values = bytes.bindMemory(to: Float.self)
      values[0] += 0.01 * (values.map(abs).max() ?? 1) + 1e-20
    default: bytes[0] ^= 1
    }
  }
}
