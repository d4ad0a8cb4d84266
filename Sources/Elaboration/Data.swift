// Data sources: their declarations, and their batches as inputs of the graphs. Sources that walk
// together form a group, named by its head; a group has one position.

import Basics
import GraphIR
import GraphSyntax

extension Elaborator {
  /// Reads every data declaration once, so that all its errors show, and keeps the good ones.
  func checkData() {
    for name in declarations.names(.data) {
      guard let item = declarations.data[name] else { continue }
      attempt { () throws(Diagnostic) in
        self.dataInfo[name] = try self.dataDeclaration(item)
      }
    }
    for name in declarations.names(.data) {
      guard let info = dataInfo[name], let item = declarations.data[name] else { continue }
      attempt { () throws(Diagnostic) in try self.checkPair(info, item) }
    }
  }

  private func dataDeclaration(_ item: DataItem) throws(Diagnostic) -> DataDeclaration {
    let element = try elementType(item.type)
    guard element != .bool else {
      throw Diagnostic(
        "data.element", "a data source holds f32 or i32, not bool", at: item.type.range)
    }
    let shape = try shape(item.type, [:])
    guard !shape.isEmpty else {
      throw Diagnostic(
        "data.type", "a batch has at least the batch axis", at: item.type.range,
        help: "\(item.name.text): [batch, …]")
    }
    var declaration = DataDeclaration(
      name: item.name.text, type: TensorType(element, shape), low: nil, high: nil,
      source: .named(""), order: .shuffled, with: nil, batchesPerStep: 1)
    do {
      _ = try declaration.type.checked()
    } catch {
      throw error.placed(at: item.type.range)
    }
    if let bounds = item.bounds {
      let low = try number(try evaluate(bounds.low), "the low end", at: bounds.low.range)
      let high = try number(try evaluate(bounds.high), "the high end", at: bounds.high.range)
      guard low < high else {
        throw Diagnostic(
          "data.bounds", "the range \(numberText(low))...\(numberText(high)) is empty",
          at: bounds.range)
      }
      declaration.low = low
      declaration.high = high
    }
    switch item.source {
    case .named(let literal): declaration.source = .named(literal.value)
    case .path(let names, let range):
      guard names.count == 2 else {
        throw Diagnostic(
          "data.source", "a source is a string or SOURCE.PART, such as images.labels", at: range)
      }
      try checkSource(names[0], of: item)
      slips.noteUse(ofItem: names[0].text)
      try checkPart(names[1], of: names[0])
      declaration.source = .part(of: names[0].text, name: names[1].text)
    }
    try readOptions(item, &declaration)
    return declaration
  }

  private func checkSource(_ name: Name, of item: DataItem) throws(Diagnostic) {
    guard declarations.kinds[name.text] == .data else {
      throw Diagnostic(
        "name.unknown", "there is no data source \(name.text)", at: name.range,
        help: suggestion(for: name.text, in: declarations.names(.data)))
    }
    guard name.text != item.name.text else {
      throw Diagnostic("data.cycle", "\(name.text) walks with itself", at: name.range)
    }
  }

  /// Whether a source of this kind has the part shows when it is opened; here, whether any has.
  private func checkPart(_ part: Name, of source: Name) throws(Diagnostic) {
    let parts = DataDeclaration.parts
    guard !parts.contains(part.text) else { return }
    throw Diagnostic(
      "data.part", "\(source.text) has no part \(part.text)", at: part.range,
      help: suggestion(for: part.text, in: parts)
        ?? "a source has the parts \(parts.joined(separator: ", "))")
  }

  private func readOptions(
    _ item: DataItem, _ declaration: inout DataDeclaration
  ) throws(Diagnostic) {
    var seen: [String: SourceRange] = [:]
    for option in item.options {
      guard let label = option.label else { continue }
      if let first = seen[label.text] {
        throw Diagnostic(
          "argument.duplicate", "\(label.text) is given twice", at: label.range,
          notes: [.init("the first is here", at: first)])
      }
      seen[label.text] = label.range
      guard case .name(let word) = option.value.kind else {
        throw Diagnostic("data.option", "\(label.text) is a word", at: option.value.range)
      }
      switch label.text {
      case "order":
        declaration.order = try choice(word, of: label, at: option.value.range)
      case "resize":
        try checkPictures(declaration, item, option)
        declaration.resize = try choice(word, of: label, at: option.value.range)
      case "with":
        try checkSource(Name(word, option.value.range), of: item)
        declaration.with = word
      default:
        throw Diagnostic(
          "argument.unknown", "a data source has no option \(label.text)", at: label.range,
          help: suggestion(for: label.text, in: ["order", "resize", "with"])
            ?? "there are order, resize and with")
      }
    }
    if seen["order"] == nil, leader(of: declaration) == nil {
      recordDefault("data \(item.name.text): order = shuffled", at: item.name.range)
    }
    if let order = seen["order"], leader(of: declaration) != nil {
      throw Diagnostic(
        "data.order", "\(item.name.text) walks with another source and takes its order from there",
        at: order)
    }
    if case .part = declaration.source, let with = seen["with"] {
      throw Diagnostic(
        "data.order", "a part of a source walks with that source already", at: with)
    }
  }

  /// The case that a word names.
  private func choice<Choice: RawRepresentable<String> & CaseIterable>(
    _ word: String, of label: Name, at range: SourceRange
  ) throws(Diagnostic) -> Choice {
    if let choice = Choice(rawValue: word) { return choice }
    let words = Choice.allCases.map(\.rawValue)
    throw Diagnostic(
      "argument.word", "\(label.text) is one of " + words.joined(separator: ", "), at: range,
      help: suggestion(for: word, in: words))
  }

  private func checkPictures(
    _ declaration: DataDeclaration, _ item: DataItem, _ option: Argument
  ) throws(Diagnostic) {
    let shape = declaration.type.shape
    guard shape.count == 3 || shape.count == 4 && 1...4 ~= shape[3] else {
      throw Diagnostic(
        "data.resize", "only pictures are resized, and \(item.name.text) is \(declaration.type)",
        at: option.range, help: "pictures are [batch, height, width, channels] with 1 to 4 channels"
      )
    }
  }

  /// The source that a source walks with.
  private func leader(of declaration: DataDeclaration) -> String? {
    if case .part(let source, _) = declaration.source { return source }
    return declaration.with
  }

  /// Sources that walk together bring batches of one size; no source walks with itself by way of
  /// others.
  private func checkPair(_ info: DataDeclaration, _ item: DataItem) throws(Diagnostic) {
    var visited = [info.name]
    var current = info
    while let next = leader(of: current) {
      guard !visited.contains(next) else {
        throw Diagnostic(
          "data.cycle", "\(info.name) walks with itself", at: item.source.range)
      }
      guard let leading = dataInfo[next] else { throw .reported }
      visited.append(next)
      current = leading
    }
    guard visited.count > 1, let first = dataInfo[visited[1]] else { return }
    guard info.type.shape[0] == first.type.shape[0] else {
      throw Diagnostic(
        "data.pair",
        "\(info.name) brings \(info.type.shape[0]) examples, \(first.name) \(first.type.shape[0])",
        at: item.type.range,
        notes: [.init("\(first.name) is \(first.type)", at: declarations.places[first.name])],
        help: "sources that walk together have batches of one size")
    }
  }

  /// The head of the group that a source walks in. The chain has been checked for cycles.
  func groupHead(_ name: String) -> String {
    var head = name
    for _ in 0..<dataInfo.count {
      guard let info = dataInfo[head], let next = leader(of: info) else { break }
      head = next
    }
    return head
  }

  /// The batch of a source that is visible here.
  func dataBatch(_ name: String, at range: SourceRange) throws(Diagnostic) -> Value {
    guard frame.kind == .train || frame.kind == .sample else {
      throw Diagnostic(
        "data.place", "data sources are seen in train and sample only", at: range,
        help: "pass \(name) to \(frame.name) as an argument")
    }
    guard let info = dataInfo[name] else { throw .reported }
    let head = groupHead(name)
    let round = context.batches[head, default: 0]
    if !context.usedSources.isEmpty,
      !context.usedSources[context.usedSources.count - 1].contains(head)
    {
      context.usedSources[context.usedSources.count - 1].append(head)
    }
    dataRounds[head] = max(dataRounds[head, default: 0], round)
    let id = try builder.input(.data(source: name, round: round), info.type)
    return tensorValue(id, at: declarations.places[name] ?? range)
  }

  /// All sources with the number of batches that a step takes of each.
  func dataDeclarations() -> [DataDeclaration] {
    declarations.names(.data).compactMap { name in
      guard var info = dataInfo[name] else { return nil }
      info.batchesPerStep = dataRounds[groupHead(name), default: 0] + 1
      return info
    }
  }
}
