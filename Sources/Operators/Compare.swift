// Comparison, choice and conversion: the operations between booleans, whole and floating numbers.

import Basics
import GraphIR

package struct Compare: Operation {
  package enum Predicate: String, WordAttribute, Sendable {
    case eq, ne, lt, le, gt, ge

    /// Comparisons with NaN are false, `ne` is true.
    package func holds(_ a: Double, _ b: Double) -> Bool {
      switch self {
      case .eq: a == b
      case .ne: a != b
      case .lt: a < b
      case .le: a <= b
      case .gt: a > b
      case .ge: a >= b
      }
    }
  }

  package static let mnemonic = "compare"
  package static let summary = "Whether a comparison holds, element by element."
  package static let signature = [OperandSpec("a"), OperandSpec("b")]
  package static var samples: [Sample<Compare>] {
    var all: [Sample<Compare>] = []
    for predicate in Predicate.allCases {
      let operation = Compare(predicate)
      let values: Sample<Compare>.Fill = .values([0, 1, 2, 1, -1, 0, -1.5, 3])
      let others: Sample<Compare>.Fill = .values([0, 2, 1, 1, -1, -1, -1.5, -3])
      all += [
        Sample(operation, [.f32(8), .f32(8)], fills: [values, others], differentiable: false),
        Sample(operation, [.f32(3, 7), .f32()], differentiable: false),
        Sample(operation, [.f32(4, 1), .f32(1, 5)], differentiable: false),
        Sample(
          operation, [.i32(19), .i32(19)], fills: [.uniform(-2, 2), .uniform(-2, 2)],
          differentiable: false),
        Sample(
          operation, [TensorType(.f64, []), TensorType(.f64, [])], differentiable: false),
      ]
    }
    return all
  }

  package var predicate: Predicate
  package init() { self.init(.eq) }
  package init(_ predicate: Predicate) { self.predicate = predicate }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("predicate", &predicate)
  }

  package var isElementwise: Bool { true }
  package var blocksGradient: Bool { true }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try check(operands, ElementType.numbers)
    try checkSameElement(operands[0], operands[1])
    return [TensorType(.bool, try broadcast(operands[0], operands[1]))]
  }

  /// Piecewise constant: no gradient.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {}

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let values = combined(operands[0], operands[1], results[0].shape) { a, b in
      predicate.holds(a, b) ? 1 : 0
    }
    return [HostTensor(results[0], values)]
  }
}

package struct Select: Operation {
  package static let mnemonic = "select"
  package static let summary = "a where the condition holds, else b."
  package static let signature = [OperandSpec("condition"), OperandSpec("a"), OperandSpec("b")]
  package static var samples: [Sample<Select>] {
    func sample(
      _ condition: [Int], _ a: [Int], _ b: [Int], _ element: ElementType = .f32
    ) -> Sample<Select> {
      let types = [
        TensorType(.bool, condition), TensorType(element, a), TensorType(element, b),
      ]
      let pattern = (0..<types[0].count).map { $0 % 3 == 1 ? 1.0 : 0.0 }
      let fill: Sample<Select>.Fill = element == .i32 ? .uniform(-9, 9) : .uniform(-2, 2)
      return Sample(
        Select(), types, fills: [.values(pattern), fill, fill], differentiable: element == .f32)
    }
    return [
      sample([7], [7], [7]), sample([3, 5], [3, 5], []), sample([3, 5], [], [3, 5]),
      sample([4, 1], [5], [4, 5]), sample([37], [37], [1]), sample([2, 1, 3], [4, 1], [2, 4, 3]),
      sample([19], [19], [19], .i32), sample([], [], [], .f64),
    ]
  }
  package init() {}

  package var isElementwise: Bool { true }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try checkArity(operands)
    guard operands[0].element == .bool else {
      throw Diagnostic(
        "type.element", "\(mnemonic) needs a condition of type bool, found \(operands[0])",
        help: "compare it with something")
    }
    try checkSameElement(operands[1], operands[2])
    let values = TensorType(operands[1].element, try broadcast(operands[1], operands[2]))
    return [values.with(shape: try broadcast(operands[0], values))]
  }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] {
    alongRows([[1, 2]], operands)
  }

  /// da = dy where the condition holds, else 0; db = 0 where it holds, else dy
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(1) || scope.needs(2) else { return }
    let builder = scope.builder
    let zero = try builder.scalar(0, scope.type(ofResult: 0).element)
    let condition = scope.operands[0]
    if scope.needs(1) { scope.setAdjoint(of: 1, try builder.select(condition, scope.seed, zero)) }
    if scope.needs(2) { scope.setAdjoint(of: 2, try builder.select(condition, zero, scope.seed)) }
  }

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let shape = results[0].shape
    let condition = expanded(operands[0], shape)
    let (a, b) = (expanded(operands[1], shape), expanded(operands[2], shape))
    return [HostTensor(results[0], condition.indices.map { condition[$0] != 0 ? a[$0] : b[$0] })]
  }
}
