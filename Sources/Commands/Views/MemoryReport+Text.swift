// Planned memory as text: totals, the peak and its holders, a timeline, what each buffer costs.

import Formats
import GraphIR
import Planning

extension MemoryReport {
  /// Rows of the timeline at most; longer steps are drawn with several positions a row.
  private static let timelineRows = 40
  private static let barWidth = 40

  func text() -> String {
    var text = "memory of graph \(plan.graph.name)\n" + totals()
    text += "\npeak: \(byteText(peak.bytes)) at \(positionText(peak.position)), held by\n"
    text += alignedTable(
      holdersByNetwork.map {
        [$0.name, byteText($0.bytes), share($0.bytes, of: Double(peak.bytes))]
      })
    text += "\nvalues held at the peak\n" + alignedTable(holders.map(row), words: 1..<6)
    text += "\ntimeline: the most that is held, by position in the order\n" + timeline()
    text += "\nbuffers, the dearest first: bytes, positions held, share of all bytes x positions\n"
    // The sum over a large graph may be beyond an Int.
    let all = buffers.reduce(0.0) { $0 + Double($1.bytePositions) }
    text += alignedTable(
      byCost.map { buffer in
        let cells = row(buffer)
        return [cells[0], String(buffer.positions.count), share(buffer.bytePositions, of: all)]
          + cells[2...]
      }, words: 3..<8)
    return text
  }

  private func totals() -> String {
    let bound = ratioText(plan.arenaBytes, to: plan.lowerBoundBytes)
    let reuse = ratioText(plan.arenaBytes, to: plan.withoutReuseBytes)
    return alignedTable([
      ["arena", byteText(plan.arenaBytes)],
      ["lower bound, the most alive at once", byteText(plan.lowerBoundBytes), "arena is \(bound)"],
      ["without reuse", byteText(plan.withoutReuseBytes), "arena is \(reuse)"],
      ["constants", byteText(plan.constantBytes)], ["states", byteText(plan.stateBytes)],
    ])
  }

  private func timeline() -> String {
    let step = max(1, (held.count + Self.timelineRows - 1) / Self.timelineRows)
    var rows: [[String]] = []
    for first in stride(from: 0, to: held.count, by: step) {
      let positions = first..<min(held.count, first + step)
      // The fullest position speaks for its row.
      let fullest = positions.max { (held[$0], $1) < (held[$1], $0) } ?? first
      let length = Int(
        (ratio(held[fullest], to: max(1, peak.bytes)) * Double(Self.barWidth)).rounded())
      rows.append([
        positionNumber(fullest), byteText(held[fullest]),
        String(repeating: "#", count: length)
          + String(repeating: " ", count: Self.barWidth - length), nodeText(fullest),
      ])
    }
    return alignedTable(rows, words: 2..<4)
  }

  private func row(_ buffer: Buffer) -> [String] {
    let time =
      "\(positionNumber(buffer.positions.lowerBound))..."
      + positionNumber(buffer.positions.upperBound - 1)
    guard let first = buffer.tensors.first else {
      if case .saved(let name) = buffer.content {
        return [byteText(buffer.bytes), time, "\(name), saved for the end of the step"]
      }
      return [
        byteText(buffer.bytes), time, "workspace", buffer.phase?.rawValue ?? "", "",
        buffer.origin.map(placeText) ?? "",
      ]
    }
    let more = buffer.tensors.count > 1 ? " and \(buffer.tensors.count - 1) more" : ""
    let name = first.producer?.displayName ?? "input"
    let place = first.producer.map { placeText($0.origin) } ?? ""
    return [
      byteText(buffer.bytes), time, "\(first.value) \(first.type)\(more)",
      first.phase?.rawValue ?? "", name, place,
    ]
  }

  private func share(_ part: Int, of whole: Double) -> String {
    whole == 0 ? "" : "\(fixed(100 * Double(part) / whole, decimals: 1)) %"
  }

  private func positionNumber(_ position: Int) -> String {
    position < nodes.count ? String(position) : "end"
  }

  private func nodeText(_ position: Int) -> String {
    guard position < nodes.count else { return "" }
    let node = nodes[position]
    return "\(phases[position]) \(node.displayName) \(placeText(node.origin))"
  }

  private func positionText(_ position: Int) -> String {
    position < nodes.count
      ? "position \(position) of \(nodes.count), \(nodeText(position))" : "the end of the step"
  }
}
