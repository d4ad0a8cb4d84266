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
    Self.matches(Array(text.utf8), Array(name.utf8))
  }

  package func matches(_ record: PassRecord) -> Bool {
    number.map { $0 == record.index + 1 } ?? matches(record.name)
  }

  /// Goes back to the last star alone: what an earlier one stands for need not be longer. At most pattern times name steps.
  private static func matches(_ pattern: [UInt8], _ name: [UInt8]) -> Bool {
    var (place, letter) = (0, 0)
    var star: (place: Int, letter: Int)?
    while letter < name.count {
      let wanted = place < pattern.count ? pattern[place] : nil
      if wanted == UInt8(ascii: "*") {
        star = (place, letter)
        place += 1
      } else if wanted == UInt8(ascii: "?") || wanted == name[letter] {
        place += 1
        letter += 1
      } else if let last = star {
        // The star stands for one letter more.
        star = (last.place, last.letter + 1)
        place = last.place + 1
        letter = last.letter + 1
      } else {
        return false
      }
    }
    return pattern[place...].allSatisfy { $0 == UInt8(ascii: "*") }
  }
}

/// What a pipeline went through: every run, and every graph. To be filled by the runner's observer.
package struct PassHistory: Sendable {
  package private(set) var records: [PassRecord] = []
  /// The graph before the first run and that after each.
  private var graphs: [Graph]

  package init(_ initial: Graph) { graphs = [initial] }

  package mutating func append(_ record: PassRecord, _ graph: Graph) {
    precondition(record.index == records.count, "the runs of one pipeline, in order")
    records.append(record)
    graphs.append(graph)
  }

  /// The graph before the first run.
  package var initial: Graph { graphs[0] }
  /// `record` is one of this history.
  package func graph(before record: PassRecord) -> Graph { graphs[record.index] }
  package func graph(after record: PassRecord) -> Graph { graphs[record.index + 1] }

  package func runs(of pattern: PassPattern) -> [PassRecord] {
    records.filter { pattern.matches($0) }
  }
}
