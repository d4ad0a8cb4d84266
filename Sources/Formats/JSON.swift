// JSON as a value. Objects keep their order, integers stay exact, and the same value always gives
// the same text. The parser is in JSONParser.swift, the writer below.

import Basics

package enum JSONValue: Sendable {
  case null
  case bool(Bool)
  /// A number written without fraction and exponent that fits 64 bits.
  case int(Int)
  case double(Double)
  case string(String)
  case array([JSONValue])
  /// The members in the order of the text; keys are unique in parsed values.
  case object([(key: String, value: JSONValue)])
}

extension JSONValue {
  /// The first member with this key, or nil where this is not an object or has none.
  package subscript(key: String) -> JSONValue? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.key == key }?.value
  }

  package var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }

  /// An exact integer; doubles are not converted.
  package var intValue: Int? { if case .int(let value) = self { value } else { nil } }

  /// A number, also one written as "NaN", "Infinity" or "-Infinity".
  package var doubleValue: Double? {
    switch self {
    case .int(let value): Double(value)
    case .double(let value): value
    case .string("NaN"): .nan
    case .string("Infinity"): .infinity
    case .string("-Infinity"): -.infinity
    default: nil
    }
  }

  package var stringValue: String? { if case .string(let value) = self { value } else { nil } }

  package var arrayValue: [JSONValue]? { if case .array(let value) = self { value } else { nil } }

  package var objectValue: [(key: String, value: JSONValue)]? {
    if case .object(let value) = self { value } else { nil }
  }
}

extension JSONValue: Equatable {
  /// Equal structure, order of members included; numbers are equal as their cases are.
  package static func == (a: JSONValue, b: JSONValue) -> Bool {
    switch (a, b) {
    case (.null, .null): true
    case (.bool(let a), .bool(let b)): a == b
    case (.int(let a), .int(let b)): a == b
    case (.double(let a), .double(let b)): a == b
    case (.string(let a), .string(let b)): a == b
    case (.array(let a), .array(let b)): a == b
    case (.object(let a), .object(let b)):
      a.count == b.count && zip(a, b).allSatisfy { $0.key == $1.key && $0.value == $1.value }
    default: false
    }
  }
}

extension JSONValue: ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral,
  ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByNilLiteral
{
  /// A dictionary literal is an object in the order of the literal.
  package init(dictionaryLiteral elements: (String, JSONValue)...) {
    self = .object(elements.map { (key: $0.0, value: $0.1) })
  }
  package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  package init(stringLiteral value: String) { self = .string(value) }
  package init(integerLiteral value: Int) { self = .int(value) }
  package init(floatLiteral value: Double) { self = .double(value) }
  package init(booleanLiteral value: Bool) { self = .bool(value) }
  package init(nilLiteral: ()) { self = .null }
}

// MARK: Writing

extension JSONValue {
  /// The value as text. Compact and on one line, or with two spaces of indentation a level.
  /// Doubles have the fewest digits that read back to the same value; the non-finite ones, which
  /// JSON has no numbers for, are the strings "NaN", "Infinity" and "-Infinity".
  package func text(indented: Bool = false) -> String {
    var out: [UInt8] = []
    write(to: &out, indent: indented ? 0 : nil)
    return String(decoding: out, as: UTF8.self)
  }

  private func write(to out: inout [UInt8], indent: Int?) {
    switch self {
    case .null: out.append(contentsOf: "null".utf8)
    case .bool(let value): out.append(contentsOf: (value ? "true" : "false").utf8)
    case .int(let value): out.append(contentsOf: String(value).utf8)
    case .double(let value): out.append(contentsOf: Self.numberText(value).utf8)
    case .string(let value): Self.write(value, to: &out)
    case .array(let values):
      Self.writeList(values, "[", "]", to: &out, indent) { value, out, indent in
        value.write(to: &out, indent: indent)
      }
    case .object(let members):
      Self.writeList(members, "{", "}", to: &out, indent) { member, out, indent in
        Self.write(member.key, to: &out)
        out.append(contentsOf: (indent == nil ? ":" : ": ").utf8)
        member.value.write(to: &out, indent: indent)
      }
    }
  }

  private static func writeList<Item>(
    _ items: [Item], _ open: Character, _ close: Character, to out: inout [UInt8], _ indent: Int?,
    _ writeItem: (Item, inout [UInt8], Int?) -> Void
  ) {
    func newLine(_ level: Int?, _ out: inout [UInt8]) {
      guard let level else { return }
      out.append(10)
      out.append(contentsOf: [UInt8](repeating: 32, count: 2 * level))
    }
    out.append(contentsOf: String(open).utf8)
    let inner = indent.map { $0 + 1 }
    for (i, item) in items.enumerated() {
      if i > 0 { out.append(0x2C) }
      newLine(inner, &out)
      writeItem(item, &out, inner)
    }
    if !items.isEmpty { newLine(indent, &out) }
    out.append(contentsOf: String(close).utf8)
  }

  /// Swift's description is the shortest decimal that reads back exactly, and valid JSON.
  private static func numberText(_ value: Double) -> String {
    if value.isNaN { return "\"NaN\"" }
    if value.isInfinite { return value > 0 ? "\"Infinity\"" : "\"-Infinity\"" }
    return value.description
  }

  private static func write(_ string: String, to out: inout [UInt8]) {
    out.append(0x22)
    for byte in string.utf8 {
      switch byte {
      case 0x22, 0x5C: out.append(contentsOf: [0x5C, byte])
      case 0x0A: out.append(contentsOf: [0x5C, 0x6E])
      case 0x09: out.append(contentsOf: [0x5C, 0x74])
      case 0x0D: out.append(contentsOf: [0x5C, 0x72])
      case 0..<0x20, 0x7F:
        out.append(contentsOf: (byte < 16 ? "\\u000" : "\\u00").utf8)
        out.append(contentsOf: String(byte, radix: 16).utf8)
      default: out.append(byte)
      }
    }
    out.append(0x22)
  }
}
