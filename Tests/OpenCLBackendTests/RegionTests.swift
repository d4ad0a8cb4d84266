// Element-wise regions on the device: every kind of broadcasting, results over operands, several shapes, scalars in double
// precision.

import BackendSupport
import Basics
import GraphIR
import OpenCLBackend
import Operators
import Planning
import Runtime
import TestSupport
import Testing

@Suite(.onOwnThreads, .enabled(if: DeviceHarness.hasDevice, DeviceHarness.missing))
struct RegionTests {
  @Test func broadcasting() throws {
    let region = Region(
      inputCount: 3,
      steps: [
        .init(Multiply(), [.input(0), .input(1)]), .init(Add(), [.step(0), .input(2)]),
        .init(Tanh(), [.step(1)]), .init(Compare(.gt), [.step(2), .input(1)]),
        .init(Select(), [.step(3), .step(2), .input(0)]),
      ], results: [.step(4), .step(2)])
    var batch = DeviceHarness.Batch()
    let cases: [([Int], [Int], [Int])] = [
      ([1], [1], []), ([17], [17], []), ([3, 16], [16], [3, 1]), ([5, 7], [7], [1, 7]),
      ([4, 3, 32], [3, 32], [4, 1, 1]), ([2, 6, 5, 8], [2, 1, 5, 1], [6, 1, 8]),
      ([128, 48], [128, 1], [48]), ([4, 16, 16], [16, 1], [4, 1, 16]), ([33, 1], [1], [33, 1]),
    ]
    for (x, y, z) in cases {
      try batch.add(Fused(root: nil, region: region), [.f32(x), .f32(y), .f32(z)])
    }
    try batch.expectAgreement()
  }

  /// Numbers that are none, alone and in vectors: NaN where the evaluator has NaN, infinities with their sign.
  @Test func specialNumbers() throws {
    let special: [Double] = [.nan, .infinity, -.infinity, 0, -0.0, 1, -1, 0.5]
    let operations: [(any Operation, Int)] = [
      (Add(), 2), (Subtract(), 2), (Multiply(), 2), (Divide(), 2), (Minimum(), 2), (Maximum(), 2),
      (Power(), 2), (Compare(.lt), 2), (Negate(), 1), (Absolute(), 1), (Sign(), 1), (Exp(), 1),
      (Log(), 1), (Sqrt(), 1), (Square(), 1), (Tanh(), 1), (Sigmoid(), 1), (Softplus(), 1),
      (Erf(), 1), (Relu(), 1), (LeakyRelu(slope: 0.2), 1), (Elu(), 1), (BceWithLogits(), 2),
      (BceClamped(), 2),
    ]
    // All in one kernel: each is a result of one region.
    let region = Region(
      inputCount: 2,
      steps: operations.map { .init($0, $1 == 1 ? [.input(0)] : [.input(0), .input(1)]) },
      results: operations.indices.map { .step($0) })
    var batch = DeviceHarness.Batch()
    for size in [64, 63] {
      let type = TensorType.f32(size)
      let first = HostTensor(type, (0..<size).map { special[$0 % 8] })
      let second = HostTensor(type, (0..<size).map { special[$0 / 8] })
      try batch.add(Fused(root: nil, region: region), [first, second])
    }
    try batch.expectAgreement()
  }

  /// The update of a parameter as Adam does it: results over operands, the correction in double precision.
  @Test func schedulesAndResultsInPlace() throws {
    let builder = GraphBuilder(name: "update", stage: .fused)
    let steps = try builder.input(.state("steps"), .i32())
    var states: [ValueID] = []
    for (name, shape) in [("w", [37, 16]), ("m", [37, 16]), ("b", [5])] {
      states.append(try builder.input(.state(name), .f32(shape)))
    }
    let gradient = try builder.input(.argument("g"), .f32(37, 16))
    let one = try builder.constant(TensorType.i32(), [1])
    let beta = try builder.constant(TensorType(.f64, []), [0.9])
    let region = Region(
      inputCount: 7,
      steps: [
        .init(Add(), [.input(0), .input(5)]),
        .init(Convert(to: .f64), [.step(0)]),
        .init(Power(), [.input(6), .step(1)]),
        .init(Convert(to: .f32), [.step(2)]),
        .init(Add(), [.input(2), .input(4)]),
        .init(Multiply(), [.step(4), .step(3)]),
        .init(Subtract(), [.input(1), .step(5)]),
        .init(Multiply(), [.input(3), .step(3)]),
      ], results: [.step(6), .step(4), .step(7), .step(0)])
    let results = try builder.add(
      Fused(root: nil, region: region),
      [steps, states[0], states[1], states[2], gradient, one, beta])
    for (name, value) in zip(["w", "m", "b", "steps"], results) {
      builder.output(.state(name), value)
    }
    let graph = builder.finish()
    var filler = Filler(8)
    var inputs = graph.inputs.map { filler.uniform(graph.type(of: $0.value), -1, 1) }
    inputs[0] = HostTensor(.i32(), [0])
    for traits in DeviceHarness.traits {
      var expected = inputs
      let loaded = try Loaded(graph, DeviceHarness.backend(traits), inputs)
      for _ in 0..<3 {
        let outputs = Evaluator(rounding: true).evaluate(graph, inputs: expected)
        let found = loaded.outputs(try loaded.step())
        for index in found.indices {
          #expect(Agreement.error(found[index], outputs[index]) < 1e-6, "\(traits.kind) \(index)")
        }
        expected = [outputs[3], outputs[0], outputs[1], outputs[2], inputs[4]]
      }
    }
  }
}
