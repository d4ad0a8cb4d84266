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
    var change = GraphDiff.Change(
      kind: .removed, before: [withAttributes(beforeItem(x), before.parts[x])], after: [])
    change.reads = before.parts[x].operands.map { beforeItem($0.part) }
    change.readers = readers(of: x, before, beforeItem)
    change.equal = matching.firstAfter[matching.beforeClasses[x]].map(afterItem)
    return change
  }

  private func addition(_ y: Int) -> GraphDiff.Change {
    var change = GraphDiff.Change(
      kind: .added, before: [], after: [withAttributes(afterItem(y), after.parts[y])])
    change.reads = after.parts[y].operands.map { afterItem($0.part) }
    change.readers = readers(of: y, after, afterItem)
    change.equal = matching.firstBefore[matching.afterClasses[y]].map(beforeItem)
    return change
  }

  private func withAttributes(_ item: GraphDiff.Item, _ part: DiffPart) -> GraphDiff.Item {
    var item = item
    item.attributes = part.attributes
    return item
  }

  /// Each once, in order; outputs of the graph last.
  private func readers(
    of part: Int, _ side: DiffSide, _ item: (Int) -> GraphDiff.Item
  ) -> [GraphDiff.Item] {
    var found: [GraphDiff.Item] = []
    var last: Int?
    // Those of one reader stand together.
    for (reader, _) in side.users[part] where reader != last {
      found.append(item(reader))
      last = reader
    }
    return found
      + side.outputsOfPart[part].map {
        outputItem(side.outputs[$0].role, side.outputs[$0].place, side)
      }
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
    // Of one operation in another's place all attributes are shown, of one with other attributes those.
    let isOther = a.mnemonic != b.mnemonic
    let old = isOther ? withAttributes(beforeItem(x), a) : beforeItem(x)
    let new = isOther ? withAttributes(afterItem(y), b) : afterItem(y)
    changes.append(
      GraphDiff.Change(
        kind: kind, before: [old], after: [new], attributes: attributes, operands: operands))
  }

  private func attributeChanges(_ a: DiffPart, _ b: DiffPart) -> [GraphDiff.AttributeChange] {
    var names = a.attributes.map(\.name)
    for attribute in b.attributes where !names.contains(attribute.name) {
      names.append(attribute.name)
    }
    return names.compactMap { name in
      let old = a.attributes.first { $0.name == name }?.value
      let new = b.attributes.first { $0.name == name }?.value
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

  /// At most so many removed operations are looked at for one operand.
  private static let longestWay = 256

  /// Whether a removed operation read what is now read in its place, through other removed ones too.
  private func leadsThroughRemoved(_ old: DiffPart.Place, to new: DiffPart.Place) -> Bool {
    var waiting = [old.part]
    var seen: Set<Int> = []
    while let x = waiting.popLast(), seen.count < Self.longestWay {
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
    var known: Set<NodePair> = []
    for (x, y) in matching.toAfter.enumerated() {
      guard let y, let old = before.parts[x].node?.index, let new = after.parts[y].node?.index
      else { continue }
      guard known.insert(NodePair(before: old, after: new)).inserted else { continue }
      partners[old].append(new)
      sources[new].append(old)
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
    var gained = GainedOutputs(after, classes: matching.afterClasses) { before.output($0) == nil }
    for (role, place) in before.outputs where after.output(role) == nil {
      let old = outputItem(role, place, before)
      let partner = matching.toAfter[place.part].map { matching.afterClasses[$0] }
      let classes = [partner, matching.beforeClasses[place.part]].compactMap { $0 }
      guard let index = gained.take(like: role, result: place.result, classes) else {
        changes.append(GraphDiff.Change(kind: .removed, before: [old], after: []))
        continue
      }
      let (name, place) = after.outputs[index]
      changes.append(
        GraphDiff.Change(kind: .renamed, before: [old], after: [outputItem(name, place, after)]))
    }
    for index in gained.left {
      let (role, place) = after.outputs[index]
      changes.append(
        GraphDiff.Change(kind: .added, before: [], after: [outputItem(role, place, after)]))
    }
    for (role, old) in before.outputs {
      guard let new = after.output(role), !isSameOrSaid(old, new) else { continue }
      let operand = GraphDiff.OperandChange(
        position: 0, before: beforeItem(old.part), after: afterItem(new.part))
      changes.append(
        GraphDiff.Change(
          kind: .rewired, before: [outputItem(role, old, before)],
          after: [outputItem(role, new, after)], operands: [operand]))
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

/// Nodes of both sides, by their numbers, that hold matched operations.
private struct NodePair: Hashable {
  var before: Int
  var after: Int
}

/// Outputs of one side whose roles the other side does not have, to be found by what they are.
private struct GainedOutputs {
  /// What two outputs that differ in nothing but the name have in common.
  private struct Key: Hashable {
    enum Kind { case state, report, result }
    var kind: Kind
    var result: Int
    var computation: Int

    init(_ role: OutputRole, result: Int, computation: Int) {
      kind =
        switch role {
        case .state: .state
        case .report: .report
        case .result: .result
        }
      self.result = result
      self.computation = computation
    }
  }

  /// By what they are, the first one last; for look-ups only.
  private var waiting: [Key: [Int]] = [:]
  /// The indices of those that were not taken, in order.
  var left: [Int] { isLeft.indices.filter { isLeft[$0] } }
  private var isLeft: [Bool]

  init(_ side: DiffSide, classes: [Int], where isGained: (OutputRole) -> Bool) {
    isLeft = side.outputs.map { isGained($0.role) }
    for index in side.outputs.indices.reversed() where isLeft[index] {
      let (role, place) = side.outputs[index]
      let key = Key(role, result: place.result, computation: classes[place.part])
      waiting[key, default: []].append(index)
    }
  }

  /// Takes the first one that is the same result of one of these computations.
  mutating func take(like role: OutputRole, result: Int, _ computations: [Int]) -> Int? {
    for computation in computations {
      let key = Key(role, result: result, computation: computation)
      if let index = waiting[key]?.popLast() {
        isLeft[index] = false
        return index
      }
    }
    return nil
  }
}
