// Random tensors: functions of (seed, step, stream, index) alone, by Philox. The stream is an attribute that no pass
// changes; the seed and the number of steps done come as operands.

import Basics
import GraphIR

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A tensor of random numbers, each made of one block's words alone.
package protocol RandomOperation: Operation {
  var shape: [Int] { get set }
  /// Names the sequence; equal streams give equal numbers.
  var stream: UInt32 { get set }
  /// The four numbers that a block gives, in order.
  static func numbers(_ block: PhiloxBlock) -> [Double]
}

extension RandomOperation {
  package static var signature: [OperandSpec] { [OperandSpec("seed"), OperandSpec("step")] }

  package init(shape: [Int], stream: UInt32) {
    self.init()
    self.shape = shape
    self.stream = stream
  }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("shape", &shape)
    try visitor.attribute("stream", &stream)
  }

  package var blocksGradient: Bool { true }
  package var isIndexed: Bool { true }

  /// f32 of the shape, given a seed i32[2] and a step i32[].
  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try checkArity(operands)
    guard operands[0] == .i32(2), operands[1] == .i32() else {
      throw Diagnostic(
        "type.element",
        "\(mnemonic) needs a seed i32[2] and a step i32[], found \(operands[0]) and \(operands[1])")
    }
    return [try TensorType.f32(shape).checked()]
  }

  /// No number depends on the operands in a way that has a derivative.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {}

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let values = blocks(operands, stream, results[0].count).flatMap(Self.numbers)
    return [HostTensor(results[0], Array(values.prefix(results[0].count)))]
  }

  /// Ten rounds of eight operations make four numbers.
  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(flops: 20 * Double(results[0].count), bytes: Cost.traffic(operands, results))
  }

  package static var samples: [Sample<Self>] {
    let cases: [(shape: [Int], stream: UInt32, seed: [Double], step: Double)] = [
      ([], 0, [0, 0], 0), ([5], 7, [1, 0], 3), ([3, 37], 0xFFFF_FFFF, [-1, 12], 1000),
      ([2, 2, 2], 3, [123456, -7], 2_000_000_000),
    ]
    return cases.map {
      Sample(
        Self(shape: $0.shape, stream: $0.stream), [.i32(2), .i32()],
        fills: [.values($0.seed), .values([$0.step])], differentiable: false)
    }
  }
}

package struct RandomUniform: RandomOperation {
  package static let mnemonic = "random_uniform"
  package static let summary = "Uniform numbers in [0, 1) with 24 random bits."

  package var shape: [Int] = []
  package var stream: UInt32 = 0
  package init() {}

  package static func numbers(_ block: PhiloxBlock) -> [Double] {
    (0..<4).map { Philox.uniform(block[$0]) }
  }
}

package struct RandomNormal: RandomOperation {
  package static let mnemonic = "random_normal"
  package static let summary = "Normal numbers with mean 0 and variance 1, by Box and Muller."

  package var shape: [Int] = []
  package var stream: UInt32 = 0
  package init() {}

  package static func numbers(_ block: PhiloxBlock) -> [Double] {
    pair(block.x0, block.x1) + pair(block.x2, block.x3)
  }

  /// r cos θ and r sin θ with r = √(−2 ln u), u = ((w0 ≫ 8) + 1) · 2⁻²⁴ in (0, 1], θ = 2π (w1 ≫ 8) · 2⁻²⁴.
  private static func pair(_ w0: UInt32, _ w1: UInt32) -> [Double] {
    let radius = (-2 * log(Double((w0 >> 8) + 1) * 0x1p-24)).squareRoot()
    let angle = 2 * Double.pi * Philox.uniform(w1)
    return [radius * cos(angle), radius * sin(angle)]
  }
}

/// The blocks that hold the words of `count` elements; operands are the seed, low word first, and the step.
private func blocks(_ operands: [HostTensor], _ stream: UInt32, _ count: Int) -> [PhiloxBlock] {
  func word(_ value: Double) -> UInt32 { UInt32(truncatingIfNeeded: wholeNumber(value)) }
  let seed = UInt64(word(operands[0].values[1])) << 32 | UInt64(word(operands[0].values[0]))
  let step = word(operands[1].values[0])
  return (0..<(count + 3) / 4).map {
    Philox.block(seed: seed, step: step, stream: stream, block: UInt64($0))
  }
}
