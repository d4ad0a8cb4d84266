// Binds the operations on images: scaling by whole factors, and pooling. Layout NHWC.

import Basics
import GraphIR
import KernelTable
import Operators

/// Which kernel of the table, and whether the operand is the small image.
private func bindScale(
  _ node: NodeBinding, _ name: String, _ kernel: Kernel, upward: Bool, factor: [Int]
) {
  let (x, y) = (node.operands[0], node.results[0])
  let (small, large) = upward ? (x, y) : (y, x)
  var arguments = ScaleArguments()
  arguments.small = small.floats
  arguments.large = large.floats
  arguments.batch = small.shape[0]
  arguments.height = small.shape[1]
  arguments.width = small.shape[2]
  arguments.channels = small.shape[3]
  arguments.factorHeight = factor[0]
  arguments.factorWidth = factor[1]
  node.context.launch(name, kernel, arguments, tasks: arguments.tasks())
}

let bindUpsampleNearest: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? UpsampleNearest else { return }
  bindScale(
    node, "upsampleNearest", node.table.upsampleNearest, upward: true, factor: operation.factor)
}

let bindBlockSum: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? BlockSum else { return }
  bindScale(node, "blockSum", node.table.blockSum, upward: false, factor: operation.factor)
}

let bindUpsampleBilinear: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? UpsampleBilinear else { return }
  bindScale(
    node, "upsampleBilinear", node.table.upsampleBilinear, upward: true, factor: operation.factor)
}

let bindUpsampleBilinearGradient: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? UpsampleBilinearGradient else { return }
  bindScale(
    node, "upsampleBilinearAdjoint", node.table.upsampleBilinearAdjoint, upward: false,
    factor: operation.factor)
}

private func poolArguments(x: [Int], y: [Int], _ window: PoolWindow) -> PoolArguments {
  var arguments = PoolArguments()
  arguments.batch = x[0]
  arguments.xHeight = x[1]
  arguments.xWidth = x[2]
  arguments.channels = x[3]
  arguments.yHeight = y[1]
  arguments.yWidth = y[2]
  arguments.kernelHeight = window.size[0]
  arguments.kernelWidth = window.size[1]
  arguments.strideHeight = window.stride[0]
  arguments.strideWidth = window.stride[1]
  arguments.top = window.padding[0]
  arguments.left = window.padding[2]
  return arguments
}

let bindMaxPool: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? MaxPool else { return }
  let (x, y) = (node.operands[0], node.results[0])
  var arguments = poolArguments(x: x.shape, y: y.shape, operation.window)
  arguments.x = UnsafePointer(x.floats)
  arguments.y = y.floats
  node.context.launch("maxPool", node.table.maxPool, arguments, tasks: arguments.tasks())
}

let bindMaxPoolGradient: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? MaxPoolGradient else { return }
  let (x, dy, dx) = (node.operands[0], node.operands[1], node.results[0])
  var arguments = poolArguments(x: x.shape, y: dy.shape, operation.window)
  arguments.x = UnsafePointer(x.floats)
  arguments.y = dy.floats
  arguments.dx = dx.floats
  node.context.launch(
    "maxPoolGradient", node.table.maxPoolGradient, arguments, tasks: arguments.gradientTasks())
}

let bindMaxPoolGather: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? MaxPoolGather else { return }
  let (x, source, y) = (node.operands[0], node.operands[1], node.results[0])
  var arguments = poolArguments(x: x.shape, y: y.shape, operation.window)
  arguments.x = UnsafePointer(x.floats)
  arguments.dx = source.floats
  arguments.y = y.floats
  node.context.launch(
    "maxPoolGather", node.table.maxPoolGather, arguments, tasks: arguments.tasks())
}

let bindAvgPool: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? AvgPool else { return }
  let (x, y) = (node.operands[0], node.results[0])
  var arguments = poolArguments(x: x.shape, y: y.shape, operation.window)
  arguments.x = UnsafePointer(x.floats)
  arguments.y = y.floats
  node.context.launch("averagePool", node.table.averagePool, arguments, tasks: arguments.tasks())
}

let bindAvgPoolGradient: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? AvgPoolGradient else { return }
  let (dy, dx) = (node.operands[0], node.results[0])
  var arguments = poolArguments(x: dx.shape, y: dy.shape, operation.window)
  arguments.y = dy.floats
  arguments.dx = dx.floats
  node.context.launch(
    "averagePoolGradient", node.table.averagePoolGradient, arguments,
    tasks: arguments.gradientTasks())
}
