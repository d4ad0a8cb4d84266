// Seeded random graphs with valid shapes, and inputs for them, for tests that state a property of every graph.
// The same seed gives the same graph in every process.

import Basics
import GraphIR
import Operators

/// What a random graph may hold.
package struct RandomGraphOptions: Sendable {
  /// How many operations are added.
  package var size = 12
  /// Whether equal nodes are shared while building.
  package var sharing = false
  /// Only operations with a gradient, ending in one scalar output `loss`.
  package var differentiable = false
  /// A graph as the passes leave it for planning: of stage `fused`, with fused regions, long chains, and states that
  /// are updated in place, once or twice, exchanged, kept, or given one value together.
  package var fused = false

  package init(
    size: Int = 12, sharing: Bool = false, differentiable: Bool = false, fused: Bool = false
  ) {
    self.size = size
    self.sharing = sharing
    self.differentiable = differentiable
    self.fused = fused
  }
}

/// Makes random graphs; each seed is one graph.
package struct RandomGraph {
  private var random: PhiloxSequence
  private let builder: GraphBuilder
  private let options: RandomGraphOptions
  private var values: [ValueID] = []
  private var states: [(name: String, old: ValueID)] = []

  /// The graph of a seed. Values stay in a range where nothing overflows: growing operations are followed by tanh.
  package static func make(
    seed: UInt64, _ options: RandomGraphOptions = RandomGraphOptions()
  ) throws(Diagnostic) -> Graph {
    var maker = RandomGraph(seed: seed, options)
    try maker.addInputs()
    for _ in 0..<options.size { try maker.addOperation() }
    try maker.addOutputs()
    return maker.builder.finish()
  }

  /// Values for a graph's inputs, floats in −1...1, integers in 0...3.
  package static func inputs(of graph: Graph, seed: UInt64) -> [HostTensor] {
    var random = PhiloxSequence(seed: seed, stream: 7)
    return graph.inputs.map { input in
      let type = graph.type(of: input.value)
      var values: [Double] = []
      for _ in 0..<type.count {
        let value = random.nextUniform()
        values.append(type.element.isFloat ? value * 2 - 1 : (value * 4).rounded(.down))
      }
      return HostTensor(type, values).rounded()
    }
  }

  private init(seed: UInt64, _ options: RandomGraphOptions) {
    random = PhiloxSequence(seed: seed, stream: 11)
    self.options = options
    builder = GraphBuilder(
      name: "random \(seed)", stage: options.fused ? .fused : .raw, sharing: options.sharing)
  }

  // MARK: - Choices

  private mutating func pick<T>(_ items: some RandomAccessCollection<T>) -> T {
    items[items.index(items.startIndex, offsetBy: random.nextInt(below: items.count))]
  }

  private mutating func number(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + random.nextInt(below: range.count)
  }

  private func values(ofRank rank: ClosedRange<Int>) -> [ValueID] {
    values.filter { rank.contains(builder.shape(of: $0).count) }
  }

  // MARK: - Building

  private mutating func addInputs() throws(Diagnostic) {
    let rank = number(1...3)
    let shape = (0..<rank).map { _ in number(1...4) }
    values.append(try builder.input(.data(source: "x", round: 0), .f32(shape)))
    try addState("net/w", shape)
    values.append(try builder.input(.argument("row"), .f32([shape[rank - 1]])))
    values.append(try builder.input(.argument("scalar"), .f32()))
    values.append(try builder.input(.argument("matrix"), .f32([number(1...4), shape[rank - 1]])))
    guard options.fused else { return }
    // Mostly of one shape, so that there are others to exchange values with.
    for index in 0..<5 { try addState("s\(index)", pick([shape, shape, [shape[rank - 1]], []])) }
    values.append(try builder.constant(.f32(shape), [0.5]))
  }

  private mutating func addState(_ name: String, _ shape: [Int]) throws(Diagnostic) {
    let old = try builder.input(.state(name), .f32(shape))
    states.append((name, old))
    values.append(old)
  }

  private mutating func addOperation() throws(Diagnostic) {
    builder.origin = Origin(
      line: number(1...40), column: number(1...80),
      path: pick(["", "net", "net/dense", "other/a"]),
      notes: pick([[], ["adjoint of add"], ["a \"note\"", "and\nanother"]]),
      parts: pick([
        [],
        [
          Origin.Part(labels: ["add", "of"], line: 3, column: 0, path: ""),
          Origin.Part(labels: ["\"x\""], line: -1, column: 7, path: "net/a b"),
        ],
      ]))
    // Of fused graphs more often a recent value, so that there are long chains.
    let isRecent = options.fused && random.nextInt(below: 3) > 0
    let x = isRecent ? pick(values.suffix(6)) : pick(values)
    let added: ValueID?
    switch random.nextInt(below: options.fused ? 11 : 9) {
    case 0, 1: added = try unary(x)
    case 2, 3: added = try binary(x)
    case 4: added = try reduction(x)
    case 5: added = try matrixProduct()
    case 6: added = try movement(x)
    case 7: added = try builder.reshape(x, try factorized(builder.type(of: x).count))
    case 8: added = try several(x)
    default: added = try region(x)
    }
    // Large results are left unread, so that sizes do not grow from node to node.
    if let added, builder.type(of: added).count <= 500 { values.append(added) }
  }

  /// A value that an element-wise operation may take together with `x`.
  private mutating func partner(of x: ValueID) -> ValueID {
    let shape = builder.shape(of: x)
    return pick(values.filter { broadcastShapes(shape, builder.shape(of: $0)) != nil })
  }

  private mutating func unary(_ x: ValueID) throws(Diagnostic) -> ValueID {
    switch random.nextInt(below: 8) {
    case 0: try builder.negate(x)
    case 1: try builder.tanh(x)
    case 2: try builder.sigmoid(x)
    case 3: try builder.leakyRelu(x, slope: pick([0.2, 0.3, 0]))
    case 4: try builder.softplus(x)
    case 5: try builder.tanh(try builder.exp(x))
    case 6: try builder.tanh(try builder.square(x))
    default: try builder.scaled(x, by: pick([0.5, -1, 0.1, 1e-7]))
    }
  }

  private mutating func binary(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let y = partner(of: x)
    switch random.nextInt(below: options.differentiable ? 4 : 6) {
    case 0: return try builder.add(x, y)
    case 1: return try builder.subtract(x, y)
    case 2: return try builder.tanh(try builder.multiply(x, y))
    case 3: return try builder.divide(x, try builder.add(try builder.square(y), 1))
    case 4: return try builder.maximum(x, y)
    default: return try builder.select(try builder.compare(pick([.lt, .ge, .eq]), x, y), x, y)
    }
  }

  private mutating func reduction(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let rank = builder.shape(of: x).count
    var axes: [Int] = []
    for axis in 0..<rank where random.nextInt(below: 2) == 0 { axes.append(axis) }
    let keepDims = random.nextInt(below: 2) == 0
    if random.nextInt(below: 2) == 0 {
      return try builder.tanh(try builder.sum(x, axes: axes, keepDims: keepDims))
    }
    return try builder.mean(x, axes: axes, keepDims: keepDims)
  }

  private mutating func matrixProduct() throws(Diagnostic) -> ValueID? {
    let matrices = values(ofRank: 2...2)
    if matrices.isEmpty { return nil }
    let a = pick(matrices)
    let transposeA = random.nextInt(below: 2) == 0
    let inner = builder.shape(of: a)[transposeA ? 0 : 1]
    let transposeB = random.nextInt(below: 2) == 0
    let partners = matrices.filter { builder.shape(of: $0)[transposeB ? 1 : 0] == inner }
    if partners.isEmpty { return nil }
    let product = try builder.matmul(
      a, pick(partners), transposeA: transposeA, transposeB: transposeB)
    return try builder.tanh(product)
  }

  private mutating func movement(_ x: ValueID) throws(Diagnostic) -> ValueID {
    let shape = builder.shape(of: x)
    guard let axis = shape.indices.randomElement(from: &random) else {
      return try builder.broadcast(x, to: [number(1...3), 2])
    }
    switch random.nextInt(below: 3) {
    case 0:
      var order = Array(shape.indices)
      order.swapAt(axis, number(0...shape.count - 1))
      return try builder.transpose(x, order)
    case 1:
      var starts = shape.map { _ in 0 }
      var ends = shape
      starts[axis] = number(0...shape[axis] - 1)
      ends[axis] = number(starts[axis] + 1...shape[axis])
      return try builder.slice(x, starts: starts, ends: ends)
    default:
      return try builder.concat(shape[axis] > 8 ? [x] : [x, x], axis: axis)
    }
  }

  /// A random shape of as many elements.
  private mutating func factorized(_ count: Int) throws(Diagnostic) -> [Int] {
    var shape: [Int] = []
    var rest = count
    while rest > 1, shape.count < 3 {
      let divisors = (1...rest).filter { rest % $0 == 0 }
      let size = pick(divisors)
      shape.append(size)
      rest /= size
    }
    return rest > 1 || random.nextInt(below: 3) == 0 ? shape + [rest] : shape
  }

  /// An operation with two results, or one drawn again.
  private mutating func several(_ x: ValueID) throws(Diagnostic) -> ValueID {
    guard builder.shape(of: x).count > 0 else { return try unary(x) }
    let moments = try builder.moments(x, axes: [0], keepDims: true)
    return random.nextInt(below: 2) == 0 ? moments.mean : moments.variance
  }

  /// A fused region of one operand, or one of two operands and two results.
  private mutating func region(_ x: ValueID) throws(Diagnostic) -> ValueID {
    if random.nextInt(below: 2) == 0 {
      let region = Region(
        inputCount: 1, steps: [.init(Sigmoid(), [.input(0)]), .init(Square(), [.step(0)])],
        results: [.step(1)])
      return try builder.add(Fused(region: region), x)
    }
    let region = Region(
      inputCount: 2,
      steps: [
        .init(Multiply(), [.input(0), .input(1)]), .init(Tanh(), [.step(0)]),
        .init(Subtract(), [.step(1), .input(0)]),
      ], results: [.step(2), .step(0)])
    let results = try builder.add(Fused(region: region), [x, partner(of: x)])
    if builder.type(of: results[1]).count <= 500 { values.append(results[1]) }
    return results[0]
  }

  private mutating func addOutputs() throws(Diagnostic) {
    builder.origin = Origin()
    if options.fused { return try addStateOutputs() }
    if options.differentiable {
      var loss = try builder.scalar(0)
      for value in values.suffix(4) {
        let rank = builder.shape(of: value).count
        let mean = try builder.mean(value, axes: Array(0..<rank), keepDims: false)
        loss = try builder.add(loss, mean)
      }
      builder.output(.result("loss"), loss)
      return
    }
    for (index, value) in values.suffix(3).enumerated() {
      builder.output(.result("r\(index)"), value)
    }
    builder.output(.state("net/w"), pick(values))
  }

  /// New values of states: computed ones, exchanged ones, unchanged ones, one value for two; reports of old and new.
  private mutating func addStateOutputs() throws(Diagnostic) {
    for (name, old) in states {
      let shape = builder.shape(of: old)
      switch random.nextInt(below: 7) {
      case 0: break
      case 1: builder.output(.state(name), old)
      case 2:
        let step = try builder.subtract(old, builder.tanh(old))
        builder.output(.state(name), step)
        values.append(step)
      case 3:
        let first = try builder.subtract(old, builder.tanh(old))
        let second = try builder.subtract(first, builder.tanh(first))
        builder.output(.state(name), second)
        values += [first, second]
      default: builder.output(.state(name), pick(values.filter { builder.shape(of: $0) == shape }))
      }
    }
    for index in 0..<3 { builder.output(.report("r\(index)"), pick(values)) }
    builder.output(.result("old"), pick(states).old)
    builder.output(.state("written only"), pick(values))
  }
}

extension Range<Int> {
  /// An element drawn from the sequence, or nil where the range is empty.
  fileprivate func randomElement(from random: inout PhiloxSequence) -> Int? {
    isEmpty ? nil : lowerBound + random.nextInt(below: count)
  }
}
