// Element-wise fusion: connected element-wise operations of one shape become one `fused` node that holds the
// list of its steps, so that no intermediate of theirs goes through memory. An Adam update of one tensor, with its
// two moments, is one such node.
//
// Before:  %4 = multiply(%1, %2)   %5 = add(%4, %3)   %6 = tanh(%5)
// After:   %6 = fused(%1, %2, %3) {region: (3) { s0 = multiply(i0, i1); s1 = add(s0, i2); s2 = tanh(s1); yield s2 }}

import Basics
import GraphIR
import Operators

package struct FuseElementwise: FusingPass {
  package init() {}
  package let name = "fuse-elementwise"
  package let summary = "Make connected element-wise operations of one shape one fused node."
  package var requires: Stage { .differentiated }

  /// Bounds that keep a region's registers in the first-level cache.
  static let largestSteps = 64
  static let largestInputs = 24

  package func run(
    _ graph: Graph, explaining report: inout FusionReport
  ) throws(Diagnostic) -> Graph {
    report.begin(graph, pass: name)
    var groups = NodeGroups(graph)
    let kinds = graph.nodes.elements.map { RegionKind($0, graph) }
    let draws = Draws(graph, kinds)
    // The last nodes first, each taking in what it reads: what is read in one place only is computed there. A mask
    // of a forward value then stands in the backward region that reads it, not as one more result of the forward one.
    for node in kinds.indices.reversed() where kinds[node] != nil && groups.group(of: node) == node
    {
      for (producer, reason) in grow(node, &groups, kinds)
      where !draws.areRepeated(all: groups.members[producer], consumer: node) {
        report.refuse(producer: producer, consumer: node, reason)
      }
    }
    return try rebuild(groups, kinds, draws, &report)
  }

  /// Takes in all element-wise producers that it can; returns those that are left, with the reasons.
  private func grow(
    _ node: Int, _ groups: inout NodeGroups, _ kinds: [RegionKind?]
  ) -> [(producer: Int, reason: FusionRefusal)] {
    while true {
      var grows = false
      var refused: [(producer: Int, reason: FusionRefusal)] = []
      // Nearest producers first: they stand last.
      for producer in groups.inputs(of: node).sorted(by: >) {
        guard let made = kinds[groups.members[producer][0]], let read = kinds[node] else {
          continue
        }
        if let reason = made.refusal(of: read) ?? merge(producer, node, &groups) {
          refused.append((producer, reason))
        } else {
          grows = true
        }
      }
      if !grows { return refused }
    }
  }

  /// Merges two groups of one kind; returns why not where they stay apart.
  private func merge(
    _ producer: Int, _ node: Int, _ groups: inout NodeGroups
  ) -> FusionRefusal? {
    let steps = groups.members[producer].count + groups.members[node].count
    if steps > Self.largestSteps { return .tooManySteps(steps, limit: Self.largestSteps) }
    let inputs = groups.inputCount(producer, node)
    if inputs > Self.largestInputs { return .tooManyInputs(inputs, limit: Self.largestInputs) }
    return groups.refusalToMerge(producer: producer, consumer: node)
  }

  private func rebuild(
    _ groups: NodeGroups, _ kinds: [RegionKind?], _ draws: Draws, _ report: inout FusionReport
  ) throws(Diagnostic) -> Graph {
    let graph = groups.graph
    var rewriter = try GraphRewriter(graph)
    let escaping = EscapingValues(graph, groups) { draws.areRepeated(producer: $0, consumer: $1) }
    var made: [FusionReport.Group] = []
    for group in groups.ordered() {
      let members = groups.members[group]
      let node = graph.nodes.elements[members[0]]
      // A draw alone gains nothing by standing in a region.
      if kinds[members[0]] == nil || (members.count == 1 && node.operation.isIndexed) {
        try rewriter.keep(node)
        made.append(.init(members: members, result: rewriter.value(node.results[0])))
      } else {
        let result = try emit(draws.with(members), escaping.results(of: group), &rewriter)
        made.append(.init(members: members, result: result))
      }
    }
    rewriter.builder.setStage(.fused)
    let next = rewriter.finish()
    report.advance(to: next, made)
    return next
  }

  /// Emits the region of some nodes; returns its first result, nil where nothing is left to compute.
  private func emit(
    _ members: [Int], _ escaping: [ValueID], _ rewriter: inout GraphRewriter
  ) throws(Diagnostic) -> ValueID? {
    let nodes = members.map { rewriter.old.nodes.elements[$0] }
    let made = RegionBuilder.build(nodes, rewriter.old, results: escaping)
    if !made.results.isEmpty {
      rewriter.builder.origin = Origin.merging(nodes)
      let fused = Fused(root: nil, region: made.region)
      let results = try rewriter.builder.add(fused, rewriter.values(made.inputs))
      for (old, new) in zip(made.results, results) { rewriter.replace(old, by: new) }
    }
    for (old, source) in made.copies { rewriter.replace(old, by: rewriter.value(source)) }
    return made.results.first.map { rewriter.value($0) }
  }
}

/// What must be equal for two element-wise nodes to stand in one region: the shape, and whether it is arithmetic
/// in f64, which the backend does on the host.
struct RegionKind: Equatable {
  var shape: [Int]
  var isDouble: Bool

  init?(_ node: Node, _ graph: Graph) {
    guard node.operation.isElementwise || node.operation.isIndexed, node.results.count == 1 else {
      return nil
    }
    let types = graph.types(of: node.operands + node.results)
    shape = graph.type(of: node.results[0]).shape
    isDouble = types.contains { $0.element == .f64 }
  }

  /// Why a node of this kind cannot stand in one region with a reader of that kind; nil where it can.
  func refusal(of reader: RegionKind) -> FusionRefusal? {
    if isDouble != reader.isDouble { return .hostArithmetic }
    return shape == reader.shape ? nil : .otherShape(producer: shape, consumer: reader.shape)
  }
}

extension NodeGroups {
  /// Merges two groups; returns what lies between them where they stay apart: the first operation on the way that is
  /// neither element-wise nor a reshape, if there is one.
  mutating func refusalToMerge(producer: Int, consumer: Int) -> FusionRefusal? {
    switch merge(producer: producer, consumer: consumer) {
    case .done: return nil
    case .cycle(let through):
      let nodes = through.map { graph.nodes.elements[members[$0][0]] }
      let node =
        nodes.first { !$0.operation.isElementwise && !$0.operation.isReshape } ?? nodes[0]
      let between = OperationLabel(node, in: graph)
      return node.operation is any ReductionOperation
        ? .reductionBetween(between) : .cycle(through: between)
    }
  }
}

/// Random draws and what is made of them alone, a dropout mask for instance: regions that read such a value compute it
/// again, instead of its being kept in memory from the forward to the backward part. A draw is a function of its place, so
/// that it comes out the same each time.
private struct Draws {
  private let graph: Graph
  private let kinds: [RegionKind?]
  /// Nodes whose full-size operands are all draws.
  private var isDraw: [Bool]

  init(_ graph: Graph, _ kinds: [RegionKind?]) {
    self.graph = graph
    self.kinds = kinds
    isDraw = Array(repeating: false, count: kinds.count)
    for (index, node) in graph.nodes.elements.enumerated() {
      guard let kind = kinds[index], !kind.isDouble, kind.shape != [] else { continue }
      if node.operation.isIndexed {
        isDraw[index] = true
        continue
      }
      let producers = node.operands.map { graph.values[$0].producer?.index }
      let fromDraws = producers.contains { $0.map { isDraw[$0] } ?? false }
      isDraw[index] =
        fromDraws
        && zip(node.operands, producers).allSatisfy { operand, producer in
          graph.type(of: operand).shape == []
            || producer.map { isDraw[$0] && kinds[$0] == kind } ?? false
        }
    }
  }

  /// Whether a consumer's region computes what the producer makes itself.
  func areRepeated(producer: Int, consumer: Int) -> Bool {
    isDraw[producer] && kinds[producer] == kinds[consumer]
  }

  func areRepeated(all producers: [Int], consumer: Int) -> Bool {
    producers.allSatisfy { areRepeated(producer: $0, consumer: consumer) }
  }

  /// A group's nodes and the draws that they read, in topological order.
  func with(_ members: [Int]) -> [Int] {
    var found = Set(members)
    var stack = members
    while let node = stack.popLast() {
      for operand in graph.nodes.elements[node].operands {
        guard let producer = graph.values[operand].producer?.index,
          areRepeated(producer: producer, consumer: node), found.insert(producer).inserted
        else { continue }
        stack.append(producer)
      }
    }
    return found.sorted()
  }
}

/// Which values of each group are read outside it, by nodes that do not repeat what makes them.
struct EscapingValues {
  private var byGroup: [[ValueID]]

  init(
    _ graph: Graph, _ groups: NodeGroups,
    areRepeated: (_ producer: Int, _ consumer: Int) -> Bool = { _, _ in false }
  ) {
    var escapes = BitSet()
    for output in graph.outputs { escapes.insert(output.value) }
    for id in graph.nodes.ids {
      for operand in graph.nodes[id].operands {
        guard let producer = graph.values[operand].producer else { continue }
        if groups.group(of: producer.index) != groups.group(of: id.index),
          !areRepeated(producer.index, id.index)
        {
          escapes.insert(operand)
        }
      }
    }
    byGroup = Array(repeating: [], count: graph.nodes.count)
    for id in graph.nodes.ids {
      for result in graph.nodes[id].results where escapes.contains(result) {
        byGroup[groups.group(of: id.index)].append(result)
      }
    }
  }

  func results(of group: Int) -> [ValueID] { byGroup[group] }
}

/// Makes a region of nodes in topological order. Nodes that compute nothing are no steps of it.
enum RegionBuilder {
  struct Made {
    var region: Region
    /// The values of the graph that the region's inputs are.
    var inputs: [ValueID]
    var results: [ValueID]
    /// Results that are copies, of other results or of values from outside the region.
    var copies: [(ValueID, of: ValueID)]
  }

  static func build(_ nodes: [Node], _ graph: Graph, results: [ValueID]) -> Made {
    var inputs: [ValueID] = []
    var steps: [Region.Step] = []
    var places: [ValueID: Region.Reference] = [:]
    /// The value that a copy is of.
    var sources: [ValueID: ValueID] = [:]
    for node in nodes {
      let operands = node.operands.map { sources[$0] ?? $0 }
      if isCopy(node, graph) {
        sources[node.results[0]] = operands[0]
        continue
      }
      var arguments: [Region.Reference] = []
      for operand in operands {
        if places[operand] == nil {
          places[operand] = .input(inputs.count)
          inputs.append(operand)
        }
        arguments.append(places[operand]!)
      }
      places[node.results[0]] = .step(steps.count)
      steps.append(Region.Step(node.operation, arguments))
    }
    var made = Made(
      region: Region(inputCount: inputs.count, steps: steps, results: []), inputs: inputs,
      results: [], copies: [])
    for result in results {
      let source = sources[result] ?? result
      if case .step(let step)? = places[source], !made.results.contains(source) {
        made.results.append(source)
        made.region.results.append(.step(step))
      }
      if source != result { made.copies.append((result, of: source)) }
    }
    return made
  }

  private static func isCopy(_ node: Node, _ graph: Graph) -> Bool {
    guard node.operation is StopGradient || node.operation is Convert else { return false }
    return graph.type(of: node.operands[0]) == graph.type(of: node.results[0])
  }
}
