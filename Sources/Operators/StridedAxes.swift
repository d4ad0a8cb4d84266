// The axes of a copy between two places with strides: what backends share.

/// Axes that lie together in both places are one, and axes of one element are none, so that runs are as long as they
/// can be.
package struct StridedAxes: Hashable, Sendable {
  package private(set) var sizes: [Int] = []
  /// In elements; 0 where the source is repeated.
  package private(set) var source: [Int] = []
  package private(set) var target: [Int] = []

  package init(sizes: [Int], source: [Int], target: [Int]) {
    for axis in sizes.indices where sizes[axis] != 1 {
      if let last = self.sizes.indices.last,
        self.source[last] == source[axis] * sizes[axis],
        self.target[last] == target[axis] * sizes[axis]
      {
        self.sizes[last] *= sizes[axis]
        self.source[last] = source[axis]
        self.target[last] = target[axis]
      } else {
        self.sizes.append(sizes[axis])
        self.source.append(source[axis])
        self.target.append(target[axis])
      }
    }
  }

  package var count: Int { sizes.reduce(1, *) }
}
