// Algebraic simplification with rules that keep every result's bits (a zero's sign and a NaN's payload apart):
// each rule looks at one node of the old graph with already simplified operands, and says what to emit
// instead. Rules that change rounding belong to passes of their own, which `--math exact` turns off.

import Basics
import GraphIR
import Operators

package struct Simplify: Pass {
  package init() {}
  package let name = "simplify"
  package let summary = "Drop neutral operations, merge chains of shape operations, absorb transposes."

  package func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    var rewriter = try GraphRewriter(graph)
    for node in graph.nodes.elements {
      rewriter.builder.origin = node.origin
      if let value = try simplified(node, rewriter) {
        rewriter.replace(node.results[0], by: value)
      } else {
        try rewriter.keep(node)
      }
    }
    return rewriter.finish()
  }

  /// The value that stands for the node's one result, or nil to keep the node.
  private func simplified(_ node: Node, _ rewriter: GraphRewriter) throws(Diagnostic) -> ValueID? {
    guard node.results.count == 1 else { return nil }
    let match = Match(
      operation: node.operation, operands: rewriter.values(node.operands),
      type: rewriter.old.type(of: node.results[0]), builder: rewriter.builder)
    if node.operation.isElementwise {
      if let value = try ArithmeticRules.apply(match) { return value }
      return try unbroadcast(match)
    }
    return try ShapeRules.apply(match)
  }

  /// Before: %2 = broadcast(%1)  %3 = add(%0, %2)     After: %3 = add(%0, %1)
  /// Element-wise operations broadcast by themselves, so that the larger tensor need not be made.
  private func unbroadcast(_ match: Match) throws(Diagnostic) -> ValueID? {
    var operands = match.operands
    for (index, operand) in operands.enumerated() {
      guard let producer = match.producer(operand), producer.operation is Broadcast else { continue }
      operands[index] = producer.operands[0]
      if try match.operation.inferTypes(operands.map(match.builder.type(of:))) != [match.type] {
        operands[index] = operand
      }
    }
    guard operands != match.operands else { return nil }
    return try match.builder.add(match.operation, operands)[0]
  }
}

/// One node as a rule sees it: the operands are values of the new graph.
struct Match {
  let operation: any Operation
  let operands: [ValueID]
  let type: TensorType
  let builder: GraphBuilder

  func producer(_ value: ValueID) -> Node? { builder.graph.producer(of: value) }
  func splat(_ value: ValueID) -> Double? { builder.graph.splat(value) }

  /// The value, if it has the type of the match's result: an element-wise operation may have broadcast it.
  func same(_ value: ValueID) -> ValueID? { builder.type(of: value) == type ? value : nil }
}

/// Neutral elements and inverse pairs.
enum ArithmeticRules {
  static func apply(_ match: Match) throws(Diagnostic) -> ValueID? {
    switch match.operation {
    case is Add:
      if match.splat(match.operands[1]) == 0 { return match.same(match.operands[0]) }
      if match.splat(match.operands[0]) == 0 { return match.same(match.operands[1]) }
    case is Subtract:
      if match.splat(match.operands[1]) == 0 { return match.same(match.operands[0]) }
    case is Multiply: return try multiply(match)
    case is Divide: return try divide(match)
    case is Power: return try power(match)
    case is Negate:
      if let inner = match.producer(match.operands[0]), inner.operation is Negate {
        return match.same(inner.operands[0])
      }
    case is Select:
      if match.operands[1] == match.operands[2] { return match.same(match.operands[1]) }
      if let condition = match.splat(match.operands[0]) {
        return match.same(match.operands[condition != 0 ? 1 : 2])
      }
    case is Convert:
      return match.same(match.operands[0])
    case is StopGradient:
      // Nothing is differentiated any more.
      if match.builder.graph.stage >= .differentiated { return match.operands[0] }
    default: break
    }
    return nil
  }

  private static func multiply(_ match: Match) throws(Diagnostic) -> ValueID? {
    for (x, factor) in [(0, 1), (1, 0)] {
      guard let value = match.splat(match.operands[factor]) else { continue }
      if value == 1, let result = match.same(match.operands[x]) { return result }
      if value == -1, match.same(match.operands[x]) != nil {
        return try match.builder.negate(match.operands[x])
      }
    }
    return nil
  }

  /// x / c = x · (1/c) with the same bits where 1/c is exact, which it is for powers of two.
  private static func divide(_ match: Match) throws(Diagnostic) -> ValueID? {
    guard match.type.element == .f32, let divisor = match.splat(match.operands[1]) else { return nil }
    if divisor == 1 { return match.same(match.operands[0]) }
    guard divisor != 0, abs(divisor).significand == 1, abs(divisor) < 0x1p+100, abs(divisor) > 0x1p-100
    else { return nil }
    let type = match.builder.type(of: match.operands[1])
    let reciprocal = try match.builder.constant(type, [1 / divisor])
    return try match.builder.multiply(match.operands[0], reciprocal)
  }

  private static func power(_ match: Match) throws(Diagnostic) -> ValueID? {
    guard match.type.element == .f32, let exponent = match.splat(match.operands[1]),
      match.same(match.operands[0]) != nil
    else { return nil }
    if exponent == 1 { return match.operands[0] }
    if exponent == 2 { return try match.builder.square(match.operands[0]) }
    return nil
  }
}

/// Shape operations that do nothing, undo each other, or can be read through.
enum ShapeRules {
  static func apply(_ match: Match) throws(Diagnostic) -> ValueID? {
    switch match.operation {
    case is Reshape: return try reshape(match)
    case is Broadcast: return try broadcast(match)
    case let transpose as Transpose: return try self.transpose(transpose, match)
    case is Concat where match.operands.count == 1: return match.operands[0]
    case let slice as Slice: return try self.slice(slice, match)
    case let pad as Pad where (pad.before + pad.after).allSatisfy { $0 == 0 }:
      return match.operands[0]
    case let sum as Sum: return try self.sum(sum, match)
    case let product as MatMul: return try matmul(product, match)
    default: return nil
    }
  }

  private static func reshape(_ match: Match) throws(Diagnostic) -> ValueID? {
    if let same = match.same(match.operands[0]) { return same }
    guard let inner = match.producer(match.operands[0]), inner.operation is Reshape else { return nil }
    return try match.builder.reshape(inner.operands[0], match.type.shape)
  }

  private static func broadcast(_ match: Match) throws(Diagnostic) -> ValueID? {
    if let same = match.same(match.operands[0]) { return same }
    guard let inner = match.producer(match.operands[0]), inner.operation is Broadcast else { return nil }
    return try match.builder.broadcast(inner.operands[0], to: match.type.shape)
  }

  private static func transpose(_ operation: Transpose, _ match: Match) throws(Diagnostic) -> ValueID? {
    let permutation = operation.permutation
    if permutation == Array(permutation.indices) { return match.operands[0] }
    let shape = match.builder.shape(of: match.operands[0])
    // Only axes of size one change places: the elements stay in order.
    let moved = permutation.filter { shape[$0] != 1 }
    if moved == moved.sorted() { return try match.builder.reshape(match.operands[0], match.type.shape) }
    guard let inner = match.producer(match.operands[0]), let first = inner.operation as? Transpose
    else { return nil }
    return try match.builder.transpose(inner.operands[0], permutation.map { first.permutation[$0] })
  }

  /// A slice of a whole is the whole; a slice that lies in one part of a concatenation is a slice of that part.
  private static func slice(_ operation: Slice, _ match: Match) throws(Diagnostic) -> ValueID? {
    if let same = match.same(match.operands[0]) { return same }
    guard let inner = match.producer(match.operands[0]), let concat = inner.operation as? Concat
    else { return nil }
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

  /// A sum over axes of size one is a reshape.
  private static func sum(_ operation: Sum, _ match: Match) throws(Diagnostic) -> ValueID? {
    let shape = match.builder.shape(of: match.operands[0])
    guard operation.axes.allSatisfy({ shape[$0] == 1 }) else { return nil }
    return try match.builder.reshape(match.operands[0], match.type.shape)
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
