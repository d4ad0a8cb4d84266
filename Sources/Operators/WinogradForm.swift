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
// Winograd's F(m, r) computes m = n + 1 − r outputs of r taps with n multiplications, one for each of n points
// (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015; the construction by points is Toom and
// Cook's). More points make fewer multiplications an output, and larger roundings: in single precision, of the
// output's standard deviation, near 2·10⁻⁶ with 6 points, 5·10⁻⁶ with 7, and 6·10⁻⁶ with 8, where the plain sum has
// 1.5·10⁻⁶ (256 channels of normal numbers, 3 to 5 taps).

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
  /// n, multiplications of one axis of a tile: 6 to 8.
  package var points: Int
  /// All points but the last, which is ∞.
  package static func finitePoints(_ points: Int) -> [Double] {
    points == 6 ? [0, 1, -1, 0.5, -2] : [0, 1, -1, 2, -2, 0.5, -0.5].dropLast(8 - points)
  }

  package var height: GroupedAxis
  package var width: GroupedAxis
  /// Virtual taps of both axes, 2 to 5, and outputs of a tile along an axis: points + 1 − taps, 2 to 6.
  package var taps: Int
  package var tile: Int { points + 1 - taps }
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
  /// virtual taps (2 with 8 points neither), channels that do not fill vectors.
  package init?(_ sizes: ConvolutionGeometry, _ direction: Direction, points: Int) {
    self.points = points
    guard (6...8).contains(points), sizes.inputChannels % 16 == 0, sizes.outputChannels % 16 == 0,
      sizes.batch > 0,
      let height = GroupedAxis(sizes.height, upsample: sizes.upsample[0]),
      let width = GroupedAxis(sizes.width, upsample: sizes.upsample[1]),
      height.imageStep == width.imageStep, height.outputStep == width.outputStep
    else { return nil }
    taps = max(height.taps, width.taps)
    guard (2...5).contains(taps), points + 1 - taps <= 6 else { return nil }
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
    Double(points * points * tiles) * Double(depth) * Double(columns)
  }

  /// The expected work in multiply-adds: transforms of a tile cost about as much as 22 more columns or rows of the
  /// products (measured with AVX-512).
  package var cost: Double {
    let transforms = Double(points * points * tiles) * 22 * Double(depth + columns)
    return executedMultiplyAdds + transforms
  }

  /// Whether this form is expected to beat the direct one.
  package var isWorthwhile: Bool { cost < 0.9 * multiplyAdds }

  /// G[group][point][real tap] of an axis: W's transform is the sum over real taps, and the filter gradient's
  /// last transform is its transpose. p^u / Π (p − q) over the other finite points q; the last point takes the
  /// highest tap.
  package func filterMatrix(_ axis: GroupedAxis) -> [[[Double]]] {
    axis.place.map { places in
      (0..<points).map { point in
        places.map { place in place.map { weight(point, $0) } ?? 0 }
      }
    }
  }

  private func weight(_ point: Int, _ tap: Int) -> Double {
    let finitePoints = Self.finitePoints(points)
    guard point < finitePoints.count else { return tap == taps - 1 ? 1 : 0 }
    let p = finitePoints[point]
    let scale = finitePoints.enumerated().reduce(1.0) {
      $1.offset == point ? $0 : $0 * (p - $1.element)
    }
    return (0..<tap).reduce(1.0) { power, _ in power * p } / scale
  }
}

/// How a convolution is computed; the meaning is the same but for roundings.
package enum ConvolutionMethod: Hashable, Sendable, AttributeConvertible {
  case direct
  case winograd(points: Int)
  /// Of input gradients only.
  case winogradAdjoint(points: Int)

  /// `"direct"`, or a name and the points, such as `"winograd8"`.
  package init?(attribute: AttributeValue) {
    guard let text = String(attribute: attribute) else { return nil }
    if text == "direct" {
      self = .direct
      return
    }
    guard let last = text.last, let points = last.wholeNumberValue, (6...8).contains(points) else {
      return nil
    }
    switch text.dropLast() {
    case "winograd": self = .winograd(points: points)
    case "winograd_adjoint": self = .winogradAdjoint(points: points)
    default: return nil
    }
  }

  package var attribute: AttributeValue {
    switch self {
    case .direct: .string("direct")
    case .winograd(let points): .string("winograd\(points)")
    case .winogradAdjoint(let points): .string("winograd_adjoint\(points)")
    }
  }

  /// The form of a convolution of these sizes; nil for the direct method, and where it does not exist.
  package func form(
    _ sizes: ConvolutionGeometry, _ direction: WinogradForm.Direction
  ) -> WinogradForm? {
    switch self {
    case .direct: nil
    case .winograd(let points): WinogradForm(sizes, direction, points: points)
    case .winogradAdjoint(let points):
      WinogradForm(sizes, .adjointInputGradient, points: points)
    }
  }

  /// The methods that there are for convolutions of these sizes, the direct one first.
  package static func all(
    _ sizes: ConvolutionGeometry, _ direction: WinogradForm.Direction
  ) -> [ConvolutionMethod] {
    var methods = [ConvolutionMethod.direct]
    for points in 6...8 {
      methods.append(.winograd(points: points))
      if direction == .inputGradient { methods.append(.winogradAdjoint(points: points)) }
    }
    return methods.filter { $0 == .direct || $0.form(sizes, direction) != nil }
  }

  /// The expected work in multiply-adds.
  package func cost(_ sizes: ConvolutionGeometry, _ direction: WinogradForm.Direction) -> Double {
    form(sizes, direction)?.cost ?? sizes.multiplyAdds
  }

  /// The method that the cost model expects to be fastest. The choice depends on shapes alone.
  package static func fastest(
    _ sizes: ConvolutionGeometry, _ direction: WinogradForm.Direction
  ) -> ConvolutionMethod {
    var chosen = ConvolutionMethod.direct
    var least = Double.infinity
    for method in all(sizes, direction) {
      guard let form = method.form(sizes, direction), form.isWorthwhile, form.cost < least else {
        continue
      }
      chosen = method
      least = form.cost
    }
    return chosen
  }
}
