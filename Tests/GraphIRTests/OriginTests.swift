// Origins of fused nodes, and provenance as people read it.

import Operators
import Testing

@testable import GraphIR

@Suite struct OriginTests {
  private func node(_ operation: any Operation, _ origin: Origin) -> Node {
    Node(operation: operation, operands: [], results: [], origin: origin)
  }

  private let dense = Origin(line: 3, column: 8, path: "net/dense")

  @Test func partsOfOnePlaceAreOne() {
    let last = Origin(line: 4, column: 8, path: "net")
    let merged = Origin.merging([
      node(MatMul(), dense), node(Add(), dense), node(Add(), dense), node(Tanh(), last),
      node(Multiply(), last.noting("two batches joined")),
    ])
    #expect((merged.line, merged.column, merged.path) == (4, 8, "net"))
    #expect(merged.notes == ["two batches joined"])
    #expect(
      merged.parts == [
        .init(labels: ["matmul", "add"], line: 3, column: 8, path: "net/dense"),
        .init(labels: ["tanh", "multiply"], line: 4, column: 8, path: "net"),
      ])
    #expect(
      merged.provenance() == "4:8 net (matmul, add at 3:8 net/dense; tanh, multiply; "
        + "two batches joined)")
    #expect(merged.provenance(file: "a.gan", most: 1).hasPrefix("a.gan:4:8 net (matmul"))
    #expect(merged.provenance(most: 1).contains("; …; two"))
  }

  @Test func adjointsAreCalledSo() {
    let adjoint = dense.noting(Origin.adjointNote(of: "tanh"))
    let inner = Origin.merging([node(Multiply(), adjoint), node(Subtract(), adjoint)])
    #expect(inner.provenance() == "3:8 net/dense (adjoint of tanh)")
    // A fused node in another one brings its parts.
    let outer = Origin.merging([
      node(MatMul(), dense),
      node(Fused(region: Region(inputCount: 0, steps: [], results: [])), inner),
    ])
    #expect(outer.parts.map(\.labels) == [["matmul", "adjoint of tanh"]])
  }

  @Test func whatIsNotKnownIsLeftOut() {
    #expect(Origin().provenance() == "")
    #expect(Origin(path: "net").provenance(file: "a.gan") == "net")
    #expect(Origin(line: 2, column: 1).provenance() == "2:1")
    #expect(Origin(notes: ["only"]).provenance() == "(only)")
    #expect(Origin.merging([]) == Origin())
    let long = Origin.Part(labels: ["a", "b", "c", "d"], line: 1, column: 1, path: "")
    #expect(Origin(line: 2, column: 1, parts: [long]).provenance() == "2:1 (a, b, c, … at 1:1)")
  }
}
