// Movement and rows at awkward sizes, against the reference evaluator.

import BackendSupport
import Basics
import GraphIR
import OpenCLBackend
import Operators
import TestSupport
import Testing

@Suite(.onOwnThreads, .enabled(if: DeviceHarness.hasDevice, DeviceHarness.missing))
struct MovementTests {
  @Test func transposes() throws {
    var batch = DeviceHarness.Batch()
    try batch.add(Transpose([1, 0]), [.f32(70, 50)])
    try batch.add(Transpose([1, 0]), [.f32(1031, 7)])
    try batch.add(Transpose([0, 2, 1]), [.f32(3, 33, 17)])
    try batch.add(Transpose([3, 1, 0, 2]), [.f32(4, 5, 6, 7)])
    try batch.add(Transpose([0, 1, 3, 2]), [.f32(5, 5, 32, 64)])
    try batch.add(Transpose([2, 0, 1]), [.i32(4, 5, 6)], low: -9, high: 9)
    // Neighbours of few elements, and an order that stays.
    try batch.add(Transpose([0, 2, 1]), [.f32(41, 3, 2)])
    try batch.add(Transpose([1, 0, 2]), [.f32(5, 9, 31)])
    try batch.add(Transpose([1, 0]), [.f32(4099, 1)])
    try batch.expectAgreement(bound: 0)
  }

  @Test func repetition() throws {
    var batch = DeviceHarness.Batch()
    try batch.add(Broadcast([40, 50]), [.f32(50)])
    try batch.add(Broadcast([40, 3, 50]), [.f32(40, 1, 50)])
    try batch.add(Broadcast([9, 1000]), [.f32()])
    try batch.add(Broadcast([7, 37]), [.f32(7, 1)])
    try batch.add(Broadcast([6, 48, 2]), [.f32(48, 1)])
    try batch.add(Broadcast([3, 5]), [TensorType(.bool, [5])], low: 0, high: 1)
    try batch.add(Iota(.i32(4099)), [TensorType]())
    try batch.add(Iota(.f32(3, 31)), [TensorType]())
    try batch.expectAgreement(bound: 0)
  }

  @Test func boxes() throws {
    var batch = DeviceHarness.Batch()
    try batch.add(Concat(axis: 1), [.f32(30, 5), .f32(30, 64), .f32(30, 1)])
    try batch.add(Concat(axis: 0), [.f32(100, 99), .f32(1, 99)])
    try batch.add(Concat(axis: 2), [.f32(3, 4, 32), .f32(3, 4, 16)])
    try batch.add(Concat(axis: 1), [.i32(3, 2), .i32(3, 40)], low: -9, high: 9)
    try batch.add(Slice(starts: [3, 0, 1], ends: [9, 4, 2]), [.f32(10, 4, 5)])
    try batch.add(Slice(starts: [1, 7], ends: [33, 71]), [.f32(37, 73)])
    try batch.add(Slice(starts: [4099], ends: [8209]), [.f32(8209)])
    try batch.add(Slice(starts: [16, 0], ends: [32, 784]), [.f32(32, 784)])
    try batch.expectAgreement(bound: 0)
  }

  @Test(arguments: [PadMode.zero, .reflect, .edge]) func padding(_ mode: PadMode) throws {
    let cases: [([Int], [Int], [Int])] = [
      ([2, 9, 8, 5], [0, 2, 3, 0], [0, 1, 2, 0]), ([3, 7, 5, 48], [0, 1, 0, 0], [0, 0, 2, 0]),
      ([4099], [5], [13]), ([31, 17], [0, 16], [0, 16]),
      ([2, 3, 2, 3], [1, 2, 1, 2], [1, 0, 1, 2]),
      ([6, 32], [0, 0], [0, 0]),
    ]
    var batch = DeviceHarness.Batch()
    for (shape, before, after) in cases {
      let padded = shape.indices.map { before[$0] + shape[$0] + after[$0] }
      try batch.add(Pad(before: before, after: after, mode: mode), [.f32(shape)])
      try batch.add(PadGradient(before: before, after: after, mode: mode), [.f32(padded)])
    }
    try batch.add(Pad(before: [3], after: [2], mode: mode), [.i32(31)], low: -9, high: 9)
    try batch.expectAgreement(bound: 1e-6)
  }

  /// Constants that a node must make: a root, which is no part of the block of constants.
  @Test func constants() throws {
    let table = Constant(.f32(4099), (0..<4099).map { Double(Float($0) / 7 - 300) })
    let whole = Constant(TensorType(.i32, [3, 5]), (0..<15).map { Double($0 * 7 - 31) })
    var batch = DeviceHarness.Batch()
    for constant in [table, Constant(.f32(1031), [-0.25]), whole] {
      let region = Region(
        inputCount: 2, steps: [Region.Step(Add(), [.input(0), .input(1)])], results: [.step(0)])
      let fused = Fused(root: constant, region: region)
      try batch.add(fused, [constant.type], low: -9, high: 9)
    }
    try batch.expectAgreement(bound: 1e-6)
  }

  @Test func rows() throws {
    var batch = DeviceHarness.Batch()
    try batch.add(OneHot(count: 37), [.i32(50)], low: -2, high: 40)
    try batch.add(OneHot(count: 16), [.i32(3, 5)], low: -2, high: 17)
    try batch.add(GatherRows(), [.f32(7, 33), .i32(40)], low: -3, high: 9)
    try batch.add(GatherRows(), [.f32(11, 2, 16), .i32(3, 7)], low: -3, high: 13)
    try batch.add(ScatterAddRows(count: 9), [.i32(200), .f32(200, 21)], low: -2, high: 10)
    try batch.add(ScatterAddRows(count: 5), [.i32(37), .f32(37, 48)], low: -2, high: 6)
    try batch.add(ScatterAddRows(count: 4099), [.i32(7), .f32(7)], low: 0, high: 4098)
    try batch.expectAgreement()
  }
}
