// A region: a list of element-wise steps over operands of one broadcast shape. It is what a fused kernel
// computes for each element, and the epilogue of a matmul or convolution. Steps may also be random draws of that
// shape, whose operands are no part of the broadcast. Data, not a new operation.

import Basics

package struct Region: Hashable, Sendable {
  /// Where a step's argument comes from.
  package enum Reference: Hashable, Sendable {
    case input(Int)
    case step(Int)
  }

  /// One element-wise operation; its arguments stand earlier.
  package struct Step: Hashable, Sendable {
    package var operation: AnyOperation
    package var arguments: [Reference]
    package init(_ operation: any Operation, _ arguments: [Reference]) {
      self.operation = AnyOperation(operation)
      self.arguments = arguments
    }
  }

  package var inputCount: Int
  package var steps: [Step]
  package var results: [Reference]

  package init(inputCount: Int, steps: [Step], results: [Reference]) {
    self.inputCount = inputCount
    self.steps = steps
    self.results = results
  }

  /// The types of all steps, given those of the inputs. A step's shape is the broadcast shape of its arguments.
  package func inferSteps(_ inputs: [TensorType]) throws(Diagnostic) -> [TensorType] {
    guard inputs.count == inputCount else {
      throw Diagnostic("ir.region", "a region of \(inputCount) inputs was given \(inputs.count)")
    }
    var types: [TensorType] = []
    for (index, step) in steps.enumerated() {
      let operation = step.operation.operation
      guard operation.isElementwise || operation.isIndexed else {
        throw Diagnostic("ir.region", "\(operation.mnemonic) is not element-wise")
      }
      var arguments: [TensorType] = []
      for reference in step.arguments {
        switch reference {
        case .input(let i) where i >= 0 && i < inputs.count: arguments.append(inputs[i])
        case .step(let s) where s >= 0 && s < index: arguments.append(types[s])
        default:
          throw Diagnostic("ir.region", "step \(index) of a region refers to what is not there")
        }
      }
      types.append(try operation.inferTypes(arguments)[0].checked())
    }
    return types
  }

  /// Which steps these references need, directly and through others.
  package func neededSteps(_ references: [Reference]) -> [Bool] {
    var needed = [Bool](repeating: false, count: steps.count)
    for case .step(let s) in references { needed[s] = true }
    for index in steps.indices.reversed() where needed[index] {
      for case .step(let s) in steps[index].arguments { needed[s] = true }
    }
    return needed
  }

  /// Which inputs these references need, directly and through steps.
  package func neededInputs(_ references: [Reference]) -> [Bool] {
    var needed = [Bool](repeating: false, count: inputCount)
    for case .input(let i) in references { needed[i] = true }
    for (step, isNeeded) in zip(steps, neededSteps(references)) where isNeeded {
      for case .input(let i) in step.arguments { needed[i] = true }
    }
    return needed
  }

  /// The inputs that steps read whole, not an element at the place of their own.
  package var inputsReadWhole: Set<Int> {
    var found = Set<Int>()
    for step in steps where step.operation.operation.isIndexed {
      for case .input(let input) in step.arguments { found.insert(input) }
    }
    return found
  }

  /// The types of the results.
  package func inferResults(_ inputs: [TensorType]) throws(Diagnostic) -> [TensorType] {
    let types = try inferSteps(inputs)
    var found: [TensorType] = []
    for reference in results {
      switch reference {
      case .input(let i) where i >= 0 && i < inputs.count: found.append(inputs[i])
      case .step(let s) where s >= 0 && s < types.count: found.append(types[s])
      default: throw Diagnostic("ir.region", "a region's result refers to what is not there")
      }
    }
    return found
  }

  /// The meaning: the steps one after the other, by their own evaluators.
  package func evaluate(_ inputs: [HostTensor]) -> [HostTensor] {
    var values: [HostTensor] = []
    func value(_ reference: Reference) -> HostTensor {
      switch reference {
      case .input(let i): inputs[i]
      case .step(let s): values[s]
      }
    }
    for step in steps {
      let arguments = step.arguments.map(value)
      let operation = step.operation.operation
      guard let types = try? operation.inferTypes(arguments.map(\.type)) else { return [] }
      values.append(operation.evaluate(arguments, results: types)[0])
    }
    return results.map(value)
  }
}
