// The structural difference of two graphs, as a value. The numbers of values, the order of nodes and the places in the
// program are no difference; operations, attributes, types, who reads what, and what stands in one kernel are.

import Basics
import GraphIR

package struct GraphDiff: Sendable {
  /// What fills an input of the graph, or becomes of an output.
  package enum Binding: Hashable, Sendable {
    case input(InputRole)
    case output(OutputRole)
  }

  /// An operation of one side, as it is shown; or an input or output of the graph.
  package struct Item: Hashable, Sendable {
    /// The operation's name; of an input or output of the graph, what it is, such as `state "generator/dense/kernel"`.
    package var name: String
    /// Nil for an operation.
    package var binding: Binding?
    /// The number of its first result in IR text; nil for an output and for what stands inside a fused node.
    package var value: ValueID?
    /// The first result of the fused node that it stands in.
    package var within: ValueID?
    package var types: [TensorType]
    package var origin: Origin
    /// What is not at its default, of an operation that was added, removed or put in another's place; else empty.
    package var attributes: [Attribute] = []
  }

  /// An attribute of an operation as IR text shows it.
  package struct Attribute: Hashable, Sendable {
    package var name: String
    package var value: String
    package init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  package enum Kind: String, Sendable, CaseIterable {
    /// It is only on one side.
    case removed, added
    /// The same operation with other attributes, or another one in the same place.
    case changed
    /// The same operation with other types of results.
    case retyped
    /// The same operation reads other values.
    case rewired
    /// The same input by another name.
    case renamed
    /// Several nodes became one kernel; one became several; several became several others.
    case fused, split, regrouped
  }

  /// An attribute of one operation; nil where it is at its default.
  package struct AttributeChange: Hashable, Sendable {
    package var name: String
    package var before: String?
    package var after: String?
  }

  /// An operand by its place among the operands; nil where there is none.
  package struct OperandChange: Hashable, Sendable {
    package var position: Int
    package var before: Item?
    package var after: Item?
  }

  package struct Change: Hashable, Sendable {
    package var kind: Kind
    /// One item on each side that has it; of kernels all nodes that they were made of.
    package var before: [Item]
    package var after: [Item]
    package var attributes: [AttributeChange] = []
    package var operands: [OperandChange] = []
    /// Of what was added or removed: what it reads, and what reads it, each reader once; outputs of the graph are readers.
    package var reads: [Item] = []
    package var readers: [Item] = []
    /// Of what was added or removed: an equal computation that is on both sides.
    package var equal: Item?
  }

  /// How far the two graphs have come. Another stage alone is a difference too.
  package var stages: (before: Stage, after: Stage)
  /// In the order of the graph after, what was removed first; then kernels, then outputs.
  package var changes: [Change]

  package var isEmpty: Bool { changes.isEmpty && stages.before == stages.after }

  package func count(_ kind: Kind) -> Int { changes.count { $0.kind == kind } }

  /// Compares two graphs. Throws only for a graph that the verifier would refuse.
  package init(_ before: Graph, _ after: Graph) throws(Diagnostic) {
    var comparison = GraphComparison(before, after, try DiffSide(before), try DiffSide(after))
    comparison.compare()
    stages = (before.stage, after.stage)
    changes = comparison.changes
  }
}
