// The cost of a graph as text.

import Formats
import GraphIR
import Operators
import Passes

extension CostReport {
  /// How many places a rewrite names before it counts the rest.
  private static let namedPlaces = 5

  func text() -> String {
    var text = "cost of graph \(graph.name), one run\n" + totals()
    if !updates.isEmpty { text += "\nupdates\n" + updateRows() }
    if !rewrites.isEmpty { text += "\npasses that changed the arithmetic\n" }
    for rewrite in rewrites { text += lines(rewrite) }
    if !worth.isEmpty { text += "\nwithout one pass, and with it\n" }
    for rewrite in worth { text += worthLines(rewrite) }
    return text + "\noperations, those with the most arithmetic first\n" + operationRows()
  }

  // MARK: Sums

  private func totals() -> String {
    var rows = [["", "arithmetic", "direct", "bytes", "FLOP/byte", "operations"]]
    if let written {
      rows.append([
        "as written", flopText(written.flops), "", byteText(Int(written.bytes)),
        intensityText(written), "",
      ])
    }
    rows.append(cells("as run", run))
    for (phase, sum) in phases where sum.nodes > 0 { rows.append(cells("  \(phase)", sum)) }
    return alignedTable(rows)
  }

  private func updateRows() -> String {
    var rows = [["", "arithmetic", "direct", "bytes", "FLOP/byte", "operations"]]
    for update in updates {
      let place = update.line > 0 ? " at \(update.line):\(update.column)" : ""
      rows.append(cells("update \(update.network)\(place), alone", update.alone))
      if update.shared.nodes > 0 { rows.append(cells("  with other updates", update.shared)) }
    }
    if sharedByUpdates.nodes > 0 { rows.append(cells("several updates", sharedByUpdates)) }
    if besideUpdates.nodes > 0 { rows.append(cells("no update", besideUpdates)) }
    return alignedTable(rows)
  }

  private func cells(_ name: String, _ sum: Sum) -> [String] {
    [
      name, flopText(sum.cost.flops), flopText(sum.directFlops), byteText(Int(sum.cost.bytes)),
      intensityText(sum.cost), String(sum.nodes),
    ]
  }

  // MARK: Rewrites

  private func lines(_ rewrite: CostRewrite) -> String {
    var text = "  \(rewrite.run ?? 0). \(rewrite.pass): "
    text += flopText(rewrite.before.flops, to: rewrite.after.flops)
    if rewrite.pass == ExpandGradients().name {
      text += ", gradients from here on"
    } else if rewrite.stage == .raw {
      text += ", gradients not counted yet"
    }
    return text + "\n" + placeLines(rewrite)
  }

  private func worthLines(_ rewrite: CostRewrite) -> String {
    let bytes = "\(byteText(Int(rewrite.before.bytes))) -> \(byteText(Int(rewrite.after.bytes)))"
    return
      "  \(rewrite.pass): \(flopText(rewrite.before.flops, to: rewrite.after.flops)), \(bytes)\n"
      + placeLines(rewrite)
  }

  private func placeLines(_ rewrite: CostRewrite) -> String {
    var text = ""
    for place in rewrite.places.prefix(Self.namedPlaces) {
      let name = placeText(
        Origin(line: Int(place.line), column: Int(place.column), path: place.path))
      text += "     \(name.isEmpty ? "elsewhere" : name): "
      text += "\(flopText(place.before, to: place.after))\n"
    }
    let others = rewrite.places.count - Self.namedPlaces
    return others > 0
      ? text + "     and \(others) more \(others == 1 ? "place" : "places")\n" : text
  }

  // MARK: Operations

  private func operationRows() -> String {
    let sorted = operations.sorted {
      ($1.cost.flops, $1.cost.bytes, $0.id) < ($0.cost.flops, $0.cost.bytes, $1.id)
    }
    var rows = [
      ["arithmetic", "direct", "bytes", "FLOP/byte", "phase", "operation", "place"]
    ]
    for operation in sorted where operation.cost != .none {
      rows.append([
        flopText(operation.cost.flops),
        operation.directFlops == operation.cost.flops ? "" : flopText(operation.directFlops),
        byteText(Int(operation.cost.bytes)), intensityText(operation.cost),
        operation.phase.rawValue, "\(operation.node.displayName) \(typeText(operation.results))",
        placeText(operation.node.origin),
      ])
    }
    return alignedTable(rows, words: 4..<7)
  }

  private func intensityText(_ cost: Cost) -> String {
    cost.intensity.map { shortNumber($0) } ?? ""
  }
}

/// `f32[4, 3], f32[4]`
func typeText(_ types: [TensorType]) -> String {
  types.map(\.description).joined(separator: ", ")
}

/// `21:8 generator/conv2D`, as far as it is known.
func placeText(_ origin: Origin) -> String {
  let place = origin.line > 0 ? "\(origin.line):\(origin.column)" : ""
  return [place, origin.path].filter { !$0.isEmpty }.joined(separator: " ")
}
