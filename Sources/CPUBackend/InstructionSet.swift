// Which kernels run: the instruction set is chosen once, from what the processor has or from what the user asks
// for, and its kernel table is filled. Nothing else in the backend differs between instruction sets.

import Basics
import CProcessor
import KernelTable
import KernelsBase

#if arch(x86_64)
  import KernelsV3
  import KernelsV4
#endif

/// The instruction sets that the kernels are compiled for.
package enum InstructionSet: String, Hashable, Sendable, CaseIterable, Comparable {
  /// What every processor of the architecture has: SSE2, or NEON.
  case base
  /// x86-64-v3: AVX2 and FMA.
  case v3
  /// x86-64-v4: AVX-512.
  case v4

  package static func < (a: InstructionSet, b: InstructionSet) -> Bool { a.level < b.level }

  private var level: Int {
    switch self {
    case .base: 0
    case .v3: 3
    case .v4: 4
    }
  }

  /// The best that this processor runs.
  package static var best: InstructionSet {
    let level = Int(processor_level())
    return allCases.last { $0.level <= level } ?? .base
  }

  /// Those that this processor runs, the plainest first.
  package static var available: [InstructionSet] { allCases.filter { $0 <= best } }

  /// The set of a name given by `--isa`. Throws where there is no such set or the processor lacks it.
  package static func named(_ name: String) throws(EnvironmentFailure) -> InstructionSet {
    let names = allCases.map(\.rawValue)
    guard let set = InstructionSet(rawValue: name) else {
      throw EnvironmentFailure(
        "there are no kernels for the instruction set \"\(name)\"",
        help: "one of \(names.joined(separator: ", "))")
    }
    guard set <= best else {
      let lanes = available.map(\.rawValue).joined(separator: ", ")
      throw EnvironmentFailure(
        "this processor does not have the instruction set \(name)", help: "it runs \(lanes)")
    }
    return set
  }

  /// The filled kernel table.
  func makeTable() -> KernelTable {
    var table = KernelTable()
    switch self {
    case .base: KernelsBase.fillKernelTable(&table)
    #if arch(x86_64)
      case .v3: KernelsV3.fillKernelTable(&table)
      case .v4: KernelsV4.fillKernelTable(&table)
    #else
      case .v3, .v4: break
    #endif
    }
    return table
  }
}
