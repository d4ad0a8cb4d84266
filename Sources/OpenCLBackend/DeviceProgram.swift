// What a plan becomes for a device: the text of its kernels and the list of launches. A value that knows no device and
// no memory; `OpenCLExecutable` runs it.

import Basics
import GraphIR
import Planning

/// Memory that a kernel reads or writes.
package enum DeviceBuffer: Hashable, Sendable {
  /// Where the plan has put a value.
  case value(ValueID)
  /// An index of `DeviceProgram.workspaces`.
  case workspace(Int)
}

package struct DeviceProgram: Sendable {
  /// One kernel; launches of equal text share it.
  package struct Kernel: Sendable {
    package var name: String
    /// From the attribute to the closing brace, with the name in it.
    package var text: String
    /// Bytes of an element of each parameter.
    package var elementBytes: [Int]
    /// The nodes that launch it.
    package var nodes: [NodeID]
  }

  package enum Work: Sendable {
    /// An index of `kernels`, its buffers in the order of its parameters, and three sizes each.
    case kernel(Int, [DeviceBuffer], global: [Int], local: [Int])
    case copy(from: DeviceBuffer, to: DeviceBuffer, bytes: Int)
  }

  package struct Launch: Sendable {
    package var node: NodeID
    package var work: Work
  }

  package fileprivate(set) var kernels: [Kernel] = []
  package fileprivate(set) var launches: [Launch] = []
  /// What kernels have beside their operands and results; the plan finds a place for them.
  package fileprivate(set) var workspaces: [Workspace] = []
}

/// Collects the program while nodes are lowered.
final class DeviceProgramBuilder {
  private(set) var program = DeviceProgram()
  /// The node that is being lowered and its position in the order.
  private var node = NodeID(0)
  private var position = -1
  /// Kernels by their text without a name, and shared workspaces by what they hold. For lookup only.
  private var known: [String: Int] = [:]
  private var shared: [String: Int] = [:]
  private var families: [String: Int] = [:]

  func start(_ node: NodeID) {
    self.node = node
    position += 1
  }

  /// Memory until the end of the node.
  func temporary(bytes: Int) -> DeviceBuffer {
    program.workspaces.append(Workspace(bytes: bytes, start: position, end: position))
    return .workspace(program.workspaces.count - 1)
  }

  /// Memory that holds the same for every node that asks with the same key, which must name the values it is made of;
  /// `make` launches what fills it, for the first of them.
  func shared<Failure: Error>(
    _ key: String, bytes: Int, make: (DeviceBuffer) throws(Failure) -> Void
  ) throws(Failure) -> DeviceBuffer {
    if let index = shared[key] {
      program.workspaces[index].end = position
      return .workspace(index)
    }
    let buffer = temporary(bytes: bytes)
    shared[key] = program.workspaces.count - 1
    try make(buffer)
    return buffer
  }

  /// Appends a launch of so many work-items, rounded up to whole groups.
  func launch(_ kernel: KernelText, global: [Int], local: [Int]) {
    func three(_ sizes: [Int]) -> [Int] {
      sizes + Array(repeating: 1, count: 3 - sizes.count)
    }
    let local = three(local)
    let global = zip(three(global), local).map { ($0 + $1 - 1) / $1 * $1 }
    let index = index(of: kernel, local)
    program.kernels[index].nodes.append(node)
    program.launches.append(
      DeviceProgram.Launch(
        node: node,
        work: .kernel(index, kernel.parameters.map(\.buffer), global: global, local: local)))
  }

  func copy(from source: DeviceBuffer, to target: DeviceBuffer, bytes: Int) {
    program.launches.append(
      DeviceProgram.Launch(node: node, work: .copy(from: source, to: target, bytes: bytes)))
  }

  private func index(of kernel: KernelText, _ local: [Int]) -> Int {
    let anonymous = kernel.text(named: "", local: local)
    if let index = known[anonymous] { return index }
    let number = families[kernel.family, default: 0]
    families[kernel.family] = number + 1
    let name = "\(kernel.family)_\(number)"
    program.kernels.append(
      DeviceProgram.Kernel(
        name: name, text: kernel.text(named: name, local: local),
        elementBytes: kernel.parameters.map(\.element.byteCount), nodes: []))
    known[anonymous] = program.kernels.count - 1
    return program.kernels.count - 1
  }
}
