// What operations say of being linear row by row, tried on their samples.

import GraphIR
import Operators
import Testing

@Suite struct RowLinearTests {
  /// Zero, negative and large factors among them.
  private static let factors = [-1.5, 0, 3, 0.25, -40, 7]

  /// A tensor with row i multiplied by the factor i.
  private func scaled(_ tensor: HostTensor) -> HostTensor {
    let size = tensor.values.count / tensor.shape[0]
    let values = tensor.values.enumerated().map { place, value in
      value * Self.factors[place / size % Self.factors.count]
    }
    return HostTensor(tensor.type, values)
  }

  /// How many sets of operands the samples of an operation claim; each is tried.
  private func check(_ type: any Operation.Type) throws -> Int {
    var claims = 0
    for sample in allSamples(of: type) {
      let operation = sample.operation
      let types = try operation.inferTypes(sample.operands)
      let inputs = sample.inputs()
      for set in operation.rowLinearOperands(sample.operands)
      where set.allSatisfy({ sample.operands[$0].element.isFloat }) {
        claims += 1
        var changed = inputs
        for place in set { changed[place] = scaled(inputs[place]) }
        let rows = Set((set.map { sample.operands[$0] } + types).map(\.shape.first))
        try #require(rows.count == 1 && rows.first != .some(nil), "\(sample): rows of \(set)")
        let plain = operation.evaluate(inputs, results: types)
        let found = operation.evaluate(changed, results: types)
        for (x, y) in zip(plain.map(scaled), found) {
          let largest = x.values.map(abs).max() ?? 0
          let isEqual = zip(x.values, y.values).allSatisfy {
            abs($0 - $1) <= 1e-13 * max(1, largest)
          }
          #expect(isEqual, "\(sample) is not linear in \(set)")
        }
      }
    }
    return claims
  }

  @Test func claimsHold() throws {
    let claiming = try OperatorSet.standard.all.filter { try check($0) > 0 }.map { $0.mnemonic }
    // What the ways back through networks are made of.
    for name in [
      "add", "multiply", "select", "negate", "reshape", "matmul", "conv2d_input_gradient",
      "avg_pool_gradient", "max_pool_gradient", "block_sum", "slice", "pad",
    ] {
      #expect(claiming.contains(name))
    }
    for name in ["square", "relu", "max_pool", "softmax", "conv2d_filter_gradient", "moments"] {
      #expect(!claiming.contains(name))
    }
  }

  @Test func rowsThatAreMixedAreNotClaimed() {
    let (table, row, column) = (TensorType.f32(3, 5), TensorType.f32(5), TensorType.f32(3, 1))
    #expect(Add().rowLinearOperands([table, column]) == [[0, 1]])
    #expect(Add().rowLinearOperands([table, row]) == [])
    #expect(Multiply().rowLinearOperands([table, row]) == [[0]])
    #expect(Multiply().rowLinearOperands([.f32(1, 5), column]) == [[1]])
    #expect(Divide().rowLinearOperands([row, table]) == [])
    #expect(Select().rowLinearOperands([TensorType(.bool, [3, 5]), column, table]) == [[1, 2]])
    #expect(MatMul(transposeA: true).rowLinearOperands([table, column]) == [])
    #expect(Reshape([15]).rowLinearOperands([table]) == [])
    #expect(Transpose([1, 0]).rowLinearOperands([table]) == [])
    #expect(Sum(axes: [0, 1]).rowLinearOperands([table]) == [])
    #expect(Broadcast([3, 5]).rowLinearOperands([row]) == [])
    #expect(Slice(starts: [0, 1], ends: [2, 3]).rowLinearOperands([table]) == [])
    #expect(Concat(axis: 0).rowLinearOperands([table, table]) == [])
  }
}
