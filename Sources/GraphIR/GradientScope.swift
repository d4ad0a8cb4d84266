// What an operation sees when it is differentiated: its operands and results, the adjoints of the results that
// there are, which operands want one, and a builder to write the derivative with. The derivative is a graph of
// ordinary operations, so the second order comes by construction.

import Basics

package struct GradientScope {
  /// Where the derivative is written; operands and results are values of it.
  package let builder: GraphBuilder
  package let operands: [ValueID]
  package let results: [ValueID]
  /// The adjoint of each result; nil where the loss does not depend on it.
  package let seeds: [ValueID?]
  private let wanted: [Bool]
  package private(set) var adjoints: [ValueID?]

  package init(
    builder: GraphBuilder, operands: [ValueID], results: [ValueID], seeds: [ValueID?],
    wanted: [Bool]
  ) {
    self.builder = builder
    self.operands = operands
    self.results = results
    self.seeds = seeds
    self.wanted = wanted
    adjoints = Array(repeating: nil, count: operands.count)
  }

  /// Whether the adjoint of an operand is asked for. Operations skip the work for those that are not.
  package func needs(_ operand: Int) -> Bool { wanted[operand] }

  /// The adjoint of the one result of an operation. The differentiator asks only nodes that have one.
  package var seed: ValueID { seeds[0]! }

  package func type(ofOperand index: Int) -> TensorType { builder.type(of: operands[index]) }
  package func type(ofResult index: Int) -> TensorType { builder.type(of: results[index]) }

  /// Sets the adjoint of an operand. It must have the operand's shape, or one that the operand was broadcast to:
  /// the differentiator sums it back. Ignored where the operand wants none.
  package mutating func setAdjoint(of operand: Int, _ value: ValueID) {
    if wanted[operand] { adjoints[operand] = value }
  }
}
