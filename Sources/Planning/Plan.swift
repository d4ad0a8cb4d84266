// The plan: where each value of a graph lives and in which order its nodes run. A value that can be printed and
// verified; the backend binds it to kernels.

import Basics
import GraphIR

/// Where the bytes of a value are.
package enum Placement: Hashable, Sendable {
  /// At a byte offset of the arena.
  case arena(Int)
  /// In the buffer of a state.
  case state(String)
  /// In the buffer of an input (by its index in the graph).
  case input(Int)
  /// In the block of constants, at a byte offset.
  case constant(Int)
  /// Nowhere: never computed.
  case none
}

/// A state whose new value could not be written in place and is copied at the end of the step.
package struct StateCopy: Hashable, Sendable {
  package var value: ValueID
  package var state: String
  /// Why not in place.
  package var reason: String
  package init(value: ValueID, state: String, reason: String) {
    self.value = value
    self.state = state
    self.reason = reason
  }
}

package struct Plan: Sendable {
  package var graph: Graph
  /// The nodes to run, in order; constants and reshapes in place are not among them.
  package var order: [NodeID]
  package var placements: Table<ValueTag, Placement>
  /// Bytes of the arena: the exact high-water mark.
  package var arenaBytes: Int
  /// The largest sum of values alive at one time: no plan can need less.
  package var lowerBoundBytes: Int
  /// What the arena would be without any reuse.
  package var withoutReuseBytes: Int
  package var constantBytes: Int
  package var stateCopies: [StateCopy]
  /// Per node of `order`: the index of the operand whose buffer the first result takes over, or nil.
  package var inPlace: [Int?]

  package init(
    graph: Graph, order: [NodeID], placements: Table<ValueTag, Placement>, arenaBytes: Int,
    lowerBoundBytes: Int, withoutReuseBytes: Int, constantBytes: Int, stateCopies: [StateCopy],
    inPlace: [Int?]
  ) {
    self.graph = graph
    self.order = order
    self.placements = placements
    self.arenaBytes = arenaBytes
    self.lowerBoundBytes = lowerBoundBytes
    self.withoutReuseBytes = withoutReuseBytes
    self.constantBytes = constantBytes
    self.stateCopies = stateCopies
    self.inPlace = inPlace
  }
}
