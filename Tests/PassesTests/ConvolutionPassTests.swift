// Folding of up-samplings and the choice of Winograd's form.

import Basics
import GraphIR
import Operators
import Passes
import TestSupport
import Testing

@Suite struct ConvolutionPassTests {
  private func upsampled(channels: Int, stage: Stage = .raw) throws -> Graph {
    let builder = GraphBuilder(name: "test", stage: stage)
    let x = try builder.input(.argument("x"), .f32([1, 3, 4, channels]))
    let w = try builder.input(.argument("w"), .f32([5, 5, channels, 16]))
    let large = try builder.add(UpsampleNearest(factor: [2, 2]), [x])[0]
    let y = try builder.conv2D(large, w, padding: [2, 2, 2, 2])
    let loss = try builder.sum(builder.square(y))
    builder.output(.result("loss"), loss)
    for (index, value) in try builder.gradient(loss, wrt: [x, w]).enumerated() {
      builder.output(.result("\(index)"), value)
    }
    return builder.finish()
  }

  /// The meaning of the folded graph, gradients included, is that of the graph as written, to Double's precision.
  @Test func foldedUpsamplingMeansTheSame() throws {
    let graph = try upsampled(channels: 16)
    let plain = try DeadCode().run(ExpandGradients().run(graph))
    let folded = try DeadCode().run(ExpandGradients().run(FoldUpsampling().run(graph)))
    #expect(!folded.nodes.elements.contains { $0.operation is UpsampleNearest })
    #expect(!folded.nodes.elements.contains { $0.operation is BlockSum })
    expectSameResults(plain, folded, "fold-upsampling")
    let notes = folded.nodes.elements.flatMap(\.origin.notes)
    #expect(notes.contains("up-sampling folded"))
  }

  @Test func withoutAFormTheUpsamplingStays() throws {
    let graph = try upsampled(channels: 3)
    let folded = try DeadCode().run(FoldUpsampling().run(graph))
    #expect(folded.nodes.elements.contains { $0.operation is UpsampleNearest })
  }

  @Test func winogradIsChosenWhereItPays() throws {
    func method(_ channels: Int, _ kernel: Int) throws -> ConvolutionMethod? {
      let builder = GraphBuilder(name: "test", stage: .differentiated)
      let x = try builder.input(.argument("x"), .f32([2, 12, 12, channels]))
      let w = try builder.input(.argument("w"), .f32([kernel, kernel, channels, 128]))
      builder.output(.result("y"), try builder.conv2D(x, w))
      let graph = try ChooseConvolutions().run(builder.finish())
      return (graph.nodes.elements[0].operation as? Conv2D)?.method
    }
    // The tiles that divide the outputs well: 8 in two of 4, 9 in two of 5 or three of 3, 10 in two of 5.
    #expect(try method(128, 5) == .winograd(points: 8))
    #expect(try method(128, 4) == .winograd(points: 8))
    #expect(try method(128, 3) == .winograd(points: 7))
    #expect(try method(1, 5) == .direct)
    #expect(try method(128, 1) == .direct)
  }

  /// The choice is one of the methods that exist, and no form is expected to take less.
  @Test func chosenOfAllMethods() throws {
    for (channels, kernel) in [(128, 5), (16, 3), (32, 2), (3, 5), (16, 1)] {
      let sizes = try Conv2D().geometry([
        .f32([2, 12, 12, channels]), .f32([kernel, kernel, channels, 64]),
      ])
      for direction in [WinogradForm.Direction.forward, .inputGradient, .filterGradient] {
        let all = ConvolutionMethod.all(sizes, direction)
        #expect(all.first == .direct && Set(all).count == all.count)
        #expect(all.count > 1 || channels % 16 != 0 || kernel == 1)
        #expect(all.dropFirst().allSatisfy { $0.form(sizes, direction) != nil })
        let hasAdjoint = all.contains { if case .winogradAdjoint = $0 { true } else { false } }
        #expect(hasAdjoint == (direction == .inputGradient && all.count > 1))
        let fastest = ConvolutionMethod.fastest(sizes, direction)
        #expect(all.contains(fastest))
        let costs = all.map { $0.cost(sizes, direction) }
        #expect(costs.allSatisfy { $0 > 0 } && costs[0] == sizes.multiplyAdds)
        if fastest != .direct { #expect(fastest.cost(sizes, direction) == costs.min()) }
      }
    }
  }

  @Test func exactMathLeavesThemOut() throws {
    let graph = try upsampled(channels: 16)
    let exact = try PassRunner(.exact).run(graph).graph
    let fast = try PassRunner(.standard).run(graph).graph
    func isFast(_ graph: Graph) -> Bool {
      GraphPrinter.text(graph).contains("winograd")
    }
    #expect(isFast(fast) && !isFast(exact))
    #expect(exact.nodes.elements.contains { $0.operation is UpsampleNearest })
  }
}
