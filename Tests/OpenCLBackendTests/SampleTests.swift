// Every operation's own samples on the device, against the reference evaluator.

import BackendSupport
import Basics
import GraphIR
import Operators
import TestSupport
import Testing

@testable import OpenCLBackend

@Suite(.onOwnThreads) struct SampleTests {
  static let names = OperatorSet.standard.names.filter { $0 != Gradient.mnemonic }

  @Test(.enabled(if: DeviceHarness.hasDevice, DeviceHarness.missing), arguments: names)
  func samples(_ name: String) throws {
    let type = try #require(OperatorSet.standard.type(named: name))
    try run(type)
  }

  private func run<Op: Operation>(_ type: Op.Type) throws {
    var batch = DeviceHarness.Batch()
    for (index, sample) in Op.samples.enumerated() {
      var filler = Filler(UInt64(index + 1))
      let inputs = sample.operands.enumerated().map { place, type in
        filler.tensor(type, place < sample.fills.count ? sample.fills[place] : .uniform(-1, 1))
      }
      try batch.add(sample.operation, inputs)
    }
    // The kernels of a GPU are tried by the tests of each family; compilers of devices take their time.
    try batch.expectAgreement(
      bound: Op.mnemonic == "power" ? 2e-5 : 1e-5, traits: Array(DeviceHarness.traits.prefix(1)))
  }

  @Test func everyOperationIsListed() {
    for type in OperatorSet.standard.all where !(type is Gradient.Type) {
      #expect(OperationTable.lists(type), "\(type.mnemonic) has no emitter")
    }
  }
}
