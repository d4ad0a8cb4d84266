// The clock that everything is timed with. In: nothing. Out: time since a moment that the system chooses.

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Nanoseconds of a clock that only goes forward, whatever happens to the time of day. Only differences mean anything.
package func monotonicNanoseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
}

/// The same clock in seconds.
package func monotonicSeconds() -> Double { Double(monotonicNanoseconds()) * 1e-9 }

/// The time of day, in seconds since 1970: for dates that a person reads, never for measuring.
package func secondsSince1970() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
