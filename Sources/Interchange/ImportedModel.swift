// What an import gives: our graph, what its inputs and outputs are called and are in the model, and
// the weights. The sizes of free dimensions come from the shapes of given inputs, from settings, or
// are 1.

import Basics
import Formats
import GraphIR

package struct ImportedModel: Sendable {
  /// An input or output of the model. `element` is what the model has, `type` what is computed.
  package struct Port: Hashable, Sendable {
    package var name: String
    package var element: ONNXElement
    package var type: TensorType
  }

  /// A state of the graph and its elements, little-endian.
  package struct Weight: Hashable, Sendable {
    package var name: String
    package var type: TensorType
    package var bytes: [UInt8]

    init(name: String, type: TensorType, _ values: [Double]) {
      self.name = name
      self.type = type
      bytes = []
      bytes.reserveCapacity(type.byteCount)
      for value in values {
        let word =
          type.element == .f32
          ? Float(value).bitPattern
          : UInt32(bitPattern: Int32(Swift.max(-0x1p31, Swift.min(0x1p31 - 1, value))))
        withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
      }
    }
  }

  /// A free dimension and the size that it was given.
  package struct Size: Hashable, Sendable {
    package enum Reason: Hashable, Sendable { case input, setting, standard }
    package var name: String
    package var size: Int
    package var reason: Reason
    package init(name: String, size: Int, reason: Reason) {
      self.name = name
      self.size = size
      self.reason = reason
    }
  }

  package var graph: Graph
  package var arguments: [Port]
  package var results: [Port]
  package var weights: [Weight]
  package var sizes: [Size]

  /// Builds our graph of a model. `given` are the arrays that its inputs will have: their shapes
  /// give sizes to free dimensions, and their elements are used where a node needs to know them to
  /// build its graph (a shape to reshape to). `settings` are sizes of free dimensions by name; what
  /// nothing says is 1. Throws where the model contradicts itself or the standard, and, in one
  /// error, where it needs what is not supported.
  package static func importing(
    _ model: ONNXModel, name: String, given: [ONNXTensor] = [], settings: [String: Int] = [:]
  ) throws(EnvironmentFailure) -> ImportedModel {
    let importer = try GraphImport(model, file: name)
    let given = Dictionary(given.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let sizes = try DimensionSizes(
      model.graph, name, shapes: given.mapValues(\.shape), settings: settings)
    return try importer.run(model.graph, sizes, given: given)
  }
}

/// The sizes of free dimensions.
struct DimensionSizes {
  /// In the order of the model.
  private(set) var bound: [ImportedModel.Size] = []
  private let shapes: [String: [Int]]
  /// The sizes in `bound` by name.
  private var sizes: [String: Int] = [:]
  /// Inputs of more dimensions are refused; no operator here has use for more.
  private static let mostDimensions = 8

  init(
    _ graph: ONNXGraph, _ file: String, shapes: [String: [Int]], settings: [String: Int]
  ) throws(EnvironmentFailure) {
    self.shapes = shapes
    let known = Set(graph.initializers.map(\.name))
    let inputs = graph.inputs.filter { !known.contains($0.name) }
    for input in inputs {
      guard case .tensor(_, .some(let dimensions)) = input.kind else { continue }
      guard dimensions.count <= Self.mostDimensions else {
        throw EnvironmentFailure(
          "\(file): the input '\(input.name)' has \(dimensions.count) dimensions; supported are "
            + "at most \(Self.mostDimensions)")
      }
      let shape = shapes[input.name]
      for (axis, dimension) in dimensions.enumerated() {
        guard case .parameter(let name) = dimension else { continue }
        if let shape, axis < shape.count {
          try bind(name, shape[axis], input.name, file)
        }
      }
    }
    for (name, size) in settings.sorted(by: { $0.key < $1.key }) {
      if sizes[name] == nil { add(name, size, .setting) }
    }
    for case .tensor(_, .some(let dimensions)) in inputs.map(\.kind) {
      for case .parameter(let name) in dimensions where sizes[name] == nil {
        add(name, 1, .standard)
      }
    }
  }

  private mutating func add(_ name: String, _ size: Int, _ reason: ImportedModel.Size.Reason) {
    sizes[name] = size
    bound.append(ImportedModel.Size(name: name, size: size, reason: reason))
  }

  private mutating func bind(
    _ name: String, _ size: Int, _ input: String, _ file: String
  ) throws(EnvironmentFailure) {
    guard let before = sizes[name] else { return add(name, size, .input) }
    guard before == size else {
      throw EnvironmentFailure(
        "\(file): the dimension '\(name)' is \(before) in one input and \(size) in "
          + "'\(input)'")
    }
  }

  /// The type of an input.
  func port(
    _ input: ONNXValueInfo, _ file: String
  ) throws(EnvironmentFailure) -> ImportedModel.Port {
    guard case .tensor(let element, let dimensions) = input.kind else {
      let what = if case .other(let kind) = input.kind { kind } else { "nothing" }
      throw EnvironmentFailure(
        "\(file): the input '\(input.name)' is not a tensor but of the type: \(what)")
    }
    guard let computed = element.computed else {
      throw EnvironmentFailure(
        "\(file): the input '\(input.name)' has elements of \(element.text), "
          + "which are not supported")
    }
    let given = shapes[input.name]
    guard let dimensions else {
      guard let given else {
        throw EnvironmentFailure("\(file): the input '\(input.name)' has no shape")
      }
      return ImportedModel.Port(
        name: input.name, element: element, type: TensorType(computed, given))
    }
    var shape: [Int] = []
    for (axis, dimension) in dimensions.enumerated() {
      switch dimension {
      case .value(let size): shape.append(size)
      case .parameter(let name): shape.append(sizes[name] ?? 1)
      case .unknown: shape.append(given.flatMap { axis < $0.count ? $0[axis] : nil } ?? 1)
      }
    }
    if let given, given != shape {
      throw EnvironmentFailure(
        "\(file): the input '\(input.name)' takes \(shapeText(shape)), was given "
          + "\(shapeText(given))")
    }
    return ImportedModel.Port(
      name: input.name, element: element, type: TensorType(computed, shape))
  }
}
