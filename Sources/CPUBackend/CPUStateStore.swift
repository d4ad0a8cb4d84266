// The states of a program in host memory: one aligned block a state.

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif
import Basics
import GraphIR
import Runtime

package final class CPUStateStore: StateStore {
  private struct Entry {
    var type: TensorType
    var memory: Arena
  }
  /// For lookup only.
  private var entries: [String: Entry] = [:]
  /// Goes up whenever a state may have changed.
  private(set) var version = 0

  package init() {}

  package func declare(_ name: String, _ type: TensorType) throws(EnvironmentFailure) {
    if let known = entries[name] {
      guard known.type == type else {
        throw EnvironmentFailure("state \(name) is \(known.type) and cannot become \(type)")
      }
      return
    }
    let memory = try Arena(byteCount: type.byteCount, for: "state \(name)")
    entries[name] = Entry(type: type, memory: memory)
  }

  package func write(_ name: String, _ bytes: UnsafeRawBufferPointer) {
    guard let entry = entries[name] else { preconditionFailure("no state \(name)") }
    precondition(bytes.count == entry.type.byteCount, "state \(name) has another size")
    noteChange()
    if let source = bytes.baseAddress { memcpy(entry.memory.base, source, bytes.count) }
  }

  package func read(_ name: String, into bytes: UnsafeMutableRawBufferPointer) {
    guard let entry = entries[name] else { preconditionFailure("no state \(name)") }
    precondition(bytes.count == entry.type.byteCount, "state \(name) has another size")
    if let target = bytes.baseAddress { memcpy(target, entry.memory.base, bytes.count) }
  }

  /// Says that states are written by other means than `write`.
  func noteChange() { version += 1 }

  /// The memory of a state of a type; throws where it was not declared so.
  func memory(_ name: String, _ type: TensorType) throws(EnvironmentFailure) -> Arena {
    guard let entry = entries[name] else {
      throw EnvironmentFailure("the plan uses the state \(name), which is not declared")
    }
    guard entry.type.byteCount == type.byteCount, entry.type.element == type.element else {
      throw EnvironmentFailure("the plan uses state \(name) as \(type), but it is \(entry.type)")
    }
    return entry.memory
  }
}
