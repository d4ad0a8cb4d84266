// The states that a backend's store holds, by name: their types, the memory that each has on the device, and the checks
// that every backend makes alike.

import Basics
import GraphIR

package struct StateTable<Memory> {
  private struct Entry {
    var type: TensorType
    var memory: Memory
  }
  /// For lookup only.
  private var entries: [String: Entry] = [:]

  package init() {}

  /// Adds a state whose memory `make` allocates; one that is there already is left alone. Throws where it is there with
  /// another type.
  package mutating func declare(
    _ name: String, _ type: TensorType, _ make: () throws(EnvironmentFailure) -> Memory
  ) throws(EnvironmentFailure) {
    if let known = entries[name] {
      guard known.type == type else {
        throw EnvironmentFailure("state \(name) is \(known.type) and cannot become \(type)")
      }
      return
    }
    entries[name] = Entry(type: type, memory: try make())
  }

  /// The memory of a declared state of so many bytes; another name or size is a bug of the caller.
  package func memory(_ name: String, byteCount: Int) -> Memory {
    guard let entry = entries[name] else { preconditionFailure("no state \(name)") }
    precondition(byteCount == entry.type.byteCount, "state \(name) has another size")
    return entry.memory
  }

  /// The memory of a state as a plan uses it; throws where it was not declared so.
  package func memory(
    _ name: String, as type: TensorType
  ) throws(EnvironmentFailure) -> Memory {
    guard let entry = entries[name] else {
      throw EnvironmentFailure("the plan uses the state \(name), which is not declared")
    }
    guard entry.type.byteCount == type.byteCount, entry.type.element == type.element else {
      throw EnvironmentFailure("the plan uses state \(name) as \(type), but it is \(entry.type)")
    }
    return entry.memory
  }
}
