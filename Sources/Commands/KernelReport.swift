// `gan-exec bench --kernels`: what lone kernels took, as a table and as JSON. README.md lists the keys.

import Basics
import Formats
import GraphIR
import Operators
import Runtime

/// What the lone kernels took.
struct KernelReport {
  struct Row {
    var kernel: LoneKernel
    var times: Spread
    var seconds: Double { times.median / 1000 }
    /// Operations and bytes a second at the median.
    var rate: Double { kernel.cost.flops / seconds }
    var traffic: Double { kernel.cost.bytes / seconds }
    /// Milliseconds of all that are like it.
    var total: Double { times.median * Double(kernel.count) }
  }

  var title: String
  var backend: any Backend
  var limits: MachineLimits
  /// The longest first.
  var rows: [Row]

  init(
    _ title: String, _ kernels: [LoneKernel], on backend: any Backend, runs: Int?
  ) throws {
    self.title = title
    self.backend = backend
    let first = try MachineLimits(backend)
    rows = try kernels.map { Row(kernel: $0, times: try $0.time(on: backend, runs: runs)) }
      .sorted { $0.total > $1.total }
    limits = try first.measuredAgain()
  }

  func text() -> String {
    var text = "\(title) on \(backend.summary)\n" + table(MachineLimits.rows(limits)) + "\n"
    text += "       ms  times    GFLOP  GFLOP/s  % of peak    GB/s  kernel\n"
    for row in rows {
      let count = String(row.kernel.count)
      text +=
        column(row.times.median, 9, decimals: 3)
        + String(repeating: " ", count: max(1, 7 - count.count))
      text +=
        count + column(row.kernel.cost.flops / 1e9, 9, decimals: 3) + column(row.rate / 1e9, 9)
      text += column(100 * row.rate / limits.arithmetic, 11) + column(row.traffic / 1e9, 8)
      text += "  " + description(row.kernel) + "\n"
    }
    let total = rows.reduce(0) { $0 + $1.total }
    let flops = rows.reduce(0) { $0 + $1.kernel.cost.flops * Double($1.kernel.count) }
    let rate = total > 0 ? flops / total * 1000 : 0
    return text + "\(Progress.short(total)) ms in all, \(Progress.short(rate / 1e9)) GFLOP/s, "
      + "\(Progress.short(100 * rate / limits.arithmetic))% of the peak\n"
  }

  private func description(_ kernel: LoneKernel) -> String {
    let operation = kernel.operation
    let operands = kernel.operandTypes.map(\.description).joined(separator: ", ")
    var text = "\(operation.mnemonic)(\(operands))\(GraphPrinter.attributes(of: operation))"
    if kernel.fusedSteps > 0 {
      text += " + \(kernel.fusedSteps) step\(kernel.fusedSteps == 1 ? "" : "s")"
    }
    if kernel.origin.line > 0 { text += "  line \(kernel.origin.line) \(kernel.origin.path)" }
    return text
  }

  func json() -> JSONValue {
    let list = rows.map { row -> JSONValue in
      let operation = row.kernel.operation
      let attributes = operation.attributes.map {
        (key: $0.name, value: JSONValue.string(GraphPrinter.text($0.value)))
      }
      return [
        "kernel": .string(operation.mnemonic), "attributes": .object(attributes),
        "operands": .array(row.kernel.operandTypes.map { .string($0.description) }),
        "fused_steps": .int(row.kernel.fusedSteps), "count": .int(row.kernel.count),
        "line": .int(Int(row.kernel.origin.line)), "path": .string(row.kernel.origin.path),
        "ms_median": number(row.times.median), "ms_min": number(row.times.least),
        "ms_max": number(row.times.most), "gflop": number(row.kernel.cost.flops / 1e9),
        "gflops": number(row.rate / 1e9), "peak_share": number(row.rate / limits.arithmetic),
        "gb_s": number(row.traffic / 1e9),
      ]
    }
    return .object(
      [
        (key: "model", value: .string(title)), (key: "backend", value: .string(backend.summary)),
      ] + limits.members + [(key: "kernels", value: .array(list))])
  }
}
