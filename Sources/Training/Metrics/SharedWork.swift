// Work that is cut into shares and done on several threads: metrics over all pairs of images. Every share writes its own
// results, so nothing depends on the number of threads.

import Basics
import Runtime

package final class SharedWork {
  private let pool: WorkerPool

  /// `threads` includes the calling one.
  package init(threads: Int) throws(EnvironmentFailure) {
    pool = try WorkerPool(threads: threads)
  }

  deinit { pool.shutDown() }

  /// Calls `body` once for each share, on any thread, and returns when all are done.
  func run(shares: Int, _ body: (Int) -> Void) {
    // A pool's job has a limited number of shares; so it is given as many as it takes, each a run of ours.
    let jobs = min(shares, WorkerPool.maximumShares)
    guard jobs > 0 else { return }
    let perJob = (shares + jobs - 1) / jobs
    withoutActuallyEscaping(body) { body in
      var job: (Int) -> Void = { index in
        for share in index * perJob..<min((index + 1) * perJob, max(index * perJob, shares)) {
          body(share)
        }
      }
      withUnsafePointer(to: &job) { job in
        pool.run(
          { raw, _, index, _ in raw.assumingMemoryBound(to: ((Int) -> Void).self).pointee(index) },
          job, scratch: nil, scratchStride: 0, shares: jobs)
      }
    }
  }

  /// One result for each share, in their order.
  func map<Result>(shares: Int, _ body: (Int) -> Result) -> [Result] {
    [Result](unsafeUninitializedCapacity: shares) { results, count in
      let base = results.baseAddress
      run(shares: shares) { share in (base! + share).initialize(to: body(share)) }
      count = shares
    }
  }
}
