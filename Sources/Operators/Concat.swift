// Tensors one after the other along an axis.

import Basics
import GraphIR

package struct Concat: Operation {
  package static let mnemonic = "concat"
  package static let summary = "Tensors one after the other along an axis."
  package static let signature = [OperandSpec("x", .variadic)]
  package static var samples: [Sample<Concat>] {
    [
      Sample(Concat(axis: 0), [.f32(3), .f32(1), .f32(5)]),
      Sample(Concat(axis: 1), [.f32(3, 2), .f32(3, 5)]),
      Sample(Concat(axis: 0), [.f32(1, 4), .f32(2, 4)]),
      Sample(Concat(axis: 2), [.f32(2, 2, 1), .f32(2, 2, 3), .f32(2, 2, 2)]),
      Sample(Concat(axis: 3), [.f32(1, 2, 3, 4), .f32(1, 2, 3, 1)]),
      Sample(Concat(axis: 0), [.f32(2, 3)]),
      Sample(Concat(axis: 0), [.i32(2), .i32(3)], differentiable: false),
    ]
  }

  package var axis: Int
  package init() { self.init(axis: 0) }
  package init(axis: Int) { self.axis = axis }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("axis", &axis)
  }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try check(operands, ElementType.lanes)
    try checkAxis(axis, of: operands[0])
    var result = operands[0]
    for operand in operands.dropFirst() {
      try checkSameElement(operands[0], operand)
      var expected = operands[0].shape
      if operand.rank == expected.count { expected[axis] = operand.shape[axis] }
      guard operand.shape == expected else {
        throw Diagnostic(
          "shape.mismatch",
          "\(mnemonic) cannot join \(operands[0]) and \(operand) along axis \(axis)",
          help: "all other axes must be equal")
      }
      // Each size is below 2³¹, so that the sum cannot overflow; the builder checks the result.
      result.shape[axis] += operand.shape[axis]
    }
    return [result]
  }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] {
    axis > 0 ? [Array(operands.indices)] : []
  }

  package func rowUse(_ operands: [TensorType]) -> RowUse {
    axis > 0 ? .each(Array(operands.indices)) : .mixed
  }

  /// The adjoint of each operand is its slice of dy.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    var start = 0
    for index in scope.operands.indices {
      let shape = scope.type(ofOperand: index).shape
      if scope.needs(index) {
        var starts = [Int](repeating: 0, count: shape.count)
        var ends = shape
        starts[axis] = start
        ends[axis] = start + shape[axis]
        scope.setAdjoint(
          of: index, try scope.builder.slice(scope.seed, starts: starts, ends: ends))
      }
      start += shape[axis]
    }
  }

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let outer = results[0].shape[..<axis].reduce(1, *)
    var values: [Double] = []
    values.reserveCapacity(results[0].count)
    for block in 0..<outer {
      for operand in operands {
        let length = operand.values.count / outer
        values += operand.values[block * length..<(block + 1) * length]
      }
    }
    return [HostTensor(results[0], values)]
  }

  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(flops: 0, bytes: Cost.traffic(operands, results))
  }
}
