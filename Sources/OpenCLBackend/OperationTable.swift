// The list of what the OpenCL backend runs: operation → emitter, each family's own lines beside its emitters. Element-wise
// operations and draws stand in `ElementExpressions.all`. There is no other predicate of what is supported.

import Basics
import GraphIR
import Operators

/// Emits an operation that takes an epilogue; nil stands for storing the product as it is.
typealias RootEmitter =
  @Sendable (_ node: NodeLowering, _ epilogue: RegionCode?) throws(EnvironmentFailure) -> Void

enum OperationTable {
  static let roots: [(any Operation.Type, RootEmitter)] = productRoots

  static let all: [(any Operation.Type, NodeEmitter)] =
    [(Fused.self, emitFused)] + movementEmitters + reductionEmitters
    + imageEmitters + rowEmitters

  private static let rootTable = Dictionary(
    uniqueKeysWithValues: roots.map { (ObjectIdentifier($0.0), $0.1) })
  private static let table = Dictionary(
    uniqueKeysWithValues: all.map { (ObjectIdentifier($0.0), $0.1) })

  static func root(of operation: any Operation) -> RootEmitter? {
    rootTable[ObjectIdentifier(type(of: operation))]
  }

  /// Lowers one node. Throws where the operation is missing.
  static func emit(_ node: NodeLowering) throws(EnvironmentFailure) {
    if let root = root(of: node.operation) {
      try root(node, nil)
    } else if let emitter = table[ObjectIdentifier(type(of: node.operation))] {
      try emitter(node)
    } else if ElementExpressions.find(node.operation) != nil {
      try emitElementwise(node)
    } else {
      throw node.unsupported("the operation is not in its list")
    }
  }

  /// Whether an operation has an entry; for tests and documentation.
  package static func lists(_ operation: any Operation.Type) -> Bool {
    let id = ObjectIdentifier(operation)
    return rootTable[id] != nil || table[id] != nil
      || ElementExpressions.all.contains { ObjectIdentifier($0.0) == id }
  }
}

/// A fused node: a region alone; a root with the region as its epilogue; or, where that cannot be, the one after the
/// other.
let emitFused: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let fused = node.operation as? Fused else { return }
  guard let root = fused.root?.operation else {
    return try emitRegion(node, fused.region, inputs: node.operands, results: node.results)
  }
  let own = Array(node.operands.prefix(fused.rootOperandCount))
  let others = Array(node.operands.dropFirst(fused.rootOperandCount))
  let types: [TensorType]
  do throws(Diagnostic) {
    types = try root.inferTypes(own.map(\.type))
  } catch {
    throw node.unsupported(error.message)
  }
  let product = types[0]
  if let emitRoot = OperationTable.root(of: root),
    node.results.allSatisfy({ $0.shape == product.shape }),
    ([product] + others.map(\.type) + node.results.map(\.type)).allSatisfy({ $0.element != .f64 })
  {
    let code = try RegionCode(
      node, fused.region, inputs: [.register] + others.map { .tensor($0) },
      inputTypes: [product] + others.map(\.type),
      results: node.results.indices.map { ($0, node.results[$0]) }, shape: product.shape)
    // The product itself is nowhere in memory.
    return try emitRoot(node.with(root, own, []), code)
  }
  let made = types.map { node.temporary($0) }
  try OperationTable.emit(node.with(root, own, made))
  try emitRegion(node, fused.region, inputs: [made[0]] + others, results: node.results)
}
