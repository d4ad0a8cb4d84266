// A plan bound to kernels: memory laid out as the plan says, a list of launches, and the loop that runs them.

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif
import Basics
import CProcessor
import GraphIR
import KernelTable
import Operators
import Planning
import Runtime

package final class CPUExecutable: Executable, Tracing {
  package let plan: Plan
  package let memory: [MemoryUse]
  /// Kept alive for its threads.
  private let backend: CPUBackend
  private let pool: WorkerPool
  private let addresses: Addresses
  /// Argument structs; the launches point into it.
  private let bindings: BindMemory
  private let launches: UnsafeMutableBufferPointer<Launch>
  private let states: CPUStateStore
  private let changesStates: Bool
  /// The version of the states that lasting results were prepared of.
  private var prepared: Int?
  private let kernelNames: [String]
  private var times: [UInt64] = []
  private var runs = 0
  private var recorder: TraceRecorder?

  init(_ plan: Plan, _ backend: CPUBackend, _ states: CPUStateStore) throws(EnvironmentFailure) {
    self.backend = backend
    self.states = states
    changesStates = plan.changesStates
    pool = backend.pool
    addresses = try Addresses(plan, states)
    // First only to learn what kernels ask for; nothing is written there.
    let measured = try PlanBinder(plan: plan, addresses: addresses, backend: backend)
      .bind(BindMemory())
    let (plan, requests) = measured.requests.reserved(in: plan)
    self.plan = plan
    try addresses.makeArena(plan)
    bindings = BindMemory()
    let context = try PlanBinder(plan: plan, addresses: addresses, backend: backend)
      .bind(bindings, requests: requests)
    launches = .allocate(capacity: context.launches.count)
    _ = launches.initialize(from: context.launches)
    kernelNames = context.kernelNames
    memory = [
      MemoryUse("arena", plan.valueBytes),
      MemoryUse("constants", addresses.constants.byteCount),
      MemoryUse("inputs", addresses.inputBytes),
      MemoryUse("workspace", plan.arenaBytes - plan.valueBytes),
    ]
  }

  deinit { launches.deallocate() }

  package func fill<Failure: Error>(
    input index: Int, _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    let input = plan.graph.inputs[index]
    if case .state = input.role { preconditionFailure("states are written through their store") }
    try body(
      UnsafeMutableRawBufferPointer(
        start: addresses.pointer(.input(index)), count: plan.graph.type(of: input.value).byteCount))
  }

  package func read(output index: Int, into bytes: UnsafeMutableRawBufferPointer) {
    let type = plan.graph.type(of: plan.graph.outputs[index].value)
    precondition(bytes.count == type.byteCount, "the output has another size")
    if let target = bytes.baseAddress {
      memcpy(target, addresses.pointer(plan.outputPlacements[index]), bytes.count)
    }
  }

  // MARK: Running

  package func run() {
    if let recorder, recorder.beginRun() { return runRecorded(recorder) }
    if isProfiling { return runTimed() }
    // On every thread that computes, or on none: bits must not depend on who computed them. The caller's own
    // arithmetic is left as it was.
    let state = processor_exchange_denormals()
    defer { processor_restore_denormals(state) }
    let isPrepared = beginRun()
    for launch in launches where !(isPrepared && launch.isPreparation) { run(launch) }
  }

  /// Whether the launches that prepare can be left out of the run that begins.
  private func beginRun() -> Bool {
    if changesStates { states.noteChange() }
    defer { prepared = states.version }
    return prepared == states.version
  }

  @inline(__always)
  private func run(_ launch: Launch) {
    pool.run(
      launch.kernel, launch.arguments, scratch: launch.scratch.base,
      scratchStride: launch.scratch.stride, shares: launch.shares)
  }

  package func runChecked() -> ValueID? {
    let state = processor_exchange_denormals()
    defer { processor_restore_denormals(state) }
    let isPrepared = beginRun()
    var found: ValueID?
    var index = 0
    while index < launches.count {
      let node = launches[index].node
      while index < launches.count, launches[index].node == node {
        if !(isPrepared && launches[index].isPreparation) { run(launches[index]) }
        index += 1
      }
      if found == nil, node >= 0 { found = nonFinite(resultsOf: NodeID(Int(node))) }
    }
    return found
  }

  private func nonFinite(resultsOf node: NodeID) -> ValueID? {
    for value in plan.graph.nodes[node].results {
      let type = plan.graph.type(of: value)
      guard type.element == .f32 else { continue }
      let pointer = addresses.pointer(plan.placements[value]).assumingMemoryBound(to: Float.self)
      for i in 0..<type.count where !pointer[i].isFinite { return value }
    }
    return nil
  }

  // MARK: Profiling

  package var isProfiling = false {
    didSet {
      times = Array(repeating: 0, count: launches.count)
      runs = 0
    }
  }

  package var profile: [ProfileEntry] {
    launches.indices.map { index in
      let launch = launches[index]
      return ProfileEntry(
        node: launch.node < 0 ? nil : NodeID(Int(launch.node)),
        kernel: kernelNames[Int(launch.name)],
        nanoseconds: index < times.count ? times[index] : 0, runs: runs)
    }
  }

  package var traceBytesPerRun: Int { TraceRecorder.bytesPerRun(launches.map(\.shares)) }

  package func startTrace(runs: Int) throws(EnvironmentFailure) {
    recorder = try TraceRecorder(shares: launches.map(\.shares), runs: runs)
  }

  package var trace: [TraceSpan] { recorder?.spans() ?? [] }

  private func runRecorded(_ recorder: TraceRecorder) {
    let state = processor_exchange_denormals()
    defer { processor_restore_denormals(state) }
    let isPrepared = beginRun()
    for index in launches.indices where !(isPrepared && launches[index].isPreparation) {
      recorder.run(index, launches[index], pool)
    }
  }

  private func runTimed() {
    let state = processor_exchange_denormals()
    defer { processor_restore_denormals(state) }
    runs += 1
    let isPrepared = beginRun()
    var last = monotonicNanoseconds()
    for index in launches.indices where !(isPrepared && launches[index].isPreparation) {
      run(launches[index])
      let now = monotonicNanoseconds()
      times[index] += now - last
      last = now
    }
  }

  /// For tests: the arena, from its first byte to the one that the plan ends with.
  var arenaMemory: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: addresses.arena.base, count: plan.arenaBytes)
  }

  /// For tests: the number of launches of a step.
  package var launchCount: Int { launches.count }
}

/// Where every placement of a plan is.
final class Addresses {
  private(set) var arena: Arena
  let constants: Arena
  private let inputs: Arena
  private var inputOffsets: [Int] = []
  let inputBytes: Int
  /// For lookup only.
  private var states: [String: Arena] = [:]

  init(_ plan: Plan, _ store: CPUStateStore) throws(EnvironmentFailure) {
    let graph = plan.graph
    arena = try Self.arena(plan)
    constants = try Arena(byteCount: plan.constantBytes, for: "constants")
    var offset = 0
    for input in graph.inputs {
      inputOffsets.append(offset)
      let type = graph.type(of: input.value)
      if case .state(let name) = input.role {
        states[name] = try store.memory(name, type)
      } else {
        offset += aligned(type.byteCount)
      }
    }
    inputBytes = offset
    inputs = try Arena(byteCount: offset, for: "inputs")
    for output in graph.outputs {
      if case .state(let name) = output.role {
        states[name] = try store.memory(name, graph.type(of: output.value))
      }
    }
    fillConstants(plan)
  }

  private static func arena(_ plan: Plan) throws(EnvironmentFailure) -> Arena {
    try Arena(byteCount: plan.arenaBytes, for: "the arena of \"\(plan.graph.name)\"")
  }

  /// Replaces the arena, of which nothing was used, by that of a plan which reserves workspaces too.
  func makeArena(_ plan: Plan) throws(EnvironmentFailure) { arena = try Self.arena(plan) }

  func pointer(_ placement: Placement) -> UnsafeMutableRawPointer {
    switch placement {
    case .arena(let offset): return arena.pointer(at: offset)
    case .constant(let offset): return constants.pointer(at: offset)
    case .input(let index): return inputs.pointer(at: inputOffsets[index])
    case .state(let name):
      guard let memory = states[name] else { preconditionFailure("no state \(name)") }
      return memory.base
    case .none: preconditionFailure("a value without a place")
    }
  }

  private func fillConstants(_ plan: Plan) {
    for id in plan.graph.nodes.ids {
      let node = plan.graph.nodes[id]
      guard node.operation is Constant, case .constant = plan.placements[node.results[0]] else {
        continue
      }
      let value = node.results[0]
      var type = plan.graph.type(of: value)
      if plan.scalarConstants.contains(value) { type = type.with(shape: []) }
      let target = pointer(plan.placements[value])
      let tensor = node.operation.evaluate([], results: [type])[0]
      for (index, element) in tensor.values.enumerated() {
        switch type.element {
        case .f32:
          target.storeBytes(of: Float(element), toByteOffset: index * 4, as: Float.self)
        case .i32, .bool:
          target.storeBytes(of: Int32(element), toByteOffset: index * 4, as: Int32.self)
        case .f64:
          target.storeBytes(of: element, toByteOffset: index * 8, as: Double.self)
        }
      }
    }
  }
}
