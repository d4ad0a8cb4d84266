// One node of an ONNX graph while it is imported: its inputs and attributes, checked, and what it
// makes. The functions of the operators are written with it.

import Basics
import Formats
import GraphIR
import Operators

struct NodeImport {
  let node: ONNXNode
  /// How errors and places call it.
  let title: String
  /// The version of the standard's operators.
  let opset: Int
  let inputs: [ModelValue?]
  let importer: GraphImport

  var builder: GraphBuilder { importer.builder }

  // MARK: Inputs

  func input(_ index: Int) throws -> ModelValue {
    guard let value = optional(index) else { throw Malformed(what: "has no input \(index)") }
    return value
  }

  func optional(_ index: Int) -> ModelValue? { index < inputs.count ? inputs[index] : nil }

  /// All inputs; none may be left out.
  func allInputs() throws -> [ModelValue] {
    let all = try inputs.indices.map(input)
    guard !all.isEmpty else { throw Malformed(what: "has no inputs") }
    return all
  }

  /// An input whose elements must be known at import, as `what`: from the model, or, where it is an
  /// input of the model itself, from what was given for it.
  func known(_ index: Int, _ what: String) throws -> (value: ModelValue, elements: [Double]) {
    let value = try input(index)
    if let elements = value.given?.doubles { return (value, elements) }
    guard let elements = value.values else {
      if value.isKnown { throw Unsupported(what: "\(op) of \(value.element.text)") }
      throw Unsupported(what: "\(op) with a computed '\(what)'")
    }
    return (value, elements)
  }

  func knownIntegers(_ index: Int, _ what: String) throws -> [Int] {
    let (value, elements) = try known(index, what)
    guard value.element.isWhole else {
      throw Malformed(what: "needs whole numbers for '\(what)', found \(value.element.text)")
    }
    return elements.map { Int(clamping: $0) }
  }

  /// Whole numbers that are an attribute in old versions and an input in new ones; nil where
  /// neither is there.
  func integers(attribute name: String, orInput index: Int) throws -> [Int]? {
    if let list = try ints(name) { return list }
    return optional(index) == nil ? nil : try knownIntegers(index, name)
  }

  func knownScalar(_ index: Int, _ what: String) throws -> Double {
    let (value, elements) = try known(index, what)
    guard elements.count == 1 else {
      throw Malformed(what: "needs one number for '\(what)', found \(shapeText(value.shape))")
    }
    return elements[0]
  }

  /// Throws where the first input has no elements, which only operators on shapes can do with.
  func checkElements() throws {
    if let shape = optional(0)?.shape, shape.contains(0) {
      throw Unsupported(what: "\(op): the shape \(shapeText(shape)) has a dimension of 0")
    }
  }

  // MARK: Attributes

  var op: String { node.op }

  private func wrongType(_ name: String, _ expected: String) -> Malformed {
    Malformed(what: "needs \(expected) for the attribute '\(name)'")
  }

  func int(_ name: String) throws -> Int? {
    guard let value = node.attribute(name) else { return nil }
    guard case .int(let number) = value else { throw wrongType(name, "a whole number") }
    return Int(number)
  }
  func int(_ name: String, _ standard: Int) throws -> Int { try int(name) ?? standard }
  func flag(_ name: String, _ standard: Bool = false) throws -> Bool {
    try int(name).map { $0 != 0 } ?? standard
  }

  func float(_ name: String) throws -> Double? {
    guard let value = node.attribute(name) else { return nil }
    guard case .float(let number) = value else { throw wrongType(name, "a number") }
    return Double(number)
  }
  func float(_ name: String, _ standard: Double) throws -> Double { try float(name) ?? standard }

  func string(_ name: String, _ standard: String) throws -> String {
    guard let value = node.attribute(name) else { return standard }
    guard case .string(let text) = value else { throw wrongType(name, "a text") }
    return text
  }

  func ints(_ name: String) throws -> [Int]? {
    guard let value = node.attribute(name) else { return nil }
    guard case .ints(let list) = value else { throw wrongType(name, "whole numbers") }
    return list.map { Int($0) }
  }

  func floats(_ name: String) throws -> [Double]? {
    guard let value = node.attribute(name) else { return nil }
    guard case .floats(let list) = value else { throw wrongType(name, "numbers") }
    return list.map { Double($0) }
  }

  /// An axis from 0 on, counted from the end where it is negative; `extra` axes more than the rank
  /// has are allowed.
  func axis(_ axis: Int, rank: Int, extra: Int = 0) throws -> Int {
    let most = rank + extra
    guard axis >= -most, axis < most else {
      throw Malformed(what: "has the axis \(axis) of a tensor of rank \(rank)")
    }
    return axis < 0 ? axis + most : axis
  }

  /// Axes in ascending order, each once.
  func axes(_ list: [Int], rank: Int, extra: Int = 0) throws -> [Int] {
    let found = try list.map { try axis($0, rank: rank, extra: extra) }.sorted()
    guard Set(found).count == found.count else {
      throw Malformed(what: "names an axis twice: \(shapeText(list))")
    }
    return found
  }

  // MARK: Values in the graph

  /// The value with ONNX's order of axes.
  func planar(_ value: ModelValue) throws -> ValueID { try importer.planar(value) }
  /// An image as [n, h, w, c].
  func channelsLast(_ value: ModelValue) throws -> ValueID { try importer.channelsLast(value) }

  /// Numbers that the import works out for this node; large ones become a weight.
  func table(
    _ what: String, _ shape: [Int], _ values: [Double], _ element: ONNXElement = .float
  ) throws -> ValueID {
    let name = "\(title).\(what)"
    return try planar(ModelValue(name: name, element, shape, values: values))
  }

  /// The value of an input that must be of real numbers.
  func real(_ value: ModelValue) throws -> ModelValue {
    guard value.element.isReal else {
      throw Unsupported(what: "\(op) of \(value.element.text)")
    }
    return value
  }

  // MARK: Results

  func outputName(_ index: Int) -> String {
    index < node.outputs.count ? node.outputs[index] : ""
  }
  /// Whether an output is asked for.
  func wants(_ index: Int) -> Bool { !outputName(index).isEmpty }

  func result(_ value: ValueID, _ element: ONNXElement, _ index: Int = 0) -> ModelValue {
    ModelValue(name: outputName(index), element, builder.shape(of: value), planar: value)
  }

  /// A result that is [n, h, w, c] in the graph.
  func image(_ value: ValueID, _ element: ONNXElement, _ index: Int = 0) -> ModelValue {
    let shape = builder.shape(of: value)
    return ModelValue(
      name: outputName(index), element, AxisOrder.toPlanar.map { shape[$0] }, channelsLast: value)
  }

  /// A result that is known at import. One without elements may have too large a shape as well.
  func known(
    _ element: ONNXElement, _ shape: [Int], _ values: [Double], _ index: Int = 0
  ) throws -> ModelValue {
    try checkSize(shape)
    return ModelValue(name: outputName(index), element, shape, values: values)
  }

  /// Throws where a shape worked out at import is larger than a tensor may be.
  func checkSize(_ shape: [Int]) throws {
    guard ModelValue.count(of: shape) != nil else {
      throw Malformed(what: "makes \(shapeText(shape)), which is too large")
    }
  }

  // MARK: Element by element

  /// Builds an element-wise function of values that are broadcast together, in the order of axes
  /// that the images among them already have.
  func elementwise(
    _ values: [ModelValue], to element: ONNXElement, index: Int = 0,
    _ body: ([ValueID]) throws -> ValueID
  ) throws -> ModelValue {
    let rank = values.map(\.rank).max() ?? 0
    guard rank == 4, values.contains(where: \.isTurned) else {
      return try result(body(values.map(planar)), element, index)
    }
    return try image(body(values.map(channelsLast)), element, index)
  }

  func elementwise(
    _ value: ModelValue, _ body: (ValueID) throws -> ValueID
  ) throws -> ModelValue {
    try elementwise([value], to: value.element) { try body($0[0]) }
  }
}

extension Int {
  /// A whole number that may lie beyond 64 bits.
  init(clamping value: Double) {
    self = value >= 9.2e18 ? .max : value <= -9.2e18 ? .min : value.isNaN ? 0 : Int(value)
  }
}
