// Where every placement of a plan is in a device's memory.

import Basics
import GraphIR
import Planning

/// A piece of memory and a byte offset in it.
struct DeviceAddress {
  var memory: OpenCLMemory
  var offset: Int
}

final class DeviceAddresses {
  private let arena: OpenCLMemory
  let constants: OpenCLMemory
  /// By the input's index in the graph; nil for states.
  private var inputs: [OpenCLMemory?] = []
  /// For lookup only.
  private var states: [String: OpenCLMemory] = [:]

  init(_ plan: Plan, _ store: OpenCLStateStore) throws(EnvironmentFailure) {
    let graph = plan.graph
    let context = store.context
    arena = try OpenCLMemory(
      context, bytes: plan.arenaBytes, for: "the arena of \"\(graph.name)\"")
    constants = try OpenCLMemory(context, bytes: plan.constantBytes, for: "constants")
    for input in graph.inputs {
      let type = graph.type(of: input.value)
      if case .state(let name) = input.role {
        states[name] = try store.memory(name, type)
        inputs.append(nil)
      } else {
        inputs.append(try OpenCLMemory(context, bytes: type.byteCount, for: "an input"))
      }
    }
    for output in graph.outputs {
      if case .state(let name) = output.role {
        states[name] = try store.memory(name, graph.type(of: output.value))
      }
    }
    var bytes = [UInt8](repeating: 0, count: plan.constantBytes)
    bytes.withUnsafeMutableBytes { raw in
      if let base = raw.baseAddress { plan.writeConstants(to: base) }
    }
    try bytes.withUnsafeBufferPointer { (bytes) throws(EnvironmentFailure) in
      try constants.write(UnsafeRawBufferPointer(bytes), "constants")
    }
  }

  func address(_ placement: Placement) -> DeviceAddress {
    switch placement {
    case .arena(let offset): return DeviceAddress(memory: arena, offset: offset)
    case .constant(let offset): return DeviceAddress(memory: constants, offset: offset)
    case .input(let index):
      guard let memory = inputs[index] else { preconditionFailure("a state is no input") }
      return DeviceAddress(memory: memory, offset: 0)
    case .state(let name):
      guard let memory = states[name] else { preconditionFailure("no state \(name)") }
      return DeviceAddress(memory: memory, offset: 0)
    case .none: preconditionFailure("a value without a place")
    }
  }

  func input(_ index: Int) -> OpenCLMemory? { inputs[index] }
  var inputBytes: Int { inputs.reduce(0) { $0 + ($1?.bytes ?? 0) } }
}
