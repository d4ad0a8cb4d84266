// A device of OpenCL as a backend.

import Basics
import GraphIR
import Planning
import Runtime

package final class OpenCLBackend: Backend {
  private let context: OpenCLContext
  /// What kernels are cut to: the device's own, but for tests.
  package let traits: DeviceTraits
  package let tiles: TileTable
  package var device: OpenCLDevice { context.device }

  package convenience init(device: OpenCLDevice) throws(EnvironmentFailure) {
    try self.init(device: device, traits: device.traits)
  }

  /// With the tiles that were tuned for the device.
  package convenience init(
    device: OpenCLDevice, tiles: TileTable
  ) throws(EnvironmentFailure) {
    try self.init(device: device, traits: device.traits, tiles: tiles)
  }

  /// `traits` must be those of the device or ask for less.
  package init(
    device: OpenCLDevice, traits: DeviceTraits, tiles: TileTable? = nil
  ) throws(EnvironmentFailure) {
    guard device.isAvailable else {
      throw EnvironmentFailure(
        "the OpenCL device \(device.index), \(device.name), is not available")
    }
    context = try OpenCLContext(device)
    self.traits = traits
    self.tiles = tiles ?? TileTable()
  }

  /// The device of an index, or the first one; throws with what there is where it is not there.
  package static func device(at index: Int?) throws(EnvironmentFailure) -> OpenCLDevice {
    let devices = try OpenCLLibrary.devices()
    guard !devices.isEmpty else {
      throw EnvironmentFailure(
        "OpenCL lists no device",
        help: "install a driver; Debian's pocl-opencl-icd runs OpenCL on the processor")
    }
    let index = index ?? 0
    guard devices.indices.contains(index) else {
      let list = devices.map { "\($0.index) \($0.name)" }.joined(separator: ", ")
      throw EnvironmentFailure("there is no OpenCL device \(index)", help: "there are \(list)")
    }
    return devices[index]
  }

  package var name: String { "opencl" }

  package var summary: String {
    let device = context.device
    return "\(device.name), \(device.platformName), driver \(device.driver), "
      + "\(device.computeUnits) compute units"
  }

  package func makeStateStore() -> any StateStore { OpenCLStateStore(context) }

  /// The program of a plan for this device.
  package func lower(_ plan: Plan) throws(EnvironmentFailure) -> DeviceProgram {
    try PlanLowering(plan, traits: traits, tiles: tiles).lower()
  }

  /// The source of a plan's kernels for this device, with the places of the program in comments.
  package func source(of plan: Plan) throws(EnvironmentFailure) -> String {
    try Self.source(of: plan, traits: traits, tiles: tiles)
  }

  /// The same for a device that need not be there.
  package static func source(
    of plan: Plan, traits: DeviceTraits, tiles: TileTable
  ) throws(EnvironmentFailure) -> String {
    try PlanLowering(plan, traits: traits, tiles: tiles).lower()
      .annotatedSource(hasDouble: traits.hasDouble, graph: plan.graph)
  }

  package func reserving(_ plan: Plan) throws(EnvironmentFailure) -> Plan {
    plan.reserving(try lower(plan).workspaces)
  }

  package func load(
    _ plan: Plan, states: any StateStore
  ) throws(EnvironmentFailure) -> any Executable {
    guard let store = states as? OpenCLStateStore, store.context === context else {
      throw EnvironmentFailure("the states are on another device")
    }
    return try OpenCLExecutable(plan, lower(plan), context, store)
  }
}
