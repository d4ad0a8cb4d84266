// Tests that wait for each other inside a library, away from the threads of all others.

import Dispatch
import Synchronization
import Testing

/// Tests with this trait, in whatever suite or target, run on two threads of their own, while all others go on. For devices
/// of OpenCL: their compilers take one program at a time and block whoever else asks, so that with a few of these tests at
/// once among the others every thread would stand still but one. Two, because the reference evaluator of one test can
/// run while the compiler works for the other.
package struct OnOwnThreads: SuiteTrait, TestTrait, TestScoping {
  package var isRecursive: Bool { true }

  package func provideScope(
    for test: Test, testCase: Test.Case?, performing body: @Sendable () async throws -> Void
  ) async throws {
    try await withTaskExecutorPreference(Self.threads) { try await body() }
  }

  private static let threads = OwnThreads()
}

extension Trait where Self == OnOwnThreads {
  package static var onOwnThreads: Self { Self() }
}

/// Serial queues, which have a thread each while they have work, by turns.
private final class OwnThreads: TaskExecutor {
  private let queues = (0..<2).map { DispatchQueue(label: "own thread \($0)") }
  private let count = Atomic(0)

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let turn = count.wrappingAdd(1, ordering: .relaxed).oldValue
    queues[turn % queues.count].async {
      job.runSynchronously(on: self.asUnownedTaskExecutor())
    }
  }
}
