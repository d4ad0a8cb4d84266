// Runs a plan on the host: every value is read from and written to the place the plan gives it, 4 bytes an element,
// and each node is computed by its own evaluator. In: a plan and inputs. Out: outputs and states. If the plan lets
// two values overlap that must not, the numbers come out wrong. Workspaces are filled when their kernels would write them
// and must hold the same until their end.

import Basics
import GraphIR
import Operators
import Planning

struct PlanInterpreter {
  let plan: Plan
  var arena: [Double]
  var states: [String: HostTensor]
  var inputs: [HostTensor]
  /// Whether every workspace held what was written to it.
  private(set) var workspacesAreKept = true

  init(_ plan: Plan, inputs: [HostTensor]) {
    self.plan = plan
    // Rubbish, so that reading what was never written shows.
    arena = Array(repeating: .nan, count: plan.arenaBytes / 4)
    self.inputs = inputs
    states = [:]
    for (index, input) in plan.graph.inputs.enumerated() {
      if case .state(let name) = input.role { states[name] = inputs[index] }
    }
  }

  private func read(_ value: ValueID, at placement: Placement) -> HostTensor {
    let type = plan.graph.type(of: value)
    switch placement {
    case .arena(let offset):
      return HostTensor(type, Array(arena[offset / 4..<offset / 4 + type.count]))
    case .state(let name): return HostTensor(type, states[name]!.values)
    case .input(let index): return HostTensor(type, inputs[index].values)
    case .constant:
      var source = value
      while let node = plan.graph.producer(of: source), node.operation.isReshape {
        source = node.operands[0]
      }
      let node = plan.graph.producer(of: source)!
      let tensor = node.operation.evaluate([], results: [plan.graph.type(of: source)])[0]
      return HostTensor(type, tensor.rounded().values)
    case .none: return HostTensor(type, repeating: .nan)
    }
  }

  private mutating func write(_ tensor: HostTensor, at placement: Placement) {
    switch placement {
    case .arena(let offset):
      for (index, element) in tensor.values.enumerated() { arena[offset / 4 + index] = element }
    case .state(let name): states[name] = tensor
    case .input, .constant, .none: break
    }
  }

  private func workspaces(_ wanted: (PlannedBuffer) -> Bool) -> [(index: Int, range: Range<Int>)] {
    plan.buffers.compactMap { buffer in
      guard case .workspace(let index) = buffer.use, wanted(buffer) else { return nil }
      return (index, buffer.offset / 4..<(buffer.offset + buffer.bytes) / 4)
    }
  }

  /// Before the node at a position reads its operands.
  private mutating func fillWorkspaces(at position: Int) {
    for (index, range) in workspaces({ $0.start == position }) {
      for place in range { arena[place] = Double(index) + 0.5 }
    }
  }

  /// After the node at a position has written its results.
  private mutating func checkWorkspaces(at position: Int) {
    for (index, range) in workspaces({ $0.start <= position && position <= $0.end })
    where !arena[range].allSatisfy({ $0 == Double(index) + 0.5 }) {
      workspacesAreKept = false
    }
  }

  /// One step; the outputs in order.
  mutating func run() -> [HostTensor] {
    let graph = plan.graph
    for (position, id) in plan.order.enumerated() {
      fillWorkspaces(at: position)
      defer { checkWorkspaces(at: position) }
      let node = graph.nodes[id]
      let operands = node.operands.map { read($0, at: plan.placements[$0]) }
      let results = node.operation.evaluate(operands, results: graph.types(of: node.results))
      for (value, result) in zip(node.results, results) {
        write(result.rounded(), at: plan.placements[value])
      }
    }
    for copy in plan.stateCopies {
      if let staging = copy.staging {
        write(read(copy.value, at: plan.placements[copy.value]), at: .arena(staging))
      }
    }
    for copy in plan.outputCopies {
      write(read(copy.value, at: plan.placements[copy.value]), at: .arena(copy.offset))
    }
    for copy in plan.stateCopies {
      let source = copy.staging.map { Placement.arena($0) } ?? plan.placements[copy.value]
      write(read(copy.value, at: source), at: .state(copy.state))
    }
    checkWorkspaces(at: plan.order.count + 1)
    return graph.outputs.indices.map {
      read(graph.outputs[$0].value, at: plan.outputPlacements[$0])
    }
  }
}
