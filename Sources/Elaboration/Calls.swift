// Calls: of the language's own functions and layers through the library, of networks (inlined, with
// dimension variables bound) and of blocks.

import Basics
import GraphIR
import GraphSyntax
import Operators

extension Elaborator {
  func evaluateCall(_ call: Call, piped: (Value, SourceRange)?) throws(Diagnostic) -> Value {
    let name = call.function.text
    slips.noteUse(ofItem: name)
    let arguments = given(call, piped: piped)
    switch declarations.kinds[name] {
    case .network:
      return try callNetwork(declarations.networks[name]!, average: nil, call, arguments)
    case .average:
      let average = declarations.averages[name]!
      guard let network = declarations.networks[average.network.text] else { throw .reported }
      return try callNetwork(network, average: name, call, arguments)
    case .block: return try callBlock(declarations.blocks[name]!, call, arguments)
    default: break
    }
    if name == "constant" { return try calledInitializer(call) }
    if let entry = FunctionLibrary.entry(name) { return try callFunction(entry, call, arguments) }
    if let binding = frame.scope.find(name), binding.value != nil {
      throw Diagnostic(
        "function.value", "\(name) is a value, not a function", at: call.function.range,
        notes: [.init("it is defined here", at: binding.range)])
    }
    if let kind = declarations.kinds[name] {
      throw Diagnostic(
        "function.value", "\(name) is a \(kind.rawValue), not a function", at: call.function.range)
    }
    if optimizerEntries.contains(where: { $0.name == name }) {
      throw Diagnostic(
        "optimizer.place", "an optimizer stands after `with`, or in `optimizer NAME = …`",
        at: call.function.range)
    }
    if name == "orthogonal" { throw notYet("the orthogonal initialiser", at: call.range) }
    throw unknownFunction(call.function)
  }

  private func unknownFunction(_ name: Name) -> Diagnostic {
    let candidates =
      declarations.names(.network) + declarations.names(.block) + declarations.names(.average)
      + FunctionLibrary.names
    return Diagnostic(
      "function.unknown", "there is no function \(name.text)", at: name.range,
      help: suggestion(for: name.text, in: candidates))
  }

  /// Checks what can be checked of a stage whose piped value is wrong: that the function is there
  /// and takes the labels.
  func inspect(_ call: Call) throws(Diagnostic) {
    let name = call.function.text
    if let entry = FunctionLibrary.entry(name) {
      _ = try match(
        given(call, piped: (.integer(0), call.range)),
        to: entry.parameters.map { [$0.name] + $0.aliases },
        required: entry.parameters.map { $0.standard == nil && !$0.isOptional },
        of: call.function, signature: entry.signature)
    } else if declarations.kinds[name] == nil, frame.scope.find(name) == nil {
      throw unknownFunction(call.function)
    }
  }

  // MARK: Functions of the language

  private func callFunction(
    _ entry: FunctionEntry, _ call: Call, _ arguments: [GivenArgument]
  ) throws(Diagnostic) -> Value {
    let matched = try match(
      arguments, to: entry.parameters.map { [$0.name] + $0.aliases },
      required: entry.parameters.map { $0.standard == nil && !$0.isOptional },
      of: call.function, signature: entry.signature)
    // Evaluated in the order of the text, which is the order of the matched places except for
    // labels.
    var bound: [String: (value: Value, range: SourceRange)] = [:]
    var isWrong = false
    let order = matched.indices.filter { matched[$0] != nil }.sorted {
      matched[$0]!.range.start < matched[$1]!.range.start
    }
    for index in order {
      let parameter = entry.parameters[index]
      do {
        let value = try evaluate(matched[index]!, as: parameter.kind)
        bound[parameter.name] = (value, matched[index]!.range)
      } catch {
        report(error)
        isWrong = true
      }
    }
    if isWrong { throw .reported }
    let site = CallSite(self, entry, callee: call.function, range: call.range, bound: bound)
    for parameter in entry.parameters where bound[parameter.name] == nil {
      if let standard = parameter.standard {
        recordDefault("\(entry.name): \(parameter.name) = \(standard.text)", at: call.range)
      }
    }
    if entry.group == .layer { try openLayer(site) }
    let value: Value
    do {
      value = try located(call.range, path: site.path.isEmpty ? nil : site.path) {
        () throws(Diagnostic) -> Value in
        try entry.make(site)
      }
    } catch {
      throw explained(error, bound: bound, entry)
    }
    recordRow(site, value)
    return value
  }

  /// Gives a layer its path. Layers own parameters, so they stand in networks.
  private func openLayer(_ site: CallSite) throws(Diagnostic) {
    guard frame.network != nil else {
      throw Diagnostic(
        "layer.outside", "\(site.entry.name) owns parameters, so it belongs in a network",
        at: site.callee.range, help: "put it into a network, and call that here")
    }
    var name: String?
    if site.has("name") {
      let value = try site.value("name")
      guard case .text(let text) = value else { throw site.wrong("name", "a string", value) }
      guard isPathPart(text) else {
        throw site.bad("name", "a layer's name has letters, digits, _ and - only")
      }
      name = text
    }
    let part = try frame.part(kind: site.entry.name, name: name, at: site.callee.range)
    site.path = frame.path + "/" + part
  }

  private func isPathPart(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.count <= 64
      && text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
          true
        default: false
        }
      }
  }

  /// Adds to an error of types what the arguments are and where they come from.
  private func explained(
    _ error: Diagnostic, bound: [String: (value: Value, range: SourceRange)], _ entry: FunctionEntry
  ) -> Diagnostic {
    guard !error.isReported, error.notes.isEmpty, error.code.hasPrefix("shape.") else {
      return error
    }
    var result = error
    for parameter in entry.parameters {
      if case .tensor(let tensor)? = bound[parameter.name]?.value {
        result.notes.append(.init("\(parameter.name) is \(tensor.type)", at: tensor.place))
      }
    }
    return result
  }

  /// The row of the layer table for a call in the network that stands alone.
  private func recordRow(_ site: CallSite, _ value: Value) {
    guard let summary = context.summary, frame.network == summary.network,
      case .tensor(let tensor) = value, site.entry.group != .gradient
    else { return }
    let prefix = summary.network + "/"
    let inner = frame.path.hasPrefix(prefix) ? String(frame.path.dropFirst(prefix.count)) + "/" : ""
    var row = LayerSummary(
      name: inner + site.entry.name, kind: site.entry.name, output: tensor.type, trainable: 0,
      total: 0)
    if !site.path.isEmpty { row.name = String(site.path.dropFirst(prefix.count)) }
    for name in site.owned {
      guard let state = states[name] else { continue }
      row.total += state.type.count
      if state.kind == .parameter { row.trainable += state.type.count }
    }
    summary.rows.append(row)
  }

  // MARK: Blocks

  private func callBlock(
    _ block: BlockItem, _ call: Call, _ arguments: [GivenArgument]
  ) throws(Diagnostic) -> Value {
    let name = block.name.text
    if failed.contains(name) { throw .reported }
    enterCall()
    try checkRecursion(name, "block", at: call.function.range)
    var arguments = arguments
    // `name:` names the block's part of the path, unless the block has a parameter of that name.
    var part: String?
    if !block.parameters.contains(where: { $0.name.text == "name" }),
      let index = arguments.firstIndex(where: { $0.label?.text == "name" })
    {
      let value = try evaluate(arguments[index], as: .text)
      guard case .text(let text) = value, isPathPart(text) else {
        throw Diagnostic(
          "argument.type", "a block's name is a string of letters, digits, _ and -",
          at: arguments[index].range)
      }
      part = text
      arguments.remove(at: index)
    }
    let signature = "\(name)(" + block.parameters.map(\.name.text).joined(separator: ", ") + ")"
    let matched = try match(
      arguments, to: block.parameters.map { [$0.name.text] },
      required: block.parameters.map { $0.defaultValue == nil }, of: call.function,
      signature: signature)

    let scope = Scope()
    var isWrong = false
    for (parameter, argument) in zip(block.parameters, matched) where argument != nil {
      do {
        let value = try evaluate(argument!, as: .text)
        scope.bind(parameter.name.text, value, parameter.name.range)
      } catch {
        report(error)
        isWrong = true
      }
    }
    if isWrong { throw .reported }
    var path = frame.path
    if frame.network != nil {
      path += "/" + (try frame.part(kind: name, name: part, at: call.function.range))
    }
    let inner = Frame(
      .block, name: name, network: frame.network, average: frame.average, path: path,
      streamKey: frame.use(name), training: frame.training, scope: scope,
      dimensions: frame.dimensions, callRange: call.range)
    block.parameters.forEach { slips.noteBinding($0.name) }
    let value = try within(inner) { () throws(Diagnostic) -> Value in
      // Defaults may use the parameters before them.
      for (parameter, argument) in zip(block.parameters, matched) where argument == nil {
        let value = try self.evaluate(parameter.defaultValue!)
        scope.bind(parameter.name.text, value, parameter.name.range)
      }
      return try self.evaluateBody(block.body, owner: name)
    }
    return placed(value, at: call.range)
  }

  func checkRecursion(_ name: String, _ kind: String, at range: SourceRange) throws(Diagnostic) {
    for outer in frames + [frame]
    where outer.name == name && (outer.kind == .network || outer.kind == .block) {
      throw Diagnostic(
        "\(kind).recursion", "\(name) calls itself", at: range,
        notes: outer.callRange.map { [.init("the call of \(name) around this one", at: $0)] } ?? [],
        help: "every call is unrolled, so a \(kind) cannot be recursive")
    }
  }

  /// The statements and the result of a network, block or sample. After an error the statements
  /// that follow are still read, so that their own errors show.
  func evaluateBody(_ body: Body, owner: String) throws(Diagnostic) -> Value {
    let errors = errorCount
    for statement in body.statements {
      switch statement {
      case .let(let item): evaluateLet(item)
      case .state(let item): report(reservedState(item.range))
      case .assign(let item): report(assignment(item))
      default:
        report(
          Diagnostic(
            "statement.misplaced", "only let statements and a result may stand here",
            at: statement.range, help: "updates and reports belong in train"))
      }
    }
    do throws(Diagnostic) {
      guard let result = body.result else { throw Diagnostic.reported }
      let value = try evaluate(result)
      guard errorCount == errors, !exhausted else { throw Diagnostic.reported }
      return value
    } catch {
      report(error)
      failed.insert(owner)
      throw .reported
    }
  }

  func assignment(_ item: AssignStatement) -> Diagnostic {
    Diagnostic(
      "assign", "\(item.name.text) cannot be assigned: values are immutable", at: item.range,
      help: "let \(item.name.text) = … defines a new one")
  }

  /// `let name = value`, `let (a, _) = value`. Names whose value is wrong are bound to nothing,
  /// silently.
  func evaluateLet(_ item: LetStatement) {
    var value: Value?
    attempt { () throws(Diagnostic) in value = try evaluate(item.value) }
    switch item.pattern {
    case .name(let name): bind(name, value)
    case .tuple(let elements, let range):
      var parts: [Value?] = Array(repeating: nil, count: elements.count)
      if let value {
        if case .tuple(let items) = value, items.count == elements.count {
          parts = items
        } else if case .tuple(let items) = value {
          report(
            Diagnostic(
              "tuple.count", "\(elements.count) names for a tuple of \(items.count)", at: range))
        } else {
          report(
            Diagnostic(
              "tuple.count", "this takes a tuple apart, but the value is \(value.kindText)",
              at: range, notes: [.init("the value", at: item.value.range)]))
        }
      }
      for (element, part) in zip(elements, parts) {
        if let name = element.name { bind(name, part) }
      }
    }
  }

  /// Binds a name in the current scope; a second definition there is an error, except in later
  /// rounds of a `repeat`, where the same statement comes again.
  private func bind(_ name: Name, _ value: Value?) {
    if let first = frame.scope.local(name.text), first.range != name.range {
      report(
        Diagnostic(
          "name.duplicate", "\(name.text) is defined twice", at: name.range,
          notes: [.init("the first is here", at: first.range)],
          help: "values are immutable; choose another name"))
      return
    }
    frame.scope.bind(name.text, value, name.range)
    slips.noteBinding(name)
  }
}
