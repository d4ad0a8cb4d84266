// Gradients against finite differences: every operation, every sample, first and second order. The loss is a
// weighted sum of the results; central differences are taken in Double, where the reference evaluator works.

import Basics
import GraphIR
import Operators
import Passes
import Testing

@Suite struct FiniteDifferenceTests {
  @Test(arguments: OperatorSet.standard.names)
  func gradientsAreTrue(_ name: String) throws {
    let type = try #require(OperatorSet.standard.type(named: name))
    for sample in allSamples(of: type) where sample.differentiable {
      var check = try DerivativeCheck(sample)
      try check.differentiate()
      let largest = try check.compare(tolerance: 1e-6)
      #expect(largest > 0, "all gradients of \(sample) are zero")
      // The second order: the derivative of a weighted sum of the first-order gradients.
      try check.differentiate()
      _ = try check.compare(tolerance: 1e-5)
    }
  }

  /// Operations that say they have no gradient at any sample really block it or have no floating operand.
  @Test(arguments: OperatorSet.standard.names)
  func someSampleIsDifferentiable(_ name: String) throws {
    let type = try #require(OperatorSet.standard.type(named: name))
    let samples = allSamples(of: type)
    let blocks = samples.allSatisfy { $0.operation.blocksGradient }
    #expect(
      blocks || ["fused", "gradient"].contains(name) || samples.contains { $0.differentiable },
      "\(name) is never differentiated")
  }
}

/// A graph with a scalar loss, its variables, and what they hold.
struct DerivativeCheck {
  private let sample: AnySample
  private let builder: GraphBuilder
  private var inputs: [HostTensor]
  private var variables: [ValueID] = []
  private var loss: ValueID
  private var gradients: [ValueID?] = []
  /// The graph that computes the loss alone.
  private var forward: Graph

  init(_ sample: AnySample) throws {
    self.sample = sample
    inputs = sample.inputs()
    builder = GraphBuilder(name: "check", sharing: true)
    var operands: [ValueID] = []
    for (index, type) in sample.operands.enumerated() {
      let value = try builder.input(.argument("x\(index)"), type)
      operands.append(value)
      if type.element.isFloat { variables.append(value) }
    }
    let results = try builder.add(sample.operation, operands)
    // The weights are variables too: the second order then covers the way through the adjoints.
    var weighted: [ValueID] = []
    for result in results where builder.type(of: result).element.isFloat {
      weighted.append(try Self.weigh(result, builder, &inputs, &variables))
    }
    loss = try Self.total(weighted, builder)
    forward = Self.graph(builder, loss)
  }

  private static func total(_ terms: [ValueID], _ builder: GraphBuilder) throws -> ValueID {
    var sum = try #require(terms.first)
    for term in terms.dropFirst() { sum = try builder.add(sum, term) }
    return sum
  }

  /// What a builder holds so far, with a loss as the only output.
  private static func graph(_ builder: GraphBuilder, _ loss: ValueID) -> Graph {
    builder.setOutput(.result("loss"), loss)
    var graph = builder.graph
    graph.outputs.removeAll { $0.role != .result("loss") }
    return graph
  }

  /// The sum of the products of a value and new random weights, which become a variable.
  private static func weigh(
    _ value: ValueID, _ builder: GraphBuilder, _ inputs: inout [HostTensor],
    _ variables: inout [ValueID]
  ) throws -> ValueID {
    let type = builder.type(of: value)
    let weights = try builder.input(.argument("w\(inputs.count)"), type)
    inputs.append(randomTensor(type, stream: UInt32(1000 + inputs.count)))
    variables.append(weights)
    return try builder.sum(builder.convert(builder.multiply(value, weights), to: .f32))
  }

  /// Differentiates the loss; a second time, a weighted sum of the gradients of the first.
  mutating func differentiate() throws {
    if !gradients.isEmpty {
      let known = variables
      var weighted: [ValueID] = []
      for gradient in gradients {
        guard let gradient else { continue }
        weighted.append(try Self.weigh(gradient, builder, &inputs, &variables))
      }
      loss = try Self.total(weighted, builder)
      variables = known
      forward = Self.graph(builder, loss)
    }
    gradients = try Passes.differentiate(builder: builder, loss: loss, wrt: variables)
  }

  /// Compares the gradients with central differences: along a random direction of each variable, and at some of its
  /// elements. Returns the largest gradient of an operand.
  func compare(tolerance: Double) throws -> Double {
    for (index, gradient) in gradients.enumerated() {
      if let gradient { builder.setOutput(.result("\(index)"), gradient) }
    }
    let graph = builder.graph
    let computed = Evaluator().evaluateAll(graph, inputs: inputs)
    var largest = 0.0
    for (index, variable) in variables.enumerated() {
      let place = try #require(graph.inputs.firstIndex { $0.value == variable })
      let type = inputs[place].type
      // Without a gradient the loss must not depend on the variable: it is compared as 0.
      let gradient =
        try gradients[index].map { try #require(computed[$0]) } ?? HostTensor(type, repeating: 0)
      #expect(gradient.type == type, "\(sample)")
      if index < sample.operands.count {
        largest = max(largest, gradient.values.map { abs($0) }.max() ?? 0)
      }
      var directions = [randomTensor(type, stream: UInt32(2000 + index)).values]
      for element in probes(type.count) {
        var unit = [Double](repeating: 0, count: type.count)
        unit[element] = 1
        directions.append(unit)
      }
      for (number, direction) in directions.enumerated() {
        let expected = slope(place, direction)
        let found = zip(gradient.values, direction).reduce(0) { $0 + $1.0 * $1.1 }
        let scale = max(1, abs(expected), abs(found))
        #expect(
          abs(found - expected) <= tolerance * scale,
          "\(sample): variable \(index), direction \(number): \(found) against \(expected)")
      }
    }
    return largest
  }

  /// (f(x + h d) − f(x − h d)) / 2h
  private func slope(_ place: Int, _ direction: [Double]) -> Double {
    let step = 1e-5
    func value(_ distance: Double) -> Double {
      var moved = inputs
      for index in direction.indices { moved[place].values[index] += distance * direction[index] }
      return Evaluator().evaluate(forward, inputs: moved)[0].values[0]
    }
    return (value(step) - value(-step)) / (2 * step)
  }

  /// All elements of small tensors; the first, the last and a few between of larger ones.
  private func probes(_ count: Int) -> [Int] {
    count <= 6 ? Array(0..<count) : [0, count / 3, count / 2, count - 1]
  }
}

func randomTensor(_ type: TensorType, stream: UInt32) -> HostTensor {
  var random = PhiloxSequence(seed: 3, stream: stream)
  return HostTensor(type, (0..<type.count).map { _ in 2 * random.nextUniform() - 1 })
}
