// What a backend offers to the rest: buffers for states, and executables made of plans. The training code
// knows nothing else of a device.

import Basics
import GraphIR
import Planning

/// The tensors that live from step to step, on the device. Bytes are little-endian elements in row-major order.
package protocol StateStore: AnyObject {
  /// Adds a zero-filled state; one that is there already is left alone.
  func declare(_ name: String, _ type: TensorType) throws(EnvironmentFailure)
  func write(_ name: String, _ bytes: UnsafeRawBufferPointer)
  func read(_ name: String, into bytes: UnsafeMutableRawBufferPointer)
}

/// A plan bound to kernels and to the states of a store.
package protocol Executable: AnyObject {
  var plan: Plan { get }
  /// Fills an input that is not a state; `index` counts the graph's inputs.
  func write(input index: Int, _ bytes: UnsafeRawBufferPointer)
  /// Runs once. Allocates nothing.
  func run()
  /// The bytes of an output; `index` counts the graph's outputs. Valid until the next run.
  func read(output index: Int, into bytes: UnsafeMutableRawBufferPointer)
}

package protocol Backend: AnyObject {
  /// `cpu` or `opencl`.
  var name: String { get }
  /// One line for `gan-exec devices` and logs: instruction set, threads.
  var summary: String { get }
  func makeStateStore() -> any StateStore
  /// Binds a plan. Throws where a kernel or memory is missing; every state that the plan names must be declared.
  func load(_ plan: Plan, states: any StateStore) throws(EnvironmentFailure) -> any Executable
}
