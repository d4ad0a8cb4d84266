// The sizes of a two-dimensional convolution, checked once: what comes in are strides, paddings and shapes
// from a program (or a hostile text), what goes out are numbers that later arithmetic cannot overflow. Pooling
// uses the same windows. Images are [n, h, w, c], kernels [kh, kw, in, out].

import Basics
import GraphIR

/// One axis of a convolution or pooling: output o reads inputs o·stride − before + j for j in 0..<kernel.
package struct WindowAxis: Hashable, Sendable {
  package var input: Int
  package var kernel: Int
  package var output: Int
  package var stride: Int
  package var before: Int
  package var after: Int

  /// No size, stride or padding may be larger: sums and products of two then fit an Int.
  package static let limit = Int(Int32.max)

  /// Throws `conv.stride`, `conv.padding` for values out of range and `conv.kernelTooLarge` where the kernel does not
  /// fit the padded input even once.
  package init(
    input: Int, kernel: Int, stride: Int, before: Int, after: Int
  ) throws(Diagnostic) {
    let limit = Self.limit
    guard stride >= 1, stride <= limit else {
      throw Diagnostic("conv.stride", "a stride must be at least 1, found \(stride)")
    }
    guard before >= 0, after >= 0, before <= limit, after <= limit else {
      throw Diagnostic(
        "conv.padding", "padding must not be negative or huge, found [\(before), \(after)]")
    }
    guard input >= 1, kernel >= 1, input <= limit, kernel <= limit else {
      throw Diagnostic(
        "shape.size", "sizes must be positive: an input of \(input), a window of \(kernel)")
    }
    let room = input + before + after
    guard room >= kernel else {
      throw Diagnostic(
        "conv.kernelTooLarge",
        "a window of \(kernel) does not fit into \(input) with a padding of \(before) before and "
          + "\(after) after",
        help: "use padding: same, or a smaller kernel")
    }
    self.input = input
    self.kernel = kernel
    self.stride = stride
    self.before = before
    self.after = after
    output = (room - kernel) / stride + 1
  }

  /// The padding of `same`: out = ⌈in/s⌉, p = max((out − 1)·s + k − in, 0), ⌊p/2⌋ before and the rest after.
  /// Sizes and strides must be in 1...`limit`.
  package static func same(input: Int, kernel: Int, stride: Int) -> (before: Int, after: Int) {
    let output = (input - 1) / stride + 1
    let padding = max((output - 1) * stride + kernel - input, 0)
    return (padding / 2, padding - padding / 2)
  }

  /// What a transposed convolution crops with `same`, so that its output is input·stride: ⌊(k − s)/2⌋ before and the
  /// rest of k − s after; nothing where k < s, where zeros fill up the end.
  package static func sameTransposed(kernel: Int, stride: Int) -> (before: Int, after: Int) {
    let crop = max(kernel - stride, 0)
    return (crop / 2, crop - crop / 2)
  }

  /// The output of a transposed convolution: (in − 1)·s + k less what is cropped. Throws where nothing is left, or where
  /// a number is out of range.
  package static func transposedOutput(
    input: Int, kernel: Int, stride: Int, before: Int, after: Int
  ) throws(Diagnostic) -> Int {
    let numbers = [input, kernel, stride, before, after]
    guard numbers.allSatisfy({ $0 >= 0 && $0 <= limit }), input > 0, kernel > 0, stride > 0 else {
      throw Diagnostic(
        "conv.padding", "sizes, strides and paddings must be positive and fit 31 bits")
    }
    let full = (input - 1) * stride + kernel
    guard full - before - after > 0 else {
      throw Diagnostic(
        "conv.padding",
        "cropping \(before) before and \(after) after leaves nothing of a transposed convolution's "
          + "output of \(full)")
    }
    return full - before - after
  }
}

/// Both axes of a convolution and its channels.
package struct ConvolutionGeometry: Hashable, Sendable {
  package var batch: Int
  package var height: WindowAxis
  package var width: WindowAxis
  /// [h, w]: the windows slide over an image whose pixels are repeated so often along each axis.
  package let upsample: [Int]
  /// Channels of the convolution's input and output. Equal for pooling.
  package var inputChannels: Int
  package var outputChannels: Int

  /// `stride` and `upsample` are [h, w] and `padding` is [top, bottom, left, right]; `input` is the image before it
  /// is repeated.
  package init(
    batch: Int, input: [Int], kernel: [Int], channels: (input: Int, output: Int),
    stride: [Int], padding: [Int], upsample: [Int] = [1, 1]
  ) throws(Diagnostic) {
    guard upsample.count == 2, upsample.allSatisfy({ $0 >= 1 && $0 <= WindowAxis.limit }),
      zip(input, upsample).allSatisfy({ $0 <= WindowAxis.limit / $1 })
    else {
      throw Diagnostic(
        "conv.upsample", "factors are [h, w], at least 1, found \(shapeText(upsample))")
    }
    guard stride.count == 2 else {
      throw Diagnostic("conv.stride", "a stride is [h, w], found \(shapeText(stride))")
    }
    guard padding.count == 4 else {
      throw Diagnostic(
        "conv.padding", "padding is [top, bottom, left, right], found \(shapeText(padding))")
    }
    guard input.count == 2, kernel.count == 2 else {
      throw Diagnostic(
        "conv.size",
        "sizes are [h, w], found \(shapeText(input)) and a window of \(shapeText(kernel))")
    }
    self.batch = batch
    self.upsample = upsample
    inputChannels = channels.input
    outputChannels = channels.output
    do {
      height = try WindowAxis(
        input: input[0] * upsample[0], kernel: kernel[0], stride: stride[0], before: padding[0],
        after: padding[1])
      width = try WindowAxis(
        input: input[1] * upsample[1], kernel: kernel[1], stride: stride[1], before: padding[2],
        after: padding[3])
    } catch {
      guard error.code == "conv.kernelTooLarge" else { throw error }
      throw Diagnostic(
        error.code,
        "a window of \(kernel[0])×\(kernel[1]) does not fit into an image of \(input[0])×\(input[1])"
          + " with padding \(shapeText(padding))",
        help: error.help)
    }
  }

  /// [n, h, w, in], before pixels are repeated.
  package var inputShape: [Int] {
    [batch, height.input / upsample[0], width.input / upsample[1], inputChannels]
  }
  /// [kh, kw, in, out]
  package var kernelShape: [Int] { [height.kernel, width.kernel, inputChannels, outputChannels] }
  /// [n, oh, ow, out]
  package var outputShape: [Int] { [batch, height.output, width.output, outputChannels] }

  /// Multiply-adds, those with padding included: n·oh·ow·kh·kw·in·out.
  package var multiplyAdds: Double {
    let positions = Double(batch) * Double(height.output) * Double(width.output)
    let taps = Double(height.kernel) * Double(width.kernel)
    return positions * taps * Double(inputChannels) * Double(outputChannels)
  }

  /// Calls `body` for every output position and every kernel position that falls inside the image, with flat positions
  /// (without channels) in the input, the kernel and the output. Order: n, oy, ox, ky, kx.
  func forEachTap(_ body: (_ input: Int, _ kernel: Int, _ output: Int) -> Void) {
    var output = 0
    let (inputHeight, inputWidth) = (height.input / upsample[0], width.input / upsample[1])
    for n in 0..<batch {
      for oy in 0..<height.output {
        let rows = height.range(oy)
        for ox in 0..<width.output {
          let columns = width.range(ox)
          for ky in rows {
            let iy = (oy * height.stride - height.before + ky) / upsample[0]
            let row = (n * inputHeight + iy) * inputWidth
            for kx in columns {
              let ix = (ox * width.stride - width.before + kx) / upsample[1]
              body(row + ix, ky * width.kernel + kx, output)
            }
          }
          output += 1
        }
      }
    }
  }
}

extension WindowAxis {
  /// The kernel positions of output `o` that fall inside the input.
  package func range(_ o: Int) -> Range<Int> {
    let start = o * stride - before
    let first = max(0, -start)
    return first..<max(first, min(kernel, input - start))
  }
}
