// What fusion did and what it decided against. In: the decisions of the fusing passes, told while they decide. Out: the
// kernels that hold element-wise operations, products and convolutions, and the reasons between neighbours. Nothing
// is decided here.

import Basics
import GraphIR
import Operators

/// A pass that fuses, and says what it decided.
package protocol FusingPass: Pass {
  func run(_ graph: Graph, explaining report: inout FusionReport) throws(Diagnostic) -> Graph
}

extension FusingPass {
  package func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    var report = FusionReport()
    return try run(graph, explaining: &report)
  }
}

extension Operation {
  /// True for products, convolutions and their gradients: what takes its time for multiply-adds.
  package var isProduct: Bool { self is MatMul || self is any ConvolutionOperation }
}

/// Follows the kernels of a graph from one fusing pass to the next.
package struct FusionReport: Sendable {
  /// One node of the graph: a product or convolution with its epilogue, a region, or one operation alone.
  package struct Kernel: Sendable {
    /// Its place among the graph's nodes.
    package fileprivate(set) var node: Int
    /// What it does in the end; with a root, the root.
    package fileprivate(set) var label: OperationLabel
    /// The product or convolution.
    package fileprivate(set) var root: OperationLabel?
    /// The element-wise operations before fusion, in order; those that a fused node came with, where a graph begins so.
    package fileprivate(set) var operations: [OperationLabel]
    package fileprivate(set) var results: [TensorType]
    /// Regions that have nothing to do with each other; with a root, 1.
    package fileprivate(set) var partCount: Int
    /// Bytes of all operands and results, and of those of its operations one by one.
    package fileprivate(set) var bytes: Int
    package fileprivate(set) var unfusedBytes: Int

    /// Bytes that do not move because intermediates stay in the kernel.
    package var savedBytes: Int { unfusedBytes - bytes }
    /// Whether it goes over memory for element-wise work alone.
    package var isMemoryPass: Bool { root == nil }
  }

  package enum Neighbour: Hashable, Sendable {
    /// By its index in `kernels`.
    case kernel(Int)
    case other(OperationLabel)
  }

  /// A producer and a reader of its result that are not one kernel. Of several decisions on a pair the last one counts.
  package struct Refusal: Hashable, Sendable {
    package fileprivate(set) var producer: Neighbour
    package fileprivate(set) var consumer: Neighbour
    package fileprivate(set) var reason: FusionRefusal
    /// What it costs: bytes of the values between the two, read by the consumer, and written where nothing
    /// else reads them.
    package fileprivate(set) var bytes: Int

    fileprivate var pair: [Neighbour] { [producer, consumer] }
  }

  package private(set) var kernels: [Kernel] = []
  package private(set) var refusals: [Refusal] = []
  /// Operations that fusion left out: copies, and what nothing reads.
  package private(set) var removed: [OperationLabel] = []
  /// The names of the fusing passes that ran.
  package private(set) var passes: [String] = []
  /// The graph that the kernels are nodes of.
  package private(set) var graph: Graph?
  private var pending: [Pending] = []

  package init() {}

  private struct Pending {
    var producer: Int
    var consumer: Int
    /// The reshape between the two.
    var view: Int?
    var reason: FusionRefusal
  }

  // MARK: What passes tell

  /// Goes on with a graph. Where it is not what the last fusing pass left, its nodes as they are become the kernels.
  package mutating func begin(_ graph: Graph, pass: String? = nil) {
    if let pass { passes.append(pass) }
    if self.graph == graph { return }
    self.graph = graph
    refusals = []
    removed = []
    kernels = graph.nodes.elements.indices.compactMap { Kernel($0, graph) }
  }

  /// Says that two nodes of the graph, or the groups they are in, stay apart.
  mutating func refuse(
    producer: Int, consumer: Int, view: Int? = nil, _ reason: FusionRefusal
  ) {
    pending.append(Pending(producer: producer, consumer: consumer, view: view, reason: reason))
  }

  /// Nodes of the graph that became one of the next graph.
  struct Group {
    var members: [Int]
    /// A result of the new node; nil where none was needed.
    var result: ValueID?
  }

  /// Goes on to the next graph.
  mutating func advance(to next: Graph, _ groups: [Group]) {
    guard let graph else { return }
    var kernelAt = [Int?](repeating: nil, count: graph.nodes.count)
    for (index, kernel) in kernels.enumerated() { kernelAt[kernel.node] = index }
    var made: [Kernel] = []
    var moved = [Int?](repeating: nil, count: kernels.count)
    for group in groups {
      let parts = group.members.compactMap { kernelAt[$0] }
      guard !parts.isEmpty else { continue }
      guard let node = group.result.flatMap({ next.values[$0].producer }) else {
        removed += parts.flatMap { kernels[$0].operations }
        continue
      }
      for part in parts { moved[part] = made.count }
      made.append(Kernel(parts.map { kernels[$0] }, node.index, next))
    }
    let decided = decided(graph, groups) { kernelAt[$0].flatMap { moved[$0] } }
    let pairs = Set(decided.map(\.pair))
    refusals = joined(refusals.compactMap { $0.moved(moved) }.filter { !pairs.contains($0.pair) })
    refusals += decided
    pending = []
    kernels = made
    self.graph = next
  }

  /// Those of pairs that have become one, for one reason, as one refusal with the bytes of all.
  private func joined(_ refusals: [Refusal]) -> [Refusal] {
    struct Key: Hashable {
      var pair: [Neighbour]
      var reason: FusionRefusal
    }
    var found: [Refusal] = []
    var places: [Key: Int] = [:]
    for refusal in refusals {
      let key = Key(pair: refusal.pair, reason: refusal.reason)
      if let place = places[key] {
        found[place].bytes += refusal.bytes
      } else {
        places[key] = found.count
        found.append(refusal)
      }
    }
    return found
  }

  /// The pending refusals, the last one for each pair of groups.
  private func decided(
    _ graph: Graph, _ groups: [Group], _ kernel: (Int) -> Int?
  ) -> [Refusal] {
    let traffic = GroupTraffic(graph, groups.map(\.members))
    var found: [Refusal] = []
    var placeOfPair: [[Neighbour]: Int] = [:]
    for refused in pending {
      func neighbour(_ node: Int) -> Neighbour {
        if let index = kernel(node) { return .kernel(index) }
        let node = graph.nodes.elements[node]
        return .other(OperationLabel(node, in: graph))
      }
      let refusal = Refusal(
        producer: neighbour(refused.producer), consumer: neighbour(refused.consumer),
        reason: refused.reason,
        bytes: traffic.bytes(from: refused.producer, to: refused.consumer, view: refused.view))
      if refusal.producer == refusal.consumer { continue }
      if let place = placeOfPair[refusal.pair] {
        found[place] = refusal
      } else {
        placeOfPair[refusal.pair] = found.count
        found.append(refusal)
      }
    }
    return found
  }

  // MARK: What it says

  /// The refusals that a kernel is part of.
  package func refusals(of kernel: Int) -> [Refusal] {
    refusals.filter { $0.producer == .kernel(kernel) || $0.consumer == .kernel(kernel) }
  }

  /// Whether a kernel reads a product's result or is read by a product, as far as the passes looked at the two.
  package func isBesideProduct(_ kernel: Int) -> Bool {
    refusals(of: kernel).contains { refusal in
      [refusal.producer, refusal.consumer].contains { neighbour in
        if case .kernel(let index) = neighbour { kernels[index].root != nil } else { false }
      }
    }
  }
}

extension FusionReport.Kernel {
  /// Nil for nodes that are neither element-wise nor products.
  fileprivate init?(_ index: Int, _ graph: Graph) {
    let node = graph.nodes.elements[index]
    let fused = node.operation as? Fused
    let core = fused?.root?.operation ?? node.operation
    guard core.isProduct || core.isElementwise || fused != nil else { return nil }
    self.node = index
    let shape = graph.type(of: node.results[0]).shape
    label = OperationLabel(core, shape, node.origin)
    root = core.isProduct ? label : nil
    let types = fused.flatMap { try? $0.stepTypes(graph.types(of: node.operands)) }
    operations =
      fused?.region.steps.enumerated().map { index, step in
        OperationLabel(step.operation.operation, types?[index].shape ?? shape, node.origin)
      } ?? []
    if core.isElementwise { operations = [label] }
    results = graph.types(of: node.results)
    partCount = node.regionPartCount
    bytes = Int(Cost.traffic(graph.types(of: node.operands), results))
    unfusedBytes = bytes
  }

  /// Several that became one node of a graph.
  fileprivate init(_ parts: [FusionReport.Kernel], _ index: Int, _ graph: Graph) {
    let node = graph.nodes.elements[index]
    self.node = index
    root = parts.lazy.compactMap(\.root).first
    label = root ?? OperationLabel(node, in: graph)
    operations = parts.flatMap(\.operations)
    results = graph.types(of: node.results)
    partCount = node.regionPartCount
    bytes = Int(Cost.traffic(graph.types(of: node.operands), results))
    unfusedBytes = parts.reduce(0) { $0 + $1.unfusedBytes }
  }
}

extension Node {
  /// Of a region without a root; 1 for all else.
  fileprivate var regionPartCount: Int {
    guard let fused = operation as? Fused, fused.root == nil else { return 1 }
    return fused.region.parts().count
  }
}

extension FusionReport.Refusal {
  /// With the kernels' new indices; nil where both have become one, or one is gone.
  fileprivate func moved(_ places: [Int?]) -> FusionReport.Refusal? {
    var copy = self
    for path in [\FusionReport.Refusal.producer, \.consumer] {
      guard case .kernel(let index) = copy[keyPath: path] else { continue }
      guard let place = places[index] else { return nil }
      copy[keyPath: path] = .kernel(place)
    }
    return copy.producer == copy.consumer ? nil : copy
  }
}

/// The bytes of the values between groups of nodes.
private struct GroupTraffic {
  let graph: Graph
  let groups: [[Int]]
  let users: Table<ValueTag, [NodeID]>
  var groupOf: [Int]
  var outputs = BitSet()

  init(_ graph: Graph, _ groups: [[Int]]) {
    self.graph = graph
    self.groups = groups
    users = graph.users()
    groupOf = Array(repeating: -1, count: graph.nodes.count)
    for (index, members) in groups.enumerated() {
      for member in members { groupOf[member] = index }
    }
    for output in graph.outputs { outputs.insert(output.value) }
  }

  func bytes(from producer: Int, to consumer: Int, view: Int?) -> Int {
    let inside = Set([producer, consumer].map { groupOf[$0] } + (view.map { [groupOf[$0]] } ?? []))
    func isNeededElsewhere(_ value: ValueID) -> Bool {
      outputs.contains(value) || users[value].contains { !inside.contains(groupOf[$0.index]) }
    }
    var total = 0
    var seen: [ValueID] = []
    for member in groups[groupOf[consumer]] {
      for operand in graph.nodes.elements[member].operands where !seen.contains(operand) {
        guard let maker = graph.values[operand].producer?.index,
          maker == view || groupOf[maker] == groupOf[producer]
        else { continue }
        seen.append(operand)
        let behind = maker == view ? graph.nodes.elements[maker].operands : []
        let isWritten = ([operand] + behind).contains(where: isNeededElsewhere)
        total += graph.type(of: operand).byteCount * (isWritten ? 1 : 2)
      }
    }
    return total
  }
}
