// Optimisers: their list, how a program's call of one is read, and their rules as element-wise
// graphs. Step sizes are computed in f64 and rounded once.

import Basics
import GraphIR
import GraphSyntax
import Operators

struct OptimizerEntry: Sendable {
  var name: String
  var parameters: [Parameter]
  var summary: String

  var signature: String { "\(name)(" + parameters.map(\.text).joined(separator: ", ") + ")" }
}

private let adamParameters: [Parameter] = [
  Parameter("rate", .number), Parameter("beta1", .number, .float(0.9)),
  Parameter("beta2", .number, .float(0.999)), Parameter("epsilon", .number, .float(1e-7)),
  .word("epsilonStyle", ["keras", "pytorch"], "keras"),
]

/// The optimisers of the language.
let optimizerEntries: [OptimizerEntry] = [
  OptimizerEntry(
    name: "adam", parameters: adamParameters,
    summary: "α·√(1−β2ᵗ)/(1−β1ᵗ)·m/(√v+ε); pytorch adds ε after the bias-corrected root."),
  OptimizerEntry(
    name: "adamW", parameters: adamParameters + [Parameter("weightDecay", .number, .float(0.01))],
    summary: "Adam, after p ← p − rate·weightDecay·p."),
  OptimizerEntry(
    name: "sgd",
    parameters: [
      Parameter("rate", .number), Parameter("momentum", .number, .float(0)),
      Parameter("nesterov", .boolean, .boolean(false)),
    ],
    summary: "p − rate·g; with momentum m ← momentum·m − rate·g, p + m, as Keras."),
  OptimizerEntry(
    name: "rmsprop",
    parameters: [
      Parameter("rate", .number), Parameter("rho", .number, .float(0.9)),
      Parameter("momentum", .number, .float(0)), Parameter("epsilon", .number, .float(1e-7)),
    ],
    summary: "v ← rho·v + (1−rho)·g², rate·g/√(v+ε)."),
]

/// The optimisers, as the reference lists them.
package let optimizerDocuments: [FunctionDocument] = optimizerEntries.map {
  FunctionDocument(group: "optimizer", signature: $0.signature, summary: $0.summary)
}

/// An optimiser as an update uses it.
struct Optimizer {
  enum Rule {
    case adam(beta1: Double, beta2: Double, epsilon: Double, pytorch: Bool, decay: Double)
    case sgd(momentum: Double, nesterov: Bool)
    case rmsprop(rho: Double, momentum: Double, epsilon: Double)

    /// Whether it needs the count of its steps.
    var counts: Bool { if case .adam = self { true } else { false } }
  }
  /// Whose moments they are: its name, or that of the statement it belongs to.
  var owner: String
  var rule: Rule
  /// A number, or a scalar of the graph.
  var rate: Value
  var rateRange: SourceRange
}

/// The scalars of one application of an optimiser, f32.
struct OptimizerStep {
  /// What the update is multiplied by.
  var size: ValueID
  /// √(1 − β2ᵗ), for PyTorch's Adam.
  var root: ValueID?
  /// 1 − rate·weightDecay
  var keep: ValueID?
}

extension Elaborator {
  // MARK: Reading

  /// The optimiser after `with`: a declared one by its name, or a call.
  func resolveOptimizer(_ expression: Expression) throws(Diagnostic) -> Optimizer {
    switch expression.kind {
    case .call(let call):
      let owner = updates.inlineOwners[expression.range.start] ?? "update"
      return try readOptimizer(call, owner: owner)
    case .name(let name):
      slips.noteUse(ofItem: name)
      guard let item = declarations.optimizers[name] else {
        if optimizerEntries.contains(where: { $0.name == name }) {
          throw Diagnostic(
            "argument.missing", "\(name) needs its rate", at: expression.range,
            help: "\(name)(2e-4)")
        }
        throw Diagnostic(
          "optimizer.unknown", "there is no optimizer \(name)", at: expression.range,
          help: suggestion(
            for: name, in: declarations.names(.optimizer) + optimizerEntries.map(\.name)))
      }
      return try declaredOptimizer(item)
    default:
      throw Diagnostic(
        "optimizer.unknown", "an optimizer is a name or a call such as adam(2e-4)",
        at: expression.range)
    }
  }

  /// A declared optimiser; its rate sees constants, `step` and `epoch`.
  func declaredOptimizer(_ item: OptimizerItem) throws(Diagnostic) -> Optimizer {
    guard case .call(let call) = item.value.kind else {
      throw Diagnostic(
        "optimizer.unknown", "an optimizer is a call such as adam(2e-4)", at: item.value.range)
    }
    return try within(trainFrame(Scope())) { () throws(Diagnostic) -> Optimizer in
      try self.readOptimizer(call, owner: item.name.text)
    }
  }

  private func readOptimizer(_ call: Call, owner: String) throws(Diagnostic) -> Optimizer {
    guard let entry = optimizerEntries.first(where: { $0.name == call.function.text }) else {
      throw Diagnostic(
        "optimizer.unknown", "there is no optimizer \(call.function.text)",
        at: call.function.range,
        help: suggestion(for: call.function.text, in: optimizerEntries.map(\.name))
          ?? "there are " + optimizerEntries.map(\.name).joined(separator: ", "))
    }
    let matched = try match(
      given(call, piped: nil), to: entry.parameters.map { [$0.name] },
      required: entry.parameters.map { $0.standard == nil }, of: call.function,
      signature: entry.signature)
    var values: [String: (value: Value, range: SourceRange)] = [:]
    for (parameter, argument) in zip(entry.parameters, matched) {
      if let argument {
        values[parameter.name] = (try evaluate(argument, as: parameter.kind), argument.range)
      } else if let standard = parameter.standard {
        recordDefault("\(entry.name): \(parameter.name) = \(standard.text)", at: call.range)
        values[parameter.name] = (standard, call.range)
      }
    }
    func hyper(_ name: String, below limit: Double? = nil) throws(Diagnostic) -> Double {
      let (value, range) = values[name]!
      let number = try number(value, "\(entry.name): \(name)", at: range)
      guard number >= 0, limit == nil || number < limit! else {
        let bound = limit.map { ", and less than \($0)" } ?? ""
        throw Diagnostic(
          "argument.value",
          "\(entry.name): \(name) is \(numberText(number)), but at least 0\(bound)",
          at: range)
      }
      return number
    }
    func smallEpsilon() throws(Diagnostic) -> Double {
      let epsilon = try hyper("epsilon")
      checkEpsilon(epsilon, of: entry.name, at: values["epsilon"]!.range)
      return epsilon
    }
    let rate = values["rate"]!
    if rate.value.isConstant {
      _ = try hyper("rate")
    } else if case .tensor(let tensor) = rate.value {
      guard tensor.type.isScalar, tensor.type.element.isFloat else {
        throw Diagnostic(
          "argument.type", "the rate is \(tensor.type), but must be a scalar", at: rate.range,
          notes: [.init("it is made here", at: tensor.place)])
      }
    } else {
      _ = try number(rate.value, "\(entry.name): rate", at: rate.range)
    }
    let rule: Optimizer.Rule
    switch entry.name {
    case "sgd":
      guard case .boolean(let nesterov) = values["nesterov"]!.value else {
        throw Diagnostic(
          "argument.type", "sgd: nesterov is true or false", at: values["nesterov"]!.range)
      }
      rule = .sgd(momentum: try hyper("momentum", below: 1), nesterov: nesterov)
    case "rmsprop":
      rule = .rmsprop(
        rho: try hyper("rho", below: 1), momentum: try hyper("momentum", below: 1),
        epsilon: try smallEpsilon())
    default:
      let style = values["epsilonStyle"]!
      guard style.value == .word("keras") || style.value == .word("pytorch") else {
        throw Diagnostic(
          "argument.word", "epsilonStyle is keras or pytorch", at: style.range)
      }
      rule = .adam(
        beta1: try hyper("beta1", below: 1), beta2: try hyper("beta2", below: 1),
        epsilon: try smallEpsilon(), pytorch: style.value == .word("pytorch"),
        decay: entry.name == "adamW" ? try hyper("weightDecay") : 0)
    }
    return Optimizer(owner: owner, rule: rule, rate: rate.value, rateRange: rate.range)
  }

  // MARK: Step sizes

  /// The scalars of one application; advances the counter.
  func optimizerStep(_ optimizer: Optimizer, counter: String) throws(Diagnostic) -> OptimizerStep {
    let b = builder
    let rate: ValueID
    if let number = optimizer.rate.number {
      rate = try b.scalar(number, .f64)
    } else {
      let value = try tensor(optimizer.rate, at: optimizer.rateRange)
      rate = try b.convert(value.id, to: .f64)
    }
    guard case .adam(let beta1, let beta2, _, let pytorch, let decay) = optimizer.rule else {
      return OptimizerStep(size: try b.convert(rate, to: .f32))
    }
    let state = try declare(
      counter, .i32(), .counter, .constant(0), network: nil, at: optimizer.rateRange)
    let count = try b.add(try context.read(state), 1)
    try context.assign(state, count)
    // t counts from 1; 1 − βᵗ corrects moments that began at 0.
    let t = try b.convert(count, to: .f64)
    let first = try b.subtract(1, try b.power(beta1, t))
    let root = try b.sqrt(try b.subtract(1, try b.power(beta2, t)))
    var step: OptimizerStep
    if pytorch {
      step = OptimizerStep(size: try b.convert(try b.divide(rate, first), to: .f32))
      step.root = try b.convert(root, to: .f32)
    } else {
      let size = try b.divide(try b.multiply(rate, root), first)
      step = OptimizerStep(size: try b.convert(size, to: .f32))
    }
    if decay > 0 {
      step.keep = try b.convert(try b.subtract(1, try b.multiply(rate, decay)), to: .f32)
    }
    return step
  }

  // MARK: Rules

  /// Gives a parameter its new value, and its moments theirs.
  func update(
    _ parameter: StateDeclaration, _ g: ValueID, _ optimizer: Optimizer, _ step: OptimizerStep
  ) throws(Diagnostic) {
    let b = builder
    var p = context.current[parameter.name]!

    func moment(_ part: String) throws(Diagnostic) -> StateDeclaration {
      try declare(
        "\(optimizer.owner)/\(parameter.name)/\(part)", parameter.type, .moment, .constant(0),
        network: parameter.network, at: optimizer.rateRange)
    }
    /// state ← decay·state + (1 − decay)·value
    func decayed(
      _ state: StateDeclaration, _ value: ValueID, _ decay: Double
    ) throws(Diagnostic) -> ValueID {
      let old = try b.multiply(try context.read(state), decay)
      let new = try b.add(old, try b.multiply(value, 1 - decay))
      try context.assign(state, new)
      return new
    }

    switch optimizer.rule {
    case .adam(let beta1, let beta2, let epsilon, _, _):
      let m = try decayed(try moment("m"), g, beta1)
      let v = try decayed(try moment("v"), try b.square(g), beta2)
      if let keep = step.keep { p = try b.multiply(p, keep) }
      var root = try b.sqrt(v)
      if let correction = step.root { root = try b.divide(root, correction) }
      let direction = try b.divide(m, try b.add(root, epsilon))
      p = try b.subtract(p, try b.multiply(direction, step.size))
    case .sgd(let momentum, let nesterov):
      var move = try b.negate(try b.multiply(g, step.size))
      if momentum > 0 {
        let state = try moment("momentum")
        let velocity = try b.add(try b.multiply(try context.read(state), momentum), move)
        try context.assign(state, velocity)
        move = nesterov ? try b.add(try b.multiply(velocity, momentum), move) : velocity
      }
      p = try b.add(p, move)
    case .rmsprop(let rho, let momentum, let epsilon):
      let v = try decayed(try moment("v"), try b.square(g), rho)
      var move = try b.divide(try b.multiply(g, step.size), try b.sqrt(try b.add(v, epsilon)))
      if momentum > 0 {
        let state = try moment("momentum")
        move = try b.add(try b.multiply(try context.read(state), momentum), move)
        try context.assign(state, move)
      }
      p = try b.subtract(p, move)
    }
    try context.assign(parameter, p)
  }
}
