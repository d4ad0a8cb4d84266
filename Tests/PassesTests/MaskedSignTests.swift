// Signs of masked values in place of those of the values before the mask.

import Basics
import GraphIR
import Operators
import Passes
import TestSupport
import Testing

@Suite struct MaskedSignTests {
  /// A network of two layers with dropout behind a leaky ReLU, and its gradient.
  private func graph(scale: Double, slope: Double = 0.2) throws -> Graph {
    let builder = GraphBuilder(name: "test", stage: .raw)
    let x = try builder.input(.argument("x"), .f32([4, 3]))
    let w = try builder.input(.argument("w"), .f32([3, 5]))
    let uniform = try builder.input(.argument("uniform"), .f32([4, 5]))
    let mask = try builder.convert(
      builder.compare(.ge, uniform, 0.3), to: .f32)
    let scaled = try builder.multiply(mask, builder.scalar(scale))
    let y = try builder.add(LeakyRelu(slope: slope), [builder.matmul(x, w)])[0]
    let loss = try builder.sum(builder.square(builder.multiply(y, scaled)))
    builder.output(.result("loss"), loss)
    for (index, value) in try builder.gradient(loss, wrt: [x, w]).enumerated() {
      builder.output(.result("\(index)"), value)
    }
    return try PassRunner(
      Pipeline([.once(ExpandGradients()), .untilStable(cleaning, limit: 8)])
    ).run(builder.finish()).graph
  }

  private var cleaning: [any Pass] {
    [FoldConstants(), Simplify(), CommonSubexpressions(), DeadCode()]
  }

  /// What the comparisons with zero read.
  private func compared(_ graph: Graph) -> [any Operation] {
    graph.nodes.elements.compactMap { node in
      guard (node.operation as? Compare)?.predicate == .gt else { return nil }
      return graph.producer(of: node.operands[0])?.operation
    }
  }

  @Test func theMaskedValueIsAsked() throws {
    let before = try graph(scale: 1 / 0.7)
    #expect(compared(before).contains { $0 is LeakyRelu || $0 is MatMul })
    let after = try rewritten([ReadMaskedSigns()], before)
    #expect(!compared(after).isEmpty)
    #expect(compared(after).allSatisfy { $0 is Multiply })
    expectSameResults(before, after, "read-masked-signs", tolerance: 0)
  }

  /// A scale below 1 could make a small value zero, and its sign with it; a negative slope would turn the sign of zero.
  @Test func whereTheSignCouldBeLostNothingChanges() throws {
    for before in [try graph(scale: 0.5), try graph(scale: 1 / 0.7, slope: -0.2)] {
      #expect(try rewritten([ReadMaskedSigns()], before) == before)
    }
  }
}
