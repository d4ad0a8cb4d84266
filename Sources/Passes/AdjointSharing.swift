// One backward pass for losses that go back through one forward value, as both losses of an adversarial step through
// one D(fake). A loss has one adjoint an example there, a[n, 1], and what it becomes on its way back differs from the
// other loss' b[n, 1] by nothing but that factor, as long as every operation is linear row by row
// (`rowLinearOperands`): the way back is gone once, for the *unit*, the adjoint of ones, and its values are
// multiplied by a and b where they leave the shared part. Those multiplications are element-wise and become part of the
// kernel that makes the unit's values. Nothing is divided, so that factors may be zero or underflow. One loss' way back
// for another batch through the same large weights becomes a unit as well, so that `join-batches` finds it alike.
//
// Before:  %6 = matmul(%a, %w) {transposeB: true}     %7 = matmul(%b, %w) {transposeB: true}
//          %8 = select(%mask, %6, …)                  %9 = select(%mask, %7, …)
//          %10 = conv2d_input_gradient(%8, %f)        %11 = conv2d_input_gradient(%9, %f)
// After:   %6 = broadcast(%w as a row)
//          %8 = select(%mask, %6, …)
//          %9 = conv2d_input_gradient(%8, %f)
//          %10 = multiply(%9, %a)                     %11 = multiply(%9, %b)

import Basics
import GraphIR
import Operators

package struct ShareAdjoints: Pass {
  package init() {}
  package let name = "share-adjoints"
  package let summary = "Go back once for losses whose adjoints differ by a factor per example."
  package var requires: Stage { .differentiated }

  package func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    let factors = RowFactors(graph)
    let shared = SharedUnits(graph, factors)
    guard shared.savesWork else { return graph }
    var emitter = try UnitEmitter(graph, factors)
    for id in graph.nodes.ids {
      let node = graph.nodes[id]
      guard let form = shared.form(of: id) else {
        // Dead nodes may read what is not there any more.
        if shared.live.contains(id) { try emitter.rewriter.keep(node) }
        continue
      }
      let unit = try emitter.unit(form.unit, of: node)
      guard shared.isReadScaled(node.results[0]) else { continue }
      try emitter.scale(unit, by: form.factor, node)
    }
    return emitter.rewriter.finish()
  }
}

/// Values as products: `unit` with each of its rows multiplied by the element of `factor` that belongs to it.
struct RowFactors {
  /// An expression over values and other units; equal ones are one unit.
  struct Unit: Hashable {
    enum Operand: Hashable {
      case value(ValueID)
      case unit(Int)
    }
    var operation: AnyOperation
    var operands: [Operand]
  }
  struct Form {
    var factor: ValueID
    var unit: Int
  }

  private(set) var units: [Unit] = []
  /// The form of every value that has one.
  private(set) var forms: Table<ValueTag, Form?>
  private var known: [Unit: Int] = [:]
  private let graph: Graph

  init(_ graph: Graph) {
    self.graph = graph
    forms = Table(repeating: nil, count: graph.values.count)
    for input in graph.inputs { addTrivial(input.value) }
    for node in graph.nodes.elements {
      if node.results.count == 1, !graph.isRowFactor(node.results[0]) {
        forms[node.results[0]] = form(of: node)
      } else {
        for result in node.results { addTrivial(result) }
      }
    }
  }

  /// One element a row: the value is its own factor, and the unit is ones.
  private mutating func addTrivial(_ value: ValueID) {
    guard graph.isRowFactor(value) else { return }
    var factor = value
    if let producer = graph.producer(of: value), producer.operation is Reshape,
      graph.isRowFactor(producer.operands[0]), let form = forms[producer.operands[0]]
    {
      factor = form.factor
    }
    let ones = Unit(
      operation: AnyOperation(Constant(graph.type(of: value), [1])), operands: [])
    forms[value] = Form(factor: factor, unit: index(of: ones))
  }

  private mutating func form(of node: Node) -> Form? {
    let sets = node.operation.rowLinearOperands(graph.types(of: node.operands)).filter { set in
      set.allSatisfy { graph.type(of: node.operands[$0]).element == .f32 }
    }
    // A factor that multiplies something that has one itself is like any other operand.
    let hasDeepForm = { (set: [Int]) in
      set.contains { forms[node.operands[$0]] != nil && !graph.isRowFactor(node.operands[$0]) }
    }
    for set in sets.filter(hasDeepForm) + sets {
      guard let factor = commonFactor(set.map { node.operands[$0] }) else { continue }
      let operands = node.operands.enumerated().map { place, operand in
        if set.contains(place), let form = forms[operand] { return Unit.Operand.unit(form.unit) }
        return .value(operand)
      }
      let unit = Unit(operation: AnyOperation(node.operation), operands: operands)
      return Form(factor: factor, unit: index(of: unit))
    }
    return nil
  }

  /// The factor that all the values have, apart from zeros, which have any.
  private func commonFactor(_ values: [ValueID]) -> ValueID? {
    var factor: ValueID?
    for value in values {
      guard let form = forms[value] else {
        if graph.splat(value) == 0 { continue }
        return nil
      }
      guard factor == nil || factor == form.factor else { return nil }
      factor = form.factor
    }
    return factor
  }

  private mutating func index(of unit: Unit) -> Int {
    if let index = known[unit] { return index }
    known[unit] = units.count
    units.append(unit)
    return units.count - 1
  }
}

extension Graph {
  /// Whether a value has one element for each index of its first axis, of which there are several: scalars are no
  /// adjoints of examples.
  fileprivate func isRowFactor(_ value: ValueID) -> Bool {
    let type = type(of: value)
    guard type.element == .f32, let rows = type.shape.first else { return false }
    return rows > 1 && type.count == rows
  }
}

/// Which units are computed in place of the values that have them.
private struct SharedUnits {
  let live: BitSet
  private let graph: Graph
  private let factors: RowFactors
  private var isShared: [Bool]
  private var readScaled = BitSet()

  init(_ graph: Graph, _ factors: RowFactors) {
    self.graph = graph
    self.factors = factors
    live = graph.liveNodes()
    isShared = Array(repeating: false, count: factors.units.count)
    var uses = Array(repeating: 0, count: factors.units.count)
    var products: [(unit: Int, node: Node)] = []
    var isProduct = isShared
    var isWanted = isShared
    for id in graph.nodes.ids where live.contains(id) {
      guard let unit = computedUnit(id) else { continue }
      uses[unit] += 1
      guard graph.isHeavy(graph.nodes[id]) else { continue }
      isProduct[unit] = true
      if uses[unit] == 1 { products.append((unit, graph.nodes[id])) } else { isWanted[unit] = true }
    }
    // Units of one use that are computed all the same.
    var isFurther = furtherWays(products, wanted: isWanted)
    // Units stand behind those they are made of. What leads to a heavy one is wanted with it …
    for unit in factors.units.indices.reversed() where isWanted[unit] || isFurther[unit] {
      for source in sources(of: unit) {
        isWanted[source] = true
        if isFurther[unit], uses[source] == 1 { isFurther[source] = true }
      }
    }
    // … and what several losses make of a shared one is shared, too.
    for unit in factors.units.indices {
      if uses[unit] == 1, !isProduct[unit], sources(of: unit).contains(where: { isFurther[$0] }) {
        isFurther[unit] = true
      }
      isShared[unit] =
        isFurther[unit]
        || uses[unit] > 1 && (isWanted[unit] || sources(of: unit).contains { isShared[$0] })
    }
    findScaledReads()
  }

  /// The products of one loss with weights by which a shared way back of another batch multiplies. As units the two
  /// can be joined (`join-batches`); it pays where weights are larger than rows.
  private func furtherWays(_ products: [(unit: Int, node: Node)], wanted: [Bool]) -> [Bool] {
    func values(_ unit: Int) -> [RowFactors.Unit.Operand?] {
      factors.units[unit].operands.map { if case .value = $0 { $0 } else { nil } }
    }
    let shared = products.filter { wanted[$0.unit] }
    var isFurther = Array(repeating: false, count: wanted.count)
    for (unit, node) in products where !wanted[unit] && graph.readsMoreThanRows(node) {
      isFurther[unit] = shared.contains { other in
        factors.units[other.unit].operation == factors.units[unit].operation
          && values(other.unit) == values(unit)
      }
    }
    return isFurther
  }

  var savesWork: Bool { isShared.contains(true) }

  /// The form of the value that a node computes, where its unit is shared.
  func form(of id: NodeID) -> RowFactors.Form? {
    guard live.contains(id), let unit = computedUnit(id), isShared[unit] else { return nil }
    return factors.forms[graph.nodes[id].results[0]]
  }

  /// Whether something reads the value itself, and not its unit.
  func isReadScaled(_ value: ValueID) -> Bool { readScaled.contains(value) }

  /// The unit of a node's result, unless that is its own factor.
  private func computedUnit(_ id: NodeID) -> Int? {
    let results = graph.nodes[id].results
    guard results.count == 1, let form = factors.forms[results[0]], !sources(of: form.unit).isEmpty
    else { return nil }
    return form.unit
  }

  private func sources(of unit: Int) -> [Int] {
    factors.units[unit].operands.compactMap { operand in
      if case .unit(let source) = operand { source } else { nil }
    }
  }

  private mutating func findScaledReads() {
    for output in graph.outputs { readScaled.insert(output.value) }
    for id in graph.nodes.ids where live.contains(id) {
      let unit = form(of: id).map { factors.units[$0.unit] }
      for (place, operand) in graph.nodes[id].operands.enumerated() {
        if case .unit = unit?.operands[place] { continue }
        readScaled.insert(operand)
      }
    }
  }
}

/// Emits units once, and values as products of them.
private struct UnitEmitter {
  var rewriter: GraphRewriter
  private let factors: RowFactors
  private var emitted: [ValueID?]

  init(_ graph: Graph, _ factors: RowFactors) throws(Diagnostic) {
    rewriter = try GraphRewriter(graph)
    self.factors = factors
    emitted = Array(repeating: nil, count: factors.units.count)
  }

  /// The value of a unit, which the first of the nodes that have it makes.
  mutating func unit(_ index: Int, of node: Node) throws(Diagnostic) -> ValueID {
    if let value = emitted[index] { return value }
    let unit = factors.units[index]
    rewriter.builder.origin = node.origin.noting("for a unit adjoint")
    let value: ValueID
    if let row = outerProductRow(unit, node) {
      let type = rewriter.old.type(of: node.results[0])
      let narrow = try rewriter.builder.reshape(rewriter.value(row), [1, type.shape[1]])
      value = try rewriter.builder.broadcast(narrow, to: type.shape)
    } else {
      var operands: [ValueID] = []
      for operand in unit.operands {
        switch operand {
        case .value(let old): operands.append(rewriter.value(old))
        case .unit(let source): operands.append(try self.unit(source, of: node))
        }
      }
      value = try rewriter.builder.add(unit.operation.operation, operands)[0]
    }
    emitted[index] = value
    return value
  }

  /// The right operand of a product of one column of ones: its one row is every row of the product.
  private func outerProductRow(_ unit: RowFactors.Unit, _ node: Node) -> ValueID? {
    guard unit.operation.operation is MatMul, case .unit = unit.operands[0],
      case .value(let row) = unit.operands[1],
      rewriter.old.type(of: node.operands[0]).shape.dropFirst() == [1]
    else { return nil }
    return row
  }

  /// Says that a node's value is the unit's with each row multiplied by its factor.
  mutating func scale(
    _ unit: ValueID, by factor: ValueID, _ node: Node
  ) throws(Diagnostic) {
    let builder = rewriter.builder
    builder.origin = node.origin.noting("times its loss' adjoint")
    let shape = builder.shape(of: unit)
    let ones = Array(repeating: 1, count: shape.count - 1)
    let column = try builder.reshape(rewriter.value(factor), [shape[0]] + ones)
    rewriter.replace(node.results[0], by: try builder.multiply(unit, column))
  }
}
