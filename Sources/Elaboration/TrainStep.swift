// The training step: statements top to bottom, `repeat` unrolled, and one graph for each
// combination of the
// `every N steps` blocks that hold computations.

import Basics
import GraphIR
import GraphSyntax
import Operators

extension Elaborator {
  func elaborateTrain() -> TrainProgram? {
    guard let train = declarations.train else { return nil }
    begin(GraphContext(name: "constants", purpose: .constant), trainFrame(Scope()))
    var length: TrainProgram.Length?
    attempt { () throws(Diagnostic) in length = try self.trainLength(train) }
    let schedules = readSchedules(train)
    let reports = collectReports(train.body)
    let blocks = conditionalBlocks.count
    guard blocks <= ElaborationLimits.conditionalBlocks else {
      report(
        Diagnostic(
          "limit.everyBlocks", "too many `every N steps` blocks hold computations",
          at: train.keyword,
          help: "at most \(ElaborationLimits.conditionalBlocks); join those of one interval"))
      return nil
    }
    var variants: [Graph] = []
    for mask in 0..<(1 << blocks) {
      activeBlocks = mask
      let name = mask == 0 ? "train" : "train-\(mask)"
      begin(GraphContext(name: name, purpose: .train), trainFrame(Scope()))
      evaluateStatements(train.body)
      // The variant with every block finds all errors; it comes last, so go on to it.
      if exhausted { return nil }
      variants.append(context.finish())
    }
    guard errorCount == 0, let length else { return nil }
    return TrainProgram(
      length: length, schedules: schedules, reports: reports, variants: variants,
      conditionalBlocks: blocks)
  }

  func trainFrame(_ scope: Scope, streamKey: String = "train") -> Frame {
    Frame(.train, name: "train", streamKey: streamKey, training: true, scope: scope)
  }

  private func trainLength(_ train: TrainItem) throws(Diagnostic) -> TrainProgram.Length {
    guard train.arguments.count == 1, let argument = train.arguments.first,
      let label = argument.label
    else {
      throw Diagnostic(
        "train.length", "train needs its length: one of epochs or steps", at: train.keyword,
        help: "train(epochs: 20) or train(steps: 5000)")
    }
    guard label.text == "epochs" || label.text == "steps" else {
      throw Diagnostic(
        "argument.unknown", "train has no argument \(label.text)", at: label.range,
        help: suggestion(for: label.text, in: ["epochs", "steps"]) ?? "there are epochs and steps")
    }
    let count = try integer(argument.value, label.text)
    guard count >= 1, count <= 1 << 40 else {
      throw Diagnostic(
        "argument.value", "\(label.text) is \(count), but at least 1", at: argument.value.range)
    }
    if label.text == "steps" { return .steps(count) }
    guard !declarations.names(.data).isEmpty else {
      throw Diagnostic(
        "train.length", "an epoch is one pass over the data, but the program has none",
        at: label.range, help: "train(steps: …) counts steps")
    }
    return .epochs(count)
  }

  // MARK: Statements

  func evaluateStatements(_ body: Body) {
    for statement in body.statements {
      if exhausted { return }
      switch statement {
      case .let(let item): evaluateLet(item)
      case .update(let item): evaluateUpdate(item)
      case .repeat(let item):
        attempt { () throws(Diagnostic) in try self.evaluateRepeat(item) }
      case .average(let item):
        attempt { () throws(Diagnostic) in try self.evaluateAverage(item) }
      case .report(let item): evaluateReport(item)
      case .every(let item): evaluateEvery(item)
      case .action(let item):
        report(
          Diagnostic(
            "statement.misplaced", "an action stands in an `every` block", at: item.range,
            help: "every 50 steps { … } or every 5 epochs { … }"))
      case .state(let item): report(reservedState(item.range))
      case .assign(let item): report(assignment(item))
      }
    }
  }

  private func evaluateRepeat(_ item: RepeatStatement) throws(Diagnostic) {
    let count = try integer(item.count, "the count")
    guard count >= 1 else {
      throw Diagnostic(
        "argument.value", "repeat \(count): the count is at least 1", at: item.count.range)
    }
    guard count <= ElaborationLimits.rounds else {
      throw Diagnostic(
        "limit.repeat", "repeat \(count) is too much to unroll", at: item.count.range,
        help: "at most \(ElaborationLimits.rounds) rounds are supported")
    }
    let errors = errorCount
    let uses = frame.uses
    var sources: [String] = []
    for round in 0..<count {
      // Each round has the uses of the first, told apart by the round.
      frame.uses = uses
      for source in sources { context.batches[source, default: 0] += 1 }
      context.rounds.append(round)
      context.usedSources.append([])
      evaluateStatements(item.body)
      context.rounds.removeLast()
      let used = context.usedSources.removeLast()
      if round == 0 { sources = used }
      if !context.usedSources.isEmpty {
        let outer = context.usedSources.count - 1
        context.usedSources[outer] += used.filter { !context.usedSources[outer].contains($0) }
      }
      if errorCount > errors || exhausted { break }
    }
  }

  // MARK: Reports

  /// What a line of the log, and of `--json`, says besides the reported names.
  private static let logKeys: Set<String> = ["step", "epoch", "event", "ms"]

  /// Every reported name in the order of the text; a name is reported once.
  private func collectReports(_ body: Body) -> [String] {
    var places: [String: SourceRange] = [:]
    var order: [String] = []
    func collect(_ body: Body) {
      for statement in body.statements {
        switch statement {
        case .report(let item):
          for name in item.names {
            if Self.logKeys.contains(name.text) {
              report(
                Diagnostic(
                  "report.reserved", "the log of a run has a key '\(name.text)' of its own",
                  at: name.range, help: "give the value another name: let \(name.text)Value = …"))
            } else if let first = places[name.text] {
              report(
                Diagnostic(
                  "report.duplicate", "\(name.text) is reported twice", at: name.range,
                  notes: [.init("the first is here", at: first)]))
            } else {
              places[name.text] = name.range
              order.append(name.text)
            }
          }
        case .repeat(let item): collect(item.body)
        case .every(let item): collect(item.body)
        default: break
        }
      }
    }
    collect(body)
    return order
  }

  private func evaluateReport(_ item: ReportStatement) {
    for name in item.names {
      attempt { () throws(Diagnostic) in
        let value = try self.lookUp(name.text, at: name.range)
        _ = try self.located(name.range) { () throws(Diagnostic) -> Value in
          let tensor = try self.asFloat(try self.tensor(value, at: name.range, element: .f32))
          guard tensor.type.isScalar else {
            throw Diagnostic(
              "report.scalar", "\(name.text) is \(tensor.type), but a report is of a scalar",
              at: name.range, notes: [.init("it is made here", at: tensor.place)],
              help: "report its mean: let m = mean(\(name.text))")
          }
          self.builder.setOutput(.report(name.text), tensor.id)
          return .tensor(tensor)
        }
      }
    }
  }

  // MARK: every

  /// Reads the `every` statements of the step once: when each is due and what it does.
  private func readSchedules(_ train: TrainItem) -> [Schedule] {
    conditionalBlocks = [:]
    var schedules: [Schedule] = []
    for statement in train.body.statements {
      guard case .every(let item) = statement else { continue }
      attempt { () throws(Diagnostic) in schedules.append(try self.readSchedule(item)) }
    }
    return schedules
  }

  private func readSchedule(_ item: EveryStatement) throws(Diagnostic) -> Schedule {
    let unit = Schedule.Unit(rawValue: item.unit.rawValue) ?? .steps
    var schedule = Schedule(count: 1, unit: unit, actions: [], block: nil)
    var computation: SourceRange?
    for statement in item.body.statements {
      switch statement {
      case .action(let action):
        switch action.kind {
        case .checkpoint: schedule.actions.append(.checkpoint)
        case .sample(let name):
          try checkSampleName(name, at: action.range)
          schedule.actions.append(.sample(name?.text))
        }
      default: if computation == nil { computation = statement.range }
      }
    }
    if let computation {
      guard unit == .steps else {
        throw Diagnostic(
          "every.epochs", "an `every N epochs` block holds actions only", at: computation,
          help: "every N steps { … } may hold computations, updates and reports")
      }
      let block = conditionalBlocks.count
      conditionalBlocks[item.range.start] = block
      schedule.block = block
    }
    schedule.count = try integer(item.count, "the interval")
    guard schedule.count >= 1 else {
      throw Diagnostic(
        "argument.value", "every \(schedule.count): the interval is at least 1",
        at: item.count.range)
    }
    return schedule
  }

  private func checkSampleName(_ name: Name?, at range: SourceRange) throws(Diagnostic) {
    if declarations.samples.contains(where: { $0.name?.text == name?.text }) { return }
    let names = declarations.samples.compactMap { $0.name?.text }
    guard let name else {
      throw Diagnostic(
        "name.unknown", "the program has no unnamed sample", at: range,
        help: names.first.map { "sample \($0) draws that one" })
    }
    throw Diagnostic(
      "name.unknown", "there is no sample \(name.text)", at: name.range,
      help: suggestion(for: name.text, in: names))
  }

  /// The computations of an `every` block, in the variants of the step where it is due.
  private func evaluateEvery(_ item: EveryStatement) {
    guard frame.streamKey == "train", context.rounds.isEmpty else {
      report(
        Diagnostic(
          "statement.misplaced", "`every` stands directly in train, not in repeat or every",
          at: item.range))
      return
    }
    guard let block = conditionalBlocks[item.range.start], activeBlocks & 1 << block != 0 else {
      return
    }
    let inner = trainFrame(Scope(parent: frame.scope), streamKey: "train/every\(block)")
    var computations = item.body
    computations.statements.removeAll { if case .action = $0 { true } else { false } }
    attempt { () throws(Diagnostic) in
      try within(inner) { () throws(Diagnostic) in self.evaluateStatements(computations) }
    }
  }

  // MARK: average

  /// average ← decay·average + (1 − decay)·current, for every parameter and running statistic of
  /// the network.
  private func evaluateAverage(_ item: AverageStatement) throws(Diagnostic) {
    guard declarations.averages[item.name.text]?.range == item.range else { throw .reported }
    let network = item.network.text
    guard declarations.kinds[network] == .network else {
      throw Diagnostic(
        "name.unknown", "there is no network \(network)", at: item.network.range,
        help: suggestion(for: network, in: declarations.names(.network)))
    }
    let decay = try number(try evaluate(item.decay), "the decay", at: item.decay.range)
    guard decay >= 0, decay <= 1 else {
      throw Diagnostic(
        "argument.value", "the decay is \(numberText(decay)), but between 0 and 1",
        at: item.decay.range)
    }
    for state in states.owned(by: network) {
      setOrigin(item.range, path: item.name.text)
      let average = try averaged(state, item.name.text, at: item.name.range)
      let old = try builder.multiply(try context.read(average), decay)
      let fresh = try builder.multiply(try context.read(state), 1 - decay)
      try context.assign(average, try builder.add(old, fresh))
    }
  }
}
