// The states of a program in a device's memory: one piece a state.

import Basics
import GraphIR
import Runtime

package final class OpenCLStateStore: StateStore {
  let context: OpenCLContext
  private var states = StateTable<OpenCLMemory>()

  init(_ context: OpenCLContext) { self.context = context }

  package func declare(_ name: String, _ type: TensorType) throws(EnvironmentFailure) {
    try states.declare(name, type) { () throws(EnvironmentFailure) in
      try OpenCLMemory(context, bytes: type.byteCount, for: "state \(name)")
    }
  }

  package func write(
    _ name: String, _ bytes: UnsafeRawBufferPointer
  ) throws(EnvironmentFailure) {
    try states.memory(name, byteCount: bytes.count).write(bytes, "state \(name)")
  }

  package func read(
    _ name: String, into bytes: UnsafeMutableRawBufferPointer
  ) throws(EnvironmentFailure) {
    try states.memory(name, byteCount: bytes.count).read(at: 0, into: bytes, "state \(name)")
  }

  func memory(_ name: String, _ type: TensorType) throws(EnvironmentFailure) -> OpenCLMemory {
    try states.memory(name, as: type)
  }
}
