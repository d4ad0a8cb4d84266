// Element-wise fusion: connected element-wise operations of one shape become one `fused` node that holds the
// list of its steps, so that no intermediate of theirs goes through memory. An Adam update of one tensor, with its
// two moments, is one such node.
//
// Before:  %4 = multiply(%1, %2)   %5 = add(%4, %3)   %6 = tanh(%5)
// After:   %6 = fused(%1, %2, %3) {region: (3) { s0 = multiply(i0, i1); s1 = add(s0, i2); s2 = tanh(s1); yield s2 }}

import Basics
import GraphIR
import Operators

package struct FuseElementwise: Pass {
  package init() {}
  package let name = "fuse-elementwise"
  package let summary = "Make connected element-wise operations of one shape one fused node."
  package var requires: Stage { .differentiated }

  /// Bounds that keep a region's registers in the first-level cache.
  static let largestSteps = 64
  static let largestInputs = 24

  package func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    var groups = NodeGroups(graph)
    let kinds = graph.nodes.elements.map { RegionKind($0, graph) }
    // The last nodes first, each taking in what it reads: what is read in one place only is computed there. A mask
    // of a forward value then stands in the backward region that reads it, not as one more result of the forward one.
    for node in kinds.indices.reversed() where kinds[node] != nil && groups.group(of: node) == node
    {
      var grows = true
      while grows {
        grows = false
        // Nearest producers first: they stand last.
        for producer in groups.inputs(of: node).sorted(by: >) {
          guard kinds[groups.members[producer][0]] == kinds[node] else { continue }
          let count = groups.members[producer].count + groups.members[node].count
          guard count <= Self.largestSteps,
            groups.inputCount(producer, node) <= Self.largestInputs
          else { continue }
          if groups.merge(producer: producer, consumer: node) { grows = true }
        }
      }
    }
    return try rebuild(graph, groups, kinds)
  }

  private func rebuild(
    _ graph: Graph, _ groups: NodeGroups, _ kinds: [RegionKind?]
  ) throws(Diagnostic) -> Graph {
    var rewriter = try GraphRewriter(graph)
    let draws = Draws(graph, kinds)
    let escaping = EscapingValues(graph, groups) { draws.areRepeated(producer: $0, consumer: $1) }
    for group in groups.ordered() {
      let nodes = draws.with(groups.members[group]).map { graph.nodes.elements[$0] }
      if kinds[groups.members[group][0]] == nil {
        try rewriter.keep(nodes[0])
        continue
      }
      let made = RegionBuilder.build(
        nodes, graph, results: escaping.results(of: group))
      if !made.results.isEmpty {
        rewriter.builder.origin = mergedOrigin(nodes.map(\.origin))
        let fused = Fused(root: nil, region: made.region)
        let results = try rewriter.builder.add(fused, rewriter.values(made.inputs))
        for (old, new) in zip(made.results, results) { rewriter.replace(old, by: new) }
      }
      for (old, source) in made.copies { rewriter.replace(old, by: rewriter.value(source)) }
    }
    rewriter.builder.setStage(.fused)
    return rewriter.finish()
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

/// The origin of a node made of several: the last one's place and path, with the paths of all.
func mergedOrigin(_ origins: [Origin]) -> Origin {
  guard var merged = origins.last else { return Origin() }
  guard origins.count > 1 else { return merged }
  var paths: [String] = []
  for origin in origins where !origin.path.isEmpty && !paths.contains(origin.path) {
    paths.append(origin.path)
  }
  merged.notes = ["fused from \(origins.count) operations"]
  if paths.count > 1 { merged.notes.append("with " + paths.dropLast().joined(separator: ", ")) }
  return merged
}
