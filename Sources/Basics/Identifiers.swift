// Typed identifiers and the dense tables they index. An `ID<Tag>` is an Int32 with a phantom type, so that a
// value cannot be used where a node is meant; analyses are tables and bit sets over them, never dictionaries,
// because the order of a Swift dictionary changes from process to process.

/// A dense, typed index.
package struct ID<Tag>: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let raw: Int32

  @inlinable package init(_ index: Int) { raw = Int32(truncatingIfNeeded: index) }
  @inlinable package var index: Int { Int(raw) }
  @inlinable package static func < (a: ID, b: ID) -> Bool { a.raw < b.raw }
  package var description: String { "%\(raw)" }
}

/// An array indexed by a typed identifier.
package struct Table<Tag, Element> {
  package var elements: [Element]

  @inlinable package init() { elements = [] }
  @inlinable package init(_ elements: [Element]) { self.elements = elements }
  @inlinable package init(repeating element: Element, count: Int) {
    elements = Array(repeating: element, count: count)
  }

  @inlinable package var count: Int { elements.count }
  @inlinable package var ids: [ID<Tag>] { elements.indices.map { ID<Tag>($0) } }

  @inlinable package subscript(id: ID<Tag>) -> Element {
    get { elements[id.index] }
    _modify { yield &elements[id.index] }
  }

  /// Appends an element and returns its identifier.
  @inlinable package mutating func append(_ element: Element) -> ID<Tag> {
    elements.append(element)
    return ID<Tag>(elements.count - 1)
  }
}

extension Table: Sendable where Element: Sendable {}

/// A set of small integers, one bit each, iterated in ascending order.
package struct BitSet: Hashable, Sendable {
  private var words: [UInt64] = []

  package init() {}

  package func contains(_ index: Int) -> Bool {
    let word = index >> 6
    return word < words.count && words[word] & (1 << UInt64(index & 63)) != 0
  }

  /// Adds an index; returns whether it was new.
  @discardableResult
  package mutating func insert(_ index: Int) -> Bool {
    let word = index >> 6
    if word >= words.count {
      words.append(contentsOf: repeatElement(0, count: word + 1 - words.count))
    }
    let bit: UInt64 = 1 << UInt64(index & 63)
    let isNew = words[word] & bit == 0
    words[word] |= bit
    return isNew
  }

  package mutating func remove(_ index: Int) {
    let word = index >> 6
    if word < words.count { words[word] &= ~(1 << UInt64(index & 63)) }
  }

  @inlinable package func contains<Tag>(_ id: ID<Tag>) -> Bool { contains(id.index) }
  @discardableResult
  @inlinable package mutating func insert<Tag>(_ id: ID<Tag>) -> Bool { insert(id.index) }
}
