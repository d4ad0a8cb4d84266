// Lines of comma-separated values (RFC 4180), without their line ends.

package enum CSV {
  /// One line; a field is quoted where it must be.
  package static func line(_ fields: [String]) -> String {
    fields.map(field).joined(separator: ",")
  }

  /// One line of numbers, each with the fewest digits that read back to the same value;
  /// `nan`, `inf` and `-inf` as most readers know them. nil is an empty field.
  package static func line(_ numbers: [Double?]) -> String {
    numbers.map { $0.map(number) ?? "" }.joined(separator: ",")
  }

  /// A number as `line` writes it; whole ones without a fraction.
  package static func number(_ value: Double) -> String {
    if let whole = Int(exactly: value), abs(whole) < 1 << 53, value.sign == .plus || whole != 0 {
      return String(whole)
    }
    return value.description
  }

  package static func field(_ text: String) -> String {
    let special: [UInt8] = [0x2C, 0x22, 0x0A, 0x0D]
    let isPlain =
      !text.utf8.contains { special.contains($0) } && text.utf8.first != 0x20
      && text.utf8.last != 0x20
    if isPlain { return text }
    var out = "\""
    for character in text.unicodeScalars {
      if character == "\"" { out += "\"" }
      out.unicodeScalars.append(character)
    }
    return out + "\""
  }
}
