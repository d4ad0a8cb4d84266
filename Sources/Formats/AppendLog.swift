// A text file to which lines are appended: the log and the table of losses of a run. Lines are
// gathered and written together; a line that a crash cut in two is dropped at the next opening.

import Basics

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package final class AppendLog {
  package let path: String
  private var file: Int32
  private var pending: [UInt8] = []

  /// Opens `path` for appending and creates it where it is missing; `fresh` empties it first.
  /// A last line without its newline is one that a crash cut in two, and is removed.
  package init(path: String, fresh: Bool = false) throws(EnvironmentFailure) {
    try FileIO.check(path)
    self.path = path
    let flags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | (fresh ? O_TRUNC : 0)
    file = try FileIO.openFile(path, flags, "write")
    if !fresh {
      do throws(EnvironmentFailure) { try dropTornLine() } catch {
        systemClose(file)
        file = -1
        throw error
      }
    }
  }

  deinit {
    // Errors cannot be reported from here; callers that care use `close`.
    try? flush()
    if file >= 0 { systemClose(file) }
  }

  /// Adds a line (without its newline). It reaches the file at 64 KiB or at `flush`.
  package func append(_ line: String) throws(EnvironmentFailure) {
    pending.append(contentsOf: line.utf8)
    pending.append(10)
    if pending.count >= 1 << 16 { try flush() }
  }

  /// Adds bytes as they are, for logs of records that are no lines. They reach the file as lines do.
  package func append(bytes: [UInt8]) throws(EnvironmentFailure) {
    pending += bytes
    if pending.count >= 1 << 16 { try flush() }
  }

  /// Hands all lines to the system. With `durably`, waits until they are on the disk.
  package func flush(durably: Bool = false) throws(EnvironmentFailure) {
    guard file >= 0 else { return }
    if !pending.isEmpty {
      // What failed once is not written again: a part of it may already be in the file.
      let bytes = pending
      pending.removeAll(keepingCapacity: true)
      try FileIO.writeAll(bytes, to: file, path)
    }
    if durably, FileIO.retried({ fsync(file) }) != 0, errno != EINVAL {
      throw FileIO.systemFailure("write", path, errno)
    }
  }

  /// Flushes and closes; later lines are dropped.
  package func close() throws(EnvironmentFailure) {
    guard file >= 0 else { return }
    defer {
      systemClose(file)
      file = -1
    }
    try flush()
  }

  private func dropTornLine() throws(EnvironmentFailure) {
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return }
    var end = Int(status.st_size)
    var chunk = [UInt8](repeating: 0, count: 4096)
    while end > 0 {
      let start = max(0, end - chunk.count)
      let got = chunk.withUnsafeMutableBytes {
        pread(file, $0.baseAddress, end - start, off_t(start))
      }
      if got < 0, errno == EINTR { continue }
      if got != end - start { throw FileIO.systemFailure("read", path, got < 0 ? errno : EIO) }
      if let newline = chunk[..<got].lastIndex(of: 10) {
        end = start + newline + 1
        break
      }
      end = start
    }
    if end != Int(status.st_size), ftruncate(file, off_t(end)) != 0 {
      throw FileIO.systemFailure("write", path, errno)
    }
  }
}
