// Awkward sizes for every family of kernels, against the reference evaluator.

import BackendSupport
import Basics
import GraphIR
import Operators
import Testing

@testable import CPUBackend

@Suite struct SizeTests {
  @Test(arguments: [false, true], [false, true])
  func products(_ transposeA: Bool, _ transposeB: Bool) throws {
    let operation = MatMul(transposeA: transposeA, transposeB: transposeB)
    let sizes: [(Int, Int, Int)] = [
      (1, 1, 1), (1, 100, 33), (2, 7, 8), (3, 5, 7), (6, 16, 6), (12, 32, 32), (13, 33, 31),
      (64, 3, 65), (97, 50, 10), (5, 300, 4), (130, 20, 130), (600, 5, 40), (40, 1, 600),
      (1, 513, 1),
      (31, 784, 2),
      // Rows that would begin 4 KiB apart: direct and swapped, packed.
      (130, 1024, 140), (140, 1024, 130),
    ]
    for (m, k, n) in sizes {
      let a = transposeA ? [k, m] : [m, k]
      let b = transposeB ? [n, k] : [k, n]
      try check(operation, [.f32(a), .f32(b)], seed: UInt64(m * n))
      if m * n < 3000 { try check(operation, [.f32([3] + a), .f32([3] + b)]) }
    }
  }

  struct Geometry: Sendable, CustomTestStringConvertible {
    var n: Int, h: Int, w: Int, c: Int, o: Int, kh: Int, kw: Int
    var stride: [Int]
    var padding: [Int]
    var testDescription: String { "\(n)×\(h)×\(w)×\(c)→\(o) \(kh)×\(kw)/\(stride) \(padding)" }
    var y: [Int] {
      [
        n, (h + padding[0] + padding[1] - kh) / stride[0] + 1,
        (w + padding[2] + padding[3] - kw) / stride[1] + 1, o,
      ]
    }
  }

  static let geometries: [Geometry] = [
    Geometry(n: 1, h: 1, w: 1, c: 1, o: 1, kh: 1, kw: 1, stride: [1, 1], padding: [0, 0, 0, 0]),
    Geometry(n: 2, h: 5, w: 7, c: 3, o: 5, kh: 3, kw: 3, stride: [1, 1], padding: [1, 1, 1, 1]),
    Geometry(n: 1, h: 9, w: 8, c: 1, o: 33, kh: 5, kw: 5, stride: [2, 2], padding: [2, 2, 1, 2]),
    Geometry(n: 3, h: 7, w: 6, c: 16, o: 8, kh: 4, kw: 4, stride: [2, 2], padding: [1, 1, 1, 1]),
    Geometry(n: 2, h: 4, w: 4, c: 9, o: 70, kh: 1, kw: 1, stride: [1, 1], padding: [0, 0, 0, 0]),
    Geometry(n: 2, h: 8, w: 11, c: 5, o: 3, kh: 2, kw: 3, stride: [3, 2], padding: [0, 0, 1, 0]),
    Geometry(n: 1, h: 2, w: 2, c: 4, o: 4, kh: 5, kw: 5, stride: [1, 1], padding: [2, 2, 2, 2]),
    Geometry(n: 1, h: 6, w: 6, c: 2, o: 2, kh: 1, kw: 1, stride: [2, 2], padding: [0, 0, 0, 0]),
    Geometry(
      n: 2, h: 14, w: 14, c: 8, o: 20, kh: 5, kw: 5, stride: [1, 1], padding: [2, 2, 2, 2]),
    Geometry(
      n: 5, h: 16, w: 15, c: 12, o: 17, kh: 3, kw: 3, stride: [1, 1], padding: [1, 1, 1, 1]),
    Geometry(n: 2, h: 7, w: 7, c: 3, o: 4, kh: 3, kw: 3, stride: [4, 4], padding: [0, 0, 0, 0]),
    // To one channel, forward and backward: products whose columns are taps.
    Geometry(n: 3, h: 9, w: 8, c: 16, o: 1, kh: 4, kw: 4, stride: [1, 1], padding: [1, 2, 1, 2]),
    Geometry(n: 2, h: 7, w: 10, c: 33, o: 1, kh: 3, kw: 5, stride: [2, 3], padding: [1, 0, 2, 2]),
    Geometry(
      n: 2, h: 14, w: 13, c: 1, o: 32, kh: 5, kw: 5, stride: [2, 2], padding: [1, 2, 2, 2]),
    Geometry(n: 2, h: 6, w: 7, c: 1, o: 17, kh: 2, kw: 3, stride: [3, 2], padding: [0, 0, 1, 0]),
    Geometry(n: 2, h: 3, w: 3, c: 40, o: 1, kh: 5, kw: 5, stride: [1, 1], padding: [4, 4, 4, 4]),
  ]

  @Test(arguments: geometries) func convolutions(_ g: Geometry) throws {
    let filter = TensorType.f32([g.kh, g.kw, g.c, g.o])
    let x = TensorType.f32([g.n, g.h, g.w, g.c])
    let y = TensorType.f32(g.y)
    try check(Conv2D(stride: g.stride, padding: g.padding), [x, filter])
    try check(
      Conv2DInputGradient(stride: g.stride, padding: g.padding, inputSize: [g.h, g.w]), [y, filter])
    try check(
      Conv2DFilterGradient(stride: g.stride, padding: g.padding, kernelSize: [g.kh, g.kw]), [x, y])
  }

  @Test func reductions() throws {
    let cases: [([Int], [Int])] = [
      ([1], [0]), ([1000], [0]), ([40000], [0]), ([17, 33], [0]), ([17, 33], [1]),
      ([17, 33], [0, 1]),
      ([5, 6, 7], [0]), ([5, 6, 7], [1]), ([5, 6, 7], [2]), ([5, 6, 7], [0, 2]),
      ([5, 6, 7], [0, 1]),
      ([5, 6, 7], [1, 2]), ([3, 1, 5], [1]), ([2, 3, 4, 5], [0, 2]), ([2, 3, 4, 5], [1, 3]),
      ([2, 3, 4, 5], [0, 1, 2]), ([64, 300], [0]), ([4, 900], [1]), ([8, 20, 20, 3], [0, 1, 2]),
      ([3000, 2], [0]), ([2, 5000], [1]), ([1, 1], [0, 1]), ([600, 70], [0]),
    ]
    for (shape, axes) in cases {
      for keepDims in [false, true] {
        try check(Sum(axes: axes, keepDims: keepDims), [.f32(shape)])
        try check(Max(axes: axes, keepDims: keepDims), [.f32(shape)])
        // Off zero: the error of a mean is that of the elements, not of their difference.
        try check(Moments(axes: axes, keepDims: keepDims), [.f32(shape)], low: -0.5, high: 1)
      }
      if axes.count == 1 { try check(ArgMax(axis: axes[0]), [.f32(shape)]) }
    }
    for shape in [[1], [3, 1], [5, 7], [2, 3, 130], [40, 1000]] {
      try check(Softmax(), [.f32(shape)], low: -5, high: 5)
      try check(LogSoftmax(), [.f32(shape)], low: -5, high: 5)
    }
  }

  @Test func momentsOfLargeMeans() throws {
    // E[x²] − E[x]² in f32 would be off by a tenth.
    try check(Moments(axes: [0]), [.f32(5000, 3)], bound: 1e-4, low: 1000, high: 1001)
  }

  @Test func movement() throws {
    try check(Transpose([1, 0]), [.f32(70, 50)])
    try check(Transpose([0, 2, 1]), [.f32(3, 33, 17)])
    try check(Transpose([3, 1, 0, 2]), [.f32(4, 5, 6, 7)])
    try check(Transpose([2, 0, 1]), [.i32(4, 5, 6)], low: -9, high: 9)
    try check(Broadcast([40, 50]), [.f32(50)])
    try check(Broadcast([40, 3, 50]), [.f32(40, 1, 50)])
    try check(Broadcast([9, 1000]), [.f32()])
    try check(Concat(axis: 1), [.f32(30, 5), .f32(30, 64), .f32(30, 1)])
    try check(Concat(axis: 0), [.f32(100, 99), .f32(1, 99)])
    try check(Slice(starts: [3, 0, 1], ends: [9, 4, 2]), [.f32(10, 4, 5)])
    try check(Pad(before: [0, 2, 3, 0], after: [0, 1, 2, 0], mode: .zero), [.f32(2, 9, 8, 5)])
    try check(Pad(before: [0, 2, 3, 0], after: [0, 1, 2, 0], mode: .reflect), [.f32(2, 9, 8, 5)])
    try check(Pad(before: [0, 2, 3, 0], after: [0, 1, 2, 0], mode: .edge), [.f32(2, 9, 8, 5)])
    try check(
      PadGradient(before: [0, 2, 3, 0], after: [0, 1, 2, 0], mode: .reflect), [.f32(2, 12, 13, 5)])
    try check(
      PadGradient(before: [0, 2, 3, 0], after: [0, 1, 2, 0], mode: .edge), [.f32(2, 12, 13, 5)])
    try check(OneHot(count: 37), [.i32(50)], low: -2, high: 40)
    try check(GatherRows(), [.f32(7, 33), .i32(40)], low: -3, high: 9)
    try check(ScatterAddRows(count: 9), [.i32(200), .f32(200, 21)], low: -2, high: 10)
  }

  @Test func images() throws {
    for factor in [[2, 2], [1, 3], [3, 1]] {
      try check(UpsampleNearest(factor: factor), [.f32(2, 5, 7, 3)])
      try check(UpsampleBilinear(factor: factor), [.f32(2, 5, 7, 33)])
      let large = TensorType.f32(2, 5 * factor[0], 7 * factor[1], 19)
      try check(BlockSum(factor: factor), [large])
      try check(UpsampleBilinearGradient(factor: factor), [large])
    }
    let window = PoolWindow(size: [3, 2], stride: [2, 1], padding: [1, 1, 0, 1])
    let x = TensorType.f32(2, 9, 8, 21)
    let y = TensorType.f32(2, 5, 8, 21)
    try check(MaxPool(window), [x])
    try check(MaxPoolGradient(window), [x, y])
    try check(MaxPoolGather(window), [x, x])
    try check(AvgPool(window), [x])
    try check(AvgPoolGradient(window, inputSize: [9, 8]), [y])
  }

  @Test func randomNumbers() throws {
    for count in [1, 5, 17, 1023, 4099] {
      let inputs = [HostTensor(.i32(2), [77, -5]), HostTensor(.i32(), [123])]
      for operation in [
        RandomUniform(shape: [count], stream: 0xF000_0001) as any Operation,
        RandomNormal(shape: [count], stream: 5),
      ] {
        try expectAgreement(single(operation, [.i32(2), .i32()]), inputs, bound: 2e-6)
      }
    }
  }
}
