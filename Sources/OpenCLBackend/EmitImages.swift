// Lowers scaling of images by whole factors. What adjoints sum is sought from each result's place, so that nothing is
// written twice.

import Basics
import GraphIR
import Operators

let imageEmitters: [(any Operation.Type, NodeEmitter)] = [
  (UpsampleNearest.self, emitUpsampleNearest),
  (BlockSum.self, emitBlockSum),
  (UpsampleBilinear.self, emitUpsampleBilinear),
  (UpsampleBilinearGradient.self, emitUpsampleBilinearGradient),
  (MaxPool.self, emitMaxPool),
  (MaxPoolGradient.self, emitMaxPoolGradient),
  (MaxPoolGather.self, emitMaxPoolGather),
  (AvgPool.self, emitAvgPool),
  (AvgPoolGradient.self, emitAvgPoolGradient),
]

// MARK: Nearest

/// y[n, y, x, c] = x[n, ⌊y / fh⌋, ⌊x / fw⌋, c]
private let emitUpsampleNearest: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let factor = (node.operation as? UpsampleNearest)?.factor else { return }
  let small = node.operands[0]
  var kernel = ImageKernel(node, "upsample_nearest", making: node.results[0])
  let from = kernel.text.input(small)
  kernel.finish(kernel.load(from, of: small.shape, "y / \(factor[0])", "x / \(factor[1])"))
}

/// The sum of a block of fh × fw pixels.
private let emitBlockSum: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let factor = (node.operation as? BlockSum)?.factor else { return }
  let large = node.operands[0]
  var kernel = ImageKernel(node, "block_sum", making: node.results[0])
  let from = kernel.text.input(large)
  let value = kernel.load(
    from, of: large.shape, "(y * \(factor[0]) + ky)", "(x * \(factor[1]) + kx)")
  kernel.text.line("\(kernel.type) sum = \(kernel.zero);")
  kernel.text.line("for (int ky = 0; ky < \(factor[0]); ky++)")
  kernel.text.line("  for (int kx = 0; kx < \(factor[1]); kx++) sum += \(value);")
  kernel.finish("sum")
}

// MARK: Bilinear

/// Half-pixel centres: along one axis, place o of the large image lies at (o + ½) / f − ½ of the small one, not before
/// its first place. In whole numbers, with k = ⌊(2o + 1 + f) / 2f⌋: between places k − 1 and k, at the remainder / 2f.
private struct BilinearText {
  let size: Int
  let factor: Int

  /// Declares `lowN` and `highN`, the neighbours of place `o`, and `weightN`, the share of the second.
  func neighbours(_ kernel: inout KernelText, _ n: String, of o: String) {
    kernel.line("const int t\(n) = 2 * \(o) + \(1 + factor), k\(n) = t\(n) / \(2 * factor);")
    kernel.line("const int low\(n) = max(k\(n) - 1, 0), high\(n) = min(k\(n), \(size - 1));")
    let share = "(float)(t\(n) % \(2 * factor)) / \(2 * factor).0f"
    kernel.line("const float weight\(n) = k\(n) == 0 ? 0.0f : \(share);")
  }

  /// The head of a loop over the places that may have `q` as a neighbour.
  func loop(_ o: String, around q: String) -> String {
    let first = "max(\(q) * \(factor) - \((factor + 1) / 2), 0)"
    let end = "min(\(q) * \(factor) + \(factor + (factor + 1) / 2), \(size * factor - 1))"
    return "for (int \(o) = \(first); \(o) <= \(end); \(o)++)"
  }

  /// The share of place `q` in what `neighbours` was called for.
  func share(_ n: String, of q: String) -> String {
    "((low\(n) == \(q) ? 1.0f - weight\(n) : 0.0f) + (high\(n) == \(q) ? weight\(n) : 0.0f))"
  }
}

private let emitUpsampleBilinear: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let factor = (node.operation as? UpsampleBilinear)?.factor else { return }
  let small = node.operands[0]
  var kernel = ImageKernel(node, "upsample_bilinear", making: node.results[0])
  let from = kernel.text.input(small)
  BilinearText(size: small.shape[1], factor: factor[0]).neighbours(&kernel.text, "y", of: "y")
  BilinearText(size: small.shape[2], factor: factor[1]).neighbours(&kernel.text, "x", of: "x")
  func row(_ y: String) -> String {
    "(1.0f - weightx) * \(kernel.load(from, of: small.shape, y, "lowx"))"
      + " + weightx * \(kernel.load(from, of: small.shape, y, "highx"))"
  }
  kernel.text.line("const \(kernel.type) upper = \(row("lowy"));")
  kernel.text.line("const \(kernel.type) lower = \(row("highy"));")
  kernel.finish("(1.0f - weighty) * upper + weighty * lower")
}

private let emitUpsampleBilinearGradient: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let factor = (node.operation as? UpsampleBilinearGradient)?.factor else { return }
  let (large, small) = (node.operands[0], node.results[0])
  var kernel = ImageKernel(node, "upsample_bilinear_gradient", making: small)
  let from = kernel.text.input(large)
  let rows = BilinearText(size: small.shape[1], factor: factor[0])
  let columns = BilinearText(size: small.shape[2], factor: factor[1])
  let value = kernel.load(from, of: large.shape, "oy", "ox")
  kernel.text.line("\(kernel.type) sum = \(kernel.zero);")
  kernel.text.block(rows.loop("oy", around: "y")) { text in
    rows.neighbours(&text, "y", of: "oy")
    text.line("const float down = \(rows.share("y", of: "y"));")
    text.block(columns.loop("ox", around: "x")) { text in
      columns.neighbours(&text, "x", of: "ox")
      text.line("sum += down * \(columns.share("x", of: "x")) * \(value);")
    }
  }
  kernel.finish("sum")
}
