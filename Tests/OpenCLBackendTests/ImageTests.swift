// Scaling and pooling of images at awkward sizes, against the reference evaluator.

import BackendSupport
import Basics
import GraphIR
import OpenCLBackend
import Operators
import TestSupport
import Testing

@Suite(.onOwnThreads, .enabled(if: DeviceHarness.hasDevice, DeviceHarness.missing))
struct ImageTests {
  @Test(arguments: [[2, 2], [1, 3], [4, 5]]) func scaling(_ factor: [Int]) throws {
    var batch = DeviceHarness.Batch()
    for channels in [3, 48] {
      let small = TensorType.f32(2, 5, 7, channels)
      let large = TensorType.f32(2, 5 * factor[0], 7 * factor[1], channels)
      try batch.add(UpsampleNearest(factor: factor), [small])
      try batch.add(UpsampleBilinear(factor: factor), [small])
      try batch.add(BlockSum(factor: factor), [large])
      try batch.add(UpsampleBilinearGradient(factor: factor), [large])
    }
    // One pixel, whose neighbours are all itself.
    try batch.add(UpsampleBilinear(factor: factor), [.f32(1, 1, 1, 2)])
    try batch.add(UpsampleBilinearGradient(factor: factor), [.f32(1, factor[0], factor[1], 2)])
    try batch.expectAgreement(bound: 3e-6)
  }

  static let windows = [
    PoolWindow(size: [3, 2], stride: [2, 1], padding: [1, 1, 0, 1]),
    PoolWindow(size: [2, 2], stride: [2, 2], padding: [0, 0, 0, 0]),
    PoolWindow(size: [2, 3], stride: [3, 4], padding: [1, 0, 2, 1]),
    PoolWindow(size: [5, 5], stride: [1, 1], padding: [4, 4, 4, 4]),
  ]

  @Test(arguments: windows) func pooling(_ window: PoolWindow) throws {
    var batch = DeviceHarness.Batch()
    for channels in [21, 16] {
      let x = TensorType.f32(2, 9, 8, channels)
      let y = try MaxPool(window).inferTypes([x])[0]
      try batch.add(MaxPool(window), [x])
      try batch.add(MaxPoolGradient(window), [x, y])
      try batch.add(MaxPoolGather(window), [x, x])
      try batch.add(AvgPool(window), [x])
      try batch.add(AvgPoolGradient(window, inputSize: [9, 8]), [y])
    }
    try batch.expectAgreement(bound: 3e-6)
  }

  /// Equal elements, NaN and infinities: the first counts, and a NaN is larger than all.
  @Test(arguments: windows) func winners(_ window: PoolWindow) throws {
    var batch = DeviceHarness.Batch()
    for channels in [1, 16] {
      let x = TensorType.f32(1, 9, 8, channels)
      let y = try MaxPool(window).inferTypes([x])[0]
      let few: [Double] = [1, -.infinity, 1, 0, -.infinity, .nan, 0, 2, 2, 1, .infinity]
      let repeated = HostTensor(x, (0..<x.count).map { few[($0 * 7 / 3) % few.count] })
      var filler = Filler(5)
      try batch.add(MaxPool(window), [repeated])
      try batch.add(MaxPoolGather(window), [repeated, filler.uniform(x, -1, 1)])
      try batch.add(MaxPoolGradient(window), [repeated, filler.uniform(y, -1, 1)])
      let least = HostTensor(x, repeating: -.infinity)
      try batch.add(MaxPoolGather(window), [least, filler.uniform(x, -1, 1)])
      try batch.add(MaxPoolGradient(window), [least, filler.uniform(y, -1, 1)])
    }
    try batch.expectAgreement(bound: 3e-6)
  }
}
