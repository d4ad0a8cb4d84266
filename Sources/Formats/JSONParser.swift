// The strict JSON parser (RFC 8259): no comments, no trailing commas, no duplicate keys, valid
// UTF-8, bounded depth. Bytes in, a `JSONValue` out; errors give the offset.

import Basics

extension JSONValue {
  /// Parses a whole text. `name` is the file in messages.
  package static func parse(
    _ bytes: [UInt8], name: String, depthLimit: Int = 128
  ) throws(EnvironmentFailure) -> JSONValue {
    var parser = JSONParser(bytes: bytes, name: name, depthLimit: depthLimit)
    return try parser.document()
  }

  package static func parse(
    _ text: String, name: String, depthLimit: Int = 128
  ) throws(EnvironmentFailure) -> JSONValue {
    try parse(Array(text.utf8), name: name, depthLimit: depthLimit)
  }
}

private struct JSONParser {
  let bytes: [UInt8]
  let name: String
  let depthLimit: Int
  var at = 0

  init(bytes: [UInt8], name: String, depthLimit: Int) {
    self.bytes = bytes
    self.name = name
    self.depthLimit = depthLimit
  }

  mutating func document() throws(EnvironmentFailure) -> JSONValue {
    let result = try value(depth: 0)
    skipSpace()
    guard at == bytes.count else { throw failure("expected the end of the text") }
    return result
  }

  private mutating func value(depth: Int) throws(EnvironmentFailure) -> JSONValue {
    skipSpace()
    guard depth <= depthLimit else {
      throw failure("nested more than \(depthLimit) levels deep", found: false)
    }
    switch peek {
    case UInt8(ascii: "{"): return try object(depth)
    case UInt8(ascii: "["): return try array(depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    case .some(let byte) where byte == 0x2D || 0x30...0x39 ~= byte: return try number()
    default: throw failure("expected a value")
    }
  }

  private mutating func object(_ depth: Int) throws(EnvironmentFailure) -> JSONValue {
    at += 1
    var members: [(key: String, value: JSONValue)] = []
    var keys: Set<String> = []
    skipSpace()
    if take("}") { return .object([]) }
    while true {
      skipSpace()
      let start = at
      guard peek == UInt8(ascii: "\"") else { throw failure("expected a key in quotes") }
      let key = try string()
      guard keys.insert(key).inserted else {
        at = start
        throw failure("the key \"\(key)\" occurs twice", found: false)
      }
      skipSpace()
      guard take(":") else { throw failure("expected ':'") }
      members.append((key, try value(depth: depth + 1)))
      skipSpace()
      if take(",") { continue }
      guard take("}") else { throw failure("expected ',' or '}'") }
      return .object(members)
    }
  }

  private mutating func array(_ depth: Int) throws(EnvironmentFailure) -> JSONValue {
    at += 1
    var values: [JSONValue] = []
    skipSpace()
    if take("]") { return .array([]) }
    while true {
      values.append(try value(depth: depth + 1))
      skipSpace()
      if take(",") { continue }
      guard take("]") else { throw failure("expected ',' or ']'") }
      return .array(values)
    }
  }

  private mutating func literal(
    _ word: StaticString, _ value: JSONValue
  ) throws(EnvironmentFailure) -> JSONValue {
    let matches = word.withUTF8Buffer { expected in
      bytes.count - at >= expected.count
        && (0..<expected.count).allSatisfy { bytes[at + $0] == expected[$0] }
    }
    guard matches else { throw failure("expected '\(word)'") }
    at += word.utf8CodeUnitCount
    return value
  }

  private mutating func number() throws(EnvironmentFailure) -> JSONValue {
    let start = at
    var isIntegral = true
    _ = take("-")
    if !take("0") { try digits() }
    if take(".") {
      isIntegral = false
      try digits()
    }
    if take("e") || take("E") {
      isIntegral = false
      if !take("+") { _ = take("-") }
      try digits()
    }
    let text = String(decoding: bytes[start..<at], as: UTF8.self)
    // Minus zero is no integer of ours; as a double it keeps its sign.
    if isIntegral, text != "-0", let value = Int(text) { return .int(value) }
    guard let value = Double(text), value.isFinite else {
      at = start
      throw failure("a number out of the range of doubles", found: false)
    }
    return .double(value)
  }

  private mutating func digits() throws(EnvironmentFailure) {
    let start = at
    while at < bytes.count, 0x30...0x39 ~= bytes[at] { at += 1 }
    if at == start { throw failure("expected a digit") }
  }

  private mutating func string() throws(EnvironmentFailure) -> String {
    let start = at
    at += 1
    var content: [UInt8] = []
    while true {
      let run = at
      while at < bytes.count, bytes[at] != 0x22, bytes[at] != 0x5C, bytes[at] >= 0x20 { at += 1 }
      content.append(contentsOf: bytes[run..<at])
      guard at < bytes.count else { throw failure("expected '\"' at the end of a string") }
      if bytes[at] == 0x22 { break }
      guard bytes[at] == 0x5C else {
        throw failure("a control character in a string", found: false)
      }
      try escape(into: &content)
    }
    at += 1
    guard let result = String(validating: content, as: UTF8.self) else {
      at = start
      throw failure("a string that is not valid UTF-8", found: false)
    }
    return result
  }

  private mutating func escape(into content: inout [UInt8]) throws(EnvironmentFailure) {
    at += 1
    let code = peek
    at += 1
    switch code {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(code!)
    case UInt8(ascii: "b"): content.append(8)
    case UInt8(ascii: "f"): content.append(12)
    case UInt8(ascii: "n"): content.append(10)
    case UInt8(ascii: "r"): content.append(13)
    case UInt8(ascii: "t"): content.append(9)
    case UInt8(ascii: "u"):
      var scalar = try hexUnit()
      if 0xD800..<0xDC00 ~= scalar, bytes.has([0x5C, 0x75], at: at) {
        at += 2
        let low = try hexUnit()
        if 0xDC00..<0xE000 ~= low { scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00) }
      }
      guard let character = Unicode.Scalar(scalar) else {
        throw failure("a lone surrogate in a string", found: false)
      }
      content.append(contentsOf: String(character).utf8)
    default:
      at -= 1
      throw failure("expected an escape")
    }
  }

  private mutating func hexUnit() throws(EnvironmentFailure) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw failure("expected four hexadecimal digits")
      }
      value = value << 4 | UInt32(digit)
      at += 1
    }
    return value
  }

  private var peek: UInt8? { at < bytes.count ? bytes[at] : nil }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard at < bytes.count, bytes[at] == UInt8(ascii: character) else { return false }
    at += 1
    return true
  }

  private mutating func skipSpace() {
    while at < bytes.count {
      switch bytes[at] {
      case 0x20, 0x0A, 0x0D, 0x09: at += 1
      default: return
      }
    }
  }

  private func failure(_ message: String, found: Bool = true) -> EnvironmentFailure {
    var text = "\(name): not valid JSON at byte \(min(at, bytes.count)): \(message)"
    if found {
      if let byte = peek {
        let printable = 0x21...0x7E ~= byte
        let shown =
          printable ? "'\(Character(Unicode.Scalar(byte)))'" : "the byte \(hexText([byte]))"
        text += ", found \(shown)"
      } else {
        text += ", found the end"
      }
    }
    return EnvironmentFailure(text)
  }
}
