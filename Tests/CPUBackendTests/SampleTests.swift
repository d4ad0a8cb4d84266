// Every operation's own samples on every instruction set, against the reference evaluator.

import BackendSupport
import Basics
import GraphIR
import Operators
import Testing

@testable import CPUBackend

@Suite struct SampleTests {
  /// Bounds other than 10⁻⁵, and why.
  static let bounds: [String: Double] = [
    // The quotient may be rounded up to a whole number; samples keep away from that, a·2⁻²⁴·quotient remains.
    "modulo": 1e-5,
    // 16 ulp of the kernel, and the exponent's rounding.
    "power": 2e-5,
    "erf": 2e-6,
  ]

  static let names = OperatorSet.standard.names

  @Test(arguments: names) func samples(_ name: String) throws {
    let type = try #require(OperatorSet.standard.type(named: name))
    if type is Gradient.Type { return }
    try run(type)
  }

  private func run<Op: Operation>(_ type: Op.Type) throws {
    let bound = Self.bounds[Op.mnemonic] ?? 1e-5
    for (index, sample) in Op.samples.enumerated() {
      let graph = try single(sample.operation, sample.operands)
      var filler = Filler(UInt64(index + 1))
      let inputs = sample.operands.enumerated().map { place, type in
        filler.tensor(type, place < sample.fills.count ? sample.fills[place] : .uniform(-1, 1))
      }
      try expectAgreement(graph, inputs, bound: bound, "sample \(index) \(sample.operands)")
    }
  }

  @Test func everyOperationIsListed() {
    for type in OperatorSet.standard.all where !(type is Gradient.Type) {
      #expect(Registry.lists(type), "\(type.mnemonic) has no binder")
    }
  }
}
