// What is no error and no reason to warn each time a program is compiled, but probably a slip of the pen: names that
// nobody uses, networks that nothing updates, noise that differs between training and drawing, losses on the wrong
// scale, an epsilon that swamps what it is added to. `gan-compile explain` shows them.

import Basics
import GraphIR
import GraphSyntax
import Operators

/// What is noted for it while a program is elaborated. Bodies are elaborated several times; a slip is noted once.
struct SlipRecord {
  private(set) var found: [Diagnostic] = []
  private var seen: Set<String> = []
  /// Names bound by `let` and by the signatures of networks and blocks, in the order of their first binding.
  private(set) var bound: [Name] = []
  private var boundPlaces: Set<Int32> = []
  private var usedPlaces: Set<Int32> = []
  /// Names of items of the top level that something uses.
  private var usedItems: Set<String> = []
  private(set) var arguments: [NetworkArgument] = []

  mutating func add(_ slip: Diagnostic) {
    let place = slip.range.map { "\($0.start)" } ?? slip.message
    if seen.insert("\(slip.code) \(place)").inserted { found.append(slip) }
  }

  mutating func noteBinding(_ name: Name) {
    if boundPlaces.insert(name.range.start).inserted { bound.append(name) }
  }

  mutating func noteUse(of binding: Binding) { usedPlaces.insert(binding.range.start) }
  func isUsed(_ name: Name) -> Bool { usedPlaces.contains(name.range.start) }

  mutating func noteUse(ofItem name: String) { usedItems.insert(name) }
  func isUsed(item name: String) -> Bool { usedItems.contains(name) }

  mutating func note(_ argument: NetworkArgument) {
    if !arguments.contains(argument) { arguments.append(argument) }
  }
}

/// One argument of a call of a network in the step or in a sample.
struct NetworkArgument: Hashable {
  var network: String
  var parameter: String
  var isInSample: Bool
  var range: SourceRange
  /// What is known of the value; arguments of which nothing is known are not noted.
  var content: Content

  enum Content: Hashable {
    /// Random numbers of this distribution.
    case noise(Noise)
    /// A batch of a data source that is scaled to low...high.
    case data(String, low: Double, high: Double)
    /// The result of a sigmoid or a tanh.
    case squashed(String, low: Double, high: Double)
  }
}

/// scale · x + shift of uniform numbers in [0, 1) or of normal numbers.
struct Noise: Hashable {
  var isNormal: Bool
  var scale = 1.0
  var shift = 0.0

  /// Whether the numbers are distributed alike; roundings of scales do not count.
  func isLike(_ other: Noise) -> Bool {
    func near(_ a: Double, _ b: Double) -> Bool {
      abs(a - b) <= 1e-6 * max(1, abs(a), abs(b))
    }
    guard isNormal == other.isNormal, near(abs(scale), abs(other.scale)) else { return false }
    return isNormal ? near(shift, other.shift) : near(low, other.low)
  }

  /// The least of uniform numbers.
  private var low: Double { min(shift, shift + scale) }

  var text: String {
    if isNormal {
      return abs(scale) == 1 && shift == 0
        ? "standard normal numbers"
        : "normal numbers of mean \(shortText(shift)) and deviation \(shortText(abs(scale)))"
    }
    return "uniform numbers in \(rangeText(low, low + abs(scale)))"
  }
}

/// `1` and `0.5`: a number as a program has it.
private func shortText(_ value: Double) -> String {
  Int(exactly: value).map(String.init) ?? numberText(value)
}

private func rangeText(_ low: Double, _ high: Double) -> String {
  "\(shortText(low))...\(shortText(high))"
}

extension Elaborator {
  // MARK: While calls are elaborated

  /// Notes what is known of the arguments of a call.
  func noteArguments(_ network: NetworkItem, _ values: [TensorValue], _ ranges: [SourceRange]) {
    guard context.purpose == .train || context.purpose == .sample else { return }
    for (index, parameter) in network.parameters.enumerated() {
      guard let content = content(of: values[index].id) else { continue }
      slips.note(
        NetworkArgument(
          network: network.name.text, parameter: parameter.name.text,
          isInSample: context.purpose == .sample, range: ranges[index], content: content))
    }
  }

  private func content(of value: ValueID) -> NetworkArgument.Content? {
    if let noise = noise(value) { return .noise(noise) }
    if let input = builder.graph.inputs.first(where: { $0.value == value }),
      case .data(let source, _) = input.role, let info = dataInfo[source], let low = info.low,
      let high = info.high
    {
      return .data(source, low: low, high: high)
    }
    switch producer(of: value)?.operation {
    case is Sigmoid: return .squashed("sigmoid", low: 0, high: 1)
    case is Tanh: return .squashed("tanh", low: -1, high: 1)
    default: return nil
    }
  }

  /// What made a value, views left out.
  func producer(of value: ValueID) -> Node? {
    var node = builder.graph.producer(of: value)
    while let view = node, view.operation.isReshape {
      node = builder.graph.producer(of: view.operands[0])
    }
    return node
  }

  /// The distribution of random numbers that were scaled and shifted at most.
  private func noise(_ value: ValueID, depth: Int = 8) -> Noise? {
    guard depth > 0, let node = producer(of: value) else { return nil }
    if node.operation is RandomNormal { return Noise(isNormal: true) }
    if node.operation is RandomUniform { return Noise(isNormal: false) }
    guard node.operands.count == 2 else { return nil }
    let constants = node.operands.map {
      (producer(of: $0)?.operation as? Constant)?.splat
    }
    guard let index = constants.firstIndex(where: { $0 != nil }), let constant = constants[index],
      var noise = noise(node.operands[1 - index], depth: depth - 1)
    else { return nil }
    switch node.operation {
    case is Multiply:
      noise.scale *= constant
      noise.shift *= constant
    case is Divide where index == 1:
      noise.scale /= constant
      noise.shift /= constant
    case is Add: noise.shift += constant
    case is Subtract where index == 1: noise.shift -= constant
    case is Subtract:
      noise.scale *= -1
      noise.shift = constant - noise.shift
    default: return nil
    }
    return noise
  }

  /// An epsilon is added to a variance or a root so that nothing is divided by 0; a large one swamps them.
  func checkEpsilon(_ epsilon: Double, of name: String, at range: SourceRange) {
    guard epsilon > 1e-2 else { return }
    addSlip(
      "slip.epsilon", "\(name): an epsilon of \(numberText(epsilon)) is large", at: range,
      help: "1e-3 to 1e-8 is usual; smaller variances than epsilon are hardly normalised")
  }

  /// A loss whose prediction is on another scale than the loss takes.
  func checkScale(of prediction: TensorValue, _ site: CallSite, _ name: String) {
    let operation = producer(of: prediction.id)?.operation
    let loss = site.entry.name
    let notes = [Diagnostic.Note("it is made here", at: prediction.place)]
    switch (loss, operation) {
    case ("bceWithLogits", is Sigmoid), ("hinge", is Sigmoid), ("crossEntropy", is Softmax):
      let squash = operation is Sigmoid ? "sigmoid" : "softmax"
      let mend = loss == "bceWithLogits" ? "bce takes probabilities; or " : ""
      addSlip(
        "slip.logits", "\(loss) takes logits, but this is the result of a \(squash)",
        at: site.range(of: name), notes: notes, help: mend + "leave the \(squash) out")
    case ("bce", _) where isUnbounded(prediction.id):
      addSlip(
        "slip.probability", "bce takes probabilities, but nothing brings this between 0 and 1",
        at: site.range(of: name), notes: notes,
        help: "bceWithLogits takes logits; or end the network with a sigmoid")
    default: break
    }
  }

  /// Whether a value is a layer's sum, its bias perhaps added, or a tanh's result: nothing that is between 0 and 1.
  private func isUnbounded(_ value: ValueID) -> Bool {
    guard let node = producer(of: value) else { return false }
    func isProduct(_ value: ValueID) -> Bool {
      let operation = producer(of: value)?.operation
      return operation is MatMul || operation is Conv2D || operation is Conv2DInputGradient
    }
    if node.operation is Add { return node.operands.contains(where: isProduct) }
    return node.operation is Tanh || isProduct(value)
  }

  private func addSlip(
    _ code: String, _ message: String, at range: SourceRange?, notes: [Diagnostic.Note] = [],
    help: String? = nil
  ) {
    slips.add(Diagnostic(code, message, at: range, severity: .warning, notes: notes, help: help))
  }

  // MARK: At the end

  /// All slips in the order of the text.
  func findSlips() -> [Diagnostic] {
    findUnusedNames()
    findUnusedItems()
    findFrozenNetworks()
    findOtherNoise()
    findOtherRanges()
    return slips.found.enumerated().sorted { a, b in
      (a.element.range?.start ?? -1, a.offset) < (b.element.range?.start ?? -1, b.offset)
    }.map(\.element)
  }

  private func findUnusedNames() {
    for name in slips.bound where !slips.isUsed(name) {
      addSlip("slip.unused", "\(name.text) is never used", at: name.range)
    }
  }

  private func findUnusedItems() {
    let kinds: [(Declarations.Kind, String)] = [
      (.constant, "used"), (.data, "used"), (.optimizer, "used"), (.network, "called"),
      (.block, "called"), (.average, "called"),
    ]
    for (kind, verb) in kinds {
      for name in declarations.names(kind) where !slips.isUsed(item: name) {
        addSlip("slip.unused", "\(name) is never \(verb)", at: declarations.places[name])
      }
    }
  }

  private func findFrozenNetworks() {
    guard let train = declarations.train else { return }
    var updated: Set<String> = []
    func collect(_ body: Body) {
      for statement in body.statements {
        switch statement {
        case .update(let item):
          for clause in item.clauses { updated.formUnion(clause.networks.map(\.text)) }
        case .repeat(let item): collect(item.body)
        case .every(let item): collect(item.body)
        default: break
        }
      }
    }
    collect(train.body)
    for name in declarations.names(.network) where !updated.contains(name) {
      guard slips.isUsed(item: name),
        states.owned(by: name).contains(where: { $0.kind == .parameter })
      else { continue }
      addSlip(
        "slip.frozen", "\(name) is never updated: its parameters stay as they begin",
        at: declarations.places[name], help: "update \(name) minimizing … with …")
    }
  }

  private func findOtherNoise() {
    let known = slips.arguments.compactMap { argument -> (NetworkArgument, Noise)? in
      guard case .noise(let noise) = argument.content else { return nil }
      return (argument, noise)
    }
    for (argument, noise) in known where argument.isInSample {
      let trained = known.filter {
        !$0.0.isInSample && $0.0.network == argument.network
          && $0.0.parameter == argument.parameter
      }
      guard let first = trained.first, !trained.contains(where: { $0.1.isLike(noise) }) else {
        continue
      }
      addSlip(
        "slip.noise",
        "\(argument.network) is given \(noise.text) here, but \(first.1.text) in train",
        at: argument.range, notes: [.init("in train it is here", at: first.0.range)],
        help: "what a network makes of noise that it never saw says little of it")
    }
  }

  /// A discriminator that sees data in one range and generated images in another.
  private func findOtherRanges() {
    for argument in slips.arguments where !argument.isInSample {
      guard case .squashed(let squash, let low, let high) = argument.content else { continue }
      for other in slips.arguments
      where other.network == argument.network && other.parameter == argument.parameter {
        guard case .data(let source, let dataLow, let dataHigh) = other.content,
          (dataLow, dataHigh) != (low, high)
        else { continue }
        addSlip(
          "slip.range",
          "\(argument.network) is given the result of a \(squash), which is in "
            + "\(rangeText(low, high)), but \(source) is in \(rangeText(dataLow, dataHigh))",
          at: argument.range, notes: [.init("\(source) goes in here", at: other.range)],
          help: "data \(source): … in \(rangeText(low, high)), or another last activation")
      }
    }
  }
}
