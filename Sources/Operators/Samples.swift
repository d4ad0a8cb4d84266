// The samples of all operations with their types erased, and the tensors that fill them: what drives the generic
// tests of types, gradients and kernels.

import Basics
import GraphIR

/// A sample of any operation.
package struct AnySample: Sendable, CustomStringConvertible {
  package var operation: any Operation
  package var operands: [TensorType]
  package var differentiable: Bool
  /// For each operand, given values, or the range that they are drawn from.
  private var ranges: [(low: Double, high: Double)]
  private var given: [[Double]?]

  package init<Op: Operation>(_ sample: Sample<Op>) {
    operation = sample.operation
    operands = sample.operands
    differentiable = sample.differentiable
    ranges = []
    given = []
    for index in sample.operands.indices {
      let fill = index < sample.fills.count ? sample.fills[index] : .uniform(-1, 1)
      switch fill {
      case .uniform(let low, let high):
        ranges.append((low, high))
        given.append(nil)
      case .values(let values):
        ranges.append((0, 0))
        given.append(values)
      }
    }
  }

  package var description: String {
    let attributes = operation.attributes.map { "\($0.name): \($0.value)" }
    return "\(operation.mnemonic) {\(attributes.joined(separator: ", "))} \(operands)"
  }

  /// Tensors for the operands, the same for each seed, and values of their element types.
  package func inputs(seed: UInt64 = 1) -> [HostTensor] {
    operands.indices.map { index in
      let type = operands[index]
      if let values = given[index] { return HostTensor(type, values).rounded() }
      let (low, high) = ranges[index]
      var random = PhiloxSequence(seed: seed, stream: UInt32(index))
      let values = (0..<type.count).map { _ in
        let uniform = random.nextUniform()
        if type.element.isFloat { return low + (high - low) * uniform }
        let first = low.rounded(.up)
        return first + (uniform * (high.rounded(.down) - first + 1)).rounded(.down)
      }
      return HostTensor(type, values).rounded()
    }
  }
}

/// All samples of an operation.
package func allSamples(of type: any Operation.Type) -> [AnySample] {
  func erased<Op: Operation>(_ type: Op.Type) -> [AnySample] { type.samples.map { AnySample($0) } }
  return erased(type)
}
