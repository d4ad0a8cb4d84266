// A sample's graph, taken apart at what differs from image to image: its noise. Two graphs of one
// sample come in, for two counts; out goes the graph that makes images from rows of noise, if every
// image is made of its own row alone, or the reason why it is not.

import Basics
import GraphIR
import Operators

/// A tensor of a sample with one row an image, which the graph takes as an argument.
struct RowSource: Sendable {
  enum Kind: Hashable, Sendable {
    case normal
    /// `isDiscrete`: only whole numbers or yes and no are made of it, so nothing lies between two.
    case uniform(isDiscrete: Bool)
    /// Numbers that stand in the program, such as `range(count)`.
    case constant
  }
  var argument: String
  /// The node in both graphs.
  var node: NodeID
  var kind: Kind
  /// Of the smaller graph.
  var type: TensorType
  var operation: any Operation

  /// Elements of one image.
  var rowSize: Int { type.count / max(1, type.shape[0]) }
}

struct SampleSplit: Sendable {
  /// The argument that takes the place of labels.
  static let classArgument = "class"

  /// Makes `rows` images, `.result("0")`, from the sources and what all images have in common.
  var graph: Graph
  var rows: Int
  var sources: [RowSource]

  /// Why a sample cannot be taken apart, for a person.
  struct Refusal: Error, Sendable { var reason: String }

  /// `small` and `large` are of one program, with counts of `rows` and `2 · rows`; `rows` is at
  /// least 2, so that no size of 1 is taken for a count.
  init(small: Graph, large: Graph, rows: Int) throws {
    let kinds = try ValueKinds(small, large, rows: rows)
    self.rows = rows
    sources = kinds.sources
    for index in sources.indices { sources[index].argument = "row source \(index)" }
    var replaced: [(value: ValueID, argument: String)] = []
    for source in sources {
      replaced.append((small.nodes[source.node].results[0], source.argument))
    }
    graph = try small.replacing(replaced)
    // What only other results of the sample need is gone.
    let read = Set(graph.inputs.map(\.role))
    sources.removeAll { !read.contains(.argument($0.argument)) }
  }

  /// The random sources alone, `count` rows of each, as results named by their arguments.
  func noise(count: Int) throws -> Graph {
    let builder = GraphBuilder(name: "noise")
    let seed = try builder.input(.seed, .i32(2))
    let step = try builder.input(.step, .i32())
    for source in sources {
      guard var draw = source.operation as? any RandomOperation else { continue }
      draw.shape[0] = count
      builder.output(.result(source.argument), try builder.add(draw, [seed, step])[0])
    }
    return builder.finish()
  }

  /// All values of a source that stands in the program, in the graph of the same sample for another
  /// count.
  static func constant(_ source: RowSource, in graph: Graph) throws -> [Double] {
    guard graph.nodes.ids.contains(source.node), case let node = graph.nodes[source.node],
      node.operands.isEmpty, node.operation is Constant || node.operation is Iota
    else { throw InternalError("the sample's graph has changed its form with its count") }
    return node.operation.evaluate([], results: graph.types(of: node.results))[0].values
  }
}

/// What two graphs of one sample say of each value: that it is the same for all images, or that it
/// has one row an image, made of nothing that belongs to another image.
private struct ValueKinds {
  enum Kind { case shared, rows }
  var sources: [RowSource] = []
  private let small: Graph
  private let large: Graph
  private let rows: Int
  private var kinds: Table<ValueTag, Kind?>

  init(_ small: Graph, _ large: Graph, rows: Int) throws {
    (self.small, self.large, self.rows) = (small, large, rows)
    kinds = Table(repeating: nil, count: small.values.count)
    guard small.nodes.count == large.nodes.count,
      small.inputs.map(\.role) == large.inputs.map(\.role)
    else { throw SampleSplit.Refusal(reason: "the sample has another form for another count") }
    for (a, b) in zip(small.inputs, large.inputs) {
      let isShared = small.type(of: a.value) == large.type(of: b.value)
      guard isShared || isRows(a.value, b.value) else {
        throw SampleSplit.Refusal(reason: "an input has another shape for another count")
      }
      kinds[a.value] = isShared ? .shared : .rows
    }
    let live = small.onlyFirstResult.liveNodes()
    for id in small.nodes.ids where live.contains(id) { try visit(id) }
    guard let result = small.output(.result("0")), kinds[result] == .rows else {
      throw SampleSplit.Refusal(reason: "its images do not follow from its count")
    }
  }

  private func isRows(_ a: ValueID, _ b: ValueID) -> Bool {
    let (x, y) = (small.type(of: a), large.type(of: b))
    return x.element == y.element && x.shape.first == rows && y.shape.first == 2 * rows
      && x.shape.dropFirst() == y.shape.dropFirst()
  }

  private mutating func visit(_ id: NodeID) throws {
    let (a, b) = (small.nodes[id], large.nodes[id])
    guard a.operands == b.operands, a.results == b.results,
      type(of: a.operation) == type(of: b.operation)
    else { throw refusal(a, "is another operation for another count") }
    let isSame = small.types(of: a.results) == large.types(of: b.results)
    let hasRows = zip(a.results, b.results).allSatisfy { isRows($0, $1) }
    let given = a.operands.indices.filter { kinds[a.operands[$0]] == .rows }
    let kind: Kind
    if given.isEmpty {
      kind = isSame ? .shared : .rows
      guard isSame ? a.operation.isEqual(to: b.operation) : hasRows else {
        throw refusal(a, "depends on the count")
      }
      if !isSame { try begin(id, a, b) }
    } else {
      // Row i of each result of row i of the operands and of what all images have in common.
      guard hasRows, case .each(given) = a.operation.rowUse(small.types(of: a.operands)),
        case .each(given) = b.operation.rowUse(large.types(of: b.operands)),
        withRows(a.operation, of: b.operation)
      else { throw refusal(a, "mixes the images of a batch") }
      kind = .rows
    }
    for result in a.results { kinds[result] = kind }
  }

  private func withRows(_ a: any Operation, of b: any Operation) -> Bool {
    func grown(_ operation: some Operation) -> Bool {
      b.isEqual(to: operation) || b.isEqual(to: operation.withRows(2 * rows))
    }
    return grown(a)
  }

  /// Rows that are made of nothing that has rows: noise, numbers of the program, repetitions.
  private mutating func begin(_ id: NodeID, _ a: Node, _ b: Node) throws {
    func source(_ kind: RowSource.Kind) -> RowSource {
      RowSource(
        argument: "", node: id, kind: kind, type: small.type(of: a.results[0]),
        operation: a.operation)
    }
    switch a.operation {
    case let draw as any RandomOperation:
      guard (b.operation as? any RandomOperation)?.stream == draw.stream else {
        throw refusal(a, "is another stream for another count")
      }
      sources.append(
        source(draw is RandomNormal ? .normal : .uniform(isDiscrete: isDiscrete(a.results[0]))))
    case is Broadcast:
      let shape = small.type(of: a.operands[0]).shape
      guard shape.count < small.type(of: a.results[0]).rank || shape.first == 1 else {
        throw refusal(a, "depends on the count")
      }
    case is Constant, is Iota:
      let values = (
        a.operation.evaluate([], results: small.types(of: a.results))[0].values,
        b.operation.evaluate([], results: large.types(of: b.results))[0].values
      )
      guard values.1.starts(with: values.0) else {
        throw refusal(a, "has other numbers for another count")
      }
      sources.append(source(.constant))
    default: throw refusal(a, "depends on the count")
    }
  }

  /// Whether all that is made of a value goes through a comparison or a conversion to whole numbers.
  private func isDiscrete(_ value: ValueID) -> Bool {
    var continuous = BitSet()
    continuous.insert(value)
    for node in small.nodes.elements
    where node.operands.contains(where: { continuous.contains($0) }) {
      for result in node.results where small.type(of: result).element.isFloat {
        continuous.insert(result)
      }
    }
    return !small.onlyFirstResult.outputs.contains { continuous.contains($0.value) }
  }

  private func refusal(_ node: Node, _ what: String) -> SampleSplit.Refusal {
    let line = node.origin.line > 0 ? "line \(node.origin.line): " : ""
    return SampleSplit.Refusal(reason: "\(line)'\(node.operation.mnemonic)' \(what)")
  }
}

extension Graph {
  /// The graph with its first result as the only output.
  fileprivate var onlyFirstResult: Graph {
    var graph = self
    graph.outputs.removeAll { $0.role != .result("0") }
    return graph
  }

  /// The graph of the first result alone, in which arguments stand for some values. It has only the
  /// inputs that it reads.
  func replacing(_ replaced: [(value: ValueID, argument: String)]) throws -> Graph {
    let builder = GraphBuilder(name: name, stage: stage)
    var new = Table<ValueTag, ValueID?>(repeating: nil, count: values.count)
    let given = Dictionary(
      replaced.map { ($0.value, $0.argument) }, uniquingKeysWith: { first, _ in first })
    func value(_ old: ValueID) throws -> ValueID {
      if let there = new[old] { return there }
      let role = given[old].map(InputRole.argument) ?? inputs.first { $0.value == old }?.role
      guard let role else {
        throw InternalError("a value of the sample's graph is used before it is made")
      }
      let made = try builder.input(role, type(of: old))
      new[old] = made
      return made
    }
    let needed = nodesNeeded(besides: Set(given.keys))
    for id in nodes.ids where needed.contains(id) {
      let node = nodes[id]
      builder.origin = node.origin
      let results = try builder.addUnshared(node.operation, try node.operands.map(value))
      for (old, result) in zip(node.results, results) where given[old] == nil { new[old] = result }
    }
    for output in outputs where output.role == .result("0") {
      builder.output(output.role, try value(output.value))
    }
    return builder.finish()
  }

  /// The nodes that the first result needs where `given` values are there already.
  private func nodesNeeded(besides given: Set<ValueID>) -> BitSet {
    var needed = BitSet()
    var wanted = BitSet()
    for output in outputs where output.role == .result("0") && !given.contains(output.value) {
      wanted.insert(output.value)
    }
    for id in nodes.ids.reversed()
    where nodes[id].results.contains(where: { wanted.contains($0) }) {
      needed.insert(id)
      for operand in nodes[id].operands where !given.contains(operand) { wanted.insert(operand) }
    }
    return needed
  }
}
