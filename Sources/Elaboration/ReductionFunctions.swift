// Reductions, softmax and matrix products.

import Basics
import GraphIR
import Operators

extension FunctionLibrary {
  private static let axes = Parameter("axes", .integers, optional: true, aliases: ["axis"])
  private static let keep = Parameter("keepdims", .boolean, .boolean(false))

  private typealias Build =
    @Sendable (GraphBuilder, ValueID, [Int], Bool) throws(Diagnostic) -> ValueID

  private static func reduction(
    _ name: String, _ summary: String, _ build: @escaping Build
  ) -> FunctionEntry {
    FunctionEntry(name, .reduction, [.x, axes, keep], summary) { site throws(Diagnostic) in
      let x = try site.float("x")
      let axes = try site.axes("axes", of: x)
      return site.result(try build(site.builder, x.id, axes, try site.boolean("keepdims")))
    }
  }

  static let reductionFunctions: [FunctionEntry] = [
    reduction("sum", "The sum over the axes, over all where none is named.") {
      b, x, axes, keep throws(Diagnostic) in try b.sum(x, axes: axes, keepDims: keep)
    },
    reduction("mean", "The mean.") { b, x, axes, keep throws(Diagnostic) in
      try b.mean(x, axes: axes, keepDims: keep)
    },
    reduction("variance", "The mean square distance from the mean: divides by N.") {
      b, x, axes, keep throws(Diagnostic) in
      try b.moments(x, axes: axes, keepDims: keep).variance
    },
    reduction("max", "The largest element.") { b, x, axes, keep throws(Diagnostic) in
      try b.max(x, axes: axes, keepDims: keep)
    },
    reduction("min", "The smallest element.") { b, x, axes, keep throws(Diagnostic) in
      try b.negate(try b.max(try b.negate(x), axes: axes, keepDims: keep))
    },
    FunctionEntry(
      "argmax", .reduction, [.x, axes, keep],
      "The index (i32) of the largest element along one axis; of all elements where none is named."
    ) { site throws(Diagnostic) in
      let x = try site.float("x")
      let b = site.builder
      let keep = try site.boolean("keepdims")
      guard site.has("axes") else {
        let index = try b.argMax(try b.reshape(x.id, [x.type.count]), axis: 0)
        let shape = Array(repeating: 1, count: keep ? x.type.rank : 0)
        return site.result(try b.reshape(index, shape))
      }
      let axis = try site.axis("axes", of: x)
      var shape = x.type.shape
      shape[axis] = 1
      let index = try b.argMax(x.id, axis: axis)
      return site.result(keep ? try b.reshape(index, shape) : index)
    },
    reduction("norm", "√Σx², with gradient 0 at 0.") { b, x, axes, keep throws(Diagnostic) in
      // The root is taken of 1 where the sum is 0, and 0 put in its place: no infinite slope.
      let sum = try b.sum(try b.square(x), axes: axes, keepDims: keep)
      let positive = try b.compare(.gt, sum, 0)
      let safe = try b.select(positive, sum, try b.scalar(1))
      return try b.select(positive, try b.sqrt(safe), try b.scalar(0))
    },
    FunctionEntry("softmax", .reduction, [.x], "eˣ/Σeˣ over the last axis.") {
      site throws(Diagnostic) in site.result(try site.builder.softmax(try site.float("x").id))
    },
    FunctionEntry("logSoftmax", .reduction, [.x], "x − log Σeˣ over the last axis.") {
      site throws(Diagnostic) in site.result(try site.builder.logSoftmax(try site.float("x").id))
    },
    FunctionEntry(
      "matmul", .reduction, [Parameter("a", .tensor), Parameter("b", .tensor)],
      "The matrix product over the last two axes; leading axes must be equal."
    ) { site throws(Diagnostic) in
      let (a, b) = (try site.float("a"), try site.float("b"))
      let (m, k) = (a.type.shape, b.type.shape)
      guard m.count >= 2, k.count >= 2, m[m.count - 1] == k[k.count - 2],
        m.dropLast(2) == k.dropLast(2)
      else {
        throw Diagnostic(
          "shape.matmul", "matmul cannot multiply \(a.type) and \(b.type)", at: site.range,
          notes: [.init("a is \(a.type)", at: a.place), .init("b is \(b.type)", at: b.place)],
          help: "a is […, m, k] and b is […, k, n]")
      }
      return site.result(try site.builder.matmul(a.id, b.id))
    },
  ]
}
