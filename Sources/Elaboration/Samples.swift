// Samples: each is a graph of its own, in inference mode, from noise that is the same each time.

import Basics
import GraphIR
import GraphSyntax

/// Which sample a name means: without a name the unnamed one, or else the first. Nil where there is
/// none.
func sampleIndex(of name: String?, among names: [String?]) -> Int? {
  names.firstIndex(of: name) ?? (name == nil && !names.isEmpty ? 0 : nil)
}

extension Program {
  /// The sample of this name; without a name the unnamed one, or else the first.
  package func sample(named name: String?) -> SampleProgram? {
    sampleIndex(of: name, among: samples.map(\.name)).map { samples[$0] }
  }
}

extension Elaborator {
  func elaborateSample(_ item: SampleItem) -> SampleProgram? {
    if exhausted { return nil }
    let name = item.name?.text
    let graphName = name.map { "sample \($0)" } ?? "sample"
    begin(
      GraphContext(name: graphName, purpose: .sample),
      Frame(.sample, name: graphName, streamKey: graphName, training: false, scope: Scope()))
    var count = 16
    var seed: UInt64 = 0
    let isRead = attempt { () throws(Diagnostic) in
      (count, seed) = try self.sampleArguments(item)
    }
    let bound: Value? = isRead ? .integer(count) : nil
    frame.scope.bind("count", bound, item.keyword)
    var images = false
    attempt { () throws(Diagnostic) in
      let value = try self.evaluateBody(item.body, owner: graphName)
      let place = item.body.result?.range ?? item.keyword
      var parts = [value]
      if case .tuple(let items) = value { parts = items }
      for (index, part) in parts.enumerated() {
        let tensor = try self.tensor(part, at: place, element: .f32)
        if index == 0, tensor.type.element != .f32 {
          throw Diagnostic(
            "sample.result", "a sample is of f32, but this is \(tensor.type)", at: place,
            notes: [.init("it is made here", at: tensor.place)])
        }
        self.builder.output(.result("\(index)"), tensor.id)
      }
      images = true
    }
    guard images, errorCount == 0 else { return nil }
    let range = imageRange
    return SampleProgram(
      name: name, count: count, seed: seed, graph: context.finish(), low: range.low,
      high: range.high)
  }

  private func sampleArguments(_ item: SampleItem) throws(Diagnostic) -> (Int, UInt64) {
    var count = 16
    var seed: UInt64 = 0
    var seen: [String] = []
    for argument in item.arguments {
      guard let label = argument.label else {
        throw Diagnostic(
          "argument.label", "the arguments of sample are labelled", at: argument.range,
          help: "sample(count: 16, seed: 0)")
      }
      guard !seen.contains(label.text) else {
        throw Diagnostic("argument.duplicate", "\(label.text) is given twice", at: label.range)
      }
      seen.append(label.text)
      switch label.text {
      case "count":
        count = try integer(argument.value, "count")
        guard count >= 1, count <= 1 << 20 else {
          throw Diagnostic(
            "argument.value", "count is \(count), but between 1 and \(1 << 20)",
            at: argument.value.range)
        }
      case "seed":
        let number = try integer(argument.value, "seed")
        guard number >= 0 else {
          throw Diagnostic(
            "argument.value", "a seed is not negative", at: argument.value.range)
        }
        seed = UInt64(number)
      default:
        throw Diagnostic(
          "argument.unknown", "sample has no argument \(label.text)", at: label.range,
          help: suggestion(for: label.text, in: ["count", "seed"]) ?? "there are count and seed")
      }
    }
    if !seen.contains("count") { recordDefault("sample: count = 16", at: item.keyword) }
    if !seen.contains("seed") { recordDefault("sample: seed = 0", at: item.keyword) }
    return (countFromOptions(item) ?? count, seed)
  }

  /// The count that the options ask for, where they mean this sample.
  private func countFromOptions(_ item: SampleItem) -> Int? {
    guard let wanted = options.sampleCount else { return nil }
    let names = declarations.samples.map { $0.name?.text }
    guard let index = sampleIndex(of: wanted.sample, among: names) else { return nil }
    return item.name?.text == names[index] ? wanted.count : nil
  }

  /// The range in which images are shown: that of the first source that has one.
  private var imageRange: (low: Double, high: Double) {
    for name in declarations.names(.data) {
      if let info = dataInfo[name], let low = info.low, let high = info.high { return (low, high) }
    }
    return (-1, 1)
  }
}
