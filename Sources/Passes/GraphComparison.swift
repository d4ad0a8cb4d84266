// From matched operations to a list of changes. Every difference is said once: who reads an operation that was added
// is said with that operation, and no change of its own.

import GraphIR

struct GraphComparison {
  private let beforeGraph: Graph
  private let afterGraph: Graph
  private let before: DiffSide
  private let after: DiffSide
  private let matching: DiffMatching
  private(set) var changes: [GraphDiff.Change] = []

  init(_ beforeGraph: Graph, _ afterGraph: Graph, _ before: DiffSide, _ after: DiffSide) {
    self.beforeGraph = beforeGraph
    self.afterGraph = afterGraph
    self.before = before
    self.after = after
    matching = DiffMatching(before, after)
  }

  /// In the order of the graph after, what was removed first.
  mutating func compare() {
    for x in before.parts.indices where matching.toAfter[x] == nil { changes.append(removal(x)) }
    for y in after.parts.indices {
      if let x = matching.toBefore[y] {
        comparePair(x, y)
      } else {
        changes.append(addition(y))
      }
    }
    compareKernels()
    compareOutputs()
  }

  // MARK: - Items

  private func item(_ part: DiffPart, _ side: DiffSide, _ graph: Graph) -> GraphDiff.Item {
    var item = GraphDiff.Item(
      name: part.role.map { GraphPrinter.text($0) } ?? part.mnemonic,
      binding: part.role.map { .input($0) }, value: nil, within: nil, types: part.types,
      origin: part.origin)
    guard let node = part.node else { return item }
    let first = graph.nodes[node].results.first
    if side.isFused[node.index] { item.within = first } else { item.value = first }
    return item
  }

  private func beforeItem(_ x: Int) -> GraphDiff.Item {
    item(before.parts[x], before, beforeGraph)
  }
  private func afterItem(_ y: Int) -> GraphDiff.Item { item(after.parts[y], after, afterGraph) }

  private func nodeItem(_ id: NodeID, _ graph: Graph) -> GraphDiff.Item {
    let node = graph.nodes[id]
    return GraphDiff.Item(
      name: node.operation.mnemonic, binding: nil, value: node.results.first, within: nil,
      types: graph.types(of: node.results), origin: node.origin)
  }

  // MARK: - Single operations

  private func removal(_ x: Int) -> GraphDiff.Change {
    var change = GraphDiff.Change(kind: .removed, before: [beforeItem(x)], after: [])
    change.reads = before.parts[x].operands.map { beforeItem($0.part) }
    change.readers = before.users[x].map { beforeItem($0.part) }
    let number = matching.beforeClasses[x]
    change.equal = matching.afterClasses.firstIndex(of: number).map(afterItem)
    return change
  }

  private func addition(_ y: Int) -> GraphDiff.Change {
    var change = GraphDiff.Change(kind: .added, before: [], after: [afterItem(y)])
    change.reads = after.parts[y].operands.map { afterItem($0.part) }
    change.readers = after.users[y].map { afterItem($0.part) }
    let number = matching.afterClasses[y]
    change.equal = matching.beforeClasses.firstIndex(of: number).map(beforeItem)
    return change
  }

  private mutating func comparePair(_ x: Int, _ y: Int) {
    let (a, b) = (before.parts[x], after.parts[y])
    let attributes = a.mnemonic == b.mnemonic ? attributeChanges(a, b) : []
    let operands = operandChanges(a, b)
    let kind: GraphDiff.Kind
    if a.mnemonic != b.mnemonic || !attributes.isEmpty {
      kind = .changed
    } else if a.role != b.role {
      kind = .renamed
    } else if a.types != b.types {
      kind = .retyped
    } else if !operands.isEmpty {
      kind = .rewired
    } else {
      return
    }
    changes.append(
      GraphDiff.Change(
        kind: kind, before: [beforeItem(x)], after: [afterItem(y)], attributes: attributes,
        operands: operands))
  }

  private func attributeChanges(_ a: DiffPart, _ b: DiffPart) -> [GraphDiff.AttributeChange] {
    var names = a.attributes.map(\.name)
    for attribute in b.attributes where !names.contains(attribute.name) {
      names.append(attribute.name)
    }
    return names.compactMap { name in
      let old = a.attributes.first { $0.name == name }?.text
      let new = b.attributes.first { $0.name == name }?.text
      return old == new ? nil : GraphDiff.AttributeChange(name: name, before: old, after: new)
    }
  }

  private func operandChanges(_ a: DiffPart, _ b: DiffPart) -> [GraphDiff.OperandChange] {
    var found: [GraphDiff.OperandChange] = []
    for position in 0..<max(a.operands.count, b.operands.count) {
      let old = position < a.operands.count ? a.operands[position] : nil
      let new = position < b.operands.count ? b.operands[position] : nil
      if let old, let new, isSameOrSaid(old, new) { continue }
      found.append(
        GraphDiff.OperandChange(
          position: position, before: old.map { beforeItem($0.part) },
          after: new.map { afterItem($0.part) }))
    }
    return found
  }

  /// Whether two operands are the same, or what was added or removed between them says all about it. An input that was
  /// added stands between nothing.
  private func isSameOrSaid(_ old: DiffPart.Place, _ new: DiffPart.Place) -> Bool {
    let isAdded = matching.toBefore[new.part] == nil && !after.parts[new.part].isInput
    return matching.areSame(old, new) || isAdded || leadsThroughRemoved(old, to: new)
  }

  /// Whether a removed operation read what is now read in its place, through other removed ones too.
  private func leadsThroughRemoved(_ old: DiffPart.Place, to new: DiffPart.Place) -> Bool {
    var waiting = [old.part]
    var seen: Set<Int> = []
    while let x = waiting.popLast() {
      guard matching.toAfter[x] == nil, seen.insert(x).inserted else { continue }
      for operand in before.parts[x].operands {
        if matching.areSame(operand, new) { return true }
        waiting.append(operand.part)
      }
    }
    return false
  }

  // MARK: - Kernels

  /// Which nodes went into which: connected parts of the relation between nodes that hold matched operations.
  private mutating func compareKernels() {
    var partners = [[Int]](repeating: [], count: beforeGraph.nodes.count)
    var sources = [[Int]](repeating: [], count: afterGraph.nodes.count)
    for (x, y) in matching.toAfter.enumerated() {
      guard let y, let old = before.parts[x].node?.index, let new = after.parts[y].node?.index
      else { continue }
      if !partners[old].contains(new) { partners[old].append(new) }
      if !sources[new].contains(old) { sources[new].append(old) }
    }
    var seen = [Bool](repeating: false, count: beforeGraph.nodes.count)
    for start in partners.indices where !seen[start] && !partners[start].isEmpty {
      var old: Set<Int> = []
      var new: Set<Int> = []
      var waiting = [start]
      while let x = waiting.popLast() {
        guard old.insert(x).inserted else { continue }
        seen[x] = true
        for y in partners[x] where new.insert(y).inserted { waiting += sources[y] }
      }
      compareKernel(old.sorted(), new.sorted())
    }
  }

  private mutating func compareKernel(_ old: [Int], _ new: [Int]) {
    let kind: GraphDiff.Kind
    switch (old.count, new.count) {
    case (1, 1):
      let (was, isNow) = (before.isFused[old[0]], after.isFused[new[0]])
      if was == isNow {
        guard isNow, before.resultCounts[old[0]] != after.resultCounts[new[0]] else { return }
        kind = .regrouped
      } else {
        kind = isNow ? .fused : .split
      }
    case (_, 1): kind = .fused
    case (1, _): kind = .split
    default: kind = .regrouped
    }
    changes.append(
      GraphDiff.Change(
        kind: kind, before: old.map { nodeItem(NodeID($0), beforeGraph) },
        after: new.map { nodeItem(NodeID($0), afterGraph) }))
  }

  // MARK: - Outputs

  private mutating func compareOutputs() {
    let lost = before.outputs.filter { output in !after.outputs.contains { $0.role == output.role }
    }
    var gained = after.outputs.filter { output in
      !before.outputs.contains { $0.role == output.role }
    }
    for (role, place) in lost {
      let old = outputItem(role, place, before)
      let renamed = gained.firstIndex {
        isRenamed(role, $0.role) && matching.areSame(place, $0.place)
      }
      guard let renamed else {
        changes.append(GraphDiff.Change(kind: .removed, before: [old], after: []))
        continue
      }
      let (name, place) = gained.remove(at: renamed)
      changes.append(
        GraphDiff.Change(kind: .renamed, before: [old], after: [outputItem(name, place, after)]))
    }
    for (role, place) in gained {
      changes.append(
        GraphDiff.Change(kind: .added, before: [], after: [outputItem(role, place, after)]))
    }
    for (role, old) in before.outputs {
      guard let new = after.outputs.first(where: { $0.role == role })?.place,
        !isSameOrSaid(old, new)
      else { continue }
      let operand = GraphDiff.OperandChange(
        position: 0, before: beforeItem(old.part), after: afterItem(new.part))
      changes.append(
        GraphDiff.Change(
          kind: .rewired, before: [outputItem(role, old, before)],
          after: [outputItem(role, new, after)], operands: [operand]))
    }
  }

  /// Whether two roles differ in nothing but the name.
  private func isRenamed(_ x: OutputRole, _ y: OutputRole) -> Bool {
    switch (x, y) {
    case (.state, .state), (.report, .report), (.result, .result): true
    default: false
    }
  }

  private func outputItem(
    _ role: OutputRole, _ place: DiffPart.Place, _ side: DiffSide
  ) -> GraphDiff.Item {
    GraphDiff.Item(
      name: "output \(GraphPrinter.text(role))", binding: .output(role), value: nil, within: nil,
      types: [side.parts[place.part].types[place.result]], origin: side.parts[place.part].origin)
  }
}
