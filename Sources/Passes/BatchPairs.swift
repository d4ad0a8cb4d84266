// Which nodes of a graph do the same to two batches, so that they could be one node of both.

import Basics
import GraphIR
import Operators

/// Two values of one type, whose rows stand one after the other in a joined value.
struct BatchPair: Hashable {
  var first: ValueID
  var second: ValueID
}

/// Two nodes that could be one.
struct Joint {
  var first: NodeID
  var second: NodeID
  /// The node that adds the two, where the operation sums over rows: nothing else reads them.
  var sum: NodeID?
  /// The operands whose rows are those of the batches; all others are common.
  var places: [Int]

  var nodes: [NodeID] { [first, second] + (sum.map { [$0] } ?? []) }
}

/// Finds joints, front to back. A pair begins where a product reads one tensor with two others, the weights of a
/// network with two batches; it goes on where the same is done to both halves, and ends where they are summed up.
struct JointFinder {
  struct Twin {
    var value: ValueID
    /// Whether the value that has this twin is the first of the two.
    var isFirst: Bool
    var joint: Int
  }

  let graph: Graph
  let live: BitSet
  private(set) var joints: [Joint] = []
  /// The joint that a node belongs to.
  private(set) var jointOf: Table<NodeTag, Int?>
  /// For results of joints, the same value of the other batch.
  private(set) var twins: Table<ValueTag, Twin?>
  /// Pairs of operands that no joint computes.
  private var leaves: Set<BatchPair> = []
  private var groups: NodeGroups
  private let users: Table<ValueTag, [NodeID]>
  private let useCounts: Table<ValueTag, Int>

  init(_ graph: Graph) {
    self.graph = graph
    live = graph.liveNodes()
    jointOf = Table(repeating: nil, count: graph.nodes.count)
    twins = Table(repeating: nil, count: graph.values.count)
    groups = NodeGroups(graph)
    users = graph.users()
    useCounts = graph.useCounts()
    // A sum of two batches tells which is the first one only once another node has told.
    var isComplete = false
    while !isComplete {
      isComplete = true
      for id in graph.nodes.ids where isFree(id) {
        guard let joint = sum(id) ?? partnership(id), add(joint) else { continue }
        isComplete = false
      }
    }
  }

  /// The values that a joint reads at one of its places.
  func pair(_ joint: Joint, _ place: Int) -> BatchPair {
    BatchPair(
      first: graph.nodes[joint.first].operands[place],
      second: graph.nodes[joint.second].operands[place])
  }

  /// The joint that computes both values of a pair, in this order.
  func producer(of pair: BatchPair) -> Int? {
    guard let twin = twins[pair.first], twin.value == pair.second, twin.isFirst else { return nil }
    return twin.joint
  }

  /// The joint by which a node reads an operand together with its twin.
  func joinedReader(_ id: NodeID, _ place: Int) -> Int? {
    guard let index = jointOf[id], joints[index].places.contains(place),
      producer(of: pair(joints[index], place)) != nil
    else { return nil }
    return index
  }

  private func isFree(_ id: NodeID) -> Bool { live.contains(id) && jointOf[id] == nil }

  /// Takes a joint in, unless its nodes wait for each other.
  private mutating func add(_ joint: Joint) -> Bool {
    var trial = groups
    guard trial.merge(joint) else { return false }
    groups = trial
    let index = joints.count
    joints.append(joint)
    for node in joint.nodes { jointOf[node] = index }
    for place in joint.places {
      let pair = pair(joint, place)
      if producer(of: pair) == nil { leaves.insert(pair) }
    }
    guard joint.sum == nil else { return true }
    let (first, second) = (graph.nodes[joint.first].results, graph.nodes[joint.second].results)
    for (x, y) in zip(first, second) {
      twins[x] = Twin(value: y, isFirst: true, joint: index)
      twins[y] = Twin(value: x, isFirst: false, joint: index)
    }
    return true
  }

  /// The joint of a node and an earlier one that does the same to each row of another batch: of several the one that
  /// reads most twins.
  private func partnership(_ id: NodeID) -> Joint? {
    let node = graph.nodes[id]
    guard case .each(let places) = node.operation.rowUse(graph.types(of: node.operands)) else {
      return nil
    }
    let isProduct = graph.isHeavy(node)
    var best: (joint: Joint, known: Int)?
    for (place, operand) in node.operands.enumerated() {
      let isRow = places.contains(place)
      guard let source = isRow ? twins[operand]?.value : operand, isRow || isProduct else {
        continue
      }
      for other in users[source] where other < id && isFree(other) && isTwin(other, id, places) {
        let order = order(other, id, places)
        guard order.known > best?.known ?? (isProduct ? -1 : 0) else { continue }
        let (first, second) = order.isForward ? (other, id) : (id, other)
        best = (Joint(first: first, second: second, sum: nil, places: places), order.known)
      }
    }
    return best?.joint
  }

  /// The joint of a node that adds what two nodes have made of two batches, each summing over rows.
  private func sum(_ id: NodeID) -> Joint? {
    let node = graph.nodes[id]
    guard node.operation is Add, let a = graph.values[node.operands[0]].producer,
      let b = graph.values[node.operands[1]].producer, a != b, isFree(a), isFree(b),
      node.operands.allSatisfy({
        useCounts[$0] == 1 && graph.type(of: $0) == graph.type(of: node.results[0])
      })
    else { return nil }
    let types = graph.types(of: graph.nodes[a].operands)
    guard case .summed(let places) = graph.nodes[a].operation.rowUse(types),
      isTwin(a, b, places)
    else { return nil }
    let order = order(a, b, places)
    guard order.known > 0 else { return nil }
    let (first, second) = order.isForward ? (a, b) : (b, a)
    return Joint(first: first, second: second, sum: id, places: places)
  }

  /// Whether two nodes do the same with the same operands, apart from those at some places, which differ in their
  /// values only.
  private func isTwin(_ a: NodeID, _ b: NodeID, _ places: [Int]) -> Bool {
    let (x, y) = (graph.nodes[a], graph.nodes[b])
    guard x.operation.isEqual(to: y.operation), x.operands.count == y.operands.count else {
      return false
    }
    return x.operands.indices.allSatisfy { place in
      if !places.contains(place) { return x.operands[place] == y.operands[place] }
      let type = graph.type(of: x.operands[place])
      // Host scalars are not concatenated.
      return type == graph.type(of: y.operands[place]) && type.element != .f64
    }
  }

  /// How many pairs of operands stand in joints already, and whether `a` belongs to the first batch there.
  private func order(
    _ a: NodeID, _ b: NodeID, _ places: [Int]
  ) -> (isForward: Bool, known: Int) {
    let pairs = places.map { place in
      BatchPair(first: graph.nodes[a].operands[place], second: graph.nodes[b].operands[place])
    }
    func isKnown(_ pair: BatchPair) -> Bool { producer(of: pair) != nil || leaves.contains(pair) }
    let forward = pairs.count(where: isKnown)
    let backward = pairs.count { isKnown(BatchPair(first: $0.second, second: $0.first)) }
    return (forward >= backward, max(forward, backward))
  }
}

extension NodeGroups {
  /// Makes the nodes of a joint one group; returns whether they could be.
  mutating func merge(_ joint: Joint) -> Bool {
    guard mergeIndependent(joint.first.index, joint.second.index) else { return false }
    guard let sum = joint.sum else { return true }
    return merge(producer: group(of: joint.first.index), consumer: sum.index) == .done
  }
}
