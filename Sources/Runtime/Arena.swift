// Memory of a backend: blocks that are aligned, zero-filled, and freed with their owner.

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif
import Basics
import Planning

/// One block of memory. `@unchecked Sendable`: the address and size never change; what the bytes hold is ordered by
/// the executor, which lets several threads write only to parts of one kernel's outputs and joins them after each.
package final class Arena: @unchecked Sendable {
  package let base: UnsafeMutableRawPointer
  package let byteCount: Int

  /// Room for `byteCount` bytes, zero-filled; for 0 bytes there is still a valid address.
  package init(byteCount: Int, for purpose: String) throws(EnvironmentFailure) {
    // A page, so that large pages can be used and no two arenas share a cache line.
    let alignment = 4096
    let (padded, overflow) = max(byteCount, 1).addingReportingOverflow(alignment - 1)
    var pointer: UnsafeMutableRawPointer?
    guard byteCount >= 0, !overflow,
      posix_memalign(&pointer, alignment, padded / alignment * alignment) == 0, let pointer
    else {
      throw EnvironmentFailure("\(byteCount) bytes of memory for \(purpose) are not to be had")
    }
    #if canImport(Glibc)
      // Fewer page faults and misses; only a hint.
      if byteCount >= 4 << 20 {
        _ = madvise(pointer, padded / alignment * alignment, MADV_HUGEPAGE)
      }
    #endif
    memset(pointer, 0, padded / alignment * alignment)
    base = pointer
    self.byteCount = byteCount
  }

  deinit { free(base) }

  package func pointer(at offset: Int) -> UnsafeMutableRawPointer {
    precondition(offset >= 0 && offset <= byteCount)
    return base + offset
  }
}
