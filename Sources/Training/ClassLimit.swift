// Which integers a graph may be given: ids that name rows of an embedding or places of a one-hot
// vector. The operations take any number (one that names nothing gives zeros), so wrong labels would
// train without a word; here the limits are found, and inputs are held against them.

import Basics
import Elaboration
import GraphIR
import Operators

/// The ids that an input may hold: 0..<count.
package struct ClassLimit: Hashable, Sendable {
  package var count: Int
  /// The line of the program that sets the limit.
  package var line: Int

  /// Both of a complaint: what is expected, and what mends it.
  package var text: String { "line \(line) takes ids from 0 to \(count - 1)" }
  package var help: String { "correct the ids, or raise the count at line \(line)" }

  /// The limits of the arguments of a graph that stands alone.
  package static func ofArguments(_ graph: Graph) -> [String: ClassLimit] {
    var found: [String: ClassLimit] = [:]
    for (role, limit) in ofInputs(graph) {
      if case .argument(let name) = role { found[name] = limit }
    }
    return found
  }

  /// The limits of the data sources that some graphs read; where several hold, the lowest.
  package static func ofData(_ graphs: [Graph]) -> [String: ClassLimit] {
    var found: [String: ClassLimit] = [:]
    for graph in graphs {
      for (role, limit) in ofInputs(graph) {
        guard case .data(let name, _) = role else { continue }
        found[name] = limit.count < found[name]?.count ?? .max ? limit : found[name]
      }
    }
    return found
  }

  /// The values of a graph that name classes: whole numbers as they are made, read or drawn, before
  /// they are only moved about on their way to an operation that takes ids. In the graph's order.
  package static func ofLabels(_ graph: Graph) -> [(value: ValueID, limit: ClassLimit)] {
    let limits = ofValues(graph)
    return graph.values.ids.compactMap { value in
      if let node = graph.producer(of: value), keepsElements(node.operation) { return nil }
      return limits[value].map { (value, $0) }
    }
  }

  /// The one value that names classes, to choose them. Throws a sentence where there is none, or
  /// where there are several.
  package static func ofOnlyLabel(
    _ graph: Graph
  ) throws(EnvironmentFailure) -> (value: ValueID, limit: ClassLimit) {
    let labels = ofLabels(graph)
    guard let first = labels.first else {
      throw EnvironmentFailure(
        "the sample has no classes: nothing in it is given to embedding or onehot")
    }
    guard labels.count == 1 else {
      let lines = labels.map { "\($0.limit.line)" }.joined(separator: " and ")
      throw EnvironmentFailure(
        "the sample has \(labels.count) numbers that name classes, taken at the lines \(lines), so "
          + "which one to choose is not clear")
    }
    return first
  }

  private static func ofInputs(_ graph: Graph) -> [(role: InputRole, limit: ClassLimit)] {
    let limits = ofValues(graph)
    return graph.inputs.compactMap { input in limits[input.value].map { (input.role, $0) } }
  }

  private static func keepsElements(_ operation: any Operation) -> Bool {
    operation is Reshape || operation is Transpose || operation is Broadcast || operation is Concat
  }

  /// Walks from the operations that take ids back to where the ids come from. Only through
  /// operations that keep every element as it is: of what is sliced or computed, the operand itself
  /// has no limit.
  private static func ofValues(_ graph: Graph) -> Table<ValueTag, ClassLimit?> {
    var limits = Table<ValueTag, ClassLimit?>(repeating: nil, count: graph.values.count)
    func lower(_ value: ValueID, to limit: ClassLimit) {
      if limit.count < limits[value]?.count ?? .max { limits[value] = limit }
    }
    for id in graph.nodes.ids.reversed() {
      let node = graph.nodes[id]
      switch node.operation {
      case is GatherRows:
        let rows = graph.type(of: node.operands[0]).shape[0]
        lower(node.operands[1], to: ClassLimit(count: rows, line: Int(node.origin.line)))
      case let operation as OneHot:
        lower(
          node.operands[0], to: ClassLimit(count: operation.count, line: Int(node.origin.line)))
      case let operation where keepsElements(operation):
        guard let limit = limits[node.results[0]] else { continue }
        for operand in node.operands { lower(operand, to: limit) }
      default: continue
      }
    }
    return limits
  }
}

extension Program {
  /// The graphs that read data in a run: the step with all its blocks, and the samples.
  package var dataGraphs: [Graph] {
    (train?.variants.last.map { [$0] } ?? []) + samples.map(\.graph)
  }
}
