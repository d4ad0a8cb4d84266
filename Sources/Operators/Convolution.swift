// Convolution and its two gradients: a family closed under differentiation, the gradient of each is written with
// the other two. The input gradient is also the transposed convolution forward.
// Comes in: images [n, h, w, in], kernels [kh, kw, in, out], output gradients [n, oh, ow, out], all f32.

import Basics
import GraphIR

/// y[n, oy, ox, o] = Σ ky, kx, i  x[n, oy·sh − top + ky, ox·sw − left + kx, i] · w[ky, kx, i, o]; zero outside the image.
package struct Conv2D: ConvolutionOperation {
  package static let mnemonic = "conv2d"
  package static let summary = "Two-dimensional convolution of NHWC images."
  package static let signature = [OperandSpec("x"), OperandSpec("w")]

  /// [h, w]
  package var stride = [1, 1]
  /// [top, bottom, left, right]
  package var padding = [0, 0, 0, 0]
  package var upsample = [1, 1]
  package var method = ConvolutionMethod.direct

  package var direction: WinogradForm.Direction { .forward }
  package init() {}
  package init(stride: [Int], padding: [Int]) {
    self.stride = stride
    self.padding = padding
  }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitWindow(&visitor)
    try visitor.attribute("method", &method, default: .direct)
  }

  /// All sizes; operands are x, w.
  package func geometry(_ operands: [TensorType]) throws(Diagnostic) -> ConvolutionGeometry {
    try checkArity(operands)
    let (x, w) = (operands[0], operands[1])
    try checkImage(x)
    try checkImage(w, "[kh, kw, in, out]")
    guard x.shape[3] == w.shape[2] else {
      throw Diagnostic(
        "shape.mismatch",
        "the image \(x) has \(x.shape[3]) channels, the kernel \(w) expects \(w.shape[2])")
    }
    return try ConvolutionGeometry(
      batch: x.shape[0], input: [x.shape[1], x.shape[2]], kernel: [w.shape[0], w.shape[1]],
      channels: (x.shape[3], w.shape[3]), stride: stride, padding: padding, upsample: upsample)
  }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    [.f32(try geometry(operands).outputShape)]
  }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] { [[0]] }
  package func rowUse(_ operands: [TensorType]) -> RowUse { .each([0]) }

  // y = x ∗ w:  x̄ = input gradient of (ȳ, w),  w̄ = filter gradient of (x, ȳ)
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    let sizes = try geometry([scope.type(ofOperand: 0), scope.type(ofOperand: 1)])
    if scope.needs(0) {
      let adjoint = try scope.builder.conv2DInputGradient(
        scope.seed, scope.operands[1], stride: stride, padding: padding,
        inputSize: [sizes.inputShape[1], sizes.inputShape[2]], upsample: upsample)
      scope.setAdjoint(of: 0, adjoint)
    }
    if scope.needs(1) {
      let adjoint = try scope.builder.conv2DFilterGradient(
        scope.operands[0], scope.seed, stride: stride, padding: padding,
        kernelSize: [sizes.height.kernel, sizes.width.kernel], upsample: upsample)
      scope.setAdjoint(of: 1, adjoint)
    }
  }

  // y[p, o] += x[q, i] · w[k, i, o] over all positions p, q that the kernel position k connects
  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    guard let sizes = try? geometry(operands.map(\.type)) else { return [] }
    let (rows, columns) = (sizes.inputChannels, sizes.outputChannels)
    var y = HostTensor(results[0])
    withBuffers(operands[0], operands[1], &y) { x, w, y in
      sizes.forEachTap { input, kernel, output in
        addProduct(
          x + input * rows, w + kernel * rows * columns, to: y + output * columns, rows: rows,
          columns: columns)
      }
    }
    return [y]
  }
}

/// The adjoint of `conv2d` in its image: dx[n, oy·sh − top + ky, ox·sw − left + kx, i] += dy[n, oy, ox, o] · w[ky, kx, i, o].
/// As a layer, this is the transposed convolution of dy; positions that no window reached are zero.
package struct Conv2DInputGradient: ConvolutionOperation {
  package static let mnemonic = "conv2d_input_gradient"
  package static let summary =
    "Gradient of a convolution with respect to its image; the transposed convolution."
  package static let signature = [OperandSpec("dy"), OperandSpec("w")]

  /// [h, w], [top, bottom, left, right] of the convolution, and the [h, w] of its image.
  package var stride = [1, 1]
  package var padding = [0, 0, 0, 0]
  package var upsample = [1, 1]
  package var inputSize = [1, 1]
  package var method = ConvolutionMethod.direct

  package var direction: WinogradForm.Direction { .inputGradient }
  package init() {}
  package init(stride: [Int], padding: [Int], inputSize: [Int]) {
    self.stride = stride
    self.padding = padding
    self.inputSize = inputSize
  }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitWindow(&visitor)
    try visitor.attribute("inputSize", &inputSize)
    try visitor.attribute("method", &method, default: .direct)
  }

  /// The sizes of the convolution whose gradient this is; operands are dy, w.
  package func geometry(_ operands: [TensorType]) throws(Diagnostic) -> ConvolutionGeometry {
    try checkArity(operands)
    let (dy, w) = (operands[0], operands[1])
    try checkImage(dy, "[n, oh, ow, out]")
    try checkImage(w, "[kh, kw, in, out]")
    let sizes = try ConvolutionGeometry(
      batch: dy.shape[0], input: inputSize, kernel: [w.shape[0], w.shape[1]],
      channels: (w.shape[2], w.shape[3]), stride: stride, padding: padding, upsample: upsample)
    try sizes.expectOutput(dy, of: Self.mnemonic)
    return sizes
  }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    [.f32(try geometry(operands).inputShape)]
  }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] { [[0]] }
  package func rowUse(_ operands: [TensorType]) -> RowUse { .each([0]) }

  // x = Aᵀ(y, w), linear in both:  ȳ = x̄ ∗ w,  w̄ = filter gradient of (x̄, y)
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    let kernel = scope.type(ofOperand: 1).shape
    if scope.needs(0) {
      let adjoint = try scope.builder.conv2D(
        scope.seed, scope.operands[1], stride: stride, padding: padding, upsample: upsample)
      scope.setAdjoint(of: 0, adjoint)
    }
    if scope.needs(1) {
      let adjoint = try scope.builder.conv2DFilterGradient(
        scope.seed, scope.operands[0], stride: stride, padding: padding,
        kernelSize: [kernel[0], kernel[1]], upsample: upsample)
      scope.setAdjoint(of: 1, adjoint)
    }
  }

  // dx[q, i] += Σ o  dy[p, o] · w[k, i, o], the kernel transposed to [k, o, i]
  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    guard let sizes = try? geometry(operands.map(\.type)) else { return [] }
    let (rows, columns) = (sizes.outputChannels, sizes.inputChannels)
    let shape = operands[1].type.shape
    let swapped = operands[1].type.with(shape: [shape[0], shape[1], shape[3], shape[2]])
    let kernel = Transpose([0, 1, 3, 2]).evaluate([operands[1]], results: [swapped])[0]
    var dx = HostTensor(results[0])
    withBuffers(operands[0], kernel, &dx) { dy, w, dx in
      sizes.forEachTap { input, kernel, output in
        addProduct(
          dy + output * rows, w + kernel * rows * columns, to: dx + input * columns, rows: rows,
          columns: columns)
      }
    }
    return [dx]
  }
}

/// The adjoint of `conv2d` in its kernel: dw[ky, kx, i, o] = Σ n, oy, ox  x[n, oy·sh − top + ky, ox·sw − left + kx, i] ·
/// dy[n, oy, ox, o].
package struct Conv2DFilterGradient: ConvolutionOperation {
  package static let mnemonic = "conv2d_filter_gradient"
  package static let summary = "Gradient of a convolution with respect to its kernel."
  package static let signature = [OperandSpec("x"), OperandSpec("dy")]

  /// [h, w], [top, bottom, left, right] of the convolution, and the [kh, kw] of its kernel.
  package var stride = [1, 1]
  package var padding = [0, 0, 0, 0]
  package var upsample = [1, 1]
  package var kernelSize = [1, 1]
  package var method = ConvolutionMethod.direct

  package var direction: WinogradForm.Direction { .filterGradient }
  package init() {}
  package init(stride: [Int], padding: [Int], kernelSize: [Int]) {
    self.stride = stride
    self.padding = padding
    self.kernelSize = kernelSize
  }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitWindow(&visitor)
    try visitor.attribute("kernelSize", &kernelSize)
    try visitor.attribute("method", &method, default: .direct)
  }

  /// The sizes of the convolution whose gradient this is; operands are x, dy.
  package func geometry(_ operands: [TensorType]) throws(Diagnostic) -> ConvolutionGeometry {
    try checkArity(operands)
    let (x, dy) = (operands[0], operands[1])
    try checkImage(x)
    try checkImage(dy, "[n, oh, ow, out]")
    let sizes = try ConvolutionGeometry(
      batch: x.shape[0], input: [x.shape[1], x.shape[2]], kernel: kernelSize,
      channels: (x.shape[3], dy.shape[3]), stride: stride, padding: padding, upsample: upsample)
    try sizes.expectOutput(dy, of: Self.mnemonic)
    return sizes
  }

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    [.f32(try geometry(operands).kernelShape)]
  }

  package func rowUse(_ operands: [TensorType]) -> RowUse { .summed([0, 1]) }

  // w = F(x, y), linear in both:  x̄ = input gradient of (y, w̄),  ȳ = x ∗ w̄
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    let image = scope.type(ofOperand: 0).shape
    if scope.needs(0) {
      let adjoint = try scope.builder.conv2DInputGradient(
        scope.operands[1], scope.seed, stride: stride, padding: padding,
        inputSize: [image[1], image[2]], upsample: upsample)
      scope.setAdjoint(of: 0, adjoint)
    }
    if scope.needs(1) {
      let adjoint = try scope.builder.conv2D(
        scope.operands[0], scope.seed, stride: stride, padding: padding, upsample: upsample)
      scope.setAdjoint(of: 1, adjoint)
    }
  }

  // dw[k, i, o] += x[q, i] · dy[p, o]
  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    guard let sizes = try? geometry(operands.map(\.type)) else { return [] }
    let (rows, columns) = (sizes.inputChannels, sizes.outputChannels)
    var dw = HostTensor(results[0])
    withBuffers(operands[0], operands[1], &dw) { x, dy, dw in
      sizes.forEachTap { input, kernel, output in
        let dy = dy + output * columns
        for i in 0..<rows {
          let value = x[input * rows + i]
          let dw = dw + (kernel * rows + i) * columns
          for o in 0..<columns { dw[o] += value * dy[o] }
        }
      }
    }
    return [dw]
  }
}

/// What a convolution and its gradients share.
package protocol ConvolutionOperation: Operation {
  /// [h, w] and [top, bottom, left, right] of the convolution.
  var stride: [Int] { get set }
  var padding: [Int] { get set }
  /// [h, w]: the convolution is of the image with its pixels repeated so often (an up-sampling by the nearest
  /// pixel, which `fold-upsampling` puts here); the image's gradient sums over the repetitions.
  var upsample: [Int] { get set }
  /// How kernels should compute it; `choose-convolutions` decides.
  var method: ConvolutionMethod { get set }
  /// Which of the three it is.
  var direction: WinogradForm.Direction { get }
  /// The sizes of the convolution, or of the one whose gradient this is.
  func geometry(_ operands: [TensorType]) throws(Diagnostic) -> ConvolutionGeometry
}

extension ConvolutionOperation {
  /// The same of an image whose pixels are repeated.
  package func upsampling(_ factor: [Int]) -> Self {
    var copy = self
    copy.upsample = factor
    return copy
  }

  mutating func visitWindow(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("stride", &stride, default: [1, 1])
    try visitor.attribute("padding", &padding, default: [0, 0, 0, 0])
    try visitor.attribute("upsample", &upsample, default: [1, 1])
  }

  /// Two operations a multiply-add; in Winograd's form those of the products in its domain.
  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    let sizes = try? geometry(operands)
    let form = sizes.flatMap { method.form($0, direction) }
    let multiplyAdds = form?.executedMultiplyAdds ?? sizes?.multiplyAdds ?? 0
    return Cost(flops: 2 * multiplyAdds, bytes: Cost.traffic(operands, results))
  }
}

// MARK: The meaning's inner loops

private typealias Reals = UnsafePointer<Double>

private func withBuffers(
  _ a: HostTensor, _ b: HostTensor, _ result: inout HostTensor,
  _ body: (Reals, Reals, UnsafeMutablePointer<Double>) -> Void
) {
  a.values.withUnsafeBufferPointer { a in
    b.values.withUnsafeBufferPointer { b in
      result.values.withUnsafeMutableBufferPointer { result in
        guard let a = a.baseAddress, let b = b.baseAddress, let result = result.baseAddress else {
          return
        }
        body(a, b, result)
      }
    }
  }
}

/// sum[c] += Σ r  vector[r] · matrix[r, c]; four rows at a time, so that sums are loaded and stored less often.
private func addProduct(
  _ vector: Reals, _ matrix: Reals, to sum: UnsafeMutablePointer<Double>, rows: Int, columns: Int
) {
  var r = 0
  while r + 4 <= rows {
    let (v0, v1, v2, v3) = (vector[r], vector[r + 1], vector[r + 2], vector[r + 3])
    let m0 = matrix + r * columns
    let (m1, m2, m3) = (m0 + columns, m0 + 2 * columns, m0 + 3 * columns)
    var c = 0
    while c < columns {
      sum[c] += (v0 * m0[c] + v1 * m1[c]) + (v2 * m2[c] + v3 * m3[c])
      c += 1
    }
    r += 4
  }
  while r < rows {
    let (value, row) = (vector[r], matrix + r * columns)
    var c = 0
    while c < columns {
      sum[c] += value * row[c]
      c += 1
    }
    r += 1
  }
}

extension ConvolutionGeometry {
  /// Throws `shape.mismatch` unless `dy` has the convolution's output shape.
  func expectOutput(_ dy: TensorType, of operation: String) throws(Diagnostic) {
    guard dy.shape == outputShape else {
      throw Diagnostic(
        "shape.mismatch",
        "\(operation): an image of \(shapeText(inputShape)) and a kernel of "
          + "\(shapeText(kernelShape)) give \(shapeText(outputShape)), found \(dy)")
    }
  }
}
