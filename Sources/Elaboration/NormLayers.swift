// Normalisations: batch, instance, layer and group. Each is moments and element-wise arithmetic;
// only batch normalisation has states besides its parameters, and moves them at every call in
// training mode.

import Basics
import GraphIR
import Operators

extension FunctionLibrary {
  private static let center = Parameter("center", .boolean, .boolean(true))
  private static let scale = Parameter("scale", .boolean, .boolean(true))
  private static let epsilon = Parameter("epsilon", .number, .float(1e-5))

  static let normLayers: [FunctionEntry] = [
    FunctionEntry(
      "batchNorm", .layer,
      [
        .x, Parameter("momentum", .number, .float(0.99)),
        Parameter("epsilon", .number, .float(1e-3)), center, scale,
        .word("variance", ["biased", "unbiased"], "biased"),
      ],
      "Normalises over all axes but the last; `variance` concerns the running variance only."
    ) { site throws(Diagnostic) in try batchNorm(site) },
    FunctionEntry(
      "instanceNorm", .layer, [.x, epsilon, center, scale],
      "Normalises each channel of each image over height and width."
    ) { site throws(Diagnostic) in
      let x = try site.float("x", rank: 4, "[n, h, w, c]")
      return site.result(try site.normalize(x.id, axes: [1, 2], channels: x.type.shape[3]))
    },
    FunctionEntry(
      "layerNorm", .layer, [.x, epsilon, center, scale], "Normalises over the last axis."
    ) { site throws(Diagnostic) in
      let x = try site.float("x")
      let channels = try site.channels(x)
      return site.result(
        try site.normalize(x.id, axes: [x.type.rank - 1], channels: channels))
    },
    FunctionEntry(
      "groupNorm", .layer, [.x, Parameter("groups", .integer), epsilon, center, scale],
      "Normalises over height, width and the channels of each group."
    ) { site throws(Diagnostic) in
      let x = try site.float("x", rank: 4, "[n, h, w, c]")
      let groups = try site.integer("groups", atLeast: 1)
      let shape = x.type.shape
      guard shape[3] % groups == 0 else {
        throw site.bad("groups", "\(shape[3]) channels do not divide into \(groups) groups")
      }
      let grouped = [shape[0], shape[1], shape[2], groups, shape[3] / groups]
      let split = try site.builder.reshape(x.id, grouped)
      let y = try site.normalize(split, axes: [1, 2, 4], channels: shape[3], restoring: shape)
      return site.result(y)
    },
  ]

  private static func batchNorm(_ site: CallSite) throws(Diagnostic) -> Value {
    let x = try site.float("x")
    let channels = try site.channels(x)
    guard x.type.rank >= 2 else {
      throw Diagnostic(
        "shape.rank", "batchNorm needs a batch and channels, but x is \(x.type)",
        at: site.range(of: "x"), notes: [.init("it is made here", at: x.place)])
    }
    let momentum = try site.number("momentum")
    guard momentum >= 0, momentum <= 1 else {
      throw site.bad("momentum", "momentum is \(numberText(momentum)), but between 0 and 1")
    }
    let epsilon = try site.epsilon()
    let b = site.builder
    let gamma = try site.gamma(channels)
    let beta = try site.beta(channels)
    let runningMean = try site.declare(
      "runningMean", [channels], .runningStatistic, .constant(0))
    let runningVariance = try site.declare(
      "runningVariance", [channels], .runningStatistic, .constant(1))

    let mean: ValueID
    let variance: ValueID
    if site.isTraining {
      (mean, variance) = try b.moments(x.id, axes: Array(0..<(x.type.rank - 1)))
      if site.elaborator.context.purpose != .sample {
        var sample = variance
        if try site.word("variance") == "unbiased" {
          let count = Double(x.type.count / channels)
          // A batch of one has no unbiased variance; its biased one, 0, stands for it.
          sample = try b.scaled(variance, by: count / max(count - 1, 1))
        }
        try site.move(runningMean, toward: mean, momentum)
        try site.move(runningVariance, toward: sample, momentum)
      }
    } else {
      mean = try site.elaborator.read(runningMean, at: site.callee.range)
      variance = try site.elaborator.read(runningVariance, at: site.callee.range)
    }
    // One factor per channel, so that the image is passed over once: (x − mean)·(γ/√(v + ε)) + β.
    let deviation = try b.sqrt(try b.add(variance, epsilon))
    let factor: ValueID
    if let gamma {
      factor = try b.divide(gamma, deviation)
    } else {
      factor = try b.divide(1, deviation)
    }
    var y = try b.multiply(try b.subtract(x.id, mean), factor)
    if let beta { y = try b.add(y, beta) }
    return site.result(y)
  }
}

extension CallSite {
  func epsilon() throws(Diagnostic) -> Double {
    let epsilon = try number("epsilon")
    guard epsilon >= 0 else {
      throw bad("epsilon", "epsilon is \(numberText(epsilon)), but at least 0")
    }
    elaborator.checkEpsilon(epsilon, of: entry.name, at: range(of: "epsilon"))
    return epsilon
  }

  func gamma(_ channels: Int) throws(Diagnostic) -> ValueID? {
    try boolean("scale") ? try parameter("gamma", [channels], .ones) : nil
  }

  func beta(_ channels: Int) throws(Diagnostic) -> ValueID? {
    try boolean("center") ? try parameter("beta", [channels], .zeros) : nil
  }

  /// running ← momentum·running + (1 − momentum)·batch
  func move(
    _ state: StateDeclaration, toward batch: ValueID, _ momentum: Double
  ) throws(Diagnostic) {
    let b = builder
    let old = try elaborator.context.read(state)
    let kept = try b.multiply(old, momentum)
    let fresh = try b.multiply(try b.stopGradient(batch), 1 - momentum)
    try elaborator.context.assign(state, try b.add(kept, fresh))
  }

  /// (x − mean)/√(v + ε) over the axes of one example, then γ and β per channel in the shape
  /// `restoring`.
  func normalize(
    _ x: ValueID, axes: [Int], channels: Int, restoring shape: [Int]? = nil
  ) throws(Diagnostic) -> ValueID {
    let epsilon = try epsilon()
    let gamma = try gamma(channels)
    let beta = try beta(channels)
    let b = builder
    let (mean, variance) = try b.moments(x, axes: axes, keepDims: true)
    let deviation = try b.sqrt(try b.add(variance, epsilon))
    var y = try b.multiply(try b.subtract(x, mean), try b.divide(1, deviation))
    if let shape { y = try b.reshape(y, shape) }
    if let gamma { y = try b.multiply(y, gamma) }
    if let beta { y = try b.add(y, beta) }
    return y
  }
}
