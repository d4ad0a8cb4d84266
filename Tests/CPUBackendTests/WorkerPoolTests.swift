// The pool runs every share exactly once, with any number of threads, over many short jobs, and ends.

import Runtime
import Synchronization
import Testing

@Suite struct WorkerPoolTests {
  /// Adds the share's number and one to the share's own cell, and writes its thread's scratch.
  private static let mark: ShareFunction = { raw, scratch, index, count in
    let cells = raw.load(as: UnsafeMutablePointer<Int>.self)
    cells[index] += index + 1
    scratch?.storeBytes(of: index, as: Int.self)
  }

  @Test(arguments: [1, 2, 3, 7]) func everyShareOnce(_ threads: Int) throws {
    let pool = try WorkerPool(threads: threads)
    defer { pool.shutDown() }
    let cells = UnsafeMutablePointer<Int>.allocate(capacity: 300)
    let scratch = UnsafeMutableRawPointer.allocate(byteCount: threads * 64, alignment: 64)
    defer {
      cells.deallocate()
      scratch.deallocate()
    }
    var argument = cells
    for round in 0..<2000 {
      let shares = round % 7 == 0 ? 300 : round % 13
      cells.update(repeating: 0, count: 300)
      pool.run(WorkerPoolTests.mark, &argument, scratch: scratch, scratchStride: 64, shares: shares)
      for index in 0..<300 where cells[index] != (index < shares ? index + 1 : 0) {
        Issue.record("share \(index) of \(shares) in round \(round): \(cells[index])")
        return
      }
    }
  }

  @Test func poolsEnd() throws {
    for threads in [1, 4, 16] {
      let pool = try WorkerPool(threads: threads)
      pool.shutDown()
      // The calling thread goes on alone.
      var cell = 0
      withUnsafeMutablePointer(to: &cell) { pointer in
        var argument = pointer
        pool.run(
          WorkerPoolTests.mark, &argument, scratch: nil, scratchStride: 0, shares: 1)
      }
      #expect(cell == 1)
    }
  }
}
