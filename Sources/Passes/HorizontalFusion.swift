// Horizontal fusion: small regions of one place in the program that do not depend on each other become one node, and so
// one launch: an optimiser's updates of biases, scales and shifts, the running statistics of a normalisation. They keep
// their own shapes and steps; nothing is computed otherwise.
//
// Before:  %5 = fused(%0, %1) {region: (2) { s0 = subtract(i0, i1); yield s0 }} : f32[8]
//          %6 = fused(%2, %3) {region: (2) { s0 = subtract(i0, i1); yield s0 }} : f32[3]
// After:   %5, %6 = fused(%0, %1, %2, %3)
//            {region: (4) { s0 = subtract(i0, i1); s1 = subtract(i2, i3); yield s0, s1 }} : f32[8], f32[3]

import Basics
import GraphIR
import Operators

package struct FuseHorizontally: FusingPass {
  package init() {}
  package let name = "fuse-horizontally"
  package let summary = "Make small independent regions of one place one node, run at once."
  package var requires: Stage { .differentiated }

  /// Elements of each result. A launch costs a few microseconds, which is nothing beside more elements than that.
  static let largestElements = 1 << 15
  static let mostRegions = 32

  package func run(
    _ graph: Graph, explaining report: inout FusionReport
  ) throws(Diagnostic) -> Graph {
    report.begin(graph, pass: name)
    let groups = IndependentRegions.groups(of: graph)
    guard !groups.isEmpty else { return graph }
    var rewriter = try GraphRewriter(graph)
    var made: [FusionReport.Group] = []
    let moved = Set(groups.flatMap { $0.members + $0.views })
    func keep(_ index: Int) throws(Diagnostic) {
      let node = graph.nodes.elements[index]
      try rewriter.keep(node)
      made.append(.init(members: [index], result: rewriter.value(node.results[0])))
    }
    var next = groups[...]
    for index in 0...graph.nodes.count {
      if let group = next.first, group.place == index {
        next.removeFirst()
        let result = try emit(group.members.map { graph.nodes.elements[$0] }, &rewriter)
        made.append(.init(members: group.members, result: result))
        for view in group.views { try keep(view) }
      }
      if index < graph.nodes.count, !moved.contains(index) { try keep(index) }
    }
    let fused = rewriter.finish()
    report.advance(to: fused, made)
    return fused
  }

  /// Emits regions as one; returns its first result.
  private func emit(
    _ nodes: [Node], _ rewriter: inout GraphRewriter
  ) throws(Diagnostic) -> ValueID? {
    var joined = Region(inputCount: 0, steps: [], results: [])
    var operands: [ValueID] = []
    var places: [ValueID: Int] = [:]
    for node in nodes {
      guard let region = (node.operation as? Fused)?.region else { continue }
      let inputs = rewriter.values(node.operands).map { operand in
        if let known = places[operand] { return known }
        places[operand] = operands.count
        operands.append(operand)
        return operands.count - 1
      }
      joined.append(region, inputs: inputs)
    }
    joined.inputCount = operands.count
    rewriter.builder.origin = Origin.merging(nodes)
    let results = try rewriter.builder.add(Fused(region: joined), operands)
    for (old, new) in zip(nodes.flatMap(\.results), results) { rewriter.replace(old, by: new) }
    return results.first
  }
}

extension Region {
  /// Takes in the steps and results of another region whose inputs are those of these numbers.
  fileprivate mutating func append(_ other: Region, inputs: [Int]) {
    let first = steps.count
    func moved(_ reference: Reference) -> Reference {
      switch reference {
      case .input(let input): .input(inputs[input])
      case .step(let step): .step(first + step)
      }
    }
    steps += other.steps.map { Step($0.operation.operation, $0.arguments.map(moved)) }
    results += other.results.map(moved)
  }
}

/// Finds the regions that can be one node. Regions wait, in the program's order, until something reads what one of them
/// makes; those that wait together are a group, which stands where the first of its results is needed.
private struct IndependentRegions {
  struct Group {
    /// At least two, ascending.
    var members: [Int]
    /// Reshapes of what they make, to stand behind them.
    var views: [Int]
    /// The node that the group comes before.
    var place: Int
  }

  static func groups(of graph: Graph) -> [Group] {
    var finder = IndependentRegions(graph)
    for index in graph.nodes.elements.indices { finder.visit(index) }
    finder.close(before: graph.nodes.count)
    return finder.groups
  }

  private let graph: Graph
  private var groups: [Group] = []
  private var members: [Int] = []
  private var views: [Int] = []
  /// What they make, what they read, and the old values of states that they overwrite.
  private var made = BitSet()
  private var read = BitSet()
  private var overwritten = BitSet()
  /// What each value is a view of.
  private var roots: Table<ValueTag, ValueID>
  /// The old values of the states whose new values each node makes.
  private var oldStates: [[ValueID]]
  /// Whether the planner runs an update from before here only later. No group stands there: the update's place, with
  /// that of all that waits for it, is not the program's.
  private var isCrossed: [Bool]

  private init(_ graph: Graph) {
    self.graph = graph
    let nodes = graph.nodes.elements
    roots = Table<ValueTag, ValueID>(graph.values.ids)
    var lastReader = Table<ValueTag, Int>(repeating: -1, count: graph.values.count)
    for (index, node) in nodes.enumerated() {
      if node.operation.isReshape {
        roots[node.results[0]] = roots[node.operands[0]]
      } else {
        for operand in node.operands { lastReader[roots[operand]] = index }
      }
    }
    oldStates = Array(repeating: [], count: nodes.count)
    isCrossed = Array(repeating: false, count: nodes.count)
    let old = Dictionary(
      graph.inputs.map { ($0.role, $0.value) }, uniquingKeysWith: { first, _ in first })
    for output in graph.outputs {
      guard case .state(let name) = output.role, let state = old[.state(name)],
        let update = graph.values[roots[output.value]].producer?.index
      else { continue }
      oldStates[update].append(state)
      if lastReader[state] > update {
        for index in update...lastReader[state] { isCrossed[index] = true }
      }
    }
  }

  private mutating func visit(_ index: Int) {
    let node = graph.nodes.elements[index]
    let operands = node.operands.map { roots[$0] }
    if isCrossed[index] { return close(before: index) }
    if operands.contains(where: { made.contains($0) }) {
      if node.operation.isReshape { return views.append(index) }
      close(before: index)
    }
    guard isSmallRegion(node) else { return }
    if !canJoin(index, operands) { close(before: index) }
    members.append(index)
    for result in node.results { made.insert(result) }
    for operand in operands { read.insert(operand) }
    for state in oldStates[index] { overwritten.insert(state) }
  }

  /// Ends the group that waits.
  private mutating func close(before place: Int) {
    if members.count > 1 {
      groups.append(Group(members: members, views: views, place: place))
    }
    (members, views) = ([], [])
    (made, read, overwritten) = (BitSet(), BitSet(), BitSet())
  }

  /// Without arithmetic in f64, which the host does.
  private func isSmallRegion(_ node: Node) -> Bool {
    guard let fused = node.operation as? Fused, fused.root == nil,
      let steps = try? fused.region.inferSteps(graph.types(of: node.operands))
    else { return false }
    let types = steps + graph.types(of: node.operands + node.results)
    return !types.contains { $0.element == .f64 }
      && !steps.contains { $0.count > FuseHorizontally.largestElements }
  }

  /// Whether a region can be one node with those that wait: of one place, so that it is still known what a node is
  /// for; and none may overwrite a state that another one reads.
  private func canJoin(_ index: Int, _ operands: [ValueID]) -> Bool {
    guard let first = members.first else { return true }
    let (origin, other) = (
      graph.nodes.elements[index].origin, graph.nodes.elements[first].origin
    )
    return members.count < FuseHorizontally.mostRegions
      && (origin.line, origin.column) == (other.line, other.column)
      && !operands.contains { overwritten.contains($0) }
      && !oldStates[index].contains { read.contains($0) }
  }
}
