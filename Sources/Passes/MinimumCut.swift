// The cheapest way to part a source from a sink, after Ford and Fulkerson; augmenting paths are the shortest, after
// Edmonds and Karp, which takes O(vertices · edges²) at worst and a few dozen paths for the graphs it is used on.

import Basics

/// A directed graph with capacities on its edges, cut where they are smallest.
package struct MinimumCut {
  private struct Edge {
    var target: Int
    /// What may still flow.
    var rest: Double
  }
  /// Edge i and i ^ 1 are the two directions of one.
  private var edges: [Edge] = []
  private var leaving: [[Int]] = []

  package let source = 0
  package let sink = 1
  package init() { leaving = [[], []] }

  package mutating func addVertex() -> Int {
    leaving.append([])
    return leaving.count - 1
  }

  package mutating func connect(_ from: Int, _ to: Int, _ capacity: Double) {
    leaving[from].append(edges.count)
    edges.append(Edge(target: to, rest: capacity))
    leaving[to].append(edges.count)
    edges.append(Edge(target: from, rest: 0))
  }

  /// The largest set of vertices with the source and without the sink whose edges to the others have the least
  /// capacity. Every path from source to sink must have an edge of finite capacity.
  package mutating func sourceSide() -> BitSet {
    while let path = shortestPath() {
      let flow = path.reduce(Double.infinity) { min($0, edges[$1].rest) }
      for edge in path {
        edges[edge].rest -= flow
        edges[edge ^ 1].rest += flow
      }
    }
    // What the sink cannot be reached from.
    var side = BitSet()
    let departures = search(from: sink, against: 1)
    for vertex in leaving.indices where departures[vertex] == nil { side.insert(vertex) }
    return side
  }

  /// The edges of a path with capacity left, from the sink back.
  private func shortestPath() -> [Int]? {
    let arrivals = search(from: source, against: 0)
    guard arrivals[sink] != nil else { return nil }
    var path: [Int] = []
    var vertex = sink
    while vertex != source, let edge = arrivals[vertex] {
      path.append(edge)
      vertex = edges[edge ^ 1].target
    }
    return path
  }

  /// For every vertex found from a first one along edges with capacity left, or against them (1), the edge on which a
  /// shortest path arrives; −1 for the first one itself.
  private func search(from first: Int, against direction: Int) -> [Int?] {
    var arrivals = [Int?](repeating: nil, count: leaving.count)
    arrivals[first] = -1
    var queue = [first]
    var next = 0
    while next < queue.count {
      for edge in leaving[queue[next]] where edges[edge ^ direction].rest > 0 {
        let target = edges[edge].target
        guard arrivals[target] == nil else { continue }
        arrivals[target] = edge
        queue.append(target)
      }
      next += 1
    }
    return arrivals
  }
}
