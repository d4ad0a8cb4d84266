// What operations say of their operands' rows, tried on their samples with two batches.

import GraphIR
import Operators
import Testing

@Suite struct RowUseTests {
  /// Tensors one after the other along the first axis.
  private func stacked(_ a: HostTensor, _ b: HostTensor) -> HostTensor {
    let shape = [a.shape[0] + b.shape[0]] + a.shape.dropFirst()
    return HostTensor(a.type.with(shape: shape), a.values + b.values)
  }

  /// A second batch: other values in the operands whose rows count, the first batch's in all others.
  private func second(_ first: [HostTensor], of sample: AnySample, _ places: [Int]) -> [HostTensor]
  {
    var batch = first
    let drawn = sample.inputs(seed: 2)
    for place in places {
      let isDrawn = drawn[place].values != first[place].values
      // Given values are the same for every seed.
      let values = isDrawn ? drawn[place].values : first[place].values.reversed()
      batch[place] = HostTensor(first[place].type, values)
    }
    return batch
  }

  /// What an operation claims of its samples; each claim is tried.
  private func check(_ type: any Operation.Type) throws -> (each: Int, summed: Int) {
    var claims = (each: 0, summed: 0)
    for sample in allSamples(of: type) {
      let operation = sample.operation
      let use = operation.rowUse(sample.operands)
      for set in operation.rowLinearOperands(sample.operands) {
        guard case .each(let places) = use else {
          Issue.record("\(sample) is linear row by row, but mixes rows")
          continue
        }
        #expect(set.allSatisfy(places.contains), "\(sample)")
      }
      guard use != .mixed else { continue }
      let types = try operation.inferTypes(sample.operands)
      let first = sample.inputs()
      let second = second(first, of: sample, use.operands)
      var both = first
      for place in use.operands { both[place] = stacked(first[place], second[place]) }

      let rows = Set(use.operands.map { first[$0].shape[0] })
      try #require(rows.count == 1, "\(sample)")
      let joined = operation.withRows(2 * first[use.operands[0]].shape[0])
      let found = joined.evaluate(both, results: try joined.inferTypes(both.map(\.type)))
      let parts = [first, second].map { operation.evaluate($0, results: types) }
      for (index, result) in found.enumerated() {
        let (a, b) = (parts[0][index], parts[1][index])
        let expected: HostTensor
        if case .each = use {
          claims.each += 1
          expected = stacked(a, b)
        } else {
          claims.summed += 1
          expected = HostTensor(a.type, zip(a.values, b.values).map { $0 + $1 })
        }
        try #require(result.type == expected.type, "\(sample)")
        let isEqual = zip(result.values, expected.values).allSatisfy {
          $0 == $1 || ($0.isNaN && $1.isNaN) || abs($0 - $1) <= 1e-13 * max(1, abs($1))
        }
        #expect(isEqual, "\(sample): rows of \(use)")
      }
    }
    return claims
  }

  @Test func claimsHold() throws {
    var (each, summed): ([String], [String]) = ([], [])
    for type in OperatorSet.standard.all {
      let claims = try check(type)
      if claims.each > 0 { each.append(type.mnemonic) }
      if claims.summed > 0 { summed.append(type.mnemonic) }
    }
    // What networks and their ways back are made of.
    for name in [
      "add", "leaky_relu", "select", "compare", "convert", "bce_with_logits", "reshape", "matmul",
      "conv2d", "conv2d_input_gradient", "max_pool", "max_pool_gradient", "softmax", "max",
      "upsample_nearest", "broadcast", "slice", "concat", "pad", "gather_rows", "moments",
    ] {
      #expect(each.contains(name), "\(name)")
    }
    #expect(summed.sorted() == ["conv2d_filter_gradient", "matmul", "scatter_add_rows", "sum"])
    for name in ["constant", "random_uniform", "random_normal", "gradient", "fused"] {
      #expect(!each.contains(name), "\(name)")
    }
  }

  @Test func rowsThatAreMixedAreNotClaimed() {
    let (table, row, column) = (TensorType.f32(3, 5), TensorType.f32(5), TensorType.f32(3, 1))
    #expect(Add().rowUse([table, row]) == .each([0]))
    #expect(Add().rowUse([column, table]) == .each([0, 1]))
    #expect(Multiply().rowUse([.f32(1, 5), column]) == .each([1]))
    #expect(Add().rowUse([.f32(), .f32()]) == .mixed)
    #expect(MatMul(transposeA: true).rowUse([table, column]) == .summed([0, 1]))
    #expect(MatMul(transposeA: true, transposeB: true).rowUse([table, .f32(2, 3)]) == .mixed)
    #expect(Sum(axes: [0, 1]).rowUse([table]) == .summed([0]))
    #expect(Max(axes: [0]).rowUse([table]) == .mixed)
    #expect(Moments(axes: [0]).rowUse([table]) == .mixed)
    #expect(Softmax().rowUse([row]) == .mixed)
    #expect(Reshape([15]).rowUse([table]) == .mixed)
    #expect(Transpose([1, 0]).rowUse([table]) == .mixed)
    #expect(Broadcast([3, 5]).rowUse([row]) == .mixed)
    #expect(Slice(starts: [0, 1], ends: [2, 3]).rowUse([table]) == .mixed)
    #expect(Concat(axis: 0).rowUse([table, table]) == .mixed)
    #expect(GatherRows().rowUse([table, TensorType(.i32, [4])]) == .each([1]))
  }
}
