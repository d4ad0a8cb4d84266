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

/// A stretch of the arena and the time it is held: the source of every offset of the arena. The verifier does not trust
/// the times of values and copies.
package struct PlannedBuffer: Hashable, Sendable {
  package enum Use: Hashable, Sendable {
    /// Values that live in it one after the other or as views.
    case values([ValueID])
    /// The index of one of `outputCopies`.
    case outputCopy(Int)
    /// The index of one of `stateCopies` that goes through the arena.
    case staging(Int)
    /// The index of one of the `Workspace`s that were reserved.
    case workspace(Int)
  }
  package var use: Use
  package var offset: Int
  /// A multiple of the alignment.
  package var bytes: Int
  /// Positions in `Plan.order`, both included; `order.count` is the end of the step, one more is after it.
  package var start: Int
  package var end: Int
  package init(use: Use, offset: Int, bytes: Int, start: Int, end: Int) {
    self.use = use
    self.offset = offset
    self.bytes = bytes
    self.start = start
    self.end = end
  }
}

/// Memory that a kernel has beside its operands and results: a temporary of one node, or a packed operand that several
/// nodes read. A backend knows what it needs when it binds a plan; `Plan.reserving` finds the place.
package struct Workspace: Hashable, Sendable {
  package var bytes: Int
  /// Positions in `Plan.order`, both included; from 0 to one more than `order.count` for what is kept from run to run.
  package var start: Int
  package var end: Int
  package init(bytes: Int, start: Int, end: Int) {
    self.bytes = bytes
    self.start = start
    self.end = end
  }
}

/// A graph with an order for its nodes and a place for every value: all that a backend must know of memory.
package struct Plan: Sendable {
  /// Every offset is a multiple of this: one cache line, one widest vector.
  package static let alignment = 64

  package var graph: Graph
  /// The nodes to run, in order; constants and reshapes in place are not among them.
  package var order: [NodeID]
  package var placements: Table<ValueTag, Placement>
  /// Bytes of the arena: the exact high-water mark of values, copies and workspaces.
  package var arenaBytes: Int
  /// Bytes of the arena for values and copies alone: `arenaBytes` before workspaces were reserved.
  package var valueBytes: Int
  /// The largest sum of buffers held at one time: no plan of this order can need less.
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
  /// The arena as it was packed, by start. `placements` in the arena and the offsets of copies follow from these.
  package var buffers: [PlannedBuffer]

  /// The copies at the end of a step, in the order in which they must be done.
  package func forEachCopy(
    _ body: (_ value: ValueID, _ source: Placement, _ target: Placement) -> Void
  ) {
    for move in stateCopies {
      if let staging = move.staging { body(move.value, placements[move.value], .arena(staging)) }
    }
    for move in outputCopies {
      body(move.value, placements[move.value], .arena(move.offset))
    }
    for move in stateCopies {
      let source = move.staging.map { Placement.arena($0) } ?? placements[move.value]
      body(move.value, source, .state(move.state))
    }
  }

  /// Whether running the plan may change a state.
  package var changesStates: Bool {
    graph.outputs.contains { if case .state = $0.role { true } else { false } }
  }
}

/// The next multiple of the alignment.
package func aligned(_ bytes: Int) -> Int {
  (bytes + Plan.alignment - 1) / Plan.alignment * Plan.alignment
}
