// A plan as text: `--emit plan` (the order, the place of every value, what is in place and why not) and
// `--emit memory` (the peak, who holds it, every tensor's cost). Byte-stable.

import Basics
import GraphIR

extension Placement {
  package var text: String {
    switch self {
    case .arena(let offset): "arena+\(offset)"
    case .state(let name): "state \(name)"
    case .input(let index): "input \(index)"
    case .constant(let offset): "constants+\(offset)"
    case .none: "nowhere"
    }
  }
}

extension Plan {
  /// The order and the places.
  package func text() -> String {
    var out = "plan \"\(graph.name)\"\n"
    for (index, input) in graph.inputs.enumerated() {
      out += "input \(input.value) \(graph.type(of: input.value)) \(inputText(input.role))"
      if case .state = input.role {} else { out += " (input \(index))" }
      out += "\n"
    }
    for id in graph.nodes.ids where graph.nodes[id].operation.isConstant {
      let value = graph.nodes[id].results[0]
      guard placements[value] != .none else { continue }
      let isOne = scalarConstants.contains(value) && graph.type(of: value).count > 1
      let note = isOne ? " one element" : ""
      out += "constant \(value) \(graph.type(of: value)) \(placements[value].text)\(note)\n"
    }
    for (position, id) in order.enumerated() { out += line(position, id) }
    for copy in stateCopies where copy.staging != nil {
      out += "save \(copy.value) to arena+\(copy.staging!)\n"
    }
    for copy in outputCopies { out += "save \(copy.value) to arena+\(copy.offset)\n" }
    for copy in stateCopies {
      let source = copy.staging.map { "arena+\($0)" } ?? placements[copy.value].text
      out += "copy \(copy.value) from \(source) to state \(copy.state): \(copy.reason)\n"
    }
    for (index, output) in graph.outputs.enumerated() {
      out += "output \(output.value) \(graph.type(of: output.value)) "
      out += "\(outputText(output.role)) from \(outputPlacements[index].text)\n"
    }
    return out + totals
  }

  private func line(_ position: Int, _ id: NodeID) -> String {
    let node = graph.nodes[id]
    var results: [String] = []
    for (index, result) in node.results.enumerated() {
      var text = "\(result) \(graph.type(of: result)) \(placements[result].text)"
      if let operand = inPlace[position][index] {
        text += " over \(node.operands[operand])"
      } else if case .state = placements[result] {
        text += " in place"
      }
      results.append(text)
    }
    let operands = node.operands.map(\.description).joined(separator: ", ")
    let head = "\(position): \(node.operation.mnemonic)(\(operands)) → "
    let origin = node.origin.provenance()
    return head + results.joined(separator: "; ") + (origin.isEmpty ? "" : "  " + origin) + "\n"
  }

  private var totals: String {
    """
    arena \(arenaBytes) bytes, lower bound \(lowerBoundBytes), without reuse \(withoutReuseBytes)
    constants \(constantBytes) bytes, states \(stateBytes) bytes, state copies \(stateCopies.count)

    """
  }

  /// Bytes of the states that the plan reads or writes.
  package var stateBytes: Int {
    var bytes = 0
    for input in graph.inputs {
      if case .state = input.role { bytes += graph.type(of: input.value).byteCount }
    }
    for output in graph.outputs {
      if case .state(let name) = output.role, graph.input(.state(name)) == nil {
        bytes += graph.type(of: output.value).byteCount
      }
    }
    return bytes
  }

  /// The position at which most is held, and how much.
  package var peak: (position: Int, bytes: Int) {
    var changes = [Int](repeating: 0, count: order.count + 3)
    for buffer in buffers {
      changes[buffer.start] += buffer.bytes
      changes[buffer.end + 1] -= buffer.bytes
    }
    var best = (position: 0, bytes: 0)
    var held = 0
    for (position, change) in changes.enumerated() {
      held += change
      if held > best.bytes { best = (position, held) }
    }
    return best
  }

  /// The buffers that are held while the node at `position` runs, largest first.
  package func held(at position: Int) -> [PlannedBuffer] {
    let all = buffers.filter { $0.start <= position && position <= $0.end }
    return all.sorted { ($1.bytes, $0.offset) < ($0.bytes, $1.offset) }
  }

  /// The peak, who holds it, and every buffer of the arena.
  package func memoryText() -> String {
    let peak = self.peak
    var out = "memory of \"\(graph.name)\"\n"
    out += "arena        \(bytesText(arenaBytes))\n"
    out +=
      "lower bound  \(bytesText(lowerBoundBytes)) (arena is \(ratio(arenaBytes, lowerBoundBytes)))\n"
    out += "no reuse     \(bytesText(withoutReuseBytes)) "
    out += "(arena is \(ratio(arenaBytes, withoutReuseBytes)))\n"
    out += "constants    \(bytesText(constantBytes))\n"
    out += "states       \(bytesText(stateBytes))\n"
    out += "peak         \(bytesText(peak.bytes)) at \(positionText(peak.position))\n"
    out += "held at the peak:\n"
    for buffer in held(at: peak.position) { out += "  " + bufferText(buffer) + "\n" }
    out += "all buffers by size:\n"
    for buffer in buffers.sorted(by: {
      ($1.bytes, $0.start, $0.offset) < ($0.bytes, $1.start, $1.offset)
    }) {
      out += "  " + bufferText(buffer) + "\n"
    }
    return out
  }

  private func positionText(_ position: Int) -> String {
    guard position < order.count else { return "the end of the step" }
    guard position >= 0 else { return "the start" }
    let node = graph.nodes[order[position]]
    let place = node.origin.line > 0 ? ", line \(node.origin.line)" : ""
    let path = node.origin.path.isEmpty ? "" : ", \(node.origin.path)"
    return "\(position) (\(node.operation.mnemonic)\(path)\(place))"
  }

  private func bufferText(_ buffer: PlannedBuffer) -> String {
    let size = bytesText(buffer.bytes)
    let time = "\(buffer.start)–\(min(buffer.end, order.count))"
    switch buffer.use {
    case .values(let values): return "\(size) " + valuesText(values, time)
    case .outputCopy(let index): return "\(size) copy of output \(outputCopies[index].value)"
    case .staging(let index): return "\(size) staging of state \(stateCopies[index].state)"
    case .workspace: return "\(size) workspace at \(time)"
    }
  }

  private func valuesText(_ values: [ValueID], _ time: String) -> String {
    let first = values[0]
    let more = values.count > 1 ? " and \(values.count - 1) more" : ""
    var text = "\(first)\(more) \(graph.type(of: first)) at \(time)"
    if let producer = graph.values[first].producer {
      let node = graph.nodes[producer]
      text += " \(node.operation.mnemonic)"
      if !node.origin.path.isEmpty { text += " \(node.origin.path)" }
      if node.origin.line > 0 { text += " line \(node.origin.line)" }
    }
    return text
  }
}

/// A number of bytes with its unit, three digits.
private func bytesText(_ bytes: Int) -> String {
  if bytes < 1024 { return "\(bytes) B" }
  var scaled = Double(bytes) / 1024
  var unit = "KiB"
  for next in ["MiB", "GiB", "TiB"] where scaled >= 1024 {
    scaled /= 1024
    unit = next
  }
  let tenths = Int(scaled * 100 + 0.5)
  return "\(tenths / 100).\(tenths % 100 < 10 ? "0" : "")\(tenths % 100) \(unit)"
}

/// `1.03×`
private func ratio(_ a: Int, _ b: Int) -> String {
  if b == 0 { return "1.00×" }
  let hundredths = Int(Double(a) / Double(b) * 100 + 0.5)
  return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)×"
}

private func outputText(_ role: OutputRole) -> String {
  switch role {
  case .state(let name): "state \(name)"
  case .report(let name): "report \(name)"
  case .result(let name): "result \(name)"
  }
}
