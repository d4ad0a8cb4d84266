// What fusion makes: one node for a region of element-wise steps, and for an operation with such steps after it.

import Basics
import GraphIR

extension Optional: AttributeConvertible where Wrapped: AttributeConvertible {
  package init?(attribute: AttributeValue) {
    if attribute == .word("none") {
      self = .none
      return
    }
    guard let value = Wrapped(attribute: attribute) else { return nil }
    self = .some(value)
  }
  package var attribute: AttributeValue { self?.attribute ?? .word("none") }
}

/// With a root, the root's operands come first and its first result is input 0 of the region; all other operands are
/// the region's further inputs. Without one, the operands are the region's inputs. The results are the region's.
package struct Fused: Operation {
  package static let mnemonic = "fused"
  package static let summary =
    "Element-wise steps done in one pass, with or without a root before them."
  package static let signature = [OperandSpec("x", .variadic)]
  package static var samples: [Sample<Fused>] {
    let affine = Region(
      inputCount: 3,
      steps: [
        .init(Multiply(), [.input(0), .input(1)]), .init(Add(), [.step(0), .input(2)]),
        .init(Tanh(), [.step(1)]),
      ], results: [.step(2)])
    let biased = Region(
      inputCount: 2,
      steps: [.init(Add(), [.input(0), .input(1)]), .init(LeakyRelu(slope: 0.2), [.step(0)])],
      results: [.step(1)])
    let several = Region(
      inputCount: 2,
      steps: [
        .init(Compare(.gt), [.input(0), .input(1)]),
        .init(Select(), [.step(0), .input(0), .input(1)]), .init(Square(), [.input(0)]),
      ], results: [.step(1), .step(2)])
    return [
      Sample(Fused(region: affine), [.f32(3, 7), .f32(7), .f32()], differentiable: false),
      Sample(Fused(region: affine), [.f32(37), .f32(37), .f32(37)], differentiable: false),
      Sample(Fused(region: several), [.f32(3, 5), .f32(3, 5)], differentiable: false),
      Sample(
        Fused(root: MatMul(), region: biased), [.f32(3, 4), .f32(4, 5), .f32(5)],
        differentiable: false),
      Sample(
        Fused(root: MatMul(transposeB: true), region: biased),
        [.f32(19, 7), .f32(37, 7), .f32(37)], differentiable: false),
    ]
  }

  package var root: AnyOperation?
  package var region: Region

  package init() { self.init(region: Region(inputCount: 1, steps: [], results: [.input(0)])) }
  package init(root: (any Operation)? = nil, region: Region) {
    self.root = root.map(AnyOperation.init)
    self.region = region
  }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("root", &root, default: .some(nil))
    try visitor.attribute("region", &region)
  }

  /// How many of the operands are the root's.
  package var rootOperandCount: Int {
    root.map { type(of: $0.operation).signature.count } ?? 0
  }

  /// The type of the root's result, and the types of the region's inputs.
  private func inputTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    guard let root = root?.operation else { return operands }
    let signature = type(of: root).signature
    guard !(root is Fused), !(root is Gradient), signature.allSatisfy({ $0.arity == .one }) else {
      throw Diagnostic("ir.region", "\(mnemonic): \(root.mnemonic) cannot be a root")
    }
    guard operands.count >= signature.count else {
      throw Diagnostic(
        "ir.operands", "\(mnemonic): \(root.mnemonic) needs \(signature.count) operands")
    }
    let rootType = try root.inferTypes(Array(operands.prefix(signature.count)))[0].checked()
    return [rootType] + operands.dropFirst(signature.count)
  }

  /// The types of the region's steps, given those of the operands.
  package func stepTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try region.inferSteps(inputTypes(operands))
  }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try region.inferResults(inputTypes(operands))
  }

  /// Never asked for: fusion comes after differentiation.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    throw Diagnostic("ir.stage", "a fused node cannot be differentiated; fuse afterwards")
  }

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    var inputs = operands
    if let root = root?.operation {
      let own = Array(operands.prefix(rootOperandCount))
      // Types were inferred when the node was built; without them there is no result to give.
      guard let types = try? root.inferTypes(own.map(\.type)) else {
        return results.map { HostTensor($0, repeating: .nan) }
      }
      inputs = [root.evaluate(own, results: types)[0]] + operands.dropFirst(rootOperandCount)
    }
    return region.evaluate(inputs)
  }

  /// The root's operations and one for each element of each step; only operands and results are moved.
  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    var flops = 0.0
    if let root = root?.operation {
      let own = Array(operands.prefix(rootOperandCount))
      flops += ((try? root.inferTypes(own)).map { root.cost(own, $0) })?.flops ?? 0
    }
    if let inputs = try? inputTypes(operands), let steps = try? region.inferSteps(inputs) {
      flops += Double(steps.reduce(0) { $0 + $1.count })
    }
    return Cost(flops: flops, bytes: Cost.traffic(operands, results))
  }
}
