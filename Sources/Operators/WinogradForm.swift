// How a convolution is written as a stride-1 convolution of pixels in groups, and computed with Winograd's minimal
// filtering: what backends and the cost model share. No backend is named here.
//
// One axis. Every convolution of the family is, in virtual pixels,
//
//   y[i] = Σ u < taps  x[i + u − before] · W[u]
//
// where a real axis of `step` 2 holds two virtual pixels' groups interleaved: virtual pixel i of group g is the
// real pixel step·i + g, and groups count as channels. A convolution of stride 2 groups its image, one after an
// up-sampling by 2 groups its output. Which real tap U of the kernel goes to which virtual tap u differs by group:
// `place[g][U]`; several real taps may meet in one virtual tap (the phases of an up-sampled image), some virtual
// taps have none (zeros).
//
// Winograd's F(m, r) with six points 0, 1, −1, 1/2, −2, ∞ computes m = 7 − r outputs of r taps with 6
// multiplications (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015; the construction by
// points is Toom and Cook's). The error in single precision is near 3·10⁻⁶ of the output's standard deviation.

import Basics
import GraphIR

/// One axis of a convolution as a stride-1 convolution of groups.
package struct GroupedAxis: Hashable, Sendable {
  /// The step of the image's and of the output's axis: 1, or 2 for one of them.
  package var imageStep: Int
  package var outputStep: Int
  /// Virtual taps, and where the first one lies before a pixel.
  package var taps: Int
  package var before: Int
  /// place[group][real tap]: the virtual tap, or nil where the group has none of this tap.
  package var place: [[Int?]]

  /// nil for strides and factors other than 1 and 2, and for both at once.
  package init?(_ axis: WindowAxis, upsample: Int) {
    let kernel = axis.kernel
    switch (axis.stride, upsample) {
    case (1, 1):
      (imageStep, outputStep, taps, before) = (1, 1, kernel, axis.before)
      place = [(0..<kernel).map { $0 }]
    case (2, 1):
      // Real tap U of output i lies at 2i − top + U = 2(i + u − before) + g.
      let shift = axis.before % 2
      before = (axis.before + shift) / 2
      (imageStep, outputStep, taps) = (2, 1, (kernel - 1 + shift) / 2 + 1)
      place = (0..<2).map { group in
        (0..<kernel).map { ($0 + shift) % 2 == group ? ($0 + shift) / 2 : nil }
      }
    case (1, 2):
      // Real tap U of output 2i + g lies at ⌊(2i + g − top + U) / 2⌋ of the small image.
      let first = (axis.before + 1) / 2
      (imageStep, outputStep, before) = (1, 2, first)
      let places = (0..<2).map { group in
        (0..<kernel).map { (group + $0 - axis.before + 2 * first) / 2 }
      }
      taps = places[1][kernel - 1] + 1
      place = places
    default: return nil
    }
  }

  /// The same axis seen from the output: the input gradient, whose image is dy.
  package func adjoint(taps common: Int) -> GroupedAxis {
    var axis = self
    (axis.imageStep, axis.outputStep) = (outputStep, imageStep)
    axis.taps = common
    axis.before = common - 1 - before
    axis.place = place.map { $0.map { $0.map { common - 1 - $0 } } }
    return axis
  }
}

/// A convolution, its input gradient or its filter gradient in Winograd's form.
package struct WinogradForm: Hashable, Sendable {
  /// Multiplications of one axis of a tile.
  package static let points = 6
  private static let finitePoints: [Double] = [0, 1, -1, 0.5, -2]

  package var height: GroupedAxis
  package var width: GroupedAxis
  /// Virtual taps of both axes, 2 to 5, and outputs of a tile along an axis: 7 − taps.
  package var taps: Int
  package var tile: Int { 7 - taps }
  /// Channels of the reduction and of the result, groups included.
  package var depth: Int
  package var columns: Int
  /// Virtual rows and columns of pixels of the result (of dy in the filter gradient).
  package var extent: [Int]
  private var batch: Int
  private var multiplyAdds: Double

  /// Tiles that cover the virtual pixels of the whole batch.
  package var tiles: Int { batch * tileRows * tileColumns }
  package var tileRows: Int { (extent[0] + tile - 1) / tile }
  package var tileColumns: Int { (extent[1] + tile - 1) / tile }

  package enum Direction: Hashable, Sendable {
    case forward, inputGradient, filterGradient
    /// The input gradient by the adjoints of the forward's transforms: over tiles of dy in place of tiles of the
    /// image, which is less where the convolution has no padding.
    case adjointInputGradient
  }

  /// nil where the form does not exist: unequal axes, strides or factors beyond 2, fewer than 2 or more than 5
  /// virtual taps, channels that do not fill vectors.
  package init?(_ sizes: ConvolutionGeometry, _ direction: Direction) {
    guard sizes.inputChannels % 16 == 0, sizes.outputChannels % 16 == 0, sizes.batch > 0,
      let height = GroupedAxis(sizes.height, upsample: sizes.upsample[0]),
      let width = GroupedAxis(sizes.width, upsample: sizes.upsample[1]),
      height.imageStep == width.imageStep, height.outputStep == width.outputStep
    else { return nil }
    taps = max(height.taps, width.taps)
    guard (2...5).contains(taps) else { return nil }
    let image = sizes.inputShape
    let output = sizes.outputShape
    let imageGroups = height.imageStep * width.imageStep
    let outputGroups = height.outputStep * width.outputStep
    batch = sizes.batch
    multiplyAdds = sizes.multiplyAdds
    switch direction {
    case .forward, .filterGradient:
      (self.height, self.width) = (height, width)
      depth = imageGroups * sizes.inputChannels
      columns = outputGroups * sizes.outputChannels
      extent = [
        Self.divided(output[1], height.outputStep), Self.divided(output[2], width.outputStep),
      ]
    case .adjointInputGradient:
      (self.height, self.width) = (height, width)
      depth = outputGroups * sizes.outputChannels
      columns = imageGroups * sizes.inputChannels
      extent = [
        Self.divided(output[1], height.outputStep), Self.divided(output[2], width.outputStep),
      ]
    case .inputGradient:
      (self.height, self.width) = (height.adjoint(taps: taps), width.adjoint(taps: taps))
      depth = outputGroups * sizes.outputChannels
      columns = imageGroups * sizes.inputChannels
      extent = [
        Self.divided(image[1], height.imageStep), Self.divided(image[2], width.imageStep),
      ]
    }
  }

  private static func divided(_ a: Int, _ b: Int) -> Int { (a + b - 1) / b }

  /// Multiply-adds of the products in the transform domain.
  package var executedMultiplyAdds: Double {
    Double(Self.points * Self.points * tiles) * Double(depth) * Double(columns)
  }

  /// The expected work in multiply-adds: transforms of a tile cost about as much as 22 more columns or rows of the
  /// products (measured with AVX-512).
  package var cost: Double {
    let transforms = Double(Self.points * Self.points * tiles) * 22 * Double(depth + columns)
    return executedMultiplyAdds + transforms
  }

  /// Whether this form is expected to beat the direct one.
  package var isWorthwhile: Bool { cost < 0.9 * multiplyAdds }

  /// G[group][point][real tap] of an axis: W's transform is the sum over real taps, and the filter gradient's
  /// last transform is its transpose. p^u / Π (p − q) over the other finite points q; the last point takes the
  /// highest tap.
  package func filterMatrix(_ axis: GroupedAxis) -> [[[Double]]] {
    axis.place.map { places in
      (0..<Self.points).map { point in
        places.map { place in place.map { Self.weight(point, $0, taps) } ?? 0 }
      }
    }
  }

  private static func weight(_ point: Int, _ tap: Int, _ taps: Int) -> Double {
    guard point < finitePoints.count else { return tap == taps - 1 ? 1 : 0 }
    let p = finitePoints[point]
    let scale = finitePoints.enumerated().reduce(1.0) {
      $1.offset == point ? $0 : $0 * (p - $1.element)
    }
    return (0..<tap).reduce(1.0) { power, _ in power * p } / scale
  }
}

/// How a convolution is computed; the meaning is the same but for roundings.
package enum ConvolutionMethod: String, Hashable, Sendable, CaseIterable, AttributeConvertible {
  case direct, winograd
  /// Of input gradients only.
  case winogradAdjoint = "winograd_adjoint"

  package init?(attribute: AttributeValue) {
    guard let name = String(attribute: attribute) else { return nil }
    self.init(rawValue: name)
  }
  package var attribute: AttributeValue { .string(rawValue) }
}
