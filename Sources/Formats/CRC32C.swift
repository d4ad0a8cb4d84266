// CRC-32C (Castagnoli's polynomial, RFC 3720 appendix B.4), which zlib does not have, and the masked
// form in which records of TensorFlow carry it.

package enum CRC32C {
  /// Eight tables of 256: entry [k][b] is what byte b does k bytes further on, so that eight bytes
  /// are taken at a time.
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var sum = UInt32(byte)
      // The polynomial 1EDC6F41 with its bits reversed.
      for _ in 0..<8 { sum = sum & 1 == 0 ? sum >> 1 : sum >> 1 ^ 0x82F6_3B78 }
      tables[byte] = sum
    }
    for place in 256..<8 * 256 {
      let before = tables[place - 256]
      tables[place] = before >> 8 ^ tables[Int(before & 0xFF)]
    }
    return tables
  }()

  package static func of(_ bytes: some Collection<UInt8>) -> UInt32 {
    bytes.withContiguousStorageIfAvailable { of(UnsafeRawBufferPointer($0)) }
      ?? Array(bytes).withUnsafeBytes { of($0) }
  }

  package static func of(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    tables.withUnsafeBufferPointer { tables in
      var sum = ~UInt32(0)
      var at = 0
      while at + 8 <= bytes.count {
        let word = UInt64(
          littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        let mixed = word ^ UInt64(sum)
        sum = 0
        for place in 0..<8 {
          let byte = Int(truncatingIfNeeded: mixed >> (8 * UInt64(place)) & 0xFF)
          sum ^= tables[(7 - place) * 256 + byte]
        }
        at += 8
      }
      while at < bytes.count {
        sum = sum >> 8 ^ tables[Int((sum ^ UInt32(bytes[at])) & 0xFF)]
        at += 1
      }
      return ~sum
    }
  }

  /// Turned by 15 bits and moved by a constant: the sum of data that hold such sums themselves would
  /// otherwise be no good check.
  package static func masked(_ sum: UInt32) -> UInt32 {
    (sum >> 15 | sum << 17) &+ 0xA282_EAD8
  }
}
