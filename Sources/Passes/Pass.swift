// What a pass is: a value with a name, the stage it asks for, and a function from one graph to another. The
// runner gives every pass verification, timing and dumps; a pass itself knows of none of these.

import Basics
import GraphIR
import Operators

package protocol Pass: Sendable {
  /// The name on the command line and in dumps, such as `dead-code`.
  var name: String { get }
  /// One sentence for `--list-passes`.
  var summary: String { get }
  /// The earliest stage of a graph the pass can work on.
  var requires: Stage { get }
  /// A new graph with the same inputs and outputs. Throws diagnostics only where the user's program is at fault.
  func run(_ graph: Graph) throws(Diagnostic) -> Graph
}

extension Pass {
  package var requires: Stage { .raw }
}

/// Walks an old graph in order and emits into a new one, keeping track of what became of each value.
///
/// While there are `gradient` nodes, the computed values that they differentiate with respect to are *pinned*: such a
/// value stands for a variable, and a rewrite that merges it with an equal one, or reads what is behind it, would
/// change what depends on it and so the gradient. Passes leave pinned nodes as they are and do not look through them.
package struct GraphRewriter {
  package let old: Graph
  package let builder: GraphBuilder
  private var map: Table<ValueTag, ValueID?>
  private let pinned: BitSet
  private var pinnedInNew = BitSet()

  /// Starts the new graph with all inputs of the old one. With `sharing`, equal nodes become one.
  package init(_ old: Graph, sharing: Bool = false) throws(Diagnostic) {
    self.old = old
    builder = GraphBuilder(name: old.name, stage: old.stage, sharing: sharing)
    map = Table(repeating: nil, count: old.values.count)
    pinned = old.differentiationVariables()
    for input in old.inputs {
      map[input.value] = try builder.input(input.role, old.type(of: input.value))
    }
  }

  /// The new value of an old one that has been emitted.
  package func value(_ old: ValueID) -> ValueID { map[old]! }
  package func values(_ list: [ValueID]) -> [ValueID] { list.map { map[$0]! } }

  /// Says what becomes of an old value.
  package mutating func replace(_ old: ValueID, by new: ValueID) { map[old] = new }

  /// Whether a node of the old graph must be kept as it is.
  package func isPinned(_ node: Node) -> Bool { node.results.contains { pinned.contains($0) } }

  /// The node behind a value of the new graph, unless it may not be looked at.
  package func producer(ofNew value: ValueID) -> Node? {
    pinnedInNew.contains(value) ? nil : builder.producer(of: value)
  }

  /// Emits a node as it is.
  package mutating func keep(_ node: Node) throws(Diagnostic) {
    builder.origin = node.origin
    let operands = values(node.operands)
    guard isPinned(node) else {
      let results = try builder.add(node.operation, operands)
      for (old, new) in zip(node.results, results) { map[old] = new }
      return
    }
    let results = try builder.addUnshared(node.operation, operands)
    for (old, new) in zip(node.results, results) {
      map[old] = new
      pinnedInNew.insert(new)
    }
  }

  /// Emits the outputs and returns the new graph.
  package func finish() -> Graph {
    for output in old.outputs { builder.output(output.role, value(output.value)) }
    return builder.finish()
  }
}

extension Graph {
  /// The computed values that `gradient` nodes differentiate with respect to.
  fileprivate func differentiationVariables() -> BitSet {
    var found = BitSet()
    guard stage == .raw else { return found }
    for node in nodes.elements where node.operation is Gradient {
      for value in node.operands.dropFirst() where values[value].producer != nil {
        found.insert(value)
      }
    }
    return found
  }

  /// Whether a node is more arithmetic than element-wise work on its result would be: a product of some size.
  func isHeavy(_ node: Node) -> Bool {
    let results = types(of: node.results)
    let cost = node.operation.cost(types(of: node.operands), results)
    return cost.flops >= 8 * Double(results[0].count)
  }

  /// The operands that are common to all rows of a node's results.
  func sharedOperands(_ node: Node) -> [ValueID] {
    guard case .each(let places) = node.operation.rowUse(types(of: node.operands)) else {
      return []
    }
    return node.operands.indices.filter { !places.contains($0) }.map { node.operands[$0] }
  }

  func byteCount(_ values: [ValueID]) -> Int {
    types(of: values).reduce(0) { $0 + $1.byteCount }
  }

  /// Whether what a node reads for all rows is larger than the rows that it makes.
  func readsMoreThanRows(_ node: Node) -> Bool {
    byteCount(sharedOperands(node)) > byteCount(node.results)
  }

  /// Whether `value` is a constant whose elements are all the same, and which.
  package func splat(_ value: ValueID) -> Double? {
    (producer(of: value)?.operation as? Constant)?.splat
  }
}
