// The parts of regions: what hangs together by steps, by results, and what by nothing but inputs.

import GraphIR
import Operators
import Testing

@Suite struct RegionPartTests {
  @Test func stepsThatDependOnOneAnotherAreOnePart() {
    let region = Region(
      inputCount: 4,
      steps: [
        .init(Add(), [.input(0), .input(1)]), .init(Multiply(), [.input(2), .input(1)]),
        .init(Tanh(), [.step(0)]), .init(Subtract(), [.step(1), .input(3)]),
      ], results: [.step(3), .step(2), .step(1)])
    #expect(
      region.parts() == [
        Region.Part(steps: [0, 2], results: [1], inputs: [0, 1]),
        Region.Part(steps: [1, 3], results: [0, 2], inputs: [1, 2, 3]),
      ])
  }

  /// A later step joins what was apart.
  @Test func partsMeetLate() {
    let region = Region(
      inputCount: 2,
      steps: [
        .init(Tanh(), [.input(0)]), .init(Tanh(), [.input(1)]), .init(Square(), [.input(0)]),
        .init(Add(), [.step(2), .step(0)]), .init(Add(), [.step(1), .step(3)]),
      ], results: [.step(4)])
    #expect(
      region.parts() == [
        Region.Part(steps: [0, 1, 2, 3, 4], results: [0], inputs: [0, 1])
      ])
  }

  /// An input that is a result belongs to the steps that read it; one that nothing reads is a part of its own.
  @Test func inputsAsResults() {
    let region = Region(
      inputCount: 3, steps: [.init(Tanh(), [.input(0)]), .init(Tanh(), [.input(1)])],
      results: [.step(0), .input(0), .input(2), .input(2)])
    #expect(
      region.parts() == [
        Region.Part(steps: [0], results: [0, 1], inputs: [0]),
        Region.Part(steps: [1], results: [], inputs: [1]),
        Region.Part(steps: [], results: [2, 3], inputs: [2]),
      ])
  }
}
