// Convolutions, plain and transposed, as layers and as functions of any kernel. Images are NHWC,
// kernels [kh, kw, in, out] in both cases, `in` being the channels of the image.

import Basics
import GraphIR
import Operators

extension FunctionLibrary {
  private static let padding = Parameter("padding", .padding, .word("same"))
  private static let stride = Parameter("stride", .pair, .integer(1))
  private static let filters = Parameter("filters", .integer)
  private static let kernel = Parameter("kernel", .pair)

  static let convolutionLayers: [FunctionEntry] = [
    FunctionEntry(
      "conv2D", .layer,
      [
        .x, filters, kernel, stride, padding, Parameter("dilation", .pair, .integer(1)),
        Parameter("groups", .integer, .integer(1)), useBias, weightInit, biasInit, spectral,
      ],
      "Convolution; kernel [kh, kw, in, filters]."
    ) { site throws(Diagnostic) in
      try site.refuseSpectral()
      if try site.pair("dilation") != [1, 1] {
        throw site.elaborator.notYet("a dilation other than 1", at: site.range(of: "dilation"))
      }
      if try site.integer("groups") != 1 {
        throw site.elaborator.notYet("a group count other than 1", at: site.range(of: "groups"))
      }
      let x = try site.float("x", rank: 4, "[n, h, w, c]")
      let filters = try site.integer("filters", atLeast: 1)
      let shape = try site.pair("kernel") + [x.type.shape[3], filters]
      let fans = Fans(shape: shape)
      let kernel = try site.parameter("kernel", shape, try site.initializer("init"))
      let y = try site.convolve(x, kernel)
      return site.result(try site.addBias(y, filters, fanIn: fans.fanIn))
    },
    FunctionEntry(
      "convTranspose2D", .layer,
      [.x, filters, kernel, stride, padding, useBias, weightInit, biasInit, spectral],
      "Transposed convolution, y[s·i + j] += x[i]·w[j]; kernel [kh, kw, in, filters]."
    ) { site throws(Diagnostic) in
      try site.refuseSpectral()
      let x = try site.float("x", rank: 4, "[n, h, w, c]")
      let filters = try site.integer("filters", atLeast: 1)
      let shape = try site.pair("kernel") + [x.type.shape[3], filters]
      let fans = Fans(shape: shape).swapped
      let kernel = try site.parameter("kernel", shape, try site.initializer("init"), fans: fans)
      let y = try site.convolveTranspose(x, kernel)
      return site.result(try site.addBias(y, filters, fanIn: fans.fanIn))
    },
  ]

  static let convolutionFunctions: [FunctionEntry] = [
    convolution("convolve", "Convolution") { site, x, w throws(Diagnostic) in
      try site.convolve(x, w)
    },
    convolution("convolveTranspose", "Transposed convolution") { site, x, w throws(Diagnostic) in
      try site.convolveTranspose(x, w)
    },
  ]

  /// A convolution whose kernel is an argument.
  private static func convolution(
    _ name: String, _ what: String,
    _ make: @escaping @Sendable (CallSite, TensorValue, ValueID) throws(Diagnostic) -> ValueID
  ) -> FunctionEntry {
    FunctionEntry(
      name, .image, [.x, Parameter("w", .tensor), stride, padding],
      "\(what) with a kernel [kh, kw, in, out] that is any value."
    ) { site throws(Diagnostic) in
      let x = try site.float("x", rank: 4, "[n, h, w, c]")
      let w = try site.float("w", rank: 4, "[kh, kw, in, out]")
      try site.checkChannels(x, w)
      return site.result(try make(site, x, w.id))
    }
  }
}

/// A sum or product of sizes that a program gave; nil where it overflows or is beyond any tensor.
func size(_ a: Int, times b: Int = 1, plus c: Int = 0) -> Int? {
  let (product, overflow) = a.multipliedReportingOverflow(by: b)
  let (sum, carry) = product.addingReportingOverflow(c)
  guard !overflow, !carry, abs(sum) <= 1 << 40 else { return nil }
  return sum
}

extension CallSite {
  func checkChannels(_ x: TensorValue, _ w: TensorValue) throws(Diagnostic) {
    guard w.type.shape[2] == x.type.shape[3] else {
      throw Diagnostic(
        "shape.mismatch",
        "\(entry.name): the kernel is for \(w.type.shape[2]) channels, "
          + "the image has \(x.type.shape[3])",
        at: range(of: "w"),
        notes: [
          .init("the image is \(x.type)", at: x.place),
          .init("the kernel is \(w.type)", at: w.place),
        ])
    }
  }

  /// A convolution with this call's stride and padding.
  func convolve(_ x: TensorValue, _ w: ValueID) throws(Diagnostic) -> ValueID {
    let kernel = builder.shape(of: w)
    let stride = try pair("stride")
    let pads = try windowPadding(x, kernel: Array(kernel.prefix(2)), stride: stride)
    for axis in 0..<2 {
      let padded = x.type.shape[1 + axis] + pads[2 * axis] + pads[2 * axis + 1]
      guard padded >= kernel[axis] else {
        throw Diagnostic(
          "shape.window",
          "\(entry.name): a kernel of \(kernel[0])×\(kernel[1]) does not fit into \(x.type)",
          at: callee.range, notes: [.init("the image is made here", at: x.place)],
          help: "padding: same keeps the size")
      }
    }
    return try builder.conv2D(x.id, w, stride: stride, padding: pads)
  }

  /// [top, bottom, left, right] of a window that slides over `x`. `same`: out = ⌈in/s⌉, ⌊p/2⌋ of
  /// the padding before.
  func windowPadding(_ x: TensorValue, kernel: [Int], stride: [Int]) throws(Diagnostic) -> [Int] {
    switch try padding() {
    case .valid: return [0, 0, 0, 0]
    case .explicit(let pads): return pads
    case .same:
      var pads: [Int] = []
      for axis in 0..<2 {
        let input = x.type.shape[1 + axis]
        let output = (input - 1) / stride[axis] + 1
        let needed = (output - 1) * stride[axis] + kernel[axis] - input
        let total = max(needed, 0)
        pads += [total / 2, total - total / 2]
      }
      return pads
    }
  }

  /// A transposed convolution: the input gradient of the convolution that would bring its result to
  /// `x`.
  func convolveTranspose(_ x: TensorValue, _ w: ValueID) throws(Diagnostic) -> ValueID {
    let kernel = builder.shape(of: w)
    let stride = try pair("stride")
    var crops: [Int] = []
    var output: [Int] = []
    let padding = try padding()
    for axis in 0..<2 {
      let input = x.type.shape[1 + axis]
      guard let full = size(input - 1, times: stride[axis], plus: kernel[axis]) else {
        throw Diagnostic("shape.size", "the result is too large", at: callee.range)
      }
      let crop: (before: Int, after: Int)
      switch padding {
      case .valid: crop = (0, 0)
      case .same:
        let total = kernel[axis] - stride[axis]
        guard total >= 0 else {
          throw Diagnostic(
            "argument.value",
            "\(entry.name): padding same needs a kernel at least as large as its stride",
            at: callee.range,
            help:
              "the kernel is \(shapeText(Array(kernel.prefix(2)))), the stride \(shapeText(stride))"
          )
        }
        crop = (total / 2, total - total / 2)
      case .explicit(let pads): crop = (pads[2 * axis], pads[2 * axis + 1])
      }
      let size = full - crop.before - crop.after
      guard size > 0 else {
        throw Diagnostic(
          "shape.window", "\(entry.name): the padding crops everything of \(full) rows",
          at: range(of: "padding"), notes: [.init("the image is \(x.type)", at: x.place)])
      }
      crops += [crop.before, crop.after]
      output.append(size)
    }
    let swapped = try builder.transpose(w, [0, 1, 3, 2])
    return try builder.conv2DInputGradient(
      x.id, swapped, stride: stride, padding: crops, inputSize: output)
  }
}
