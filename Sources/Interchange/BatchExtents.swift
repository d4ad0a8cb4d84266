// Which sizes of a graph are the batch. Graphs have static shapes; so a network is elaborated at two
// batch sizes and the two graphs are compared node by node: a size that is the same in both is fixed,
// one that is k times the batch in both is written as k · batch. What cannot be explained so makes
// the export fall back to the batch that it has.

import Basics
import GraphIR
import Operators

/// One size of a tensor of an exported model.
package enum Extent: Hashable, Sendable, CustomStringConvertible {
  case fixed(Int)
  /// So many times the batch.
  case batch(Int)

  package var isBatch: Bool { if case .batch = self { true } else { false } }

  package var description: String {
    switch self {
    case .fixed(let size): "\(size)"
    case .batch(1): "batch"
    case .batch(let factor): "\(factor)*batch"
    }
  }
}

/// A scalar whose value depends on the batch, as the 1/n of a mean over it does.
enum BatchFactor: Hashable, Sendable {
  /// The value is this, times the batch or divided by it.
  case times(Double)
  case over(Double)
}

/// Why a graph cannot be written with a free batch.
package struct BatchDependence: Error, Sendable, CustomStringConvertible {
  package var description: String
}

/// A graph with the extents of all its values and of the attributes that count elements.
package struct ExtentGraph: Sendable {
  package let graph: Graph
  let extents: Table<ValueTag, [Extent]>
  /// Attributes that are lists of sizes, by node, as extents: the ends of a slice.
  let starts: [NodeID: [Extent]]
  let ends: [NodeID: [Extent]]
  /// Constants whose one value depends on the batch.
  let factors: [NodeID: BatchFactor]

  /// Every size fixed.
  package init(_ graph: Graph) {
    self.graph = graph
    extents = Table(graph.values.elements.map { $0.type.shape.map { .fixed($0) } })
    starts = [:]
    ends = [:]
    factors = [:]
  }

  /// Compares a graph at two batch sizes. Two different primes tell sizes that are the batch from
  /// those that happen to be as large.
  package init(
    _ first: Graph, at a: Int, _ second: Graph, at b: Int
  ) throws(BatchDependence) {
    guard first.nodes.count == second.nodes.count, first.values.count == second.values.count,
      first.inputs == second.inputs, first.outputs == second.outputs
    else {
      throw BatchDependence(description: "the graph has other operations at another batch")
    }
    var comparison = BatchComparison(a: a, b: b)
    var extents = Table<ValueTag, [Extent]>()
    for id in first.values.ids {
      let sizes = (first.values[id].type.shape, second.values[id].type.shape)
      guard let found = comparison.extents(sizes.0, sizes.1) else {
        let place = first.producer(of: id)?.origin.provenance() ?? "an argument"
        throw BatchDependence(
          description: "the shape \(shapeText(sizes.0)) of \(place) does not grow with the batch")
      }
      _ = extents.append(found)
    }
    for id in first.nodes.ids { try comparison.compare(id, first.nodes[id], second.nodes[id]) }
    graph = first
    self.extents = extents
    starts = comparison.starts
    ends = comparison.ends
    factors = comparison.factors
  }

  package var hasBatch: Bool { batchSource != nil }

  /// An argument and an axis of it whose size is the batch itself.
  var batchSource: (value: ValueID, axis: Int)? {
    for input in graph.inputs {
      if let axis = extents[input.value].firstIndex(of: .batch(1)) { return (input.value, axis) }
    }
    return nil
  }
}

private struct BatchComparison {
  let a: Int
  let b: Int
  var starts: [NodeID: [Extent]] = [:]
  var ends: [NodeID: [Extent]] = [:]
  var factors: [NodeID: BatchFactor] = [:]

  func extents(_ first: [Int], _ second: [Int]) -> [Extent]? {
    guard first.count == second.count else { return nil }
    var found: [Extent] = []
    for (x, y) in zip(first, second) {
      if x == y {
        found.append(.fixed(x))
      } else if x % a == 0, y % b == 0, x / a == y / b {
        found.append(.batch(x / a))
      } else {
        return nil
      }
    }
    return found
  }

  mutating func compare(
    _ id: NodeID, _ first: Node, _ second: Node
  ) throws(BatchDependence) {
    guard first.operands == second.operands, first.results == second.results,
      first.operation.mnemonic == second.operation.mnemonic
    else { throw different(first, "is another operation at another batch") }
    if first.operation.isEqual(to: second.operation) { return }
    switch (first.operation, second.operation) {
    case (is Reshape, is Reshape), (is Broadcast, is Broadcast), (is Iota, is Iota):
      // Their attribute is the shape of the result.
      return
    case (let x as any RandomOperation, let y as any RandomOperation) where x.stream == y.stream:
      return
    case (let x as Slice, let y as Slice):
      guard let from = extents(x.starts, y.starts), let to = extents(x.ends, y.ends) else {
        throw different(first, "takes a part that does not grow with the batch")
      }
      (starts[id], ends[id]) = (from, to)
    case (let x as Constant, let y as Constant):
      guard let p = x.splat, let q = y.splat else {
        throw different(first, "is written out for one batch")
      }
      if p != q { factors[id] = try factor(first, p, q) }
    default:
      throw different(first, "has attributes that depend on the batch")
    }
  }

  private func factor(
    _ node: Node, _ p: Double, _ q: Double
  ) throws(BatchDependence) -> BatchFactor {
    func near(_ x: Double, _ y: Double) -> Bool { abs(x - y) <= 1e-12 * abs(x) }
    if near(p / Double(a), q / Double(b)) { return .times(p / Double(a)) }
    if near(p * Double(a), q * Double(b)) { return .over(p * Double(a)) }
    throw different(node, "is a number that depends on the batch")
  }

  private func different(_ node: Node, _ what: String) -> BatchDependence {
    BatchDependence(
      description: "\(node.operation.mnemonic) at \(node.origin.provenance()) \(what)")
  }
}
