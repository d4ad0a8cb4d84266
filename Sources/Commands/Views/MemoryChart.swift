// `--emit memory-svg`: the arena over one step as a picture. Each rectangle is a buffer: from left to right the time
// that it is held, from bottom to top its bytes' addresses; below, how much is held. In: a report. Out: SVG text.

import Formats
import GraphIR
import Planning

struct MemoryChart {
  private let report: MemoryReport
  private let left = 84.0
  private let right = 1156.0
  private let arenaTop = 96.0
  private let arenaBottom = 616.0
  private let heldTop = 656.0
  private let heldBottom = 756.0
  private let height = 826.0

  init(_ report: MemoryReport) { self.report = report }

  private static let style = """
    text{fill:#24292f;font:12px system-ui,Helvetica,Arial,sans-serif}
    .title{font-size:17px;font-weight:600}.axis,.grid{stroke:#57606a;fill:none}
    .grid{stroke-opacity:.25}.page{fill:#fff}.held{fill:#8c959f;fill-opacity:.35;stroke:#57606a}
    .peak{stroke:#cf222e;stroke-dasharray:5 4;fill:none}.peakText{fill:#cf222e}
    .buffer{fill-opacity:.62;stroke-width:.7}.buffer:hover{fill-opacity:1}
    .name{pointer-events:none;font-size:11px}
    .forward{fill:#54a3e8;stroke:#0a4f8f}.backward{fill:#f0883e;stroke:#953800}
    .update{fill:#5bbf6a;stroke:#1a6b2a}.other{fill:#afb8c1;stroke:#57606a}
    @media (prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117}
    .axis,.grid{stroke:#8b949e}.buffer{fill-opacity:.5}.peak{stroke:#ff7b72}.peakText{fill:#ff7b72}}
    """

  func svg() -> String {
    var out = """
      <svg xmlns="http://www.w3.org/2000/svg" width="1180" height="\(coordinate(height))" \
      viewBox="0 0 1180 \(coordinate(height))">
      <style>
      \(Self.style)
      </style>
      <rect class="page" width="100%" height="100%"/>

      """
    out += heading()
    out += axes()
    for buffer in report.byCost { out += rectangle(buffer) }
    out += heldCurve() + peakLine()
    return out + "</svg>\n"
  }

  // MARK: Scales

  private var columns: Int { report.held.count }
  /// The left edge of a position, or the right one of that before it.
  private func x(_ position: Int) -> Double {
    left + (right - left) * Double(position) / Double(max(1, columns))
  }
  private func y(_ bytes: Int) -> Double {
    arenaBottom - (arenaBottom - arenaTop) * report.ratio(bytes, to: max(1, report.plan.arenaBytes))
  }
  private func heldY(_ bytes: Int) -> Double {
    heldBottom - (heldBottom - heldTop) * report.ratio(bytes, to: max(1, report.peak.bytes))
  }

  // MARK: Parts

  private func heading() -> String {
    let plan = report.plan
    let bound = report.ratioText(plan.arenaBytes, to: plan.lowerBoundBytes)
    let reuse = report.ratioText(plan.arenaBytes, to: plan.withoutReuseBytes)
    var out = label(left, 30, "Memory of graph \(plan.graph.name)", "class=\"title\"")
    out += label(
      left, 52,
      "arena \(byteText(plan.arenaBytes)): \(bound) the lower bound "
        + "(\(byteText(plan.lowerBoundBytes))), \(reuse) what it would be without reuse "
        + "(\(byteText(plan.withoutReuseBytes)))")
    var place = left
    for name in NodePhase.allCases.map(\.rawValue) + ["other"] {
      out += "<rect class=\"buffer \(name)\" x=\"\(coordinate(place))\" y=\"64\" "
      out += "width=\"14\" height=\"14\"/>\n"
      out += label(place + 20, 76, name)
      place += 40 + 7.0 * Double(name.count)
    }
    return out
  }

  private func axes() -> String {
    var out = ""
    for tick in byteTicks(report.plan.arenaBytes) {
      out += line("grid", left, y(tick), right, y(tick))
      out += label(left - 8, y(tick) + 4, tickText(tick), "text-anchor=\"end\"")
    }
    out += label(left - 8, heldBottom, "0 B", "text-anchor=\"end\"")
    out += label(left - 8, heldTop + 8, byteText(report.peak.bytes), "text-anchor=\"end\"")
    let step = positionStep()
    for position in stride(from: 0, to: columns, by: step) {
      out += line("grid", x(position), arenaTop, x(position), heldBottom)
      out += label(
        (x(position) + x(position + 1)) / 2, heldBottom + 18, String(position),
        "text-anchor=\"middle\"")
    }
    out += line("axis", left, arenaTop, left, arenaBottom)
    out += line("axis", left, arenaBottom, right, arenaBottom)
    out += line("axis", left, heldBottom, right, heldBottom)
    out += label(
      (left + right) / 2, heldBottom + 42, "position in the order of the step's kernels",
      "text-anchor=\"middle\"")
    out += verticalLabel((arenaTop + arenaBottom) / 2, "address in the arena")
    out += verticalLabel((heldTop + heldBottom) / 2, "bytes held")
    return out
  }

  private func rectangle(_ buffer: MemoryReport.Buffer) -> String {
    let frame = (
      x: x(buffer.positions.lowerBound), y: y(buffer.offset + buffer.bytes),
      width: x(buffer.positions.upperBound) - x(buffer.positions.lowerBound),
      height: y(buffer.offset) - y(buffer.offset + buffer.bytes)
    )
    // What is too flat to be seen is in the report's text and JSON.
    guard frame.height >= 0.25 else { return "" }
    var out = "<rect class=\"buffer \(buffer.phase?.rawValue ?? "other")\" "
    out += "x=\"\(coordinate(frame.x))\" y=\"\(coordinate(frame.y))\" "
    out += "width=\"\(coordinate(frame.width))\" height=\"\(coordinate(frame.height))\">"
    out += "<title>\(xmlEscaped(description(buffer)))</title></rect>\n"
    let name = names(buffer).first { frame.width >= 6.2 * Double($0.count) + 8 }
    if let name, frame.height >= 15 {
      out += label(frame.x + 4, frame.y + 12, name, "class=\"name\"")
    }
    return out
  }

  /// What may stand in a rectangle, by how much room there is.
  private func names(_ buffer: MemoryReport.Buffer) -> [String] {
    guard let first = buffer.tensors.first else {
      if case .workspace = buffer.content { return ["workspace"] }
      return ["saved"]
    }
    let path = first.producer?.origin.path ?? ""
    let name = path.isEmpty ? first.producer?.displayName ?? "input" : path
    let layer = name.split(separator: "/").last.map(String.init) ?? name
    let shape = shapeText(first.type.shape)
    return ["\(name) \(shape)", "\(layer) \(shape)", name, layer, tickText(buffer.bytes)]
  }

  private func description(_ buffer: MemoryReport.Buffer) -> String {
    let last = buffer.positions.upperBound - 1
    var parts = ["\(byteText(buffer.bytes)) at \(byteText(buffer.offset))"]
    parts.append("positions \(buffer.positions.lowerBound) to \(last)")
    switch buffer.content {
    case .tensors: break
    case .saved(let name): parts.append("\(name), saved for the end of the step")
    case .workspace: parts.append("workspace \(buffer.origin.map(placeText) ?? "")")
    }
    for tensor in buffer.tensors {
      let node = tensor.producer
      let place = node.map { placeText($0.origin) } ?? ""
      parts.append("\(tensor.value) \(tensor.type) \(node?.displayName ?? "input") \(place)")
    }
    return parts.joined(separator: "; ")
  }

  private func heldCurve() -> String {
    var path = "M\(coordinate(left)) \(coordinate(heldBottom))"
    for (position, bytes) in report.held.enumerated() {
      path += "V\(coordinate(heldY(bytes)))H\(coordinate(x(position + 1)))"
    }
    return "<path class=\"held\" d=\"\(path)V\(coordinate(heldBottom))Z\"/>\n"
  }

  private func peakLine() -> String {
    let place = (x(report.peak.position) + x(report.peak.position + 1)) / 2
    let isLeft = place < (left + right) / 2
    return line("peak", place, arenaTop - 4, place, heldBottom)
      + label(
        place, arenaTop - 8, "peak \(byteText(report.peak.bytes)) at \(report.peak.position)",
        "class=\"peakText\" text-anchor=\"\(isLeft ? "start" : "end")\"")
  }

  // MARK: Ticks and elements

  /// Round numbers of bytes up to a number: four to nine of them.
  private func byteTicks(_ most: Int) -> [Int] {
    guard most > 0 else { return [0] }
    var step = 1
    let factors = [2, 5, 10]
    var magnitude = 1
    search: while true {
      for factor in factors {
        if most / step <= 8 { break search }
        step = magnitude * factor
      }
      magnitude *= 10
    }
    return Array(stride(from: 0, through: most, by: step))
  }

  private func positionStep() -> Int {
    [1, 2, 5, 10, 20, 50, 100, 200, 500].first { columns / $0 <= 24 } ?? max(1, columns / 20)
  }

  /// `50 MB`: no decimal that says nothing.
  private func tickText(_ bytes: Int) -> String {
    byteText(bytes).split(separator: ".0 ", maxSplits: 1).joined(separator: " ")
  }

  private func label(_ x: Double, _ y: Double, _ text: String, _ attributes: String = "") -> String
  {
    "<text x=\"\(coordinate(x))\" y=\"\(coordinate(y))\"\(attributes.isEmpty ? "" : " ")\(attributes)>"
      + "\(xmlEscaped(text))</text>\n"
  }

  private func verticalLabel(_ y: Double, _ text: String) -> String {
    label(
      16, y, text,
      "text-anchor=\"middle\" transform=\"rotate(-90 16 \(coordinate(y)))\"")
  }

  private func line(_ kind: String, _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double)
    -> String
  {
    "<line class=\"\(kind)\" x1=\"\(coordinate(x1))\" y1=\"\(coordinate(y1))\" "
      + "x2=\"\(coordinate(x2))\" y2=\"\(coordinate(y2))\"/>\n"
  }
}
