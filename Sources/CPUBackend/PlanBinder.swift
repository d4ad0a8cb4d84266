// Walks a plan and binds its nodes, then the copies at the end of the step. Out: launches in order.

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif
import Basics
import GraphIR
import KernelTable
import Operators
import Planning
import Runtime

struct PlanBinder {
  let plan: Plan
  let addresses: any AddressSpace
  let backend: CPUBackend
  /// The value that each is a view of.
  private let roots: Table<ValueTag, ValueID>

  init(plan: Plan, addresses: any AddressSpace, backend: CPUBackend) {
    self.plan = plan
    self.addresses = addresses
    self.backend = backend
    var roots = Table<ValueTag, ValueID>(plan.graph.values.ids)
    for node in plan.graph.nodes.elements where node.operation.isReshape {
      roots[node.results[0]] = roots[node.operands[0]]
    }
    self.roots = roots
  }

  /// Without requests of an earlier binding, this one notes what is asked for, and its launches must not run.
  func bind(
    _ memory: BindMemory, requests: WorkspaceRequests? = nil
  ) throws(EnvironmentFailure) -> BindContext {
    let context = BindContext(
      backend.table, memory, threads: backend.threads, lasting: lastingValues(),
      base: addresses.arenaBase, requests: requests ?? WorkspaceRequests(for: plan))
    for id in plan.order {
      let node = plan.graph.nodes[id]
      context.startNode(Int32(id.index))
      let binding = NodeBinding(
        context: context, operation: node.operation, operands: node.operands.map(tensor),
        results: node.results.map(tensor))
      do throws(EnvironmentFailure) {
        try Registry.bind(binding)
        if let kernel = context.missingKernel {
          throw binding.unsupported("\(kernel) is not in the kernel table")
        }
      } catch {
        let place = node.origin.provenance()
        throw EnvironmentFailure(
          error.message + (place.isEmpty ? "" : ", at \(place)"), help: error.help)
      }
    }
    bindCopies(context)
    return context
  }

  /// The values that are functions of states and constants alone, where running the plan changes no state: those of a
  /// graph that draws samples.
  private func lastingValues() -> BitSet {
    var lasting = BitSet()
    guard !plan.changesStates else { return lasting }
    for input in plan.graph.inputs {
      if case .state = input.role { lasting.insert(input.value.index) }
    }
    for node in plan.graph.nodes.elements
    where node.operands.allSatisfy({ lasting.contains($0.index) }) {
      for result in node.results { lasting.insert(result.index) }
    }
    return lasting
  }

  private func tensor(_ value: ValueID) -> BoundTensor {
    let type = plan.graph.type(of: value)
    let root = roots[value]
    return BoundTensor(
      pointer: addresses.pointer(plan.placements[value]), type: type, splat: splat(root),
      isOneElement: plan.scalarConstants.contains(value), identity: root.index)
  }

  /// The one value of a constant.
  private func splat(_ root: ValueID) -> Double? {
    guard let constant = plan.graph.producer(of: root)?.operation as? Constant else { return nil }
    return constant.values.count == 1 ? constant.values[0].value : nil
  }

  private func bindCopies(_ context: BindContext) {
    context.startNode(-1)
    func copy(_ value: ValueID, _ source: Placement, _ target: Placement) {
      let bytes = plan.graph.type(of: value).byteCount
      context.launch(
        "stateCopy", moveKernel,
        MoveArguments(
          source: addresses.pointer(source), target: addresses.pointer(target), bytes: bytes),
        tasks: (bytes + MoveArguments.chunk - 1) / MoveArguments.chunk)
    }
    plan.forEachCopy(copy)
  }
}

/// A copy of bytes between buffers that do not overlap.
struct MoveArguments {
  static let chunk = 256 << 10
  var source: UnsafeRawPointer
  var target: UnsafeMutableRawPointer
  var bytes: Int
}

func moveKernel(
  _ raw: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let move = raw.assumingMemoryBound(to: MoveArguments.self).pointee
  let chunks = (move.bytes + MoveArguments.chunk - 1) / MoveArguments.chunk
  let first = chunks * index / count * MoveArguments.chunk
  let last = min(chunks * (index + 1) / count * MoveArguments.chunk, move.bytes)
  if first < last { memcpy(move.target + first, move.source + first, last - first) }
}
