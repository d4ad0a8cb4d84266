// How a tensor that broadcasts to a shape is reached from the shape's flat indices: what backends share.

import GraphIR

/// The axes of the shape as runs, from the outermost to the innermost: neighbours that are both kept, or both broadcast,
/// are one run; axes of one element are none.
package struct BroadcastAxes: Hashable, Sendable {
  package private(set) var sizes: [Int] = []
  /// In elements of the tensor; 0 where it is broadcast.
  package private(set) var strides: [Int] = []

  /// `input` must broadcast to `shape`.
  package init(reading input: [Int], in shape: [Int]) {
    let padded = Array(repeating: 1, count: shape.count - input.count) + input
    let dense = rowMajorStrides(padded)
    for axis in shape.indices where shape[axis] != 1 {
      let stride = padded[axis] == 1 ? 0 : dense[axis]
      if let last = strides.last, let size = sizes.last {
        let joins = stride == 0 ? last == 0 : last == stride * shape[axis]
        if joins {
          sizes[sizes.count - 1] = size * shape[axis]
          strides[strides.count - 1] = stride
          continue
        }
      }
      sizes.append(shape[axis])
      strides.append(stride)
    }
  }
}
