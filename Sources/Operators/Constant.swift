// Tensors made from nothing: constants and counts.

import Basics
import GraphIR

package struct Constant: Operation {
  package static let mnemonic = "constant"
  package static let summary =
    "A tensor written in the program: all its values in row-major order, or one for every element."
  package static let signature: [OperandSpec] = []
  package static var samples: [Sample<Constant>] {
    [
      Constant(.f32(), [2.5]), Constant(.f32(3, 5), [-0.25]),
      Constant(.f32(4), [1, -2, 0.5, 1e10]),
      Constant(.i32(2, 3), [0, 1, -2, 3, 2_147_483_647, -2_147_483_648]),
      Constant(TensorType(.bool, [3]), [1, 0, 1]), Constant(TensorType(.f64, []), [0.1]),
      Constant(.i32(37), [7]),
    ].map { Sample($0, [], differentiable: false) }
  }

  package var type: TensorType
  /// One value for each element, or one for all of them.
  package var values: [FloatAttribute]

  package init() { self.init(.f32(), [0]) }
  package init(_ type: TensorType, _ values: [Double]) {
    self.type = type
    self.values = values.map { FloatAttribute($0) }
  }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("type", &type)
    try visitor.attribute("values", &values)
  }

  package var blocksGradient: Bool { true }

  /// The value of every element, where there is one for all.
  package var splat: Double? { values.count == 1 ? values[0].value : nil }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try checkArity(operands)
    let type = try type.checked()
    guard values.count == 1 || values.count == type.count else {
      throw Diagnostic(
        "shape.mismatch",
        "\(mnemonic) of type \(type) needs 1 or \(type.count) values, found \(values.count)")
    }
    if !type.element.isFloat {
      for value in values where HostTensor.round(value.value, to: type.element) != value.value {
        throw Diagnostic(
          "type.element", "\(mnemonic): \(value.value) is not a value of type \(type.element)")
      }
    }
    return [type]
  }

  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {}

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    if let splat { return [HostTensor(results[0], repeating: splat)] }
    return [HostTensor(results[0], values.map(\.value))]
  }

  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(flops: 0, bytes: Cost.traffic(operands, results))
  }
}

package struct Iota: Operation {
  package static let mnemonic = "iota"
  package static let summary = "0, 1, 2 … along the last axis."
  package static let signature: [OperandSpec] = []
  package static var samples: [Sample<Iota>] {
    [Iota(.i32(1)), Iota(.i32(37)), Iota(.f32(3, 5)), Iota(.i32(2, 3, 4))]
      .map { Sample($0, [], differentiable: false) }
  }

  package var type: TensorType
  package init() { self.init(.i32(1)) }
  package init(_ type: TensorType) { self.type = type }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("type", &type)
  }

  package var blocksGradient: Bool { true }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try checkArity(operands)
    try checkElement(type, [.i32, .f32])
    guard type.rank > 0 else {
      throw Diagnostic("shape.rank", "\(mnemonic) needs an axis to count along, found \(type)")
    }
    return [try type.checked()]
  }

  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {}

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let row = results[0].shape[results[0].rank - 1]
    return [HostTensor(results[0], (0..<results[0].count).map { Double($0 % row) })]
  }

  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(flops: 0, bytes: Cost.traffic(operands, results))
  }
}
