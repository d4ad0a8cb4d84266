// Binds convolutions of many channels to one, and input gradients likewise, as a matrix product whose columns are the
// taps, and the sum of what belongs together.

import Basics
import GraphIR
import KernelTable
import Operators

/// Whether source pixels have enough channels for a product, and the target one.
func collectPays(from source: BoundTensor, to target: BoundTensor) -> Bool {
  source.shape[3] >= 16 && target.shape[3] == 1
}

/// A convolution to one channel, or backward its adjoint: filter [kh, kw, source channels] either way.
func bindCollected(
  _ node: NodeBinding, _ convolution: ConvolutionArguments, source: BoundTensor,
  target: BoundTensor, backward: Bool, _ epilogue: UnsafePointer<RegionArguments>?
) {
  let unit = node.table.unit
  let filter = node.operands[1]
  let channels = source.shape[3]
  let taps = convolution.kernelHeight * convolution.kernelWidth
  let pixels = source.shape[0] * source.shape[1] * source.shape[2]

  // The filter's rows are the columns of the product.
  var pack = PackArguments()
  pack.k = channels
  pack.n = taps
  pack.strideK = 1
  pack.strideN = channels
  let contributions = node.context.temporary(floats: pixels * taps)
  var product = MatmulArguments()
  product.a = UnsafePointer(source.floats)
  product.packed = packed(node, filter, pack)
  product.c = contributions
  product.m = pixels
  product.n = taps
  product.k = channels
  product.lda = channels
  node.context.launch(
    "matmul", node.table.matmul, product, tasks: product.tasks(unit),
    scratch: product.scratchBytes(unit))

  var collect = CollectArguments()
  collect.contributions = UnsafePointer(contributions)
  collect.target = target.floats
  collect.epilogue = epilogue
  collect.backward = backward
  collect.batch = convolution.batch
  (collect.sourceHeight, collect.sourceWidth) = (source.shape[1], source.shape[2])
  (collect.targetHeight, collect.targetWidth) = (target.shape[1], target.shape[2])
  collect.channels = 1
  (collect.kernelHeight, collect.kernelWidth) = (
    convolution.kernelHeight, convolution.kernelWidth
  )
  (collect.strideHeight, collect.strideWidth) = (
    convolution.strideHeight, convolution.strideWidth
  )
  (collect.top, collect.left) = (convolution.top, convolution.left)
  node.context.launch(
    "collect", node.table.collect, collect, tasks: collect.tasks, scratch: collect.scratchBytes())
}
