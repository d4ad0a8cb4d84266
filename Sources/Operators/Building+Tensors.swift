// Short names for building graphs, continued: shapes, reductions, products, random numbers, gradients.

import Basics
import GraphIR

// Shapes

extension GraphBuilder {
  package func reshape(_ x: ValueID, _ shape: [Int]) throws(Diagnostic) -> ValueID {
    self.shape(of: x) == shape ? x : try add(Reshape(shape), x)
  }
  package func transpose(_ x: ValueID, _ permutation: [Int]) throws(Diagnostic) -> ValueID {
    permutation == Array(shape(of: x).indices) ? x : try add(Transpose(permutation), x)
  }
  package func broadcast(_ x: ValueID, to shape: [Int]) throws(Diagnostic) -> ValueID {
    self.shape(of: x) == shape ? x : try add(Broadcast(shape), x)
  }
  package func concat(_ xs: [ValueID], axis: Int) throws(Diagnostic) -> ValueID {
    try add(Concat(axis: axis), xs)[0]
  }
  package func slice(_ x: ValueID, starts: [Int], ends: [Int]) throws(Diagnostic) -> ValueID {
    let isWhole =
      ends == shape(of: x) && starts.count == ends.count && starts.allSatisfy { $0 == 0 }
    return isWhole ? x : try add(Slice(starts: starts, ends: ends), x)
  }
  /// The part `start..<end` along one axis.
  package func slice(_ x: ValueID, axis: Int, from start: Int, to end: Int) throws(Diagnostic)
    -> ValueID
  {
    var starts = [Int](repeating: 0, count: shape(of: x).count)
    var ends = shape(of: x)
    guard starts.indices.contains(axis) else {
      throw Diagnostic("shape.axis", "slice: \(type(of: x)) has no axis \(axis)")
    }
    starts[axis] = start
    ends[axis] = end
    return try slice(x, starts: starts, ends: ends)
  }
  package func pad(_ x: ValueID, before: [Int], after: [Int], mode: PadMode = .zero)
    throws(Diagnostic) -> ValueID
  {
    let isNothing =
      before.count == shape(of: x).count && after.count == before.count
      && before.allSatisfy { $0 == 0 } && after.allSatisfy { $0 == 0 }
    return isNothing ? x : try add(Pad(before: before, after: after, mode: mode), x)
  }
}

// Reductions. Axes may stand in any order and count from the end where negative; nil stands for all of them.

extension GraphBuilder {
  package func sum(_ x: ValueID, axes: [Int]? = nil, keepDims: Bool = false) throws(Diagnostic)
    -> ValueID
  {
    let axes = try ascending(axes, of: x)
    return axes.isEmpty ? x : try add(Sum(axes: axes, keepDims: keepDims), x)
  }
  package func mean(_ x: ValueID, axes: [Int]? = nil, keepDims: Bool = false) throws(Diagnostic)
    -> ValueID
  {
    let axes = try ascending(axes, of: x)
    let count = axes.reduce(1) { $0 * shape(of: x)[$1] }
    return try scaled(sum(x, axes: axes, keepDims: keepDims), by: 1 / Double(count))
  }
  package func max(_ x: ValueID, axes: [Int]? = nil, keepDims: Bool = false) throws(Diagnostic)
    -> ValueID
  {
    let axes = try ascending(axes, of: x)
    return axes.isEmpty ? x : try add(Max(axes: axes, keepDims: keepDims), x)
  }
  package func argMax(_ x: ValueID, axis: Int) throws(Diagnostic) -> ValueID {
    try add(ArgMax(axis: ascending([axis], of: x)[0]), x)
  }
  /// Mean and biased variance.
  package func moments(_ x: ValueID, axes: [Int]? = nil, keepDims: Bool = false)
    throws(Diagnostic) -> (mean: ValueID, variance: ValueID)
  {
    let axes = try ascending(axes, of: x)
    let results = try add(Moments(axes: axes, keepDims: keepDims), [x])
    return (results[0], results[1])
  }
  package func softmax(_ x: ValueID) throws(Diagnostic) -> ValueID { try add(Softmax(), x) }
  package func logSoftmax(_ x: ValueID) throws(Diagnostic) -> ValueID { try add(LogSoftmax(), x) }

  /// The sum over what broadcasting from `shape` has repeated: the inverse of `broadcast(x, to:)`.
  package func sumTo(_ x: ValueID, _ shape: [Int]) throws(Diagnostic) -> ValueID {
    let from = self.shape(of: x)
    if from == shape { return x }
    guard broadcastShapes(from, shape) == from else {
      throw Diagnostic(
        "shape.mismatch", "\(type(of: x)) cannot be summed to the shape \(shapeText(shape))")
    }
    let skipped = from.count - shape.count
    let axes = from.indices.filter { $0 < skipped || (shape[$0 - skipped] == 1 && from[$0] != 1) }
    return try reshape(sum(x, axes: axes), shape)
  }

  /// The axes in ascending order, counted from the first; throws `shape.axis`.
  private func ascending(_ axes: [Int]?, of x: ValueID) throws(Diagnostic) -> [Int] {
    let rank = shape(of: x).count
    guard let axes else { return Array(0..<rank) }
    var found: [Int] = []
    for axis in axes {
      guard axis >= -rank, axis < rank else {
        throw Diagnostic(
          "shape.axis", "\(type(of: x)) has no axis \(axis)",
          help: rank == 0 ? "it is a scalar" : "its axes are 0 to \(rank - 1)")
      }
      found.append(axis < 0 ? axis + rank : axis)
    }
    found.sort()
    for (axis, next) in zip(found, found.dropFirst()) where axis == next {
      throw Diagnostic("shape.axis", "axis \(axis) of \(type(of: x)) is named twice")
    }
    return found
  }
}

// Products, random numbers, gradients

extension GraphBuilder {
  package func matmul(
    _ a: ValueID, _ b: ValueID, transposeA: Bool = false, transposeB: Bool = false
  ) throws(Diagnostic) -> ValueID {
    try add(MatMul(transposeA: transposeA, transposeB: transposeB), a, b)
  }
  package func randomUniform(_ shape: [Int], stream: UInt32, seed: ValueID, step: ValueID)
    throws(Diagnostic) -> ValueID
  {
    try add(RandomUniform(shape: shape, stream: stream), seed, step)
  }
  package func randomNormal(_ shape: [Int], stream: UInt32, seed: ValueID, step: ValueID)
    throws(Diagnostic) -> ValueID
  {
    try add(RandomNormal(shape: shape, stream: stream), seed, step)
  }
  /// The derivative of a scalar loss with respect to each value, to be expanded by the first pass.
  package func gradient(_ loss: ValueID, wrt values: [ValueID]) throws(Diagnostic) -> [ValueID] {
    try add(Gradient(), [loss] + values)
  }
}
