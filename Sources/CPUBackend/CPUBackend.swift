// The CPU as a backend: a kernel table, a pool of threads, and the ways to make state stores and executables.

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif
import Basics
import CProcessor
import KernelTable
import Planning
import Runtime

package final class CPUBackend: Backend {
  package let instructionSet: InstructionSet
  package let threads: Int
  let table: KernelTable
  let pool: WorkerPool

  /// Threads that the system lets this process run at once.
  package static var processorCount: Int {
    return max(1, min(Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))), WorkerPool.maximumThreads))
  }

  /// Nil means as many threads as there are processors, and the best instruction set.
  package init(threads: Int? = nil, instructionSet: InstructionSet? = nil)
    throws(EnvironmentFailure)
  {
    let set = instructionSet ?? .best
    guard set <= .best else {
      throw EnvironmentFailure(
        "this processor does not have the instruction set \(set.rawValue)")
    }
    self.instructionSet = set
    self.threads = threads ?? CPUBackend.processorCount
    table = set.makeTable()
    pool = try WorkerPool(threads: self.threads, prepare: processor_flush_denormals)
  }

  deinit { pool.shutDown() }

  package var name: String { "cpu" }

  package var summary: String {
    let unit = threads == 1 ? "thread" : "threads"
    return "\(instructionSet.rawValue), \(table.vectorWidth) lanes, \(threads) \(unit)"
  }

  package func reserving(_ plan: Plan) throws(EnvironmentFailure) -> Plan {
    try reserved(plan).plan
  }

  /// The plan with what its kernels ask for, and the requests for the binding to come: a first binding that touches no
  /// memory finds out.
  func reserved(
    _ plan: Plan
  ) throws(EnvironmentFailure) -> (plan: Plan, requests: WorkspaceRequests) {
    try PlanBinder(plan: plan, addresses: ImaginedAddresses(plan), backend: self)
      .bind(BindMemory()).requests.reserved(in: plan)
  }

  package func makeStateStore() -> any StateStore { CPUStateStore() }

  package func load(_ plan: Plan, states: any StateStore) throws(EnvironmentFailure)
    -> any Executable
  {
    guard let store = states as? CPUStateStore else {
      throw EnvironmentFailure("the states are on another device")
    }
    let executable = try CPUExecutable(plan, self, store)
    // What passes and a first binding took would stay resident for as long as the executable runs.
    process_release_freed_memory()
    return executable
  }
}
