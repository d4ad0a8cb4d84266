// Resizing of images and other tensors. Along each axis a resize is a linear map: every element of
// the result is a weighted sum of elements of the operand. Whole factors go to our up-samplings,
// single weights to a choice of places, all others to a product with the matrix of the weights.

import Basics
import Formats
import GraphIR
import Operators

enum ResizeOperators {
  static let entries: [String: OperatorTable.Entry] = [
    "Upsample": .init(["mode", "scales"], upsample),
    "Resize": .init(
      [
        "antialias", "axes", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside",
        "extrapolation_value", "keep_aspect_ratio_policy", "mode", "nearest_mode",
      ], resize),
  ]

  /// One axis that changes.
  private struct Axis {
    var axis: Int
    var input: Int
    var output: Int
    var scale: Double
  }

  /// How elements are found and weighted.
  private struct Method {
    var mode = "nearest"
    var coordinates = "asymmetric"
    var nearest = "floor"
    var cubic = -0.75
    var excludesOutside = false
    var antialiases = false
  }

  /// Version 7 has scales as an attribute, 9 as an input.
  @Sendable private static func upsample(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.input(0)
    let scales = try node.floats("scales") ?? node.known(1, "scales").elements
    guard scales.count == x.rank else { throw Malformed(what: "has \(scales.count) scales") }
    var method = Method()
    method.mode = try mode(node)
    let axes = try scales.enumerated().map { try axis($0, x.shape[$0], scale: $1) }
    return [try resized(node, x, axes, method)]
  }

  private static func mode(_ node: NodeImport) throws -> String {
    let mode = try node.string("mode", "nearest")
    guard ["nearest", "linear", "cubic"].contains(mode) else {
      throw Malformed(what: "has the unknown mode '\(mode)'")
    }
    return mode
  }

  private static func axis(_ axis: Int, _ size: Int, scale: Double) throws -> Axis {
    let output = (Double(size) * scale).rounded(.down)
    guard output >= 1, output <= Double(TensorType.maximumCount) else {
      throw Malformed(what: "scales an axis of \(size) by \(scale)")
    }
    return Axis(axis: axis, input: size, output: Int(output), scale: scale)
  }

  @Sendable private static func resize(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.input(0)
    let listed =
      try node.ints("axes").map { try $0.map { try node.axis($0, rank: x.rank) } }
      ?? Array(0..<x.rank)
    var method = Method()
    method.mode = try mode(node)
    // Version 10 has scales at once and says nothing of coordinates.
    let isOld = node.opset < 11
    if !isOld {
      method.coordinates = try node.string("coordinate_transformation_mode", "half_pixel")
      method.nearest = try node.string("nearest_mode", "round_prefer_floor")
    }
    method.cubic = try node.float("cubic_coeff_a", -0.75)
    method.excludesOutside = try node.flag("exclude_outside")
    method.antialiases = try node.flag("antialias")
    let scalesIndex = isOld ? 1 : 2
    var axes: [Axis] = []
    if let value = node.optional(scalesIndex), value.count > 0 {
      let scales = try node.known(scalesIndex, "scales").elements
      guard scales.count == listed.count else {
        throw Malformed(what: "has \(scales.count) scales for \(listed.count) axes")
      }
      axes = try zip(listed, scales).map { try axis($0, x.shape[$0], scale: $1) }
    } else if !isOld, node.optional(3) != nil {
      axes = try sized(node, x, listed)
    } else {
      throw Malformed(what: "has neither scales nor sizes")
    }
    return [try resized(node, x, axes, method)]
  }

  /// Axes of given sizes; with a policy one scale for all.
  private static func sized(
    _ node: NodeImport, _ x: ModelValue, _ listed: [Int]
  ) throws -> [Axis] {
    let sizes = try node.knownIntegers(3, "sizes")
    guard sizes.count == listed.count, sizes.allSatisfy({ $0 >= 1 }) else {
      throw Malformed(what: "has the sizes \(shapeText(sizes)) for \(listed.count) axes")
    }
    let scales = zip(listed, sizes).map { Double($1) / Double(x.shape[$0]) }
    let policy = try node.string("keep_aspect_ratio_policy", "stretch")
    let common: Double?
    switch policy {
    case "stretch": common = nil
    case "not_larger": common = scales.min()
    case "not_smaller": common = scales.max()
    default: throw Malformed(what: "has the unknown policy '\(policy)'")
    }
    return listed.indices.map { index in
      let input = x.shape[listed[index]]
      guard let common else {
        return Axis(
          axis: listed[index], input: input, output: sizes[index], scale: scales[index])
      }
      let output = Int(clamping: (common * Double(input) + 0.5).rounded(.down))
      return Axis(axis: listed[index], input: input, output: max(1, output), scale: common)
    }
  }

  // MARK: Building

  private static func resized(
    _ node: NodeImport, _ x: ModelValue, _ axes: [Axis], _ method: Method
  ) throws -> ModelValue {
    let changed = axes.filter { $0.scale != 1 || $0.input != $0.output }
    var shape = x.shape
    for axis in changed { shape[axis.axis] = axis.output }
    try node.checkSize(shape)
    if let large = changed.first(where: { $0.output > 1 << 20 }) {
      throw Unsupported(what: "Resize to \(large.output) elements")
    }
    guard !changed.isEmpty else { return x.renamed(node.outputName(0)) }
    if let whole = try byWholeFactors(node, x, changed, method) { return whole }
    // Before the weights are worked out, whose number is about that of the matrix. Sizes are below
    // 2³¹, so that the product does not overflow.
    if method.mode != "nearest",
      let large = changed.first(where: { $0.input * $0.output > 1 << 22 })
    {
      throw Unsupported(what: "Resize of an axis from \(large.input) to \(large.output)")
    }
    var id = try node.planar(x)
    for axis in changed {
      let rows = try (0..<axis.output).map { try weights(of: $0, axis, method) }
      if rows.allSatisfy({ $0.count == 1 && $0[0].weight == 1 }) {
        id = try node.take(id, axis: axis.axis, rows.map { $0[0].place })
        continue
      }
      _ = try node.real(x)
      var matrix = [Double](repeating: 0, count: axis.input * axis.output)
      for (output, row) in rows.enumerated() {
        for (place, weight) in row { matrix[place * axis.output + output] += weight }
      }
      let table = try node.table(
        "resize_\(axis.axis)", [axis.input, axis.output], matrix)
      id = try alongAxis(node.builder, id, axis.axis) {
        try multiplyRows(node.builder, $0, table)
      }
    }
    return node.result(id, x.element)
  }

  /// Our own up-samplings of images; nil where they are not it.
  private static func byWholeFactors(
    _ node: NodeImport, _ x: ModelValue, _ axes: [Axis], _ method: Method
  ) throws -> ModelValue? {
    guard x.rank == 4, x.element.isReal, axes.allSatisfy({ $0.axis >= 2 }) else { return nil }
    var factor = [1, 1]
    for axis in axes {
      guard axis.output > axis.input, axis.output % axis.input == 0 else { return nil }
      factor[axis.axis - 2] = axis.output / axis.input
      guard axis.scale == Double(factor[axis.axis - 2]) else { return nil }
    }
    let builder = node.builder
    switch method.mode {
    case "nearest":
      for axis in axes {
        let times = factor[axis.axis - 2]
        for output in 0..<axis.output {
          let row = try weights(of: output, axis, method)
          guard row.count == 1, row[0].place == output / times else { return nil }
        }
      }
      return node.image(
        try builder.upsampleNearest(node.channelsLast(x), factor: factor), x.element)
    case "linear" where ["half_pixel", "pytorch_half_pixel"].contains(method.coordinates):
      guard !method.excludesOutside else { return nil }
      return node.image(
        try builder.upsampleBilinear(node.channelsLast(x), factor: factor), x.element)
    default: return nil
    }
  }

  // MARK: Weights

  /// Where an element of the result lies in the operand.
  private static func coordinate(_ output: Int, _ axis: Axis, _ mode: String) throws -> Double {
    let (place, input, output) = (Double(output), Double(axis.input), Double(axis.output))
    switch mode {
    case "half_pixel": return (place + 0.5) / axis.scale - 0.5
    case "half_pixel_symmetric":
      // Scales that do not give a whole size are centred.
      let adjustment = output / (axis.scale * input)
      let offset = input / 2 * (1 - adjustment)
      return offset + (place + 0.5) / axis.scale - 0.5
    case "pytorch_half_pixel": return output > 1 ? (place + 0.5) / axis.scale - 0.5 : 0
    case "align_corners":
      // The size before it was rounded down, as the standard's own implementation has it.
      let exact = axis.scale * input
      return output > 1 ? place * (input - 1) / (exact - 1) : 0
    case "asymmetric": return place / axis.scale
    default: throw Unsupported(what: "Resize with the coordinates '\(mode)'")
    }
  }

  /// The places of the operand that an element of the result is made of. Beyond the ends the edge
  /// counts.
  private static func weights(
    of output: Int, _ axis: Axis, _ method: Method
  ) throws -> [(place: Int, weight: Double)] {
    let at = try coordinate(output, axis, method.coordinates)
    if method.mode == "nearest" {
      return [(min(max(try nearest(at, method.nearest), 0), axis.input - 1), 1)]
    }
    let isSmaller = method.antialiases && axis.scale < 1
    let stretch = isSmaller ? axis.scale : 1
    let reach = (method.mode == "linear" ? 1.0 : 2.0) / stretch
    var found: [(place: Int, weight: Double)] = []
    let (first, last) = (Int((at - reach).rounded(.down)) - 1, Int((at + reach).rounded(.up)) + 1)
    for place in first...last {
      let distance = abs(Double(place) - at) * stretch
      let weight =
        method.mode == "linear" ? max(0, 1 - distance) : cubic(distance, method.cubic)
      guard weight != 0 else { continue }
      let isOutside = place < 0 || place >= axis.input
      if isOutside, method.excludesOutside { continue }
      found.append((min(max(place, 0), axis.input - 1), weight))
    }
    let sum = found.reduce(0) { $0 + $1.weight }
    if method.excludesOutside || isSmaller, sum != 0 {
      return found.map { ($0.place, $0.weight / sum) }
    }
    return found
  }

  private static func nearest(_ at: Double, _ mode: String) throws -> Int {
    switch mode {
    case "floor": Int(at.rounded(.down))
    case "ceil": Int(at.rounded(.up))
    case "round_prefer_floor": Int((at - 0.5).rounded(.up))
    case "round_prefer_ceil": Int((at + 0.5).rounded(.down))
    default: throw Malformed(what: "has the unknown nearest_mode '\(mode)'")
    }
  }

  /// The cubic convolution of R. Keys, "Cubic convolution interpolation for digital image
  /// processing" (1981), with the free coefficient a.
  private static func cubic(_ distance: Double, _ a: Double) -> Double {
    let d = distance
    if d <= 1 { return ((a + 2) * d - (a + 3)) * d * d + 1 }
    if d < 2 { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a }
    return 0
  }
}
