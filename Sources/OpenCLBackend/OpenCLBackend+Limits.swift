// How fast the device multiplies and adds, and how fast its memory is: the scale that kernels' times are read on.

import Basics
import COpenCL
import GraphIR
import Planning
import Runtime

extension OpenCLBackend: LimitMeasuring {
  private static let tries = 6

  /// Chains of multiply-adds, enough of them side by side to hide what one takes, on every unit.
  package func measureArithmetic() throws(EnvironmentFailure) -> Double {
    let (chains, rounds) = (traits.runsItemsInTurn ? 12 : 8, 4096)
    let width = traits.vectorWidth
    let groups = device.computeUnits * (traits.runsItemsInTurn ? 8 : 32)
    let items = traits.runsItemsInTurn ? 1 : traits.itemsPerGroup
    let builder = DeviceProgramBuilder()
    let target = builder.temporary(bytes: 4 * groups * items)
    var kernel = KernelText("arithmetic")
    let y = kernel.output(target)
    let type = cType(.f32, width)
    kernel.line("const float x = 1.0f + 1e-7f * get_global_id(0);")
    for chain in 0..<chains { kernel.line("\(type) s\(chain) = (\(type))(\(chain + 1).0f);") }
    kernel.block("for (int round = 0; round < \(rounds); round++)") { kernel in
      for chain in 0..<chains {
        kernel.line("s\(chain) = fma(s\(chain), (\(type))(x), (\(type))(0.5f));")
      }
    }
    let sum = (0..<chains).map { "s\($0)" }.joined(separator: " + ")
    kernel.line("const \(type) sum = \(sum);")
    let lanes =
      width == 1
      ? "sum"
      : (0..<width).map { "sum.s\(String($0, radix: 16))" }
        .joined(separator: " + ")
    kernel.line("\(y)[get_global_id(0)] = \(lanes);")
    builder.launch(kernel, global: [groups * items], local: [items])
    let seconds = try least(builder.program)
    return Double(2 * chains * rounds * width * groups * items) / seconds
  }

  /// x[i] = y[i] + s·z[i] over arrays of 64 MiB or more.
  package func measureBandwidth() throws(EnvironmentFailure) -> Double {
    let bytes = min(256 << 20, max(64 << 20, device.largestAllocation / 4)) / 4096 * 4096
    let width = traits.vectorWidth
    let builder = DeviceProgramBuilder()
    let buffers = (0..<3).map { _ in builder.temporary(bytes: bytes) }
    var kernel = KernelText("bandwidth")
    let (y, z) = (kernel.input(buffers[0]), kernel.input(buffers[1]))
    let x = kernel.output(buffers[2])
    kernel.line("const uint i = get_global_id(0) * \(width)u;")
    let sum =
      ElementAccess.vector(y, "i", width) + " + 3.0f * " + ElementAccess.vector(z, "i", width)
    kernel.line(ElementAccess.store("(\(sum))", x, "i", width))
    builder.launch(
      kernel, global: [bytes / 4 / width], local: [traits.itemsPerGroup])
    return Double(3 * bytes) / (try least(builder.program))
  }

  /// The least time of several runs of a program that needs only workspaces, in seconds.
  func least(_ program: DeviceProgram) throws(EnvironmentFailure) -> Double {
    let graph = GraphBuilder(name: "measurement", stage: .fused).finish()
    guard let store = makeStateStore() as? OpenCLStateStore else { return 1 }
    return try least(
      try OpenCLExecutable(Planner().plan(graph), program, store.context, store))
  }

  /// The least time of several runs, in seconds of the device.
  func least(_ executable: OpenCLExecutable) throws(EnvironmentFailure) -> Double {
    executable.isProfiling = true
    var least = UInt64.max
    var before: UInt64 = 0
    for _ in 0..<Self.tries {
      try executable.run()
      let total = executable.profile.reduce(0) { $0 + $1.nanoseconds }
      least = min(least, total - before)
      before = total
    }
    return Double(max(least, 1)) * 1e-9
  }
}
