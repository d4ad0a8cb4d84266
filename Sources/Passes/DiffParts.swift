// One side of a comparison: a graph taken apart into single operations, so that a fused node and the nodes that it was
// made of are seen as the same arithmetic.

import Basics
import GraphIR
import Operators

/// An operation of a graph: a node, the root or a step of a fused one, or an input of the graph.
struct DiffPart {
  /// A value within the parts: which result of which part.
  struct Place: Hashable {
    var part: Int
    var result: Int
  }

  /// The operation's name; of an input, what kind of thing fills it.
  var mnemonic: String
  /// Of an input, what fills it.
  var role: InputRole?
  /// Those that are not at their defaults.
  var attributes: [GraphDiff.Attribute]
  var operands: [Place]
  var types: [TensorType]
  var origin: Origin
  /// The node it belongs to; nil for an input of the graph.
  var node: NodeID?

  var isInput: Bool { role != nil }
}

/// A graph as parts, in topological order.
struct DiffSide {
  private(set) var parts: [DiffPart] = []
  private(set) var outputs: [(role: OutputRole, place: DiffPart.Place)] = []
  /// For each part, who reads it and as which operand, in order.
  private(set) var users: [[(part: Int, position: Int)]] = []
  /// For each part, the outputs that are its results, by their index in `outputs`.
  private(set) var outputsOfPart: [[Int]] = []
  /// The index of each output; for look-ups only.
  private var outputIndices: [OutputRole: Int] = [:]
  /// Whether a node is fused, by its number.
  let isFused: [Bool]
  /// How many results a node has, by its number.
  let resultCounts: [Int]

  init(_ graph: Graph) throws(Diagnostic) {
    isFused = graph.nodes.elements.map { $0.operation is Fused }
    resultCounts = graph.nodes.elements.map(\.results.count)
    var places = Table<ValueTag, DiffPart.Place>(
      repeating: DiffPart.Place(part: 0, result: 0), count: graph.values.count)
    for input in graph.inputs {
      places[input.value] = DiffPart.Place(part: parts.count, result: 0)
      parts.append(
        DiffPart(
          mnemonic: Self.kind(of: input.role), role: input.role, attributes: [], operands: [],
          types: [graph.type(of: input.value)], origin: Origin(), node: nil))
    }
    for id in graph.nodes.ids {
      let node = graph.nodes[id]
      let operands = node.operands.map { places[$0] }
      let results =
        if let fused = node.operation as? Fused {
          try append(fused, operands, graph.types(of: node.operands), node.origin, id)
        } else {
          append(node.operation, operands, graph.types(of: node.results), node.origin, id)
        }
      for (value, place) in zip(node.results, results) { places[value] = place }
    }
    outputs = graph.outputs.map { ($0.role, places[$0.value]) }
    outputsOfPart = Array(repeating: [], count: parts.count)
    for (index, output) in outputs.enumerated() {
      outputsOfPart[output.place.part].append(index)
      outputIndices[output.role] = index
    }
    users = Array(repeating: [], count: parts.count)
    for (index, part) in parts.enumerated() {
      for (position, operand) in part.operands.enumerated() {
        users[operand.part].append((index, position))
      }
    }
  }

  /// The value of an output; nil where the graph has none of the role.
  func output(_ role: OutputRole) -> DiffPart.Place? {
    outputIndices[role].map { outputs[$0].place }
  }

  private static func kind(of role: InputRole) -> String {
    switch role {
    case .data: "data"
    case .state: "state"
    case .step: "step"
    case .epoch: "epoch"
    case .seed: "seed"
    case .argument: "argument"
    }
  }

  /// Appends one operation; returns its results.
  private mutating func append(
    _ operation: any Operation, _ operands: [DiffPart.Place], _ types: [TensorType],
    _ origin: Origin, _ node: NodeID
  ) -> [DiffPart.Place] {
    let attributes = operation.attributes.map {
      GraphDiff.Attribute(name: $0.name, value: GraphPrinter.text($0.value))
    }
    parts.append(
      DiffPart(
        mnemonic: operation.mnemonic, role: nil, attributes: attributes, operands: operands,
        types: types, origin: origin, node: node))
    return types.indices.map { DiffPart.Place(part: parts.count - 1, result: $0) }
  }

  /// Appends the root and the steps of a fused node; returns its results.
  private mutating func append(
    _ fused: Fused, _ operands: [DiffPart.Place], _ types: [TensorType], _ origin: Origin,
    _ node: NodeID
  ) throws(Diagnostic) -> [DiffPart.Place] {
    var inputs = operands
    var inputTypes = types
    if let root = fused.root?.operation {
      let own = fused.rootOperandCount
      let rootTypes = try root.inferTypes(Array(types.prefix(own)))
      let results = append(root, Array(operands.prefix(own)), rootTypes, origin, node)
      inputs = [results[0]] + operands.dropFirst(own)
      inputTypes = [rootTypes[0]] + types.dropFirst(own)
    }
    let stepTypes = try fused.region.inferSteps(inputTypes)
    var steps: [DiffPart.Place] = []
    func place(_ reference: Region.Reference) -> DiffPart.Place {
      switch reference {
      case .input(let index): inputs[index]
      case .step(let index): steps[index]
      }
    }
    for (step, type) in zip(fused.region.steps, stepTypes) {
      steps += append(
        step.operation.operation, step.arguments.map(place), [type], origin, node)
    }
    return fused.region.results.map(place)
  }
}
