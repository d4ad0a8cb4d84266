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
      lowerBoundBytes: 0, withoutReuseBytes: 0, constantBytes: 0,
      stateCopies: sharing.stateCopies, outputCopies: [], outputPlacements: [],
      inPlace: sharing.inPlace, scalarConstants: scalarConstants(graph), buffers: [])
    placeArena(&plan, sharing)
    placeRest(&plan, sharing)
    for (index, output) in graph.outputs.enumerated() {
      let saved = plan.outputCopies.first { $0.output == index }
      plan.outputPlacements.append(
        saved.map { .arena($0.offset) } ?? plan.placements[output.value])
    }
    for (index, output) in graph.outputs.enumerated() {
      if case .state(let name) = output.role { plan.outputPlacements[index] = .state(name) }
    }
    return plan
  }

  // MARK: Arena

  private func placeArena(_ plan: inout Plan, _ sharing: StoragePlan) {
    let graph = plan.graph
    let finish = sharing.finish
    var items: [PackingItem] = []
    var members: [[ValueID]] = []
    var itemOfStorage = [Int](repeating: -1, count: sharing.storages.count)
    for value in graph.values.ids {
      guard let storage = sharing.storage(of: value), sharing.storages[storage].home == .arena
      else { continue }
      if itemOfStorage[storage] < 0 {
        itemOfStorage[storage] = items.count
        let held = sharing.storages[storage]
        items.append(
          PackingItem(bytes: aligned(held.bytes), start: held.start, end: held.end))
        members.append([])
      }
      members[itemOfStorage[storage]].append(value)
    }
    // Old states that are wanted after the step, and states that exchange their values, go through the arena.
    for index in sharing.savedOutputs {
      let value = graph.outputs[index].value
      plan.outputCopies.append(OutputCopy(output: index, value: value, offset: items.count))
      let bytes = aligned(graph.type(of: value).byteCount)
      items.append(PackingItem(bytes: bytes, start: finish, end: finish + 1))
      members.append([])
    }
    orderCopies(&plan, sharing)
    for index in plan.stateCopies.indices where plan.stateCopies[index].staging != nil {
      plan.stateCopies[index].staging = items.count
      let bytes = aligned(graph.type(of: plan.stateCopies[index].value).byteCount)
      items.append(PackingItem(bytes: bytes, start: finish, end: finish))
      members.append([])
    }

    let packing = items.isEmpty ? Packing(offsets: [], height: 0) : Packing.pack(items)
    plan.arenaBytes = packing.height
    plan.lowerBoundBytes = Packing.lowerBound(items)
    plan.withoutReuseBytes = withoutReuse(graph, sharing)
    for (index, item) in items.enumerated() {
      let offset = packing.offsets[index]
      for value in members[index] { plan.placements[value] = .arena(offset) }
      plan.buffers.append(
        PlannedBuffer(
          offset: offset, bytes: item.bytes, start: item.start, end: item.end,
          values: members[index]))
    }
    plan.buffers.sort { ($0.start, $0.offset) < ($1.start, $1.offset) }
    for index in plan.outputCopies.indices {
      plan.outputCopies[index].offset = packing.offsets[plan.outputCopies[index].offset]
    }
    for index in plan.stateCopies.indices {
      if let item = plan.stateCopies[index].staging {
        plan.stateCopies[index].staging = packing.offsets[item]
      }
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
  /// marked for staging (with 0, replaced by the caller), which makes it independent of the order.
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
      if node.operation.isBlockwise { continue }
      // An epilogue's operands behind those of the root are region inputs.
      let fused = node.operation as? Fused
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
