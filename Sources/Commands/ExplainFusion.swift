// `gan-compile FILE --explain-fusion`: which element-wise operations were fused and into what, and which neighbours
// were not and why, by reasons. In: what the fusing passes reported. Out: text, or one JSON object.

import Basics
import Formats
import GraphIR
import Passes

struct FusionExplanation {
  private let report: FusionReport
  private let graphName: String
  /// The program's file; nil where places are those of another file.
  private let file: String?
  private let totals: Totals
  private let reasons: [Reason]
  /// Bytes that the graph moves.
  private let traffic: Double

  init(_ outcome: PassRunner.Outcome, file: String?) {
    report = outcome.fusion
    graphName = outcome.graph.name
    self.file = file
    totals = Totals(report)
    reasons = Reason.all(of: report)
    traffic = outcome.graph.cost.bytes
  }

  // MARK: Text

  func text() -> String {
    let epilogues = report.kernels.indices.filter { isFused($0) && report.kernels[$0].root != nil }
    let regions = report.kernels.indices.filter { isFused($0) && report.kernels[$0].root == nil }
    var text = counts()
    text += section("fused into epilogues of products and convolutions", epilogues.map(block))
    text += section("fused into regions", regions.map(block))
    text += section("removed", removedLines())
    for reason in reasons {
      text += section("not fused, \(reason.name): \(reason.rule)", reason.refusals.map(line))
    }
    text += section("without a neighbour to fuse with", lonelyLines())
    return text + "\n" + lastLine()
  }

  /// What was counted: where operations went, why neighbours stayed apart, what it costs and saves.
  private func counts() -> String {
    var rows = [
      (totals.inEpilogues, "fused into \(counted(totals.epilogues, "epilogue"))"),
      (totals.inRegions, "fused into \(counted(totals.regions, "region"))"),
      (totals.alone, "alone"), (totals.removed, "removed"),
    ]
    var text = "graph \(graphName): \(counted(totals.operations, "element-wise operation"))\n"
    text += table(rows)
    text += "\(counted(report.refusals.count, "pair")) of neighbours not fused\n"
    rows = reasons.map { ($0.refusals.count, "\($0.name), \(byteText($0.bytes))") }
    text += table(rows)
    text += counted(totals.passes, "memory pass", "memory passes")
    text += " of element-wise work alone: \(byteText(totals.passBytes)), "
    text += "\(totals.passesBesideProducts) of them beside a product or convolution: "
    text += "\(byteText(totals.passBytesBesideProducts))\n"
    text += "fusion saves \(byteText(totals.savedBytes))\n"
    for pass in missing { text += "\(pass) did not run\n" }
    return text
  }

  private func table(_ rows: [(count: Int, text: String)]) -> String {
    rows.map { row in
      let digits = String(row.count)
      return String(repeating: " ", count: max(0, 6 - digits.count)) + "\(digits)  \(row.text)\n"
    }.joined()
  }

  /// A titled list; nothing where the list is empty.
  private func section(_ title: String, _ entries: [String]) -> String {
    entries.isEmpty ? "" : "\n\(title) (\(entries.count))\n" + entries.joined()
  }

  private func lastLine() -> String {
    let fused = totals.inEpilogues + totals.inRegions
    return "\(counted(totals.operations, "element-wise operation")): \(fused) fused, "
      + "\(totals.alone) alone, \(totals.removed) removed; "
      + "\(counted(report.refusals.count, "pair")) not fused\n"
  }

  /// A kernel and the operations that were fused into it.
  private func block(_ index: Int) -> String {
    let kernel = report.kernels[index]
    var text = "  \(name(.kernel(index))); moves \(byteText(kernel.bytes))"
    text += ", saves \(byteText(kernel.savedBytes))\n"
    for group in alike(kernel.operations) {
      let names = group.map(\.operation).joined(separator: ", ")
      text += "    \(names) \(shapeText(group[0].shape))\(place(group[0].origin))\n"
    }
    return text
  }

  /// Runs of operations of one place and shape.
  private func alike(_ operations: [OperationLabel]) -> [[OperationLabel]] {
    var runs: [[OperationLabel]] = []
    for operation in operations {
      if let last = runs.last?.last, last.origin == operation.origin, last.shape == operation.shape
      {
        runs[runs.count - 1].append(operation)
      } else {
        runs.append([operation])
      }
    }
    return runs
  }

  private func line(_ refusal: FusionReport.Refusal) -> String {
    var text = "  \(name(refusal.producer)) -> \(name(refusal.consumer)); "
    if let detail = refusal.reason.detail(words, trafficText) { text += "\(detail); " }
    return text + "\(byteText(refusal.bytes))\n"
  }

  private func removedLines() -> [String] { report.removed.map { "  \(words($0))\n" } }

  private func lonelyLines() -> [String] {
    report.kernels.indices.compactMap { index in
      loneliness(index).map { "  \(name(.kernel(index))); \($0)\n" }
    }
  }

  /// `#3 matmul [4, 8] at FILE:5:20 generator/dense`
  private func name(_ neighbour: FusionReport.Neighbour) -> String {
    switch neighbour {
    case .kernel(let index): "#\(index + 1) \(words(named(index)))"
    case .other(let label): words(label)
    }
  }

  /// A kernel's label; of several regions at once `12 regions, the largest`.
  private func named(_ index: Int) -> OperationLabel {
    var label = label(index)
    let count = report.kernels[index].partCount
    if count > 1 { label.operation = "\(count) regions, the largest" }
    return label
  }

  /// What a kernel is called: its root, its only operation, or `region`, with the shape of the largest.
  private func label(_ index: Int) -> OperationLabel {
    let kernel = report.kernels[index]
    if kernel.root != nil { return kernel.label }
    if kernel.operations.count == 1 { return kernel.operations[0] }
    var label = kernel.label
    label.operation = "region"
    if let largest = kernel.results.max(by: { $0.count < $1.count }) {
      label.shape = largest.shape
    }
    return label
  }

  private func words(_ label: OperationLabel) -> String {
    "\(label.operation) \(shapeText(label.shape))\(place(label.origin))"
  }

  /// ` at FILE:LINE:COLUMN path (note)`, as far as it is known.
  private func place(_ origin: Origin) -> String {
    var text = ""
    if origin.line > 0 {
      text += " at \(file.map { $0 + ":" } ?? "")\(origin.line):\(origin.column)"
    }
    if !origin.path.isEmpty { text += " \(origin.path)" }
    if let note = origin.notes.first { text += " (\(note))" }
    return text
  }

  /// `524.3 kB, 0.2 % of what the graph moves`
  private func trafficText(_ bytes: Int) -> String {
    let share = (1000 * Double(bytes) / max(traffic, 1)).rounded() / 10
    return "\(byteText(bytes)), \(share) % of what the graph moves"
  }

  private func counted(_ count: Int, _ one: String, _ many: String? = nil) -> String {
    "\(count) \(count == 1 ? one : many ?? one + "s")"
  }

  // MARK: Kernels

  /// Whether something was fused in it.
  private func isFused(_ index: Int) -> Bool {
    let kernel = report.kernels[index]
    return kernel.operations.count > (kernel.root == nil ? 1 : 0)
  }

  /// The fusing passes that did not run.
  private var missing: [String] {
    [FuseElementwise().name, FuseEpilogues().name].filter { !report.passes.contains($0) }
  }

  /// Why a region has no neighbour that it could be one with, or a product none behind it; nil where there is one.
  private func loneliness(_ index: Int) -> String? {
    let kernel = report.kernels[index]
    let isRegion = kernel.root == nil
    guard isRegion || kernel.operations.isEmpty,
      !report.refusals(of: index).contains(where: { isRegion || $0.producer == .kernel(index) })
    else { return nil }
    if !missing.isEmpty { return "\(missing.joined(separator: " and ")) did not run" }
    return isRegion
      ? "nothing that computes comes before or after it" : "nothing element-wise reads its result"
  }

  // MARK: JSON

  func json() -> JSONValue {
    [
      "graph": .string(graphName), "file": file.map { .string($0) } ?? .null,
      "passes": .array(report.passes.map { .string($0) }), "counts": totals.json(report),
      "reasons": .array(reasons.map { $0.json() }),
      "kernels": .array(report.kernels.indices.map(kernelObject)),
      "removed": .array(report.removed.map { .object(members($0)) }),
      "not_fused": .array(reasons.flatMap(\.refusals).map(refusalObject)),
    ]
  }

  private func kernelObject(_ index: Int) -> JSONValue {
    let kernel = report.kernels[index]
    let head: [(key: String, value: JSONValue)] = [(key: "number", value: .int(index + 1))]
    return .object(
      head + members(label(index)) + [
        (key: "is_product", value: .bool(kernel.root != nil)),
        (key: "regions", value: .int(kernel.root == nil ? kernel.partCount : 0)),
        (key: "results", value: .array(kernel.results.map { .string($0.description) })),
        (key: "fused", value: .array(kernel.operations.map { .object(members($0)) })),
        (key: "bytes", value: .int(kernel.bytes)),
        (key: "saved_bytes", value: .int(kernel.savedBytes)),
        (key: "alone_because", value: loneliness(index).map { .string($0) } ?? .null),
      ])
  }

  private func refusalObject(_ refusal: FusionReport.Refusal) -> JSONValue {
    [
      "reason": .string(refusal.reason.name),
      "detail": refusal.reason.detail(words, trafficText).map { .string($0) } ?? .null,
      "producer": neighbourObject(refusal.producer), "consumer": neighbourObject(refusal.consumer),
      "bytes": .int(refusal.bytes),
    ]
  }

  private func neighbourObject(_ neighbour: FusionReport.Neighbour) -> JSONValue {
    switch neighbour {
    case .kernel(let index):
      .object([(key: "kernel", value: .int(index + 1))] + members(label(index)))
    case .other(let label): .object([(key: "kernel", value: .null)] + members(label))
    }
  }

  private func members(_ label: OperationLabel) -> [(key: String, value: JSONValue)] {
    [
      (key: "operation", value: .string(label.operation)),
      (key: "shape", value: .array(label.shape.map { .int($0) })),
    ] + originMembers(label.origin)
  }
}

/// The pairs that one rule kept apart.
private struct Reason {
  var name: String
  var rule: String
  var refusals: [FusionReport.Refusal]
  var bytes: Int { refusals.reduce(0) { $0 + $1.bytes } }

  /// The most frequent first, then by name; in each the pairs with the most bytes first.
  static func all(of report: FusionReport) -> [Reason] {
    var found: [Reason] = []
    for refusal in report.refusals {
      let name = refusal.reason.name
      if let same = found.firstIndex(where: { $0.name == name }) {
        found[same].refusals.append(refusal)
      } else {
        found.append(Reason(name: name, rule: refusal.reason.rule, refusals: [refusal]))
      }
    }
    for index in found.indices {
      let decided = found[index].refusals.enumerated()
      found[index].refusals = decided.sorted {
        ($1.element.bytes, $0.offset) < ($0.element.bytes, $1.offset)
      }.map(\.element)
    }
    return found.sorted { ($1.refusals.count, $0.name) < ($0.refusals.count, $1.name) }
  }

  func json() -> JSONValue {
    [
      "reason": .string(name), "rule": .string(rule), "pairs": .int(refusals.count),
      "bytes": .int(bytes),
    ]
  }
}

/// Counts of element-wise operations by where they went, and of what is left to go over memory.
private struct Totals {
  var operations = 0
  var inEpilogues = 0
  var inRegions = 0
  var alone = 0
  var removed = 0
  var epilogues = 0
  var regions = 0
  /// Kernels of element-wise work alone, and those of them next to a product.
  var passes = 0
  var passBytes = 0
  var passesBesideProducts = 0
  var passBytesBesideProducts = 0
  var savedBytes = 0

  init(_ report: FusionReport) {
    removed = report.removed.count
    operations = removed
    for (index, kernel) in report.kernels.enumerated() {
      operations += kernel.operations.count
      savedBytes += kernel.savedBytes
      if kernel.root != nil {
        inEpilogues += kernel.operations.count
        if !kernel.operations.isEmpty { epilogues += 1 }
      } else {
        addPass(kernel, isBesideProduct: report.isBesideProduct(index))
      }
    }
  }

  private mutating func addPass(_ kernel: FusionReport.Kernel, isBesideProduct: Bool) {
    if kernel.operations.count == 1 {
      alone += 1
    } else {
      inRegions += kernel.operations.count
      regions += 1
    }
    passes += 1
    passBytes += kernel.bytes
    guard isBesideProduct else { return }
    passesBesideProducts += 1
    passBytesBesideProducts += kernel.bytes
  }

  func json(_ report: FusionReport) -> JSONValue {
    [
      "operations": .int(operations), "in_epilogues": .int(inEpilogues),
      "in_regions": .int(inRegions), "alone": .int(alone), "removed": .int(removed),
      "epilogues": .int(epilogues), "regions": .int(regions),
      "pairs_not_fused": .int(report.refusals.count), "memory_passes": .int(passes),
      "memory_pass_bytes": .int(passBytes),
      "memory_passes_beside_products": .int(passesBesideProducts),
      "memory_pass_bytes_beside_products": .int(passBytesBesideProducts),
      "saved_bytes": .int(savedBytes),
    ]
  }
}
