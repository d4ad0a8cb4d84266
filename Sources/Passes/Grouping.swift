// Groups of nodes that are to become one node. Merging two groups is allowed only where no path leads from one
// to the other through a third, because the merged node would then wait for itself.

import Basics
import GraphIR

/// A partition of a graph's nodes, merged step by step and kept free of cycles.
///
/// The groups are kept in a topological order, so that a search for a path from one to another looks only at those
/// between them (after Pearce and Kelly); a merge puts that part of the order right again.
struct NodeGroups {
  let graph: Graph
  /// The nodes that produce a node's operands, without repeats.
  private let producers: [[Int]]
  private let consumers: [[Int]]
  /// The group of each node: the index of one of its members.
  private var parent: [Int]
  private(set) var members: [[Int]]
  /// Groups in topological order; −1 where one was merged away.
  private var order: [Int]
  private var place: [Int]
  /// Marks of groups and of values, each search with a number of its own.
  private var groupMarks: [Int]
  private var valueMarks: [Int]
  private var search = 0
  /// For each group that a search for followers found, the one before it on the way.
  private var previous: [Int]

  init(_ graph: Graph) {
    self.graph = graph
    let count = graph.nodes.count
    var producers = [[Int]](repeating: [], count: count)
    var consumers = [[Int]](repeating: [], count: count)
    for id in graph.nodes.ids {
      for operand in graph.nodes[id].operands {
        guard let producer = graph.values[operand].producer?.index else { continue }
        if !producers[id.index].contains(producer) {
          producers[id.index].append(producer)
          consumers[producer].append(id.index)
        }
      }
    }
    self.producers = producers
    self.consumers = consumers
    parent = Array(0..<count)
    order = parent
    place = parent
    members = parent.map { [$0] }
    groupMarks = Array(repeating: 0, count: count)
    valueMarks = Array(repeating: 0, count: graph.values.count)
    previous = parent
  }

  func group(of node: Int) -> Int { parent[node] }

  /// The groups that the members of a group read from, in the order of the first reading.
  func inputs(of group: Int) -> [Int] {
    var found: [Int] = []
    for node in members[group] {
      for producer in producers[node] where parent[producer] != group {
        if !found.contains(parent[producer]) { found.append(parent[producer]) }
      }
    }
    return found
  }

  /// How many values two groups read from outside of both.
  mutating func inputCount(_ a: Int, _ b: Int) -> Int {
    search += 1
    var count = 0
    for group in [a, b] {
      for node in members[group] {
        for operand in graph.nodes.elements[node].operands where valueMarks[operand.index] != search
        {
          valueMarks[operand.index] = search
          let producer = graph.values[operand].producer.map { parent[$0.index] }
          if producer != a, producer != b { count += 1 }
        }
      }
    }
    return count
  }

  enum Merging: Hashable {
    case done
    /// `to` waits for the last of these groups, each waits for the one before, and the first for `from`.
    case cycle(through: [Int])
  }

  /// Merges `from` into `to`, where `from` produces something that `to` reads, unless that would close a cycle.
  /// O(groups and edges between them).
  mutating func merge(producer from: Int, consumer to: Int) -> Merging {
    let followers: [Int]
    switch reach(from: from, before: to) {
    case .reached(let last): return .cycle(through: way(from: from, to: last))
    case .followers(let found): followers = found
    }
    for node in members[from] { parent[node] = to }
    members[to] = (members[from] + members[to]).sorted()
    members[from] = []
    reorder(from, to, followers)
    return .done
  }

  /// Merges the groups of two nodes of which neither waits for the other; returns whether it was done.
  mutating func mergeIndependent(_ a: Int, _ b: Int) -> Bool {
    let (x, y) = (parent[a], parent[b])
    let (from, to) = place[x] < place[y] ? (x, y) : (y, x)
    return !inputs(of: to).contains(from) && merge(producer: from, consumer: to) == .done
  }

  private enum Reach {
    /// The groups before `to` that wait for `from`.
    case followers([Int])
    /// `to` waits for this one, which was found.
    case reached(Int)
  }

  /// The groups on the way that the last search found, behind `from`.
  private func way(from: Int, to last: Int) -> [Int] {
    var way = [last]
    while previous[way[0]] != from { way.insert(previous[way[0]], at: 0) }
    return way
  }

  private mutating func reach(from: Int, before to: Int) -> Reach {
    search += 1
    var found: [Int] = []
    var stack = [from]
    while let group = stack.popLast() {
      for node in members[group] {
        for consumer in consumers[node] {
          let next = parent[consumer]
          if next == to {
            if group != from { return .reached(group) }
            continue
          }
          guard next != group, place[next] < place[to], groupMarks[next] != search else { continue }
          groupMarks[next] = search
          previous[next] = group
          found.append(next)
          stack.append(next)
        }
      }
    }
    return .followers(found)
  }

  /// Puts the merged group where `to` was among those that do not wait for it, and its followers behind it.
  private mutating func reorder(_ from: Int, _ to: Int, _ followers: [Int]) {
    let (first, last) = (place[from], place[to])
    // The marks of the search that found the followers still stand.
    var before: [Int] = []
    for position in first...last {
      let group = order[position]
      if group >= 0, group != from, group != to, groupMarks[group] != search {
        before.append(group)
      }
    }
    var position = first
    for group in before + [to] + followers.sorted(by: { place[$0] < place[$1] }) {
      order[position] = group
      position += 1
    }
    while position <= last {
      order[position] = -1
      position += 1
    }
    for position in first...last where order[position] >= 0 { place[order[position]] = position }
  }

  /// The groups in an order in which each comes after those it reads from; ties by the first member.
  func ordered() -> [Int] {
    let groups = members.indices.filter { !members[$0].isEmpty }
    var waiting = [Int](repeating: 0, count: members.count)
    var readers = [[Int]](repeating: [], count: members.count)
    for group in groups {
      for input in inputs(of: group) {
        waiting[group] += 1
        readers[input].append(group)
      }
    }
    // Depth first from the last member on would shorten lives, but the order of the program is what people expect
    // to read; the planner may reorder.
    var ready = SortedQueue()
    for group in groups where waiting[group] == 0 { ready.insert(members[group][0], group) }
    var order: [Int] = []
    while let group = ready.popFirst() {
      order.append(group)
      for reader in readers[group] {
        waiting[reader] -= 1
        if waiting[reader] == 0 { ready.insert(members[reader][0], reader) }
      }
    }
    return order
  }
}

/// A binary heap of (key, value) by ascending key.
private struct SortedQueue {
  private var heap: [(key: Int, value: Int)] = []

  mutating func insert(_ key: Int, _ value: Int) {
    heap.append((key, value))
    var child = heap.count - 1
    while child > 0 {
      let up = (child - 1) / 2
      guard heap[child].key < heap[up].key else { break }
      heap.swapAt(child, up)
      child = up
    }
  }

  mutating func popFirst() -> Int? {
    guard let first = heap.first else { return nil }
    let last = heap.removeLast()
    if !heap.isEmpty {
      heap[0] = last
      var up = 0
      while true {
        var least = up
        for child in [2 * up + 1, 2 * up + 2]
        where child < heap.count && heap[child].key < heap[least].key {
          least = child
        }
        if least == up { break }
        heap.swapAt(least, up)
        up = least
      }
    }
    return first.value
  }
}
