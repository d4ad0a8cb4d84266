// Layers without a window: dense, embedding, prelu, and the free parameter.

import Basics
import GraphIR
import Operators

extension FunctionLibrary {
  /// `spectral`, which dense layers and convolutions share.
  static let spectral = Parameter("spectral", .boolean, .boolean(false))
  static let weightInit = Parameter("init", .initializer, .initializer(.glorotUniform))
  static let biasInit = Parameter("biasInit", .initializer, .initializer(.zeros))
  static let useBias = Parameter("bias", .boolean, .boolean(true))

  static let denseLayers: [FunctionEntry] = [
    FunctionEntry(
      "dense", .layer,
      [.x, Parameter("units", .integer), useBias, weightInit, biasInit, spectral],
      "x · kernel + bias on the last axis; kernel [in, units]."
    ) { site throws(Diagnostic) in
      try site.refuseSpectral()
      let x = try site.float("x")
      let units = try site.integer("units", atLeast: 1)
      guard let inputs = x.type.shape.last else {
        throw Diagnostic(
          "shape.rank", "dense needs an axis to work on, but x is a scalar", at: site.range(of: "x")
        )
      }
      let kernel = try site.parameter("kernel", [inputs, units], try site.initializer("init"))
      let b = site.builder
      // The product is of matrices: all axes but the last are rows.
      let rows = x.type.count / inputs
      let flat = try b.reshape(x.id, [rows, inputs])
      var y = try b.matmul(flat, kernel)
      y = try site.addBias(y, units, fanIn: Double(inputs))
      return site.result(try b.reshape(y, Array(x.type.shape.dropLast()) + [units]))
    },
    FunctionEntry(
      "embedding", .layer,
      [
        Parameter("ids", .tensor), Parameter("count", .integer), Parameter("width", .integer),
        Parameter("init", .initializer, .initializer(.normal(0.05))),
      ],
      "The rows of a learned table [count, width] that the ids (i32) name."
    ) { site throws(Diagnostic) in
      let ids = try site.integers32("ids")
      let shape = [
        try site.integer("count", atLeast: 1), try site.integer("width", atLeast: 1),
      ]
      let table = try site.parameter("table", shape, try site.initializer("init"))
      return site.result(try site.builder.gatherRows(table, ids.id))
    },
    FunctionEntry(
      "prelu", .layer,
      [.x, Parameter("init", .initializer, .initializer(.constant(0.25)))],
      "x where it is positive, else slope · x with one learned slope per channel."
    ) { site throws(Diagnostic) in
      let x = try site.float("x")
      let channels = try site.channels(x)
      let slope = try site.parameter("slope", [channels], try site.initializer("init"))
      let b = site.builder
      let positive = try b.compare(.gt, x.id, 0)
      return site.result(try b.select(positive, x.id, try b.multiply(slope, x.id)))
    },
    FunctionEntry(
      "parameter", .layer, [Parameter("shape", .shape), weightInit],
      "A free learned tensor."
    ) { site throws(Diagnostic) in
      let shape = try site.shape("shape")
      return site.result(try site.parameter("value", shape, try site.initializer("init")))
    },
  ]
}

extension CallSite {
  func refuseSpectral() throws(Diagnostic) {
    if try boolean("spectral") {
      throw elaborator.notYet("spectral normalisation", at: range(of: "spectral"))
    }
  }

  /// The size of the last axis.
  func channels(_ x: TensorValue) throws(Diagnostic) -> Int {
    guard let channels = x.type.shape.last else {
      throw Diagnostic(
        "shape.rank", "\(entry.name) needs channels, but x is a scalar", at: range(of: "x"),
        notes: [.init("it is made here", at: x.place)])
    }
    return channels
  }

  /// y + bias, where the layer has one. Its fan-in is the kernel's.
  func addBias(_ y: ValueID, _ units: Int, fanIn: Double) throws(Diagnostic) -> ValueID {
    guard try boolean("bias") else { return y }
    let spec = try initializer("biasInit")
    var fans = Fans(shape: [units])
    if spec == .fanInUniform { fans.fanIn = fanIn }
    let bias = try parameter("bias", [units], spec, fans: fans)
    return try builder.add(y, bias)
  }
}
