// Where the placements of a plan are: in memory, for an executable; nowhere, for a binding that only finds out what kernels
// ask for.

import Basics
import GraphIR
import Planning
import Runtime

/// What a binder asks where operands and results are. Values with different places have different addresses.
protocol AddressSpace {
  var arenaBase: UnsafeMutableRawPointer { get }
  func pointer(_ placement: Placement) -> UnsafeMutableRawPointer
}

/// Addresses without memory: nothing may be read or written there.
struct ImaginedAddresses: AddressSpace {
  /// Room enough for any one tensor.
  private static let stretch = 1 << 40
  /// For lookup only.
  private var states: [String: Int] = [:]

  init(_ plan: Plan) {
    for input in plan.graph.inputs {
      if case .state(let name) = input.role { add(name) }
    }
    for output in plan.graph.outputs {
      if case .state(let name) = output.role { add(name) }
    }
  }

  private mutating func add(_ state: String) {
    if states[state] == nil { states[state] = states.count }
  }

  var arenaBase: UnsafeMutableRawPointer { address(stretch: 1, 0) }

  func pointer(_ placement: Placement) -> UnsafeMutableRawPointer {
    switch placement {
    case .arena(let offset): return address(stretch: 1, offset)
    case .constant(let offset): return address(stretch: 2, offset)
    case .input(let index): return address(stretch: 3 + 2 * index, 0)
    case .state(let name):
      guard let index = states[name] else { preconditionFailure("no state \(name)") }
      return address(stretch: 4 + 2 * index, 0)
    case .none: preconditionFailure("a value without a place")
    }
  }

  private func address(stretch: Int, _ offset: Int) -> UnsafeMutableRawPointer {
    UnsafeMutableRawPointer(bitPattern: stretch * Self.stretch + offset)!
  }
}

/// Where every placement of a plan is.
final class Addresses: AddressSpace {
  private let arena: Arena
  let constants: Arena
  private let inputs: Arena
  private var inputOffsets: [Int] = []
  let inputBytes: Int
  /// For lookup only.
  private var states: [String: Arena] = [:]

  init(_ plan: Plan, _ store: CPUStateStore) throws(EnvironmentFailure) {
    let graph = plan.graph
    arena = try Arena(byteCount: plan.arenaBytes, for: "the arena of \"\(graph.name)\"")
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
    plan.writeConstants(to: constants.base)
  }

  var arenaBase: UnsafeMutableRawPointer { arena.base }

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
}
