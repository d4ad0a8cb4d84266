// The planner: a graph of any executable stage to a plan. Order first, then which values share memory, then the
// offsets of the arena and of the constants.

import Basics
import GraphIR
import Operators

package struct Planner {
  package init() {}

  /// Plans a graph. A function of the graph alone: the same graph gives the same plan in every process.
  package func plan(_ graph: Graph) -> Plan {
    let order = Scheduler(graph).order()
    let sharing = StoragePlan(graph, order)
    var plan = Plan(
      graph: graph, order: order,
      placements: Table(repeating: .none, count: graph.values.count), arenaBytes: 0,
      valueBytes: 0, lowerBoundBytes: 0, withoutReuseBytes: withoutReuse(graph, sharing),
      constantBytes: 0, stateCopies: sharing.stateCopies, outputCopies: [], outputPlacements: [],
      inPlace: sharing.inPlace, scalarConstants: scalarConstants(graph), buffers: [])
    orderCopies(&plan, sharing)
    placeRest(&plan, sharing)
    plan.buffers = valueBuffers(graph, sharing)
    addCopyBuffers(&plan, sharing)
    plan.packArena()
    return plan
  }

  // MARK: Arena

  /// A buffer for each storage in the arena, in the order of their first values; offsets are not known yet.
  private func valueBuffers(_ graph: Graph, _ sharing: StoragePlan) -> [PlannedBuffer] {
    var members: [[ValueID]] = Array(repeating: [], count: sharing.storages.count)
    var storages: [Int] = []
    for value in graph.values.ids {
      guard let storage = sharing.storage(of: value), sharing.storages[storage].home == .arena
      else { continue }
      if members[storage].isEmpty { storages.append(storage) }
      members[storage].append(value)
    }
    return storages.map { index in
      let storage = sharing.storages[index]
      return PlannedBuffer(
        use: .values(members[index]), offset: 0, bytes: aligned(storage.bytes),
        start: storage.start, end: storage.end)
    }
  }

  /// Old states that are wanted after the step, and states that exchange their values, go through the arena.
  private func addCopyBuffers(_ plan: inout Plan, _ sharing: StoragePlan) {
    let graph = plan.graph
    func add(_ use: PlannedBuffer.Use, _ value: ValueID, until end: Int) {
      plan.buffers.append(
        PlannedBuffer(
          use: use, offset: 0, bytes: aligned(graph.type(of: value).byteCount),
          start: sharing.finish, end: end))
    }
    for output in sharing.savedOutputs {
      let value = graph.outputs[output].value
      add(.outputCopy(plan.outputCopies.count), value, until: sharing.finish + 1)
      plan.outputCopies.append(OutputCopy(output: output, value: value, offset: 0))
    }
    for (index, copy) in plan.stateCopies.enumerated() where copy.staging != nil {
      add(.staging(index), copy.value, until: sharing.finish)
    }
  }

  /// A buffer for each result of each node, as a framework that runs node by node would have.
  private func withoutReuse(_ graph: Graph, _ sharing: StoragePlan) -> Int {
    var bytes = 0
    for id in sharing.order {
      for result in graph.nodes[id].results { bytes += aligned(graph.type(of: result).byteCount) }
    }
    return bytes
  }

  /// Orders the state copies so that a state is read before it is overwritten. Where that is a circle, one value is
  /// marked for staging (at 0 until the arena is packed), which makes it independent of the order.
  private func orderCopies(_ plan: inout Plan, _ sharing: StoragePlan) {
    var rest = plan.stateCopies
    var ordered: [StateCopy] = []
    func source(_ copy: StateCopy) -> String? {
      guard copy.staging == nil, case .state(let name) = sharing.home(of: copy.value) else {
        return nil
      }
      return name
    }
    while !rest.isEmpty {
      let free = rest.firstIndex { copy in
        !rest.contains { $0.state != copy.state && source($0) == copy.state }
      }
      if let free {
        ordered.append(rest.remove(at: free))
      } else {
        let first = rest.firstIndex { $0.staging == nil }!
        rest[first].staging = 0
      }
    }
    plan.stateCopies = ordered
  }

  // MARK: States, inputs, constants

  private func placeRest(_ plan: inout Plan, _ sharing: StoragePlan) {
    var constantOffset = [Int: Int]()
    for value in plan.graph.values.ids {
      guard let storage = sharing.storage(of: value) else { continue }
      switch sharing.storages[storage].home {
      case .arena: break
      case .state(let name): plan.placements[value] = .state(name)
      case .input(let index): plan.placements[value] = .input(index)
      case .constant:
        if constantOffset[storage] == nil {
          constantOffset[storage] = plan.constantBytes
          let type = plan.graph.type(of: value)
          let bytes = plan.scalarConstants.contains(value) ? type.element.byteCount : type.byteCount
          plan.constantBytes += aligned(bytes)
        }
        plan.placements[value] = .constant(constantOffset[storage]!)
      }
    }
  }

  /// Constants of one repeated value that are read by element-wise work alone, which broadcasts a single element.
  private func scalarConstants(_ graph: Graph) -> BitSet {
    var scalars = BitSet()
    var others = BitSet()
    for id in graph.nodes.ids {
      let node = graph.nodes[id]
      // An epilogue's operands behind those of the root are region inputs.
      let fused = node.operation as? Fused
      for (index, operand) in node.operands.enumerated()
      where node.operation.readsWhole(operand: index) {
        others.insert(operand)
      }
      if node.operation.isBlockwise { continue }
      for operand in node.operands.prefix(fused?.rootOperandCount ?? node.operands.count) {
        others.insert(operand)
      }
    }
    for output in graph.outputs { others.insert(output.value) }
    for id in graph.nodes.ids {
      let node = graph.nodes[id]
      guard let constant = node.operation as? Constant, constant.splat != nil,
        !others.contains(node.results[0])
      else { continue }
      scalars.insert(node.results[0])
    }
    return scalars
  }
}
