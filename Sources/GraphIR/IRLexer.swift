// The tokens of IR text, cut from its bytes one at a time. Anything may stand in the bytes; what is no token is
// a diagnostic with its place.

import Basics

struct IRToken {
  enum Kind: Equatable {
    /// A name, or a keyword; the parser knows which.
    case word(String)
    case int(Int)
    case float(Double)
    case string(String)
    /// `%12`
    case value(Int)
    case punctuation(UInt8)
    case end
  }
  var kind: Kind
  var range: SourceRange

  var described: String {
    switch kind {
    case .word(let word): "\"\(word)\""
    case .int(let number): "the number \(number)"
    case .float(let number): "the number \(number)"
    case .string: "a string"
    case .value(let id): "%\(id)"
    case .punctuation(let byte): "\"\(String(UnicodeScalar(byte)))\""
    case .end: "the end of the text"
    }
  }
}

struct IRLexer {
  let bytes: [UInt8]
  private(set) var offset: Int

  init(_ bytes: [UInt8], from offset: Int) {
    self.bytes = bytes
    self.offset = offset
  }

  /// The next token; `end` at the end, over and over.
  mutating func next() throws(Diagnostic) -> IRToken {
    skipSpace()
    let start = offset
    guard let byte = peek() else { return token(.end, from: start) }
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "_"):
      return token(.word(scan(isWordByte)), from: start)
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): return try number()
    case UInt8(ascii: "\""): return try string()
    case UInt8(ascii: "%"):
      offset += 1
      let digits = scan(isDigit)
      guard let id = Int32(digits) else {
        throw Diagnostic(
          "ir.syntax", "a value is % and a number of at most 31 bits",
          at: SourceRange(start, offset))
      }
      return token(.value(Int(id)), from: start)
    case _ where IRLexer.punctuation.contains(byte):
      offset += 1
      return token(.punctuation(byte), from: start)
    default:
      throw Diagnostic(
        "ir.syntax", "this character does not belong into IR text",
        at: SourceRange(start, start + 1))
    }
  }

  private static let punctuation = Array("{}[](),:;=@".utf8)

  private func token(_ kind: IRToken.Kind, from start: Int) -> IRToken {
    IRToken(kind: kind, range: SourceRange(start, offset))
  }

  private func peek(_ ahead: Int = 0) -> UInt8? {
    offset + ahead < bytes.count ? bytes[offset + ahead] : nil
  }

  private func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

  private func isWordByte(_ byte: UInt8) -> Bool {
    isDigit(byte) || byte == UInt8(ascii: "_") || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A)
  }

  private mutating func scan(_ accept: (UInt8) -> Bool) -> String {
    let start = offset
    while let byte = peek(), accept(byte) { offset += 1 }
    return String(decoding: bytes[start..<offset], as: UTF8.self)
  }

  /// Spaces, line ends and comments.
  private mutating func skipSpace() {
    while let byte = peek() {
      if byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D {
        offset += 1
      } else if byte == UInt8(ascii: "/"), peek(1) == UInt8(ascii: "/") {
        while let byte = peek(), byte != 0x0A { offset += 1 }
      } else {
        return
      }
    }
  }

  /// `-12`, `0.5`, `1e-07`, `-inf`. What has neither point nor exponent is an integer.
  private mutating func number() throws(Diagnostic) -> IRToken {
    let start = offset
    if peek() == UInt8(ascii: "-") { offset += 1 }
    if let byte = peek(), !isDigit(byte), scan(isWordByte) == "inf" {
      return token(.float(-.infinity), from: start)
    }
    var isFloat = false
    _ = scan(isDigit)
    if peek() == UInt8(ascii: ".") {
      isFloat = true
      offset += 1
      _ = scan(isDigit)
    }
    if let byte = peek(), byte | 0x20 == UInt8(ascii: "e") {
      isFloat = true
      offset += 1
      if peek() == UInt8(ascii: "-") || peek() == UInt8(ascii: "+") { offset += 1 }
      _ = scan(isDigit)
    }
    let text = String(decoding: bytes[start..<offset], as: UTF8.self)
    if !isFloat, let value = Int(text) { return token(.int(value), from: start) }
    if isFloat, let value = Double(text), value.isFinite {
      return token(.float(value), from: start)
    }
    throw Diagnostic(
      "ir.number", "this is not a number, or too large a one", at: SourceRange(start, offset))
  }

  /// A string in quotes, on one line.
  private mutating func string() throws(Diagnostic) -> IRToken {
    let start = offset
    offset += 1
    var content: [UInt8] = []
    while let byte = peek(), byte != 0x0A {
      offset += 1
      if byte == UInt8(ascii: "\"") {
        guard let text = String(validating: content, as: UTF8.self) else {
          throw Diagnostic("ir.string", "this string is not UTF-8", at: SourceRange(start, offset))
        }
        return token(.string(text), from: start)
      }
      if byte == UInt8(ascii: "\\") {
        try escape(into: &content)
      } else {
        content.append(byte)
      }
    }
    throw Diagnostic(
      offset >= bytes.count ? "ir.truncated" : "ir.string", "this string does not end",
      at: SourceRange(start, offset))
  }

  private mutating func escape(into content: inout [UInt8]) throws(Diagnostic) {
    let start = offset - 1
    let byte = peek()
    offset += 1
    switch byte {
    case UInt8(ascii: "\""): content.append(UInt8(ascii: "\""))
    case UInt8(ascii: "\\"): content.append(UInt8(ascii: "\\"))
    case UInt8(ascii: "n"): content.append(0x0A)
    case UInt8(ascii: "r"): content.append(0x0D)
    case UInt8(ascii: "t"): content.append(0x09)
    case UInt8(ascii: "u") where peek() == UInt8(ascii: "{"):
      offset += 1
      let digits = scan(isWordByte)
      guard digits.utf8.count <= 6, let code = UInt32(digits, radix: 16),
        let scalar = UnicodeScalar(code), peek() == UInt8(ascii: "}")
      else {
        throw Diagnostic(
          "ir.string", "\\u{…} holds the number of a character in hexadecimal",
          at: SourceRange(start, min(offset, bytes.count)))
      }
      offset += 1
      content.append(contentsOf: Array(String(scalar).utf8))
    default:
      offset = min(offset, bytes.count)
      throw Diagnostic(
        "ir.string", "an unknown escape; there are \\\" \\\\ \\n \\r \\t \\u{…}",
        at: SourceRange(start, offset))
    }
  }
}
