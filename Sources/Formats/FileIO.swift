// Whole files in, whole files out. Reading takes regular files only; writing is atomic and durable:
// a temporary file in the same folder, fsync, rename, fsync of the folder, so that a crash at any
// moment leaves either the old file or the new one. Errors are `EnvironmentFailure`s with the path.

import Basics

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package enum FileIO {
  /// Reads a whole regular file. A missing file, a folder, a pipe or device, a file without
  /// permission, and one longer than `limit` bytes are failures.
  package static func read(
    _ path: String, limit: Int = defaultFileLimit
  ) throws(EnvironmentFailure) -> [UInt8] {
    try check(path)
    // Non-blocking, so that a named pipe is refused below instead of waited for here.
    let file = try openFile(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, "read")
    defer { close(file) }
    let size = try regularSize(file, path)
    guard size <= limit else {
      throw EnvironmentFailure(
        "cannot read '\(path)': it has \(size) bytes, more than the limit of \(limit)")
    }
    try requireMemory(size, for: path)
    // One byte more than the size, so that the end is seen without a second allocation.
    var failure: Int32 = 0
    var bytes = [UInt8](unsafeUninitializedCapacity: size + 1) { buffer, initialized in
      while initialized < buffer.count {
        let rest = min(buffer.count - initialized, 1 << 30)
        let got = systemRead(file, buffer.baseAddress! + initialized, rest)
        if got < 0, errno == EINTR { continue }
        if got < 0 { failure = errno }
        if got <= 0 { break }
        initialized += got
      }
    }
    if failure != 0 { throw systemFailure("read", path, failure) }
    // Files of /proc say that they are empty, and a file may grow while it is read.
    if bytes.count > size { try readRest(file, path, into: &bytes, limit: limit) }
    return bytes
  }

  private static func readRest(
    _ file: Int32, _ path: String, into bytes: inout [UInt8], limit: Int
  ) throws(EnvironmentFailure) {
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let got = chunk.withUnsafeMutableBytes { systemRead(file, $0.baseAddress, $0.count) }
      if got < 0, errno == EINTR { continue }
      if got < 0 { throw systemFailure("read", path, errno) }
      if got == 0 { return }
      guard bytes.count + got <= limit else {
        throw EnvironmentFailure(
          "cannot read '\(path)': it has more bytes than the limit of \(limit)")
      }
      bytes.append(contentsOf: chunk[..<got])
    }
  }

  /// Writes a file so that it is either wholly there or not at all, also after a power cut. An
  /// existing file is replaced; after a failure it is still there and no temporary file is left.
  /// A symbolic link stays, and the file it leads to is written. A pipe or character device is
  /// written as it is, which nothing can make atomic.
  package static func writeAtomically(
    _ bytes: [UInt8], to path: String
  ) throws(EnvironmentFailure) {
    try check(path)
    if try isStream(path) { return try writeThrough(bytes, to: path) }
    let target = try followed(path)
    let (folder, base) = split(target)
    guard !base.isEmpty, base != ".", base != ".." else {
      throw EnvironmentFailure("cannot write '\(path)': the path names a folder, not a file")
    }
    let (file, temporary) = try openTemporary(folder, base, path)
    do throws(EnvironmentFailure) {
      do throws(EnvironmentFailure) {
        try writeAll(bytes, to: file, path)
        if retried({ fsync(file) }) != 0 {
          throw systemFailure("write", path, errno, needed: bytes.count)
        }
      } catch {
        close(file)
        throw error
      }
      // Some file systems report a full disk only here.
      if close(file) != 0, errno != EINTR {
        throw systemFailure("write", path, errno, needed: bytes.count)
      }
      if rename(temporary, target) != 0 { throw systemFailure("write", path, errno) }
    } catch {
      unlink(temporary)
      throw error
    }
    try syncFolder(folder)
  }

  /// Writes text as UTF-8, atomically and durably.
  package static func writeAtomically(
    _ text: String, to path: String
  ) throws(EnvironmentFailure) {
    try writeAtomically(Array(text.utf8), to: path)
  }

  /// Removes the temporary files that killed processes left in a folder, and returns their names.
  /// Those of processes that still live stay. A folder that cannot be listed has none.
  @discardableResult
  package static func removeAbandonedTemporaries(in folder: String) -> [String] {
    guard let names = try? list(folder) else { return [] }
    return names.filter { name in
      guard name.hasPrefix("."), let mark = name.range(of: temporaryMark),
        let owner = Int32(name[mark...].prefix { $0 != "-" }), owner > 0,
        owner != getpid(), kill(owner, 0) != 0, errno == ESRCH
      else { return false }
      return unlink(folder + "/" + name) == 0
    }
  }

  /// Creates a folder and those above it; one that is there already is fine.
  package static func createDirectory(_ path: String) throws(EnvironmentFailure) {
    try check(path)
    if isDirectory(path) { return }
    let (parent, base) = split(trimmed(path))
    if !base.isEmpty, !isDirectory(parent) { try createDirectory(parent) }
    if mkdir(path, 0o777) != 0 {
      let code = errno
      if code == EEXIST, isDirectory(path) { return }
      throw EnvironmentFailure("cannot create the folder '\(path)': \(errorText(code))")
    }
    // The entry of a new folder is made durable as that of a file is.
    try? syncFolder(parent)
  }

  /// The names in a folder, sorted by their bytes, without `.` and `..`.
  package static func list(_ path: String) throws(EnvironmentFailure) -> [String] {
    try check(path)
    guard let folder = opendir(path) else {
      throw EnvironmentFailure("cannot list the folder '\(path)': \(errorText(errno))")
    }
    defer { closedir(folder) }
    var names: [[UInt8]] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if name != [46], name != [46, 46] { names.append(name) }
    }
    names.sort { $0.lexicographicallyPrecedes($1) }
    return names.map { String(decoding: $0, as: UTF8.self) }
  }

  /// Whether anything is at `path`.
  package static func exists(_ path: String) -> Bool { mode(of: path) != nil }

  package static func isDirectory(_ path: String) -> Bool {
    mode(of: path).map { $0 & S_IFMT == S_IFDIR } ?? false
  }

  package static func isRegularFile(_ path: String) -> Bool {
    mode(of: path).map { $0 & S_IFMT == S_IFREG } ?? false
  }

  /// What tells a file or folder from all others, whatever path leads to it.
  package struct Identity: Hashable, Sendable {
    private let device: UInt64
    private let number: UInt64
    fileprivate init(_ status: stat) {
      device = UInt64(truncatingIfNeeded: status.st_dev)
      number = UInt64(truncatingIfNeeded: status.st_ino)
    }
  }

  /// Nil where there is nothing, or a link that leads nowhere.
  package static func identity(of path: String) -> Identity? {
    guard !path.isEmpty, !path.utf8.contains(0) else { return nil }
    var status = stat()
    return stat(path, &status) == 0 ? Identity(status) : nil
  }

  static func identity(ofOpen file: Int32) -> Identity? {
    var status = stat()
    return fstat(file, &status) == 0 ? Identity(status) : nil
  }

  /// Removes a file; one that is not there is fine.
  package static func remove(_ path: String) throws(EnvironmentFailure) {
    try check(path)
    if unlink(path) != 0, errno != ENOENT { throw systemFailure("remove", path, errno) }
  }

  // MARK: Parts that other files of this module use

  static func check(_ path: String) throws(EnvironmentFailure) {
    if path.isEmpty { throw EnvironmentFailure("a file path is empty") }
    if path.utf8.contains(0) {
      throw EnvironmentFailure("the file path '\(path.prefix { $0 != "\0" })…' contains a NUL byte")
    }
  }

  static func openFile(
    _ path: String, _ flags: Int32, _ verb: String
  ) throws(EnvironmentFailure) -> Int32 {
    let file = retried { open(path, flags, 0o666) }
    if file < 0 { throw systemFailure(verb, path, errno) }
    return file
  }

  /// The size of an open file that must be a regular one.
  static func regularSize(_ file: Int32, _ path: String) throws(EnvironmentFailure) -> Int {
    var status = stat()
    if fstat(file, &status) != 0 { throw systemFailure("read", path, errno) }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return Int(status.st_size)
    case S_IFDIR: throw EnvironmentFailure("cannot read '\(path)': it is a folder, not a file")
    default: throw EnvironmentFailure("cannot read '\(path)': it is not a regular file")
    }
  }

  /// Writes all bytes at the file's position, or from `offset` on.
  static func writeAll(
    _ bytes: [UInt8], to file: Int32, _ path: String, at offset: Int? = nil
  ) throws(EnvironmentFailure) {
    let failure: Int32 = bytes.withUnsafeBytes { buffer in
      var done = 0
      while done < buffer.count {
        let start = buffer.baseAddress! + done
        let count = min(buffer.count - done, 1 << 30)
        let wrote =
          offset.map { pwrite(file, start, count, off_t($0 + done)) } ?? write(file, start, count)
        if wrote < 0, errno == EINTR { continue }
        if wrote < 0 { return errno }
        // A regular file never takes zero bytes; were it to, this must not become a loop.
        if wrote == 0 { return EIO }
        done += wrote
      }
      return 0
    }
    if failure != 0 { throw systemFailure("write", path, failure, needed: bytes.count) }
  }

  static func systemFailure(
    _ verb: String, _ path: String, _ code: Int32, needed: Int? = nil
  ) -> EnvironmentFailure {
    let full = code == ENOSPC || code == EDQUOT || code == EFBIG
    let size = full ? needed.map { " (\($0) bytes are needed)" } ?? "" : ""
    return EnvironmentFailure("cannot \(verb) '\(path)': \(errorText(code))\(size)")
  }

  static func errorText(_ code: Int32) -> String { String(cString: strerror(code)) }

  static func retried(_ call: () -> Int32) -> Int32 {
    while true {
      let result = call()
      if result >= 0 || errno != EINTR { return result }
    }
  }

  // MARK: Private parts

  private static let temporaryMark = ".tmp-"

  /// Whether bytes written to a path go somewhere else than into a file: a rename would put a file
  /// in its place. A disk is refused.
  private static func isStream(_ path: String) throws(EnvironmentFailure) -> Bool {
    switch mode(of: path).map({ $0 & S_IFMT }) {
    case S_IFCHR, S_IFIFO: return true
    case S_IFBLK: throw EnvironmentFailure("cannot write '\(path)': it is a block device")
    case S_IFSOCK: throw EnvironmentFailure("cannot write '\(path)': it is a socket")
    default: return false
    }
  }

  private static func writeThrough(
    _ bytes: [UInt8], to path: String
  ) throws(EnvironmentFailure) {
    let file = try openFile(path, O_WRONLY | O_NOCTTY | O_CLOEXEC, "write")
    defer { close(file) }
    try writeAll(bytes, to: file, path)
  }

  /// Where the symbolic links at the end of a path lead; what is there need not exist.
  private static func followed(_ path: String) throws(EnvironmentFailure) -> String {
    var target = path
    // As many as Linux follows.
    for _ in 0..<40 {
      guard let next = linkText(target) else { return target }
      target = next.hasPrefix("/") ? next : split(target).folder + "/" + next
    }
    throw systemFailure("write", path, ELOOP)
  }

  /// What a symbolic link says; nil for anything else.
  private static func linkText(_ path: String) -> String? {
    let most = Int(PATH_MAX)
    var text = [CChar](repeating: 0, count: most)
    let count = readlink(path, &text, most)
    guard count > 0 else { return nil }
    return String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static func openTemporary(
    _ folder: String, _ base: String, _ path: String
  ) throws(EnvironmentFailure) -> (file: Int32, path: String) {
    // A long name is cut, so that the temporary name does not exceed the system's 255 bytes.
    let stem = String(decoding: base.utf8.prefix(200), as: UTF8.self)
    for attempt in 0..<10_000 {
      let temporary = "\(folder)/.\(stem)\(temporaryMark)\(getpid())-\(attempt)"
      let file = retried { open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666) }
      if file >= 0 { return (file, temporary) }
      if errno != EEXIST { throw systemFailure("write", path, errno) }
    }
    throw EnvironmentFailure("cannot write '\(path)': no free temporary name in '\(folder)'")
  }

  private static func syncFolder(_ folder: String) throws(EnvironmentFailure) {
    let file = try openFile(folder, O_RDONLY | O_CLOEXEC, "open the folder")
    defer { close(file) }
    // Some file systems have nothing to do for folders and say so with EINVAL.
    if retried({ fsync(file) }) != 0, errno != EINVAL, errno != ENOTSUP {
      throw systemFailure("sync the folder", folder, errno)
    }
  }

  private static func mode(of path: String) -> mode_t? {
    guard !path.isEmpty, !path.utf8.contains(0) else { return nil }
    var status = stat()
    return stat(path, &status) == 0 ? status.st_mode : nil
  }

  private static func split(_ path: String) -> (folder: String, base: String) {
    guard let slash = path.lastIndex(of: "/") else { return (".", path) }
    let folder = String(path[..<slash])
    return (folder.isEmpty ? "/" : folder, String(path[path.index(after: slash)...]))
  }

  private static func trimmed(_ path: String) -> String {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    return path
  }
}

extension String {
  /// The index just behind the last occurrence of `mark`.
  fileprivate func range(of mark: String) -> Index? {
    var found: Index?
    var start = startIndex
    while start < endIndex {
      if self[start...].hasPrefix(mark) { found = index(start, offsetBy: mark.count) }
      start = index(after: start)
    }
    return found
  }
}
