// The machine's limits: only that there are figures, and that they count the work that was done.

import CPUBackend
import Runtime
import Testing

@Suite struct LimitTests {
  @Test func ratesAreOfThisWorld() throws {
    for set in InstructionSet.available {
      let backend = try CPUBackend(threads: 2, instructionSet: set)
      let rate = try backend.measureArithmetic()
      // From a slow processor under an emulator to two cores of 16 GHz with two multiply-adds of 16
      // lanes a clock.
      #expect(rate > 1e6 && rate < 2 * 16e9 * 2 * 16 * 2, "\(set): \(rate)")
    }
    let bandwidth = try CPUBackend(threads: 2).measureBandwidth()
    #expect(bandwidth > 1e6 && bandwidth < 1e13, "\(bandwidth)")
  }
}
