// The states of a program in a device's memory: one piece a state.

import Basics
import GraphIR
import Runtime

package final class OpenCLStateStore: StateStore {
  private struct Entry {
    var type: TensorType
    var memory: OpenCLMemory
  }
  let context: OpenCLContext
  /// For lookup only.
  private var entries: [String: Entry] = [:]

  init(_ context: OpenCLContext) { self.context = context }

  package func declare(_ name: String, _ type: TensorType) throws(EnvironmentFailure) {
    if let known = entries[name] {
      guard known.type == type else {
        throw EnvironmentFailure("state \(name) is \(known.type) and cannot become \(type)")
      }
      return
    }
    let memory = try OpenCLMemory(context, bytes: type.byteCount, for: "state \(name)")
    entries[name] = Entry(type: type, memory: memory)
  }

  package func write(
    _ name: String, _ bytes: UnsafeRawBufferPointer
  ) throws(EnvironmentFailure) {
    try entry(name, bytes.count).memory.write(bytes, "state \(name)")
  }

  package func read(
    _ name: String, into bytes: UnsafeMutableRawBufferPointer
  ) throws(EnvironmentFailure) {
    try entry(name, bytes.count).memory.read(at: 0, into: bytes, "state \(name)")
  }

  private func entry(_ name: String, _ bytes: Int) -> Entry {
    guard let entry = entries[name] else { preconditionFailure("no state \(name)") }
    precondition(bytes == entry.type.byteCount, "state \(name) has another size")
    return entry
  }

  /// The memory of a state of a type; throws where it was not declared so.
  func memory(_ name: String, _ type: TensorType) throws(EnvironmentFailure) -> OpenCLMemory {
    guard let entry = entries[name] else {
      throw EnvironmentFailure("the plan uses the state \(name), which is not declared")
    }
    guard entry.type.byteCount == type.byteCount, entry.type.element == type.element else {
      throw EnvironmentFailure("the plan uses state \(name) as \(type), but it is \(entry.type)")
    }
    return entry.memory
  }
}
