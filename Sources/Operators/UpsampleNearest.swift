// Nearest up-sampling and the sum over blocks: adjoints of each other. A block mean is a block sum divided by the
// block's size.

import Basics
import GraphIR

/// y[n, oy, ox, c] = x[n, ⌊oy / fh⌋, ⌊ox / fw⌋, c].
package struct UpsampleNearest: ResizingOperation {
  package static let mnemonic = "upsample_nearest"
  package static let summary = "Repeats every pixel of an image factor[0] × factor[1] times."
  package static let signature = [OperandSpec("x")]
  /// [h, w]
  package var factor = [2, 2]

  package init() {}

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    [try enlargedType(operands)]
  }

  // x̄[q] = Σ over the block of q  ȳ[p]
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    scope.setAdjoint(of: 0, try scope.builder.blockSum(scope.seed, factor: factor))
  }

  // y[p] = x[⌊p / f⌋]
  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let y = accumulated(operands[0], into: results[0]) { x, y in
      forEachPixel(large: results[0].shape, factor: factor) { large, small in y[large] = x[small] }
    }
    return [y]
  }

  package static var samples: [Sample<UpsampleNearest>] {
    [
      Sample(UpsampleNearest(factor: [2, 2]), [.f32(2, 3, 2, 3)]),
      Sample(UpsampleNearest(factor: [1, 3]), [.f32(1, 1, 2, 17)]),
      Sample(UpsampleNearest(factor: [1, 1]), [.f32(1, 1, 1, 1)]),
    ]
  }
}

/// y[n, oy, ox, c] = Σ over the block  x[n, oy·fh + i, ox·fw + j, c]; the factor must divide the image's size.
package struct BlockSum: ResizingOperation {
  package static let mnemonic = "block_sum"
  package static let summary = "Sums the blocks of factor[0] × factor[1] pixels of an image."
  package static let signature = [OperandSpec("x")]
  /// [h, w]
  package var factor = [2, 2]

  package init() {}

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    [try reducedType(operands)]
  }

  // x̄[q] = ȳ[⌊q / f⌋]
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    scope.setAdjoint(of: 0, try scope.builder.upsampleNearest(scope.seed, factor: factor))
  }

  // y[⌊q / f⌋] += x[q]
  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let y = accumulated(operands[0], into: results[0]) { x, y in
      forEachPixel(large: operands[0].shape, factor: factor) { large, small in
        y[small] += x[large]
      }
    }
    return [y]
  }

  /// One addition an element of the operand.
  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(
      flops: Double(operands.first?.count ?? 0), bytes: Cost.traffic(operands, results))
  }

  package static var samples: [Sample<BlockSum>] {
    [
      Sample(BlockSum(factor: [2, 2]), [.f32(2, 4, 6, 3)]),
      Sample(BlockSum(factor: [3, 1]), [.f32(1, 6, 2, 17)]),
      Sample(BlockSum(factor: [1, 1]), [.f32(1, 1, 1, 1)]),
    ]
  }
}

/// Calls `body` with the flat places of each element of the large image and of the small one's element that it came from.
private func forEachPixel(large: [Int], factor: [Int], _ body: (_ large: Int, _ small: Int) -> Void)
{
  let (height, width, channels) = (large[1], large[2], large[3])
  var place = 0
  for row in 0..<large[0] * height {
    let (n, y) = (row / height, row % height)
    let small = (n * (height / factor[0]) + y / factor[0]) * (width / factor[1])
    for x in 0..<width {
      let start = (small + x / factor[1]) * channels
      for c in 0..<channels {
        body(place, start + c)
        place += 1
      }
    }
  }
}
