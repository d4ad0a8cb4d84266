// What a program may ask of the compiler at most. Each limit is a diagnostic, so that no file makes
// it hang, overflow its stack or take memory without bound.

package enum ElaborationLimits {
  /// Nodes of one graph before differentiation.
  package static let nodes = 200_000
  /// Expressions evaluated for one graph: calls that build nothing count too.
  package static let work = 1_000_000
  /// What the call of a network or block counts.
  package static let callWork = 20
  /// How deep expressions nest, calls of networks and blocks taken together.
  package static let depth = 320
  /// Rounds of one `repeat`.
  package static let rounds = 10_000
  /// Elements of a list, those of the lists in it included, and parts of a `split`.
  package static let listLength = 65_536
  /// How deep lists and tuples lie in one another.
  package static let listDepth = 64
  /// `every N steps` blocks that hold computations: each doubles the number of step graphs.
  package static let conditionalBlocks = 4
  /// Parameters of all networks together: 2³⁴ elements.
  package static let parameterElements = 1 << 34
  /// Errors of one run, and as many warnings.
  package static let diagnostics = 50
}
