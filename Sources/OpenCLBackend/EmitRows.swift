// Lowers rows of a table by number. A number outside the table names no row.

import Basics
import GraphIR
import Operators

let rowEmitters: [(any Operation.Type, NodeEmitter)] = [
  (GatherRows.self, emitGatherRows),
  (ScatterAddRows.self, emitScatterAddRows),
  (OneHot.self, emitOneHot),
]

/// y[i, r] = table[ids[i], r]
private let emitGatherRows: NodeEmitter = { (node) throws(EnvironmentFailure) in
  let (table, ids, result) = (node.operands[0], node.operands[1], node.results[0])
  let size = table.count / table.shape[0]
  let width = node.widthDividing(size)
  var kernel = node.itemKernel("gather_rows", count: result.count / width)
  let (from, numbers) = (kernel.input(table), kernel.input(ids))
  let to = kernel.output(result)
  let type = cType(.f32, width)
  kernel.line("const uint e = i * \(width)u;")
  kernel.line("const int id = \(numbers)[e / \(size)u];")
  kernel.line("\(type) v = \(cLiteral(0, .f32, width));")
  kernel.block("if (id >= 0 && id < \(table.shape[0]))") {
    $0.line("v = \(ElementAccess.vector(from, "((uint)id * \(size)u + e % \(size)u)", width));")
  }
  kernel.line(ElementAccess.store("v", to, "e", width))
  node.each(result.count / width, kernel)
}

/// y[k, r] = Σ i: ids[i] = k  rows[i, r], in the order of the ids. One item looks through all ids for its row: several
/// at a time, because few are the one that it seeks.
private let emitScatterAddRows: NodeEmitter = { (node) throws(EnvironmentFailure) in
  let (ids, rows, result) = (node.operands[0], node.operands[1], node.results[0])
  let size = rows.count / ids.count
  let width = node.widthDividing(size)
  var kernel = node.itemKernel("scatter_add_rows", count: result.count / width)
  let (numbers, from) = (kernel.input(ids), kernel.input(rows))
  let to = kernel.output(result)
  kernel.line("const uint e = i * \(width)u, r = e % \(size)u;")
  kernel.line("const int own = (int)(e / \(size)u);")
  kernel.line("\(cType(.f32, width)) sum = \(cLiteral(0, .f32, width));")
  let row = ElementAccess.vector(from, "(k * \(size)u + r)", width)
  let add = "if (\(numbers)[k] == own) sum += \(row);"
  let lanes = ids.count >= 2 * node.traits.vectorWidth ? node.traits.vectorWidth : 1
  let whole = lanes == 1 ? 0 : ids.count / lanes * lanes
  if lanes > 1 {
    kernel.block("for (uint j = 0; j < \(whole)u; j += \(lanes)u)") { kernel in
      kernel.line("if (any(\(ElementAccess.vector(numbers, "j", lanes)) == own))")
      kernel.line("  for (uint k = j; k < j + \(lanes)u; k++) \(add)")
    }
  }
  kernel.line("for (uint k = \(whole)u; k < \(ids.count)u; k++) \(add)")
  kernel.line(ElementAccess.store("sum", to, "e", width))
  node.each(result.count / width, kernel)
}

/// y[i, k] = 1 where ids[i] = k, else 0
private let emitOneHot: NodeEmitter = { (node) throws(EnvironmentFailure) in
  let (ids, result) = (node.operands[0], node.results[0])
  let size = result.shape[result.shape.count - 1]
  var kernel = node.itemKernel("one_hot", count: result.count)
  let numbers = kernel.input(ids)
  kernel.line("const int id = \(numbers)[i / \(size)u];")
  kernel.line("\(kernel.output(result))[i] = id == (int)(i % \(size)u) ? 1.0f : 0.0f;")
  node.each(result.count, kernel)
}
