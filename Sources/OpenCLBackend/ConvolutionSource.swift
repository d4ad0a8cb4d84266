// Convolutions and their gradients as products of the patches that windows read with the filter; directly, or in
// Winograd's form where the node asks for it.

import Basics
import GraphIR
import Operators

/// The sizes of a convolution; types were inferred, so that they exist.
private func geometry(
  _ operation: some ConvolutionOperation, _ node: NodeLowering
) throws(EnvironmentFailure) -> ConvolutionGeometry {
  do throws(Diagnostic) {
    return try operation.geometry(node.operands.map(\.type))
  } catch {
    throw node.unsupported(error.message)
  }
}

// MARK: Forward

/// y[(n, oy, ox), o] = Σ (ky, kx, i)  patch · w
let emitConv2D: RootEmitter = { (node, epilogue) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Conv2D else { return }
  let sizes = try geometry(operation, node)
  if emitWinograd(node, sizes, operation.method, .forward, epilogue) { return }
  let patches = Patches(
    height: sizes.height.reading(upsample: sizes.upsample[0]),
    width: sizes.width.reading(upsample: sizes.upsample[1]), channels: sizes.inputChannels)
  emitProduct(
    node,
    Product(
      a: pixelsByTerms(node.operands[0], patches, sizes.batch),
      b: ProductOperand(
        buffer: node.operands[1].buffer,
        layout: .matrix(outer: 1, depth: sizes.outputChannels), outer: sizes.outputChannels,
        depth: patches.terms)), epilogue)
}

/// The rows of a product are pixels, its depth the terms of their patches.
private func pixelsByTerms(
  _ image: DeviceTensor, _ patches: Patches, _ batch: Int
) -> ProductOperand {
  ProductOperand(
    buffer: image.buffer, layout: .patches(patches, pixelsAreOuter: true),
    outer: batch * patches.pixelsOfImage, depth: patches.terms)
}

extension WindowAxis {
  /// The windows of the convolution itself; repeated pixels are read where they stand once.
  fileprivate func reading(upsample: Int) -> WindowReading {
    WindowReading(
      positions: output, step: stride, before: before, taps: kernel, divisor: upsample,
      size: input / upsample)
  }

  /// The windows of the input gradient over dy, with taps backwards: input pixel i and tap u meet output
  /// (i + before − (kernel − 1) + u) / stride, where it divides.
  fileprivate var adjointReading: WindowReading {
    WindowReading(
      positions: input, step: 1, before: kernel - 1 - before, taps: kernel, divisor: stride,
      isExact: true, size: output)
  }
}

// MARK: Input gradient

let emitConv2DInputGradient: RootEmitter = { (node, epilogue) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Conv2DInputGradient else { return }
  let sizes = try geometry(operation, node)
  if emitWinograd(node, sizes, operation.method, .inputGradient, epilogue) { return }
  guard sizes.upsample == [1, 1] else {
    return try emitSummedInputGradient(node, operation, sizes, epilogue)
  }
  let phases = inputGradientPhases(sizes)
  for y in phases.height {
    for x in phases.width { emitPhase(node, sizes, y, x, epilogue) }
  }
}

/// Pixels of the image that meet the same taps: those from `offset` on, `step` apart.
private struct GradientPhase {
  var reading: WindowReading
  var offset: Int
  var step: Int
  /// Real tap of tap u: first + by·u.
  var first: Int
  var by: Int
}

/// Without the multiplications by zeros between the pixels of dy, where strides are small and every phase has taps; else
/// one phase that asks every tap.
private func inputGradientPhases(
  _ sizes: ConvolutionGeometry
) -> (height: [GradientPhase], width: [GradientPhase]) {
  let (height, width) = (phases(sizes.height), phases(sizes.width))
  return (height ?? [wholePhase(sizes.height)], width ?? [wholePhase(sizes.width)])
}

private func wholePhase(_ axis: WindowAxis) -> GradientPhase {
  GradientPhase(reading: axis.adjointReading, offset: 0, step: 1, first: axis.kernel - 1, by: -1)
}

/// Pixel i·stride + a meets the taps r + stride·j, r = (a + before) mod stride, at output i + (a + before − r) / stride − j.
private func phases(_ axis: WindowAxis) -> [GradientPhase]? {
  let stride = axis.stride
  guard stride <= 3, axis.kernel >= stride else { return nil }
  return (0..<min(stride, axis.input)).map { a in
    let r = (a + axis.before) % stride
    let taps = (axis.kernel - r + stride - 1) / stride
    return GradientPhase(
      reading: WindowReading(
        positions: (axis.input - a + stride - 1) / stride, step: 1,
        before: taps - 1 - (a + axis.before - r) / stride, taps: taps, size: axis.output),
      offset: a, step: stride, first: r + stride * (taps - 1), by: -stride)
  }
}

/// dx[(n, iy, ix), i] = Σ (u, v, o)  patch of dy · w[ky(u), kx(v), i, o]
private func emitPhase(
  _ node: NodeLowering, _ sizes: ConvolutionGeometry, _ y: GradientPhase, _ x: GradientPhase,
  _ epilogue: RegionCode?
) {
  let patches = Patches(
    height: y.reading, width: x.reading, channels: sizes.outputChannels)
  let (inputs, outputs) = (sizes.inputChannels, sizes.outputChannels)
  let filter = FilterTaps(
    y0: y.first, ys: y.by, x0: x.first, xs: x.by, across: x.reading.taps,
    kernelWidth: sizes.width.kernel, channels: outputs, channelStride: 1, outerStride: outputs,
    tapStride: inputs * outputs)
  let isWhole = y.step == 1 && x.step == 1
  emitProduct(
    node,
    Product(
      a: pixelsByTerms(node.operands[0], patches, sizes.batch),
      b: ProductOperand(
        buffer: node.operands[1].buffer, layout: .taps(filter), outer: inputs,
        depth: patches.terms),
      target: isWhole
        ? .rows
        : .pixels(
          positions: [y.reading.positions, x.reading.positions], step: [y.step, x.step],
          offset: [y.offset, x.offset], size: [sizes.height.input, sizes.width.input])), epilogue)
}

/// The input gradient of an up-sampled image: that of the repeated image, then the sums over repetitions, then what
/// follows.
private func emitSummedInputGradient(
  _ node: NodeLowering, _ operation: Conv2DInputGradient, _ sizes: ConvolutionGeometry,
  _ epilogue: RegionCode?
) throws(EnvironmentFailure) {
  let shape = [sizes.batch, sizes.height.input, sizes.width.input, sizes.inputChannels]
  let large = node.temporary(.f32(shape))
  var whole = operation
  whole.upsample = [1, 1]
  whole.inputSize = [shape[1], shape[2]]
  try emitConv2DInputGradient(node.with(whole, node.operands, [large]), nil)
  emitRepetitionSums(node, large, sizes, ProductStore(node, epilogue))
}

private func emitRepetitionSums(
  _ node: NodeLowering, _ large: DeviceTensor, _ sizes: ConvolutionGeometry, _ store: ProductStore
) {
  let shape = sizes.inputShape
  let count = shape.reduce(1, *)
  let channels = shape[3]
  let width = store.width(upTo: node.traits.vectorWidth, count: channels)
  let (down, across) = (sizes.upsample[0], sizes.upsample[1])
  var kernel = node.itemKernel("repetition_sum", count: count / width)
  let from = kernel.input(large)
  kernel.line("const uint flat = i * \(width)u;")
  kernel.line("const uint pixel = flat / \(channels)u;")
  kernel.line("const uint column = pixel % \(shape[2])u * \(across)u;")
  kernel.line("const uint row = pixel / \(shape[2])u * \(down)u;")
  kernel.line("\(cType(.f32, width)) sum = 0.0f;")
  kernel.block("for (uint r = 0; r < \(down)u; r++)") { kernel in
    kernel.block("for (uint c = 0; c < \(across)u; c++)") { kernel in
      kernel.line(
        "const uint at = ((row + r) * \(sizes.width.input)u + column + c) * \(channels)u"
          + " + flat % \(channels)u;")
      kernel.line("sum += \(ElementAccess.vector(from, "at", width));")
    }
  }
  store.write(into: &kernel, "sum", at: ElementPlace(flat: "flat", column: nil), width: width)
  node.each(count / width, kernel)
}

// MARK: Filter gradient

/// dw[(ky, kx, i), o] = Σ pixels of dy  patch of x · dy; or, for one output channel, whose products would be one column
/// wide, dw[(ky, kx), i] = Σ pixels of x  patch of dy · x with taps backwards.
let emitConv2DFilterGradient: RootEmitter = { (node, epilogue) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Conv2DFilterGradient else { return }
  let sizes = try geometry(operation, node)
  if emitWinogradFilterGradient(node, sizes, operation.method, epilogue) { return }
  let (inputs, outputs) = (sizes.inputChannels, sizes.outputChannels)
  if outputs == 1, inputs > 1, sizes.upsample == [1, 1] {
    let patches = Patches(
      height: sizes.height.adjointReading, width: sizes.width.adjointReading, channels: 1)
    let pixels = sizes.batch * patches.pixelsOfImage
    return emitProduct(
      node,
      Product(
        a: termsByPixels(node.operands[1], patches, sizes.batch),
        b: pixelsByChannels(node.operands[0], pixels, inputs), target: .backwards), epilogue)
  }
  let patches = Patches(
    height: sizes.height.reading(upsample: sizes.upsample[0]),
    width: sizes.width.reading(upsample: sizes.upsample[1]), channels: inputs)
  let pixels = sizes.batch * patches.pixelsOfImage
  emitProduct(
    node,
    Product(
      a: termsByPixels(node.operands[0], patches, sizes.batch),
      b: pixelsByChannels(node.operands[1], pixels, outputs)), epilogue)
}

private func termsByPixels(
  _ image: DeviceTensor, _ patches: Patches, _ batch: Int
) -> ProductOperand {
  ProductOperand(
    buffer: image.buffer, layout: .patches(patches, pixelsAreOuter: false),
    outer: patches.terms, depth: batch * patches.pixelsOfImage)
}

private func pixelsByChannels(
  _ image: DeviceTensor, _ pixels: Int, _ channels: Int
) -> ProductOperand {
  ProductOperand(
    buffer: image.buffer, layout: .matrix(outer: 1, depth: channels), outer: channels,
    depth: pixels)
}
