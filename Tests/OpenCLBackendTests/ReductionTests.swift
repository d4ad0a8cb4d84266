// Reductions at awkward sizes, against the reference evaluator: few results of many terms, many of few, and columns that
// are no whole vectors.

import BackendSupport
import Basics
import GraphIR
import OpenCLBackend
import Operators
import TestSupport
import Testing

@Suite(.onOwnThreads, .enabled(if: DeviceHarness.hasDevice, DeviceHarness.missing))
struct ReductionTests {
  static let small: [([Int], [Int])] = [
    ([1], [0]), ([17, 33], [0]), ([17, 33], [1]), ([17, 33], [0, 1]), ([5, 6, 7], [0]),
    ([5, 6, 7], [1]), ([5, 6, 7], [2]), ([5, 6, 7], [0, 2]), ([3, 1, 5], [1]),
    ([2, 3, 4, 5], [0, 2]), ([2, 3, 4, 5], [1, 3]), ([1, 1], [0, 1]),
  ]
  static let large: [([Int], [Int])] = [
    ([1000], [0]), ([40009], [0]), ([600, 70], [0]), ([4, 900], [1]), ([8, 20, 20, 3], [0, 1, 2]),
    ([3001, 2], [0]), ([2, 5003], [1]), ([9001, 13], [0]), ([5, 1511, 3], [1]),
    ([128, 100], [0]), ([64, 1], [0]), ([4099, 6], [1]), ([3, 130, 64], [0, 1]),
    ([70000], [0]), ([33, 2100], [0]),
  ]

  @Test func sums() throws {
    for cases in [Self.small, Self.large] {
      var batch = DeviceHarness.Batch()
      for (shape, axes) in cases { try batch.add(Sum(axes: axes), [.f32(shape)]) }
      try batch.expectAgreement(bound: 3e-6)
    }
  }

  /// Terms of one sign, where every rounding counts: as exact as sums in blocks are.
  @Test func longSums() throws {
    var batch = DeviceHarness.Batch()
    let shapes: [([Int], [Int])] = [
      ([1 << 20], [0]), ([30011, 64], [0]), ([30011, 5], [0]), ([3, 100_003], [1]),
    ]
    for (shape, axes) in shapes { try batch.add(Sum(axes: axes), [.f32(shape)], low: 0.5, high: 1) }
    try batch.expectAgreement(bound: 2e-6)
  }

  /// More columns than a GPU has groups, so that one item walks over long columns alone.
  @Test func manyColumns() throws {
    var batch = DeviceHarness.Batch()
    try batch.add(Sum(axes: [0]), [.f32(101, 66_000)], low: 0.5, high: 1)
    try batch.add(Max(axes: [0]), [.f32(40, 66_001)])
    try batch.expectAgreement(bound: 1e-6)
  }

  @Test func largest() throws {
    var batch = DeviceHarness.Batch()
    for (shape, axes) in Self.small.prefix(7) + Self.large.prefix(10) {
      // Below zero, so that a largest element of nothing would show.
      try batch.add(Max(axes: axes), [.f32(shape)], low: -2, high: -1)
      if axes.count == 1 { try batch.add(ArgMax(axis: axes[0]), [.f32(shape)]) }
    }
    try batch.expectAgreement(bound: 0)
  }

  @Test func largestIsNaNWhereThereIsOne() throws {
    var batch = DeviceHarness.Batch()
    let shapes: [([Int], Int)] = [
      ([4, 900], 1), ([900, 4], 0), ([900, 40], 0), ([3, 5], 1), ([9000], 0),
    ]
    for (shape, axis) in shapes {
      let type = TensorType.f32(shape)
      for place in [0, 7, type.count - 1] {
        var values = (0..<type.count).map { Double($0 % 31) }
        values[place] = .nan
        try batch.add(Max(axes: [axis]), [HostTensor(type, values)])
        try batch.add(ArgMax(axis: axis), [HostTensor(type, values)])
      }
      try batch.add(Max(axes: [axis]), [HostTensor(type, repeating: -.infinity)])
    }
    try batch.expectAgreement(bound: 0)
  }

  @Test func moments() throws {
    for cases in [Self.small, Self.large] {
      var batch = DeviceHarness.Batch()
      // Off zero: the error of a mean is that of the elements, not of their difference.
      for (shape, axes) in cases {
        try batch.add(Moments(axes: axes), [.f32(shape)], low: -0.5, high: 1)
      }
      try batch.expectAgreement()
    }
  }

  @Test func momentsOfLargeMeans() throws {
    // E[x²] − E[x]² in f32 would be off by a tenth.
    var batch = DeviceHarness.Batch()
    let shapes: [([Int], [Int])] = [
      ([5000, 3], [0]), ([200_003], [0]), ([2000, 64], [0]), ([4, 5000], [1]), ([3000, 100], [0]),
    ]
    for (shape, axes) in shapes {
      try batch.add(Moments(axes: axes), [.f32(shape)], low: 1000, high: 1001)
    }
    try batch.expectAgreement(bound: 1e-4)
  }

  @Test func softmax() throws {
    var batch = DeviceHarness.Batch()
    for shape in [[1], [3, 1], [5, 7], [2, 3, 130], [40, 1000], [300, 10], [2, 4099]] {
      try batch.add(Softmax(), [.f32(shape)], low: -5, high: 5)
      try batch.add(LogSoftmax(), [.f32(shape)], low: -5, high: 5)
    }
    try batch.expectAgreement()
  }
}
