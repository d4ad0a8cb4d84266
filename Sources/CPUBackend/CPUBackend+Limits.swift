// The processor's limits, measured by two kernels of the instruction set in use on the backend's own
// threads.

import Basics
import KernelTable
import Runtime

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension CPUBackend: LimitMeasuring {
  private static let tries = 7

  package func measureArithmetic() throws(EnvironmentFailure) -> Double {
    // A thread that finds its share taken helps nobody, so each has several.
    let tasks = threads * 4
    let sums = try Arena(byteCount: tasks * MemoryLayout<Float>.stride, for: "measuring")
    var arguments = MultiplyAddArguments()
    arguments.target = sums.base.assumingMemoryBound(to: Float.self)
    // Towards 1, so that no number becomes infinite or denormal.
    arguments.factor = 0.5
    arguments.addend = 0.5
    arguments.taskCount = tasks
    arguments.rounds = 20_000
    // The first run wakes threads and clocks, and tells how many rounds take some 20 ms.
    let first = seconds(table.multiplyAdd, &arguments, shares: tasks)
    arguments.rounds = Int(20_000 * min(1000, max(1, 0.02 / max(first, 1e-6))))
    let operations =
      2 * Double(arguments.rounds) * Double(table.multiplyAddChains * table.vectorWidth)
      * Double(tasks)
    var best = Double.infinity
    for _ in 0..<Self.tries {
      best = min(best, seconds(table.multiplyAdd, &arguments, shares: tasks))
    }
    return operations / best
  }

  package func measureBandwidth() throws(EnvironmentFailure) -> Double {
    let count = Self.streamBytes / MemoryLayout<Float>.stride
    let arrays = try Arena(byteCount: 3 * Self.streamBytes, for: "measuring the memory's bandwidth")
    let base = arrays.base.assumingMemoryBound(to: Float.self)
    var arguments = TriadArguments()
    arguments.target = base
    arguments.a = UnsafePointer(base + count)
    arguments.b = UnsafePointer(base + 2 * count)
    arguments.factor = 3
    arguments.count = count
    let shares = min(arguments.tasks(), threads * 4)
    var best = Double.infinity
    for _ in 0..<Self.tries { best = min(best, seconds(table.triad, &arguments, shares: shares)) }
    return 3 * Double(Self.streamBytes) / best
  }

  /// Bytes of each of the three arrays: as the last cache, where the system tells its size. By the
  /// time a line is read again, twice as much as fits has passed.
  private static var streamBytes: Int {
    #if canImport(Glibc)
      let cache = Int(sysconf(Int32(_SC_LEVEL3_CACHE_SIZE)))
    #else
      let cache = 0
    #endif
    return min(max(32 << 20, cache), 512 << 20)
  }

  private func seconds<T>(_ kernel: Kernel, _ arguments: inout T, shares: Int) -> Double {
    let began = monotonicNanoseconds()
    withUnsafePointer(to: arguments) {
      pool.run(kernel, UnsafeRawPointer($0), scratch: nil, scratchStride: 0, shares: shares)
    }
    return Double(max(1, monotonicNanoseconds() - began)) * 1e-9
  }
}
