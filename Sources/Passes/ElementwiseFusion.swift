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
    for node in graph.nodes.ids.map(\.index) where kinds[node] != nil {
      // Nearest producers first: they stand last.
      let producers = Set(groups.inputs(of: groups.group(of: node))).sorted(by: >)
      for producer in producers {
        let first = groups.members[producer].first!
        guard kinds[first] == kinds[node] else { continue }
        let consumer = groups.group(of: node)
        let count = groups.members[producer].count + groups.members[consumer].count
        guard count <= Self.largestSteps,
          inputCount(groups.members[producer] + groups.members[consumer], graph)
            <= Self.largestInputs
        else { continue }
        _ = groups.merge(producer: producer, consumer: consumer)
      }
    }
    return try rebuild(graph, groups, kinds)
  }

  /// The values that a set of nodes reads from outside.
  private func inputCount(_ nodes: [Int], _ graph: Graph) -> Int {
    var inside = Set<ValueID>()
    var outside = Set<ValueID>()
    for node in nodes {
      for result in graph.nodes.elements[node].results { inside.insert(result) }
    }
    for node in nodes {
      for operand in graph.nodes.elements[node].operands where !inside.contains(operand) {
        outside.insert(operand)
      }
    }
    return outside.count
  }

  private func rebuild(
    _ graph: Graph, _ groups: NodeGroups, _ kinds: [RegionKind?]
  ) throws(Diagnostic) -> Graph {
    var rewriter = try GraphRewriter(graph)
    let escaping = EscapingValues(graph, groups)
    for group in groups.ordered() {
      let nodes = groups.members[group].map { graph.nodes.elements[$0] }
      if kinds[groups.members[group][0]] == nil {
        try rewriter.keep(nodes[0])
        continue
      }
      let made = RegionBuilder.build(nodes, results: escaping.results(of: group))
      rewriter.builder.origin = mergedOrigin(nodes.map(\.origin))
      let fused = Fused(root: nil, region: made.region)
      let results = try rewriter.builder.add(fused, rewriter.values(made.inputs))
      for (old, new) in zip(made.results, results) { rewriter.replace(old, by: new) }
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
    guard node.operation.isElementwise, node.results.count == 1 else { return nil }
    let types = graph.types(of: node.operands + node.results)
    shape = graph.type(of: node.results[0]).shape
    isDouble = types.contains { $0.element == .f64 }
  }
}

/// Which values of each group are read outside it.
struct EscapingValues {
  private var byGroup: [[ValueID]]

  init(_ graph: Graph, _ groups: NodeGroups) {
    var escapes = BitSet()
    for output in graph.outputs { escapes.insert(output.value) }
    for id in graph.nodes.ids {
      for operand in graph.nodes[id].operands {
        guard let producer = graph.values[operand].producer else { continue }
        if groups.group(of: producer.index) != groups.group(of: id.index) { escapes.insert(operand) }
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

/// Makes a region of nodes in topological order.
enum RegionBuilder {
  struct Made {
    var region: Region
    /// The values of the graph that the region's inputs are.
    var inputs: [ValueID]
    var results: [ValueID]
  }

  static func build(_ nodes: [Node], results: [ValueID]) -> Made {
    var inputs: [ValueID] = []
    var places: [ValueID: Region.Reference] = [:]
    var steps: [Region.Step] = []
    for node in nodes {
      var arguments: [Region.Reference] = []
      for operand in node.operands {
        if let known = places[operand] {
          arguments.append(known)
        } else {
          let input = Region.Reference.input(inputs.count)
          places[operand] = input
          inputs.append(operand)
          arguments.append(input)
        }
      }
      places[node.results[0]] = .step(steps.count)
      steps.append(Region.Step(node.operation, arguments))
    }
    let region = Region(
      inputCount: inputs.count, steps: steps, results: results.map { places[$0]! })
    return Made(region: region, inputs: inputs, results: results)
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
