// Shapes, reductions, and rows of tables.

import Basics
import GraphIR
import Operators

extension Lowering {
  // MARK: Shapes

  mutating func lowerMovement(_ id: NodeID, _ node: Node) {
    let (operand, result) = (node.operands[0], node.results[0])
    switch node.operation {
    case let operation as Transpose: lowerTranspose(operation, operand, result)
    case is Reshape: lowerReshape(operand, result)
    case is Broadcast: lowerBroadcast(operand, result)
    case let operation as Concat:
      let layout = layout(of: node.operands, rank: type(result).rank)
      let names = node.operands.map { name($0, layout) }
      let axis = layout.place(of: operation.axis, rank: type(result).rank)
      define(result, builder.add("Concat", names, [("axis", .int(axis))])[0], layout)
    case let operation as Slice:
      let starts = source.starts[id] ?? operation.starts.map { .fixed($0) }
      let ends = source.ends[id] ?? operation.ends.map { .fixed($0) }
      lowerSlice(operand, result, starts, ends)
    case let operation as Pad: lowerPad(operation, operand, result)
    default: break
    }
  }

  private mutating func lowerTranspose(
    _ operation: Transpose, _ operand: ValueID, _ result: ValueID
  ) {
    if let tensor = known(operand) {
      return define(result, known: tensor.transposed(operation.permutation))
    }
    var permutation = operation.permutation
    let layout = layout(of: [operand], rank: permutation.count)
    // A program whose own images are NCHW brings them into our order before it convolves.
    if permutation == AxisOrder.toChannelsLast, layout == .native {
      return define(result, native(operand), .channelsFirst)
    }
    // Result axis i is operand axis permutation[i], which is at place(…) in NCHW.
    permutation = permutation.map { layout.place(of: $0, rank: permutation.count) }
    let name = name(operand, layout)
    define(
      result, permutation == Array(permutation.indices) ? name : transposed(name, permutation))
  }

  private mutating func lowerReshape(_ operand: ValueID, _ result: ValueID) {
    if let tensor = known(operand), !extents(result).contains(where: \.isBatch) {
      return define(result, known: tensor.reshaped(type(result).shape))
    }
    // Where there is one channel or one pixel, both layouts have the elements in one order.
    let shape = type(operand).shape
    let isOneOrder = shape.count == 4 && (shape[3] == 1 || shape[1] * shape[2] == 1)
    let layout = isOneOrder ? home(operand) ?? .native : .native
    let name = name(operand, layout)
    define(result, reshaped(name, extents(result)))
  }

  /// Axes that keep their size are named by 1, so that only what grows must be worked out.
  private mutating func lowerBroadcast(_ operand: ValueID, _ result: ValueID) {
    let (from, to) = (extents(operand), extents(result))
    if from == to { return define(result, as: operand) }
    let layout = type(operand).rank == 4 ? layout(of: [operand], rank: 4) : .native
    let skipped = to.count - from.count
    let shape = to.indices.map { axis -> Extent in
      axis >= skipped && from[axis - skipped] == to[axis] ? .fixed(1) : to[axis]
    }
    define(result, expanded(name(operand, layout), layout.ordered(shape)), layout)
  }

  mutating func lowerSlice(
    _ operand: ValueID, _ result: ValueID, _ starts: [Extent], _ ends: [Extent]
  ) {
    let rank = type(operand).rank
    let whole = extents(operand)
    let layout = layout(of: [operand], rank: rank)
    let cut = starts.indices.filter { starts[$0] != .fixed(0) || ends[$0] != whole[$0] }
    if cut.isEmpty { return define(result, as: operand) }
    let sliced = builder.one(
      "Slice", name(operand, layout), list(cut.map { starts[$0] }), list(cut.map { ends[$0] }),
      builder.list(cut.map { layout.place(of: $0, rank: rank) }))
    define(result, sliced, layout)
  }

  private mutating func lowerPad(_ operation: Pad, _ operand: ValueID, _ result: ValueID) {
    let layout = layout(of: [operand], rank: type(operand).rank)
    if (operation.before + operation.after).allSatisfy({ $0 == 0 }) {
      return define(result, as: operand)
    }
    let mode =
      switch operation.mode {
      case .zero: "constant"
      case .reflect: "reflect"
      case .edge: "edge"
      }
    let pads = builder.list(layout.ordered(operation.before) + layout.ordered(operation.after))
    let padded = builder.one(
      "Pad", name(operand, layout), pads, attributes: [("mode", .string(mode))])
    define(result, padded, layout)
  }

  // MARK: Reductions

  mutating func lowerReduction(_ node: Node) {
    let (operand, result) = (node.operands[0], node.results[0])
    switch node.operation {
    case let operation as Sum:
      reduce(operand, result, operation.axes, operation.keepDims) {
        $0.one(
          "ReduceSum", $1, $0.list($2), attributes: [("keepdims", .int($3))])
      }
    case let operation as Max:
      reduce(operand, result, operation.axes, operation.keepDims) {
        $0.one("ReduceMax", $1, attributes: [("axes", .ints($2)), ("keepdims", .int($3))])
      }
    case let operation as Moments: lowerMoments(operation, node)
    case let operation as ArgMax:
      let place = builder.one(
        "ArgMax", native(operand),
        attributes: [("axis", .int(operation.axis)), ("keepdims", .int(0))])
      define(result, builder.one("Cast", place, attributes: [("to", .int(int32))]))
    default:
      let rank = type(operand).rank
      let layout = layout(of: [operand], rank: rank)
      let name = name(operand, layout)
      let operation = node.operation is Softmax ? "Softmax" : "LogSoftmax"
      let axis = layout.place(of: rank - 1, rank: rank)
      define(result, builder.one(operation, name, attributes: [("axis", .int(axis))]), layout)
    }
  }

  /// Where the axes that stay are in one order in both layouts, there is no need to transpose.
  private func reductionLayout(_ operand: ValueID, _ axes: [Int], _ keepDims: Bool) -> Layout {
    guard layout(of: [operand], rank: type(operand).rank) == .channelsFirst else { return .native }
    let rest = AxisOrder.toPlanar.filter { !axes.contains($0) }
    return keepDims || rest == rest.sorted() ? .channelsFirst : .native
  }

  private mutating func reduce(
    _ operand: ValueID, _ result: ValueID, _ axes: [Int], _ keepDims: Bool,
    _ make: (inout ExportBuilder, String, [Int], Int) -> String
  ) {
    if axes.isEmpty { return define(result, as: operand) }
    let rank = type(operand).rank
    let layout = reductionLayout(operand, axes, keepDims)
    let places = axes.map { layout.place(of: $0, rank: rank) }.sorted()
    let name = name(operand, layout)
    define(
      result, make(&builder, name, places, keepDims ? 1 : 0), keepDims ? layout : .native)
  }

  /// The mean, and the mean of the squares of what is left without it.
  private mutating func lowerMoments(_ operation: Moments, _ node: Node) {
    let operand = node.operands[0]
    let rank = type(operand).rank
    let layout = reductionLayout(operand, operation.axes, operation.keepDims)
    let places = operation.axes.map { layout.place(of: $0, rank: rank) }.sorted()
    let x = name(operand, layout)
    func mean(_ b: inout ExportBuilder, _ name: String, _ keep: Bool) -> String {
      b.one(
        "ReduceMean", name, attributes: [("axes", .ints(places)), ("keepdims", .int(keep ? 1 : 0))])
    }
    let kept = mean(&builder, x, true)
    let distance = builder.one("Sub", x, kept)
    let variance = mean(
      &builder, builder.one("Mul", distance, distance), operation.keepDims)
    let home = operation.keepDims ? layout : .native
    define(node.results[0], operation.keepDims ? kept : mean(&builder, x, false), home)
    define(node.results[1], variance, home)
  }

  // MARK: Rows of tables

  mutating func lowerRows(_ node: Node) {
    let result = node.results[0]
    switch node.operation {
    case let operation as OneHot:
      define(result, oneHot(node.operands[0], operation.count))
    case let operation as ScatterAddRows:
      define(result, scatter(node.operands[0], node.operands[1], operation.count, result))
    default: define(result, gather(node.operands[0], node.operands[1], result))
    }
  }

  /// 1 where the id is the place along a new last axis: an id outside has none.
  private mutating func oneHot(_ ids: ValueID, _ count: Int) -> String {
    let places = builder.constant((0..<count).map(Double.init), TensorType(.i32, [count]))
    let column = builder.one("Unsqueeze", native(ids), builder.list([-1]))
    let isThere = builder.one("Equal", column, places)
    return builder.one("Cast", isThere, attributes: [("to", .int(1))])
  }

  /// ONNX wraps negative ids and fails beyond the end; here both give zeros.
  private mutating func gather(_ table: ValueID, _ ids: ValueID, _ result: ValueID) -> String {
    let count = type(table).shape[0]
    let zero = builder.scalar(0, .i32)
    let name = native(ids)
    let isInside = builder.one(
      "And", builder.one("GreaterOrEqual", name, zero),
      builder.one("Less", name, builder.scalar(Double(count), .i32)))
    let safe = builder.one("Where", isInside, name, zero)
    let rows = builder.one("Gather", native(table), safe, attributes: [("axis", .int(0))])
    let missing = type(result).rank - type(ids).rank
    let first = type(ids).rank
    let mask =
      missing == 0
      ? isInside
      : builder.one("Unsqueeze", isInside, builder.list((0..<missing).map { first + $0 }))
    return builder.one("Where", mask, rows, builder.scalar(0, .f32))
  }

  /// One-hot rows, transposed, times the rows that are added: [count, m] · [m, width].
  private mutating func scatter(
    _ ids: ValueID, _ rows: ValueID, _ count: Int, _ result: ValueID
  ) -> String {
    let width = type(result).shape.dropFirst().reduce(1, *)
    let hot = builder.one("Reshape", oneHot(ids, count), builder.list([-1, count]))
    let flat = builder.one("Reshape", native(rows), builder.list([-1, width]))
    let sum = builder.one("MatMul", transposed(hot, [1, 0]), flat)
    return reshaped(sum, extents(result))
  }
}
