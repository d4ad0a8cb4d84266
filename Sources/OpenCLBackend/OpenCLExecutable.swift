// A plan bound to a device: memory as the plan lays it out, the program built, and the list of launches with their
// arguments, which a run goes through.

import Basics
import COpenCL
import GraphIR
import Planning
import Runtime

package final class OpenCLExecutable: Executable, Profiling {
  package let plan: Plan
  package let memory: [MemoryUse]
  private let context: OpenCLContext
  private let addresses: DeviceAddresses
  private let program: OpenCLProgram
  /// Kept alive for their memory.
  private let states: OpenCLStateStore
  private let launches: [BoundLaunch]
  /// What the host puts into inputs, by the input's index, and which of them changed since the last run.
  private var staging: [UnsafeMutableRawBufferPointer]
  private var changed: [Bool]

  init(
    _ plan: Plan, _ program: DeviceProgram, _ context: OpenCLContext, _ states: OpenCLStateStore
  ) throws(EnvironmentFailure) {
    self.context = context
    self.states = states
    let reserved = plan.reserving(program.workspaces)
    self.plan = reserved
    addresses = try DeviceAddresses(reserved, states)
    self.program = try OpenCLProgram(context, program)
    let binder = LaunchBinder(
      plan: reserved, addresses: addresses, program: program, kernels: self.program.kernels)
    launches = binder.launches()
    staging = reserved.graph.inputs.map { input in
      if case .state = input.role { return UnsafeMutableRawBufferPointer(start: nil, count: 0) }
      let bytes = reserved.graph.type(of: input.value).byteCount
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 64)
      buffer.initializeMemory(as: UInt8.self, repeating: 0)
      return buffer
    }
    changed = staging.map { _ in false }
    memory = [
      MemoryUse("arena", reserved.valueBytes),
      MemoryUse("constants", addresses.constants.bytes),
      MemoryUse("inputs", addresses.inputBytes),
      MemoryUse("workspace", reserved.arenaBytes - reserved.valueBytes),
    ]
  }

  deinit {
    // Nothing may still be read from the staging.
    _ = opencl_finish(context.queue)
    for buffer in staging { buffer.deallocate() }
  }

  package func fill<Failure: Error>(
    input index: Int, _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    let input = plan.graph.inputs[index]
    if case .state = input.role { preconditionFailure("states are written through their store") }
    changed[index] = true
    try body(staging[index])
  }

  package func read(
    output index: Int, into bytes: UnsafeMutableRawBufferPointer
  ) throws(EnvironmentFailure) {
    let output = plan.graph.outputs[index]
    precondition(
      bytes.count == plan.graph.type(of: output.value).byteCount, "the output has another size")
    let address = addresses.address(plan.outputPlacements[index])
    try address.memory.read(at: address.offset, into: bytes, "an output")
  }

  // MARK: Running

  package func run() throws(EnvironmentFailure) {
    try writeInputs()
    if isProfiling { return try runTimed() }
    for launch in launches { try enqueue(launch, nanoseconds: nil) }
    try OpenCLLibrary.check(opencl_flush(context.queue), "starting the kernels")
  }

  package func wait() throws(EnvironmentFailure) { try context.finish("running the kernels") }

  private func writeInputs() throws(EnvironmentFailure) {
    for index in changed.indices where changed[index] {
      try addresses.input(index)?.write(UnsafeRawBufferPointer(staging[index]), "an input")
      changed[index] = false
    }
  }

  private func enqueue(
    _ launch: BoundLaunch, nanoseconds: UnsafeMutablePointer<UInt64>?
  ) throws(EnvironmentFailure) {
    switch launch.work {
    case .kernel(let kernel):
      // A kernel's arguments are taken when it is enqueued, so launches of one kernel set them each time.
      for index in kernel.memories.indices {
        let position = UInt32(2 * index)
        var error = opencl_set_memory(kernel.handle, position, kernel.memories[index])
        if error == 0 {
          error = opencl_set_offset(kernel.handle, position + 1, kernel.offsets[index])
        }
        if error != 0 { try OpenCLLibrary.check(error, "giving \(launch.name) its arguments") }
      }
      let error = opencl_launch(
        context.queue, kernel.handle, kernel.global, kernel.local, nanoseconds)
      if error != 0 { try OpenCLLibrary.check(error, "running \(launch.name)") }
    case .copy(let source, let target, let bytes):
      let error = opencl_copy(
        context.queue, source.memory.handle, source.offset, target.memory.handle, target.offset,
        bytes)
      if error != 0 { try OpenCLLibrary.check(error, "copying") }
    }
  }

  package func runChecked() throws(EnvironmentFailure) -> ValueID? {
    try writeInputs()
    var found: ValueID?
    var index = 0
    while index < launches.count {
      let node = launches[index].node
      while index < launches.count, launches[index].node == node {
        try enqueue(launches[index], nanoseconds: nil)
        index += 1
      }
      if found == nil, let node { found = try nonFinite(resultsOf: node) }
    }
    return found
  }

  private func nonFinite(resultsOf node: NodeID) throws(EnvironmentFailure) -> ValueID? {
    for value in plan.graph.nodes[node].results {
      let type = plan.graph.type(of: value)
      guard type.element == .f32 else { continue }
      let address = addresses.address(plan.placements[value])
      let values: [Float] = try deviceBytes(count: type.count) {
        (bytes) throws(EnvironmentFailure) in
        try address.memory.read(at: address.offset, into: bytes, "a value")
      }
      if values.contains(where: { !$0.isFinite }) { return value }
    }
    return nil
  }

  // MARK: Profiling

  private var times: [UInt64] = []
  private var runs = 0

  package var isProfiling = false {
    didSet {
      times = Array(repeating: 0, count: launches.count)
      runs = 0
    }
  }

  /// Times are the device's own; a copy's is that until the host knows that it is done.
  package var profile: [ProfileEntry] {
    launches.indices.map { index in
      ProfileEntry(
        node: launches[index].node, kernel: launches[index].name,
        nanoseconds: index < times.count ? times[index] : 0, runs: runs)
    }
  }

  private func runTimed() throws(EnvironmentFailure) {
    runs += 1
    for index in launches.indices {
      var nanoseconds: UInt64 = 0
      if case .kernel = launches[index].work {
        try enqueue(launches[index], nanoseconds: &nanoseconds)
      } else {
        try context.finish("running the kernels")
        let began = monotonicNanoseconds()
        try enqueue(launches[index], nanoseconds: nil)
        try context.finish("copying")
        nanoseconds = monotonicNanoseconds() - began
      }
      times[index] += nanoseconds
    }
  }
}
