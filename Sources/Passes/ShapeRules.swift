// Simplification of shape operations: those that do nothing, undo each other, or can be read through. They
// move elements and never compute, so that every bit stays as it is.

import Basics
import GraphIR
import Operators

enum ShapeRules {
  static func apply(_ match: Match) throws(Diagnostic) -> ValueID? {
    switch match.operation {
    case is Reshape: return try reshape(match)
    case is Broadcast: return try broadcast(match)
    case let transpose as Transpose: return try self.transpose(transpose, match)
    case let concat as Concat: return try self.concat(concat, match)
    case let slice as Slice: return try self.slice(slice, match)
    case let pad as Pad where (pad.before + pad.after).allSatisfy { $0 == 0 }:
      return match.operands[0]
    case let sum as Sum: return try self.sum(sum, match)
    case let product as MatMul: return try matmul(product, match)
    default: return nil
    }
  }

  private static func reshape(_ match: Match) throws(Diagnostic) -> ValueID? {
    let (x, shape) = (match.operands[0], match.type.shape)
    if let same = match.same(x) { return same }
    if let inner = match.operand(of: x, if: Reshape.self) {
      return try match.builder.reshape(inner, shape)
    }
    return try reshapedRepeat(match)
  }

  /// A tensor repeated along leading axes, or one element, takes its new shape before it is repeated.
  /// Before: %1 = broadcast(%0) : [4, 6]  %2 = reshape(%1) : [4, 2, 3]
  /// After:  %1 = reshape(%0) : [2, 3]    %2 = broadcast(%1) : [4, 2, 3]
  private static func reshapedRepeat(_ match: Match) throws(Diagnostic) -> ValueID? {
    guard let inner = match.operand(of: match.operands[0], if: Broadcast.self) else { return nil }
    let whole = match.builder.shape(of: match.operands[0])
    let kept = Array(match.builder.shape(of: inner).drop { $0 == 1 })
    guard whole.suffix(kept.count) == kept[...] else { return nil }
    let count = kept.reduce(1, *)
    var axis = match.type.rank
    var product = 1
    while product < count, axis > 0 {
      axis -= 1
      product *= match.type.shape[axis]
    }
    guard product == count else { return nil }
    let narrow = try match.builder.reshape(inner, Array(match.type.shape[axis...]))
    return try match.builder.broadcast(narrow, to: match.type.shape)
  }

  private static func broadcast(_ match: Match) throws(Diagnostic) -> ValueID? {
    let x = match.operands[0]
    if let same = match.same(x) { return same }
    if let inner = match.operand(of: x, if: Broadcast.self) {
      return try match.builder.broadcast(inner, to: match.type.shape)
    }
    // Broadcasting adds leading axes by itself.
    if let inner = match.operand(of: x, if: Reshape.self),
      BroadcastRules.addsLeadingOnes(match.builder.shape(of: inner), match.builder.shape(of: x))
    {
      return try match.builder.broadcast(inner, to: match.type.shape)
    }
    return nil
  }

  /// Moves a reshape that stands between element-wise nodes behind them, so that they become one region. Only where
  /// nothing else reads the reshaped tensor, since the region of those readers would be cut in two.
  /// Before: %2 = tanh(%1)  %3 = reshape(%2)  %4 = exp(%3)     After: %2 = tanh(%1)  %3 = exp(%2)  %4 = reshape(%3)
  static func sinkReshape(_ match: Match, readOnce: [Bool]) throws(Diagnostic) -> ValueID? {
    var operands: [ValueID] = []
    var inner: [Int]?
    for (operand, readOnce) in zip(match.operands, readOnce) {
      if match.builder.type(of: operand).isScalar {
        operands.append(operand)
        continue
      }
      guard readOnce, let source = match.operand(of: operand, if: Reshape.self),
        match.builder.type(of: operand).count == match.type.count,
        match.producer(source)?.operation.isElementwise ?? false
      else { return nil }
      let shape = match.builder.shape(of: source)
      guard inner == nil || inner == shape else { return nil }
      inner = shape
      operands.append(source)
    }
    guard inner != nil else { return nil }
    let value = try match.builder.add(match.operation, operands)[0]
    return try match.builder.reshape(value, match.type.shape)
  }

  private static func transpose(_ operation: Transpose, _ match: Match) throws(Diagnostic)
    -> ValueID?
  {
    let permutation = operation.permutation
    if permutation == Array(permutation.indices) { return match.operands[0] }
    let shape = match.builder.shape(of: match.operands[0])
    // Only axes of size one change places: the elements stay in order.
    let moved = permutation.filter { shape[$0] != 1 }
    if moved == moved.sorted() {
      return try match.builder.reshape(match.operands[0], match.type.shape)
    }
    guard let inner = match.producer(match.operands[0]), let first = inner.operation as? Transpose
    else { return nil }
    return try match.builder.transpose(inner.operands[0], permutation.map { first.permutation[$0] })
  }

  /// A slice of a whole is the whole, a slice of a slice is one slice, and a slice that lies in one part of a
  /// concatenation is a slice of that part.
  private static func slice(_ operation: Slice, _ match: Match) throws(Diagnostic) -> ValueID? {
    if let same = match.same(match.operands[0]) { return same }
    guard let inner = match.producer(match.operands[0]) else { return nil }
    if let outer = inner.operation as? Slice {
      return try match.builder.slice(
        inner.operands[0], starts: zip(outer.starts, operation.starts).map { $0 + $1 },
        ends: zip(outer.starts, operation.ends).map { $0 + $1 })
    }
    guard let concat = inner.operation as? Concat else { return nil }
    var offset = 0
    for part in inner.operands {
      let end = offset + match.builder.shape(of: part)[concat.axis]
      if operation.starts[concat.axis] >= offset, operation.ends[concat.axis] <= end {
        var starts = operation.starts
        var ends = operation.ends
        starts[concat.axis] -= offset
        ends[concat.axis] -= offset
        return try match.builder.slice(part, starts: starts, ends: ends)
      }
      offset = end
    }
    return nil
  }

  /// A concatenation along the same axis opens into its parts; slices that follow each other in one tensor are one.
  private static func concat(_ operation: Concat, _ match: Match) throws(Diagnostic) -> ValueID? {
    let axis = operation.axis
    var parts: [ValueID] = []
    for operand in match.operands {
      if let inner = match.producer(operand), (inner.operation as? Concat)?.axis == axis {
        parts += inner.operands
      } else {
        parts.append(operand)
      }
    }
    var joined: [ValueID] = []
    for part in parts {
      if let last = joined.last, let both = try joinedSlices(last, part, axis, match) {
        joined[joined.count - 1] = both
      } else {
        joined.append(part)
      }
    }
    if joined.count == 1 { return joined[0] }
    return joined == match.operands ? nil : try match.builder.concat(joined, axis: axis)
  }

  private static func joinedSlices(
    _ first: ValueID, _ second: ValueID, _ axis: Int, _ match: Match
  ) throws(Diagnostic) -> ValueID? {
    guard let a = match.producer(first), let b = match.producer(second),
      let left = a.operation as? Slice, let right = b.operation as? Slice, a.operands == b.operands,
      left.ends[axis] == right.starts[axis]
    else { return nil }
    for other in left.starts.indices where other != axis {
      guard left.starts[other] == right.starts[other], left.ends[other] == right.ends[other] else {
        return nil
      }
    }
    var ends = left.ends
    ends[axis] = right.ends[axis]
    return try match.builder.slice(a.operands[0], starts: left.starts, ends: ends)
  }

  /// The adjoint of a tensor that was cut in two: each half padded to the whole, and added.
  /// Before: %2 = pad(%0)  %3 = pad(%1)  %4 = add(%2, %3)     After: %4 = concat(%0, %1)
  static func joinedPads(_ match: Match) throws(Diagnostic) -> ValueID? {
    guard let a = match.producer(match.operands[0]), let b = match.producer(match.operands[1]),
      let first = a.operation as? Pad, let second = b.operation as? Pad, first.mode == .zero,
      second.mode == .zero, match.same(match.operands[0]) != nil,
      match.same(match.operands[1]) != nil
    else { return nil }
    let (shapeA, shapeB) = (
      match.builder.shape(of: a.operands[0]), match.builder.shape(of: b.operands[0])
    )
    let axes = shapeA.indices.filter { shapeA[$0] != match.type.shape[$0] }
    guard axes.count == 1, let axis = axes.first,
      shapeB.indices.allSatisfy({ $0 == axis || shapeB[$0] == shapeA[$0] }),
      shapeA[axis] + shapeB[axis] == match.type.shape[axis]
    else { return nil }
    if first.before[axis] == 0, second.after[axis] == 0 {
      return try match.builder.concat([a.operands[0], b.operands[0]], axis: axis)
    }
    if first.after[axis] == 0, second.before[axis] == 0 {
      return try match.builder.concat([b.operands[0], a.operands[0]], axis: axis)
    }
    return nil
  }

  /// A sum over axes of size one is a reshape; a sum of negated elements is the negated sum.
  private static func sum(_ operation: Sum, _ match: Match) throws(Diagnostic) -> ValueID? {
    let shape = match.builder.shape(of: match.operands[0])
    if operation.axes.allSatisfy({ shape[$0] == 1 }) {
      return try match.builder.reshape(match.operands[0], match.type.shape)
    }
    guard let inner = match.operand(of: match.operands[0], if: Negate.self) else { return nil }
    return try match.builder.negate(match.builder.add(operation, inner))
  }

  /// Before: %1 = transpose(%0)  %2 = matmul(%1, …)     After: %2 = matmul(%0, …) {transposeA: true}
  private static func matmul(_ operation: MatMul, _ match: Match) throws(Diagnostic) -> ValueID? {
    var result = operation
    var operands = match.operands
    if let inner = transposedMatrix(operands[0], match) {
      operands[0] = inner
      result.transposeA.toggle()
    }
    if let inner = transposedMatrix(operands[1], match) {
      operands[1] = inner
      result.transposeB.toggle()
    }
    guard operands != match.operands else { return nil }
    return try match.builder.add(result, operands)[0]
  }

  /// The operand of a transpose of the last two axes.
  private static func transposedMatrix(_ value: ValueID, _ match: Match) -> ValueID? {
    guard let node = match.producer(value), let transpose = node.operation as? Transpose else {
      return nil
    }
    let rank = transpose.permutation.count
    guard rank >= 2 else { return nil }
    var swapped = Array(0..<rank)
    swapped.swapAt(rank - 1, rank - 2)
    return transpose.permutation == swapped ? node.operands[0] : nil
  }
}
