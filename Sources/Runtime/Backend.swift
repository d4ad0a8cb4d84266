// What a backend offers to the rest: buffers for states, and executables made of plans. The training code
// knows nothing else of a device.

import Basics
import GraphIR
import Planning

/// The tensors that live from step to step, on the device. Bytes are little-endian elements in row-major order. Reading
/// and writing throw where the device fails.
package protocol StateStore: AnyObject {
  /// Adds a zero-filled state; one that is there already is left alone.
  func declare(_ name: String, _ type: TensorType) throws(EnvironmentFailure)
  func write(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(EnvironmentFailure)
  func read(_ name: String, into bytes: UnsafeMutableRawBufferPointer) throws(EnvironmentFailure)
}

/// Memory that an executable holds, for reports.
package struct MemoryUse: Hashable, Sendable {
  /// `arena`, `constants`, `inputs`, `workspace`.
  package var name: String
  package var bytes: Int
  package init(_ name: String, _ bytes: Int) {
    self.name = name
    self.bytes = bytes
  }
}

/// A plan bound to kernels and to the states of a store.
package protocol Executable: AnyObject {
  /// The plan that it runs: the one that was loaded, with what kernels need reserved in its arena.
  var plan: Plan { get }
  /// Lets `body` fill an input that is not a state; `index` counts the graph's inputs. `body` is given all bytes of the
  /// input, what it held before included, and must not keep them.
  func fill<Failure: Error>(
    input index: Int, _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure)
  /// Runs once. Allocates nothing. Throws where the device fails; that may also come with what is read after the run.
  func run() throws(EnvironmentFailure)
  /// Returns when what was run is done, which `run` need not wait for.
  func wait() throws(EnvironmentFailure)
  /// The bytes of an output; `index` counts the graph's outputs. Valid until the next run.
  func read(output index: Int, into bytes: UnsafeMutableRawBufferPointer)
    throws(EnvironmentFailure)
  /// What it allocated when it was loaded. `arena` is what values take, `workspace` what kernels need beyond it; together
  /// they are the arena of `plan`.
  var memory: [MemoryUse] { get }
  /// Runs once and returns the first computed f32 value that holds an infinity or NaN, in the order of the plan. Where
  /// a backend cannot look between its kernels, the first such output.
  func runChecked() throws(EnvironmentFailure) -> ValueID?
}

extension StateStore {
  /// Sets a state to the elements of an array.
  package func write<Element>(
    _ name: String, elements: [Element]
  ) throws(EnvironmentFailure) {
    try elements.withUnsafeBufferPointer { (elements) throws(EnvironmentFailure) in
      try write(name, UnsafeRawBufferPointer(elements))
    }
  }
}

extension Executable {
  /// Fills an input that is not a state with a copy of bytes; `index` counts the graph's inputs.
  package func write(input index: Int, _ bytes: UnsafeRawBufferPointer) {
    fill(input: index) { target in
      precondition(bytes.count == target.count, "the input has another size")
      target.copyMemory(from: bytes)
    }
  }

  package func wait() throws(EnvironmentFailure) {}

  package var memory: [MemoryUse] { [MemoryUse("arena", plan.arenaBytes)] }

  package func runChecked() throws(EnvironmentFailure) -> ValueID? {
    try run()
    for (index, output) in plan.graph.outputs.enumerated() {
      let type = plan.graph.type(of: output.value)
      guard type.element == .f32 else { continue }
      let values: [Float] = try deviceBytes(count: type.count) {
        (bytes) throws(EnvironmentFailure) in try read(output: index, into: bytes)
      }
      if values.contains(where: { !$0.isFinite }) { return output.value }
    }
    return nil
  }
}

/// An array whose bytes are all filled by `read`, from a device or a source. Nothing is written before: cleared element by
/// element, as generic code from another module is, it cost a third of the time of 64 images of a dense generator.
package func deviceBytes<Element: BitwiseCopyable>(
  count: Int, _ read: (UnsafeMutableRawBufferPointer) throws(EnvironmentFailure) -> Void
) throws(EnvironmentFailure) -> [Element] {
  var failure: EnvironmentFailure?
  let values = [Element](unsafeUninitializedCapacity: count) { memory, filled in
    do throws(EnvironmentFailure) {
      try read(UnsafeMutableRawBufferPointer(memory))
      filled = count
    } catch {
      failure = error
    }
  }
  if let failure { throw failure }
  return values
}

package protocol Backend: AnyObject {
  /// `cpu` or `opencl`.
  var name: String { get }
  /// One line for `gan-exec devices` and logs: instruction set, threads.
  var summary: String { get }
  func makeStateStore() -> any StateStore
  /// The plan with what the backend's kernels have for themselves in its arena, as `load` runs it. Allocates none of it.
  func reserving(_ plan: Plan) throws(EnvironmentFailure) -> Plan
  /// Binds a plan. Throws where a kernel or memory is missing; every state that the plan names must be declared.
  func load(_ plan: Plan, states: any StateStore) throws(EnvironmentFailure) -> any Executable
}
