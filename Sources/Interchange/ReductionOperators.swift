// Reductions over axes, and cumulative sums.

import Basics
import Formats
import GraphIR
import Operators

enum ReductionOperators {
  static let entries: [String: OperatorTable.Entry] = [
    "ReduceSum": reduction { try $0.sum($1, axes: $2, keepDims: true) },
    "ReduceMean": reduction { try $0.mean($1, axes: $2, keepDims: true) },
    "ReduceMax": reduction { try $0.max($1, axes: $2, keepDims: true) },
    "ReduceMin": reduction { builder, x, axes in
      try builder.negate(builder.max(builder.negate(x), axes: axes, keepDims: true))
    },
    "ReduceL1": reduction { try $0.sum($0.absolute($1), axes: $2, keepDims: true) },
    "ReduceL2": reduction { builder, x, axes in
      try builder.sqrt(builder.sum(builder.square(x), axes: axes, keepDims: true))
    },
    "ReduceSumSquare": reduction { try $0.sum($0.square($1), axes: $2, keepDims: true) },
    "ReduceLogSum": reduction { try $0.log($0.sum($1, axes: $2, keepDims: true)) },
    "ReduceLogSumExp": reduction { builder, x, axes in
      // m + log Σ exp(x − m), which does not overflow; m is 0 where all are −∞.
      let largest = try builder.max(x, axes: axes, keepDims: true)
      let isFinite = try builder.compare(.lt, builder.absolute(largest), .infinity)
      let m = try builder.select(isFinite, largest, builder.scalar(0))
      let sum = try builder.sum(
        builder.exp(builder.subtract(x, m)), axes: axes, keepDims: true)
      return try builder.add(m, builder.log(sum))
    },
    "ReduceProd": reduction(product),
    "ArgMax": .init(["axis", "keepdims", "select_last_index"]) { try place($0) { $1 } },
    "ArgMin": .init(["axis", "keepdims", "select_last_index"]) {
      try place($0) { try $0.negate($1) }
    },
    "CumSum": .init(["exclusive", "reverse"], cumulativeSum),
  ]

  /// What a reduction does with an f32 value; the axes stay, with size 1.
  typealias Body = @Sendable (GraphBuilder, ValueID, [Int]) throws -> ValueID

  private static func reduction(_ body: @escaping Body) -> OperatorTable.Entry {
    .init(["axes", "keepdims", "noop_with_empty_axes"]) { node in
      let x = try node.input(0)
      // Whole numbers up to 2²⁴ are exact in f32; larger ones occur in values worked out at
      // import only, where they are exact anyway.
      guard x.element.isReal || x.element == .bool || x.isKnown else {
        throw Unsupported(what: "\(node.op) of computed \(x.element.text)")
      }
      let builder = node.builder
      let listed = try node.integers(attribute: "axes", orInput: 1) ?? []
      let isNothing = try listed.isEmpty && node.flag("noop_with_empty_axes")
      let axes =
        listed.isEmpty
        ? (isNothing ? [] : Array(0..<x.rank)) : try node.axes(listed, rank: x.rank)
      let keeps = try node.flag("keepdims", true)
      let id = try builder.convert(node.planar(x), to: .f32)
      var y = try body(builder, id, axes)
      let shape = x.shape.indices.compactMap { axis in
        axes.contains(axis) ? (keeps ? 1 : nil) : x.shape[axis]
      }
      y = try builder.reshape(y, shape)
      return [node.result(try builder.convert(y, to: x.element.computed ?? .f32), x.element)]
    }
  }

  /// Slices along the axes multiplied one after another; there is no operation for it.
  @Sendable private static func product(
    _ builder: GraphBuilder, _ x: ValueID, _ axes: [Int]
  ) throws -> ValueID {
    var y = x
    for axis in axes {
      let size = builder.shape(of: y)[axis]
      guard size <= 64 else { throw Unsupported(what: "ReduceProd over more than 64 elements") }
      var result = try builder.slice(y, axis: axis, from: 0, to: 1)
      for place in 1..<Swift.max(size, 1) {
        result = try builder.multiply(
          result, builder.slice(y, axis: axis, from: place, to: place + 1))
      }
      y = result
    }
    return y
  }

  /// The place of the largest element along an axis, of what `prepare` makes of the operand.
  private static func place(
    _ node: NodeImport, _ prepare: (GraphBuilder, ValueID) throws -> ValueID
  ) throws -> [ModelValue?] {
    let x = try node.real(node.input(0))
    let builder = node.builder
    let axis = try node.axis(node.int("axis", 0), rank: x.rank)
    let isLast = try node.flag("select_last_index")
    var id = try prepare(builder, node.planar(x))
    let size = x.shape[axis]
    if isLast {
      id = try node.take(id, axis: axis, (0..<size).reversed())
    }
    var place = try builder.argMax(id, axis: axis)
    if isLast { place = try builder.subtract(builder.scalar(Double(size - 1), .i32), place) }
    var shape = x.shape
    if try node.flag("keepdims", true) { shape[axis] = 1 } else { shape.remove(at: axis) }
    return [node.result(try builder.reshape(place, shape), .int64)]
  }

  /// A product with a triangle of ones along the axis.
  @Sendable private static func cumulativeSum(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.input(0)
    guard x.element.isReal || x.isKnown else {
      throw Unsupported(what: "CumSum of computed \(x.element.text)")
    }
    let builder = node.builder
    let axis = try node.axis(Int(clamping: node.knownScalar(1, "axis")), rank: x.rank)
    let size = x.shape[axis]
    let skipsOwn = try node.flag("exclusive")
    let isReversed = try node.flag("reverse")
    guard size <= 1024 else { throw Unsupported(what: "CumSum over more than 1024 elements") }
    var matrix: [Double] = []
    for from in 0..<size {
      for to in 0..<size {
        let distance = isReversed ? from - to : to - from
        matrix.append(distance > 0 || (distance == 0 && !skipsOwn) ? 1 : 0)
      }
    }
    let ones = try node.table("triangle", [size, size], matrix)
    let id = try builder.convert(node.planar(x), to: .f32)
    let y = try alongAxis(builder, id, axis) { try multiplyRows(builder, $0, ones) }
    return [node.result(try builder.convert(y, to: x.element.computed ?? .f32), x.element)]
  }
}

/// x [..., k] · matrix [k, n] -> [..., n]
func multiplyRows(_ builder: GraphBuilder, _ x: ValueID, _ matrix: ValueID) throws -> ValueID {
  let shape = builder.shape(of: x)
  let inner = shape.last ?? 1
  let rows = shape.dropLast().reduce(1, *)
  let flat = try builder.matmul(builder.reshape(x, [rows, inner]), matrix)
  return try builder.reshape(flat, Array(shape.dropLast()) + [builder.shape(of: matrix)[1]])
}
