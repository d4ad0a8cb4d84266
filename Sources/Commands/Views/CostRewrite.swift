// What a pass changed of a graph's arithmetic, and at which places of the program. In: the graphs before and after it,
// or without and with it. Out: a value.

import Basics
import GraphIR
import Passes

struct CostRewrite {
  /// The nodes of one place and path together: a rewrite may make several of one.
  struct Place {
    var line: Int32
    var column: Int32
    var path: String
    var before: Double
    var after: Double
  }

  var pass: String
  /// Which run of the pipeline it was, from 1; nil where the ends of two pipelines are compared.
  var run: Int?
  /// The stage of the graph before a run: in a raw one gradients are not counted yet.
  var stage: Stage?
  var before: Cost
  var after: Cost
  /// Where the arithmetic changed, the largest change first.
  var places: [Place]

  /// The runs that changed the arithmetic. `outcome` must have kept its graphs.
  static func all(_ source: Graph, _ outcome: PassRunner.Outcome) -> [CostRewrite] {
    var found: [CostRewrite] = []
    var (graph, cost) = (source, source.cost)
    for record in outcome.records where record.changed {
      guard let next = record.graph else { continue }
      let after = next.cost
      if after.flops != cost.flops {
        found.append(
          CostRewrite(
            pass: record.name, run: record.index + 1, stage: graph.stage, before: cost,
            after: after, places: places(graph, next)))
      }
      (graph, cost) = (next, after)
    }
    return found
  }

  /// The places whose arithmetic differs, the largest difference first.
  static func places(_ before: Graph, _ after: Graph) -> [Place] {
    var found: [Place] = []
    var indices: [Origin: Int] = [:]
    func add(_ graph: Graph, _ sum: WritableKeyPath<Place, Double>) {
      for node in graph.nodes.elements {
        let cost = graph.cost(of: node).flops
        guard cost > 0 else { continue }
        var key = node.origin
        key.notes = []
        let index = indices[key] ?? found.count
        if index == found.count {
          indices[key] = index
          found.append(
            Place(line: key.line, column: key.column, path: key.path, before: 0, after: 0))
        }
        found[index][keyPath: sum] += cost
      }
    }
    add(before, \.before)
    add(after, \.after)
    func change(_ place: Place) -> Double { abs(place.after - place.before) }
    let changed = found.filter { $0.before != $0.after }.enumerated()
    return changed.sorted {
      (change($1.element), $0.offset) < (change($0.element), $1.offset)
    }.map(\.element)
  }
}
