// A difference as text for a person, coloured on a terminal, and as JSON.

import Formats
import GraphIR
import Passes

/// Marks and colours of lines.
struct DiffPaint {
  var usesColour: Bool

  /// `+ …` in green, `- …` in red, `~ …` in yellow, `* …` for kernels in cyan.
  func line(_ kind: GraphDiff.Kind, _ text: String) -> String {
    switch kind {
    case .added: painted("+ \(text)", 32)
    case .removed: painted("- \(text)", 31)
    case .changed, .retyped, .rewired, .renamed: painted("~ \(text)", 33)
    case .fused, .split, .regrouped: painted("* \(text)", 36)
    }
  }

  private func painted(_ text: String, _ colour: Int) -> String {
    "  " + (usesColour ? "\u{1B}[\(colour)m\(text)\u{1B}[0m" : text) + "\n"
  }
}

/// The difference of two graphs in words.
struct GraphDiffText {
  let diff: GraphDiff
  let paint: DiffPaint
  /// The files that places are in, where they are known; none for dumps, whose places are those of the program.
  let files: (before: String?, after: String?)

  func text() -> String {
    var text = ""
    if diff.stages.before != diff.stages.after {
      text += "  stage: \(diff.stages.before) -> \(diff.stages.after)\n"
    }
    for change in diff.changes { text += lines(change) }
    return text
  }

  /// `1 changed, 2 added`
  static func counts(_ diff: GraphDiff) -> String {
    let counts = GraphDiff.Kind.allCases.compactMap { kind -> String? in
      let count = diff.count(kind)
      return count == 0 ? nil : "\(count) \(kind.rawValue)"
    }
    return counts.isEmpty ? "another stage" : counts.joined(separator: ", ")
  }

  private func lines(_ change: GraphDiff.Change) -> String {
    switch change.kind {
    case .added: lone(change, change.after[0], files.after)
    case .removed: lone(change, change.before[0], files.before)
    case .changed, .retyped, .rewired, .renamed: pair(change)
    case .fused, .split, .regrouped: kernels(change)
    }
  }

  private func lone(
    _ change: GraphDiff.Change, _ item: GraphDiff.Item, _ file: String?
  ) -> String {
    var text = paint.line(change.kind, described(item, file))
    if !change.reads.isEmpty { text += "      reads \(list(change.reads))\n" }
    if !change.readers.isEmpty { text += "      read by \(list(change.readers))\n" }
    if let equal = change.equal {
      text += "      equal to \(short(equal)), which is on both sides\n"
    }
    return text
  }

  private func pair(_ change: GraphDiff.Change) -> String {
    let (old, new) = (change.before[0], change.after[0])
    let name = old.name == new.name ? "" : "\(old.name)\(attributes(old)) -> "
    let types = old.types == new.types ? "" : "\(typeText(old.types)) -> "
    var text = paint.line(
      change.kind,
      "\(number(new))\(name)\(new.name)\(attributes(new)) \(types)\(typeText(new.types))"
        + place(new, files.after))
    for attribute in change.attributes {
      text += "      \(attribute.name): \(shown(attribute.before)) -> \(shown(attribute.after))\n"
    }
    for operand in change.operands {
      let before = operand.before.map(short) ?? "none"
      let after = operand.after.map(short) ?? "none"
      text += "      operand \(operand.position): \(before) -> \(after)\n"
    }
    return text
  }

  private func kernels(_ change: GraphDiff.Change) -> String {
    let many = change.kind == .split ? change.after : change.before
    let few = change.kind == .split ? change.before : change.after
    let word = change.kind == .split ? "split:" : change.kind.rawValue + " into"
    let file = change.kind == .split ? files.before : files.after
    var text = paint.line(
      change.kind, "\(word) " + few.map { described($0, file) }.joined(separator: " and "))
    for item in many {
      text += "      " + described(item, change.kind == .split ? files.after : files.before) + "\n"
    }
    return text
  }

  // MARK: Items

  private func described(_ item: GraphDiff.Item, _ file: String?) -> String {
    "\(number(item))\(item.name)\(attributes(item)) \(typeText(item.types))\(place(item, file))"
  }

  /// ` {slope: 0.3}`, of operations whose attributes all are shown.
  private func attributes(_ item: GraphDiff.Item) -> String {
    guard !item.attributes.isEmpty else { return "" }
    return " {\(item.attributes.map { "\($0.name): \(shown($0.value))" }.joined(separator: ", "))}"
  }

  private func number(_ item: GraphDiff.Item) -> String {
    item.value.map { "\($0) " } ?? item.within.map { "in \($0) " } ?? ""
  }

  private func short(_ item: GraphDiff.Item) -> String { number(item) + item.name }

  /// At most so many items are named.
  private static let named = 4

  private func list(_ items: [GraphDiff.Item]) -> String {
    let some = items.prefix(Self.named).map(short).joined(separator: ", ")
    return items.count > Self.named ? "\(some) and \(items.count - Self.named) more" : some
  }

  private func place(_ item: GraphDiff.Item, _ file: String?) -> String {
    let origin = item.origin
    guard origin.line > 0 else { return "" }
    let path = origin.path.isEmpty ? "" : " \(origin.path)"
    return " at \(file.map { $0 + ":" } ?? "")\(origin.line):\(origin.column)\(path)"
  }

  /// A value of an attribute, shortened where it is a table of numbers.
  private func shown(_ value: String?) -> String {
    guard let value else { return "default" }
    return value.count <= 100 ? value : "\(value.prefix(97))..."
  }
}

/// The difference of two programs in words.
struct ProgramDiffText {
  let diff: ProgramDiff
  let paint: DiffPaint
  let files: (before: String, after: String)

  func text() -> String {
    var text = section("program", diff.facts) + section("data", diff.data)
    text += section("parameters and states", diff.states)
    for graph in diff.graphs {
      guard let difference = graph.diff else {
        let name = graph.isAfter ? files.after : files.before
        text += paint.line(graph.isAfter ? .added : .removed, "graph \(graph.name), in \(name)")
        continue
      }
      text += "graph \(graph.name): \(GraphDiffText.counts(difference))\n"
      text += GraphDiffText(
        diff: difference, paint: paint, files: (files.before, files.after)
      ).text()
    }
    return text
  }

  private func section(_ title: String, _ entries: [ProgramDiff.Entry]) -> String {
    guard !entries.isEmpty else { return "" }
    return "\(title): \(entries.count) differ\(entries.count == 1 ? "s" : "")\n" + lines(entries)
  }

  /// One line an entry; but one for all where nothing but the beginning of many names changed, as it does with the
  /// moments of an optimiser that was given a name.
  private func lines(_ entries: [ProgramDiff.Entry]) -> String {
    let prefixes = entries.map(Self.changedPrefix)
    var counts: [String: Int] = [:]
    for case let prefix? in prefixes { counts[prefix, default: 0] += 1 }
    var text = ""
    for (entry, prefix) in zip(entries, prefixes) {
      guard let prefix, let count = counts[prefix], count == 0 || count > 2 else {
        text += line(entry)
        continue
      }
      if count > 0 {
        text += paint.line(.renamed, "\(prefix): \(count) names, nothing else")
        counts[prefix] = 0
      }
    }
    return text
  }

  /// `dAdam/… -> update-discriminator/…`: what two names do not have in common at their ends; nil where not only the
  /// name changed.
  private static func changedPrefix(_ entry: ProgramDiff.Entry) -> String? {
    guard let newName = entry.newName, entry.before == entry.after else { return nil }
    var old = entry.name.split(separator: "/", omittingEmptySubsequences: false)
    var new = newName.split(separator: "/", omittingEmptySubsequences: false)
    while old.count > 1, new.count > 1, old.last == new.last {
      old.removeLast()
      new.removeLast()
    }
    return "\(old.joined(separator: "/"))/… -> \(new.joined(separator: "/"))/…"
  }

  private func line(_ entry: ProgramDiff.Entry) -> String {
    let name = entry.newName.map { "\(entry.name) -> \($0)" } ?? entry.name
    let sides = [entry.before, entry.before == entry.after ? nil : entry.after]
    return paint.line(
      entry.kind, "\(name): \(sides.compactMap { $0 }.joined(separator: " -> "))")
  }
}

/// Differences as JSON; README.md has the keys.
enum DiffJSON {
  static func object(_ diff: GraphDiff) -> JSONValue {
    let counts = GraphDiff.Kind.allCases.map {
      (key: $0.rawValue, value: JSONValue.int(diff.count($0)))
    }
    return [
      "stages": [.string(diff.stages.before.rawValue), .string(diff.stages.after.rawValue)],
      "counts": .object(counts), "changes": .array(diff.changes.map(change)),
    ]
  }

  static func object(_ diff: ProgramDiff) -> [(key: String, value: JSONValue)] {
    let graphs = diff.graphs.map { graph -> JSONValue in
      [
        "graph": .string(graph.name),
        "only": graph.diff == nil ? (graph.isAfter ? "after" : "before") : .null,
        "difference": graph.diff.map(object) ?? .null,
      ]
    }
    return [
      ("program", entries(diff.facts)), ("data", entries(diff.data)),
      ("states", entries(diff.states)), ("graphs", .array(graphs)),
    ]
  }

  private static func entries(_ entries: [ProgramDiff.Entry]) -> JSONValue {
    .array(
      entries.map { entry in
        [
          "kind": .string(entry.kind.rawValue), "name": .string(entry.name),
          "new_name": text(entry.newName), "before": text(entry.before), "after": text(entry.after),
        ]
      })
  }

  private static func change(_ change: GraphDiff.Change) -> JSONValue {
    let attributes = change.attributes.map { attribute -> JSONValue in
      [
        "name": .string(attribute.name), "before": text(attribute.before),
        "after": text(attribute.after),
      ]
    }
    let operands = change.operands.map { operand -> JSONValue in
      [
        "position": .int(operand.position), "before": operand.before.map(item) ?? .null,
        "after": operand.after.map(item) ?? .null,
      ]
    }
    return [
      "kind": .string(change.kind.rawValue), "before": .array(change.before.map(item)),
      "after": .array(change.after.map(item)), "attributes": .array(attributes),
      "operands": .array(operands), "reads": .array(change.reads.map(item)),
      "readers": .array(change.readers.map(item)), "equal": change.equal.map(item) ?? .null,
    ]
  }

  private static func item(_ item: GraphDiff.Item) -> JSONValue {
    [
      "name": .string(item.name), "value": item.value.map { .int($0.index) } ?? .null,
      "within": item.within.map { .int($0.index) } ?? .null,
      "types": .array(item.types.map { .string($0.description) }),
      "attributes": .object(item.attributes.map { ($0.name, .string($0.value)) }),
      "line": .int(Int(item.origin.line)), "column": .int(Int(item.origin.column)),
      "path": .string(item.origin.path),
    ]
  }

  private static func text(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
}
