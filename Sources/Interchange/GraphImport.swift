// The import itself: walks the nodes of an ONNX graph and builds ours. What depends on constants
// alone is worked out at once by the operations' own meaning, so the chains of shapes that exporters
// write leave nothing behind; weights become states, so that a printed graph stays readable.

import Basics
import Formats
import GraphIR
import Operators

/// One import; used once.
final class GraphImport {
  /// Tensors of more elements are weights (states of the graph); smaller ones stand in it.
  static let largestConstant = 16
  /// What depends on constants of more elements altogether is left to the graph.
  static let largestFolded = 1 << 16
  /// The versions of the standard's operators whose meaning was looked at.
  static let opsets = 7...28

  let file: String
  private let opset: Int
  private(set) var builder: GraphBuilder
  private var isFolding = false
  /// nil for a value that is made by a node that is not supported, or made of one.
  private var values: [String: ModelValue?] = [:]
  private var unsupported = UnsupportedList()
  private(set) var weights: [String: ImportedModel.Weight] = [:]
  private(set) var weightOrder: [String] = []
  /// What nodes are called so far; no two the same.
  private var titles: Set<String> = []

  init(_ model: ONNXModel, file: String) throws(EnvironmentFailure) {
    self.file = file
    guard let version = model.standardOpset else {
      throw EnvironmentFailure("\(file): the model names no version of the standard's operators")
    }
    guard let opset = Int(exactly: version), Self.opsets.contains(opset) else {
      throw EnvironmentFailure(
        "\(file): the model has operators of version (opset) \(version); supported are "
          + "\(Self.opsets.lowerBound) to \(Self.opsets.upperBound)",
        help: "onnx.version_converter converts a model")
    }
    self.opset = opset
    builder = GraphBuilder(name: model.graph.name.isEmpty ? "main" : model.graph.name)
  }

  // MARK: The whole graph

  func run(
    _ graph: ONNXGraph, _ sizes: DimensionSizes, given: [String: ONNXTensor]
  ) throws(EnvironmentFailure) -> ImportedModel {
    for tensor in graph.initializers {
      try define(tensor.name, ModelValue(tensor, name: tensor.name), "an initialiser")
    }
    var arguments: [ImportedModel.Port] = []
    for input in graph.inputs where values[input.name] == nil {
      let port = try sizes.port(input, file)
      guard !port.type.shape.contains(0) else {
        // Nothing to read: lists that are empty, such as those of axes.
        try define(port.name, ModelValue(port), "an input")
        continue
      }
      arguments.append(port)
      let value = try placed("the input '\(input.name)'") {
        try builder.input(.argument(port.name), port.type)
      }
      let argument = ModelValue(
        name: port.name, port.element, port.type.shape, planar: value)
      argument.given = given[port.name]
      try define(port.name, argument, "an input")
    }
    for (index, node) in graph.nodes.enumerated() { try visit(node, index) }
    guard unsupported.isEmpty else { throw unsupported.failure(file) }
    let results = try graph.outputs.map { (output) throws(EnvironmentFailure) in
      try finish(output)
    }
    guard !results.isEmpty else {
      throw EnvironmentFailure("\(file): the graph has no outputs")
    }
    return ImportedModel(
      graph: builder.finish(), arguments: arguments, results: results,
      weights: weightOrder.compactMap { weights[$0] }, sizes: sizes.bound)
  }

  private func define(
    _ name: String, _ value: ModelValue?, _ what: String
  ) throws(EnvironmentFailure) {
    if let value, ModelValue.count(of: value.shape) == nil {
      throw EnvironmentFailure(
        "\(file): the value '\(name)' has the shape \(shapeText(value.shape)), which is too large")
    }
    guard values.updateValue(value, forKey: name) == nil else {
      throw EnvironmentFailure("\(file): the value '\(name)' is defined twice, again as \(what)")
    }
  }

  private func finish(_ output: ONNXValueInfo) throws(EnvironmentFailure) -> ImportedModel.Port {
    guard let found = values[output.name], let value = found else {
      throw EnvironmentFailure("\(file): nothing makes the output '\(output.name)'")
    }
    builder.origin = Origin()
    let result = try placed("the output '\(output.name)'") { try planar(value) }
    builder.output(.result(output.name), result)
    return ImportedModel.Port(
      name: output.name, element: value.element, type: builder.type(of: result))
  }

  // MARK: One node

  private func visit(_ node: ONNXNode, _ index: Int) throws(EnvironmentFailure) {
    let title = title(of: node, index)
    var results: [ModelValue?] = []
    if let entry = OperatorTable.entry(node) {
      if let problem = entry.problem(node) {
        unsupported.add(problem, node: title)
      } else if let inputs = try inputs(of: node, title) {
        let context = NodeImport(
          node: node, title: title, opset: opset, inputs: inputs, importer: self)
        results = try build(context, entry)
      }
    } else {
      unsupported.add(OperatorTable.name(of: node), node: title)
    }
    for (index, name) in node.outputs.enumerated() where !name.isEmpty {
      let value = index < results.count ? results[index] : nil
      if value == nil, !results.isEmpty {
        unsupported.add("\(node.op) with the output \(index)", node: title)
      }
      try define(name, value, "an output of '\(title)'")
    }
  }

  /// What errors, places and weights call a node: nothing in a model keeps names apart, so that a
  /// name seen before gets the node's number.
  private func title(of node: ONNXNode, _ index: Int) -> String {
    let name = node.name.isEmpty ? "\(node.op)_\(index)" : node.name
    var title = name
    var number = index
    while !titles.insert(title).inserted {
      title = "\(name)_\(number)"
      number += 1
    }
    return title
  }

  /// The inputs, nil among them where they are left out; nil where one is not supported.
  private func inputs(
    of node: ONNXNode, _ title: String
  ) throws(EnvironmentFailure) -> [ModelValue?]? {
    var inputs: [ModelValue?] = []
    var isWhole = true
    for name in node.inputs {
      if name.isEmpty {
        inputs.append(nil)
      } else if let found = values[name] {
        inputs.append(found)
        isWhole = isWhole && found != nil
      } else {
        throw EnvironmentFailure(
          "\(file): the node '\(title)' (\(node.op)) reads '\(name)', which nothing before it makes",
          help: "nodes must stand in the order of computing")
      }
    }
    return isWhole ? inputs : nil
  }

  private func build(
    _ context: NodeImport, _ entry: OperatorTable.Entry
  ) throws(EnvironmentFailure) -> [ModelValue?] {
    builder.origin = Origin(path: context.title)
    do {
      if let folded = try folded(context, entry) { return folded }
      return try entry.build(context)
    } catch let error as Unsupported {
      unsupported.add(error.what, node: context.title)
      return []
    } catch let error as Diagnostic where Self.limits.contains(error.code) {
      unsupported.add("\(context.op): \(error.message)", node: context.title)
      return []
    } catch let error as Malformed {
      throw failure("the node '\(context.title)' (\(context.op)) \(error.what)")
    } catch let error as Diagnostic {
      throw failure("the node '\(context.title)' (\(context.op)): \(error.message)")
    } catch {
      throw failure("the node '\(context.title)' (\(context.op)): \(error)")
    }
  }

  /// Diagnostics that speak of our limits rather than of a contradiction in the model.
  private static let limits: Set = [
    "type.element", "shape.size", "shape.rank", "pool.padding", "conv.padding",
  ]

  private func failure(_ text: String) -> EnvironmentFailure {
    EnvironmentFailure("\(file): \(text)")
  }

  private func placed<Value>(
    _ what: String, _ body: () throws -> Value
  ) throws(EnvironmentFailure) -> Value {
    do { return try body() } catch let error as Diagnostic {
      throw failure("\(what): \(error.message)")
    } catch let error as Unsupported {
      throw failure("\(what): \(error.what)")
    } catch {
      throw failure("\(what): \(error)")
    }
  }

  // MARK: Folding

  /// The results of a node whose inputs are all known, worked out now; nil where that is not so, or
  /// too large.
  private func folded(
    _ context: NodeImport, _ entry: OperatorTable.Entry
  ) throws -> [ModelValue?]? {
    let inputs = context.inputs.compactMap { $0 }
    guard !inputs.isEmpty, inputs.allSatisfy(\.isKnown),
      inputs.reduce(0, { $0 + $1.count }) <= Self.largestFolded
    else { return nil }
    let outer = builder
    defer {
      builder = outer
      isFolding = false
    }
    builder = GraphBuilder(name: "folding")
    isFolding = true
    let results = try entry.build(context)
    let ids = try results.map { try $0.flatMap { $0.isKnown ? nil : try planar($0) } }
    for id in ids.compactMap({ $0 }) { builder.output(.result("\(id)"), id) }
    let graph = builder.finish()
    guard graph.values.elements.allSatisfy({ $0.type.count <= Self.largestFolded }) else {
      return nil
    }
    let computed = Evaluator(rounding: true).evaluateAll(graph, inputs: [])
    return zip(results, ids).map { value, id in
      guard let value, let id, let tensor = computed[id] else { return value }
      return ModelValue(name: value.name, value.element, value.shape, values: tensor.values)
    }
  }

  // MARK: Values in the graph

  /// The value with ONNX's order of axes.
  func planar(_ value: ModelValue) throws -> ValueID {
    if let known = value.planar { return known }
    if let turned = value.channelsLast {
      let planar = try builder.transpose(turned, AxisOrder.toPlanar)
      value.planar = planar
      return planar
    }
    return try materialized(value, shape: value.shape, Array(value.shape.indices))
  }

  /// An image as [n, h, w, c]; a value of fewer axes as it is broadcast to one.
  func channelsLast(_ value: ModelValue) throws -> ValueID {
    if let known = value.channelsLast { return known }
    if value.rank == 0 { return try planar(value) }
    let shape = [Int](repeating: 1, count: 4 - value.rank) + value.shape
    if value.isKnown { return try materialized(value, shape: shape, AxisOrder.toChannelsLast) }
    let whole = try builder.reshape(planar(value), shape)
    // An axis of 1 more or less does not move an element.
    let turned =
      shape[1] == 1 || shape[2] * shape[3] == 1
      ? try builder.reshape(whole, AxisOrder.toChannelsLast.map { shape[$0] })
      : try builder.transpose(whole, AxisOrder.toChannelsLast)
    if value.rank == 4 { value.channelsLast = turned }
    return turned
  }

  /// The value with its axes in another order; a known one is turned when it is read.
  func permuted(_ value: ModelValue, _ permutation: [Int]) throws -> ValueID {
    guard value.isKnown else { return try builder.transpose(planar(value), permutation) }
    return try materialized(value, shape: value.shape, permutation)
  }

  /// A known value in the graph with its axes permuted: a constant, or, where it is large, a
  /// weight. `shape` is the value's own, axes of 1 in front of it left aside.
  func materialized(
    _ value: ModelValue, shape: [Int], _ permutation: [Int]
  ) throws -> ValueID {
    guard let element = value.element.computed else {
      throw Unsupported(what: "tensors of \(value.element.text)")
    }
    let type = try TensorType(element, permutation.map { shape[$0] }).checked()
    let skipped = shape.count - value.rank
    let own = permutation.filter { $0 >= skipped }.map { $0 - skipped }
    let isTurned = own != Array(value.shape.indices)
    if !isFolding, let name = value.states[own], let weight = weights[name] {
      return try state(weight, as: type)
    }
    guard let values = value.permuted(own) else {
      throw Unsupported(what: "tensors of \(value.element.text)")
    }
    if element == .i32, let large = values.first(where: { abs($0) > 2_147_483_648 }) {
      throw Unsupported(what: "whole numbers beyond 32 bits, such as \(large)")
    }
    if values.count <= Self.largestConstant || isFolding {
      return try builder.constant(type, values)
    }
    if let first = values.first, values.allSatisfy({ $0.bitPattern == first.bitPattern }) {
      return try builder.constant(type, [first])
    }
    let name = isTurned ? "\(value.name):\(own.map(String.init).joined())" : value.name
    let weight = ImportedModel.Weight(name: unusedName(name), type: type, values)
    weights[weight.name] = weight
    weightOrder.append(weight.name)
    value.states[own] = weight.name
    return try state(weight, as: type)
  }

  /// The name, with a number where another weight has it: an initialiser may be called as a table
  /// of a node or as another one with its axes permuted.
  private func unusedName(_ name: String) -> String {
    var unused = name
    var number = 2
    while weights[unused] != nil {
      unused = "\(name)_\(number)"
      number += 1
    }
    return unused
  }

  private func state(_ weight: ImportedModel.Weight, as type: TensorType) throws -> ValueID {
    let state = try builder.input(.state(weight.name), weight.type)
    return try builder.reshape(state, type.shape)
  }
}
