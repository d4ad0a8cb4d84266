// Random numbers. Each draw has a stream of its own, a hash of the path of calls, the use in it and
// the round of
// `repeat`, so that it is fresh at each step, reproducible, and not disturbed by edits elsewhere.

import Basics
import GraphIR
import GraphSyntax
import Operators

extension FunctionLibrary {
  private static let shape = Parameter("shape", .shape)

  static let randomFunctions: [FunctionEntry] = [
    FunctionEntry("normal", .random, [shape], "Standard normal numbers.") {
      site throws(Diagnostic) in
      // normal(0.02) is the initialiser.
      let value = try site.value("shape")
      if let deviation = value.number, deviation >= 0 { return .initializer(.normal(deviation)) }
      let shape = try site.shape("shape")
      return site.result(try site.draw(shape, normal: true))
    },
    FunctionEntry(
      "uniform", .random,
      [shape, Parameter("low", .number, .integer(0)), Parameter("high", .number, .integer(1))],
      "Uniform numbers in [low, high)."
    ) { site throws(Diagnostic) in
      // uniform(-0.1, 0.1) is the initialiser.
      if let low = try site.value("shape").number, site.has("low"), !site.has("high") {
        let high = try site.number("low")
        guard low <= high else { throw site.bad("low", "low is above high") }
        return .initializer(.uniform(low, high))
      }
      let shape = try site.shape("shape")
      let (low, high) = (try site.number("low"), try site.number("high"))
      let u = try site.draw(shape)
      let b = site.builder
      let scaled = try b.scaled(u, by: high - low)
      return site.result(low == 0 ? scaled : try b.add(scaled, low))
    },
    FunctionEntry(
      "bernoulli", .random, [shape, Parameter("p", .number)],
      "1 with probability p, else 0."
    ) { site throws(Diagnostic) in
      let shape = try site.shape("shape")
      let p = try site.number("p")
      guard p >= 0, p <= 1 else {
        throw site.bad("p", "p is \(numberText(p)), but between 0 and 1")
      }
      let hit = try site.builder.compare(.lt, try site.draw(shape), p)
      return site.result(try site.builder.convert(hit, to: .f32))
    },
    FunctionEntry(
      "categorical", .random, [shape, Parameter("classes", .integer)],
      "Whole numbers (i32) from 0 up to, but without, classes, all equally likely."
    ) { site throws(Diagnostic) in
      let shape = try site.shape("shape")
      let classes = try site.integer("classes", atLeast: 1)
      guard classes <= 1 << 24 else { throw site.bad("classes", "at most 2^24 classes") }
      let b = site.builder
      // The product may round up to `classes`.
      let scaled = try b.multiply(try site.draw(shape), Double(classes))
      let index = try b.convert(scaled, to: .i32)
      return site.result(try b.minimum(index, Double(classes - 1)))
    },
    FunctionEntry(
      "dropout", .random, [.x, Parameter("rate", .number)],
      "In training mode, elements set to 0 with probability rate, the others divided by 1 − rate."
    ) { site throws(Diagnostic) in
      let x = try site.float("x")
      let rate = try site.number("rate")
      guard rate >= 0, rate < 1 else {
        throw site.bad("rate", "the rate is \(numberText(rate)), but at least 0 and less than 1")
      }
      guard site.isTraining, rate > 0 else { return site.result(x.id) }
      let b = site.builder
      let kept = try b.compare(.ge, try site.draw(x.type.shape), rate)
      let mask = try b.multiply(try b.convert(kept, to: .f32), 1 / (1 - rate))
      return site.result(try b.multiply(x.id, mask))
    },
  ]
}

extension CallSite {
  /// Uniform or normal numbers of this call's stream.
  func draw(_ shape: [Int], normal: Bool = false) throws(Diagnostic) -> ValueID {
    let context = elaborator.context
    guard context.purpose != .constant else {
      throw Diagnostic(
        "constant.expected", "random numbers are no constants", at: range,
        help: "draw them in train or sample")
    }
    let seed = try builder.input(.seed, .i32(2))
    let step = try builder.input(.step, .i32())
    let stream = context.stream("\(elaborator.frame.use(entry.name))@\(context.roundText)")
    return normal
      ? try builder.randomNormal(shape, stream: stream, seed: seed, step: step)
      : try builder.randomUniform(shape, stream: stream, seed: seed, step: step)
  }
}
