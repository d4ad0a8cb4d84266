// One network on two batches with the same weights, as the discriminator on real and on generated images, is the
// network on both batches one after the other: weights are read and prepared once, and the gradient of a weight is one
// product instead of a sum of two, so that the optimiser's update can take it over (`fuse-epilogues`). What batches
// have in common is a matter of weights, not of names: any two products that read one tensor begin a pair.
//
// Before:  %5 = matmul(%real, %w)                    %6 = matmul(%fake, %w)
//          %7 = leaky_relu(%5)                       %8 = leaky_relu(%6)
//          %9 = matmul(%7, %a) {transposeA: true}    %10 = matmul(%8, %b) {transposeA: true}
//          %11 = add(%9, %10)
// After:   %5 = concat(%real, %fake)                 %6 = matmul(%5, %w)
//          %7 = leaky_relu(%6)                       %8 = concat(%a, %b)
//          %9 = matmul(%7, %8) {transposeA: true}

import Basics
import GraphIR
import Operators

package struct JoinBatches: Pass {
  /// What a byte that is moved counts against one that need not be read. Tests set it near zero to have graphs of any
  /// size joined.
  private let price: Double

  package init(price: Double = 1) { self.price = price }
  package let name = "join-batches"
  package let summary = "Run a network on two batches at once where that moves fewer bytes."
  package var requires: Stage { .differentiated }

  package func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    let finder = JointFinder(graph)
    let chosen = JointCosts(finder, price: price).worthwhile()
    guard !chosen.isEmpty else { return graph }
    var groups = NodeGroups(graph)
    // The node that each joint is emitted in place of.
    var joints = Table<NodeTag, Joint?>(repeating: nil, count: graph.nodes.count)
    for joint in chosen.map({ finder.joints[$0] }) {
      let isMerged = groups.merge(joint)
      precondition(isMerged, "all joints together close no circle, and so some of them do not")
      for node in joint.nodes { joints[node] = joint }
    }
    var emitter = try JointEmitter(finder, isJoined: { joints[$0] != nil })
    for group in groups.ordered() {
      let id = NodeID(groups.members[group][0])
      if let joint = joints[id] {
        try emitter.emit(joint)
      } else if finder.live.contains(id) {
        try emitter.rewriter.keep(graph.nodes[id])
      }
    }
    return emitter.rewriter.finish()
  }
}

/// What joints save and cost, in bytes. Known from shapes alone:
///
/// - A joined product reads the tensor that its batches share once less. But the rows of both batches are then alive
///   at once, where those of one could have stayed in cache: they count as moved. So weights must be larger than what
///   becomes of one batch, as in dense layers; convolutions have small weights and large images.
/// - Two sums that were added are written and read once less.
/// - A pair of operands that no joint computes is read and written; so is a half of a joined value that something
///   else reads. Each of these is a launch more.
///
/// Which joints to take is then a minimum cut: a joint on the source's side is taken. Of equal ones the one with most
/// joints, so that element-wise work stays with its product.
private struct JointCosts {
  /// What a launch of a kernel takes, about 2 µs, in bytes at 40 GB/s.
  private static let launch = 65_536

  private let finder: JointFinder
  private let price: Double
  private let readAlone: BitSet
  /// The joints that read the results of each joint as pairs.
  private var readers: [[Int]]

  init(_ finder: JointFinder, price: Double) {
    self.finder = finder
    self.price = price
    readAlone = finder.valuesReadAlone { _ in true }
    readers = Array(repeating: [], count: finder.joints.count)
    for (index, joint) in finder.joints.enumerated() {
      for place in joint.places {
        guard let producer = finder.producer(of: finder.pair(joint, place)) else { continue }
        if readers[producer].last != index { readers[producer].append(index) }
      }
    }
  }

  func worthwhile() -> [Int] {
    var cut = MinimumCut()
    let vertices = finder.joints.map { _ in cut.addVertex() }
    var concats: [BatchPair: Int] = [:]
    for (joint, vertex) in zip(finder.joints, vertices) {
      let saving = saving(joint)
      if saving > 0 { cut.connect(cut.source, vertex, saving) }
      if saving < 0 { cut.connect(vertex, cut.sink, -saving) }
      // Reading a pair while its producers are apart takes a concatenation, one for all readers.
      for pair in joint.places.map({ finder.pair(joint, $0) }) {
        if concats[pair] == nil {
          let concat = cut.addVertex()
          concats[pair] = concat
          let apart = finder.producer(of: pair).map { vertices[$0] } ?? cut.sink
          cut.connect(concat, apart, concatCost(pair))
        }
        cut.connect(vertex, concats[pair]!, .infinity)
      }
    }
    addSlices(&cut, vertices)
    let taken = cut.sourceSide()
    return finder.joints.indices.filter { taken.contains(vertices[$0]) }
  }

  /// Reading a half of what a joint computes takes a slice, one for all readers.
  private func addSlices(_ cut: inout MinimumCut, _ vertices: [Int]) {
    for (index, joint) in finder.joints.enumerated() where joint.sum == nil {
      for value in [joint.first, joint.second].flatMap({ finder.graph.nodes[$0].results }) {
        if readAlone.contains(value) {
          cut.connect(vertices[index], cut.sink, sliceCost(value))
          continue
        }
        let slice = cut.addVertex()
        cut.connect(vertices[index], slice, sliceCost(value))
        for reader in readers[index] { cut.connect(slice, vertices[reader], .infinity) }
      }
    }
  }

  private func bytes(_ values: [ValueID]) -> Double { Double(finder.graph.byteCount(values)) }

  private func saving(_ joint: Joint) -> Double {
    let node = finder.graph.nodes[joint.first]
    if joint.sum != nil { return 2 * bytes(node.results) }
    let shared = finder.graph.sharedOperands(node)
    guard !shared.isEmpty, finder.graph.isHeavy(node) else { return 0 }
    return bytes(shared) - price * bytes(node.results)
  }

  private func concatCost(_ pair: BatchPair) -> Double {
    let isConstant = [pair.first, pair.second].allSatisfy {
      finder.graph.producer(of: $0)?.operation is Constant
    }
    return isConstant ? 0 : price * (Double(Self.launch) + 2 * bytes([pair.first, pair.second]))
  }

  private func sliceCost(_ value: ValueID) -> Double {
    price * (Double(Self.launch) + 2 * bytes([value]))
  }
}

extension JointFinder {
  /// The results of joints that something reads without their twins, where only nodes that `isJoined` accepts read
  /// twins together.
  func valuesReadAlone(_ isJoined: (NodeID) -> Bool) -> BitSet {
    var found = BitSet()
    for output in graph.outputs where twins[output.value] != nil { found.insert(output.value) }
    for id in graph.nodes.ids where live.contains(id) {
      for (place, operand) in graph.nodes[id].operands.enumerated() where twins[operand] != nil {
        if isJoined(id), joinedReader(id, place) != nil { continue }
        found.insert(operand)
      }
    }
    return found
  }
}

/// Emits joints, and concatenations and slices where what is joined begins and ends.
private struct JointEmitter {
  var rewriter: GraphRewriter
  private let finder: JointFinder
  private let readAlone: BitSet
  /// Looked up only, never walked through.
  private var joined: [BatchPair: ValueID] = [:]

  init(_ finder: JointFinder, isJoined: (NodeID) -> Bool) throws(Diagnostic) {
    self.finder = finder
    rewriter = try GraphRewriter(finder.graph)
    readAlone = finder.valuesReadAlone(isJoined)
  }

  mutating func emit(_ joint: Joint) throws(Diagnostic) {
    let (first, second) = (finder.graph.nodes[joint.first], finder.graph.nodes[joint.second])
    let rows = finder.graph.type(of: first.operands[joint.places[0]]).shape[0]
    rewriter.builder.origin = first.origin.noting("two batches joined")
    var operands: [ValueID] = []
    for (place, operand) in first.operands.enumerated() {
      operands.append(
        joint.places.contains(place)
          ? try both(finder.pair(joint, place)) : rewriter.value(operand))
    }
    let operation = first.operation.withRows(2 * rows)
    let results = try rewriter.builder.add(operation, operands)
    if let sum = joint.sum {
      rewriter.replace(finder.graph.nodes[sum].results[0], by: results[0])
      return
    }
    for (result, (x, y)) in zip(results, zip(first.results, second.results)) {
      joined[BatchPair(first: x, second: y)] = result
      try cut(result, into: [x, y])
    }
  }

  /// The value that holds a pair, first batch first.
  private mutating func both(_ pair: BatchPair) throws(Diagnostic) -> ValueID {
    if let value = joined[pair] { return value }
    let halves = rewriter.values([pair.first, pair.second])
    let value = try rewriter.builder.concat(halves, axis: 0)
    joined[pair] = value
    return value
  }

  /// Gives a value of the old graph its half of a joined one, where it is read by itself.
  private mutating func cut(_ whole: ValueID, into halves: [ValueID]) throws(Diagnostic) {
    let rows = rewriter.builder.shape(of: whole)[0] / 2
    for (index, half) in halves.enumerated() where readAlone.contains(half) {
      let slice = try rewriter.builder.slice(
        whole, axis: 0, from: index * rows, to: (index + 1) * rows)
      rewriter.replace(half, by: slice)
    }
  }
}
