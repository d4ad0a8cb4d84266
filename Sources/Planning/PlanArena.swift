// The arena of a plan: buffers with sizes and times are packed, and the places of values and copies follow from their
// offsets. Done once for values and copies; once more when a backend has said what its kernels need beside them.

import Basics
import GraphIR

extension Plan {
  /// The plan with an arena in which workspaces lie as well: everything is packed again, so that offsets of values
  /// change too. Workspaces that were reserved before are given up. A function of the plan and the workspaces alone.
  package func reserving(_ workspaces: [Workspace]) -> Plan {
    var plan = self
    for buffer in buffers {
      if case .workspace = buffer.use { plan.withoutReuseBytes -= buffer.bytes }
    }
    plan.buffers.removeAll { if case .workspace = $0.use { true } else { false } }
    for (index, workspace) in workspaces.enumerated() where workspace.bytes > 0 {
      let bytes = aligned(workspace.bytes)
      plan.withoutReuseBytes += bytes
      plan.buffers.append(
        PlannedBuffer(
          use: .workspace(index), offset: 0, bytes: bytes, start: workspace.start,
          end: workspace.end))
    }
    plan.packArena()
    // With more to place, the search may by chance do better.
    plan.valueBytes = min(valueBytes, plan.arenaBytes)
    return plan
  }

  /// The offsets of `count` reserved workspaces, by their index; 0 for those of no bytes.
  package func workspaceOffsets(count: Int) -> [Int] {
    var offsets = [Int](repeating: 0, count: count)
    for buffer in buffers {
      if case .workspace(let index) = buffer.use { offsets[index] = buffer.offset }
    }
    return offsets
  }

  /// Gives every buffer its offset, and the values and copies theirs.
  mutating func packArena() {
    let items = buffers.map { PackingItem(bytes: $0.bytes, start: $0.start, end: $0.end) }
    let packing = Packing.pack(items)
    arenaBytes = packing.height
    valueBytes = packing.height
    lowerBoundBytes = Packing.lowerBound(items)
    for (index, offset) in packing.offsets.enumerated() { buffers[index].offset = offset }
    buffers.sort { ($0.start, $0.offset) < ($1.start, $1.offset) }
    for buffer in buffers { place(buffer) }
    placeOutputs()
  }

  private mutating func place(_ buffer: PlannedBuffer) {
    switch buffer.use {
    case .values(let values):
      for value in values { placements[value] = .arena(buffer.offset) }
    case .outputCopy(let index): outputCopies[index].offset = buffer.offset
    case .staging(let index): stateCopies[index].staging = buffer.offset
    case .workspace: break
    }
  }

  /// Where outputs are read: in their state, in their copy, or where the value is.
  private mutating func placeOutputs() {
    outputPlacements = graph.outputs.map { placements[$0.value] }
    for copy in outputCopies { outputPlacements[copy.output] = .arena(copy.offset) }
    for (index, output) in graph.outputs.enumerated() {
      if case .state(let name) = output.role { outputPlacements[index] = .state(name) }
    }
  }
}
