// Calls of networks: dimension variables are bound from the arguments, the body is inlined at these
// sizes, the result is checked against the signature.

import Basics
import GraphIR
import GraphSyntax
import Operators

extension Elaborator {
  func callNetwork(
    _ network: NetworkItem, average: String?, _ call: Call, _ arguments: [GivenArgument]
  ) throws(Diagnostic) -> Value {
    let name = call.function.text
    guard context.purpose != .constant else {
      throw Diagnostic("constant.expected", "a network's result is no constant", at: call.range)
    }
    enterCall()
    try checkRecursion(network.name.text, "network", at: call.function.range)
    var arguments = arguments
    let training = try trainingArgument(&arguments, network, average: average)
    let shown = network.parameters.map(\.name.text) + ["training:"]
    let matched = try match(
      arguments, to: network.parameters.map { [$0.name.text] },
      required: network.parameters.map { _ in true }, of: call.function,
      signature: "\(name)(" + shown.joined(separator: ", ") + ")")

    var values: [TensorValue] = []
    var isWrong = false
    for (parameter, argument) in zip(network.parameters, matched) {
      do {
        let value = try evaluate(argument!, as: .tensor)
        let element = try elementType(parameter.type)
        values.append(try tensor(value, at: argument!.range, element: element))
      } catch {
        report(error)
        isWrong = true
      }
    }
    if isWrong || failed.contains(network.name.text) { throw .reported }
    let sizes = try bindDimensions(
      network, values, ranges: matched.map { $0!.range }, callee: name)
    noteArguments(network, values, matched.map { $0!.range })
    if firstSizes[network.name.text] == nil { firstSizes[network.name.text] = sizes }
    let value = try inline(
      network, average: average, values, sizes, training: training, at: call.range)
    return placed(value, at: call.range)
  }

  private func trainingArgument(
    _ arguments: inout [GivenArgument], _ network: NetworkItem, average: String?
  ) throws(Diagnostic) -> Bool {
    let inherited = frame.training && average == nil
    guard !network.parameters.contains(where: { $0.name.text == "training" }),
      let index = arguments.firstIndex(where: { $0.label?.text == "training" })
    else { return inherited }
    let argument = arguments.remove(at: index)
    let value = try evaluate(argument, as: .boolean)
    guard case .boolean(let flag) = value else {
      throw Diagnostic(
        "argument.type", "training must be true or false, but is \(value.kindText)",
        at: argument.range)
    }
    if flag, average != nil {
      throw Diagnostic(
        "average.training", "a moving average runs in inference mode only", at: argument.range)
    }
    return flag
  }

  func elementType(_ type: TypeSyntax) throws(Diagnostic) -> ElementType {
    guard let name = type.element else { return .f32 }
    let allowed = ["f32", "i32", "bool"]
    guard allowed.contains(name.text), let element = ElementType(rawValue: name.text) else {
      throw Diagnostic(
        "type.element", "there is no element type \(name.text)", at: name.range,
        help: suggestion(for: name.text, in: allowed) ?? "there are f32, i32 and bool")
    }
    return element
  }

  /// Whether a dimension of a signature is a variable: a name that is no constant.
  func dimensionVariable(_ dimension: Expression) -> String? {
    guard case .name(let name) = dimension.kind, declarations.kinds[name] != .constant else {
      return nil
    }
    return name
  }

  /// The sizes of the dimension variables, from the shapes of the arguments.
  private func bindDimensions(
    _ network: NetworkItem, _ values: [TensorValue], ranges: [SourceRange], callee: String
  ) throws(Diagnostic) -> [String: Int] {
    var sizes: [String: Int] = [:]
    var sources: [String: (parameter: String, place: SourceRange)] = [:]
    for (index, parameter) in network.parameters.enumerated() {
      let value = values[index]
      let element = try elementType(parameter.type)
      guard value.type.element == element, value.type.rank == parameter.type.dimensions.count else {
        throw disagreement(network, index, value, sizes, at: ranges[index], callee)
      }
      for (dimension, size) in zip(parameter.type.dimensions, value.type.shape) {
        guard let variable = dimensionVariable(dimension) else { continue }
        if let known = sizes[variable], known != size {
          var error = disagreement(network, index, value, sizes, at: ranges[index], callee)
          if let source = sources[variable] {
            error.notes.append(
              .init("\(variable) is \(known) because of \(source.parameter)", at: source.place))
          }
          throw error
        }
        if sizes[variable] == nil {
          sizes[variable] = size
          sources[variable] = (parameter.name.text, value.place)
        }
      }
    }
    // Sizes that are computed, when all variables are known.
    for (index, parameter) in network.parameters.enumerated() {
      let expected = try shape(parameter.type, sizes)
      if expected != values[index].type.shape {
        throw disagreement(network, index, values[index], sizes, at: ranges[index], callee)
      }
    }
    return sizes
  }

  /// The shape that a signature means, with its variables bound.
  func shape(_ type: TypeSyntax, _ sizes: [String: Int]) throws(Diagnostic) -> [Int] {
    let scope = Scope()
    for name in sizes.keys.sorted() { scope.bind(name, .integer(sizes[name]!), type.range) }
    let inner = Frame(
      .constant, name: frame.name, streamKey: "", training: false, scope: scope)
    return try within(inner) { () throws(Diagnostic) -> [Int] in
      var result: [Int] = []
      for dimension in type.dimensions {
        let size = try self.integer(dimension, "a size")
        guard size > 0 else {
          throw Diagnostic(
            "shape.size", "a size must be positive, but is \(size)", at: dimension.range)
        }
        result.append(size)
      }
      return result
    }
  }

  /// `[n, 100]` as it is written, with the values of what is known.
  func text(_ type: TypeSyntax, _ sizes: [String: Int]) -> String {
    let parts = type.dimensions.map { dimension in
      if let variable = dimensionVariable(dimension) {
        return sizes[variable].map { "\(variable) = \($0)" } ?? variable
      }
      let size = try? inConstants { () throws(Diagnostic) -> Value in
        for name in sizes.keys.sorted() {
          self.frame.scope.bind(name, .integer(sizes[name]!), dimension.range)
        }
        return try self.evaluate(dimension)
      }
      return size?.text ?? source.text(dimension.range)
    }
    return (type.element?.text ?? "f32") + "[" + parts.joined(separator: ", ") + "]"
  }

  private func disagreement(
    _ network: NetworkItem, _ index: Int, _ value: TensorValue, _ sizes: [String: Int],
    at range: SourceRange, _ callee: String
  ) -> Diagnostic {
    let parameter = network.parameters[index]
    let expected = text(parameter.type, sizes)
    var notes = [Diagnostic.Note("\(parameter.name.text) is declared here", at: parameter.range)]
    if value.place != range { notes.append(.init("the value is made here", at: value.place)) }
    return Diagnostic(
      "shape.argument", "\(callee) takes \(parameter.name.text) as \(expected), not \(value.type)",
      at: range, notes: notes)
  }

  /// Elaborates the body of a network for these arguments.
  func inline(
    _ network: NetworkItem, average: String?, _ values: [TensorValue], _ sizes: [String: Int],
    training: Bool, at range: SourceRange?
  ) throws(Diagnostic) -> Value {
    let name = network.name.text
    let scope = Scope()
    let dimensions = Scope()
    for variable in sizes.keys.sorted() {
      dimensions.bind(variable, .integer(sizes[variable]!), network.name.range)
    }
    for (parameter, value) in zip(network.parameters, values) {
      scope.bind(parameter.name.text, .tensor(value), parameter.name.range)
      slips.noteBinding(parameter.name)
    }
    let inner = Frame(
      .network, name: name, network: name, average: average, path: name,
      streamKey: frame.use(average ?? name), training: training, scope: scope,
      dimensions: dimensions, callRange: range)
    return try within(inner) { () throws(Diagnostic) -> Value in
      let value = try self.evaluateBody(network.body, owner: name)
      do throws(Diagnostic) {
        return try self.checked(value, against: network, sizes)
      } catch {
        self.report(error)
        self.failed.insert(name)
        throw .reported
      }
    }
  }

  /// The result of a network, which must have the declared types.
  private func checked(
    _ value: Value, against network: NetworkItem, _ sizes: [String: Int]
  ) throws(Diagnostic) -> Value {
    let place = network.body.result?.range ?? network.name.range
    let declared = network.result.types
    var items = [value]
    if case .tuple(let parts) = value { items = parts }
    guard items.count == declared.count else {
      throw Diagnostic(
        "tuple.count",
        "\(network.name.text) gives \(items.count) value\(items.count == 1 ? "" : "s"), "
          + "but declares \(declared.count)",
        at: place, notes: [.init("it is declared here", at: network.result.range)])
    }
    var results: [Value] = []
    for (item, type) in zip(items, declared) {
      let element = try elementType(type)
      let tensor = try tensor(item, at: place, element: element)
      let expected = TensorType(element, try shape(type, sizes))
      guard tensor.type == expected else {
        throw Diagnostic(
          "shape.result", "\(network.name.text) declares \(expected), but gives \(tensor.type)",
          at: place,
          notes: [
            .init("it is declared here", at: type.range),
            .init("the value is made here", at: tensor.place),
          ])
      }
      results.append(.tensor(tensor))
    }
    return results.count == 1 ? results[0] : .tuple(results)
  }
}
