// `gan-exec bench --kernels`: what lone kernels took and what the cost model expected, as a table and as JSON. README.md
// lists the keys.

import Basics
import Formats
import GraphIR
import Operators
import Runtime

/// What the lone kernels took.
struct KernelReport {
  /// One way to compute a kernel, and what it took.
  struct Timed {
    var work: ExpectedWork
    var times: Spread
  }

  struct Row {
    var kernel: LoneKernel
    var chosen: Timed
    /// The other methods, where all were measured; those of the least expected work first.
    var others: [Timed] = []
    var times: Spread { chosen.times }
    var seconds: Double { times.median / 1000 }
    /// Operations and bytes a second at the median.
    var rate: Double { kernel.cost.flops / seconds }
    var traffic: Double { kernel.cost.bytes / seconds }
    /// Milliseconds of all that are like it.
    var total: Double { times.median * Double(kernel.count) }

    /// The method of the least measured time; the chosen one where none is less.
    var best: Timed {
      others.reduce(chosen) { $1.times.median < $0.times.median ? $1 : $0 }
    }
    /// Milliseconds that the choice takes more than the best method; 0 where it is the best.
    var lost: Double { times.median - best.times.median }
  }

  var title: String
  var backend: any Backend
  var limits: MachineLimits
  /// The longest first.
  var rows: [Row]
  private let allMethods: Bool

  init(
    _ title: String, _ kernels: [LoneKernel], on backend: any Backend, runs: Int?,
    allMethods: Bool
  ) throws {
    self.title = title
    self.backend = backend
    self.allMethods = allMethods
    let first = try MachineLimits(backend)
    rows = try kernels.map { kernel in
      let times = try kernel.time(on: backend, runs: runs)
      var row = Row(kernel: kernel, chosen: Timed(work: kernel.chosenWork, times: times))
      guard allMethods else { return row }
      for work in kernel.otherWork {
        guard let method = work.method else { continue }
        let times = try kernel.with(method).time(on: backend, runs: runs)
        row.others.append(Timed(work: work, times: times))
      }
      return row
    }
    .sorted { $0.total > $1.total }
    limits = try first.measuredAgain()
  }

  // MARK: The model against the clock

  /// |predicted / measured − 1| of everything that was measured, ascending.
  private var errors: [Double] {
    rows.flatMap { [$0.chosen] + $0.others }
      .map { abs($0.work.milliseconds(limits) / $0.times.median - 1) }.sorted()
  }

  /// The convolutions of which several methods were measured.
  private var compared: [Row] { rows.filter { !$0.others.isEmpty } }
  private var wrong: [Row] { compared.filter { $0.lost > 0 } }
  /// Milliseconds of all kernels, equal ones counted.
  private var lost: Double { wrong.reduce(0) { $0 + $1.lost * Double($1.kernel.count) } }

  private var modelLine: String {
    let errors = errors
    guard let largest = errors.last else { return "" }
    let median = shortNumber(errors[errors.count / 2])
    let line =
      "|predicted / measured - 1| is \(median) in the median, \(shortNumber(largest)) at most"
    guard allMethods else { return line + "; --methods measures the choices\n" }
    return line + "; \(wrong.count) of \(compared.count) choices were not the measured best, "
      + "\(shortNumber(lost)) ms in all\n"
  }

  // MARK: Text

  func text() -> String {
    var text = "\(title) on \(backend.summary)\n" + table(MachineLimits.rows(limits)) + "\n"
    text +=
      "       ms  predicted  times    GFLOP  GFLOP/s  % of peak    GB/s  "
      + "\(padded("method", 17))  \(padded("next best, ms", 27))  kernel\n"
    for row in rows {
      text += line(row)
      if !row.others.isEmpty { text += comparison(row) }
    }
    let total = rows.reduce(0) { $0 + $1.total }
    let flops = rows.reduce(0) { $0 + $1.kernel.cost.flops * Double($1.kernel.count) }
    let rate = total > 0 ? flops / total * 1000 : 0
    return text + "\(shortNumber(total)) ms in all, \(shortNumber(rate / 1e9)) GFLOP/s, "
      + "\(shortNumber(100 * rate / limits.arithmetic))% of the peak\n" + modelLine
  }

  private func line(_ row: Row) -> String {
    let count = String(row.kernel.count)
    var text = timeColumns(row.chosen)
    text += String(repeating: " ", count: max(1, 7 - count.count))
    text += count + column(row.kernel.cost.flops / 1e9, 9, decimals: 3) + column(row.rate / 1e9, 9)
    text += column(100 * row.rate / limits.arithmetic, 11) + column(row.traffic / 1e9, 8)
    let next = row.kernel.otherWork.first.map {
      "\($0.name) \(shortNumber($0.milliseconds(limits)))"
    }
    text += "  \(padded(row.chosen.work.name, 17))  \(padded(next ?? "", 27))"
    return text + "  " + description(row.kernel) + "\n"
  }

  /// A line for each method of a convolution, the chosen one first.
  private func comparison(_ row: Row) -> String {
    ([row.chosen] + row.others).enumerated().map { index, timed in
      var notes = index == 0 ? ["chosen"] : []
      if timed.times.median == row.best.times.median {
        notes.append("best")
      } else if index == 0 {
        let share = shortNumber(100 * row.lost / row.times.median)
        notes.append("not the best: \(shortNumber(row.lost)) ms (\(share)%) lost")
      }
      let text = timeColumns(timed) + "    " + timed.work.name
      return notes.isEmpty ? text + "\n" : "\(text): \(notes.joined(separator: ", "))\n"
    }.joined()
  }

  /// Measured and predicted milliseconds.
  private func timeColumns(_ timed: Timed) -> String {
    column(timed.times.median, 9, decimals: 3)
      + column(timed.work.milliseconds(limits), 11, decimals: 3)
  }

  private func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  private func description(_ kernel: LoneKernel) -> String {
    let operation = kernel.operation
    let operands = typeText(kernel.operandTypes)
    var text = "\(operation.mnemonic)(\(operands))\(GraphPrinter.attributes(of: operation))"
    if kernel.fusedSteps > 0 {
      text += " + \(kernel.fusedSteps) step\(kernel.fusedSteps == 1 ? "" : "s")"
    }
    if kernel.origin.line > 0 { text += "  line \(kernel.origin.line) \(kernel.origin.path)" }
    return text
  }

  // MARK: JSON

  func json() -> JSONValue {
    .object(
      [
        (key: "model", value: .string(title)), (key: "backend", value: .string(backend.summary)),
      ] + limits.members + [
        (key: "kernels", value: .array(rows.map(object))), (key: "prediction", value: prediction),
      ])
  }

  private func object(_ row: Row) -> JSONValue {
    let operation = row.kernel.operation
    let attributes = operation.attributes.map {
      (key: $0.name, value: JSONValue.string(GraphPrinter.text($0.value)))
    }
    let next = row.kernel.otherWork.first
    var members: [(key: String, value: JSONValue)] = [
      (key: "kernel", value: .string(operation.mnemonic)),
      (key: "attributes", value: .object(attributes)),
      (key: "operands", value: .array(row.kernel.operandTypes.map { .string($0.description) })),
      (key: "fused_steps", value: .int(row.kernel.fusedSteps)),
      (key: "count", value: .int(row.kernel.count)),
      (key: "line", value: .int(Int(row.kernel.origin.line))),
      (key: "path", value: .string(row.kernel.origin.path)),
    ]
    members += timeMembers(row.chosen)
    members += [
      (key: "gflop", value: number(row.kernel.cost.flops / 1e9)),
      (key: "gflops", value: number(row.rate / 1e9)),
      (key: "peak_share", value: number(row.rate / limits.arithmetic)),
      (key: "gb_s", value: number(row.traffic / 1e9)),
      (key: "next_method", value: next.map { .string($0.name) } ?? .null),
      (key: "next_predicted_ms", value: number(next?.milliseconds(limits))),
    ]
    guard allMethods, row.chosen.work.method != nil else { return .object(members) }
    let methods = [row.chosen] + row.others
    return .object(
      members + [
        (key: "methods", value: .array(methods.map { .object(timeMembers($0)) })),
        (key: "best_method", value: .string(row.best.work.name)),
        (key: "lost_ms", value: number(row.lost)),
      ])
  }

  private func timeMembers(_ timed: Timed) -> [(key: String, value: JSONValue)] {
    [
      (key: "method", value: .string(timed.work.name)),
      (key: "predicted_ms", value: number(timed.work.milliseconds(limits))),
      (key: "ms_median", value: number(timed.times.median)),
      (key: "ms_min", value: number(timed.times.least)),
      (key: "ms_max", value: number(timed.times.most)),
    ]
  }

  private var prediction: JSONValue {
    let errors = errors
    return [
      "measured": .int(errors.count),
      "median_error": number(errors.isEmpty ? nil : errors[errors.count / 2]),
      "largest_error": number(errors.last),
      "choices": allMethods ? .int(compared.count) : .null,
      "not_best": allMethods ? .int(wrong.count) : .null,
      "lost_ms": allMethods ? number(lost) : .null,
    ]
  }
}
