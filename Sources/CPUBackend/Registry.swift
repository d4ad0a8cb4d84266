// The list of what the CPU backend runs: operation → binder. Element-wise operations and draws stand in `RegionLowering.all`.
// There is no other predicate of what is supported.

import Basics
import GraphIR
import KernelTable
import Operators

enum Registry {
  /// Operations that take an epilogue.
  static let roots: [(any Operation.Type, RootBinder)] = [
    (MatMul.self, bindMatMul),
    (Conv2D.self, bindConv2D),
    (Conv2DInputGradient.self, bindConv2DInputGradient),
  ]

  static let all: [(any Operation.Type, Binder)] = [
    (Fused.self, bindFused),
    (Constant.self, bindConstant),
    (Iota.self, bindIota),
    (Reshape.self, bindReshape),
    (Transpose.self, bindTransposeNode),
    (Broadcast.self, bindBroadcast),
    (Concat.self, bindConcat),
    (Slice.self, bindSlice),
    (Pad.self, bindPad),
    (PadGradient.self, bindPadGradient),
    (Sum.self, bindSum),
    (Max.self, bindMax),
    (ArgMax.self, bindArgMax),
    (Moments.self, bindMoments),
    (Softmax.self, bindSoftmax(logarithm: false)),
    (LogSoftmax.self, bindSoftmax(logarithm: true)),
    (Conv2DFilterGradient.self, bindConv2DFilterGradient),
    (UpsampleNearest.self, bindUpsampleNearest),
    (BlockSum.self, bindBlockSum),
    (UpsampleBilinear.self, bindUpsampleBilinear),
    (UpsampleBilinearGradient.self, bindUpsampleBilinearGradient),
    (MaxPool.self, bindMaxPool),
    (MaxPoolGradient.self, bindMaxPoolGradient),
    (MaxPoolGather.self, bindMaxPoolGather),
    (AvgPool.self, bindAvgPool),
    (AvgPoolGradient.self, bindAvgPoolGradient),
    (GatherRows.self, bindGatherRows),
    (ScatterAddRows.self, bindScatterAddRows),
    (OneHot.self, bindOneHot),
  ]

  private static let rootTable = Dictionary(
    uniqueKeysWithValues: roots.map { (ObjectIdentifier($0.0), $0.1) })
  private static let table = Dictionary(
    uniqueKeysWithValues: all.map { (ObjectIdentifier($0.0), $0.1) })

  static func root(of operation: any Operation) -> RootBinder? {
    rootTable[ObjectIdentifier(type(of: operation))]
  }

  /// Binds one node. Throws where the operation or one of its kernels is missing.
  static func bind(_ node: NodeBinding) throws(EnvironmentFailure) {
    if let root = root(of: node.operation) {
      try root(node, nil)
    } else if let binder = table[ObjectIdentifier(type(of: node.operation))] {
      try binder(node)
    } else if RegionLowering.find(node.operation) != nil {
      try bindElementwise(node)
    } else {
      throw node.unsupported("the operation is not in its list")
    }
  }

  /// Whether an operation has an entry; for tests and documentation. Types and kernels are checked when it is bound.
  package static func lists(_ operation: any Operation.Type) -> Bool {
    let id = ObjectIdentifier(operation)
    return rootTable[id] != nil || table[id] != nil
      || RegionLowering.all.contains { ObjectIdentifier($0.0) == id }
  }
}
