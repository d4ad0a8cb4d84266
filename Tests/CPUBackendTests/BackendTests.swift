// What holds of the backend as a whole: bits do not depend on threads, states go from step to step, the arena is the
// planned one, errors name what is missing.

import BackendSupport
import AllocationCounter
import Basics
import GraphIR
import Operators
import Planning
import Runtime
import Testing

@testable import CPUBackend

@Suite struct BackendTests {
  /// A random chain over images and matrices large enough to be shared out.
  private func randomGraph(_ seed: UInt64) throws -> (Graph, [HostTensor]) {
    var random = PhiloxSequence(seed: seed, stream: 3)
    let builder = GraphBuilder(name: "random \(seed)", stage: .fused)
    let x = try builder.input(.argument("x"), .f32(70, 130))
    let w = try builder.input(.state("w"), .f32(130, 130))
    let b = try builder.input(.state("b"), .f32(130))
    var pool = [x]
    func pick() -> ValueID { pool[random.nextInt(below: pool.count)] }
    for _ in 0..<14 {
      switch random.nextInt(below: 7) {
      case 0: pool.append(try builder.tanh(builder.matmul(pick(), w)))
      case 1:
        let region = Region(
          inputCount: 2,
          steps: [.init(Add(), [.input(0), .input(1)]), .init(Sigmoid(), [.step(0)])],
          results: [.step(1)])
        pool.append(try builder.add(Fused(root: MatMul(), region: region), [pick(), w, b])[0])
      case 2:
        let moments = try builder.add(Moments(axes: [0]), [pick()])
        pool.append(try builder.subtract(pick(), moments[0]))
      case 3:
        let total = try builder.sum(pick(), axes: [1], keepDims: true)
        pool.append(try builder.tanh(builder.multiply(pick(), total)))
      case 4: pool.append(try builder.add(pick(), b))
      case 5: pool.append(try builder.add(Softmax(), pick()))
      default:
        let square = try builder.add(
          MatMul(transposeA: true, transposeB: false), pick(), pick())
        pool.append(try builder.tanh(builder.matmul(pick(), builder.tanh(square))))
      }
    }
    let last = pool[pool.count - 1]
    let gradient = try builder.add(MatMul(transposeA: true, transposeB: false), last, pick())
    builder.output(.state("w"), try builder.subtract(w, builder.multiply(gradient, 0.001)))
    builder.output(.state("b"), try builder.add(b, builder.sum(last, axes: [0])))
    builder.output(.result("y"), last)
    builder.output(.report("loss"), try builder.sum(builder.square(last), axes: [0, 1]))
    let graph = builder.finish()
    var filler = Filler(seed)
    return (graph, graph.inputs.map { filler.uniform(graph.type(of: $0.value), -0.1, 0.1) })
  }

  @Test(arguments: 0..<8) func bitsDoNotDependOnThreads(_ seed: Int) throws {
    let (graph, inputs) = try randomGraph(UInt64(seed))
    for set in InstructionSet.available {
      var first: [[[UInt8]]]?
      for threads in [1, 2, 3, 5] {
        let loaded = try Loaded(graph, CPUBackend(threads: threads, instructionSet: set), inputs)
        let found = try (0..<3).map { _ in try loaded.step() }
        #expect(first == nil || first! == found, "\(set) with \(threads) threads")
        first = found
      }
    }
  }

  @Test(arguments: 0..<4) func randomGraphsAgree(_ seed: Int) throws {
    let (graph, inputs) = try randomGraph(UInt64(seed))
    try expectAgreement(graph, inputs, bound: 1e-4)
  }

  @Test func statesGoFromStepToStep() throws {
    let builder = GraphBuilder(name: "states", stage: .fused)
    let w = try builder.input(.state("w"), .f32(300))
    let m = try builder.input(.state("m"), .f32(300))
    let a = try builder.input(.state("a"), .f32(300))
    let count = try builder.input(.state("count"), .i32())
    let decay = Region(
      inputCount: 2,
      steps: [
        .init(Tanh(), [.input(0)]), .init(Multiply(), [.step(0), .input(1)]),
        .init(Subtract(), [.input(0), .step(1)]), .init(Add(), [.input(1), .step(0)]),
      ], results: [.step(2), .step(3)])
    let new = try builder.add(Fused(region: decay), [w, m])
    builder.output(.state("w"), new[0])
    builder.output(.state("m"), new[1])
    // Takes w's old value: a copy that must come before w is overwritten.
    builder.output(.state("a"), w)
    builder.output(.report("old"), a)
    let one = try builder.scalar(1, .i32)
    builder.output(.state("count"), try builder.add(count, one))
    let graph = builder.finish()
    var filler = Filler(3)
    var inputs = graph.inputs.map { filler.uniform(graph.type(of: $0.value), -1, 1) }
    let loaded = try Loaded(graph, CPUBackend(threads: 2), inputs)
    for step in 0..<6 {
      let expected = Evaluator(rounding: true).evaluate(graph, inputs: inputs)
      let found = loaded.outputs(try loaded.step())
      for (index, output) in graph.outputs.enumerated() {
        #expect(Agreement.error(found[index], expected[index]) < 1e-5, "\(step) \(output.role)")
        if case .state(let name) = output.role, let value = graph.input(.state(name)) {
          // Goes on from what was found, so that errors do not add up.
          inputs[graph.values[value].index] = found[index]
        }
      }
    }
  }

  @Test func optimisersInEpiloguesUpdateInPlace() throws {
    let builder = GraphBuilder(name: "adam", stage: .fused)
    let shape = [70, 90]
    let w = try builder.input(.state("w"), .f32(shape))
    let m = try builder.input(.state("m"), .f32(shape))
    let x = try builder.input(.argument("x"), .f32(30, 70))
    let dy = try builder.input(.argument("dy"), .f32(30, 90))
    // m' = m / 2 + g, w' = w − m' / 8
    let half = try builder.scalar(0.5)
    let rate = try builder.scalar(0.125)
    let region = Region(
      inputCount: 5,
      steps: [
        .init(Multiply(), [.input(2), .input(3)]), .init(Add(), [.step(0), .input(0)]),
        .init(Multiply(), [.step(1), .input(4)]), .init(Subtract(), [.input(1), .step(2)]),
      ], results: [.step(3), .step(1)])
    let root = MatMul(transposeA: true, transposeB: false)
    let new = try builder.add(Fused(root: root, region: region), [x, dy, w, m, half, rate])
    builder.output(.state("w"), new[0])
    builder.output(.state("m"), new[1])
    let graph = builder.finish()
    #expect(Planner().plan(graph).stateCopies.isEmpty)
    var filler = Filler(8)
    let first = graph.inputs.map { filler.uniform(graph.type(of: $0.value), -1, 1) }
    for backend in try makeBackends() {
      var inputs = first
      let loaded = try Loaded(graph, backend, inputs)
      for _ in 0..<3 {
        let expected = Evaluator(rounding: true).evaluate(graph, inputs: inputs)
        let found = loaded.outputs(try loaded.step())
        #expect(Agreement.error(found[0], expected[0]) < 1e-5)
        #expect(Agreement.error(found[1], expected[1]) < 1e-5)
        inputs[0] = found[0]
        inputs[1] = found[1]
      }
    }
  }

  @Test(arguments: [1, 2]) func aStepAllocatesNothing(_ threads: Int) throws {
    let (graph, inputs) = try randomGraph(3)
    let loaded = try Loaded(graph, CPUBackend(threads: threads), inputs)
    let executable = loaded.executable
    try executable.run()
    let before = allocation_count()
    if before < 0 { return }
    // The counter counts.
    let block = UnsafeMutableRawPointer.allocate(byteCount: 100, alignment: 8)
    #expect(allocation_count() > before)
    block.deallocate()
    let start = allocation_count()
    for _ in 0..<100 { try executable.run() }
    #expect(allocation_count() == start)
  }

  /// One weight read by several products is packed once; its buffer is overwritten before the last of them, and the
  /// packed copy must still be the old one. The new value is packed anew.
  @Test func packedOperandsAreShared() throws {
    let builder = GraphBuilder(name: "shared", stage: .fused)
    let w = try builder.input(.state("w"), .f32(40, 50))
    let x = try builder.input(.argument("x"), .f32(300, 40))
    let filter = try builder.input(.argument("f"), .f32(3, 3, 2, 9))
    let image = try builder.input(.argument("i"), .f32(2, 8, 8, 2))
    let first = try builder.matmul(x, w)
    let view = try builder.reshape(builder.reshape(w, [2000]), [40, 50])
    let second = try builder.matmul(builder.tanh(x), view)
    let new = try builder.add(Square(), w)
    let third = try builder.matmul(x, new)
    let back = try builder.matmul(first, w, transposeB: true)
    let convolution = Conv2D(stride: [1, 1], padding: [1, 1, 1, 1])
    let c = try builder.add(convolution, image, filter)
    let d = try builder.add(convolution, builder.tanh(image), filter)
    builder.output(.state("w"), new)
    for (index, value) in [first, second, third, back, c, d].enumerated() {
      builder.output(.result("\(index)"), value)
    }
    let graph = builder.finish()
    var filler = Filler(12)
    let inputs = graph.inputs.map { filler.uniform(graph.type(of: $0.value), -1, 1) }
    try expectAgreement(graph, inputs)
    let loaded = try Loaded(graph, CPUBackend(threads: 1), inputs)
    let executable = try #require(loaded.executable as? CPUExecutable)
    let kernels = executable.profile.map(\.kernel)
    #expect(kernels.filter { $0 == "pack" }.count == 3)
    #expect(kernels.filter { $0 == "packFilter" }.count == 1)
  }

  @Test func theArenaIsThePlannedOne() throws {
    let (graph, inputs) = try randomGraph(1)
    let loaded = try Loaded(graph, CPUBackend(threads: 1), inputs)
    let plan = loaded.executable.plan
    let memory = Dictionary(
      uniqueKeysWithValues: loaded.executable.memory.map { ($0.name, $0.bytes) })
    #expect(memory["arena"] == Planner().plan(graph).arenaBytes)
    #expect(memory["workspace"] ?? 0 > 0)
    #expect((memory["arena"] ?? 0) + (memory["workspace"] ?? 0) == plan.arenaBytes)
    #expect(memory["constants"] == plan.constantBytes)
  }

  @Test func nonFiniteNumbersAreFound() throws {
    let builder = GraphBuilder(name: "nan", stage: .fused)
    let x = try builder.input(.argument("x"), .f32(9))
    let y = try builder.square(x)
    let bad = try builder.log(y)
    builder.output(.result("z"), try builder.exp(bad))
    let graph = builder.finish()
    let zero = try Loaded(graph, CPUBackend(threads: 1), [HostTensor(.f32(9), repeating: 0)])
    #expect(try zero.executable.runChecked() == bad)
    let one = try Loaded(graph, CPUBackend(threads: 1), [HostTensor(.f32(9), repeating: 1)])
    #expect(try one.executable.runChecked() == nil)
  }

  @Test func launchesAreTimed() throws {
    let (graph, inputs) = try randomGraph(2)
    let loaded = try Loaded(graph, CPUBackend(threads: 2), inputs)
    let executable = try #require(loaded.executable as? CPUExecutable)
    executable.isProfiling = true
    executable.run()
    executable.run()
    #expect(executable.profile.count == executable.launchCount)
    #expect(executable.profile.allSatisfy { $0.runs == 2 && $0.nanoseconds > 0 })
    #expect(executable.profile.contains { $0.kernel == "matmul" })
  }

  @Test func runsAreTraced() throws {
    let (graph, inputs) = try randomGraph(2)
    let plain = try Loaded(graph, CPUBackend(threads: 2), inputs)
    _ = try plain.step()
    _ = try plain.step()
    let loaded = try Loaded(graph, CPUBackend(threads: 2), inputs)
    let executable = try #require(loaded.executable as? CPUExecutable)
    #expect(executable.trace.isEmpty)
    try executable.startTrace(runs: 2)
    let start = monotonicNanoseconds()
    executable.run()
    executable.run()
    #expect(try loaded.step() == plain.step())
    let end = monotonicNanoseconds()
    let trace = executable.trace
    // Two of the three runs, every launch, every share once a run.
    for launch in 0..<executable.launchCount {
      let shares = trace.filter { $0.launch == launch }.map(\.share)
      let count = (shares.max() ?? 0) + 1
      #expect(shares.count == 2 * count)
      #expect(Set(shares).count == count)
    }
    #expect(trace.allSatisfy { start <= $0.start && $0.start <= $0.end && $0.end <= end })
    #expect(trace.allSatisfy { 0 <= $0.thread && $0.thread < 2 })
  }

  // MARK: Errors

  @Test func namesOfInstructionSets() throws {
    #expect(try InstructionSet.named("base") == .base)
    #expect(throws: EnvironmentFailure.self) { try InstructionSet.named("avx") }
    for set in InstructionSet.allCases where set > .best {
      #expect(throws: EnvironmentFailure.self) { try InstructionSet.named(set.rawValue) }
      #expect(throws: EnvironmentFailure.self) { try CPUBackend(instructionSet: set) }
    }
    #expect(throws: EnvironmentFailure.self) { try CPUBackend(threads: 0) }
    #expect(throws: EnvironmentFailure.self) { try CPUBackend(threads: 257) }
  }

  /// What loading a plan says of why it cannot.
  private func failure(_ plan: Plan, _ backend: CPUBackend, _ states: any StateStore) -> String {
    do {
      _ = try backend.load(plan, states: states)
      return ""
    } catch {
      return error.message
    }
  }

  @Test func missingKernelsAreNamed() throws {
    let builder = GraphBuilder(name: "raw")
    let x = try builder.input(.state("x"), .f32(3))
    builder.origin = Origin(line: 7, column: 2, path: "net/loss")
    let loss = try builder.sum(x, axes: [0])
    builder.output(.result("g"), try builder.add(Gradient(), loss, x))
    let plan = Planner().plan(builder.finish())
    let backend = try CPUBackend(threads: 1)
    let message = failure(plan, backend, backend.makeStateStore())
    #expect(message.contains("gradient(f32[], f32[3])"))
    #expect(message.contains("at 7:2 net/loss"))
    // Finding out what kernels need fails alike.
    #expect(throws: EnvironmentFailure.self) { try backend.reserving(plan) }
  }

  @Test func missingStatesAreNamed() throws {
    let builder = GraphBuilder(name: "state", stage: .fused)
    let x = try builder.input(.state("x"), .f32(3))
    builder.output(.result("y"), try builder.tanh(x))
    let plan = Planner().plan(builder.finish())
    let backend = try CPUBackend(threads: 1)
    let states = backend.makeStateStore()
    #expect(failure(plan, backend, states).contains("state x"))
    try states.declare("x", .f32(3))
    #expect(failure(plan, backend, states) == "")
    #expect(throws: EnvironmentFailure.self) { try states.declare("x", .f32(4)) }
  }
}
