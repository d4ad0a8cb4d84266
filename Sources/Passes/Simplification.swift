// Algebraic simplification with rules that keep every result's bits (a zero's sign and a NaN's payload apart):
// each rule looks at one node of the old graph with already simplified operands, and says what to emit
// instead. Rules that change rounding belong to passes of their own, which `--math exact` turns off.

import Basics
import GraphIR
import Operators

package struct Simplify: Pass {
  package init() {}
  package let name = "simplify"
  package let summary =
    "Drop neutral operations, merge chains of shape operations, absorb transposes."

  package func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    var rewriter = try GraphRewriter(graph)
    let useCounts = graph.useCounts()
    for node in graph.nodes.elements {
      rewriter.builder.origin = node.origin
      if !rewriter.isPinned(node), let value = try simplified(node, rewriter, useCounts) {
        rewriter.replace(node.results[0], by: value)
      } else {
        try rewriter.keep(node)
      }
    }
    return rewriter.finish()
  }

  /// The value that stands for the node's one result, or nil to keep the node.
  private func simplified(
    _ node: Node, _ rewriter: GraphRewriter, _ useCounts: Table<ValueTag, Int>
  ) throws(Diagnostic) -> ValueID? {
    guard node.results.count == 1 else { return nil }
    let match = Match(
      operation: node.operation, operands: rewriter.values(node.operands),
      type: rewriter.old.type(of: node.results[0]), rewriter: rewriter)
    if node.operation.isElementwise {
      if let value = try ArithmeticRules.apply(match) { return value }
      if let value = try BroadcastRules.apply(match) { return value }
      let readOnce = node.operands.map { useCounts[$0] == 1 }
      return try ShapeRules.sinkReshape(match, readOnce: readOnce)
    }
    return try ShapeRules.apply(match)
  }
}

/// One node as a rule sees it: the operands are values of the new graph.
struct Match {
  let operation: any Operation
  let operands: [ValueID]
  let type: TensorType
  let rewriter: GraphRewriter

  var builder: GraphBuilder { rewriter.builder }
  func producer(_ value: ValueID) -> Node? { rewriter.producer(ofNew: value) }
  func splat(_ value: ValueID) -> Double? { (producer(value)?.operation as? Constant)?.splat }

  /// The operand of the node behind a value, if that is an `Op`.
  func operand<Op: Operation>(of value: ValueID, if type: Op.Type) -> ValueID? {
    guard let node = producer(value), node.operation is Op else { return nil }
    return node.operands[0]
  }

  /// The value, if it has the type of the match's result: an element-wise operation may have broadcast it.
  func same(_ value: ValueID) -> ValueID? { builder.type(of: value) == type ? value : nil }
}

/// Neutral elements and inverse pairs.
enum ArithmeticRules {
  static func apply(_ match: Match) throws(Diagnostic) -> ValueID? {
    let (x, isFloat) = (match.operands[0], match.type.element.isFloat)
    switch match.operation {
    case is Add: return try add(match)
    case is Subtract:
      let y = match.operands[1]
      if match.splat(y) == 0 { return match.same(x) }
      // x − (−y) = x + y. Whole numbers saturate where the smallest is negated.
      if isFloat, let inner = match.operand(of: y, if: Negate.self) {
        return try match.builder.add(x, inner)
      }
      if isFloat, match.splat(x) == 0, match.same(y) != nil { return try match.builder.negate(y) }
    case is Multiply: return try multiply(match)
    case is Divide: return try divide(match)
    case is Power: return try power(match)
    case is Negate where isFloat: return match.operand(of: x, if: Negate.self)
    case is Select:
      if match.operands[1] == match.operands[2] { return match.same(match.operands[1]) }
      if let condition = match.splat(x) {
        return match.same(match.operands[condition != 0 ? 1 : 2])
      }
    case is Convert: return convert(match)
    // Once nothing is differentiated any more.
    case is StopGradient where match.builder.stage >= .differentiated: return x
    default: break
    }
    return nil
  }

  /// x + 0 = x, and x + (−y) = x − y
  private static func add(_ match: Match) throws(Diagnostic) -> ValueID? {
    for (x, y) in [(0, 1), (1, 0)] {
      if match.splat(match.operands[y]) == 0, let same = match.same(match.operands[x]) {
        return same
      }
    }
    guard match.type.element.isFloat else { return nil }
    if let whole = try ShapeRules.joinedPads(match) { return whole }
    for (x, y) in [(0, 1), (1, 0)] {
      guard let inner = match.operand(of: match.operands[y], if: Negate.self) else { continue }
      return try match.builder.subtract(match.operands[x], inner)
    }
    return nil
  }

  private static func multiply(_ match: Match) throws(Diagnostic) -> ValueID? {
    for (x, factor) in [(0, 1), (1, 0)] {
      guard let value = match.splat(match.operands[factor]),
        let result = match.same(match.operands[x])
      else { continue }
      if value == 1 { return result }
      if value == -1, match.type.element.isFloat { return try match.builder.negate(result) }
    }
    return nil
  }

  /// x / c = x · (1/c) with the same bits where 1/c is exact, which it is for powers of two.
  private static func divide(_ match: Match) throws(Diagnostic) -> ValueID? {
    guard let divisor = match.splat(match.operands[1]) else { return nil }
    if divisor == 1 { return match.same(match.operands[0]) }
    guard match.type.element == .f32, divisor != 0, abs(divisor).significand == 1,
      abs(divisor) < 0x1p+100, abs(divisor) > 0x1p-100
    else { return nil }
    let type = match.builder.type(of: match.operands[1])
    let reciprocal = try match.builder.constant(type, [1 / divisor])
    return try match.builder.multiply(match.operands[0], reciprocal)
  }

  private static func power(_ match: Match) throws(Diagnostic) -> ValueID? {
    guard let exponent = match.splat(match.operands[1]), let x = match.same(match.operands[0])
    else { return nil }
    if exponent == 1 { return x }
    if exponent == 2, match.type.element == .f32 { return try match.builder.square(x) }
    return nil
  }

  /// A conversion to the type that is there, or to a wider one and back.
  private static func convert(_ match: Match) -> ValueID? {
    let x = match.operands[0]
    if let same = match.same(x) { return same }
    guard let inner = match.operand(of: x, if: Convert.self), let source = match.same(inner) else {
      return nil
    }
    switch (match.type.element, match.builder.type(of: x).element) {
    case (.bool, _), (_, .f64): return source
    default: return nil
    }
  }
}

/// Element-wise operations broadcast by themselves, so that no repeated tensor need be made for them.
enum BroadcastRules {
  /// What an operand can be replaced by. A constant is made only once it is used.
  private enum Source {
    case value(ValueID)
    case splat(Double, ElementType)
  }

  /// Before: %2 = broadcast(%1)  %3 = add(%0, %2)     After: %3 = add(%0, %1)
  static func apply(_ match: Match) throws(Diagnostic) -> ValueID? {
    let sources = match.operands.map { source($0, match) }
    guard sources.contains(where: { $0 != nil }) else { return nil }
    let wide = match.operands.map(match.builder.type(of:))
    var narrow = wide
    var chosen = [Bool](repeating: false, count: wide.count)
    for (index, source) in sources.enumerated() {
      guard let source else { continue }
      let before = narrow[index]
      narrow[index] = type(source, match)
      // The result must stay as large as it was.
      chosen[index] = try match.operation.inferTypes(narrow)[0] == match.type
      if !chosen[index] { narrow[index] = before }
    }
    if chosen.contains(true) {
      return try emit(match, zip(sources, chosen).map { $1 ? $0 : nil })
    }
    return try sunk(match, sources)
  }

  /// Before: %2 = broadcast(%1)  %3 = tanh(%2)     After: %2 = tanh(%1)  %3 = broadcast(%2)
  private static func sunk(_ match: Match, _ sources: [Source?]) throws(Diagnostic) -> ValueID? {
    let types = zip(sources, match.operands).map { source, operand in
      source.map { type($0, match) } ?? match.builder.type(of: operand)
    }
    // There is no broadcast of f64, which stands for the scalars of schedules.
    guard match.type.element != .f64,
      try match.operation.inferTypes(types)[0].count < match.type.count
    else { return nil }
    return try match.builder.broadcast(emit(match, sources), to: match.type.shape)
  }

  private static func emit(_ match: Match, _ sources: [Source?]) throws(Diagnostic) -> ValueID {
    var operands = match.operands
    for (index, source) in sources.enumerated() {
      switch source {
      case .value(let value): operands[index] = value
      case .splat(let value, let element):
        operands[index] = try match.builder.scalar(value, element)
      case nil: break
      }
    }
    return try match.builder.add(match.operation, operands)[0]
  }

  private static func type(_ source: Source, _ match: Match) -> TensorType {
    switch source {
    case .value(let value): match.builder.type(of: value)
    case .splat(_, let element): TensorType(element, [])
    }
  }

  /// A smaller tensor that broadcasts to `value`: what a broadcast or new leading axes were put around, or one
  /// element of a constant that repeats it.
  private static func source(_ value: ValueID, _ match: Match) -> Source? {
    guard let node = match.producer(value) else { return nil }
    switch node.operation {
    case is Broadcast: return .value(node.operands[0])
    case is Reshape:
      let inner = match.builder.shape(of: node.operands[0])
      let outer = match.builder.shape(of: value)
      return addsLeadingOnes(inner, outer) ? .value(node.operands[0]) : nil
    case let constant as Constant where constant.type.rank > 0:
      return constant.splat.map { .splat($0, constant.type.element) }
    default: return nil
    }
  }

  /// Whether `outer` is `inner` with axes of size one in front.
  static func addsLeadingOnes(_ inner: [Int], _ outer: [Int]) -> Bool {
    outer.count > inner.count && outer.suffix(inner.count) == inner[...]
      && outer.dropLast(inner.count).allSatisfy { $0 == 1 }
  }
}
