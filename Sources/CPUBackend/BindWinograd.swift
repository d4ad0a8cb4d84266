// Binds convolutions whose method is `winograd`, and those of an up-sampled image that no kernel takes as they are.

import Basics
import GraphIR
import KernelTable
import Operators

/// The arguments of a form; source and target still without pixels. nil where the form does not exist.
private func winogradArguments(
  _ node: NodeBinding, _ sizes: ConvolutionGeometry, _ method: ConvolutionMethod,
  _ direction: WinogradForm.Direction
) -> WinogradArguments? {
  guard let form = method.form(sizes, direction) else { return nil }
  let isBackward = direction == .inputGradient
  var arguments = WinogradArguments()
  let image = sizes.inputShape
  let output = sizes.outputShape
  let (source, target) = isBackward ? (output, image) : (image, output)
  arguments.source.height = source[1]
  arguments.source.width = source[2]
  arguments.source.channels = source[3]
  // The adjoint form keeps the convolution's own axes, in which its source is the output.
  var isAdjoint = false
  if case .winogradAdjoint = method { isAdjoint = true }
  arguments.source.step = isAdjoint ? form.height.outputStep : form.height.imageStep
  arguments.target.height = target[1]
  arguments.target.width = target[2]
  arguments.target.channels = target[3]
  arguments.target.step = isAdjoint ? form.height.imageStep : form.height.outputStep
  arguments.batch = sizes.batch
  arguments.points = form.points
  arguments.tile = form.tile
  arguments.top = form.height.before
  arguments.left = form.width.before
  arguments.rows = form.extent[0]
  arguments.columns = form.extent[1]
  arguments.kernelHeight = sizes.height.kernel
  arguments.kernelWidth = sizes.width.kernel
  arguments.filterIn = sizes.inputChannels
  arguments.filterOut = sizes.outputChannels
  arguments.transposed = isBackward
  arguments.rowMatrix = storeMatrix(node, form.filterMatrix(form.height))
  arguments.columnMatrix = storeMatrix(node, form.filterMatrix(form.width))
  return arguments
}

private func storeMatrix(_ node: NodeBinding, _ matrix: [[[Double]]]) -> UnsafePointer<Float> {
  UnsafePointer(node.memory.store(array: matrix.joined().joined().map { Float($0) }))
}

/// Binds a forward convolution or an input gradient; false for the direct method, and where there is no such form.
func bindWinograd(
  _ node: NodeBinding, _ sizes: ConvolutionGeometry, _ method: ConvolutionMethod,
  _ direction: WinogradForm.Direction, _ epilogue: UnsafePointer<RegionArguments>?
) -> Bool {
  guard var arguments = winogradArguments(node, sizes, method, direction) else { return false }
  let unit = node.table.unit
  let (source, filter, target) = (node.operands[0], node.operands[1], node.results[0])
  arguments.source.pixels = source.floats
  arguments.target.pixels = target.floats
  arguments.filter = filter.floats
  let layout = [
    sizes.height.kernel, sizes.width.kernel, sizes.inputChannels, sizes.outputChannels,
    sizes.height.stride, sizes.upsample[0], sizes.height.before, sizes.width.before,
  ]
  let key = PackKey(
    identity: filter.identity, kernel: "\(method.attribute) \(direction)", layout: layout)
  arguments.packed = node.context.packed(key, floats: arguments.packedCount(unit)) { target in
    var filled = arguments
    filled.packed = target
    node.context.launch(
      "winogradFilter", node.table.winogradFilter, filled, tasks: filled.filterTasks(),
      scratch: winogradFilterScratchBytes)
  }
  arguments.epilogue = epilogue
  if case .winogradAdjoint = method {
    node.context.launch(
      "winogradAdjoint", node.table.winogradAdjoint, arguments, tasks: arguments.adjointTasks,
      scratch: arguments.adjointScratchBytes(unit))
    return true
  }
  node.context.launch(
    "winogradConvolution", node.table.winogradConvolution, arguments,
    tasks: arguments.blocks(unit).tasks, scratch: arguments.scratchBytes(unit))
  return true
}

/// Binds a filter gradient; false for the direct method, and where the form does not exist.
func bindWinogradFilterGradient(
  _ node: NodeBinding, _ sizes: ConvolutionGeometry, _ method: ConvolutionMethod
) -> Bool {
  guard var arguments = winogradArguments(node, sizes, method, .filterGradient) else {
    return false
  }
  let unit = node.table.unit
  arguments.source.pixels = node.operands[0].floats
  arguments.target.pixels = node.operands[1].floats
  arguments.filter = node.results[0].floats
  arguments.partial = node.context.temporary(floats: arguments.partialCount)
  let stored = node.memory.store(arguments)
  node.context.launch(
    "winogradFilterGradient", node.table.winogradFilterGradient, stored: stored,
    tasks: arguments.gradientTasks, scratch: arguments.gradientScratchBytes(unit))
  node.context.launch(
    "winogradFilterGradientCombine", node.table.winogradFilterGradientCombine, stored: stored,
    tasks: arguments.combineTasks, scratch: winogradFilterScratchBytes)
  return true
}

// MARK: Up-sampled images as they are written

/// The image with its pixels repeated, in a temporary.
func bindRepeated(
  _ node: NodeBinding, _ x: BoundTensor, _ factor: [Int]
) throws(EnvironmentFailure) -> BoundTensor {
  let shape = [x.shape[0], x.shape[1] * factor[0], x.shape[2] * factor[1], x.shape[3]]
  let large = node.context.temporary(x.type.with(shape: shape))
  try bindUpsampleNearest(node.with(UpsampleNearest(factor: factor), [x], [large]))
  return large
}

/// The input gradient of an up-sampled image: that of the repeated image, then the sums over repetitions, then the
/// epilogue as a region of its own.
func bindSummedInputGradient(
  _ node: NodeBinding, _ operation: Conv2DInputGradient,
  _ epilogue: UnsafePointer<RegionArguments>?
) throws(EnvironmentFailure) {
  let dx = node.results[0]
  let factor = operation.upsample
  let shape = [dx.shape[0], dx.shape[1] * factor[0], dx.shape[2] * factor[1], dx.shape[3]]
  let large = node.context.temporary(dx.type.with(shape: shape))
  var whole = operation
  whole.upsample = [1, 1]
  whole.inputSize = [shape[1], shape[2]]
  try bindConv2DInputGradient(node.with(whole, node.operands, [large]), nil)
  try bindBlockSum(node.with(BlockSum(factor: factor), [large], [dx]))
  if let epilogue {
    node.context.launch(
      "region", node.table.region, stored: UnsafeMutablePointer(mutating: epilogue),
      tasks: epilogue.pointee.tasks(), scratch: epilogue.pointee.scratchBytes())
  }
}
