// Gzip, zlib and bare deflate streams and CRC-32, all through the system's zlib. Outputs are bounded: a small
// file that would unpack to a huge one is an error, not an allocation.

import Basics
import CZlib

/// CRC-32 (the polynomial of gzip and PNG), in pieces if wanted.
package struct CRC32: Sendable {
  package private(set) var value: UInt32 = 0
  package init() {}

  package mutating func combine(_ bytes: UnsafeRawBufferPointer) {
    guard var start = bytes.bindMemory(to: UInt8.self).baseAddress else { return }
    var rest = bytes.count
    while rest > 0 {
      let count = min(rest, 1 << 30)
      value = UInt32(truncatingIfNeeded: crc32(uLong(value), start, uInt(count)))
      start += count
      rest -= count
    }
  }

  package mutating func combine(_ bytes: [UInt8]) { bytes.withUnsafeBytes { combine($0) } }

  package static func of(_ bytes: [UInt8]) -> UInt32 {
    var sum = CRC32()
    sum.combine(bytes)
    return sum.value
  }

  package static func of(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var sum = CRC32()
    sum.combine(bytes)
    return sum.value
  }
}

package enum Gzip {
  /// Deflate cannot pack more than about 1,032 bytes into one; a claim beyond this is false.
  static let largestRatio = 1032

  /// Whether the bytes begin as gzip files do; names are not asked.
  package static func isGzip(_ bytes: [UInt8]) -> Bool { bytes.has([0x1F, 0x8B]) }

  /// Unpacks a gzip file, of one member or several. Each member's CRC and length are checked;
  /// a cut file, bytes behind the last member, and more than `limit` bytes are failures.
  package static func decompress(
    _ bytes: [UInt8], name: String, limit: Int = 4 << 30
  ) throws(EnvironmentFailure) -> [UInt8] {
    guard isGzip(bytes) else {
      throw EnvironmentFailure(
        "\(name): not a gzip file: expected the bytes 1f 8b at the start, found "
          + hexText(bytes.prefix(2)))
    }
    // The claimed length in the last four bytes is only a first guess for the room to take.
    let claim = bytes.count >= 18 ? Int(bytes.littleEndian32(at: bytes.count - 4)) : 0
    let guess = min(claim, bytes.count.multipliedOrMax(by: largestRatio), limit)
    return try Inflater.run(
      bytes, format: .gzip, name: name, expected: guess, limit: limit, prefixOnly: false)
  }

  /// The first `count` unpacked bytes, or fewer where the file has fewer.
  package static func prefix(
    _ bytes: [UInt8], count: Int, name: String
  ) throws(EnvironmentFailure) -> [UInt8] {
    try Inflater.run(
      bytes, format: .gzip, name: name, expected: count, limit: count, prefixOnly: true)
  }

  /// Packs bytes into a gzip file of one member; the same bytes always give the same file.
  package static func compress(_ bytes: [UInt8], level: Int = 6) throws(InternalError) -> [UInt8] {
    try deflated(bytes, format: .gzip, level: level)
  }
}

package enum Zlib {
  /// Packs bytes into a zlib stream, as PNG holds them.
  package static func compress(_ bytes: [UInt8], level: Int = 6) throws(InternalError) -> [UInt8] {
    try deflated(bytes, format: .zlib, level: level)
  }

  /// Unpacks a zlib stream that must hold exactly `count` bytes and nothing behind them.
  package static func decompress(
    _ bytes: [UInt8], exactly count: Int, name: String
  ) throws(EnvironmentFailure) -> [UInt8] {
    try unpacked(bytes, format: .zlib, exactly: count, name: name)
  }
}

/// Deflate streams without a wrapper, as ZIP archives hold them.
enum Deflate {
  static func compress(_ bytes: [UInt8], level: Int = 6) throws(InternalError) -> [UInt8] {
    try deflated(bytes, format: .bare, level: level)
  }

  /// Unpacks a stream that must hold exactly `count` bytes and nothing behind them.
  static func decompress(
    _ bytes: [UInt8], exactly count: Int, name: String
  ) throws(EnvironmentFailure) -> [UInt8] {
    try unpacked(bytes, format: .bare, exactly: count, name: name)
  }
}

/// The wrapper of a deflate stream, as zlib's window-bits argument.
private enum StreamFormat: Int32 {
  case bare = -15
  case zlib = 15
  case gzip = 31
}

private func unpacked(
  _ bytes: [UInt8], format: StreamFormat, exactly count: Int, name: String
) throws(EnvironmentFailure) -> [UInt8] {
  let output = try Inflater.run(
    bytes, format: format, name: name, expected: count, limit: count, prefixOnly: false)
  guard output.count == count else {
    throw EnvironmentFailure(
      "\(name): the compressed data has \(output.count) bytes, expected \(count)")
  }
  return output
}

private func deflated(
  _ bytes: [UInt8], format: StreamFormat, level: Int
) throws(InternalError) -> [UInt8] {
  var stream = z_stream()
  let started = deflateInit2_(
    &stream, Int32(min(max(level, 0), 9)), Z_DEFLATED, format.rawValue, 8, Z_DEFAULT_STRATEGY,
    ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
  guard started == Z_OK else { throw InternalError("deflateInit2 returned \(started)") }
  defer { deflateEnd(&stream) }
  let bound = Int(deflateBound(&stream, uLong(bytes.count)))
  var status: Int32 = Z_OK
  let output = [UInt8](unsafeUninitializedCapacity: bound) { target, written in
    bytes.withUnsafeBufferPointer { source in
      var taken = 0
      repeat {
        let give = min(source.count - taken, 1 << 30)
        let room = min(target.count - written, 1 << 30)
        if give > 0 { stream.next_in = UnsafeMutablePointer(mutating: source.baseAddress! + taken) }
        stream.next_out = target.baseAddress! + written
        stream.avail_in = uInt(give)
        stream.avail_out = uInt(room)
        status = deflate(&stream, taken + give == source.count ? Z_FINISH : Z_NO_FLUSH)
        taken += give - Int(stream.avail_in)
        written += room - Int(stream.avail_out)
      } while status == Z_OK
    }
  }
  guard status == Z_STREAM_END else { throw InternalError("deflate returned \(status)") }
  return output
}

/// One run of inflate over a whole input.
private enum Inflater {
  static func run(
    _ input: [UInt8], format: StreamFormat, name: String, expected: Int, limit: Int,
    prefixOnly: Bool
  ) throws(EnvironmentFailure) -> [UInt8] {
    var stream = z_stream()
    let started = inflateInit2_(
      &stream, format.rawValue, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard started == Z_OK else {
      throw EnvironmentFailure("\(name): cannot start unpacking (zlib error \(started))")
    }
    defer { inflateEnd(&stream) }
    var output: [UInt8] = []
    // One byte of room beyond the limit, so that "more than the limit" is seen.
    let most = limit == .max ? limit : limit + 1
    var capacity = min(max(expected, 1 << 12) + 1, most)
    var taken = 0
    var written = 0
    while true {
      try requireMemory(capacity, for: name)
      grow(&output, to: capacity)
      let status = step(&stream, input, &taken, &output, &written)
      if written > limit || (prefixOnly && written == limit) {
        if prefixOnly { break }
        throw EnvironmentFailure("\(name): unpacks to more than \(limit) bytes")
      }
      switch status {
      case Z_STREAM_END where taken == input.count || prefixOnly:
        output.removeLast(output.count - written)
        return output
      case Z_STREAM_END:
        guard format == .gzip, input.has([0x1F, 0x8B], at: taken) else {
          let extra = input.count - taken
          throw EnvironmentFailure(
            "\(name): \(extra) unexpected byte\(extra == 1 ? "" : "s") after the end of the "
              + "compressed data")
        }
        inflateReset(&stream)
      case Z_OK where written < capacity, Z_BUF_ERROR where written < capacity:
        // Room is left, so what is missing is input.
        guard taken < input.count else {
          throw EnvironmentFailure(
            "\(name): the compressed data is cut off after \(input.count) bytes")
        }
      case Z_OK, Z_BUF_ERROR:
        capacity = min(capacity.multipliedOrMax(by: 2), most)
      case Z_MEM_ERROR:
        throw EnvironmentFailure("\(name): not enough memory to unpack")
      default:
        let reason = stream.msg.map { String(cString: $0) } ?? "zlib error \(status)"
        throw EnvironmentFailure(
          "\(name): the compressed data is damaged near byte \(taken): \(reason)")
      }
    }
    output.removeLast(output.count - min(written, limit))
    return output
  }

  /// Feeds at most 1 GiB each way, the reach of zlib's 32-bit counters.
  private static func step(
    _ stream: inout z_stream, _ input: [UInt8], _ taken: inout Int, _ output: inout [UInt8],
    _ written: inout Int
  ) -> Int32 {
    input.withUnsafeBufferPointer { source in
      output.withUnsafeMutableBufferPointer { target in
        let give = min(source.count - taken, 1 << 30)
        let room = min(target.count - written, 1 << 30)
        stream.next_in = source.baseAddress.map { UnsafeMutablePointer(mutating: $0 + taken) }
        stream.next_out = target.baseAddress.map { $0 + written }
        stream.avail_in = uInt(give)
        stream.avail_out = uInt(room)
        let status = inflate(&stream, Z_NO_FLUSH)
        taken += give - Int(stream.avail_in)
        written += room - Int(stream.avail_out)
        return status
      }
    }
  }

  /// Makes the array `count` long; what is new holds anything, and is cut off if not written.
  private static func grow(_ bytes: inout [UInt8], to count: Int) {
    guard count > bytes.count else { return }
    bytes = [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
      bytes.withUnsafeBytes { old in
        if let start = old.baseAddress {
          UnsafeMutableRawPointer(target.baseAddress!).copyMemory(from: start, byteCount: old.count)
        }
      }
      initialized = count
    }
  }
}

extension Int {
  /// The product, or the largest integer where it does not fit.
  func multipliedOrMax(by other: Int) -> Int {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? .max : product
  }
}

/// Bytes as users see them: `1f 8b`.
func hexText(_ bytes: some Collection<UInt8>) -> String {
  if bytes.isEmpty { return "nothing" }
  return bytes.map { byte in
    let text = String(byte, radix: 16)
    return text.count == 1 ? "0" + text : text
  }.joined(separator: " ")
}
