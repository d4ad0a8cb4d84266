// Lowers pooling and its gradients. Gradients look, for each element of the image, through the windows that hold it.

import Basics
import GraphIR
import Operators

/// The loops of a pooling of an image of shape `x` to one of shape `y`.
private struct PoolText {
  let window: PoolWindow
  let x: [Int]
  let y: [Int]

  /// Over the elements of window (oy, ox) that lie in the image: `iy` and `ix`.
  func taps(
    _ text: inout KernelText, _ oy: String, _ ox: String, _ body: (inout KernelText) -> Void
  ) {
    text.line("const int top = \(oy) * \(window.stride[0]) - \(window.padding[0]);")
    text.line("const int left = \(ox) * \(window.stride[1]) - \(window.padding[2]);")
    text.block(inside("iy", "top", window.size[0], x[1])) { text in
      text.block(inside("ix", "left", window.size[1], x[2]), body)
    }
  }

  private func inside(_ i: String, _ start: String, _ size: Int, _ limit: Int) -> String {
    "for (int \(i) = max(\(start), 0); \(i) < min(\(start) + \(size), \(limit)); \(i)++)"
  }

  /// Over the windows `oy`, `ox` that hold the element (y, x) of the image.
  func windows(_ text: inout KernelText, _ body: (inout KernelText) -> Void) {
    text.block(holding("oy", "y", 0, before: window.padding[0], y[1])) { text in
      text.block(holding("ox", "x", 1, before: window.padding[2], y[2]), body)
    }
  }

  /// o · stride − before ≤ place < o · stride − before + size
  private func holding(
    _ o: String, _ place: String, _ axis: Int, before: Int, _ limit: Int
  ) -> String {
    let (size, stride) = (window.size[axis], window.stride[axis])
    let at = "(\(place) + \(before))"
    let first = "\(at) < \(size) ? 0 : (\(at) - \(size)) / \(stride) + 1"
    return "for (int \(o) = \(first); \(o) <= min(\(at) / \(stride), \(limit - 1)); \(o)++)"
  }

  /// One over the number of the window's elements that lie in the image.
  func share(_ oy: String, _ ox: String) -> String {
    func count(_ o: String, _ axis: Int, before: Int, _ limit: Int) -> String {
      let start = "(\(o) * \(window.stride[axis]) - \(before))"
      return "(min(\(start) + \(window.size[axis]), \(limit)) - max(\(start), 0))"
    }
    let rows = count(oy, 0, before: window.padding[0], x[1])
    return "1.0f / (float)(\(rows) * \(count(ox, 1, before: window.padding[2], x[2])))"
  }
}

// MARK: Largest

let emitMaxPool: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let window = (node.operation as? MaxPool)?.window else { return }
  let (image, result) = (node.operands[0], node.results[0])
  let pool = PoolText(window: window, x: image.shape, y: result.shape)
  var kernel = ImageKernel(node, "max_pool", making: result)
  let from = kernel.text.input(image)
  let (type, width) = (kernel.type, kernel.width)
  let value = kernel.load(from, of: image.shape, "iy", "ix")
  kernel.text.line("\(type) best = \(cLiteral(-.infinity, .f32, width));")
  pool.taps(&kernel.text, "y", "x") { text in
    text.line("const \(type) v = \(value);")
    text.line("best = \(Fold.largest.combined("best", "v", width));")
  }
  kernel.finish("best")
}

/// What stands in the second operand where the first has the window's first largest element.
let emitMaxPoolGather: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let window = (node.operation as? MaxPoolGather)?.window else { return }
  let (image, source, result) = (node.operands[0], node.operands[1], node.results[0])
  let pool = PoolText(window: window, x: image.shape, y: result.shape)
  var kernel = ImageKernel(node, "max_pool_gather", making: result)
  let (from, other) = (kernel.text.input(image), kernel.text.input(source))
  let writer = kernel
  kernel.text.line("\(writer.type) best = \(writer.zero), taken = best;")
  // The first element counts whatever it is.
  kernel.text.line("\(writer.maskType) isFirst = -1;")
  pool.taps(&kernel.text, "y", "x") { text in
    text.line("const \(writer.type) v = \(writer.load(from, of: image.shape, "iy", "ix"));")
    text.line("const \(writer.type) d = \(writer.load(other, of: source.shape, "iy", "ix"));")
    let isBetter = "isFirst | (v > best) | ((v != v) & (best == best))"
    text.line("const \(writer.maskType) isBetter = \(isBetter);")
    text.line("best = \(writer.chosen("isBetter", "v", "best"));")
    text.line("taken = \(writer.chosen("isBetter", "d", "taken"));")
    text.line("isFirst = 0;")
  }
  kernel.finish("taken")
}

/// The sum of the adjoints of the windows in which this is the first largest element.
let emitMaxPoolGradient: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let window = (node.operation as? MaxPoolGradient)?.window else { return }
  let (image, adjoint, result) = (node.operands[0], node.operands[1], node.results[0])
  let pool = PoolText(window: window, x: image.shape, y: adjoint.shape)
  var kernel = ImageKernel(node, "max_pool_gradient", making: result)
  let (from, dy) = (kernel.text.input(image), kernel.text.input(adjoint))
  let writer = kernel
  kernel.text.line("\(writer.type) sum = \(writer.zero);")
  kernel.text.line("const \(writer.type) own = \(writer.load(from, of: image.shape, "y", "x"));")
  pool.windows(&kernel.text) { text in
    text.line("\(writer.maskType) wins = -1;")
    pool.taps(&text, "oy", "ox") { text in
      text.line("const \(writer.type) v = \(writer.load(from, of: image.shape, "iy", "ix"));")
      // It beats those before it, and those behind it do not beat it. A NaN beats all but a NaN.
      text.line("if (iy < y || (iy == y && ix < x))")
      text.line("  wins &= (own > v) | ((own != own) & (v == v));")
      text.line("else")
      text.line("  wins &= (v <= own) | (own != own);")
    }
    let value = writer.load(dy, of: adjoint.shape, "oy", "ox")
    text.line("sum += \(writer.chosen("wins", value, writer.zero));")
  }
  kernel.finish("sum")
}

// MARK: Means

let emitAvgPool: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let window = (node.operation as? AvgPool)?.window else { return }
  let (image, result) = (node.operands[0], node.results[0])
  let pool = PoolText(window: window, x: image.shape, y: result.shape)
  var kernel = ImageKernel(node, "avg_pool", making: result)
  let from = kernel.text.input(image)
  let value = kernel.load(from, of: image.shape, "iy", "ix")
  kernel.text.line("\(kernel.type) sum = \(kernel.zero);")
  pool.taps(&kernel.text, "y", "x") { $0.line("sum += \(value);") }
  kernel.text.line("const float share = \(pool.share("y", "x"));")
  kernel.finish("sum * share")
}

let emitAvgPoolGradient: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let window = (node.operation as? AvgPoolGradient)?.window else { return }
  let (adjoint, result) = (node.operands[0], node.results[0])
  let pool = PoolText(window: window, x: result.shape, y: adjoint.shape)
  var kernel = ImageKernel(node, "avg_pool_gradient", making: result)
  let from = kernel.text.input(adjoint)
  let value = kernel.load(from, of: adjoint.shape, "oy", "ox")
  kernel.text.line("\(kernel.type) sum = \(kernel.zero);")
  pool.windows(&kernel.text) { text in
    text.line("const float share = \(pool.share("oy", "ox"));")
    text.line("sum += share * \(value);")
  }
  kernel.finish("sum")
}
