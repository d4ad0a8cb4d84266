// The table of `gan-exec profile`. In: the times of the launches of a step, and the graph they belong to. Out: rows, the
// longest first, with what each moves and computes in a second.

import Formats
import GraphIR
import Runtime

struct ProfileTable {
  /// What one row stands for.
  enum Grouping: String, CaseIterable {
    case launch, kernel, line
  }

  struct Row {
    var what: String
    /// Launches a step.
    var calls = 0
    var nanoseconds: UInt64 = 0
    /// Of nodes whose own launch is here: packing and what goes before or behind have no arithmetic.
    var cost = Cost(flops: 0, bytes: 0)
  }

  /// The longest first.
  let rows: [Row]
  private let launches: Int
  private let steps: Int
  private let peak: Double

  /// Times of `steps` runs; `peak` in operations a second.
  init(
    _ profile: [ProfileEntry], _ graph: Graph, by grouping: Grouping, steps: Int, peak: Double
  ) {
    let own = Self.ownLaunches(profile)
    var rows: [Row] = []
    // For lookup only.
    var rowOfKey: [String: Int] = [:]
    for (index, entry) in profile.enumerated() {
      let what = Self.text(entry, graph, grouping)
      let key = grouping == .launch ? "\(index)" : what
      let row = rowOfKey[key] ?? rows.count
      if row == rows.count {
        rowOfKey[key] = row
        rows.append(Row(what: what))
      }
      rows[row].calls += 1
      rows[row].nanoseconds += entry.nanoseconds
      if let id = entry.node, own[id.index] == index {
        rows[row].cost = rows[row].cost + graph.cost(of: graph.nodes[id])
      }
    }
    let order = rows.indices.sorted { (rows[$1].nanoseconds, $0) < (rows[$0].nanoseconds, $1) }
    self.rows = order.map { rows[$0] }
    launches = profile.count
    self.steps = steps
    self.peak = peak
  }

  /// By node, the launch that computes it: of those that do not pack the one that took longest.
  private static func ownLaunches(_ profile: [ProfileEntry]) -> [Int: Int] {
    var own: [Int: Int] = [:]
    for (index, entry) in profile.enumerated() where !entry.isPacking {
      guard let node = entry.node?.index else { continue }
      if let known = own[node], profile[known].nanoseconds >= entry.nanoseconds { continue }
      own[node] = index
    }
    return own
  }

  private static func text(
    _ entry: ProfileEntry, _ graph: Graph, _ grouping: Grouping
  ) -> String {
    if grouping == .kernel { return entry.kernel }
    guard let id = entry.node else { return grouping == .line ? "end of the step" : entry.kernel }
    let node = graph.nodes[id]
    let place = "line \(node.origin.line) \(node.origin.path)"
    if grouping == .line { return place }
    let types = typeText(graph.types(of: node.results))
    return "\(entry.kernel)  \(types)  \(node.origin.provenance())"
  }

  /// At most so many rows, then the sums.
  func text(rows limit: Int) -> String {
    let total = Double(rows.reduce(0) { $0 + $1.nanoseconds })
    var text = "      ms  share  calls  GFLOP/s  % of peak    GB/s  kernel\n"
    for row in rows.prefix(limit) {
      let seconds = Double(max(1, row.nanoseconds)) / 1e9 / Double(steps)
      let hasCost = row.cost.bytes > 0 || row.cost.flops > 0
      let rates =
        column(row.cost.flops / 1e9 / seconds, 9)
        + column(100 * row.cost.flops / seconds / peak, 11)
        + column(row.cost.bytes / 1e9 / seconds, 8)
      text +=
        column(seconds * 1e3, 8) + column(100 * Double(row.nanoseconds) / max(1, total), 6) + "%"
        + column(Double(row.calls), 7, decimals: 0)
        + (hasCost ? rates : String(repeating: " ", count: 28))
        + "  \(row.what)\n"
    }
    if rows.count > limit { text += "… and \(rows.count - limit) more (--all)\n" }
    return text
      + "\(launches) launches a step, \(shortNumber(total / 1e6 / Double(steps))) ms in kernels\n"
  }
}
