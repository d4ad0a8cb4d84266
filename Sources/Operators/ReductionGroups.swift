// A reduction over axes as reductions of one run of neighbouring axes after the other: what backends share.

import GraphIR

/// The sizes of the reduction of one run: terms of `inner` neighbours each, `outer` times.
package struct ReductionForm: Hashable, Sendable {
  package var outer: Int
  package var terms: Int
  package var inner: Int

  package init(outer: Int, terms: Int, inner: Int) {
    self.outer = outer
    self.terms = terms
    self.inner = inner
  }

  /// The elements that are left.
  package var results: Int { outer * inner }
}

/// A shape as runs of axes that are reduced or kept; axes of size 1 are left out.
package struct ReductionGroups: Sendable {
  private var runs: [(size: Int, isReduced: Bool)] = []

  package init(_ shape: [Int], axes: [Int]) {
    for (axis, size) in shape.enumerated() where size != 1 {
      let isReduced = axes.contains(axis)
      if let last = runs.indices.last, runs[last].isReduced == isReduced {
        runs[last].size *= size
      } else {
        runs.append((size, isReduced))
      }
    }
  }

  /// The runs that are reduced.
  package var reduced: [Int] { runs.indices.filter { runs[$0].isReduced } }

  /// The reduced run of the most terms, which should go first, so that the rest is small.
  package var largest: Int? { reduced.max { runs[$0].size < runs[$1].size } }

  /// The form of the reduction of one run.
  package func form(of index: Int) -> ReductionForm {
    ReductionForm(
      outer: runs[..<index].reduce(1) { $0 * $1.size }, terms: runs[index].size,
      inner: runs[(index + 1)...].reduce(1) { $0 * $1.size })
  }

  /// Without a run that has been reduced; its neighbours are joined.
  package mutating func remove(_ index: Int) {
    runs.remove(at: index)
    if index > 0, index < runs.count, runs[index - 1].isReduced == runs[index].isReduced {
      runs[index - 1].size *= runs[index].size
      runs.remove(at: index)
    }
  }
}
