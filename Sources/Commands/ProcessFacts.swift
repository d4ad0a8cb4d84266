// What the system knows of this process: when it started, and how much memory it has held.

import Formats

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

enum ProcessFacts {
  /// The most resident memory so far, in bytes (`VmHWM` of /proc/self/status); nil where the system
  /// has no such file.
  static func peakResidentBytes() -> Int? {
    guard let status = text("/proc/self/status") else { return nil }
    for line in status.split(separator: "\n") where line.hasPrefix("VmHWM:") {
      let fields = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
      guard fields.count >= 2, let kilobytes = Int(fields[1]) else { return nil }
      return kilobytes * 1024
    }
    return nil
  }

  /// Seconds since the system started this process (field 22 of /proc/self/stat, against the time
  /// since boot), in steps of a clock tick, usually 10 ms; nil where the system has no such file.
  static func secondsSinceStart() -> Double? {
    #if canImport(Glibc)
      // The second field is the program's name in parentheses, which may hold anything.
      guard let stat = text("/proc/self/stat"), let end = stat.lastIndex(of: ")") else {
        return nil
      }
      let fields = stat[stat.index(after: end)...].split(separator: " ")
      let ticksASecond = sysconf(Int32(_SC_CLK_TCK))
      guard fields.count > 19, let ticks = Double(fields[19]), ticksASecond > 0 else { return nil }
      var now = timespec()
      guard clock_gettime(CLOCK_BOOTTIME, &now) == 0 else { return nil }
      let started = ticks / Double(ticksASecond)
      return max(0, Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9 - started)
    #else
      return nil
    #endif
  }

  private static func text(_ path: String) -> String? {
    (try? FileIO.read(path, limit: 1 << 20)).map { String(decoding: $0, as: UTF8.self) }
  }
}
