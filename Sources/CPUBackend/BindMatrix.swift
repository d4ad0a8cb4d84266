// Binds matrix products and convolutions, alone or as the root of a fused node. The right operand is packed by a
// launch of its own into the workspace; the epilogue runs on each finished block.

import Basics
import GraphIR
import KernelTable
import Operators

/// Binds a root that takes an epilogue.
typealias RootBinder =
  @Sendable (_ node: NodeBinding, _ epilogue: UnsafePointer<RegionArguments>?)
  throws(EnvironmentFailure) -> Void

let bindMatMul: RootBinder = { (node, epilogue) throws(EnvironmentFailure) in
  guard let operation = node.operation as? MatMul else { return }
  let unit = node.table.unit
  let (a, b, c) = (node.operands[0], node.operands[1], node.results[0])
  let rank = c.shape.count
  let batches = c.shape[..<(rank - 2)].reduce(1, *)
  let (m, n) = (c.shape[rank - 2], c.shape[rank - 1])
  let k = operation.transposeA ? a.shape[rank - 2] : a.shape[rank - 1]

  var product = MatmulArguments()
  product.a = UnsafePointer(a.floats)
  product.b = UnsafePointer(b.floats)
  // An epilogue gets the product from the kernel's scratch.
  product.c = epilogue == nil ? c.floats : nil
  product.m = m
  product.n = n
  product.k = k
  product.transposedA = operation.transposeA
  product.lda = operation.transposeA ? m : k
  product.ldb = operation.transposeB ? k : n
  product.batches = batches
  product.batchStrideA = m * k
  product.batchStrideB = k * n
  product.epilogue = epilogue
  product.form = MatmulForm.best(
    m: m, n: n, k: k, transposedA: operation.transposeA, transposedB: operation.transposeB,
    keepsB: node.context.isLasting(b))
  var pack = PackArguments()
  pack.k = k
  pack.batches = batches
  pack.batchStride = k * n
  switch product.form {
  case .direct: break
  case .packed:
    pack.n = n
    pack.strideK = operation.transposeB ? 1 : n
    pack.strideN = operation.transposeB ? k : 1
    product.packed = packed(node, b, pack)
  case .swapped:
    pack.n = m
    pack.strideK = operation.transposeA ? m : 1
    pack.strideN = operation.transposeA ? 1 : k
    pack.batchStride = m * k
    product.packed = packed(node, a, pack)
  }
  product.batchStridePacked = packedMatrixCount(k: k, n: pack.n, unit)
  spreadRows(node, &product)
  node.context.launch(
    "matmul", node.table.matmul, product, tasks: product.tasks(unit),
    scratch: product.scratchBytes(unit))
}

/// Where a tile's rows begin a multiple of 4 KiB apart, their lines fall into one set of the first-level cache, which has
/// eight or twelve places: each line goes before the tile is through with it. A copy with longer rows costs less (the product
/// of 128 × 1024 and 1024 × 784 took 77 % of the peak, and takes 88 % with it).
private func spreadRows(_ node: NodeBinding, _ product: inout MatmulArguments) {
  let colliding = 1024
  let isSwapped = product.form == .swapped
  // Each copied row is read again for every panel of C, of which there must be a few.
  let panels = (isSwapped ? product.m : product.n) / node.table.unit.columns
  guard product.batches == 1, isSwapped || !product.transposedA, product.k % colliding == 0,
    panels >= 4
  else { return }
  let (k, stride) = (product.k, product.k + 16)
  let rows = isSwapped ? product.n : product.m
  let operand = node.operands[isSwapped ? 1 : 0]
  let key = PackKey(identity: operand.identity, kernel: "spread", layout: [rows, k, stride])
  let copy = node.context.packed(key, floats: rows * stride) { target in
    bindCopy(node, from: operand.pointer, [k, 1], to: target, [stride, 1], sizes: [rows, k])
  }
  if isSwapped {
    product.b = UnsafePointer(copy)
    product.ldb = stride
  } else {
    product.a = UnsafePointer(copy)
    product.lda = stride
  }
}

/// An operand of a product packed as `arguments` say, by a launch unless an earlier node did it.
func packed(
  _ node: NodeBinding, _ operand: BoundTensor, _ arguments: PackArguments
) -> UnsafePointer<Float> {
  var pack = arguments
  pack.source = UnsafePointer(operand.floats)
  let unit = node.table.unit
  let layout = [pack.k, pack.n, pack.strideK, pack.strideN, pack.batches]
  let key = PackKey(identity: operand.identity, kernel: "pack", layout: layout)
  let target = node.context.packed(key, floats: pack.packedCount(unit)) { target in
    pack.packed = target
    node.context.launch("pack", node.table.pack, pack, tasks: pack.tasks(unit))
  }
  return UnsafePointer(target)
}

/// The geometry that the three convolutions share: x [n, h, w, in], y [n, oh, ow, out].
private func convolutionArguments(
  x: [Int], y: [Int], kernel: [Int], stride: [Int], padding: [Int]
) -> ConvolutionArguments {
  var arguments = ConvolutionArguments()
  arguments.batch = x[0]
  arguments.xHeight = x[1]
  arguments.xWidth = x[2]
  arguments.inChannels = x[3]
  arguments.yHeight = y[1]
  arguments.yWidth = y[2]
  arguments.outChannels = y[3]
  arguments.kernelHeight = kernel[0]
  arguments.kernelWidth = kernel[1]
  arguments.strideHeight = stride[0]
  arguments.strideWidth = stride[1]
  arguments.top = padding[0]
  arguments.left = padding[2]
  return arguments
}

/// The packed filter, made by a launch unless an earlier node has it.
private func packedFilter(
  _ node: NodeBinding, _ arguments: ConvolutionArguments, _ filter: BoundTensor, _ name: String,
  _ kernel: Kernel, count: Int
) -> UnsafeMutablePointer<Float> {
  let a = arguments
  let layout = [
    a.kernelHeight, a.kernelWidth, a.inChannels, a.outChannels, a.strideHeight, a.strideWidth,
    a.top, a.left, a.xHeight, a.xWidth, a.yHeight, a.yWidth,
  ]
  let key = PackKey(identity: filter.identity, kernel: name, layout: layout)
  return node.context.packed(key, floats: count) { target in
    var filled = arguments
    filled.packed = target
    node.context.launch(name, kernel, filled, tasks: arguments.packTasks(node.table.unit))
  }
}

let bindConv2D: RootBinder = { (node, epilogue) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Conv2D else { return }
  let unit = node.table.unit
  var (x, filter, y) = (node.operands[0], node.operands[1], node.results[0])
  if let sizes = try? operation.geometry([x.type, filter.type]),
    bindWinograd(node, sizes, operation.method, .forward, epilogue)
  {
    return
  }
  if operation.upsample != [1, 1] { x = try bindRepeated(node, x, operation.upsample) }
  var arguments = convolutionArguments(
    x: x.shape, y: y.shape, kernel: filter.shape, stride: operation.stride,
    padding: operation.padding)
  arguments.x = x.floats
  arguments.filter = filter.floats
  arguments.y = y.floats
  if collectPays(from: x, to: y) {
    return bindCollected(node, arguments, source: x, target: y, backward: false, epilogue)
  }
  arguments.packed = packedFilter(
    node, arguments, filter, "packFilter", node.table.packFilter,
    count: arguments.packedCount(unit))
  arguments.epilogue = epilogue
  let stored = node.memory.store(arguments)
  node.context.launch(
    "convolution", node.table.convolution, stored: stored, tasks: arguments.tasks(unit),
    scratch: arguments.scratchBytes(unit))
}

let bindConv2DInputGradient: RootBinder = { (node, epilogue) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Conv2DInputGradient else { return }
  let unit = node.table.unit
  let (dy, filter, dx) = (node.operands[0], node.operands[1], node.results[0])
  if let sizes = try? operation.geometry([dy.type, filter.type]),
    bindWinograd(node, sizes, operation.method, .inputGradient, epilogue)
  {
    return
  }
  if operation.upsample != [1, 1] {
    return try bindSummedInputGradient(node, operation, epilogue)
  }
  var arguments = convolutionArguments(
    x: dx.shape, y: dy.shape, kernel: filter.shape, stride: operation.stride,
    padding: operation.padding)
  arguments.x = dx.floats
  arguments.filter = filter.floats
  arguments.y = dy.floats
  if collectPays(from: dy, to: dx) {
    return bindCollected(node, arguments, source: dy, target: dx, backward: true, epilogue)
  }
  arguments.packed = packedFilter(
    node, arguments, filter, "packFilterTransposed", node.table.packFilterTransposed,
    count: arguments.packedTransposedCount(unit))
  arguments.epilogue = epilogue
  let stored = node.memory.store(arguments)
  node.context.launch(
    "convolutionInputGradient", node.table.convolutionInputGradient, stored: stored,
    tasks: arguments.inputGradientTasks(unit), scratch: arguments.scratchBytes(unit))
}

let bindConv2DFilterGradient: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Conv2DFilterGradient else { return }
  let unit = node.table.unit
  var (x, dy, dw) = (node.operands[0], node.operands[1], node.results[0])
  if let sizes = try? operation.geometry([x.type, dy.type]),
    bindWinogradFilterGradient(node, sizes, operation.method)
  {
    return
  }
  if operation.upsample != [1, 1] { x = try bindRepeated(node, x, operation.upsample) }
  var arguments = convolutionArguments(
    x: x.shape, y: dy.shape, kernel: dw.shape, stride: operation.stride,
    padding: operation.padding)
  arguments.x = x.floats
  arguments.filter = dw.floats
  arguments.y = dy.floats
  let partial = arguments.filterGradientPartialCount(unit)
  if partial > 0 { arguments.partial = node.context.temporary(floats: partial) }
  let stored = node.memory.store(arguments)
  node.context.launch(
    "convolutionFilterGradient", node.table.convolutionFilterGradient, stored: stored,
    tasks: arguments.filterGradientTasks(unit), scratch: arguments.filterGradientScratchBytes(unit))
  if partial > 0 {
    node.context.launch(
      "convolutionFilterGradientCombine", node.table.convolutionFilterGradientCombine,
      stored: stored, tasks: arguments.filterGradientCombineTasks())
  }
}

/// Stands for a product that its kernel keeps in its scratch.
nonisolated(unsafe) private let nowhere = UnsafeMutableRawPointer(bitPattern: 64)!

/// A fused node: a region alone; a root with the region as its epilogue; or, where that cannot be, the one after the
/// other.
let bindFused: Binder = { (node) throws(EnvironmentFailure) in
  guard let fused = node.operation as? Fused else { return }
  guard let root = fused.root?.operation else {
    let binding = try RegionBinding(
      node, fused.region, inputs: node.operands, results: node.results)
    return try binding.bind(atOnce: true)
  }
  let own = Array(node.operands.prefix(fused.rootOperandCount))
  let others = Array(node.operands.dropFirst(fused.rootOperandCount))
  let rootTypes: [TensorType]
  do throws(Diagnostic) {
    rootTypes = try root.inferTypes(own.map(\.type))
  } catch {
    throw node.unsupported(error.message)
  }
  let c = rootTypes[0]
  // The product is made in the memory of a result, unless an operand of the epilogue lies there.
  let target = node.results.first { result in
    result.type == c && !others.contains { $0.pointer == result.pointer }
  }
  let made: BoundTensor
  if root is MatMul {
    made = BoundTensor(pointer: nowhere, type: c)
  } else {
    made = target ?? node.context.temporary(c)
  }
  let binding = try RegionBinding(
    node, fused.region, inputs: [made] + others, results: node.results)
  let needsHost = try binding.hostSteps().contains(true)
  if let bindRoot = Registry.root(of: root), !needsHost,
    node.results.allSatisfy({ $0.shape == c.shape && $0.type.element != .f64 })
  {
    let all = Array(node.results.indices)
    let epilogue = try binding.compile(shape: c.shape, results: all, keepsFirst: true)
    return try bindRoot(
      node.with(root, own, [made]), UnsafePointer(node.memory.store(epilogue)))
  }
  let made2 = rootTypes.map { node.context.temporary($0) }
  try Registry.bind(node.with(root, own, made2))
  try RegionBinding(
    node, fused.region, inputs: [made2[0]] + others, results: node.results
  ).bind()
}
