import Basics
import TestSupport
import Testing

@testable import Formats

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

@Suite struct FileIOTests {
  @Test func writesAndReads() throws {
    try withFolder { folder in
      let path = folder + "/a.bin"
      for bytes in [[], [7], randomBytes(100_000)] as [[UInt8]] {
        try FileIO.writeAtomically(bytes, to: path)
        #expect(try FileIO.read(path) == bytes)
        #expect(try FileIO.list(folder) == ["a.bin"])
      }
    }
  }

  @Test func refusesWhatIsNoReadableFile() throws {
    try withFolder { folder in
      expectFailure("\(folder)/none", "No such file") { _ = try FileIO.read(folder + "/none") }
      expectFailure(folder, "it is a folder") { _ = try FileIO.read(folder) }
      expectFailure("/dev/zero", "not a regular file") { _ = try FileIO.read("/dev/zero") }
      let pipe = folder + "/pipe"
      #expect(mkfifo(pipe, 0o600) == 0)
      expectFailure("not a regular file") { _ = try FileIO.read(pipe) }
      expectFailure("empty") { _ = try FileIO.read("") }
      expectFailure("NUL") { _ = try FileIO.read("a\0b") }
      try FileIO.writeAtomically([1, 2, 3], to: folder + "/three")
      #expect(try FileIO.read(folder + "/three", limit: 3).count == 3)
      expectFailure("three", "limit of 2") { _ = try FileIO.read(folder + "/three", limit: 2) }
      // A file that claims 2 TB of zeros.
      let file = open(folder + "/sparse", O_WRONLY | O_CREAT, 0o600)
      #expect(ftruncate(file, 2 << 40) == 0)
      close(file)
      expectFailure("sparse", "limit") { _ = try FileIO.read(folder + "/sparse") }
    }
  }

  @Test func readsFilesThatSayTheyAreEmpty() throws {
    #expect(try FileIO.read("/proc/self/status").count > 100)
  }

  @Test func aFailedWriteLeavesTheOldFileAndNoTemporary() throws {
    try withFolder { folder in
      expectFailure("\(folder)/no/file") {
        try FileIO.writeAtomically([1], to: folder + "/no/file")
      }
      try FileIO.createDirectory(folder + "/taken/inner")
      expectFailure("taken") { try FileIO.writeAtomically([1], to: folder + "/taken") }
      expectFailure("folder") { try FileIO.writeAtomically([1], to: folder + "/taken/") }
      #expect(try FileIO.list(folder) == ["taken"])
    }
  }

  @Test func aFullDeviceIsNamedWithTheBytesNeeded() throws {
    let file = open("/dev/full", O_WRONLY)
    defer { close(file) }
    expectFailure("/dev/full", "No space left", "5 bytes are needed") {
      try FileIO.writeAll([1, 2, 3, 4, 5], to: file, "/dev/full")
    }
    let log = try AppendLog(path: "/dev/full")
    try log.append("a line")
    expectFailure("/dev/full", "No space left") { try log.flush() }
  }

  @Test func linksStayAndLeadToTheFile() throws {
    try withFolder { folder in
      let link = folder + "/link"
      try FileIO.createDirectory(folder + "/there")
      // Relative to the link's folder, by way of a second link, to a file that is not there yet.
      #expect(symlink("there/second", link) == 0)
      #expect(symlink("../file", folder + "/there/second") == 0)
      for bytes in [[1, 2], [3]] as [[UInt8]] {
        try FileIO.writeAtomically(bytes, to: link)
        #expect(try FileIO.read(folder + "/file") == bytes)
        #expect(isLink(link) && isLink(folder + "/there/second"))
        #expect(try FileIO.list(folder) == ["file", "link", "there"])
        #expect(try FileIO.list(folder + "/there") == ["second"])
      }
      let loop = folder + "/loop"
      #expect(symlink("loop", loop) == 0)
      expectFailure(loop, "symbolic links") { try FileIO.writeAtomically([1], to: loop) }
      #expect(symlink("there", folder + "/to-folder") == 0)
      expectFailure("to-folder") { try FileIO.writeAtomically([1], to: folder + "/to-folder") }
      #expect(isLink(loop) && isLink(folder + "/to-folder"))
    }
  }

  @Test func pipesAndDevicesAreWrittenAsTheyAre() throws {
    try withFolder { folder in
      let null = folder + "/null"
      #expect(symlink("/dev/null", null) == 0)
      try FileIO.writeAtomically([1, 2, 3], to: null)
      #expect(isLink(null))
      if FileIO.exists("/dev/full") {
        let full = folder + "/full"
        #expect(symlink("/dev/full", full) == 0)
        expectFailure(full, "No space left", "3 bytes") {
          try FileIO.writeAtomically([1, 2, 3], to: full)
        }
        #expect(isLink(full))
      }
      let pipe = folder + "/pipe"
      #expect(mkfifo(pipe, 0o600) == 0)
      let reader = open(pipe, O_RDWR | O_NONBLOCK)
      defer { close(reader) }
      try FileIO.writeAtomically([4, 5, 6], to: pipe)
      var bytes = [UInt8](repeating: 0, count: 8)
      #expect(read(reader, &bytes, 8) == 3 && bytes[..<3] == [4, 5, 6])
      #expect(try FileIO.list(folder).allSatisfy { !$0.contains(".tmp-") })
    }
  }

  private func isLink(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
  }

  @Test func abandonedTemporariesAreRemoved() throws {
    try withFolder { folder in
      let mine = ".x.tmp-\(getpid())-0"
      // Process identifiers end at 2²² on Linux, so this one never lives.
      let dead = ".x.tmp-1999999999-3"
      for name in [mine, dead, ".tmp-file", "x.tmp-1999999999-3"] {
        try FileIO.writeAtomically([1], to: folder + "/" + name)
      }
      #expect(FileIO.removeAbandonedTemporaries(in: folder) == [dead])
      #expect(
        try FileIO.list(folder).sorted() == [mine, ".tmp-file", "x.tmp-1999999999-3"].sorted())
      #expect(FileIO.removeAbandonedTemporaries(in: folder + "/none") == [])
    }
  }

  @Test func aLockIsHeldOnce() throws {
    try withFolder { folder in
      let path = folder + "/.lock"
      // Left behind by a killed process.
      try FileIO.writeAtomically("", to: path)
      guard case .taken(let lock) = FileLock.attempt(path) else {
        Issue.record("a free lock was not taken")
        return
      }
      if case .held = FileLock.attempt(path) {} else { Issue.record("a lock was taken twice") }
      lock.release()
      lock.release()
      #expect(!FileIO.exists(path))
      if case .taken = FileLock.attempt(path) {} else { Issue.record("the lock is still held") }
      if case .unavailable = FileLock.attempt(folder + "/none/.lock") {
      } else {
        Issue.record("a lock in a folder that is not there")
      }
    }
  }

  @Test func createsFolders() throws {
    try withFolder { folder in
      try FileIO.createDirectory(folder + "/a/b/c/")
      #expect(FileIO.isDirectory(folder + "/a/b/c"))
      try FileIO.createDirectory(folder + "/a/b/c")
      try FileIO.writeAtomically([], to: folder + "/file")
      expectFailure("file") { try FileIO.createDirectory(folder + "/file") }
      expectFailure("file") { try FileIO.createDirectory(folder + "/file/below") }
      #expect(FileIO.isRegularFile(folder + "/file") && !FileIO.isRegularFile(folder))
      #expect(FileIO.exists(folder) && !FileIO.exists(folder + "/zzz"))
      try FileIO.remove(folder + "/file")
      try FileIO.remove(folder + "/file")
      expectFailure("zzz") { _ = try FileIO.list(folder + "/zzz") }
    }
  }

  @Test func appendsLinesAndDropsATornOne() throws {
    try withFolder { folder in
      let path = folder + "/log"
      let log = try AppendLog(path: path)
      try log.append("one")
      try log.flush(durably: true)
      #expect(try FileIO.read(path) == Array("one\n".utf8))
      try log.append("two")
      try log.close()
      try log.append("dropped")
      try log.close()
      #expect(try FileIO.read(path) == Array("one\ntwo\n".utf8))

      let torn = try FileIO.read(path) + [UInt8](repeating: 65, count: 10_000)
      try FileIO.writeAtomically(torn, to: path)
      var again: AppendLog? = try AppendLog(path: path)
      try again?.append("three")
      again = nil
      #expect(try FileIO.read(path) == Array("one\ntwo\nthree\n".utf8))

      try FileIO.writeAtomically("no newline at all", to: path)
      try AppendLog(path: path).close()
      #expect(try FileIO.read(path) == [])
      try FileIO.writeAtomically("old\n", to: path)
      try AppendLog(path: path, fresh: true).close()
      #expect(try FileIO.read(path) == [])
      expectFailure("none/log") { _ = try AppendLog(path: folder + "/none/log") }
      expectFailure(folder) { _ = try AppendLog(path: folder) }
    }
  }
}
