// Rows of a table by number: gather (an embedding), its adjoint scatter-add, and one-hot. All three treat a number
// outside 0..<count as one that names no row: gather gives zeros, scatter drops, one-hot has no one. So
// gather_rows(table, ids) = one_hot(ids) · table holds without exception, and no number can reach foreign memory.

import Basics
import GraphIR

/// y[i…, r…] = table[ids[i…], r…]; zeros where the id is outside the table.
package struct GatherRows: Operation {
  package static let mnemonic = "gather_rows"
  package static let summary = "The rows of a table that the ids name; zeros for ids outside it."
  package static let signature = [OperandSpec("table"), OperandSpec("ids")]

  package init() {}

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try checkArity(operands)
    let (table, ids) = (operands[0], operands[1])
    try checkElement(table, [.f32])
    try checkElement(ids, [.i32])
    guard table.rank >= 1 else {
      throw Diagnostic("shape.rank", "\(Self.mnemonic) expects a table of rows, found \(table)")
    }
    return [.f32(ids.shape + table.shape.dropFirst())]
  }

  package func rowUse(_ operands: [TensorType]) -> RowUse {
    operands[1].rank > 0 ? .each([1]) : .mixed
  }

  // table̅[k] = Σ i: ids[i] = k  ȳ[i]
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let adjoint = try scope.builder.scatterAddRows(
      scope.operands[1], scope.seed, count: scope.type(ofOperand: 0).shape[0])
    scope.setAdjoint(of: 0, adjoint)
  }

  // y[i, r] = table[ids[i], r]
  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let (table, ids) = (operands[0], operands[1])
    let width = table.values.count / table.shape[0]
    var y = HostTensor(results[0])
    for (place, id) in ids.values.enumerated() {
      guard let row = rowNumber(id, count: table.shape[0]) else { continue }
      for r in 0..<width { y.values[place * width + r] = table.values[row * width + r] }
    }
    return [y]
  }

  /// No arithmetic; only the rows that are named are read.
  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(flops: 0, bytes: Cost.traffic(Array(operands.dropFirst()), results + results))
  }

  package static var samples: [Sample<GatherRows>] {
    [
      // A row twice, one never, and ids outside.
      Sample(
        GatherRows(), [.f32(5, 3), .i32(6)],
        fills: [.uniform(-1, 1), .values([4, 0, 0, 2, -1, 5])]),
      Sample(GatherRows(), [.f32(2, 2, 3), .i32(2, 2)], fills: [.uniform(-1, 1), .uniform(0, 1)]),
      Sample(GatherRows(), [.f32(3), .i32()], fills: [.uniform(-1, 1), .values([1])]),
      Sample(GatherRows(), [.f32(10, 17), .i32(1)], fills: [.uniform(-1, 1), .uniform(0, 9)]),
    ]
  }
}

/// y[k, r…] = Σ i: ids[i…] = k  rows[i…, r…]; rows of ids outside 0..<count are dropped.
package struct ScatterAddRows: Operation {
  package static let mnemonic = "scatter_add_rows"
  package static let summary = "Adds rows into a table of zeros at the places that the ids name."
  package static let signature = [OperandSpec("ids"), OperandSpec("rows")]
  /// The number of rows of the table.
  package var count = 1

  package init() {}
  package init(count: Int) { self.count = count }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("count", &count)
  }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try checkArity(operands)
    let (ids, rows) = (operands[0], operands[1])
    try checkElement(ids, [.i32])
    try checkElement(rows, [.f32])
    guard rows.rank >= ids.rank, Array(rows.shape.prefix(ids.rank)) == ids.shape else {
      throw Diagnostic(
        "shape.mismatch",
        "\(Self.mnemonic) expects rows whose shape begins with that of the ids, found \(ids) and "
          + "\(rows)")
    }
    try expectCount(count, of: Self.mnemonic)
    return [.f32([count] + rows.shape.dropFirst(ids.rank))]
  }

  package func rowUse(_ operands: [TensorType]) -> RowUse {
    operands[0].rank > 0 ? .summed([0, 1]) : .mixed
  }

  // r̅o̅w̅s̅[i] = ȳ[ids[i]]
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(1) else { return }
    scope.setAdjoint(of: 1, try scope.builder.gatherRows(scope.seed, scope.operands[0]))
  }

  // y[ids[i], r] += rows[i, r]
  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let (ids, rows) = (operands[0], operands[1])
    let width = rows.values.count / ids.values.count
    var y = HostTensor(results[0])
    for (place, id) in ids.values.enumerated() {
      guard let row = rowNumber(id, count: count) else { continue }
      for r in 0..<width { y.values[row * width + r] += rows.values[place * width + r] }
    }
    return [y]
  }

  /// One addition an element of the rows.
  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(flops: Double(operands.last?.count ?? 0), bytes: Cost.traffic(operands, results))
  }

  package static var samples: [Sample<ScatterAddRows>] {
    [
      Sample(
        ScatterAddRows(count: 5), [.i32(6), .f32(6, 3)],
        fills: [.values([4, 0, 0, 2, -1, 5]), .uniform(-1, 1)]),
      Sample(
        ScatterAddRows(count: 2), [.i32(2, 2), .f32(2, 2, 2, 3)],
        fills: [.uniform(0, 1), .uniform(-1, 1)]),
      Sample(ScatterAddRows(count: 3), [.i32(), .f32()], fills: [.values([1]), .uniform(-1, 1)]),
      Sample(
        ScatterAddRows(count: 10), [.i32(1), .f32(1, 17)],
        fills: [.uniform(0, 9), .uniform(-1, 1)]),
    ]
  }
}

/// y[i…, k] = 1 where ids[i…] = k, else 0.
package struct OneHot: Operation {
  package static let mnemonic = "one_hot"
  package static let summary =
    "A row of zeros with a one at the id; no one where the id is outside."
  package static let signature = [OperandSpec("ids")]
  /// The length of the new last axis.
  package var count = 1

  package init() {}
  package init(count: Int) { self.count = count }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("count", &count)
  }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try checkArity(operands)
    try checkElement(operands[0], [.i32])
    try expectCount(count, of: Self.mnemonic)
    return [.f32(operands[0].shape + [count])]
  }

  package var blocksGradient: Bool { true }
  package func rowUse(_ operands: [TensorType]) -> RowUse {
    operands[0].rank > 0 ? .each([0]) : .mixed
  }

  // Integers have no adjoint.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {}

  // y[i, ids[i]] = 1
  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    var y = HostTensor(results[0])
    for (place, id) in operands[0].values.enumerated() {
      if let row = rowNumber(id, count: count) { y.values[place * count + row] = 1 }
    }
    return [y]
  }

  package static var samples: [Sample<OneHot>] {
    [
      Sample(
        OneHot(count: 4), [.i32(5)], fills: [.values([0, 3, -1, 4, 3])], differentiable: false),
      Sample(OneHot(count: 10), [.i32(2, 3)], fills: [.uniform(0, 9)], differentiable: false),
      Sample(OneHot(count: 1), [.i32()], fills: [.values([0])], differentiable: false),
    ]
  }
}

private func expectCount(_ count: Int, of operation: String) throws(Diagnostic) {
  guard count >= 1, count <= TensorType.maximumCount else {
    throw Diagnostic(
      "shape.size",
      "the count of \(operation) must be from 1 to \(TensorType.maximumCount), found \(count)")
  }
}

/// The row that an id names, or nil where it names none.
private func rowNumber(_ id: Double, count: Int) -> Int? {
  id >= 0 && id < Double(count) ? Int(id) : nil
}
