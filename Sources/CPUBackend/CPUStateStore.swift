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
  private var states = StateTable<Arena>()
  /// Goes up whenever a state may have changed.
  private(set) var version = 0

  package init() {}

  package func declare(_ name: String, _ type: TensorType) throws(EnvironmentFailure) {
    try states.declare(name, type) { () throws(EnvironmentFailure) in
      try Arena(byteCount: type.byteCount, for: "state \(name)")
    }
  }

  package func write(_ name: String, _ bytes: UnsafeRawBufferPointer) {
    let memory = states.memory(name, byteCount: bytes.count)
    noteChange()
    if let source = bytes.baseAddress { memcpy(memory.base, source, bytes.count) }
  }

  package func read(_ name: String, into bytes: UnsafeMutableRawBufferPointer) {
    let memory = states.memory(name, byteCount: bytes.count)
    if let target = bytes.baseAddress { memcpy(target, memory.base, bytes.count) }
  }

  /// Says that states are written by other means than `write`.
  func noteChange() { version += 1 }

  func memory(_ name: String, _ type: TensorType) throws(EnvironmentFailure) -> Arena {
    try states.memory(name, as: type)
  }
}
