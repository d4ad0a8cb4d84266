// Several fused nodes in one graph, which a device's compiler takes at once, for the tests of epilogues.

import BackendSupport
import Basics
import GraphIR
import OpenCLBackend
import Operators
import Testing

struct FusedGraphs {
  private let builder = GraphBuilder(name: "fused", stage: .fused)
  private var count = 0

  private mutating func input(_ type: TensorType) throws -> ValueID {
    count += 1
    return try builder.input(.argument("x\(count)"), type)
  }

  /// operation → + bias → leakyReLU → · bias, as one fused node with two results. A bias as large as the product may be
  /// overwritten by one of them.
  mutating func add(
    _ operation: any Operation, _ operands: [TensorType], bias: [Int]
  ) throws {
    let region = Region(
      inputCount: 2,
      steps: [
        .init(Add(), [.input(0), .input(1)]), .init(LeakyRelu(slope: 0.2), [.step(0)]),
        .init(Multiply(), [.step(1), .input(1)]),
      ], results: [.step(1), .step(2)])
    var values: [ValueID] = []
    for type in operands { values.append(try input(type)) }
    // Made in the graph, so that it dies with the node and its place is free for a result.
    values.append(try builder.add(Square(), [try input(.f32(bias))])[0])
    let made = try builder.add(Fused(root: operation, region: region), values)
    let name = "\(count) \(operation.mnemonic) \(operands) \(bias)"
    builder.output(.result("y\(name)"), made[0])
    builder.output(.result("z\(name)"), made[1])
  }

  /// Runs all with every shape of kernels and compares with the evaluator.
  func expectAgreement(
    on traits: [DeviceTraits] = DeviceHarness.traits, bound: Double = 1e-5,
    location: SourceLocation = #_sourceLocation
  ) throws {
    let graph = builder.finish()
    var filler = Filler(5)
    let inputs = graph.inputs.map { filler.uniform(graph.type(of: $0.value), -1, 1) }
    let expected = Evaluator().evaluate(graph, inputs: inputs)
    for traits in traits {
      let backend = try DeviceHarness.backend(traits)
      for difference in try disagreements(
        graph, inputs, on: backend, bound: bound, expected: expected)
      {
        Issue.record("\(traits.kind) \(difference)", sourceLocation: location)
      }
    }
  }
}
