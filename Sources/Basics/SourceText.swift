// A source file held as bytes with the start of each line, and ranges in it. Positions are byte offsets;
// lines and columns (both from 1, columns in characters) are computed only when something is shown.

/// A half-open range of byte offsets in one source text.
package struct SourceRange: Hashable, Sendable {
  package var start: Int32
  package var end: Int32

  package init(_ start: Int, _ end: Int) {
    self.start = Int32(clamping: start)
    self.end = Int32(clamping: Swift.max(start, end))
  }

  /// The smallest range that holds both.
  package func union(_ other: SourceRange) -> SourceRange {
    SourceRange(Int(min(start, other.start)), Int(max(end, other.end)))
  }
}

/// A line and a column, both counted from 1.
package struct LineColumn: Hashable, Sendable {
  package var line: Int
  package var column: Int
  package init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }
}

/// The text of one file.
package struct SourceText: Sendable {
  /// The name shown in diagnostics: the path as the user gave it.
  package let name: String
  package let bytes: [UInt8]
  private let lineStarts: [Int]
  /// The lines (from 0) that hold anything but ASCII, where characters have to be counted.
  private let otherLines: Set<Int>

  package init(name: String, bytes: [UInt8]) {
    self.name = name
    self.bytes = bytes
    var starts = [0]
    var others: Set<Int> = []
    for (offset, byte) in bytes.enumerated() {
      if byte == UInt8(ascii: "\n") {
        starts.append(offset + 1)
      } else if byte >= 0x80 {
        others.insert(starts.count - 1)
      }
    }
    lineStarts = starts
    otherLines = others
  }

  package init(name: String, _ text: String) {
    self.init(name: name, bytes: Array(text.utf8))
  }

  package var lineCount: Int { lineStarts.count }

  package func text(_ range: SourceRange) -> String {
    let start = min(Int(range.start), bytes.count)
    return String(
      decoding: bytes[start..<max(start, min(Int(range.end), bytes.count))], as: UTF8.self)
  }

  /// On lines longer than this, columns are bytes: counting characters would take too long.
  private static let longestCounted = 4096

  /// The line and column of a byte offset. O(log lines).
  package func position(of offset: Int32) -> LineColumn {
    let offset = min(max(0, Int(offset)), bytes.count)
    var low = 0
    var high = lineStarts.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if lineStarts[middle] <= offset { low = middle } else { high = middle }
    }
    var column = offset - lineStarts[low] + 1
    if column <= Self.longestCounted, otherLines.contains(low) {
      column = String(decoding: bytes[lineStarts[low]..<offset], as: UTF8.self).count + 1
    }
    return LineColumn(line: low + 1, column: column)
  }

  /// The word or the sign that stands at a place; nil where the text has no such place.
  package func range(line number: Int, column: Int) -> SourceRange? {
    guard number >= 1, number <= lineStarts.count, column >= 1 else { return nil }
    let line = line(number)
    guard column <= line.count + 1 else { return nil }
    let start = lineStarts[number - 1] + line.prefix(column - 1).utf8.count
    let word = line.dropFirst(column - 1).prefix { $0.isLetter || $0.isNumber || $0 == "_" }
    return SourceRange(start, start + max(1, word.utf8.count))
  }

  /// The text of a line (from 1) without its line end.
  package func line(_ number: Int) -> String {
    guard number >= 1, number <= lineStarts.count else { return "" }
    let start = lineStarts[number - 1]
    var end = number < lineStarts.count ? lineStarts[number] - 1 : bytes.count
    if end > start, bytes[end - 1] == UInt8(ascii: "\r") { end -= 1 }
    return String(decoding: bytes[start..<end], as: UTF8.self)
  }
}
