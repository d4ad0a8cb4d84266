// A plan as text, `--emit plan`: the order, the place of every value, what is in place and why not. Byte-stable.

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

  /// Bytes of the arena that are held at each position of the order, at the end of the step, and after it.
  package var heldBytes: [Int] {
    var held = [Int](repeating: 0, count: order.count + 3)
    for buffer in buffers {
      held[buffer.start] += buffer.bytes
      held[buffer.end + 1] -= buffer.bytes
    }
    for position in 1..<held.count { held[position] += held[position - 1] }
    return held.dropLast()
  }

  /// The position at which most is held, the first of several, and how much.
  package var peak: (position: Int, bytes: Int) {
    let held = heldBytes
    let most = held.max() ?? 0
    return (held.firstIndex(of: most) ?? 0, most)
  }
}

private func outputText(_ role: OutputRole) -> String {
  switch role {
  case .state(let name): "state \(name)"
  case .report(let name): "report \(name)"
  case .result(let name): "result \(name)"
  }
}
