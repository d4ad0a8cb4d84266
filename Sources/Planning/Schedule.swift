// The order in which nodes run. In: a graph. Out: its live nodes that need a kernel, in an order that respects
// operands, lets states be overwritten in place, and holds little memory.

import Basics
import GraphIR
import Operators

extension Operation {
  /// True where the value stands in the block of constants.
  var isConstant: Bool { self is Constant }

  /// True for nodes that no kernel runs: constants, and views of their operand.
  var isVirtual: Bool { isReshape || isConstant }

  /// True where each element of every result depends on the operands' elements at the same place alone, and kernels
  /// read a block of all of them before they write a block of any result.
  var isBlockwise: Bool {
    if isElementwise { return true }
    if let fused = self as? Fused { return fused.root == nil }
    return false
  }

  /// The first of the operands that are read as in `isBlockwise`: those of an epilogue come behind the root's. Nil
  /// where there are none.
  var firstBlockwiseOperand: Int? {
    if let fused = self as? Fused { return fused.rootOperandCount }
    return isElementwise ? 0 : nil
  }

  /// Whether every element of the results may read any element of an operand: the seed of a random draw.
  func readsWhole(operand index: Int) -> Bool {
    guard let fused = self as? Fused else { return isIndexed }
    // A root's result is the region's first input.
    let input = index - fused.rootOperandCount + (fused.root == nil ? 0 : 1)
    return index >= fused.rootOperandCount && fused.region.inputsReadWhole.contains(input)
  }
}

struct Scheduler {
  private let graph: Graph
  private let live: BitSet
  /// What a node waits for, and who waits for it. Virtual nodes take part, so that views keep their order.
  private var successors: [[Int]]
  private var predecessorCount: [Int]
  /// Steps that all searches for circles together may take.
  private var searchBudget = 100_000_000
  /// With more nodes, only the program's order is tried.
  private static let manyNodes = 20_000

  init(_ graph: Graph) {
    self.graph = graph
    live = graph.liveNodes()
    successors = Array(repeating: [], count: graph.nodes.count)
    predecessorCount = Array(repeating: 0, count: graph.nodes.count)
    for id in graph.nodes.ids where live.contains(id) {
      for operand in graph.nodes[id].operands {
        if let producer = graph.values[operand].producer { link(producer.index, id.index) }
      }
    }
    sinkUpdates()
  }

  private mutating func link(_ from: Int, _ to: Int) {
    guard successors[from].last != to else { return }
    successors[from].append(to)
    predecessorCount[to] += 1
  }

  /// Lets the node that makes a state's new value wait for all readers of the old one, where that is no circle, so
  /// that the new value can be written over the old; where it is updated several times, each update for the readers of
  /// the value before.
  private mutating func sinkUpdates() {
    let users = graph.users()
    let states = graph.stateInputs()
    for output in graph.outputs {
      guard case .state(let name) = output.role, let state = states[name] else { continue }
      var value = graph.viewed(output.value)
      sink(value, behindReadersOf: state, users)
      while let earlier = graph.earlierUpdate(of: value) {
        sink(value, behindReadersOf: earlier, users)
        value = earlier
        sink(value, behindReadersOf: state, users)
      }
    }
  }

  private mutating func sink(
    _ new: ValueID, behindReadersOf old: ValueID, _ users: Table<ValueTag, [NodeID]>
  ) {
    guard let update = graph.values[new].producer else { return }
    for reader in readers(of: old, users) where reader != update {
      if !reaches(from: update.index, to: reader.index) { link(reader.index, update.index) }
    }
  }

  /// The live nodes that read a value or a view of it.
  private func readers(of value: ValueID, _ users: Table<ValueTag, [NodeID]>) -> [NodeID] {
    var found: [NodeID] = []
    var stack = [value]
    while let next = stack.popLast() {
      for user in users[next] where live.contains(user) {
        found.append(user)
        let node = graph.nodes[user]
        if node.operation.isReshape { stack.append(node.results[0]) }
      }
    }
    return found
  }

  /// Whether a path leads from one node to another. Says yes when the search has cost too much in all: an update that
  /// is not moved is copied at the worst.
  private mutating func reaches(from start: Int, to goal: Int) -> Bool {
    var seen = BitSet()
    var stack = [start]
    while let node = stack.popLast() {
      if node == goal || searchBudget == 0 { return true }
      searchBudget -= 1
      for next in successors[node] where seen.insert(next) { stack.append(next) }
    }
    return false
  }

  /// The better of two orders by the memory they hold: the program's, and one that runs a node early where that frees
  /// at least what it needs. Both are functions of the graph alone.
  func order() -> [NodeID] {
    let plain = schedule(eager: false)
    if graph.nodes.count > Self.manyNodes { return plain.order }
    let eager = schedule(eager: true)
    return eager.peak < plain.peak ? eager.order : plain.order
  }

  private func schedule(eager: Bool) -> (order: [NodeID], peak: Int) {
    var memory = MemoryMeter(graph, live)
    var waiting = predecessorCount
    var ready = ReadyNodes()
    for id in graph.nodes.ids where live.contains(id) && waiting[id.index] == 0 {
      ready.insert(id.index)
    }
    var order: [NodeID] = []
    while let index = ready.take(
      eager ? { memory.growth(ofRunning: graph.nodes[NodeID($0)]) <= 0 } : nil)
    {
      let id = NodeID(index)
      memory.run(graph.nodes[id])
      if !graph.nodes[id].operation.isVirtual { order.append(id) }
      for next in successors[index] {
        waiting[next] -= 1
        if waiting[next] == 0 { ready.insert(next) }
      }
    }
    return (order, memory.peak)
  }
}

/// The nodes that could run next; ties fall to the program's order.
private struct ReadyNodes {
  /// Descending, so that the first in the program is taken from the end.
  private var nodes: [Int] = []

  mutating func insert(_ node: Int) {
    var low = 0
    var high = nodes.count
    while low < high {
      let middle = (low + high) / 2
      if nodes[middle] > node { low = middle + 1 } else { high = middle }
    }
    nodes.insert(node, at: low)
  }

  /// The first of the first few that is preferred, else the first.
  mutating func take(_ isPreferred: ((Int) -> Bool)?) -> Int? {
    if let isPreferred, let index = nodes.suffix(64).lastIndex(where: isPreferred) {
      return nodes.remove(at: index)
    }
    return nodes.popLast()
  }
}

/// Counts the bytes that are alive while nodes run one after the other; views count as their operand.
private struct MemoryMeter {
  private let graph: Graph
  private var root: Table<ValueTag, ValueID>
  private var uses: Table<ValueTag, Int>
  private var current = 0
  private(set) var peak = 0

  init(_ graph: Graph, _ live: BitSet) {
    self.graph = graph
    root = Table(graph.values.ids)
    uses = Table(repeating: 0, count: graph.values.count)
    for id in graph.nodes.ids where live.contains(id) {
      let node = graph.nodes[id]
      if node.operation.isReshape {
        root[node.results[0]] = root[node.operands[0]]
      } else {
        for operand in unique(node) { uses[operand] += 1 }
      }
    }
    for output in graph.outputs {
      // The new value of a state goes to the state's buffer; other outputs stay.
      if case .state = output.role { continue }
      uses[root[output.value]] += 1
    }
  }

  /// The roots of a node's operands, each once.
  private func unique(_ node: Node) -> [ValueID] {
    var found: [ValueID] = []
    if node.operands.count > 32 {
      var seen = Set<ValueID>()
      for operand in node.operands where seen.insert(root[operand]).inserted {
        found.append(root[operand])
      }
      return found
    }
    for operand in node.operands where !found.contains(root[operand]) {
      found.append(root[operand])
    }
    return found
  }

  private func bytes(_ value: ValueID) -> Int {
    guard let producer = graph.values[value].producer,
      !graph.nodes[producer].operation.isConstant
    else { return 0 }
    return aligned(graph.type(of: value).byteCount)
  }

  private func made(by node: Node) -> Int {
    node.operation.isVirtual ? 0 : node.results.reduce(0) { $0 + bytes($1) }
  }

  /// Bytes that are held more after the node has run than before.
  func growth(ofRunning node: Node) -> Int {
    if node.operation.isVirtual { return 0 }
    var change = made(by: node)
    for operand in unique(node) where uses[operand] == 1 { change -= bytes(operand) }
    for result in node.results where uses[result] == 0 { change -= bytes(result) }
    return change
  }

  mutating func run(_ node: Node) {
    if node.operation.isVirtual { return }
    current += made(by: node)
    peak = max(peak, current)
    for operand in unique(node) {
      uses[operand] -= 1
      if uses[operand] == 0 { current -= bytes(operand) }
    }
    for result in node.results where uses[result] == 0 { current -= bytes(result) }
  }
}
