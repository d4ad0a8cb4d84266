// Convolutions and pooling. ONNX has images [n, c, h, w], ours are [n, h, w, c]; signals [n, c, w]
// are images of one row. Kernels are turned when they are read, not in the graph.

import Basics
import Formats
import GraphIR
import Operators

enum ImageOperators {
  static let entries: [String: OperatorTable.Entry] = [
    "Conv": .init(window + ["dilations", "group"], convolution),
    "ConvTranspose": .init(
      window + ["dilations", "group", "output_padding", "output_shape"], transposed),
    "MaxPool": .init(window + ["ceil_mode", "dilations", "storage_order"]) { node in
      if node.wants(1) { throw Unsupported(what: "MaxPool with the output Indices") }
      return try pool(node) { image, window in
        try node.builder.maxPool(image, window: window)
      }
    },
    "AveragePool": .init(window + ["ceil_mode", "count_include_pad", "dilations"]) { node in
      let countsPadding = try node.flag("count_include_pad")
      return try pool(node) { image, window in
        try countsPadding
          ? averageWithPadding(node, image, window) : node.builder.avgPool(image, window: window)
      }
    },
    "LpPool": .init(window + ["ceil_mode", "dilations", "p"], powerPool),
    "GlobalAveragePool": global { try $0.mean($1, axes: $2, keepDims: true) },
    "GlobalMaxPool": global { try $0.max($1, axes: $2, keepDims: true) },
  ]

  private static let window = ["auto_pad", "kernel_shape", "pads", "strides"]

  // MARK: Sizes

  /// What the attributes say of the windows, for two axes: [h, w].
  private struct Sizes {
    var kernel: [Int]
    var strides: [Int]
    var dilations: [Int]
    var before = [0, 0]
    var after = [0, 0]
    /// Of the image.
    var input: [Int]

    /// How far a window reaches: the kernel with the gaps of its dilation.
    func reach(_ axis: Int) -> Int { (kernel[axis] - 1) * dilations[axis] + 1 }
    var padding: [Int] { [before[0], after[0], before[1], after[1]] }
  }

  /// Of a size, a stride or a border: products of two and their sums fit an Int by far.
  private static let limit = 1 << 24

  /// A list of one or two positive numbers as one for [h, w].
  private static func pair(
    _ node: NodeImport, _ name: String, _ axes: Int, _ list: [Int]?, from least: Int = 1
  ) throws -> [Int] {
    let list = list ?? [Int](repeating: least, count: axes)
    guard list.count == axes, list.allSatisfy({ $0 >= least && $0 <= limit }) else {
      throw Malformed(what: "has '\(name)' of \(shapeText(list)) for \(axes) axes")
    }
    return axes == 1 ? [least, list[0]] : list
  }

  private static func checkAxes(_ node: NodeImport, _ x: ModelValue) throws -> Int {
    guard x.rank >= 3 else { throw Malformed(what: "needs an image, found \(shapeText(x.shape))") }
    guard x.rank <= 4 else { throw Unsupported(what: "\(node.op) of \(x.rank - 2) dimensions") }
    return x.rank - 2
  }

  private static func sizes(
    _ node: NodeImport, _ x: ModelValue, kernel: [Int]?
  ) throws -> Sizes {
    let axes = try checkAxes(node, x)
    guard let given = try node.ints("kernel_shape") ?? kernel else {
      throw Malformed(what: "has no kernel_shape")
    }
    if let kernel, kernel != given {
      throw Malformed(
        what: "has a kernel of \(shapeText(kernel)), its kernel_shape is \(shapeText(given))")
    }
    let spatial = Array(x.shape[2...])
    return Sizes(
      kernel: try pair(node, "kernel_shape", axes, given),
      strides: try pair(node, "strides", axes, node.ints("strides")),
      dilations: try pair(node, "dilations", axes, node.ints("dilations")),
      input: axes == 1 ? [1] + spatial : spatial)
  }

  /// `pads` as [h, w] before and after.
  private static func pads(_ node: NodeImport, _ axes: Int) throws -> (before: [Int], after: [Int])
  {
    guard let list = try node.ints("pads") else { return ([0, 0], [0, 0]) }
    guard list.count == 2 * axes else {
      throw Malformed(what: "has pads \(shapeText(list)) for \(axes) axes")
    }
    return (
      try pair(node, "pads", axes, Array(list[..<axes]), from: 0),
      try pair(node, "pads", axes, Array(list[axes...]), from: 0)
    )
  }

  /// Sets the padding of windows over an image.
  private static func setPadding(
    _ sizes: inout Sizes, _ node: NodeImport, _ axes: Int
  ) throws {
    let mode = try node.string("auto_pad", "NOTSET")
    switch mode {
    case "NOTSET", "": (sizes.before, sizes.after) = try pads(node, axes)
    case "VALID": break
    case "SAME_UPPER", "SAME_LOWER":
      for axis in 0..<2 {
        let same = WindowAxis.same(
          input: sizes.input[axis], kernel: sizes.reach(axis), stride: sizes.strides[axis])
        // Ours has the larger half behind, as SAME_UPPER.
        (sizes.before[axis], sizes.after[axis]) =
          mode == "SAME_UPPER" ? (same.before, same.after) : (same.after, same.before)
      }
    default: throw Malformed(what: "has the unknown auto_pad '\(mode)'")
    }
  }

  /// The image as [n, h, w, c]; a signal as an image of one row.
  private static func image(_ node: NodeImport, _ x: ModelValue) throws -> ValueID {
    guard x.rank == 3 else { return try node.channelsLast(x) }
    let turned = try node.builder.transpose(node.planar(x), [0, 2, 1])
    return try node.builder.reshape(turned, [x.shape[0], 1, x.shape[2], x.shape[1]])
  }

  private static func result(
    _ node: NodeImport, _ y: ValueID, like x: ModelValue
  ) throws -> ModelValue {
    guard x.rank == 3 else { return node.image(y, x.element) }
    let shape = node.builder.shape(of: y)
    let signal = try node.builder.reshape(y, [shape[0], shape[2], shape[3]])
    return node.result(try node.builder.transpose(signal, [0, 2, 1]), x.element)
  }

  // MARK: Convolutions

  /// The kernel [a, b, h, w] as [h, w, b, a]. One of a signal, [a, b, w], has one row.
  private static func kernel(_ node: NodeImport, _ w: ModelValue) throws -> ValueID {
    if w.rank == 4 { return try node.importer.permuted(w, [2, 3, 1, 0]) }
    let turned = try node.importer.permuted(w, [2, 1, 0])
    return try node.builder.reshape(turned, [1, w.shape[2], w.shape[1], w.shape[0]])
  }

  private static func groups(_ node: NodeImport, _ channels: Int, _ kernels: Int) throws -> Int {
    let groups = try node.int("group", 1)
    guard groups >= 1, channels % groups == 0, kernels % groups == 0 else {
      throw Malformed(
        what: "divides \(channels) channels and \(kernels) kernels into \(groups) groups")
    }
    guard groups <= 64 else { throw Unsupported(what: "\(node.op) of more than 64 groups") }
    return groups
  }

  /// The bias, [c], added to [n, h, w, c].
  private static func biased(
    _ node: NodeImport, _ y: ValueID, channels: Int
  ) throws -> ValueID {
    guard let bias = node.optional(2) else { return y }
    guard bias.shape == [channels] else {
      throw Malformed(what: "has a bias of \(shapeText(bias.shape)) for \(channels) channels")
    }
    return try node.builder.add(y, node.planar(bias))
  }

  private static func checkKernel(_ x: ModelValue, _ w: ModelValue) throws {
    guard w.rank == x.rank else {
      throw Malformed(what: "has an image \(shapeText(x.shape)) and a kernel \(shapeText(w.shape))")
    }
  }

  @Sendable private static func convolution(_ node: NodeImport) throws -> [ModelValue?] {
    let (x, w) = (try node.real(node.input(0)), try node.real(node.input(1)))
    let axes = try checkAxes(node, x)
    try checkKernel(x, w)
    var sizes = try sizes(node, x, kernel: Array(w.shape[2...]))
    try setPadding(&sizes, node, axes)
    let builder = node.builder
    let groups = try groups(node, x.shape[1], w.shape[0])
    guard w.shape[1] * groups == x.shape[1] else {
      throw Malformed(
        what:
          "has an image of \(x.shape[1]) channels and kernels of \(w.shape[1]) in \(groups) groups")
    }
    let whole = try image(node, x)
    let kernels = try builder.dilated(kernel(node, w), by: sizes.dilations)
    let (inputs, outputs) = (x.shape[1] / groups, w.shape[0] / groups)
    let parts = try (0..<groups).map { group in
      try builder.conv2D(
        builder.slice(whole, axis: 3, from: group * inputs, to: (group + 1) * inputs),
        builder.slice(kernels, axis: 3, from: group * outputs, to: (group + 1) * outputs),
        stride: sizes.strides, padding: sizes.padding)
    }
    let y = groups == 1 ? parts[0] : try builder.concat(parts, axis: 3)
    return [try result(node, biased(node, y, channels: w.shape[0]), like: x)]
  }

  /// The input gradient of a convolution whose image has the size of our result.
  @Sendable private static func transposed(_ node: NodeImport) throws -> [ModelValue?] {
    let (x, w) = (try node.real(node.input(0)), try node.real(node.input(1)))
    let axes = try checkAxes(node, x)
    try checkKernel(x, w)
    var sizes = try sizes(node, x, kernel: Array(w.shape[2...]))
    let output = try transposedSizes(&sizes, node, axes)
    try node.checkSize(output.map { max($0, 1) })
    let builder = node.builder
    let groups = try groups(node, x.shape[1], w.shape[0])
    guard w.shape[0] == x.shape[1] else {
      throw Malformed(what: "has an image of \(x.shape[1]) channels and \(w.shape[0]) kernels")
    }
    let whole = try image(node, x)
    // [h, w, out, in]: the convolution that this is the gradient of goes from out to in.
    let kernels = try builder.dilated(kernel(node, w), by: sizes.dilations)
    let inputs = x.shape[1] / groups
    let parts = try (0..<groups).map { group in
      try builder.conv2DInputGradient(
        builder.slice(whole, axis: 3, from: group * inputs, to: (group + 1) * inputs),
        builder.slice(kernels, axis: 3, from: group * inputs, to: (group + 1) * inputs),
        stride: sizes.strides, padding: sizes.padding, inputSize: output)
    }
    let y = groups == 1 ? parts[0] : try builder.concat(parts, axis: 3)
    return [try result(node, biased(node, y, channels: w.shape[1] * groups), like: x)]
  }

  /// The size of the result, and what is cut of it as padding:
  /// stride · (in − 1) + output_padding + reach − before − after.
  private static func transposedSizes(
    _ sizes: inout Sizes, _ node: NodeImport, _ axes: Int
  ) throws -> [Int] {
    let extra = try pair(
      node, "output_padding", axes, node.ints("output_padding") ?? [Int](repeating: 0, count: axes),
      from: 0)
    let full = (0..<2).map {
      sizes.strides[$0] * (sizes.input[$0] - 1) + extra[$0] + sizes.reach($0)
    }
    let mode = try node.string("auto_pad", "NOTSET")
    var wanted: [Int]?
    if let list = try node.ints("output_shape") {
      // The whole shape was allowed in old versions.
      wanted = try pair(node, "output_shape", axes, Array(list.suffix(axes)))
    } else if mode == "SAME_UPPER" || mode == "SAME_LOWER" {
      wanted = (0..<2).map { sizes.input[$0] * sizes.strides[$0] }
    }
    if axes == 1 { wanted?[0] = 1 }
    guard let wanted else {
      guard ["NOTSET", "", "VALID"].contains(mode) else {
        throw Malformed(what: "has the unknown auto_pad '\(mode)'")
      }
      if mode != "VALID" { (sizes.before, sizes.after) = try pads(node, axes) }
      return (0..<2).map { full[$0] - sizes.before[$0] - sizes.after[$0] }
    }
    for axis in 0..<2 {
      // What is missing is filled with zeros behind, as our operation does by itself.
      let total = max(0, full[axis] - wanted[axis])
      let (less, more) = (total / 2, total - total / 2)
      (sizes.before[axis], sizes.after[axis]) = mode == "SAME_UPPER" ? (less, more) : (more, less)
    }
    return wanted
  }

  // MARK: Pooling

  private static func pool(
    _ node: NodeImport, _ body: (ValueID, PoolWindow) throws -> ValueID
  ) throws -> [ModelValue?] {
    let x = try node.real(node.input(0))
    let axes = try checkAxes(node, x)
    var sizes = try sizes(node, x, kernel: nil)
    guard sizes.dilations == [1, 1] else { throw Unsupported(what: "\(node.op) with dilations") }
    try setPadding(&sizes, node, axes)
    if try node.flag("ceil_mode") { roundUp(&sizes) }
    let window = PoolWindow(size: sizes.kernel, stride: sizes.strides, padding: sizes.padding)
    return [try result(node, body(image(node, x), window), like: x)]
  }

  /// Padding behind for a last window that reaches beyond the image but begins within it.
  private static func roundUp(_ sizes: inout Sizes) {
    for axis in 0..<2 {
      let (stride, reach) = (sizes.strides[axis], sizes.reach(axis))
      let room = sizes.input[axis] + sizes.before[axis] + sizes.after[axis] - reach
      guard room > 0, room % stride != 0 else { continue }
      let windows = (room + stride - 1) / stride + 1
      let start = (windows - 1) * stride
      guard start < sizes.input[axis] + sizes.before[axis] else { continue }
      sizes.after[axis] = start + reach - sizes.input[axis] - sizes.before[axis]
    }
  }

  /// Padding counts as zeros; what a window reaches beyond it does not.
  private static func averageWithPadding(
    _ node: NodeImport, _ image: ValueID, _ window: PoolWindow
  ) throws -> ValueID {
    let given = try pads(node, node.input(0).rank - 2)
    let isGiven = try ["NOTSET", ""].contains(node.string("auto_pad", "NOTSET"))
    let before = isGiven ? given.before : [window.padding[0], window.padding[2]]
    let after = isGiven ? given.after : [window.padding[1], window.padding[3]]
    let padded = try node.builder.pad(
      image, before: [0, before[0], before[1], 0], after: [0, after[0], after[1], 0])
    var rest = window
    // Windows that end before the padding does leave some of it unread.
    rest.padding = [
      0, max(0, window.padding[1] - after[0]), 0, max(0, window.padding[3] - after[1]),
    ]
    return try node.builder.avgPool(padded, window: rest)
  }

  /// (Σ |x|^p)^(1/p) over each window.
  @Sendable private static func powerPool(_ node: NodeImport) throws -> [ModelValue?] {
    let p = Double(try node.int("p", 2))
    let builder = node.builder
    return try pool(node) { image, window in
      let powers = try builder.power(builder.absolute(image), p)
      let padding = window.padding
      let padded = try builder.pad(
        powers, before: [0, padding[0], padding[2], 0], after: [0, padding[1], padding[3], 0])
      var rest = window
      rest.padding = [0, 0, 0, 0]
      let sum = try builder.scaled(
        builder.avgPool(padded, window: rest), by: Double(window.size[0] * window.size[1]))
      return try builder.power(sum, 1 / p)
    }
  }

  private static func global(
    _ body: @escaping @Sendable (GraphBuilder, ValueID, [Int]) throws -> ValueID
  ) -> OperatorTable.Entry {
    .init { node in
      let x = try node.real(node.input(0))
      guard x.rank >= 3 else {
        throw Malformed(what: "needs an image, found \(shapeText(x.shape))")
      }
      guard x.isTurned else {
        return [node.result(try body(node.builder, node.planar(x), Array(2..<x.rank)), x.element)]
      }
      return [node.image(try body(node.builder, node.channelsLast(x), [1, 2]), x.element)]
    }
  }
}
