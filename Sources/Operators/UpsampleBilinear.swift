// Bilinear up-sampling with half-pixel centres (PyTorch's align_corners=False, Keras' UpSampling2D) and its
// gradient. Both walk the same table of two sources and a weight for each output row and column.

import Basics
import GraphIR

/// y[n, oy, ox, c] = the four neighbours of ((oy + ½)/fh − ½, (ox + ½)/fw − ½) weighted by nearness; outside the image
/// the edge counts.
package struct UpsampleBilinear: ResizingOperation {
  package static let mnemonic = "upsample_bilinear"
  package static let summary = "Enlarges an image by bilinear interpolation, half-pixel centres."
  package static let signature = [OperandSpec("x")]
  /// [h, w]
  package var factor = [2, 2]

  package init() {}

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    [try enlargedType(operands)]
  }

  // y = A x:  x̄ = Aᵀ ȳ
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    scope.setAdjoint(of: 0, try scope.builder.upsampleBilinearGradient(scope.seed, factor: factor))
  }

  // y[p] = Σ over four neighbours q  weight(p, q) · x[q]
  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let y = accumulated(operands[0], into: results[0]) { x, y in
      forEachWeight(small: operands[0].shape, factor: factor) { small, large, weight in
        y[large] += weight * x[small]
      }
    }
    return [y]
  }

  /// Three interpolations of three operations each, once for each result.
  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(
      flops: 9 * Double(results.first?.count ?? 0), bytes: Cost.traffic(operands, results))
  }

  package static var samples: [Sample<UpsampleBilinear>] {
    [
      Sample(UpsampleBilinear(factor: [2, 2]), [.f32(2, 3, 2, 3)]),
      Sample(UpsampleBilinear(factor: [1, 3]), [.f32(1, 1, 2, 17)]),
      Sample(UpsampleBilinear(factor: [4, 1]), [.f32(1, 2, 1, 1)]),
    ]
  }
}

/// dx[q] = Σ p  weight(p, q) · dy[p].
package struct UpsampleBilinearGradient: ResizingOperation {
  package static let mnemonic = "upsample_bilinear_gradient"
  package static let summary = "Gradient of upsample_bilinear."
  package static let signature = [OperandSpec("dy")]
  /// [h, w]
  package var factor = [2, 2]

  package init() {}

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    [try reducedType(operands)]
  }

  // x = Aᵀ y:  ȳ = A x̄
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    scope.setAdjoint(of: 0, try scope.builder.upsampleBilinear(scope.seed, factor: factor))
  }

  // dx[q] += weight(p, q) · dy[p]
  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let dx = accumulated(operands[0], into: results[0]) { dy, dx in
      forEachWeight(small: results[0].shape, factor: factor) { small, large, weight in
        dx[small] += weight * dy[large]
      }
    }
    return [dx]
  }

  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(
      flops: 9 * Double(operands.first?.count ?? 0), bytes: Cost.traffic(operands, results))
  }

  package static var samples: [Sample<UpsampleBilinearGradient>] {
    [
      Sample(UpsampleBilinearGradient(factor: [2, 2]), [.f32(2, 6, 4, 3)]),
      Sample(UpsampleBilinearGradient(factor: [1, 3]), [.f32(1, 1, 6, 17)]),
      Sample(UpsampleBilinearGradient(factor: [4, 1]), [.f32(1, 8, 1, 1)]),
    ]
  }
}

/// The two sources of each output of one axis, and the weight of the second. Backends build their tables with it.
package struct BilinearAxis: Hashable, Sendable {
  package var first: [Int] = []
  package var second: [Int] = []
  package var weight: [Double] = []

  /// `size` inputs enlarged by `factor`. The source of output o is (o + ½)/factor − ½, not below 0; the neighbour
  /// above is not beyond the last input.
  package init(size: Int, factor: Int) {
    for o in 0..<size * factor {
      let source = max(0, (Double(o) + 0.5) / Double(factor) - 0.5)
      // Source is not negative, so truncation is the floor.
      let low = min(Int(source), size - 1)
      first.append(low)
      second.append(min(low + 1, size - 1))
      weight.append(source - Double(low))
    }
  }
}

/// Calls `body` with each pair of flat places that have a weight, and the weight.
private func forEachWeight(
  small: [Int], factor: [Int], _ body: (_ small: Int, _ large: Int, _ weight: Double) -> Void
) {
  let (height, width, channels) = (small[1], small[2], small[3])
  let rows = BilinearAxis(size: height, factor: factor[0])
  let columns = BilinearAxis(size: width, factor: factor[1])
  var place = 0
  for n in 0..<small[0] {
    for oy in 0..<rows.first.count {
      let upper = (n * height + rows.first[oy]) * width
      let lower = (n * height + rows.second[oy]) * width
      let down = rows.weight[oy]
      for ox in 0..<columns.first.count {
        let (left, right) = (columns.first[ox], columns.second[ox])
        let across = columns.weight[ox]
        for c in 0..<channels {
          body((upper + left) * channels + c, place, (1 - down) * (1 - across))
          body((upper + right) * channels + c, place, (1 - down) * across)
          body((lower + left) * channels + c, place, down * (1 - across))
          body((lower + right) * channels + c, place, down * across)
          place += 1
        }
      }
    }
  }
}
