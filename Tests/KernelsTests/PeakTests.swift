// The kernels that measure the machine do the work that their arguments say: a chain that the
// compiler left out, or one for several, would show as a rate that no processor has.

import KernelTable
import Testing

@Suite struct PeakTests {
  @Test(arguments: Isa.all)
  func multiplyAddRunsEveryChain(isa: Isa) {
    let table = isa.table
    for (rounds, taskCount) in [(0, 1), (1, 5), (2, 3), (7, 8)] {
      let target = Floats(taskCount)
      var arguments = MultiplyAddArguments()
      arguments.target = target.pointer
      arguments.rounds = rounds
      arguments.factor = 0.5
      arguments.addend = 0.25
      arguments.taskCount = taskCount
      #expect(arguments.tasks() == taskCount)
      launchAll(table.multiplyAdd, arguments, outputs: [target], "\(rounds) rounds")
      var sum = 0.0
      for chain in 0..<table.multiplyAddChains {
        var value = Double(chain)
        for _ in 0..<rounds { value = value * 0.5 + 0.25 }
        sum += value * Double(table.vectorWidth)
      }
      // Sums of small binary fractions: exact.
      #expect(target.values == Array(repeating: Float(sum), count: taskCount))
    }
  }

  @Test(arguments: Isa.all)
  func triadOfAwkwardLengths(isa: Isa) {
    for count in [1, 3, 16, 33, 40_001] {
      var values = Values(UInt64(count))
      let a = values.floats(count)
      let b = values.floats(count)
      let target = Floats(count)
      a.withPointer { a in
        b.withPointer { b in
          var arguments = TriadArguments()
          arguments.target = target.pointer
          arguments.a = a
          arguments.b = b
          arguments.factor = 3
          arguments.count = count
          launchAll(isa.table.triad, arguments, outputs: [target], "\(count) elements")
        }
      }
      let expected = zip(a, b).map { Double($0) + 3 * Double($1) }
      #expect(worst(target.values, expected) < 1e-6)
    }
  }
}
