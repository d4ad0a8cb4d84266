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
  /// Where in the arena the value is saved before the first of the copies runs; nil where the order of the copies
  /// makes that needless. Only states that exchange their values need it.
  package var staging: Int?
  package init(value: ValueID, state: String, reason: String, staging: Int? = nil) {
    self.value = value
    self.state = state
    self.reason = reason
    self.staging = staging
  }
}

/// An output that is the old value of a state that changes: saved to the arena before the state copies run.
package struct OutputCopy: Hashable, Sendable {
  /// Index among the graph's outputs.
  package var output: Int
  package var value: ValueID
  /// Byte offset in the arena.
  package var offset: Int
  package init(output: Int, value: ValueID, offset: Int) {
    self.output = output
    self.value = value
    self.offset = offset
  }
}

/// A stretch of the arena and the time it is held. For reports; the verifier does not trust it.
package struct PlannedBuffer: Hashable, Sendable {
  package var offset: Int
  /// A multiple of the alignment.
  package var bytes: Int
  /// Positions in `Plan.order`, both included; `order.count` is the end of the step, one more is after it.
  package var start: Int
  package var end: Int
  /// The values that live in it one after the other or as views; empty for staging space.
  package var values: [ValueID]
}

package struct Plan: Sendable {
  /// Every offset is a multiple of this: one cache line, one widest vector.
  package static let alignment = 64

  package var graph: Graph
  /// The nodes to run, in order; constants and reshapes in place are not among them.
  package var order: [NodeID]
  package var placements: Table<ValueTag, Placement>
  /// Bytes of the arena: the exact high-water mark.
  package var arenaBytes: Int
  /// The largest sum of values alive at one time: no plan of this order can need less.
  package var lowerBoundBytes: Int
  /// What the arena would be without any reuse.
  package var withoutReuseBytes: Int
  package var constantBytes: Int
  /// At the end of the step, first every `staging` is filled and every `outputCopies` is done, then these run in
  /// order.
  package var stateCopies: [StateCopy]
  package var outputCopies: [OutputCopy]
  /// Where each output is read after the step.
  package var outputPlacements: [Placement]
  /// Per node of `order` and per result: the index of the operand whose arena buffer the result takes over, or nil.
  package var inPlace: [[Int?]]
  /// Constants of one repeated value that only element-wise work reads: one element is stored for them.
  package var scalarConstants: BitSet
  /// The arena as it was packed, by start.
  package var buffers: [PlannedBuffer]

  /// Whether running the plan may change a state.
  package var changesStates: Bool {
    graph.outputs.contains { if case .state = $0.role { true } else { false } }
  }
}

/// The next multiple of the alignment.
package func aligned(_ bytes: Int) -> Int {
  (bytes + Plan.alignment - 1) / Plan.alignment * Plan.alignment
}
