// What an executable measured: time per kernel launch. In: nanoseconds, added by a backend. Out: sums per node.

import GraphIR

/// One kind of launch of a plan and the time it took so far.
package struct ProfileEntry: Hashable, Sendable {
  /// The node it belongs to; nil for what belongs to the step as a whole, such as state copies.
  package var node: NodeID?
  /// The kernel's name in the kernel table.
  package var kernel: String
  /// Whether it only brings an operand into the form that the node's own kernel wants.
  package var isPacking: Bool
  package var nanoseconds: UInt64
  package var runs: Int
  package init(
    node: NodeID?, kernel: String, isPacking: Bool = false, nanoseconds: UInt64 = 0, runs: Int = 0
  ) {
    self.node = node
    self.kernel = kernel
    self.isPacking = isPacking
    self.nanoseconds = nanoseconds
    self.runs = runs
  }
}

/// An executable that can time its launches.
package protocol Profiling: AnyObject {
  /// Off at first. Clears what was measured when set.
  var isProfiling: Bool { get set }
  /// In the order of the launches.
  var profile: [ProfileEntry] { get }
}
