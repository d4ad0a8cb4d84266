// The convolutions' samples: one list of awkward geometries, from which each of the three takes its own operands.

import Basics
import GraphIR

extension ConvolutionGeometry {
  /// Small convolutions at the edges of what is allowed. Each line says what is awkward in it.
  static let samples: [(sizes: ConvolutionGeometry, stride: [Int], padding: [Int])] = {
    func make(
      _ n: Int, _ input: [Int], _ kernel: [Int], _ channels: (input: Int, output: Int),
      _ stride: [Int], _ padding: [Int], upsample: [Int] = [1, 1]
    ) -> (sizes: ConvolutionGeometry, stride: [Int], padding: [Int])? {
      let sizes = try? ConvolutionGeometry(
        batch: n, input: input, kernel: kernel, channels: channels, stride: stride,
        padding: padding, upsample: upsample)
      return sizes.map { ($0, stride, padding) }
    }
    return [
      // Plain.
      make(2, [4, 5], [3, 3], (2, 3), [1, 1], [0, 0, 0, 0]),
      // Batch 1, 1×1 everywhere.
      make(1, [1, 1], [1, 1], (1, 1), [1, 1], [0, 0, 0, 0]),
      // 1×1 kernel, many channels: a matrix product.
      make(2, [2, 3], [1, 1], (3, 17), [1, 1], [0, 0, 0, 0]),
      // `same` with stride 2 and an even size: asymmetric padding.
      make(1, [6, 6], [5, 5], (1, 3), [2, 2], [1, 2, 1, 2]),
      // Stride larger than the kernel: pixels that no window sees.
      make(2, [7, 6], [2, 1], (3, 2), [3, 4], [0, 0, 0, 0]),
      // A rest: (in + pad − k) % stride ≠ 0, so the input gradient ends in zeros.
      make(1, [8, 7], [3, 3], (2, 2), [3, 2], [1, 0, 0, 1]),
      // The kernel is larger than the image, and fits only with the padding.
      make(1, [2, 2], [5, 4], (1, 2), [1, 1], [2, 2, 2, 1]),
      // Padding larger than the kernel: outputs that see nothing but padding.
      make(1, [2, 3], [2, 2], (1, 1), [2, 1], [3, 0, 0, 3]),
      // Different strides and kernels on the axes, 17 channels in.
      make(1, [3, 5], [2, 3], (17, 1), [1, 2], [0, 1, 2, 0]),
      // Of an image up-sampled by 2: `same` padding, and factors that differ.
      make(2, [3, 2], [5, 5], (2, 3), [1, 1], [2, 2, 2, 2], upsample: [2, 2]),
      make(1, [2, 3], [3, 2], (1, 2), [2, 1], [1, 1, 0, 1], upsample: [3, 1]),
    ].compactMap { $0 }
  }()
}

extension Conv2D {
  package static var samples: [Sample<Conv2D>] {
    ConvolutionGeometry.samples.map { sizes, stride, padding in
      Sample(
        Conv2D(stride: stride, padding: padding).upsampling(sizes.upsample),
        [.f32(sizes.inputShape), .f32(sizes.kernelShape)])
    }
  }
}

extension Conv2DInputGradient {
  package static var samples: [Sample<Conv2DInputGradient>] {
    ConvolutionGeometry.samples.map { sizes, stride, padding in
      Sample(
        Conv2DInputGradient(
          stride: stride, padding: padding, inputSize: [sizes.inputShape[1], sizes.inputShape[2]]
        ).upsampling(sizes.upsample),
        [.f32(sizes.outputShape), .f32(sizes.kernelShape)])
    }
  }
}

extension Conv2DFilterGradient {
  package static var samples: [Sample<Conv2DFilterGradient>] {
    ConvolutionGeometry.samples.map { sizes, stride, padding in
      Sample(
        Conv2DFilterGradient(
          stride: stride, padding: padding, kernelSize: [sizes.height.kernel, sizes.width.kernel]
        ).upsampling(sizes.upsample),
        [.f32(sizes.inputShape), .f32(sizes.outputShape)])
    }
  }
}
