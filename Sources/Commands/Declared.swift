// What a program declares, in words, as its difference to another program compares and shows it.

import Elaboration
import GraphIR

/// A state, a data source or a setting of the training.
struct Declared {
  var name: String
  /// All of it, with every digit: what is compared.
  var text: String
  /// With numbers of at most six digits: what is shown.
  var shortText: String

  /// Two that differ, as they are shown: with all digits where the short ones are the same.
  static func shown(_ before: Declared, _ after: Declared) -> (before: String, after: String) {
    before.shortText == after.shortText
      ? (before.text, after.text) : (before.shortText, after.shortText)
  }

  init(name: String, text: String) {
    self.name = name
    self.text = text
    shortText = text
  }

  init(_ state: StateDeclaration) {
    name = state.name
    func text(_ number: (Double) -> String) -> String {
      "\(state.type), \(Self.text(state.initializer, number)), \(Self.text(state.kind))"
    }
    self.text = text { "\($0)" }
    shortText = text(Self.sixDigits)
  }

  init(_ data: DataDeclaration) {
    var text = "\(data.type)"
    if let low = data.low, let high = data.high { text += " in \(low)...\(high)" }
    switch data.source {
    case .named(let name): text += " from \(GraphPrinter.quoted(name))"
    case .part(let source, let name): text += " from \(source).\(name)"
    }
    text += ", \(data.order.rawValue)"
    if let other = data.with { text += " with \(other)" }
    if let resize = data.resize { text += ", resized by \(resize.rawValue)" }
    if data.batchesPerStep != 1 { text += ", \(data.batchesPerStep) batches a step" }
    self.init(name: data.name, text: text)
  }

  private static func text(_ kind: StateKind) -> String {
    switch kind {
    case .parameter: "parameter"
    case .runningStatistic: "running statistic"
    case .moment: "moment"
    case .counter: "counter"
    case .average: "average"
    }
  }

  private static func text(
    _ initializer: Initializer, _ number: (Double) -> String
  ) -> String {
    switch initializer {
    case .constant(let value): "begins as \(number(value))"
    case .normal(let deviation): "normal of deviation \(number(deviation))"
    case .uniform(let low, let high): "uniform in \(number(low))...\(number(high))"
    case .truncatedNormal(let deviation): "truncated normal of deviation \(number(deviation))"
    case .copy(let other): "a copy of \(other)"
    }
  }

  private static func sixDigits(_ value: Double) -> String {
    "\(value.isFinite ? significant(value) : value)"
  }

  // MARK: Training and samples

  /// The model's name, the length of training, its schedules, and the samples.
  static func facts(_ program: Program) -> [Declared] {
    var facts = [Declared(name: "model", text: program.model)]
    if let train = program.train {
      facts.append(Declared(name: "train", text: text(train.length)))
      for (index, schedule) in train.schedules.enumerated() {
        facts.append(Declared(name: "every \(index + 1)", text: text(schedule)))
      }
    }
    for sample in program.samples {
      facts.append(
        Declared(
          name: "sample\(sample.name.map { " " + $0 } ?? "")",
          text:
            "count \(sample.count), seed \(sample.seed), shown in \(sample.low)...\(sample.high)"
        ))
    }
    return facts
  }

  private static func text(_ length: TrainProgram.Length) -> String {
    switch length {
    case .epochs(let count): "\(count) epochs"
    case .steps(let count): "\(count) steps"
    }
  }

  private static func text(_ schedule: Schedule) -> String {
    let actions = schedule.actions.map { action in
      switch action {
      case .sample(let name): name.map { "sample \($0)" } ?? "sample"
      case .checkpoint: "checkpoint"
      }
    }
    let all = actions + (schedule.block.map { ["block \($0 + 1)"] } ?? [])
    return "\(schedule.count) \(schedule.unit.rawValue): \(all.joined(separator: ", "))"
  }
}
