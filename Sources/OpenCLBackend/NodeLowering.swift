// What the lowering of a node is given: its operation, operands and results, and where to put launches.

import Basics
import GraphIR
import Planning

struct NodeLowering {
  let builder: DeviceProgramBuilder
  let traits: DeviceTraits
  let tiles: TileTable
  /// Of the values of the plan as it was before workspaces; equal placements are the same bytes.
  let placements: Table<ValueTag, Placement>
  let operation: any Operation
  let operands: [DeviceTensor]
  let results: [DeviceTensor]

  /// The same node with another operation, operands or results: the root of a fused node.
  func with(
    _ operation: any Operation, _ operands: [DeviceTensor], _ results: [DeviceTensor]
  ) -> NodeLowering {
    NodeLowering(
      builder: builder, traits: traits, tiles: tiles, placements: placements,
      operation: operation, operands: operands, results: results)
  }

  /// Whether two tensors are in the same bytes.
  func overlaps(_ a: DeviceTensor, _ b: DeviceTensor) -> Bool {
    if a.buffer == b.buffer { return true }
    guard case .value(let first) = a.buffer, case .value(let second) = b.buffer else {
      return false
    }
    return placements[first] == placements[second]
  }

  /// Memory until the end of the node.
  func temporary(_ type: TensorType) -> DeviceTensor {
    DeviceTensor(buffer: builder.temporary(bytes: type.byteCount), type: type)
  }

  func temporary(floats: Int) -> DeviceBuffer { builder.temporary(bytes: floats * 4) }

  func launch(_ kernel: KernelText, global: [Int], local: [Int]) {
    builder.launch(kernel, global: global, local: local)
  }

  func copy(from source: DeviceTensor, to target: DeviceTensor) {
    guard source.count > 0 else { return }
    builder.copy(from: source.buffer, to: target.buffer, bytes: target.type.byteCount)
  }

  /// Launches a kernel whose work-items do one thing each, `count` in all. Its body begins with `i`, a uint, below the
  /// count.
  func each(_ count: Int, _ kernel: KernelText) {
    guard count > 0 else { return }
    launch(kernel, global: [count], local: [min(traits.itemsPerGroup, powerOfTwo(over: count))])
  }

  /// Begins a kernel for `each`.
  func itemKernel(_ family: String, count: Int) -> KernelText {
    var kernel = KernelText(family)
    kernel.line("const uint i = get_global_id(0);")
    kernel.line("if (i >= \(count)u) return;")
    return kernel
  }

  private func powerOfTwo(over count: Int) -> Int {
    var power = 1
    while power < count, power < traits.itemsPerGroup { power *= 2 }
    return power
  }

  /// Thrown where no kernel can run the operation on these types.
  func unsupported(_ reason: String) -> EnvironmentFailure {
    let types = operands.map { $0.type.description }.joined(separator: ", ")
    return EnvironmentFailure(
      "the OpenCL backend has no kernel for \(operation.mnemonic)(\(types)): \(reason)")
  }
}

/// Lowers one kind of operation: checks nothing that type inference has checked, appends launches.
typealias NodeEmitter = @Sendable (_ node: NodeLowering) throws(EnvironmentFailure) -> Void
