// Random graphs for properties of plans: inputs, states with updates, views, reductions, products, fused regions.
// In: a seed. Out: a graph that verifies.

import Basics
import GraphIR
import Operators

struct RandomGraph {
  var graph: Graph
  /// Inputs for the evaluator, in order.
  var inputs: [HostTensor]

  private var random: PhiloxSequence
  private let builder: GraphBuilder
  private var pool: [ValueID] = []

  init(seed: UInt64, nodes: Int = 30) throws {
    random = PhiloxSequence(seed: seed, stream: 1)
    builder = GraphBuilder(name: "random \(seed)", stage: .fused)
    graph = Graph(name: "")
    inputs = []
    let shapes: [[Int]] = [[4, 6], [4, 6], [6, 4], [6], [4, 1], [24], []]
    var states: [(String, ValueID)] = []
    for index in 0..<2 {
      pool.append(try builder.input(.argument("x\(index)"), .f32([4, 6])))
    }
    for index in 0..<5 {
      let shape = shapes[random.nextInt(below: shapes.count)]
      let value = try builder.input(.state("s\(index)"), .f32(shape))
      states.append(("s\(index)", value))
      pool.append(value)
    }
    pool.append(try builder.constant(.f32([4, 6]), [0.5]))
    pool.append(try builder.constant(.f32([6]), [1, 2, 3, 4, 5, 6]))
    for _ in 0..<nodes { try addNode() }
    try addOutputs(states)
    graph = builder.finish()
    inputs = graph.inputs.map { binding in
      let type = graph.type(of: binding.value)
      return HostTensor(type, (0..<type.count).map { _ in random.nextUniform() * 2 - 1 })
        .rounded()
    }
  }

  private mutating func pick() -> ValueID {
    // Recent values more often, so that there are long chains.
    let recent = min(pool.count, 6)
    if random.nextInt(below: 3) > 0 { return pool[pool.count - 1 - random.nextInt(below: recent)] }
    return pool[random.nextInt(below: pool.count)]
  }

  private mutating func partner(of value: ValueID) -> ValueID? {
    let shape = builder.shape(of: value)
    let fitting = pool.filter { broadcastShapes(builder.shape(of: $0), shape) != nil }
    return fitting.isEmpty ? nil : fitting[random.nextInt(below: fitting.count)]
  }

  private mutating func addNode() throws {
    let a = pick()
    let shape = builder.shape(of: a)
    switch random.nextInt(below: 10) {
    case 0, 1: pool.append(try builder.add(Tanh(), a))
    case 2:
      if let b = partner(of: a) { pool.append(try builder.add(Subtract(), a, b)) }
    case 3:
      if let b = partner(of: a) {
        let region = Region(
          inputCount: 2,
          steps: [
            .init(Multiply(), [.input(0), .input(1)]), .init(Tanh(), [.step(0)]),
            .init(Subtract(), [.step(1), .input(0)]),
          ], results: [.step(2), .step(0)])
        pool += try builder.add(Fused(region: region), [a, b])
      }
    case 4:
      let count = shape.reduce(1, *)
      let shapes = [[4, 6], [6, 4], [24], [2, 12]].filter { $0.reduce(1, *) == count }
      guard !shapes.isEmpty else { return }
      pool.append(try builder.add(Reshape(shapes[random.nextInt(below: shapes.count)]), a))
    case 5:
      if shape.count == 2 { pool.append(try builder.add(Transpose([1, 0]), a)) }
    case 6:
      if shape.count == 2 {
        pool.append(
          try builder.add(Sum(axes: [random.nextInt(below: 2)], keepDims: true), a))
      }
    case 7:
      if shape.count == 2 { pool += try builder.add(Moments(axes: [1], keepDims: true), [a]) }
    case 8:
      if shape.count == 2 {
        pool.append(try builder.add(MatMul(transposeA: false, transposeB: true), a, a))
      }
    default:
      let region = Region(
        inputCount: 1, steps: [.init(Sigmoid(), [.input(0)]), .init(Square(), [.step(0)])],
        results: [.step(1)])
      pool += try builder.add(Fused(region: region), [a])
    }
  }

  /// New values of states: computed ones, exchanged ones, unchanged ones, one value for two; reports of old and new.
  private mutating func addOutputs(_ states: [(String, ValueID)]) throws {
    for (name, old) in states {
      let shape = builder.shape(of: old)
      let fitting = pool.filter { builder.shape(of: $0) == shape }
      switch random.nextInt(below: 6) {
      case 0: break
      case 1: builder.output(.state(name), old)
      case 2:
        let scaled = try builder.add(Tanh(), old)
        let step = try builder.add(Subtract(), old, scaled)
        builder.output(.state(name), step)
        pool.append(step)
      default:
        builder.output(.state(name), fitting[random.nextInt(below: fitting.count)])
      }
    }
    for index in 0..<3 {
      builder.output(.report("r\(index)"), pick())
    }
    let state = states[random.nextInt(below: states.count)].1
    builder.output(.result("old"), state)
    builder.output(.state("written only"), pick())
  }
}
