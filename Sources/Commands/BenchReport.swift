// What `gan-exec bench` found, as a table and as JSON. README.md lists the keys.

import Formats
import GraphIR
import Runtime

struct BenchReport {
  struct Sample {
    var name: String?
    var count: Int
    var times: Spread
    var imagesPerSecond: Double { Double(count) / times.median * 1000 }
  }

  var model: String
  var backend: any Backend
  var steps: Int
  var times: Spread
  /// Examples a step; nil for programs without data.
  var examples: Int?
  /// What the last step reported.
  var losses: [(name: String, value: Double)]
  /// The step's cost as the program says it, and of the graph that runs.
  var written: Cost
  var run: Cost
  var limits: MachineLimits
  var memory: [MemoryUse]
  /// What an arena for values and workspace needs at least.
  var lowerBoundBytes: Int
  var stateBytes: Int
  var residentBytes: Int?
  /// Seconds of the first step alone.
  var firstStep: Double
  /// Seconds from the start of the process to the end of the first step.
  var coldStart: Double?
  var sample: Sample?

  private var arenaBytes: Int { bytes("arena") }
  private var workspaceBytes: Int { bytes("workspace") }
  private var plannedBytes: Int { memory.reduce(stateBytes) { $0 + $1.bytes } }
  private func bytes(_ name: String) -> Int { memory.first { $0.name == name }?.bytes ?? 0 }
  private var imagesPerSecond: Double? { examples.map { Double($0) / times.median * 1000 } }
  /// Operations a second at the median.
  private func rate(_ cost: Cost) -> Double { cost.flops / times.median * 1000 }

  // MARK: Text

  func text() -> String {
    var rows: [(String, String)] = []
    rows.append(
      (
        "step",
        "\(shortNumber(times.median)) ms (median of \(steps); "
          + "\(shortNumber(times.least)) to \(shortNumber(times.most)))"
      ))
    if let imagesPerSecond { rows.append(("", "\(shortNumber(imagesPerSecond)) images a second")) }
    rows.append(("as written", rateText(written)))
    rows.append(("as run", rateText(run)))
    rows += MachineLimits.rows(limits)
    rows.append(
      (
        "planned memory",
        "\(byteText(arenaBytes)) of activations, \(byteText(workspaceBytes)) of workspace, "
          + "\(byteText(stateBytes)) of states, \(byteText(plannedBytes)) in all"
      ))
    if let residentBytes {
      rows.append(("resident memory", "\(byteText(residentBytes)) at most"))
    }
    if let coldStart {
      rows.append(
        (
          "cold start",
          "\(shortNumber(coldStart)) s from the process's start to the first step's end"
        ))
    }
    rows.append(("first step", "\(shortNumber(firstStep * 1000)) ms"))
    if let sample {
      rows.append(
        (
          "sample",
          "\(shortNumber(sample.imagesPerSecond)) images a second "
            + "(\(sample.count) in \(shortNumber(sample.times.median)) ms)"
        ))
    }
    return "\(model) on \(backend.summary)\n" + table(rows)
  }

  private func rateText(_ cost: Cost) -> String {
    let share = 100 * rate(cost) / limits.arithmetic
    return
      "\(shortNumber(cost.flops / 1e9)) GFLOP, \(shortNumber(rate(cost) / 1e9)) GFLOP/s, "
      + "\(shortNumber(share))% of the peak"
  }

  // MARK: JSON

  func json() -> JSONValue {
    var members: [(key: String, value: JSONValue)] = [
      (key: "model", value: .string(model)), (key: "backend", value: .string(backend.summary)),
      (key: "steps", value: .int(steps)), (key: "images_per_step", value: number(examples)),
      (key: "ms_median", value: number(times.median)), (key: "ms_min", value: number(times.least)),
      (key: "ms_max", value: number(times.most)),
      (key: "images_per_second", value: number(imagesPerSecond)),
      (key: "written", value: object(written)), (key: "run", value: object(run)),
    ]
    members += limits.members
    members += [
      (key: "arena_bytes", value: .int(arenaBytes)),
      (key: "workspace_bytes", value: .int(workspaceBytes)),
      (key: "arena_lower_bound", value: .int(lowerBoundBytes)),
      (key: "state_bytes", value: .int(stateBytes)),
      (key: "planned_bytes", value: .int(plannedBytes)),
      (key: "resident_bytes", value: number(residentBytes)),
      (key: "first_step_ms", value: number(firstStep * 1000)),
      (key: "cold_start_s", value: number(coldStart)),
      (
        key: "reports",
        value: .object(losses.map { (key: $0.name, value: .double($0.value)) })
      ),
    ]
    if let sample {
      members.append(
        (
          key: "sample",
          value: [
            "name": sample.name.map { .string($0) } ?? .null, "count": .int(sample.count),
            "ms_median": number(sample.times.median), "ms_min": number(sample.times.least),
            "ms_max": number(sample.times.most),
            "images_per_second": number(sample.imagesPerSecond),
          ]
        ))
    }
    return .object(members)
  }

  private func object(_ cost: Cost) -> JSONValue {
    [
      "gflop": number(cost.flops / 1e9), "gflops": number(rate(cost) / 1e9),
      "peak_share": number(rate(cost) / limits.arithmetic),
    ]
  }
}

extension MachineLimits {
  /// Two lines of a table.
  static func rows(_ limits: MachineLimits) -> [(String, String)] {
    var rows = [
      ("the machine's peak", "\(shortNumber(limits.arithmetic / 1e9)) GFLOP/s of multiply-adds")
    ]
    if let bandwidth = limits.bandwidth {
      rows.append(("its memory", "\(shortNumber(bandwidth / 1e9)) GB/s (x[i] = y[i] + s·z[i])"))
    }
    return rows
  }

  var members: [(key: String, value: JSONValue)] {
    [
      (key: "peak_gflops", value: number(arithmetic / 1e9)),
      (key: "bandwidth_gb_s", value: number(bandwidth.map { $0 / 1e9 })),
    ]
  }
}

/// Rows of a name and what is said of it.
func table(_ rows: [(String, String)]) -> String {
  let width = rows.map(\.0.count).max() ?? 0
  return rows.map { name, value in
    "  \(name)\(String(repeating: " ", count: width - name.count + 2))\(value)\n"
  }.joined()
}

/// A finite number rounded to six significant digits, the tiniest ones as they are.
func significant(_ value: Double) -> Double {
  guard abs(value) > 1e-7 else { return value }
  var scale = 1.0
  while abs(value) * scale < 1e5 { scale *= 10 }
  return (value * scale).rounded() / scale
}

/// Six significant digits; null where there is no number.
func number(_ value: Double?) -> JSONValue {
  guard let value, value.isFinite else { return .null }
  return .double(significant(value))
}

func number(_ value: Int?) -> JSONValue { value.map { .int($0) } ?? .null }

/// A number with so many decimals, right-aligned; blank where it is not finite or has no use.
func column(_ value: Double, _ width: Int, decimals: Int = 2) -> String {
  guard value.isFinite, abs(value) < 1e12 else { return String(repeating: " ", count: width) }
  let digits = fixed(value, decimals: decimals)
  return String(repeating: " ", count: max(1, width - digits.count)) + digits
}
