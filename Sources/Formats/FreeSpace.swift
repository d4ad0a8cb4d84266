// How many bytes the disk below a path has left.

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package enum FreeSpace {
  /// What an unprivileged process can still write on the file system of `path`, which need not be
  /// there yet; nil where the system does not say.
  package static func bytes(at path: String) -> Int? {
    var place = path.isEmpty ? "." : path
    while !FileIO.exists(place) {
      guard let slash = place.lastIndex(of: "/") else {
        place = "."
        break
      }
      place = slash == place.startIndex ? "/" : String(place[..<slash])
      if place == "/" { break }
    }
    var status = statvfs()
    guard statvfs(place, &status) == 0 else { return nil }
    let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(
      by: UInt64(status.f_frsize))
    return overflow ? Int.max : Int(clamping: bytes)
  }
}
