// What an operation is: one struct that knows its types, its gradient, its meaning (in Double), its cost and its
// samples. No other place in the compiler knows a concrete operation except where a pass looks for one.

import Basics

/// One operand in an operation's signature.
package struct OperandSpec: Hashable, Sendable {
  package enum Arity: Hashable, Sendable { case one, variadic }
  package var name: String
  package var arity: Arity
  package init(_ name: String, _ arity: Arity = .one) {
    self.name = name
    self.arity = arity
  }
}

/// Arithmetic operations and bytes moved by one execution of a node.
package struct Cost: Hashable, Sendable {
  package var flops: Double
  package var bytes: Double
  package init(flops: Double, bytes: Double) {
    self.flops = flops
    self.bytes = bytes
  }
  package static func + (a: Cost, b: Cost) -> Cost {
    Cost(flops: a.flops + b.flops, bytes: a.bytes + b.bytes)
  }
}

/// A small typed case of an operation that drives the generic tests: types, finite differences, kernels.
package struct Sample<Op: Operation>: Sendable {
  package enum Fill: Hashable, Sendable {
    /// Uniform in a range; integers are drawn from the whole numbers in it.
    case uniform(Double, Double)
    /// Given values.
    case values([Double])
  }
  package var operation: Op
  package var operands: [TensorType]
  /// One fill an operand; missing ones are uniform in −1...1.
  package var fills: [Fill]
  /// False where the operation has no gradient to check at these operands (integers, random numbers).
  package var differentiable: Bool

  package init(
    _ operation: Op, _ operands: [TensorType], fills: [Fill] = [], differentiable: Bool = true
  ) {
    self.operation = operation
    self.operands = operands
    self.fills = fills
    self.differentiable = differentiable
  }
}

/// What an operation does with the rows of its operands, a row being all elements of one index of the first axis.
package enum RowUse: Hashable, Sendable {
  /// It mixes them, or there are none.
  case mixed
  /// Row i of every result is made of row i of these operands and of the whole of all others, for every i in the same
  /// way.
  case each([Int])
  /// Every result is the sum of what each row of these operands gives with the whole of all others.
  case summed([Int])

  /// The operands that are told apart by rows.
  package var operands: [Int] {
    switch self {
    case .mixed: []
    case .each(let operands), .summed(let operands): operands
    }
  }
}

/// A pure function of tensors with static types. See the module's README for how to add one.
package protocol Operation: Hashable, Sendable {
  /// The name in IR text, such as `leaky_relu`.
  static var mnemonic: String { get }
  /// One sentence, shown by `gan-compile ops`.
  static var summary: String { get }
  static var signature: [OperandSpec] { get }
  /// Small cases for the generic tests.
  static var samples: [Sample<Self>] { get }

  /// All attributes at their defaults (any valid value where there is none).
  init()
  /// Lists each attribute once, in the order of the text.
  mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic)

  /// The types of the results, or a diagnostic that shows what was expected and found.
  func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType]
  /// Sets the adjoints of the operands from those of the results. Operands without one get none.
  func gradient(_ scope: inout GradientScope) throws(Diagnostic)
  /// The meaning, in Double. Results need not be rounded to their element type.
  func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor]

  /// True for operations that compute each element of the one result from the elements of the operands at the same
  /// (broadcast) place: those that fused regions hold.
  var isElementwise: Bool { get }
  /// True for operations that compute each element of the one result from its place in row-major order and from
  /// operands that they read whole, such as random draws. Fused regions hold them too.
  var isIndexed: Bool { get }
  /// True for operations whose gradient is zero wherever it is defined, and those that cut it.
  var blocksGradient: Bool { get }
  /// True where the result has the operand's elements in the same order, so that they may share a buffer.
  var isReshape: Bool { get }
  /// The sets of operands in which the operation is linear row by row, a row being all elements of one index of the
  /// first axis: where row i of every operand of a set is multiplied by s[i], so is row i of every result. Said of
  /// operands in floating point, of types that `inferTypes` accepts. An empty list is always right.
  func rowLinearOperands(_ operands: [TensorType]) -> [[Int]]
  /// What becomes of the rows of operands of types that `inferTypes` accepts. `mixed` is always right.
  func rowUse(_ operands: [TensorType]) -> RowUse
  /// The same operation for another number of rows of the operands that `rowUse` names.
  func withRows(_ rows: Int) -> Self
  func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost
}

extension Operation {
  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
  }
  package var isElementwise: Bool { false }
  package var isIndexed: Bool { false }
  package var blocksGradient: Bool { false }
  package var isReshape: Bool { false }
  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] { [] }
  package func withRows(_ rows: Int) -> Self { self }

  package func rowUse(_ operands: [TensorType]) -> RowUse {
    guard isElementwise else { return .mixed }
    let aligned = alignedRows(operands)
    return aligned.isEmpty ? .mixed : .each(aligned)
  }

  /// The operands of an element-wise operation whose rows are those of the result, since they are not repeated along
  /// the first axis.
  package func alignedRows(_ operands: [TensorType]) -> [Int] {
    let rank = operands.map(\.rank).max() ?? 0
    let rows = operands.lazy.filter { $0.rank == rank }.compactMap(\.shape.first).max()
    return operands.indices.filter { index in
      rank > 0 && operands[index].rank == rank && operands[index].shape[0] == rows
    }
  }

  /// One operation for each element of the results, every tensor moved once.
  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(
      flops: Double(results.reduce(0) { $0 + $1.count }), bytes: Cost.traffic(operands, results))
  }

  /// Equality across types, without a cast to another protocol.
  package func isEqual(to other: any Operation) -> Bool {
    guard let same = other as? Self else { return false }
    return same == self
  }

  /// The attributes that differ from their defaults, in order.
  package var attributes: [(name: String, value: AttributeValue)] {
    var copy = self
    var collector = AttributeCollector()
    // A collector never throws.
    try? copy.visitAttributes(&collector)
    return collector.all
  }

  package var mnemonic: String { Self.mnemonic }
}

extension Cost {
  /// Every operand read and every result written once.
  package static func traffic(_ operands: [TensorType], _ results: [TensorType]) -> Double {
    Double(operands.reduce(0) { $0 + $1.byteCount } + results.reduce(0) { $0 + $1.byteCount })
  }
}

/// An operation as a hashable value.
package struct AnyOperation: Hashable, Sendable {
  package var operation: any Operation
  package init(_ operation: any Operation) { self.operation = operation }
  package static func == (a: AnyOperation, b: AnyOperation) -> Bool {
    a.operation.isEqual(to: b.operation)
  }
  package func hash(into hasher: inout Hasher) {
    hasher.combine(ObjectIdentifier(type(of: operation)))
    operation.hash(into: &hasher)
  }
}

/// The list of operations that a text may name.
package struct OperationSet: Sendable {
  package let all: [any Operation.Type]
  private let byName: [String: any Operation.Type]

  package init(_ all: [any Operation.Type]) {
    self.all = all
    byName = Dictionary(all.map { ($0.mnemonic, $0) }, uniquingKeysWith: { first, _ in first })
  }

  package func type(named name: String) -> (any Operation.Type)? { byName[name] }
  package var names: [String] { all.map { $0.mnemonic } }
}
