// Binds what moves elements about: transposes, slices, concatenation, padding, rows by index.

import Basics
import GraphIR
import KernelTable
import Operators

/// A dense copy.
func bindCopy(
  _ node: NodeBinding, from source: UnsafeRawPointer, to destination: UnsafeMutableRawPointer,
  count: Int
) {
  bindCopy(
    node, from: source, [1], to: destination, [1], sizes: [count])
}

/// A strided copy: axes that lie together in both are joined, so that the kernel sees long runs.
func bindCopy(
  _ node: NodeBinding, from source: UnsafeRawPointer, _ sourceStrides: [Int],
  to destination: UnsafeMutableRawPointer, _ destinationStrides: [Int], sizes: [Int]
) {
  let joined = StridedAxes(sizes: sizes, source: sourceStrides, target: destinationStrides)
  var arguments = CopyArguments()
  arguments.source = source
  arguments.destination = destination
  arguments.rank = joined.sizes.count
  arguments.sizes = UnsafePointer(node.memory.store(array: joined.sizes))
  arguments.sourceStrides = UnsafePointer(node.memory.store(array: joined.source))
  arguments.destinationStrides = UnsafePointer(node.memory.store(array: joined.target))
  node.context.launch("copy", node.table.copy, arguments, tasks: arguments.tasks())
}

func bindFill(_ node: NodeBinding, _ tensor: BoundTensor, word: UInt32) {
  var arguments = FillArguments()
  arguments.destination = tensor.pointer
  arguments.count = tensor.count
  arguments.word = word
  node.context.launch("fill", node.table.fill, arguments, tasks: arguments.tasks())
}

func bindTranspose(
  _ node: NodeBinding, _ input: BoundTensor, to destination: UnsafeMutableRawPointer,
  _ permutation: [Int]
) {
  let strides = rowMajorStrides(input.shape)
  let shape = permutation.map { input.shape[$0] }
  bindCopy(
    node, from: input.pointer, permutation.map { strides[$0] }, to: destination,
    rowMajorStrides(shape), sizes: shape)
}

let bindTransposeNode: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Transpose else { return }
  bindTranspose(node, node.operands[0], to: node.results[0].pointer, operation.permutation)
}

/// A reshape that the planner did not make a view.
let bindReshape: Binder = { (node) throws(EnvironmentFailure) in
  try node.expectLanes()
  let (x, y) = (node.operands[0], node.results[0])
  bindCopy(node, from: x.pointer, to: y.pointer, count: y.count)
}

let bindBroadcast: Binder = { (node) throws(EnvironmentFailure) in
  let (x, y) = (node.operands[0], node.results[0])
  let dense = rowMajorStrides(x.shape)
  let skipped = y.shape.count - x.shape.count
  let strides = y.shape.indices.map { axis in
    axis < skipped || x.shape[axis - skipped] == 1 ? 0 : dense[axis - skipped]
  }
  bindCopy(
    node, from: x.pointer, strides, to: y.pointer, rowMajorStrides(y.shape), sizes: y.shape)
}

let bindConcat: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Concat else { return }
  let y = node.results[0]
  let strides = rowMajorStrides(y.shape)
  var start = 0
  for x in node.operands {
    bindCopy(
      node, from: x.pointer, rowMajorStrides(x.shape),
      to: y.pointer + start * strides[operation.axis] * 4, strides, sizes: x.shape)
    start += x.shape[operation.axis]
  }
}

/// The box of `shape` at `starts` of a dense tensor, made dense.
private func bindBox(
  _ node: NodeBinding, _ x: BoundTensor, starts: [Int], shape: [Int],
  to destination: UnsafeMutableRawPointer
) {
  let strides = rowMajorStrides(x.shape)
  let offset = zip(starts, strides).reduce(0) { $0 + $1.0 * $1.1 }
  bindCopy(
    node, from: x.pointer + offset * 4, strides, to: destination, rowMajorStrides(shape),
    sizes: shape)
}

let bindSlice: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Slice else { return }
  bindBox(
    node, node.operands[0], starts: operation.starts, shape: node.results[0].shape,
    to: node.results[0].pointer)
}

let bindPad: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Pad else { return }
  let (x, y) = (node.operands[0], node.results[0])
  let strides = rowMajorStrides(y.shape)
  if operation.mode == .zero {
    bindFill(node, y, word: 0)
    let offset = zip(operation.before, strides).reduce(0) { $0 + $1.0 * $1.1 }
    bindCopy(
      node, from: x.pointer, rowMajorStrides(x.shape), to: y.pointer + offset * 4, strides,
      sizes: x.shape)
    return
  }
  var tables: [UnsafePointer<Int32>?] = []
  for axis in x.shape.indices {
    let before = operation.before[axis]
    guard before > 0 || operation.after[axis] > 0 else {
      tables.append(nil)
      continue
    }
    let size = x.shape[axis]
    let table = (0..<y.shape[axis]).map {
      Int32(operation.mode.source($0 - before, size: size) ?? 0)
    }
    tables.append(UnsafePointer(node.memory.store(array: table)))
  }
  var arguments = GatherArguments()
  arguments.source = UnsafeRawPointer(x.pointer)
  arguments.destination = y.pointer
  arguments.rank = y.shape.count
  arguments.sizes = UnsafePointer(node.memory.store(array: y.shape))
  arguments.tables = UnsafePointer(node.memory.store(array: tables))
  arguments.sourceStrides = UnsafePointer(node.memory.store(array: rowMajorStrides(x.shape)))
  node.context.launch("gather", node.table.gather, arguments, tasks: arguments.tasks())
}

let bindPadGradient: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? PadGradient else { return }
  let (dy, dx) = (node.operands[0], node.results[0])
  if operation.mode == .zero {
    bindBox(node, dy, starts: operation.before, shape: dx.shape, to: dx.pointer)
    return
  }
  var starts: [UnsafePointer<Int32>?] = []
  var lists: [UnsafePointer<Int32>?] = []
  for axis in dx.shape.indices {
    let before = operation.before[axis]
    guard before > 0 || operation.after[axis] > 0 else {
      starts.append(nil)
      lists.append(nil)
      continue
    }
    let size = dx.shape[axis]
    var places = [[Int32]](repeating: [], count: size)
    for index in 0..<dy.shape[axis] {
      if let source = operation.mode.source(index - before, size: size) {
        places[source].append(Int32(index))
      }
    }
    var start: [Int32] = [0]
    for list in places { start.append(start[start.count - 1] + Int32(list.count)) }
    starts.append(UnsafePointer(node.memory.store(array: start)))
    lists.append(UnsafePointer(node.memory.store(array: places.flatMap { $0 })))
  }
  var arguments = GatherAdjointArguments()
  arguments.source = UnsafePointer(dy.floats)
  arguments.destination = dx.floats
  arguments.rank = dx.shape.count
  arguments.sizes = UnsafePointer(node.memory.store(array: dx.shape))
  arguments.starts = UnsafePointer(node.memory.store(array: starts))
  arguments.lists = UnsafePointer(node.memory.store(array: lists))
  arguments.sourceStrides = UnsafePointer(node.memory.store(array: rowMajorStrides(dy.shape)))
  node.context.launch(
    "gatherAdjoint", node.table.gatherAdjoint, arguments, tasks: arguments.tasks())
}

/// Counts are the same in every step: the row is made here and copied.
let bindIota: Binder = { (node) throws(EnvironmentFailure) in
  let y = node.results[0]
  let row = y.shape[y.shape.count - 1]
  let source: UnsafeRawPointer =
    y.type.element == .f32
    ? UnsafeRawPointer(node.memory.store(array: (0..<row).map { Float($0) }))
    : UnsafeRawPointer(node.memory.store(array: (0..<row).map { Int32($0) }))
  bindCopy(node, from: source, [0, 1], to: y.pointer, [row, 1], sizes: [y.count / row, row])
}

/// A constant that is not in the block of constants: a root, or one that a pass left to run.
let bindConstant: Binder = { (node) throws(EnvironmentFailure) in
  try node.expectLanes()
  let y = node.results[0]
  let tensor = node.operation.evaluate([], results: [y.type])[0]
  let source: UnsafeRawPointer =
    y.type.element == .f32
    ? UnsafeRawPointer(node.memory.store(array: tensor.values.map { Float($0) }))
    : UnsafeRawPointer(node.memory.store(array: tensor.values.map { Int32($0) }))
  bindCopy(node, from: source, to: y.pointer, count: y.count)
}

let bindGatherRows: Binder = { (node) throws(EnvironmentFailure) in
  let (table, ids, rows) = (node.operands[0], node.operands[1], node.results[0])
  var arguments = RowsArguments()
  arguments.table = table.floats
  arguments.ids = UnsafePointer(ids.integers)
  arguments.rows = rows.floats
  arguments.idCount = ids.count
  arguments.tableRows = table.shape[0]
  arguments.width = table.count / table.shape[0]
  node.context.launch("gatherRows", node.table.gatherRows, arguments, tasks: arguments.tasks())
}

let bindScatterAddRows: Binder = { (node) throws(EnvironmentFailure) in
  let (ids, rows, table) = (node.operands[0], node.operands[1], node.results[0])
  var arguments = RowsArguments()
  arguments.table = table.floats
  arguments.ids = UnsafePointer(ids.integers)
  arguments.rows = rows.floats
  arguments.idCount = ids.count
  arguments.tableRows = table.shape[0]
  arguments.width = table.count / table.shape[0]
  node.context.launch(
    "scatterAddRows", node.table.scatterAddRows, arguments, tasks: arguments.scatterTasks())
}

let bindOneHot: Binder = { (node) throws(EnvironmentFailure) in
  let (ids, rows) = (node.operands[0], node.results[0])
  var arguments = RowsArguments()
  arguments.ids = UnsafePointer(ids.integers)
  arguments.rows = rows.floats
  arguments.idCount = ids.count
  arguments.width = rows.shape[rows.shape.count - 1]
  node.context.launch("oneHot", node.table.oneHot, arguments, tasks: arguments.tasks())
}
