// Functions of images [n, h, w, c]: resampling and pooling, and convolutions with a given kernel.

import Basics
import GraphIR
import Operators

extension FunctionLibrary {
  private static let factor = Parameter("factor", .pair)

  static let imageFunctions: [FunctionEntry] =
    [
      FunctionEntry(
        "upsample", .image, [.x, factor, .word("mode", ["nearest", "bilinear"], "nearest")],
        "Images enlarged by a whole factor; bilinear has half-pixel centres."
      ) { site throws(Diagnostic) in
        let x = try site.float("x", rank: 4, "[n, h, w, c]")
        let factor = try site.pair("factor")
        try site.checkEnlarged(x, factor)
        if factor == [1, 1] { return site.result(x.id) }
        return site.result(
          try site.word("mode") == "nearest"
            ? try site.builder.upsampleNearest(x.id, factor: factor)
            : try site.builder.upsampleBilinear(x.id, factor: factor))
      },
      FunctionEntry("downsample", .image, [.x, factor], "The mean of each block of pixels.") {
        site throws(Diagnostic) in
        let x = try site.float("x", rank: 4, "[n, h, w, c]")
        let factor = try site.pair("factor")
        guard x.type.shape[1] % factor[0] == 0, x.type.shape[2] % factor[1] == 0 else {
          throw Diagnostic(
            "shape.factor",
            "downsample: \(x.type) does not divide into blocks of \(shapeText(factor))",
            at: site.range(of: "factor"), notes: [.init("the image is made here", at: x.place)])
        }
        let sum = try site.builder.blockSum(x.id, factor: factor)
        return site.result(try site.builder.scaled(sum, by: 1 / Double(factor[0] * factor[1])))
      },
      FunctionEntry(
        "pixelShuffle", .image, [.x, Parameter("factor", .integer)],
        "[n, h, w, c·r²] to [n, h·r, w·r, c], in PyTorch's channel order."
      ) { site throws(Diagnostic) in
        let x = try site.float("x", rank: 4, "[n, h, w, c]")
        let r = try site.integer("factor", atLeast: 1)
        let s = x.type.shape
        guard r <= s[3], s[3] % (r * r) == 0 else {
          throw Diagnostic(
            "shape.factor", "pixelShuffle: \(s[3]) channels are no multiple of \(r)²",
            at: site.range(of: "factor"), notes: [.init("the image is \(x.type)", at: x.place)])
        }
        // Channel c·r² + i·r + j of a pixel becomes channel c of its sub-pixel (i, j).
        let b = site.builder
        let c = s[3] / (r * r)
        let split = try b.reshape(x.id, [s[0], s[1], s[2], c, r, r])
        let moved = try b.transpose(split, [0, 1, 4, 2, 5, 3])
        return site.result(try b.reshape(moved, [s[0], s[1] * r, s[2] * r, c]))
      },
      pooling("avgPool", "The mean of each window; what is padding does not count.") {
        b, x, window throws(Diagnostic) in try b.avgPool(x, window: window)
      },
      pooling("maxPool", "The largest element of each window.") {
        b, x, window throws(Diagnostic) in try b.maxPool(x, window: window)
      },
      FunctionEntry("globalAvgPool", .image, [.x], "The mean over height and width: [n, c].") {
        site throws(Diagnostic) in
        let x = try site.float("x", rank: 4, "[n, h, w, c]")
        return site.result(try site.builder.mean(x.id, axes: [1, 2]))
      },
    ] + convolutionFunctions

  private typealias Pool =
    @Sendable (GraphBuilder, ValueID, PoolWindow) throws(Diagnostic) -> ValueID

  private static func pooling(
    _ name: String, _ summary: String, _ build: @escaping Pool
  ) -> FunctionEntry {
    let parameters: [Parameter] = [
      .x, Parameter("size", .pair), Parameter("stride", .pair, optional: true),
      Parameter("padding", .padding, .word("valid")),
    ]
    return FunctionEntry(name, .image, parameters, summary + " The stride is the size if left out.")
    {
      site throws(Diagnostic) in
      let x = try site.float("x", rank: 4, "[n, h, w, c]")
      let size = try site.pair("size")
      let stride = site.has("stride") ? try site.pair("stride") : size
      let pads = try site.windowPadding(x, kernel: size, stride: stride)
      for axis in 0..<2 {
        let padded = x.type.shape[1 + axis] + pads[2 * axis] + pads[2 * axis + 1]
        guard padded >= size[axis] else {
          throw Diagnostic(
            "shape.window", "\(site.entry.name): a window of \(shapeText(size)) does not fit",
            at: site.range(of: "size"), notes: [.init("the image is \(x.type)", at: x.place)])
        }
        guard max(pads[2 * axis], pads[2 * axis + 1]) < size[axis] else {
          throw site.bad("padding", "the padding must be smaller than the window")
        }
      }
      let window = PoolWindow(size: size, stride: stride, padding: pads)
      return site.result(try build(site.builder, x.id, window))
    }
  }
}

extension CallSite {
  /// That an image enlarged by `factor` is not too large.
  func checkEnlarged(_ x: TensorValue, _ factor: [Int]) throws(Diagnostic) {
    guard let count = size(x.type.count, times: factor[0]),
      let all = size(count, times: factor[1]), all <= TensorType.maximumCount
    else {
      throw Diagnostic(
        "shape.size", "\(x.type) enlarged by \(shapeText(factor)) is too large",
        at: range(of: "factor"))
    }
  }
}
