// How a graph updates its states: what the order and the places of values ask of it.

import Basics
import GraphIR
import Operators

extension Graph {
  /// The old values of states, by name.
  func stateInputs() -> [String: ValueID] {
    var values: [String: ValueID] = [:]
    for input in inputs {
      if case .state(let name) = input.role { values[name] = input.value }
    }
    return values
  }

  /// The value that a value is a view of.
  func viewed(_ value: ValueID) -> ValueID {
    var value = value
    while let producer = values[value].producer, nodes[producer].operation.isReshape {
      value = nodes[producer].operands[0]
    }
    return value
  }

  /// Where a state is updated several times a step: the value that a new one takes the place of. It is the same result of a
  /// node of the same kind, or of a part of its region, read block by block where the new one is written.
  func earlierUpdate(of new: ValueID) -> ValueID? {
    guard let update = maker(of: new), let first = update.node.operation.firstBlockwiseOperand
    else { return nil }
    return update.node.operands.dropFirst(first).first { operand in
      guard type(of: operand) == type(of: new), let earlier = maker(of: operand) else {
        return false
      }
      return earlier.node.operation.mnemonic == update.node.operation.mnemonic
        && earlier.place == update.place && earlier.count == update.count
    }
  }

  /// The node that makes a value, which of the results of its part of the region the value is, and how many there are.
  private func maker(of value: ValueID) -> (node: Node, place: Int, count: Int)? {
    guard let producer = values[value].producer else { return nil }
    let node = nodes[producer]
    guard let result = node.results.firstIndex(of: value) else { return nil }
    if let fused = node.operation as? Fused, fused.root == nil {
      for part in fused.region.parts() {
        if let place = part.results.firstIndex(of: result) {
          return (node, place, part.results.count)
        }
      }
    }
    return (node, result, node.results.count)
  }
}
