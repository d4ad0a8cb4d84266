// Epilogue fusion: a matmul or convolution takes over the region that reads its result, so that bias,
// activation, activation gradient or even an optimiser's update are applied to the tile before it leaves the core.
// The pattern is the same in inference and training graphs, because activation gradients are written from
// results. A reshape between the two is no obstacle: the region then works in the root's shape.
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
  package var requires: Stage { .differentiated }

  /// The operations that can have an epilogue.
  private static func canBeRoot(_ operation: any Operation) -> Bool {
    operation is MatMul || operation is Conv2D || operation is Conv2DInputGradient
  }

  package func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    var groups = NodeGroups(graph)
    var chosen: [Int: Epilogue] = [:]
    for id in graph.nodes.ids {
      let node = graph.nodes[id]
      guard (node.operation as? Fused)?.root == nil else { continue }
      // Of several candidates the last: the others are ready by then.
      for epilogue in candidates(node, graph).sorted(by: { $0.root > $1.root }) {
        if merge(epilogue, id.index, &groups) {
          chosen[groups.group(of: id.index)] = epilogue
          break
        }
      }
    }
    return try rebuild(graph, groups, chosen)
  }

  /// Makes one group of the root, the reshape behind it, and the region; returns whether it was done.
  private func merge(_ epilogue: Epilogue, _ node: Int, _ groups: inout NodeGroups) -> Bool {
    func isFree(_ index: Int) -> Bool { groups.members[groups.group(of: index)] == [index] }
    guard isFree(epilogue.root) else { return false }
    guard let view = epilogue.view else {
      return groups.merge(producer: epilogue.root, consumer: groups.group(of: node))
    }
    guard isFree(view) else { return false }
    var trial = groups
    guard trial.merge(producer: epilogue.root, consumer: view),
      trial.merge(producer: view, consumer: trial.group(of: node))
    else { return false }
    groups = trial
    return true
  }

  /// The producers of a region's inputs that can be its root: of the region's full size, f32.
  private func candidates(_ node: Node, _ graph: Graph) -> [Epilogue] {
    guard node.operation is Fused else { return [] }
    var found: [Epilogue] = []
    for operand in node.operands {
      guard var producer = graph.values[operand].producer else { continue }
      var view: Int?
      if graph.nodes[producer].operation is Reshape {
        guard let behind = graph.values[graph.nodes[producer].operands[0]].producer else {
          continue
        }
        view = producer.index
        producer = behind
      }
      guard Self.canBeRoot(graph.nodes[producer].operation),
        !found.contains(where: { $0.root == producer.index }),
        let epilogue = Epilogue(root: producer.index, view: view, input: operand, node, graph)
      else { continue }
      found.append(epilogue)
    }
    return found
  }

  private func rebuild(
    _ graph: Graph, _ groups: NodeGroups, _ chosen: [Int: Epilogue]
  ) throws(Diagnostic) -> Graph {
    var rewriter = try GraphRewriter(graph)
    let escaping = EscapingValues(graph, groups)
    for group in groups.ordered() {
      guard let epilogue = chosen[group] else {
        try rewriter.keep(graph.nodes.elements[groups.members[group][0]])
        continue
      }
      try emit(epilogue, escaping.results(of: group), &rewriter)
    }
    return rewriter.finish()
  }

  private func emit(
    _ epilogue: Epilogue, _ escaping: [ValueID], _ rewriter: inout GraphRewriter
  ) throws(Diagnostic) {
    let (old, builder) = (rewriter.old, rewriter.builder)
    let root = old.nodes.elements[epilogue.root]
    let ownResults = root.results + (epilogue.view.map { old.nodes.elements[$0].results } ?? [])
    var operation = epilogue.operation
    let rootEscapes = ownResults.contains { escaping.contains($0) }
    if rootEscapes { operation.region.results.append(.input(0)) }

    var operands = rewriter.values(root.operands)
    builder.origin = mergedOrigin([root.origin, epilogue.node.origin])
    for (operand, shape) in zip(epilogue.others, epilogue.shapes) {
      operands.append(try builder.reshape(rewriter.value(operand), shape))
    }
    let results = try builder.add(operation, operands)
    for (value, new) in zip(epilogue.node.results, results) {
      rewriter.replace(value, by: try builder.reshape(new, old.type(of: value).shape))
    }
    guard rootEscapes, let last = results.last else { return }
    for value in ownResults {
      rewriter.replace(value, by: try builder.reshape(last, old.type(of: value).shape))
    }
  }
}

/// A region with a root that could take it over.
struct Epilogue {
  let root: Int
  /// The reshape between root and region, if there is one.
  let view: Int?
  /// The node of the region.
  let node: Node
  /// The region's operands apart from the root's result, and the shapes in which the epilogue reads them.
  private(set) var others: [ValueID] = []
  private(set) var shapes: [[Int]] = []
  private(set) var operation: Fused

  /// Nil where the region cannot work in the root's shape. `input` is the operand that comes from the root.
  init?(root: Int, view: Int?, input: ValueID, _ node: Node, _ graph: Graph) {
    guard let fused = node.operation as? Fused else { return nil }
    (self.root, self.view, self.node) = (root, view, node)
    let rootNode = graph.nodes.elements[root]
    let rootType = graph.type(of: rootNode.results[0])
    let shape = graph.type(of: input).shape
    var places: [Region.Reference] = []
    let whole = fused.region.inputsReadWhole
    for (index, operand) in node.operands.enumerated() {
      if operand == input {
        places.append(.input(0))
        continue
      }
      let type = graph.type(of: operand)
      guard
        let moved = whole.contains(index)
          ? type.shape : Self.moved(type.shape, from: shape, to: rootType.shape)
      else { return nil }
      others.append(operand)
      shapes.append(moved)
      places.append(.input(others.count))
    }
    func moved(_ reference: Region.Reference) -> Region.Reference {
      if case .input(let index) = reference { places[index] } else { reference }
    }
    let region = Region(
      inputCount: 1 + others.count,
      steps: fused.region.steps.map {
        Region.Step(
          Self.moved($0.operation.operation, to: rootType.shape), $0.arguments.map(moved))
      }, results: fused.region.results.map(moved))
    operation = Fused(root: rootNode.operation, region: region)

    // Every result must be a tile of the root's.
    let otherTypes = zip(others, shapes).map { graph.type(of: $0).with(shape: $1) }
    guard graph.types(of: node.results).allSatisfy({ $0.shape == shape }),
      let types = try? operation.inferTypes(graph.types(of: rootNode.operands) + otherTypes),
      types == graph.types(of: node.results).map({ $0.with(shape: rootType.shape) })
    else { return nil }
  }

  /// A draw has the same elements at the same flat places in any shape.
  private static func moved(_ operation: any Operation, to shape: [Int]) -> any Operation {
    guard var draw = operation as? any RandomOperation else { return operation }
    draw.shape = shape
    return draw
  }

  /// The shape in which a tensor that broadcasts to `from` broadcasts to `to`, a reshape of `from`, with the same
  /// elements at the same flat places. Nil where there is none.
  static func moved(_ shape: [Int], from: [Int], to: [Int]) -> [Int]? {
    if from == to { return shape }
    if shape.allSatisfy({ $0 == 1 }) { return [] }
    let padded = Array(repeating: 1, count: from.count - shape.count) + shape
    let count = shape.reduce(1, *)
    if padded == from { return to }
    let axes = from.indices.filter { from[$0] != 1 }
    let kept = axes.filter { padded[$0] != 1 }
    // Repeated along the first axes: the last ones must be the last ones of `to`.
    if kept == Array(axes.suffix(kept.count)) {
      var product = 1
      for axis in to.indices.reversed() {
        product *= to[axis]
        if product == count { return Array(to[axis...]) }
      }
    }
    // Repeated along the last axes.
    if kept == Array(axes.prefix(kept.count)) {
      var product = 1
      for axis in to.indices {
        product *= to[axis]
        if product == count {
          return Array(to[...axis]) + Array(repeating: 1, count: to.count - axis - 1)
        }
      }
    }
    return nil
  }
}
