// Normalisations. All work on axes of the value in whichever order its image has.

import Basics
import Formats
import GraphIR
import Operators

enum NormOperators {
  static let entries: [String: OperatorTable.Entry] = [
    "BatchNormalization": .init(["epsilon", "momentum", "spatial", "training_mode"], batch),
    "InstanceNormalization": .init(["epsilon"], instance),
    "LayerNormalization": .init(["axis", "epsilon", "stash_type"], layer),
    "RMSNormalization": .init(["axis", "epsilon", "stash_type"], rootMeanSquare),
    "GroupNormalization": .init(["epsilon", "num_groups", "stash_type"], group),
    "LpNormalization": .init(["axis", "p"], power),
    "MeanVarianceNormalization": .init(["axes"], meanVariance),
    "LRN": .init(["alpha", "beta", "bias", "size"], localResponse),
  ]

  /// An image in the order of axes that it is in already, with that order's axes.
  private struct Image {
    var id: ValueID
    var isTurned: Bool
    var shape: [Int]

    init(_ node: NodeImport, _ x: ModelValue) throws {
      isTurned = x.isTurned
      id = try isTurned ? node.channelsLast(x) : node.planar(x)
      shape = node.builder.shape(of: id)
    }

    var channelAxis: Int { isTurned ? 3 : 1 }
    /// All but the batch and the channels.
    var spatialAxes: [Int] { isTurned ? [1, 2] : Array(2..<shape.count) }

    /// A value a channel, [c], in a shape that broadcasts to the image.
    func aligned(_ node: NodeImport, _ value: ValueID) throws -> ValueID {
      var shape = [Int](repeating: 1, count: shape.count)
      shape[channelAxis] = self.shape[channelAxis]
      return try node.builder.reshape(value, shape)
    }

    func result(_ node: NodeImport, _ id: ValueID, _ element: ONNXElement) -> ModelValue {
      isTurned ? node.image(id, element) : node.result(id, element)
    }
  }

  /// 1 / √(variance + ε)
  private static func inverse(
    _ builder: GraphBuilder, _ variance: ValueID, _ epsilon: Double
  ) throws -> ValueID {
    try builder.divide(1, builder.sqrt(builder.add(variance, epsilon)))
  }

  /// (x − mean) · inverse
  private static func centred(
    _ builder: GraphBuilder, _ x: ValueID, _ mean: ValueID, _ inverse: ValueID
  ) throws -> ValueID {
    try builder.multiply(builder.subtract(x, mean), inverse)
  }

  private static func epsilon(_ node: NodeImport) throws -> Double {
    try node.float("epsilon", 1e-5)
  }

  // MARK: Over the batch

  @Sendable private static func batch(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.real(node.input(0))
    guard x.rank >= 2 else { throw Malformed(what: "needs channels, found \(shapeText(x.shape))") }
    let channels = [x.shape[1]]
    let statistics = try (1...4).map { try node.input($0) }
    for value in statistics where value.shape != channels {
      throw Malformed(
        what: "needs \(shapeText(channels)) for '\(value.name)', found \(shapeText(value.shape))")
    }
    if try node.int("spatial", 1) == 0 {
      throw Unsupported(what: "BatchNormalization, spatial = 0")
    }
    if try node.flag("training_mode") { return try training(node, x, statistics) }
    guard !(1..<node.node.outputs.count).contains(where: node.wants) else {
      throw Unsupported(what: "BatchNormalization with outputs of statistics")
    }
    let builder = node.builder
    let (scale, shift) = try factors(node, statistics)
    let image = try Image(node, x)
    let scaled = try builder.multiply(image.id, image.aligned(node, node.planar(scale)))
    let y = try builder.add(scaled, image.aligned(node, node.planar(shift)))
    return [image.result(node, y, x.element)]
  }

  /// y = x · s + t with s = scale / √(variance + ε) and t = shift − mean · s, worked out now where
  /// the statistics are known.
  private static func factors(
    _ node: NodeImport, _ statistics: [ModelValue]
  ) throws -> (scale: ModelValue, shift: ModelValue) {
    let epsilon = try epsilon(node)
    let known = statistics.compactMap(\.values)
    let shape = statistics[0].shape
    if known.count == 4 {
      let scale = zip(known[0], known[3]).map { $0 / ($1 + epsilon).squareRoot() }
      let shift = known[1].indices.map { known[1][$0] - known[2][$0] * scale[$0] }
      let name = node.title
      return (
        ModelValue(name: "\(name).scale", .float, shape, values: scale),
        ModelValue(name: "\(name).shift", .float, shape, values: shift)
      )
    }
    let builder = node.builder
    let ids = try statistics.map(node.planar)
    let scale = try builder.divide(ids[0], builder.sqrt(builder.add(ids[3], epsilon)))
    let shift = try builder.subtract(ids[1], builder.multiply(ids[2], scale))
    return (
      ModelValue(name: "", .float, shape, planar: scale),
      ModelValue(name: "", .float, shape, planar: shift)
    )
  }

  /// With the batch's own statistics, and the running ones carried on.
  private static func training(
    _ node: NodeImport, _ x: ModelValue, _ statistics: [ModelValue]
  ) throws -> [ModelValue?] {
    let builder = node.builder
    let image = try Image(node, x)
    let axes = image.shape.indices.filter { $0 != image.channelAxis }
    let (mean, variance) = try builder.moments(image.id, axes: axes)
    let ids = try statistics.map(node.planar)
    let normal = try centred(
      builder, image.id, image.aligned(node, mean),
      image.aligned(node, inverse(builder, variance, epsilon(node))))
    let scaled = try builder.multiply(normal, image.aligned(node, ids[0]))
    let y = try builder.add(scaled, image.aligned(node, ids[1]))
    let momentum = try node.float("momentum", 0.9)
    func running(_ before: ValueID, _ now: ValueID, _ index: Int) throws -> ModelValue {
      let sum = try builder.add(
        builder.scaled(before, by: momentum), builder.scaled(now, by: 1 - momentum))
      return node.result(sum, x.element, index)
    }
    return [
      image.result(node, y, x.element), try running(ids[2], mean, 1),
      try running(ids[3], variance, 2),
    ]
  }

  // MARK: Over parts of one image

  @Sendable private static func instance(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.real(node.input(0))
    guard x.rank >= 3 else { throw Malformed(what: "needs an image, found \(shapeText(x.shape))") }
    let builder = node.builder
    let image = try Image(node, x)
    let (mean, variance) = try builder.moments(image.id, axes: image.spatialAxes, keepDims: true)
    let normal = try centred(
      builder, image.id, mean, inverse(builder, variance, epsilon(node)))
    let scaled = try builder.multiply(normal, image.aligned(node, node.planar(node.input(1))))
    let y = try builder.add(scaled, image.aligned(node, node.planar(node.input(2))))
    return [image.result(node, y, x.element)]
  }

  /// Before version 21 with a scale and a shift for each group, then for each channel.
  @Sendable private static func group(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.real(node.input(0))
    guard let groups = try node.int("num_groups"), x.rank >= 2, groups >= 1,
      x.shape[1] % groups == 0
    else { throw Malformed(what: "needs groups that divide the channels of \(shapeText(x.shape))") }
    let builder = node.builder
    let inner = x.count / (x.shape[0] * groups)
    let parts = try builder.reshape(node.planar(x), [x.shape[0], groups, inner])
    let (mean, variance) = try builder.moments(parts, axes: [2], keepDims: true)
    let normal = try centred(builder, parts, mean, inverse(builder, variance, epsilon(node)))
    let isOfGroups = node.opset < 21
    let shape =
      isOfGroups
      ? [x.shape[0], groups, inner] : [x.shape[0], x.shape[1], x.count / (x.shape[0] * x.shape[1])]
    let factor = [1, isOfGroups ? groups : x.shape[1], 1]
    let scaled = try builder.multiply(
      builder.reshape(normal, shape), builder.reshape(node.planar(node.input(1)), factor))
    let y = try builder.add(scaled, builder.reshape(node.planar(node.input(2)), factor))
    return [node.result(try builder.reshape(y, x.shape), x.element)]
  }

  @Sendable private static func layer(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.real(node.input(0))
    let builder = node.builder
    let axis = try node.axis(node.int("axis", -1), rank: x.rank)
    let id = try node.planar(x)
    let (mean, variance) = try builder.moments(id, axes: Array(axis..<x.rank), keepDims: true)
    let scale = try inverse(builder, variance, epsilon(node))
    var y = try builder.multiply(
      centred(builder, id, mean, scale), node.planar(node.input(1)))
    if let shift = node.optional(2) { y = try builder.add(y, node.planar(shift)) }
    return [
      node.result(y, x.element), node.result(mean, .float, 1), node.result(scale, .float, 2),
    ]
  }

  @Sendable private static func rootMeanSquare(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.real(node.input(0))
    let builder = node.builder
    let axis = try node.axis(node.int("axis", -1), rank: x.rank)
    let id = try node.planar(x)
    let square = try builder.mean(
      builder.square(id), axes: Array(axis..<x.rank), keepDims: true)
    let normal = try builder.multiply(id, inverse(builder, square, epsilon(node)))
    return [
      node.result(try builder.multiply(normal, node.planar(node.input(1))), x.element)
    ]
  }

  /// x / ‖x‖ along one axis; zeros stay zeros.
  @Sendable private static func power(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.real(node.input(0))
    let builder = node.builder
    let axis = try node.axis(node.int("axis", -1), rank: x.rank)
    let id = try node.planar(x)
    let norm: ValueID
    switch try node.int("p", 2) {
    case 1: norm = try builder.sum(builder.absolute(id), axes: [axis], keepDims: true)
    case 2: norm = try builder.sqrt(builder.sum(builder.square(id), axes: [axis], keepDims: true))
    case let p: throw Malformed(what: "has p = \(p)")
    }
    let isZero = try builder.compare(.eq, norm, 0)
    let safe = try builder.select(isZero, builder.scalar(1), norm)
    return [node.result(try builder.divide(id, safe), x.element)]
  }

  @Sendable private static func meanVariance(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.real(node.input(0))
    let builder = node.builder
    let axes = try node.axes(node.ints("axes") ?? [0, 2, 3], rank: x.rank)
    let id = try node.planar(x)
    let (mean, variance) = try builder.moments(id, axes: axes, keepDims: true)
    // The standard's own definition adds 10⁻⁹ to the deviation.
    let deviation = try builder.add(builder.sqrt(variance), 1e-9)
    return [
      node.result(try builder.divide(builder.subtract(id, mean), deviation), x.element)
    ]
  }

  /// x / (bias + α/size · Σ x²)^β, the sum over `size` channels around each: a product of the
  /// squares with a band of ones.
  @Sendable private static func localResponse(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.real(node.input(0))
    guard x.rank == 4, let size = try node.int("size"), size >= 1, x.shape[1] <= 1024 else {
      throw Unsupported(what: "LRN of \(shapeText(x.shape))")
    }
    let builder = node.builder
    let channels = x.shape[1]
    var band: [Double] = []
    for from in 0..<channels {
      for to in 0..<channels {
        let distance = from - to
        band.append(distance >= -((size - 1) / 2) && distance <= size / 2 ? 1 : 0)
      }
    }
    let id = try node.channelsLast(x)
    let ones = try node.table("band", [channels, channels], band)
    let sum = try multiplyRows(builder, builder.square(id), ones)
    let alpha = try node.float("alpha", 1e-4) / Double(size)
    let base = try builder.add(builder.scaled(sum, by: alpha), node.float("bias", 1))
    let divisor = try builder.power(base, node.float("beta", 0.75))
    return [node.image(try builder.divide(id, divisor), x.element)]
  }
}
