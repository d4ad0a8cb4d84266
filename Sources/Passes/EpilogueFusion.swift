// Epilogue fusion: a matmul or convolution takes over the region that reads its result, so that bias,
// activation, activation gradient or even an optimiser's update are applied to the tile before it leaves the core.
// The pattern is the same in inference and training graphs, because activation gradients are written from
// results.
//
// Before:  %3 = conv2d(%1, %2)   %5 = fused(%3, %4) {region: (2) { s0 = add(i0, i1); … }}
// After:   %5 = fused(%1, %2, %4) {root: conv2d, region: (2) { s0 = add(i0, i1); … }}

import Basics
import GraphIR
import Operators

package struct FuseEpilogues: Pass {
  package init() {}
  package let name = "fuse-epilogues"
  package let summary = "Give the region after a matmul or convolution to it as its epilogue."
  package var requires: Stage { .fused }

  package func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    var groups = NodeGroups(graph)
    var rootOfGroup: [Int: Int] = [:]
    for id in graph.nodes.ids {
      let node = graph.nodes[id]
      guard let fused = node.operation as? Fused, fused.root == nil else { continue }
      // Of several candidates the last: the others are ready by then.
      for root in candidates(node, graph).sorted(by: >) {
        guard groups.members[groups.group(of: root)] == [root] else { continue }
        if groups.merge(producer: root, consumer: groups.group(of: id.index)) {
          rootOfGroup[groups.group(of: id.index)] = root
          break
        }
      }
    }
    return try rebuild(graph, groups, rootOfGroup)
  }

  /// The producers of a region's inputs that can be its root: of the region's full shape, f32.
  private func candidates(_ node: Node, _ graph: Graph) -> [Int] {
    let shape = graph.type(of: node.results[0]).shape
    guard graph.types(of: node.results).allSatisfy({ $0.shape == shape }) else { return [] }
    var found: [Int] = []
    for operand in node.operands {
      guard let producer = graph.values[operand].producer, graph.type(of: operand) == .f32(shape)
      else { continue }
      switch graph.nodes[producer].operation {
      case is MatMul, is Conv2D, is Conv2DInputGradient:
        if !found.contains(producer.index) { found.append(producer.index) }
      default: break
      }
    }
    return found
  }

  private func rebuild(
    _ graph: Graph, _ groups: NodeGroups, _ rootOfGroup: [Int: Int]
  ) throws(Diagnostic) -> Graph {
    var rewriter = try GraphRewriter(graph)
    let escaping = EscapingValues(graph, groups)
    for group in groups.ordered() {
      let members = groups.members[group]
      guard let rootIndex = rootOfGroup[group], members.count == 2 else {
        try rewriter.keep(graph.nodes.elements[members[0]])
        continue
      }
      let root = graph.nodes.elements[rootIndex]
      let node = graph.nodes.elements[members.first { $0 != rootIndex }!]
      let rootEscapes = escaping.results(of: group).contains(root.results[0])
      let merged = absorb(root, node, rootEscapes: rootEscapes)
      rewriter.builder.origin = mergedOrigin([root.origin, node.origin])
      let results = try rewriter.builder.add(merged.operation, rewriter.values(merged.operands))
      for (old, new) in zip(merged.results, results) { rewriter.replace(old, by: new) }
    }
    return rewriter.finish()
  }

  private struct Merged {
    var operation: Fused
    var operands: [ValueID]
    var results: [ValueID]
  }

  /// The region with the root's result as its first input.
  private func absorb(_ root: Node, _ node: Node, rootEscapes: Bool) -> Merged {
    let region = (node.operation as? Fused)?.region ?? Region(inputCount: 0, steps: [], results: [])
    let others = node.operands.filter { $0 != root.results[0] }
    func moved(_ reference: Region.Reference) -> Region.Reference {
      guard case .input(let index) = reference else { return reference }
      let value = node.operands[index]
      if value == root.results[0] { return .input(0) }
      return .input(1 + others.firstIndex(of: value)!)
    }
    let steps = region.steps.map {
      Region.Step($0.operation.operation, $0.arguments.map(moved))
    }
    var results = region.results.map(moved)
    if rootEscapes { results.append(.input(0)) }
    let epilogue = Region(inputCount: 1 + others.count, steps: steps, results: results)
    return Merged(
      operation: Fused(root: root.operation, region: epilogue),
      operands: root.operands + others,
      results: node.results + (rootEscapes ? root.results : []))
  }
}
