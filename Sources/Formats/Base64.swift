// Base64 (RFC 4648, with padding): pictures within a page. Bytes in, the bytes of the text out.

package enum Base64 {
  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  package static func encode(_ bytes: [UInt8]) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity((bytes.count + 2) / 3 * 4)
    var at = 0
    while at < bytes.count {
      let rest = bytes.count - at
      let second = rest > 1 ? bytes[at + 1] : 0
      let third = rest > 2 ? bytes[at + 2] : 0
      let word = Int(bytes[at]) << 16 | Int(second) << 8 | Int(third)
      out.append(alphabet[word >> 18])
      out.append(alphabet[word >> 12 & 63])
      out.append(rest > 1 ? alphabet[word >> 6 & 63] : UInt8(ascii: "="))
      out.append(rest > 2 ? alphabet[word & 63] : UInt8(ascii: "="))
      at += 3
    }
    return out
  }
}
