// Attributes of operations. An operation lists each of its attributes once, in `visitAttributes`; printing,
// parsing, the check for unknown names and the documentation are visitors of that one list.

import Basics

/// An attribute as data, between an operation and the text.
package indirect enum AttributeValue: Hashable, Sendable {
  case int(Int)
  case float(Double)
  case bool(Bool)
  /// A bare word: the case of an enumeration.
  case word(String)
  case string(String)
  case list([AttributeValue])
  case type(TensorType)
  case region(Region)
  case operation(AnyOperation)
}

/// A Swift type that can stand as an attribute.
package protocol AttributeConvertible: Sendable {
  init?(attribute: AttributeValue)
  var attribute: AttributeValue { get }
}

extension Int: AttributeConvertible {
  package init?(attribute: AttributeValue) {
    guard case .int(let value) = attribute else { return nil }
    self = value
  }
  package var attribute: AttributeValue { .int(self) }
}

extension UInt32: AttributeConvertible {
  package init?(attribute: AttributeValue) {
    guard case .int(let value) = attribute, let exact = UInt32(exactly: value) else { return nil }
    self = exact
  }
  package var attribute: AttributeValue { .int(Int(self)) }
}

extension Bool: AttributeConvertible {
  package init?(attribute: AttributeValue) {
    guard case .bool(let value) = attribute else { return nil }
    self = value
  }
  package var attribute: AttributeValue { .bool(self) }
}

extension String: AttributeConvertible {
  package init?(attribute: AttributeValue) {
    guard case .string(let value) = attribute else { return nil }
    self = value
  }
  package var attribute: AttributeValue { .string(self) }
}

/// A floating attribute that compares by its bits, as common subexpressions need it: all NaNs are one value,
/// 0 and −0 are two.
package struct FloatAttribute: Hashable, Sendable, AttributeConvertible {
  package var value: Double
  package init(_ value: Double) { self.value = value.isNaN ? .nan : value }
  package init?(attribute: AttributeValue) {
    switch attribute {
    case .float(let value): self.init(value)
    case .int(let value): self.init(Double(value))
    default: return nil
    }
  }
  package var attribute: AttributeValue { .float(value) }
  package static func == (a: FloatAttribute, b: FloatAttribute) -> Bool {
    a.value.bitPattern == b.value.bitPattern
  }
  package func hash(into hasher: inout Hasher) { hasher.combine(value.bitPattern) }
}

extension FloatAttribute: ExpressibleByFloatLiteral {
  package init(floatLiteral value: Double) { self.init(value) }
}

extension Array: AttributeConvertible where Element: AttributeConvertible {
  package init?(attribute: AttributeValue) {
    guard case .list(let items) = attribute else { return nil }
    var result: [Element] = []
    for item in items {
      guard let element = Element(attribute: item) else { return nil }
      result.append(element)
    }
    self = result
  }
  package var attribute: AttributeValue { .list(map(\.attribute)) }
}

extension TensorType: AttributeConvertible {
  package init?(attribute: AttributeValue) {
    guard case .type(let value) = attribute else { return nil }
    self = value
  }
  package var attribute: AttributeValue { .type(self) }
}

extension Region: AttributeConvertible {
  package init?(attribute: AttributeValue) {
    guard case .region(let value) = attribute else { return nil }
    self = value
  }
  package var attribute: AttributeValue { .region(self) }
}

extension AnyOperation: AttributeConvertible {
  package init?(attribute: AttributeValue) {
    guard case .operation(let value) = attribute else { return nil }
    self = value
  }
  package var attribute: AttributeValue { .operation(self) }
}

/// Enumerations with string cases stand as bare words.
package protocol WordAttribute: AttributeConvertible, RawRepresentable, CaseIterable, Hashable
where RawValue == String {}

extension WordAttribute {
  package init?(attribute: AttributeValue) {
    guard case .word(let word) = attribute else { return nil }
    self.init(rawValue: word)
  }
  package var attribute: AttributeValue { .word(rawValue) }
}

/// Something that walks an operation's attributes: a printer, a parser, the documentation.
package protocol AttributeVisitor {
  /// Called once for each attribute, in the order of the text. Attributes equal to their default are not printed;
  /// one without a default must be given.
  mutating func attribute<T: AttributeConvertible>(
    _ name: String, _ value: inout T, default: T?
  ) throws(Diagnostic)
}

extension AttributeVisitor {
  package mutating func attribute<T: AttributeConvertible>(
    _ name: String, _ value: inout T
  ) throws(Diagnostic) {
    try attribute(name, &value, default: nil)
  }
}

/// Collects the attributes that differ from their defaults, in order.
package struct AttributeCollector: AttributeVisitor {
  package var all: [(name: String, value: AttributeValue)] = []
  package init() {}
  package mutating func attribute<T: AttributeConvertible>(
    _ name: String, _ value: inout T, default: T?
  ) throws(Diagnostic) {
    let attribute = value.attribute
    if let standard = `default`, standard.attribute == attribute { return }
    all.append((name, attribute))
  }
}

/// Sets attributes from parsed ones; complains about unknown, missing and ill-typed ones.
package struct AttributeReader: AttributeVisitor {
  private var given: [(name: String, value: AttributeValue)]
  private var known: [String] = []
  private let operation: String

  package init(_ given: [(name: String, value: AttributeValue)], operation: String) {
    self.given = given
    self.operation = operation
  }

  package mutating func attribute<T: AttributeConvertible>(
    _ name: String, _ value: inout T, default: T?
  ) throws(Diagnostic) {
    known.append(name)
    guard let index = given.firstIndex(where: { $0.name == name }) else {
      if let standard = `default` {
        value = standard
        return
      }
      throw Diagnostic("ir.attribute", "\(operation) needs the attribute \(name)")
    }
    guard let converted = T(attribute: given[index].value) else {
      throw Diagnostic(
        "ir.attribute", "the attribute \(name) of \(operation) has the wrong kind of value")
    }
    value = converted
    given.remove(at: index)
  }

  /// To be called at the end: throws if an attribute was given that the operation does not have.
  package func finish() throws(Diagnostic) {
    guard let extra = given.first else { return }
    throw Diagnostic(
      "ir.attribute", "\(operation) has no attribute \(extra.name)",
      help: suggestion(for: extra.name, in: known))
  }
}
