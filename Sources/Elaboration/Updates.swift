// Updates: the gradient of a loss with respect to parameters as they are at this point, and the
// optimiser's rule as element-wise arithmetic. Which counters parameters share is decided between
// the two passes of elaboration.

import Basics
import GraphIR
import GraphSyntax
import Operators

/// How each parameter is updated, learned in the first pass and used in the second.
///
/// An optimiser owns moments and one count for each parameter. Parameters of one network that the
/// optimiser reaches at exactly the same updates, in every variant of the step, always have equal
/// counts, so they share one counter, `OPTIMIZER/NETWORK/count`. Where an update reaches only some
/// of them, each such group has its own, `OPTIMIZER/FIRST PARAMETER/count`.
struct UpdatePlan {
  struct Key: Hashable {
    var optimizer: String
    var parameter: String
  }

  /// The updates that reach a parameter, in order, by variant of the step.
  private var sites: [Key: [String]] = [:]
  private var order: [(key: Key, network: String)] = []
  private var counters: [Key: String] = [:]
  /// The owner's name of each inline optimiser, by its place.
  var inlineOwners: [Int32: String] = [:]

  /// Records that an update reaches a parameter.
  mutating func record(_ key: Key, network: String, site: String) {
    if sites[key] == nil { order.append((key, network)) }
    sites[key, default: []].append(site)
  }

  /// Decides the counters. The provisional ones of the first pass are forgotten.
  mutating func close(_ states: inout StateRegistry) {
    states.removeCounters()
    counters = [:]
    var groups: [(optimizer: String, network: String, signature: [String], first: String)] = []
    for (key, network) in order {
      let signature = sites[key] ?? []
      if !groups.contains(where: {
        $0.optimizer == key.optimizer && $0.network == network && $0.signature == signature
      }) {
        groups.append((key.optimizer, network, signature, key.parameter))
      }
    }
    for (key, network) in order {
      let siblings = groups.filter { $0.optimizer == key.optimizer && $0.network == network }
      let group = siblings.first { $0.signature == sites[key] ?? [] }
      let owner = siblings.count == 1 ? network : group?.first ?? key.parameter
      counters[key] = "\(key.optimizer)/\(owner)/count"
    }
  }

  /// The counter of a parameter; a provisional one of its own in the first pass.
  func counter(_ key: Key) -> String {
    counters[key] ?? "\(key.optimizer)/\(key.parameter)/count"
  }
}

extension Elaborator {
  private struct Prepared {
    var clause: UpdateClause
    var optimizer: Optimizer
    var loss: TensorValue
    var parameters: [StateDeclaration]
    var gradients: [ValueID] = []
  }

  /// `update`: all gradients at this point, then all rules.
  func evaluateUpdate(_ item: UpdateStatement) {
    var named: [String: SourceRange] = [:]
    var isWrong = false
    for clause in item.clauses {
      for network in clause.networks {
        if let first = named[network.text] {
          isWrong = true
          report(
            Diagnostic(
              "update.twice", "\(network.text) is updated twice at one point", at: network.range,
              notes: [.init("the first is here", at: first)],
              help: "add the losses, or write two update statements"))
        }
        named[network.text] = network.range
      }
    }
    var prepared: [Prepared] = []
    for clause in item.clauses {
      let succeeded = attempt { () throws(Diagnostic) in prepared.append(try self.prepare(clause)) }
      if !succeeded { isWrong = true }
    }
    if isWrong { return }
    attempt { () throws(Diagnostic) in
      for index in prepared.indices {
        let clause = prepared[index]
        self.setOrigin(clause.clause.range, path: "")
        let values = clause.parameters.map { self.context.current[$0.name]! }
        prepared[index].gradients = try self.builder.gradient(clause.loss.id, wrt: values)
      }
      for (index, clause) in prepared.enumerated() {
        let place = "\(item.range.start).\(index)@\(self.context.roundText)/\(self.activeBlocks)"
        try self.apply(clause, site: place)
      }
    }
  }

  /// Everything about a clause that can be wrong.
  private func prepare(_ clause: UpdateClause) throws(Diagnostic) -> Prepared {
    var optimizer: Optimizer?
    var loss: TensorValue?
    attempt { () throws(Diagnostic) in optimizer = try self.resolveOptimizer(clause.optimizer) }
    attempt { () throws(Diagnostic) in loss = try self.evaluateLoss(clause.loss) }
    for network in clause.networks { try checkUpdatable(network) }
    guard let optimizer, let loss else { throw .reported }

    var parameters: [StateDeclaration] = []
    for network in clause.networks {
      parameters += states.owned(by: network.text).filter {
        $0.kind == .parameter && context.current[$0.name] != nil
      }
    }
    let current = Set(parameters.map { context.current[$0.name]! })
    let reached = reach(from: loss.id, stoppingAt: current)
    for network in clause.networks {
      try checkReached(network, parameters.filter { $0.network == network.text }, reached, loss)
    }
    parameters.removeAll { !reached.contains(context.current[$0.name]!) }
    return Prepared(clause: clause, optimizer: optimizer, loss: loss, parameters: parameters)
  }

  private func evaluateLoss(_ expression: Expression) throws(Diagnostic) -> TensorValue {
    let value = try evaluate(expression)
    guard case .tensor(let loss) = value else {
      throw Diagnostic(
        "loss.scalar", "a loss is a scalar of the graph, not \(value.kindText)",
        at: expression.range)
    }
    guard loss.type == .f32() else {
      throw Diagnostic(
        "loss.scalar", "a loss is a scalar, but this is \(loss.type)", at: expression.range,
        notes: [.init("it is made here", at: loss.place)],
        help: loss.type.isScalar ? nil : "take its mean")
    }
    return loss
  }

  private func checkUpdatable(_ network: Name) throws(Diagnostic) {
    switch declarations.kinds[network.text] {
    case .network: break
    case .average:
      throw Diagnostic(
        "update.average", "\(network.text) is a moving average; it follows its network",
        at: network.range)
    default:
      throw Diagnostic(
        "name.unknown", "there is no network \(network.text)", at: network.range,
        help: suggestion(for: network.text, in: declarations.names(.network)))
    }
  }

  /// That the loss depends on the network as it is now; older versions besides are warned of.
  private func checkReached(
    _ network: Name, _ parameters: [StateDeclaration], _ reached: BitSet, _ loss: TensorValue
  ) throws(Diagnostic) {
    let isReached = parameters.contains { reached.contains(context.current[$0.name]!) }
    let older = parameters.contains { parameter in
      context.versions[parameter.name]!.dropLast().contains { reached.contains($0) }
    }
    let note = Diagnostic.Note("the loss is computed here", at: loss.place)
    if isReached {
      guard older else { return }
      warn(
        "update.versions",
        "parts of this loss were computed before \(network.text)'s last update; "
          + "to them its parameters are constants", at: network.range, notes: [note])
      return
    }
    if failed.contains(network.text) { throw .reported }
    if older {
      throw Diagnostic(
        "update.stale", "this loss was computed before \(network.text)'s last update",
        at: network.range, notes: [note],
        help: "compute it again after that update, or update both at one point: update { … }")
    }
    throw Diagnostic(
      "update.unreached", "this loss does not depend on \(network.text)", at: network.range,
      notes: [note],
      help: "a path from \(network.text)'s parameters to the loss is needed; "
        + "stopGradient and comparisons cut it")
  }

  private func apply(_ clause: Prepared, site: String) throws(Diagnostic) {
    let optimizer = clause.optimizer
    var steps: [String: OptimizerStep] = [:]
    for (parameter, gradient) in zip(clause.parameters, clause.gradients) {
      setOrigin(clause.clause.range, path: parameter.name)
      let key = UpdatePlan.Key(optimizer: optimizer.owner, parameter: parameter.name)
      updates.record(key, network: parameter.network ?? "", site: site)
      let counter = optimizer.rule.counts ? updates.counter(key) : ""
      if steps[counter] == nil {
        steps[counter] = try optimizerStep(optimizer, counter: counter)
      }
      try update(parameter, gradient, optimizer, steps[counter]!)
    }
  }

  // MARK: Inline optimisers

  /// Names the owners of inline optimisers by the networks they update, in the order of the text,
  /// and warns where two of them stand on one network.
  func collectInlineOptimizers() {
    guard let train = declarations.train else { return }
    var taken: [String: Int] = [:]
    var first: [String: SourceRange] = [:]
    func collect(_ body: Body) {
      for statement in body.statements {
        switch statement {
        case .update(let item):
          for clause in item.clauses {
            guard case .call = clause.optimizer.kind else { continue }
            let name = "update-" + clause.networks.map(\.text).joined(separator: "+")
            let count = taken[name, default: 0] + 1
            taken[name] = count
            updates.inlineOwners[clause.optimizer.range.start] =
              count == 1 ? name : "\(name)-\(count)"
            for network in clause.networks {
              if let known = first[network.text] {
                warn(
                  "optimizer.inline",
                  "\(network.text) is updated by two optimizers, each with moments of its own",
                  at: clause.optimizer.range, notes: [.init("the other is here", at: known)],
                  help: "to share them: optimizer NAME = … at top level, and `with NAME`")
              } else {
                first[network.text] = clause.optimizer.range
              }
            }
          }
        case .repeat(let item): collect(item.body)
        case .every(let item): collect(item.body)
        default: break
        }
      }
    }
    collect(train.body)
  }
}
