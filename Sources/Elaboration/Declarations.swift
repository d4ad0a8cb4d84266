// The names of the top level: which there are, of which kind, and the constants among them with the
// values that `--set` gives them. Constants are evaluated when first needed, so that a name may be
// used before it is defined.

import Basics
import GraphIR
import GraphSyntax

/// The top level of a program.
struct Declarations {
  enum Kind: String { case constant, data, network, block, optimizer, average }

  struct Constant {
    var statement: LetStatement
    var name: Name
    /// Nil until it is evaluated.
    var result: Result<Value, Diagnostic>?
    var isOpen = false
    var override: String?
  }

  var model: ModelItem?
  var kinds: [String: Kind] = [:]
  /// All names in the order of the text.
  var order: [String] = []
  var places: [String: SourceRange] = [:]
  var constants: [String: Constant] = [:]
  var data: [String: DataItem] = [:]
  var networks: [String: NetworkItem] = [:]
  var blocks: [String: BlockItem] = [:]
  var optimizers: [String: OptimizerItem] = [:]
  var averages: [String: AverageStatement] = [:]
  var train: TrainItem?
  var samples: [SampleItem] = []

  func names(_ kind: Kind) -> [String] { order.filter { kinds[$0] == kind } }
}

extension Elaborator {
  /// Enters every top-level name; reports duplicates and what is not supported.
  func collectDeclarations() {
    for item in file.items {
      switch item {
      case .model(let model):
        if let first = declarations.model {
          report(
            Diagnostic(
              "item.duplicate", "a program has one name", at: model.range,
              notes: [.init("it is named here", at: first.range)]))
        } else {
          declarations.model = model
        }
      case .let(let statement):
        guard case .name(let name) = statement.pattern else {
          report(
            Diagnostic(
              "constant.pattern", "a tuple cannot be taken apart at the top level",
              at: statement.pattern.range))
          continue
        }
        if declare(name, .constant) {
          declarations.constants[name.text] = .init(statement: statement, name: name)
        }
      case .data(let item):
        if declare(item.name, .data) { declarations.data[item.name.text] = item }
      case .network(let item):
        if declare(item.name, .network) { declarations.networks[item.name.text] = item }
      case .block(let item):
        if declare(item.name, .block) { declarations.blocks[item.name.text] = item }
      case .optimizer(let item):
        if declare(item.name, .optimizer) { declarations.optimizers[item.name.text] = item }
      case .train(let item):
        if let first = declarations.train {
          report(
            Diagnostic(
              "item.duplicate", "a program has one train", at: item.keyword,
              notes: [.init("the first is here", at: first.keyword)]))
        } else {
          declarations.train = item
        }
      case .sample(let item): collectSample(item)
      case .state(let item): report(reservedState(item.range))
      }
    }
    if let train = declarations.train { collectAverages(train.body) }
  }

  func reservedState(_ range: SourceRange) -> Diagnostic {
    Diagnostic(
      "notYet", "state is reserved for history buffers and running scalars", at: range,
      help: "it is not supported yet")
  }

  private func declare(_ name: Name, _ kind: Declarations.Kind) -> Bool {
    if let first = declarations.places[name.text] {
      report(
        Diagnostic(
          "name.duplicate", "\(name.text) is defined twice", at: name.range,
          notes: [.init("the first is here", at: first)]))
      return false
    }
    let isCallable = kind == .network || kind == .block || kind == .average
    if isCallable, FunctionLibrary.entry(name.text) != nil {
      report(
        Diagnostic(
          "name.reserved", "\(name.text) is a function of the language", at: name.range,
          help: "choose another name for the \(kind.rawValue)"))
      return false
    }
    declarations.kinds[name.text] = kind
    declarations.order.append(name.text)
    declarations.places[name.text] = name.range
    return true
  }

  private func collectSample(_ item: SampleItem) {
    if let first = declarations.samples.first(where: { $0.name?.text == item.name?.text }) {
      let what = item.name.map { "two samples are called \($0.text)" } ?? "two samples have no name"
      report(
        Diagnostic(
          "name.duplicate", what, at: item.name?.range ?? item.keyword,
          notes: [.init("the first is here", at: first.name?.range ?? first.keyword)],
          help: "sample NAME(count: 16) { … } names one"))
      return
    }
    declarations.samples.append(item)
  }

  /// Moving averages are callable in the whole program, so their names belong to the top level.
  private func collectAverages(_ body: Body) {
    for statement in body.statements {
      switch statement {
      case .average(let average):
        if declare(average.name, .average) { declarations.averages[average.name.text] = average }
      case .repeat(let inner): collectAverages(inner.body)
      case .every(let inner): collectAverages(inner.body)
      default: break
      }
    }
  }

  // MARK: Settings

  /// Gives the constants their `--set` values; reports unknown names.
  func applySettings() {
    for (name, text) in options.settings {
      guard declarations.constants[name] != nil else {
        let candidates = declarations.names(.constant)
        let list = candidates.isEmpty ? nil : "it has: " + candidates.joined(separator: ", ")
        report(
          Diagnostic(
            "setting.unknown", "--set \(name)=\(text): the program has no let \(name)",
            help: suggestion(for: name, in: candidates) ?? list))
        continue
      }
      declarations.constants[name]!.override = text
    }
  }

  /// Evaluates all constants, in the order of the text.
  func evaluateConstants() {
    for name in declarations.names(.constant) {
      if exhausted { return }
      attempt { () throws(Diagnostic) in _ = try constant(name) }
    }
  }

  /// The value of a top-level constant.
  func constant(_ name: String) throws(Diagnostic) -> Value {
    guard let entry = declarations.constants[name] else { throw .reported }
    if let result = entry.result {
      guard case .success(let value) = result else { throw .reported }
      return value
    }
    if entry.isOpen {
      throw Diagnostic(
        "constant.cycle", "\(name) is defined by itself", at: entry.name.range)
    }
    declarations.constants[name]!.isOpen = true
    defer { declarations.constants[name]!.isOpen = false }
    do {
      let value = try inConstants { () throws(Diagnostic) -> Value in
        try evaluateConstant(entry)
      }
      declarations.constants[name]!.result = .success(value)
      return value
    } catch {
      declarations.constants[name]!.result = .failure(error)
      report(error)
      throw .reported
    }
  }

  private func evaluateConstant(_ entry: Declarations.Constant) throws(Diagnostic) -> Value {
    let range = entry.statement.value.range
    let value = try evaluate(entry.statement.value)
    // Every name of a long list is looked through.
    let size = value.size(
      atMost: ElaborationLimits.listLength, depth: ElaborationLimits.listDepth)
    charge((size ?? ElaborationLimits.listLength) / 8)
    guard value.isConstant else {
      throw Diagnostic(
        "constant.expected", "a top-level let is a constant, but this is \(value.kindText)",
        at: range, help: "tensors are made in networks, train and sample")
    }
    if case .tuple = value {
      throw Diagnostic("constant.expected", "a tuple is no constant", at: range)
    }
    guard let text = entry.override else { return value }
    return try overriding(value, of: entry.name, with: text)
  }

  /// The value that `--set NAME=TEXT` stands for, of the type of the one in the program.
  private func overriding(
    _ value: Value, of name: Name, with text: String
  ) throws(Diagnostic) -> Value {
    if case .text = value {
      let quoted = text.utf8.count >= 2 && text.hasPrefix("\"") && text.hasSuffix("\"")
      return .text(quoted ? String(text.dropFirst().dropLast()) : text)
    }
    let given = settingValue(text)
    switch (value, given) {
    case (.integer, .integer): return given!
    case (.integer, .float(let number)):
      if let whole = Int(exactly: number) { return .integer(whole) }
    case (.float, .float): return given!
    case (.float, .integer(let number)): return .float(Double(number))
    case (.boolean, .boolean), (.list, .list), (.word, .word), (.initializer, .initializer):
      return given!
    default: break
    }
    let expected =
      switch value {
      case .integer: "an integer"
      case .float: "a number"
      case .boolean: "true or false"
      case .list: "a list"
      default: "a value like \(value.text)"
      }
    throw Diagnostic(
      "setting.type", "--set \(name.text)=\(text): \(name.text) is \(expected)", at: name.range,
      help: "the program says \(value.text)")
  }

  private func settingValue(_ text: String) -> Value? {
    let parsed = parse(SourceText(name: "--set", "let x = \(text)\n"))
    guard !parsed.hasErrors, parsed.file.items.count == 1,
      case .let(let statement) = parsed.file.items[0]
    else { return nil }
    let value = try? evaluate(statement.value)
    return value?.isConstant == true ? value : nil
  }

  // MARK: Constants by use

  /// An integer constant, with what it is for in the message.
  func integer(_ expression: Expression, _ what: String) throws(Diagnostic) -> Int {
    try integer(try evaluate(expression), what, at: expression.range)
  }

  func integer(_ value: Value, _ what: String, at range: SourceRange) throws(Diagnostic) -> Int {
    switch value {
    case .integer(let number): return number
    case .float(let number):
      throw Diagnostic(
        "type.integer", "\(what) must be an integer, but is \(numberText(number))", at: range,
        help: "where an integer is needed, / must divide exactly and numbers have no point")
    default:
      throw Diagnostic(
        "type.integer", "\(what) must be an integer, but is \(value.kindText)", at: range)
    }
  }

  func number(_ value: Value, _ what: String, at range: SourceRange) throws(Diagnostic) -> Double {
    guard let number = value.number else {
      throw Diagnostic(
        "type.number", "\(what) must be a number, but is \(value.kindText)", at: range)
    }
    guard number.isFinite else {
      throw Diagnostic("number.finite", "\(what) is \(numberText(number))", at: range)
    }
    return number
  }
}
