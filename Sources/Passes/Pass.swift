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
package struct GraphRewriter {
  package let old: Graph
  package let builder: GraphBuilder
  private var map: Table<ValueTag, ValueID?>

  /// Starts the new graph with all inputs of the old one. With `sharing`, equal nodes become one.
  package init(_ old: Graph, sharing: Bool = false) throws(Diagnostic) {
    self.old = old
    builder = GraphBuilder(name: old.name, stage: old.stage, sharing: sharing)
    map = Table(repeating: nil, count: old.values.count)
    for input in old.inputs {
      map[input.value] = try builder.input(input.role, old.type(of: input.value))
    }
  }

  /// The new value of an old one that has been emitted.
  package func value(_ old: ValueID) -> ValueID { map[old]! }
  package func values(_ list: [ValueID]) -> [ValueID] { list.map { map[$0]! } }

  /// Says what becomes of an old value.
  package mutating func replace(_ old: ValueID, by new: ValueID) { map[old] = new }

  /// Emits a node as it is.
  package mutating func keep(_ node: Node) throws(Diagnostic) {
    builder.origin = node.origin
    let results = try builder.add(node.operation, values(node.operands))
    for (old, new) in zip(node.results, results) { map[old] = new }
  }

  /// Emits the outputs and returns the new graph.
  package func finish() -> Graph {
    for output in old.outputs { builder.output(output.role, value(output.value)) }
    return builder.finish()
  }
}

extension Graph {
  /// Whether `value` is a constant whose elements are all the same, and which.
  package func splat(_ value: ValueID) -> Double? {
    guard let constant = producer(of: value)?.operation as? Constant, constant.values.count == 1
    else { return nil }
    return constant.values[0].value
  }
}
