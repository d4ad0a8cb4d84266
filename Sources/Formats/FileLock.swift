// A lock on a path that one process holds at a time. The system lets go of it when the process ends,
// however it ends, so a file that a killed process left behind locks nothing.

import Basics

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package final class FileLock {
  package enum Attempt {
    case taken(FileLock)
    /// Somebody else has it: another process, or another part of this one.
    case held
    /// The folder cannot be written to, or its file system has no locks.
    case unavailable
  }

  private let path: String
  private var file: Int32

  private init(path: String, file: Int32) {
    self.path = path
    self.file = file
  }

  deinit { release() }

  /// Takes the lock without waiting. The file is created where it is missing; its folder is not.
  package static func attempt(_ path: String) -> Attempt {
    guard (try? FileIO.check(path)) != nil else { return .unavailable }
    // Who had it may remove the file after it was opened here: then another one is to be locked.
    for _ in 0..<100 {
      guard let file = try? FileIO.openFile(path, O_RDWR | O_CREAT | O_CLOEXEC, "lock") else {
        return .unavailable
      }
      if FileIO.retried({ flock(file, LOCK_EX | LOCK_NB) }) != 0 {
        let isHeld = errno == EAGAIN
        systemClose(file)
        return isHeld ? .held : .unavailable
      }
      if let opened = FileIO.identity(ofOpen: file), opened == FileIO.identity(of: path) {
        return .taken(FileLock(path: path, file: file))
      }
      systemClose(file)
    }
    return .held
  }

  /// Lets go of the lock and removes its file; once is enough.
  package func release() {
    guard file >= 0 else { return }
    // While it is still held, so that nobody else's file is removed.
    if FileIO.identity(ofOpen: file) == FileIO.identity(of: path) { unlink(path) }
    systemClose(file)
    file = -1
  }
}
