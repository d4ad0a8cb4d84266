// Losses: means over all elements, against a number or a tensor. And gradients inside the step.

import Basics
import GraphIR
import Operators

extension FunctionLibrary {
  private static let target = Parameter("target", .tensor)
  private static let p = Parameter("p", .tensor)

  static let lossFunctions: [FunctionEntry] = [
    FunctionEntry(
      "bce", .loss, [p, target, Parameter("clip", .number, .float(1e-7))],
      "Binary cross entropy of probabilities; from the logits where p is a sigmoid's result."
    ) { site throws(Diagnostic) in try binaryCrossEntropy(site) },
    FunctionEntry(
      "bceWithLogits", .loss, [.x, target], "Binary cross entropy of logits."
    ) { site throws(Diagnostic) in
      let (x, t) = try site.prediction("x")
      return try site.meanOf(try site.builder.bceWithLogits(x.id, t.id))
    },
    FunctionEntry("mse", .loss, [.x, target], "The mean square difference.") {
      site throws(Diagnostic) in
      let (x, t) = try site.prediction("x")
      return try site.meanOf(try site.builder.square(try site.builder.subtract(x.id, t.id)))
    },
    FunctionEntry("l1", .loss, [.x, target], "The mean absolute difference.") {
      site throws(Diagnostic) in
      let (x, t) = try site.prediction("x")
      return try site.meanOf(try site.builder.absolute(try site.builder.subtract(x.id, t.id)))
    },
    FunctionEntry("hinge", .loss, [.x, target], "The mean of max(0, 1 − target · x); target ±1.") {
      site throws(Diagnostic) in
      let (x, t) = try site.prediction("x")
      let b = site.builder
      return try site.meanOf(try b.relu(try b.subtract(1, try b.multiply(t.id, x.id))))
    },
    FunctionEntry(
      "crossEntropy", .loss, [Parameter("logits", .tensor), Parameter("ids", .tensor)],
      "The mean of −log softmax(logits) at each id (i32)."
    ) { site throws(Diagnostic) in
      let logits = try site.float("logits")
      let ids = try site.integers32("ids")
      site.elaborator.checkScale(of: logits, site, "logits")
      guard logits.type.rank >= 1, ids.type.shape == Array(logits.type.shape.dropLast()) else {
        throw Diagnostic(
          "shape.target",
          "crossEntropy needs one id for each row of \(logits.type), but ids are \(ids.type)",
          at: site.range(of: "ids"),
          notes: [
            .init("the logits are made here", at: logits.place),
            .init("the ids are made here", at: ids.place),
          ])
      }
      let b = site.builder
      let chosen = try b.oneHot(ids.id, count: logits.type.shape.last!)
      let terms = try b.multiply(chosen, try b.logSoftmax(logits.id))
      let rows = try b.sum(terms, axes: [logits.type.rank - 1])
      return try site.meanOf(try b.negate(rows))
    },
  ]

  private static func binaryCrossEntropy(_ site: CallSite) throws(Diagnostic) -> Value {
    let (p, t) = try site.prediction("p")
    let clip = try site.number("clip")
    guard clip >= 0, clip < 0.5 else {
      throw site.bad("clip", "clip is \(numberText(clip)), but at least 0 and less than 0.5")
    }
    let b = site.builder
    // PyTorch's form is asked for by name, so it is kept even where logits are at hand.
    if clip == 0 { return try site.meanOf(try b.bceClamped(p.id, t.id)) }
    if let node = b.graph.producer(of: p.id), node.operation is Sigmoid {
      return try site.meanOf(try b.bceWithLogits(node.operands[0], t.id))
    }
    let q = try b.minimum(try b.maximum(p.id, clip), 1 - clip)
    // −(t·log q + (1 − t)·log(1 − q))
    let hit = try b.multiply(t.id, try b.log(q))
    let miss = try b.multiply(try b.subtract(1, t.id), try b.log(try b.subtract(1, q)))
    return try site.meanOf(try b.negate(try b.add(hit, miss)))
  }

  static let gradientFunctions: [FunctionEntry] = [
    FunctionEntry("stopGradient", .gradient, [.x], "x, as a constant to every gradient.") {
      site throws(Diagnostic) in
      let x = try site.tensor("x")
      if !x.type.element.isFloat { return .tensor(x) }
      return site.result(try site.builder.stopGradient(x.id))
    },
    FunctionEntry(
      "gradient", .gradient, [Parameter("of", .tensor), Parameter("wrt", .tensor)],
      "The derivative of a scalar with respect to a value, itself differentiable."
    ) { site throws(Diagnostic) in
      let scalar = try site.float("of")
      guard scalar.type.isScalar else {
        throw Diagnostic(
          "gradient.scalar", "gradient is of a scalar, but this is \(scalar.type)",
          at: site.range(of: "of"), notes: [.init("it is made here", at: scalar.place)],
          help: "take the sum or the mean first")
      }
      let given = try site.value("wrt")
      guard case .tensor(let value) = given, value.type.element == .f32 else {
        throw site.wrong("wrt", "a tensor of f32", given)
      }
      let reached = site.elaborator.reach(from: scalar.id, stoppingAt: [value.id])
      guard reached.contains(value.id) else {
        throw Diagnostic(
          "gradient.independent", "the scalar does not depend on this value",
          at: site.range(of: "wrt"),
          notes: [
            .init("the scalar is made here", at: scalar.place),
            .init("the value is made here", at: value.place),
          ],
          help: "stopGradient and comparisons cut the dependence; name the value that was used")
      }
      return site.result(try site.builder.gradient(scalar.id, wrt: [value.id])[0])
    },
  ]
}

extension CallSite {
  /// A prediction and its target, which must broadcast to the prediction's shape.
  func prediction(_ name: String) throws(Diagnostic) -> (TensorValue, TensorValue) {
    let x = try float(name)
    let t = try float("target")
    guard broadcastShapes(x.type.shape, t.type.shape) == x.type.shape else {
      throw Diagnostic(
        "shape.target", "\(entry.name): the target \(t.type) does not fit to \(x.type)",
        at: range(of: "target"),
        notes: [
          .init("\(name) is \(x.type)", at: x.place), .init("the target is made here", at: t.place),
        ],
        help: "a target is a number, or has the prediction's shape")
    }
    elaborator.checkScale(of: x, self, name)
    return (x, t)
  }

  func meanOf(_ x: ValueID) throws(Diagnostic) -> Value { result(try builder.mean(x)) }
}

extension Elaborator {
  /// The values that `loss` depends on by paths that carry a gradient. Paths end at the values of
  /// `stops`. O(its ancestors).
  func reach(from loss: ValueID, stoppingAt stops: Set<ValueID>) -> BitSet {
    let graph = builder.graph
    var reached = BitSet()
    var open = [loss]
    reached.insert(loss)
    while let value = open.popLast() {
      guard !stops.contains(value), graph.type(of: value).element.isFloat,
        let node = graph.producer(of: value), !node.operation.blocksGradient
      else { continue }
      for operand in node.operands where reached.insert(operand.index) { open.append(operand) }
    }
    return reached
  }
}
