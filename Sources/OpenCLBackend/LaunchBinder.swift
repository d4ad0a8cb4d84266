// Gives the launches of a program their memory, and adds the copies at the end of a step.

import Basics
import COpenCL
import GraphIR
import Planning

/// A launch with everything that the queue wants.
struct BoundLaunch {
  struct Kernel {
    var handle: opencl_handle
    /// Of each parameter: the memory and the index of the first element.
    var memories: [opencl_handle]
    var offsets: [UInt64]
    var global: [Int]
    var local: [Int]
  }

  enum Work {
    case kernel(Kernel)
    case copy(DeviceAddress, DeviceAddress, bytes: Int)
  }

  /// nil for what belongs to the step as a whole.
  var node: NodeID?
  var name: String
  var work: Work
}

struct LaunchBinder {
  /// With the workspaces reserved.
  let plan: Plan
  let addresses: DeviceAddresses
  let program: DeviceProgram
  let kernels: [opencl_handle]

  func launches() -> [BoundLaunch] {
    let offsets = plan.workspaceOffsets(count: program.workspaces.count)
    func address(_ buffer: DeviceBuffer) -> DeviceAddress {
      switch buffer {
      case .value(let value): addresses.address(plan.placements[value])
      case .workspace(let index): addresses.address(.arena(offsets[index]))
      }
    }
    let nodes = program.launches.map { launch in
      switch launch.work {
      case .copy(let source, let target, let bytes):
        return BoundLaunch(
          node: launch.node, name: "copy",
          work: .copy(address(source), address(target), bytes: bytes))
      case .kernel(let index, let buffers, let global, let local):
        let kernel = program.kernels[index]
        let places = buffers.map(address)
        let elements = zip(places, kernel.elementBytes).map { UInt64($0.offset / $1) }
        return BoundLaunch(
          node: launch.node, name: kernel.name,
          work: .kernel(
            BoundLaunch.Kernel(
              handle: kernels[index], memories: places.map(\.memory.handle), offsets: elements,
              global: global, local: local)))
      }
    }
    return nodes + copies()
  }

  private func copies() -> [BoundLaunch] {
    var copies: [BoundLaunch] = []
    func copy(_ value: ValueID, _ source: Placement, _ target: Placement) {
      let bytes = plan.graph.type(of: value).byteCount
      guard bytes > 0, source != target else { return }
      copies.append(
        BoundLaunch(
          node: nil, name: "stateCopy",
          work: .copy(addresses.address(source), addresses.address(target), bytes: bytes)))
    }
    plan.forEachCopy(copy)
    return copies
  }
}
