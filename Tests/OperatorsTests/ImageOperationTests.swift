// Pooling, up-sampling and rows of tables: known values (bilinear ones are PyTorch's with align_corners=False),
// and adjointness of each operation with its gradient.

import Basics
import GraphIR
import Operators
import Testing

private func image(_ height: Int, _ width: Int, _ values: [Double]) -> HostTensor {
  HostTensor(.f32(1, height, width, 1), values)
}

private func window(_ size: Int, _ stride: Int, padding: [Int] = [0, 0, 0, 0]) -> PoolWindow {
  PoolWindow(size: [size, size], stride: [stride, stride], padding: padding)
}

@Suite struct ImageOperationTests {
  @Test func maxPoolTakesTheFirstOfEqualOnes() throws {
    let x = image(3, 4, [1, 5, 2, 2, 5, 0, 2, 2, 9, 9, -1, -2])
    let pool = PoolWindow(size: [2, 2], stride: [1, 2], padding: [0, 0, 0, 0])
    #expect(try evaluate(MaxPool(pool), x) == [5, 2, 9, 2])
    let dy = image(2, 2, [1, 10, 100, 1000])
    #expect(
      try evaluate(MaxPoolGradient(pool), x, dy) == [0, 1, 10, 0, 0, 0, 1000, 0, 100, 0, 0, 0])
    let places = image(3, 4, (0..<12).map(Double.init))
    #expect(try evaluate(MaxPoolGather(pool), x, places) == [1, 2, 8, 6])
  }

  @Test func maxPoolPaddingNeverWins() throws {
    let x = image(2, 2, [-3, -4, -5, -6])
    let pool = window(2, 1, padding: [1, 1, 1, 1])
    #expect(try evaluate(MaxPool(pool), x) == [-3, -3, -4, -3, -3, -4, -5, -5, -6])
  }

  @Test func maxPoolKeepsNaN() throws {
    let found = try evaluate(MaxPool(window(2, 2)), image(2, 4, [1, .nan, 3, 4, 5, 6, 7, 8]))
    #expect(found[0].isNaN)
    #expect(found[1] == 8)
    let gradient = try evaluate(
      MaxPoolGradient(window(2, 2)), image(2, 4, [1, .nan, 3, 4, 5, .nan, 7, 8]),
      image(1, 2, [1, 2]))
    #expect(gradient == [0, 1, 0, 0, 0, 0, 0, 2])
  }

  @Test func avgPoolDoesNotCountPadding() throws {
    let x = image(2, 2, [1, 2, 3, 6])
    #expect(
      try evaluate(AvgPool(window(2, 1, padding: [1, 1, 1, 1])), x)
        == [1, 1.5, 2, 2, 3, 4, 3, 4.5, 6])
    let pool = window(2, 2, padding: [1, 1, 0, 0])
    #expect(
      try evaluate(AvgPoolGradient(pool, inputSize: [2, 2]), image(2, 1, [2, 4])) == [1, 1, 2, 2])
  }

  @Test func nearest() throws {
    let x = image(1, 2, [1, 2])
    #expect(
      try evaluate(UpsampleNearest(factor: [2, 3]), x) == [1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2])
    #expect(
      try evaluate(BlockSum(factor: [2, 3]), image(2, 6, (1...12).map(Double.init)))
        == [30, 48])
    // Channels stay apart.
    let colours = HostTensor(.f32(1, 1, 2, 2), [1, 10, 2, 20])
    #expect(
      try evaluate(UpsampleNearest(factor: [1, 2]), colours) == [1, 10, 1, 10, 2, 20, 2, 20])
  }

  @Test func bilinearIsPyTorchs() throws {
    #expect(
      try evaluate(UpsampleBilinear(factor: [2, 2]), image(2, 2, [1, 2, 3, 4])) == [
        1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4,
      ])
    #expect(
      isClose(
        try evaluate(UpsampleBilinear(factor: [1, 3]), image(1, 2, [0, 3])), [0, 0, 1, 2, 3, 3]))
    // One pixel stays what it is.
    #expect(try evaluate(UpsampleBilinear(factor: [2, 2]), image(1, 1, [7])) == [7, 7, 7, 7])
  }

  @Test(arguments: 1...5) func bilinearWeightsAreABlend(factor: Int) {
    for size in 1...4 {
      let axis = BilinearAxis(size: size, factor: factor)
      #expect(axis.first.count == size * factor)
      for o in axis.first.indices {
        #expect(axis.weight[o] >= 0 && axis.weight[o] < 1)
        #expect(axis.first[o] >= 0 && axis.second[o] < size)
        #expect(axis.second[o] - axis.first[o] <= 1)
      }
    }
  }

  @Test func rows() throws {
    let table = HostTensor(.f32(3, 2), [1, 2, 3, 4, 5, 6])
    let ids = HostTensor(.i32(2, 2), [2, 0, 2, 3])
    #expect(try evaluate(GatherRows(), table, ids) == [5, 6, 1, 2, 5, 6, 0, 0])
    let updates = HostTensor(.f32(2, 2, 2), [1, 2, 3, 4, 5, 6, 7, 8])
    #expect(try evaluate(ScatterAddRows(count: 3), ids, updates) == [3, 4, 0, 0, 6, 8])
    #expect(
      try evaluate(OneHot(count: 3), HostTensor(.i32(4), [2, 0, -1, 3]))
        == [0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    // Numbers far outside reach nothing.
    let far = HostTensor(.i32(2), [-2_147_483_648, 2_147_483_647])
    #expect(try evaluate(GatherRows(), table, far) == [0, 0, 0, 0])
  }

  @Test func gatherIsOneHotTimesTable() throws {
    let table = randomTensor(.f32(5, 4), stream: 3)
    let ids = HostTensor(.i32(6), [4, 0, 2, 2, -1, 5])
    let hot = HostTensor(.f32(6, 5), try evaluate(OneHot(count: 5), ids))
    #expect(try evaluate(GatherRows(), table, ids) == evaluate(MatMul(), hot, table))
  }

  /// Linear operations and their adjoints: <A x, y> = <x, Aᵀ y>.
  @Test func adjoints() throws {
    func check(
      _ forward: any Operation, _ backward: any Operation, _ type: TensorType
    ) throws {
      let x = randomTensor(type, stream: 1)
      let result = try forward.inferTypes([type])[0]
      let y = randomTensor(result, stream: 2)
      let there = zip(try evaluate(forward, x), y.values).reduce(0) { $0 + $1.0 * $1.1 }
      let back = zip(x.values, try evaluate(backward, y)).reduce(0) { $0 + $1.0 * $1.1 }
      #expect(isClose([there], [back], 1e-11), "\(forward)")
    }
    for factor in [[1, 1], [2, 2], [3, 1], [2, 5]] {
      try check(
        UpsampleNearest(factor: factor), BlockSum(factor: factor), .f32(2, 3, 4, 3))
      try check(
        UpsampleBilinear(factor: factor), UpsampleBilinearGradient(factor: factor),
        .f32(2, 3, 4, 3))
    }
    for sample in AvgPool.samples {
      let shape = sample.operands[0].shape
      let gradient = AvgPoolGradient(sample.operation.window, inputSize: [shape[1], shape[2]])
      try check(sample.operation, gradient, sample.operands[0])
    }
  }
}
