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
    let (plan, requests) = try backend.reserved(plan)
    self.plan = plan
    addresses = try Addresses(plan, states)
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
    if let recorder, recorder.beginRun() {
      forEachLaunch { recorder.run($0, launches[$0], pool) }
    } else if isProfiling {
      runTimed()
    } else {
      forEachLaunch { run(launches[$0]) }
    }
  }

  /// The launches of one run, by their index.
  @inline(__always)
  private func forEachLaunch(_ body: (Int) -> Void) {
    // On every thread that computes, or on none: bits must not depend on who computed them. The caller's own
    // arithmetic is left as it was.
    let state = processor_exchange_denormals()
    defer { processor_restore_denormals(state) }
    let isPrepared = beginRun()
    for index in launches.indices where !(isPrepared && launches[index].isPreparation) {
      body(index)
    }
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
        kernel: kernelNames[Int(launch.name)], isPacking: launch.isPacking,
        nanoseconds: index < times.count ? times[index] : 0, runs: runs)
    }
  }

  package var traceBytesPerRun: Int { TraceRecorder.bytesPerRun(launches.map(\.shares)) }

  package func startTrace(runs: Int) throws(EnvironmentFailure) {
    recorder = try TraceRecorder(shares: launches.map(\.shares), runs: runs)
  }

  package var trace: [TraceSpan] { recorder?.spans() ?? [] }

  private func runTimed() {
    runs += 1
    var last = monotonicNanoseconds()
    forEachLaunch { index in
      run(launches[index])
      let now = monotonicNanoseconds()
      times[index] += now - last
      last = now
    }
  }

  /// For tests: the arena, from its first byte to the one that the plan ends with.
  var arenaMemory: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: addresses.arenaBase, count: plan.arenaBytes)
  }

  /// For tests: the number of launches of a step.
  package var launchCount: Int { launches.count }
}
