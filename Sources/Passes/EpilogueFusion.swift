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

package struct FuseEpilogues: FusingPass {
  package init() {}
  package let name = "fuse-epilogues"
  package let summary = "Give the region after a matmul or convolution to it as its epilogue."
  package var requires: Stage { .differentiated }

  /// The operations that can have an epilogue.
  private static func canBeRoot(_ operation: any Operation) -> Bool {
    operation is MatMul || operation is Conv2D || operation is Conv2DInputGradient
  }

  package func run(
    _ graph: Graph, explaining report: inout FusionReport
  ) throws(Diagnostic) -> Graph {
    report.begin(graph, pass: name)
    var groups = NodeGroups(graph)
    var chosen: [Int: Epilogue] = [:]
    let users = graph.users()
    for id in graph.nodes.ids {
      guard graph.nodes[id].operation.isRegion else { continue }
      if let epilogue = choose(id.index, &groups, &report) {
        chosen[groups.group(of: id.index)] = epilogue
      } else {
        refuseReaders(of: id.index, graph, users, &report)
      }
    }
    refuseStatistics(groups, chosen, &report)
    return try rebuild(groups, chosen, &report)
  }

  /// Gives a region to one of the producers of its inputs, where one can have it.
  private func choose(
    _ node: Int, _ groups: inout NodeGroups, _ report: inout FusionReport
  ) -> Epilogue? {
    var found: [Epilogue] = []
    for producer in producers(of: node, groups.graph)
    where !found.contains(where: { $0.root == producer.node }) {
      do throws(FusionRefusal) {
        found.append(try candidate(producer, node, groups.graph))
      } catch {
        report.refuse(producer: producer.node, consumer: node, view: producer.view, error)
      }
    }
    var chosen: Epilogue?
    // Of several candidates the last: the others are ready by then.
    for epilogue in found.sorted(by: { $0.root > $1.root }) {
      let reason = chosen == nil ? merge(epilogue, node, &groups) : .otherRoot
      if let reason {
        report.refuse(producer: epilogue.root, consumer: node, view: epilogue.view, reason)
      } else {
        chosen = epilogue
      }
    }
    return chosen
  }

  /// Makes one group of the root, the reshape behind it, and the region; returns why not where they stay apart.
  private func merge(
    _ epilogue: Epilogue, _ node: Int, _ groups: inout NodeGroups
  ) -> FusionRefusal? {
    func isFree(_ index: Int) -> Bool { groups.members[groups.group(of: index)] == [index] }
    guard isFree(epilogue.root) else { return .rootTaken }
    guard let view = epilogue.view else {
      return groups.refusalToMerge(producer: epilogue.root, consumer: groups.group(of: node))
    }
    guard isFree(view) else { return .rootTaken }
    var trial = groups
    if let reason = trial.refusalToMerge(producer: epilogue.root, consumer: view)
      ?? trial.refusalToMerge(producer: view, consumer: trial.group(of: node))
    {
      return reason
    }
    groups = trial
    return nil
  }

  /// What computes an operand of a region.
  private struct Producer {
    var node: Int
    /// The reshape between it and the region.
    var view: Int?
    var operand: ValueID
  }

  /// The producers of a node's operands, apart from constants, and, without `regions`, from regions that it reads as they
  /// are: `fuse-elementwise` looked at those where the node is one.
  private func producers(of node: Int, _ graph: Graph, regions: Bool = false) -> [Producer] {
    var found: [Producer] = []
    for operand in graph.nodes.elements[node].operands {
      guard var producer = graph.values[operand].producer else { continue }
      var view: Int?
      if graph.nodes[producer].operation is Reshape {
        guard let behind = graph.values[graph.nodes[producer].operands[0]].producer else {
          continue
        }
        view = producer.index
        producer = behind
      }
      let operation = graph.nodes[producer].operation
      if operation is Constant || !regions && view == nil && operation.isRegion { continue }
      found.append(Producer(node: producer.index, view: view, operand: operand))
    }
    return found
  }

  /// The region as the epilogue of a producer: one that can be a root, of the region's full size, f32.
  private func candidate(
    _ producer: Producer, _ node: Int, _ graph: Graph
  ) throws(FusionRefusal) -> Epilogue {
    let operation = graph.nodes.elements[producer.node].operation
    if !Self.canBeRoot(operation) {
      if operation.isRegion, let made = graph.nodes.elements[producer.node].results.first {
        throw .otherShape(
          producer: graph.type(of: made).shape, consumer: graph.type(of: producer.operand).shape)
      }
      if operation is Fused { throw .rootTaken }
      if operation is Conv2DFilterGradient { throw .filterGradient }
      if operation is Moments {
        let batch = graph.type(of: graph.nodes.elements[producer.node].operands[0])
        let made = graph.type(of: graph.nodes.elements[node].results[0])
        if made.count == batch.count { throw .batchStatistics }
      }
      throw operation is any ReductionOperation ? .reduction : .noEpilogue
    }
    return try Epilogue(
      root: producer.node, view: producer.view, input: producer.operand,
      graph.nodes.elements[node], graph)
  }

  /// What reads a region's results, also through a reshape, does not compute them on the way.
  private func refuseReaders(
    of node: Int, _ graph: Graph, _ users: Table<ValueTag, [NodeID]>, _ report: inout FusionReport
  ) {
    func refuse(_ reader: NodeID, view: Int?) {
      let operation = graph.nodes[reader].operation
      let core = (operation as? Fused)?.root?.operation ?? operation
      // Regions were looked at when they were made.
      if core is Fused { return }
      report.refuse(
        producer: node, consumer: reader.index, view: view, .noPrologue(ofProduct: core.isProduct))
    }
    for result in graph.nodes.elements[node].results {
      for reader in users[result] {
        if graph.nodes[reader].operation is Reshape {
          for behind in users[graph.nodes[reader].results[0]] {
            refuse(behind, view: reader.index)
          }
        } else {
          refuse(reader, view: nil)
        }
      }
    }
  }

  /// The statistics of a product's result, with or without an epilogue, stay a pass of their own.
  private func refuseStatistics(
    _ groups: NodeGroups, _ chosen: [Int: Epilogue], _ report: inout FusionReport
  ) {
    let graph = groups.graph
    for (index, node) in graph.nodes.elements.enumerated() where node.operation is Moments {
      for producer in producers(of: index, graph, regions: true) {
        let isProduct =
          Self.canBeRoot(graph.nodes.elements[producer.node].operation)
          || chosen[groups.group(of: producer.node)] != nil
        guard isProduct else { continue }
        let bytes = graph.type(of: producer.operand).byteCount
        report.refuse(
          producer: producer.node, consumer: index, view: producer.view,
          .productStatistics(bytes: bytes))
      }
    }
  }

  private func rebuild(
    _ groups: NodeGroups, _ chosen: [Int: Epilogue], _ report: inout FusionReport
  ) throws(Diagnostic) -> Graph {
    let graph = groups.graph
    var rewriter = try GraphRewriter(graph)
    let escaping = EscapingValues(graph, groups)
    var made: [FusionReport.Group] = []
    for group in groups.ordered() {
      let members = groups.members[group]
      if let epilogue = chosen[group] {
        let result = try emit(epilogue, escaping.results(of: group), &rewriter)
        made.append(.init(members: members, result: result))
      } else {
        let node = graph.nodes.elements[members[0]]
        try rewriter.keep(node)
        made.append(.init(members: members, result: rewriter.value(node.results[0])))
      }
    }
    let next = rewriter.finish()
    report.advance(to: next, made)
    return next
  }

  /// Emits a root with its epilogue; returns the first result of the new node.
  private func emit(
    _ epilogue: Epilogue, _ escaping: [ValueID], _ rewriter: inout GraphRewriter
  ) throws(Diagnostic) -> ValueID {
    let (old, builder) = (rewriter.old, rewriter.builder)
    let root = old.nodes.elements[epilogue.root]
    let ownResults = root.results + (epilogue.view.map { old.nodes.elements[$0].results } ?? [])
    var operation = epilogue.operation
    let rootEscapes = ownResults.contains { escaping.contains($0) }
    if rootEscapes { operation.region.results.append(.input(0)) }

    var operands = rewriter.values(root.operands)
    builder.origin = Origin.merging([root, epilogue.node])
    for (operand, shape) in zip(epilogue.others, epilogue.shapes) {
      operands.append(try builder.reshape(rewriter.value(operand), shape))
    }
    let results = try builder.add(operation, operands)
    for (value, new) in zip(epilogue.node.results, results) {
      rewriter.replace(value, by: try builder.reshape(new, old.type(of: value).shape))
    }
    if rootEscapes, let last = results.last {
      for value in ownResults {
        rewriter.replace(value, by: try builder.reshape(last, old.type(of: value).shape))
      }
    }
    return results[0]
  }
}

extension Operation {
  /// True for element-wise steps without a root.
  fileprivate var isRegion: Bool { (self as? Fused).map { $0.root == nil } ?? false }
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

  /// Throws where the region cannot work in the root's shape. `input` is the operand that comes from the root.
  init(
    root: Int, view: Int?, input: ValueID, _ node: Node, _ graph: Graph
  ) throws(FusionRefusal) {
    guard let fused = node.operation as? Fused else { throw .noEpilogue }
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
      else { throw .operandShape(type.shape, root: rootType.shape) }
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
    else {
      throw .resultShape(
        node.results.first.map { graph.type(of: $0).shape } ?? [], root: rootType.shape)
    }
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
