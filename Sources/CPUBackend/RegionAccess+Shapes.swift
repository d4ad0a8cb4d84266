// How an input of a region is read, from its shape and the region's: the cheapest access that reaches the right
// element at every flat index.

import KernelTable

/// A dense tensor read at the flat indices of a shape that it broadcasts to.
struct AccessPattern {
  var access: RegionAccess
  var period = 1
  var sizes: [Int] = []
  var strides: [Int] = []

  /// `input` must broadcast to `shape`.
  init(reading input: [Int], in shape: [Int]) {
    let count = shape.reduce(1, *)
    let inputCount = input.reduce(1, *)
    if inputCount == count {
      access = .full
      return
    }
    if inputCount == 1 {
      access = .scalar
      return
    }
    let padded = Array(repeating: 1, count: shape.count - input.count) + input
    // Axes as runs: kept (stride) or broadcast (0), neighbours of one kind joined.
    let dense = rowMajor(padded)
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
    if sizes.count == 2, strides[0] == 0 {
      access = .trailing
      period = sizes[1]
    } else if sizes.count == 2, strides[1] == 0 {
      access = .leading
      period = sizes[1]
    } else {
      access = .strided
    }
  }

  func input(_ pointer: UnsafeRawPointer, _ memory: BindMemory) -> RegionInput {
    guard access == .strided else { return RegionInput(pointer, access, period: period) }
    return RegionInput(
      pointer, access, rank: sizes.count, sizes: UnsafePointer(memory.store(array: sizes)),
      strides: UnsafePointer(memory.store(array: strides)))
  }
}

private func rowMajor(_ shape: [Int]) -> [Int] {
  var strides = [Int](repeating: 1, count: shape.count)
  for axis in stride(from: shape.count - 2, through: 0, by: -1) {
    strides[axis] = strides[axis + 1] * shape[axis + 1]
  }
  return strides
}
