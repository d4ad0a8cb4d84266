// Graphs of one fused node, for the tests of epilogues.

import GraphIR
import Operators

enum FusedGraphs {
  /// operation → + bias → leakyReLU → · bias, as one fused node, with two results; the bias as large as the product may be
  /// overwritten by one of them.
  static func fused(
    _ operation: any Operation, _ operands: [TensorType], bias: [Int]
  ) throws -> Graph {
    let region = Region(
      inputCount: 2,
      steps: [
        .init(Add(), [.input(0), .input(1)]), .init(LeakyRelu(slope: 0.2), [.step(0)]),
        .init(Multiply(), [.step(1), .input(1)]),
      ], results: [.step(1), .step(2)])
    let builder = GraphBuilder(name: "fused", stage: .fused)
    var values: [ValueID] = []
    for (index, type) in operands.enumerated() {
      values.append(try builder.input(.argument("x\(index)"), type))
    }
    let given = try builder.input(.argument("bias"), .f32(bias))
    // Made in the graph, so that it dies with the node and its place is free for a result.
    values.append(try builder.add(Square(), [given])[0])
    let made = try builder.add(Fused(root: operation, region: region), values)
    builder.output(.result("y"), made[0])
    builder.output(.result("z"), made[1])
    return builder.finish()
  }
}
