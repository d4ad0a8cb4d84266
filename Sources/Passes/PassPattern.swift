// Runs of passes by name, pattern or number, and the graphs before and after them.

import GraphIR

/// Which runs of passes are meant: a name, in which `*` stands for any letters and `?` for one, or the number of a run
/// as dumps and times show it, from 1.
package struct PassPattern: Hashable, Sendable {
  package let text: String
  private let number: Int?

  package init(_ text: String) {
    self.text = text
    number = Int(text)
  }

  /// Whether it names a run by its number, so that only a pipeline that ran can tell whether it is there.
  package var isNumber: Bool { number != nil }

  package func matches(_ name: String) -> Bool {
    Self.matches(Array(text.utf8)[...], Array(name.utf8)[...])
  }

  package func matches(_ record: PassRecord) -> Bool {
    number.map { $0 == record.index + 1 } ?? matches(record.name)
  }

  /// A star is tried with every number of letters; names of passes are short.
  private static func matches(_ pattern: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) -> Bool {
    guard let first = pattern.first else { return name.isEmpty }
    if first == UInt8(ascii: "*") {
      return name.indices.contains { matches(pattern.dropFirst(), name[$0...]) }
        || matches(pattern.dropFirst(), name[name.endIndex...])
    }
    guard let letter = name.first, first == letter || first == UInt8(ascii: "?") else {
      return false
    }
    return matches(pattern.dropFirst(), name.dropFirst())
  }
}

/// What a pipeline that kept its graphs went through.
package struct PassHistory: Sendable {
  /// The graph before the first run.
  package let initial: Graph
  package let records: [PassRecord]

  package init(_ initial: Graph, _ outcome: PassRunner.Outcome) {
    self.initial = initial
    records = outcome.records
  }

  package func graph(before record: PassRecord) -> Graph {
    record.index == 0 ? initial : records[record.index - 1].graph ?? initial
  }

  package func graph(after record: PassRecord) -> Graph { record.graph ?? initial }

  package func runs(of pattern: PassPattern) -> [PassRecord] {
    records.filter { pattern.matches($0) }
  }
}
