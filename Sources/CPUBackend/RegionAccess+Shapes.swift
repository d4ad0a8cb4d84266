// How an input of a region is read, from its shape and the region's: the cheapest access that reaches the right
// element at every flat index.

import KernelTable
import Operators

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
    let axes = BroadcastAxes(reading: input, in: shape)
    (sizes, strides) = (axes.sizes, axes.strides)
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
