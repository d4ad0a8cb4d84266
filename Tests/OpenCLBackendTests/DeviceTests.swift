// What holds of the backend as a whole: states stay on the device, runs are timed, errors say what is wrong.

import BackendSupport
import Basics
import GraphIR
import Operators
import Planning
import Runtime
import TestSupport
import Testing

@testable import OpenCLBackend

@Suite(.onOwnThreads, .enabled(if: DeviceHarness.hasDevice, DeviceHarness.missing))
struct DeviceTests {
  private func doubling() throws -> Graph {
    let builder = GraphBuilder(name: "doubling", stage: .fused)
    let w = try builder.input(.state("w"), .f32(40, 3))
    let x = try builder.input(.argument("x"), .f32(40, 3))
    builder.output(.result("y"), try builder.add(w, x))
    builder.output(.state("w"), try builder.multiply(w, 2))
    return builder.finish()
  }

  @Test func statesGoFromStepToStep() throws {
    let graph = try doubling()
    var filler = Filler(1)
    let inputs = graph.inputs.map { filler.uniform(graph.type(of: $0.value), -1, 1) }
    let loaded = try Loaded(
      graph, DeviceHarness.backend(try #require(DeviceHarness.traits.first)), inputs)
    for step in 0..<4 {
      let outputs = loaded.outputs(try loaded.step())
      let factor = Double(1 << step)
      #expect(outputs[1].values == inputs[0].values.map { 2 * factor * $0 })
    }
  }

  @Test func launchesAreTimed() throws {
    let graph = try doubling()
    var filler = Filler(1)
    let inputs = graph.inputs.map { filler.uniform(graph.type(of: $0.value), -1, 1) }
    let loaded = try Loaded(
      graph, DeviceHarness.backend(try #require(DeviceHarness.traits.first)), inputs)
    let executable = try #require(loaded.executable as? OpenCLExecutable)
    executable.isProfiling = true
    _ = try loaded.step()
    _ = try loaded.step()
    #expect(!executable.profile.isEmpty)
    #expect(executable.profile.allSatisfy { $0.runs == 2 })
    #expect(executable.profile.contains { $0.nanoseconds > 0 })
  }

  @Test func theFirstNumberThatIsNotFiniteIsFound() throws {
    let builder = GraphBuilder(name: "logarithm", stage: .fused)
    let x = try builder.input(.argument("x"), .f32(7))
    let bad = try builder.log(x)
    builder.output(.result("y"), try builder.exp(bad))
    let graph = builder.finish()
    let backend = try DeviceHarness.backend(try #require(DeviceHarness.traits.first))
    let good = try Loaded(graph, backend, [HostTensor(.f32(7), repeating: 1)])
    #expect(try good.executable.runChecked() == nil)
    let wrong = try Loaded(graph, backend, [HostTensor(.f32(7), repeating: 0)])
    #expect(try wrong.executable.runChecked() == bad)
  }

  @Test func aKernelThatDoesNotBuildIsNamed() throws {
    let context = try OpenCLContext(OpenCLBackend.device(at: nil))
    let builder = DeviceProgramBuilder()
    let buffer = builder.temporary(bytes: 4)
    for statement in ["x = 1.0f;", "no_such_function(x);"] {
      var kernel = KernelText("planted")
      kernel.line("float x;")
      kernel.line(statement)
      kernel.line("\(kernel.output(buffer))[0] = x;")
      builder.launch(kernel, global: [1], local: [1])
    }
    do {
      _ = try OpenCLProgram(context, builder.program)
      Issue.record("it builds")
    } catch {
      #expect(error.message.contains("planted_1"), "\(error)")
      #expect(error.message.contains("no_such_function"), "\(error)")
    }
  }

  @Test func memoryThatIsNotThereIsAnError() throws {
    let context = try OpenCLContext(OpenCLBackend.device(at: nil))
    let bytes = context.device.largestAllocation + 1
    do {
      _ = try OpenCLMemory(context, bytes: bytes, for: "the arena")
      Issue.record("there is so much memory")
    } catch {
      #expect(error.message.contains("the arena needs \(bytes) bytes"))
      #expect(error.message.contains("\(context.device.globalBytes) bytes of memory"))
    }
  }

  @Test func devicesThatAreNotThereAreErrors() {
    #expect(throws: EnvironmentFailure.self) { try OpenCLBackend.device(at: 1000) }
  }

  /// A device without double precision refuses schedules by name.
  @Test func doublePrecisionThatIsMissingIsNamed() throws {
    let builder = GraphBuilder(name: "schedule", stage: .fused)
    let x = try builder.input(.argument("x"), TensorType(.f64, []))
    builder.output(.result("y"), try builder.exp(x))
    var traits = try #require(DeviceHarness.traits.first)
    traits.hasDouble = false
    let backend = try DeviceHarness.backend(traits)
    do {
      _ = try backend.load(Planner().plan(builder.finish()), states: backend.makeStateStore())
      Issue.record("it runs")
    } catch {
      #expect("\(error)".contains("double precision"))
    }
  }

  /// What is printed names kernels' places, and sources for other devices need none.
  @Test func theSourceSaysWhereItComesFrom() throws {
    let builder = GraphBuilder(name: "places", stage: .fused)
    builder.origin = Origin(line: 12, column: 3, path: "generator")
    let x = try builder.input(.argument("x"), .f32(40))
    builder.output(.result("y"), try builder.exp(x))
    let plan = Planner().plan(builder.finish())
    let source = try OpenCLBackend.source(of: plan, traits: .gpu, tiles: TileTable())
    #expect(source.contains("// exp → f32[40], 12:3 generator"))
    #expect(source.contains("void region_0("))
  }
}
