// Networks by themselves: their layer table, and their graphs in both modes; and the checks of
// declarations that do not wait for a call.

import Basics
import GraphIR
import GraphSyntax

extension Elaborator {
  /// What can be said of the declarations before any graph is made.
  func checkDeclarations() {
    checkData()
    for name in declarations.names(.network) {
      if let network = declarations.networks[name] { checkSignature(network) }
    }
    collectInlineOptimizers()
    begin(GraphContext(name: "constants", purpose: .train), trainFrame(Scope()))
    for name in declarations.names(.optimizer) {
      guard let item = declarations.optimizers[name] else { continue }
      attempt { () throws(Diagnostic) in _ = try self.declaredOptimizer(item) }
    }
  }

  /// Duplicate parameters, element types, and dimension variables that look like misspelt
  /// constants.
  private func checkSignature(_ network: NetworkItem) {
    var names: [String: SourceRange] = [:]
    for parameter in network.parameters {
      if let first = names[parameter.name.text] {
        report(
          Diagnostic(
            "name.duplicate", "\(parameter.name.text) is there twice", at: parameter.name.range,
            notes: [.init("the first is here", at: first)]))
      }
      names[parameter.name.text] = parameter.name.range
    }
    var variables: Set<String> = []
    let types = network.parameters.map(\.type) + network.result.types
    let constants = declarations.names(.constant)
    for (index, type) in types.enumerated() {
      attempt { () throws(Diagnostic) in _ = try self.elementType(type) }
      for dimension in type.dimensions {
        guard let variable = dimensionVariable(dimension) else { continue }
        if index >= network.parameters.count {
          // A variable must come from an argument.
          if !variables.contains(variable) {
            failed.insert(network.name.text)
            report(
              Diagnostic(
                "shape.variable", "the size \(variable) of the result comes from no argument",
                at: dimension.range, help: suggestion(for: variable, in: constants)))
          }
          continue
        }
        guard variables.insert(variable).inserted else { continue }
        let near = constants.first { $0.count > 2 && editDistance($0, variable) == 1 }
        if let near {
          warn(
            "shape.variable", "\(variable) is a dimension variable; is the constant \(near) meant?",
            at: dimension.range,
            notes: [.init("\(near) is defined here", at: declarations.places[near])])
        }
      }
    }
  }

  /// The network at the sizes of its first call, in both modes. A network that is never called gets
  /// small sizes.
  func elaborateAlone(_ network: NetworkItem) -> NetworkProgram? {
    let name = network.name.text
    if failed.contains(name) || exhausted { return nil }
    let given = givenSizes(network)
    if let sizes = firstSizes[name] { return alone(network, sizes.merging(given) { $1 }) }
    var variables: [String] = []
    for parameter in network.parameters {
      for dimension in parameter.type.dimensions {
        if let variable = dimensionVariable(dimension), !variables.contains(variable) {
          variables.append(variable)
        }
      }
    }
    // No call says how large it is. One size may be too small for a window or not divide where
    // another does, so only what fails at all of them is an error.
    let (known, failedBefore) = (errorCount, failed)
    for size in [1, 8, 32] {
      let sizes = Dictionary(uniqueKeysWithValues: variables.map { ($0, given[$0] ?? size) })
      let isLast = size == 32 || variables.allSatisfy { given[$0] != nil }
      isTentative = !isLast
      let program = alone(network, sizes)
      isTentative = false
      if program != nil || isLast || exhausted { return program }
      failed = failedBefore
      forgetErrors(since: known)
      states.removeAll(of: name)
    }
    return nil
  }

  /// The dimension variables as the shapes in the options bind them.
  private func givenSizes(_ network: NetworkItem) -> [String: Int] {
    var sizes: [String: Int] = [:]
    for given in options.argumentShapes where given.network == network.name.text {
      guard let parameter = network.parameters.first(where: { $0.name.text == given.argument }),
        parameter.type.dimensions.count == given.shape.count
      else { continue }
      for (dimension, size) in zip(parameter.type.dimensions, given.shape) {
        if let variable = dimensionVariable(dimension) { sizes[variable] = size }
      }
    }
    return sizes
  }

  private func alone(_ network: NetworkItem, _ sizes: [String: Int]) -> NetworkProgram? {
    guard let inference = instantiate(network, sizes, training: false),
      let training = instantiate(network, sizes, training: true)
    else { return nil }
    let owned = states.owned(by: network.name.text)
    let trainable = owned.filter { $0.kind == .parameter }.reduce(0) { $0 + $1.type.count }
    return NetworkProgram(
      name: network.name.text, arguments: inference.arguments, results: inference.results,
      layers: inference.layers, graph: inference.graph, trainingGraph: training.graph,
      trainableCount: trainable, totalCount: owned.reduce(0) { $0 + $1.type.count })
  }

  private struct Instance {
    var arguments: [(name: String, type: TensorType)]
    var results: [TensorType]
    var layers: [LayerSummary]
    var graph: Graph
  }

  private func instantiate(
    _ network: NetworkItem, _ sizes: [String: Int], training: Bool
  ) -> Instance? {
    let name = network.name.text
    let graphName = training ? "\(name)-training" : name
    begin(
      GraphContext(name: graphName, purpose: .network),
      Frame(.sample, name: graphName, streamKey: graphName, training: training, scope: Scope()))
    let recorder = SummaryRecorder(network: name)
    context.summary = recorder
    var instance: Instance?
    attempt { () throws(Diagnostic) in
      var arguments: [(name: String, type: TensorType)] = []
      var values: [TensorValue] = []
      for parameter in network.parameters {
        let element = try elementType(parameter.type)
        let type = TensorType(element, try shape(parameter.type, sizes))
        let id = try self.inputArgument(parameter, type)
        arguments.append((parameter.name.text, type))
        values.append(TensorValue(id: id, type: type, place: parameter.range))
      }
      let value = try self.inline(
        network, average: nil, values, sizes, training: training, at: nil)
      var parts = [value]
      if case .tuple(let items) = value { parts = items }
      var results: [TensorType] = []
      for (index, part) in parts.enumerated() {
        guard case .tensor(let tensor) = part else { throw .reported }
        self.builder.output(.result("\(index)"), tensor.id)
        results.append(tensor.type)
      }
      instance = Instance(
        arguments: arguments, results: results, layers: recorder.rows, graph: self.context.finish())
    }
    return instance
  }

  private func inputArgument(
    _ parameter: NetworkParameter, _ type: TensorType
  ) throws(Diagnostic) -> ValueID {
    do {
      return try builder.input(.argument(parameter.name.text), type)
    } catch {
      throw error.placed(at: parameter.range)
    }
  }
}
