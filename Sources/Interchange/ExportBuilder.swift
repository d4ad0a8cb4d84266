// An ONNX graph under construction: nodes with unique names, initialisers stored once, small
// constants shared. What is not needed for a result is dropped at the end.

import Basics
import Formats
import GraphIR
import Operators

/// A tensor whose elements are known when the model is written: weights and constants. It can be
/// stored with its axes in another order, as kernels and per-channel factors are.
struct KnownTensor: Hashable {
  /// The name of its initialiser; constants have none of their own.
  var name: String?
  var type: TensorType
  /// Little-endian, four bytes an element (f64: eight).
  var bytes: [UInt8]

  /// By what is short: a look-up must not go over all weights. Equality does.
  func hash(into hasher: inout Hasher) {
    hasher.combine(name)
    hasher.combine(type)
    hasher.combine(bytes.prefix(64))
  }

  /// The same elements with result axis i being axis permutation[i].
  func transposed(_ permutation: [Int]) -> KnownTensor {
    var copy = self
    copy.type.shape = permutation.map { type.shape[$0] }
    let isMoved =
      permutation.filter { type.shape[$0] > 1 }
      != permutation.filter { type.shape[$0] > 1 }.sorted()
    if !isMoved { return copy }
    let offsets = permutationOffsets(of: type.shape, permutation)
    let width = type.element.byteCount
    copy.bytes = [UInt8](unsafeUninitializedCapacity: bytes.count) { target, initialized in
      bytes.withUnsafeBytes { source in
        for offset in offsets {
          for byte in 0..<width { target[initialized + byte] = source[offset * width + byte] }
          initialized += width
        }
      }
    }
    return copy
  }

  func reshaped(_ shape: [Int]) -> KnownTensor {
    var copy = self
    copy.type.shape = shape
    return copy
  }
}

struct ExportBuilder {
  enum Attribute: Hashable {
    case int(Int)
    case ints([Int])
    case float(Double)
    case string(String)
  }

  struct Node {
    var name: String
    var operation: String
    var inputs: [String]
    var outputs: [String]
    var attributes: [(name: String, value: Attribute)]
  }

  private(set) var nodes: [Node] = []
  private(set) var initializers: [(name: String, tensor: ONNXTensor)] = []
  /// The call path of the node that is being written, for names.
  var path = ""
  private var names: Set<String> = []
  private var known: [KnownTensor: String] = [:]
  private var lists: [[Int]: String] = [:]
  private var integers: [Int: String] = [:]

  /// A name that nothing has yet: the wish, or the wish with a number.
  mutating func unique(_ wish: String) -> String {
    var name = wish
    var number = 0
    while !names.insert(name).inserted {
      number += 1
      name = "\(wish)_\(number)"
    }
    return name
  }

  /// Appends a node; an empty input is one that is left out. Returns the names of its outputs.
  @discardableResult
  mutating func add(
    _ operation: String, _ inputs: [String], outputs count: Int = 1,
    _ attributes: [(String, Attribute)] = []
  ) -> [String] {
    let name = unique(path.isEmpty ? operation : path + "/" + operation)
    let outputs = count == 1 ? [name] : (0..<count).map { unique("\(name):\($0)") }
    nodes.append(
      Node(
        name: name, operation: operation, inputs: inputs, outputs: outputs,
        attributes: attributes.map { (name: $0.0, value: $0.1) }))
    return outputs
  }

  /// Appends a node whose output has a given name, which must be reserved.
  mutating func append(_ operation: String, _ inputs: [String], named output: String) {
    let name = unique(path.isEmpty ? operation : path + "/" + operation)
    nodes.append(
      Node(name: name, operation: operation, inputs: inputs, outputs: [output], attributes: []))
  }

  /// The same for a node with one output.
  mutating func one(
    _ operation: String, _ inputs: String..., attributes: [(String, Attribute)] = []
  ) -> String {
    add(operation, inputs, attributes)[0]
  }

  // MARK: Known tensors

  /// The name of an initialiser that holds the tensor.
  mutating func initializer(_ tensor: KnownTensor) -> String {
    if let name = known[tensor] { return name }
    let name = unique(tensor.name ?? "constants/\(initializers.count)")
    initializers.append((name, ONNXTensor(name: name, tensor)))
    known[tensor] = name
    return name
  }

  /// A 1-D tensor of 64-bit integers: shapes, axes, places.
  mutating func list(_ values: [Int]) -> String {
    if let name = lists[values] { return name }
    let name = unique("constants/\(initializers.count)")
    initializers.append((name, ONNXTensor(name: name, shape: [values.count], integers: values)))
    lists[values] = name
    return name
  }

  /// A scalar of 64 bits.
  mutating func integer(_ value: Int) -> String {
    if let name = integers[value] { return name }
    let name = unique("constants/\(initializers.count)")
    initializers.append((name, ONNXTensor(name: name, shape: [], integers: [value])))
    integers[value] = name
    return name
  }

  /// A scalar of an element type.
  mutating func scalar(_ value: Double, _ element: ElementType) -> String {
    initializer(KnownTensor(type: TensorType(element, []), bytes: elementBytes([value], element)))
  }

  mutating func constant(_ values: [Double], _ type: TensorType) -> String {
    initializer(KnownTensor(type: type, bytes: elementBytes(values, type.element)))
  }

  // MARK: Changes

  /// Gives a node one more input, as the bias of a convolution that was found behind it.
  mutating func append(input: String, toProducerOf output: String) {
    guard let index = nodes.lastIndex(where: { $0.outputs.contains(output) }) else { return }
    nodes[index].inputs.append(input)
  }

  func inputs(ofProducerOf output: String) -> [String]? {
    nodes.last { $0.outputs.contains(output) }?.inputs
  }

  /// Calls a value by another name in all nodes.
  mutating func rename(_ old: String, to new: String) {
    for index in nodes.indices {
      for i in nodes[index].inputs.indices where nodes[index].inputs[i] == old {
        nodes[index].inputs[i] = new
      }
      for i in nodes[index].outputs.indices where nodes[index].outputs[i] == old {
        nodes[index].outputs[i] = new
      }
    }
  }

  /// Removes nodes and initialisers that no result needs.
  mutating func prune(keeping results: [String]) {
    var wanted = Set(results)
    var kept: [Node] = []
    for node in nodes.reversed() where node.outputs.contains(where: wanted.contains) {
      kept.append(node)
      wanted.formUnion(node.inputs)
    }
    nodes = kept.reversed()
    initializers.removeAll { !wanted.contains($0.name) }
  }
}

/// The bytes of elements as initialisers and `KnownTensor` hold them.
func elementBytes(_ values: [Double], _ element: ElementType) -> [UInt8] {
  switch element {
  case .f32: values.map { Float($0) }.withUnsafeBytes { Array($0) }
  case .f64: values.withUnsafeBytes { Array($0) }
  case .i32, .bool: values.map { Int32($0) }.withUnsafeBytes { Array($0) }
  }
}
