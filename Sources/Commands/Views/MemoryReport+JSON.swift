// Planned memory as one JSON object; README.md lists the keys.

import Formats
import GraphIR
import Planning

extension MemoryReport {
  func json() -> JSONValue {
    [
      "graph": .string(plan.graph.name), "arena_bytes": .int(plan.arenaBytes),
      "lower_bound_bytes": .int(plan.lowerBoundBytes),
      "without_reuse_bytes": .int(plan.withoutReuseBytes),
      "to_lower_bound": number(ratio(plan.arenaBytes, to: plan.lowerBoundBytes)),
      "to_without_reuse": number(ratio(plan.arenaBytes, to: plan.withoutReuseBytes)),
      "constant_bytes": .int(plan.constantBytes), "state_bytes": .int(plan.stateBytes),
      "peak": [
        "position": .int(peak.position), "bytes": .int(peak.bytes),
        "by_network": .array(
          holdersByNetwork.map { ["name": .string($0.name), "bytes": .int($0.bytes)] }),
      ],
      "positions": .array(held.indices.map(positionObject)),
      "buffers": .array(buffers.map(bufferObject)),
    ]
  }

  private func positionObject(_ position: Int) -> JSONValue {
    var members: [(key: String, value: JSONValue)] = [
      (key: "held_bytes", value: .int(held[position]))
    ]
    if position < nodes.count {
      let node = nodes[position]
      members += [
        (key: "node", value: .int(plan.order[position].index)),
        (key: "operation", value: .string(node.displayName)),
        (key: "phase", value: .string(phases[position].rawValue)),
      ]
      members += originMembers(node.origin)
    }
    return .object(members)
  }

  private func bufferObject(_ buffer: Buffer) -> JSONValue {
    [
      "offset": .int(buffer.offset), "bytes": .int(buffer.bytes),
      "first_position": .int(buffer.positions.lowerBound),
      "last_position": .int(buffer.positions.upperBound - 1),
      "byte_positions": .int(buffer.bytePositions), "at_peak": .bool(buffer.isHeldAtPeak),
      "use": .string(use(buffer)), "phase": buffer.phase.map { .string($0.rawValue) } ?? .null,
      "values": .array(buffer.tensors.map(tensorObject)),
    ]
  }

  private func use(_ buffer: Buffer) -> String {
    switch buffer.content {
    case .tensors: "values"
    case .saved: "saved"
    case .workspace: "workspace"
    }
  }

  private func tensorObject(_ tensor: Tensor) -> JSONValue {
    let members: [(key: String, value: JSONValue)] = [
      (key: "value", value: .int(tensor.value.index)),
      (key: "type", value: .string(tensor.type.description)),
      (key: "operation", value: tensor.producer.map { .string($0.displayName) } ?? .null),
    ]
    return .object(members + originMembers(tensor.producer?.origin ?? Origin()))
  }
}
