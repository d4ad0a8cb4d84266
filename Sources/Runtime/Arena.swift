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
  private let mapped: UnsafeMutableRawBufferPointer

  /// Room for `byteCount` bytes, zero-filled; for 0 bytes there is still a valid address.
  package init(byteCount: Int, for purpose: String) throws(EnvironmentFailure) {
    // Pages of their own, large ones where that is worth it.
    let alignment = byteCount >= 4 << 20 ? 2 << 20 : 4096
    // The system promises memory that it does not have and kills the process when it is used.
    let machine = Int(sysconf(Int32(_SC_PHYS_PAGES))).multipliedReportingOverflow(
      by: Int(sysconf(Int32(_SC_PAGESIZE))))
    if !machine.overflow, machine.partialValue > 0, byteCount > machine.partialValue {
      throw EnvironmentFailure(
        "\(purpose) needs \(byteCount) bytes of memory; this machine has \(machine.partialValue)")
    }
    // Fresh pages of the system are zero. They come when they are first touched, by the threads that work on them.
    let (reserved, overflow) = max(byteCount, 1).addingReportingOverflow(2 * alignment)
    let access = PROT_READ | PROT_WRITE
    guard byteCount >= 0, !overflow,
      let start = mmap(nil, reserved, access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      start != MAP_FAILED
    else {
      throw EnvironmentFailure("\(byteCount) bytes of memory for \(purpose) are not to be had")
    }
    mapped = UnsafeMutableRawBufferPointer(start: start, count: reserved)
    base = start.alignedUp(toMultipleOf: alignment)
    #if canImport(Glibc)
      // Fewer page faults and misses; only a hint.
      if byteCount >= 4 << 20 { _ = madvise(base, byteCount, MADV_HUGEPAGE) }
    #endif
    self.byteCount = byteCount
  }

  deinit { munmap(mapped.baseAddress, mapped.count) }

  package func pointer(at offset: Int) -> UnsafeMutableRawPointer {
    precondition(offset >= 0 && offset <= byteCount)
    return base + offset
  }
}
