// Tables of text, which the commands' reports share.

/// Rows of cells in columns, two spaces before each cell. The columns of `words` begin at the left, all others, which
/// hold numbers, end at the right.
func alignedTable(_ rows: [[String]], words: Range<Int> = 0..<1) -> String {
  let columns = rows.map(\.count).max() ?? 0
  let widths = (0..<columns).map { column in
    rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0
  }
  var text = ""
  for row in rows {
    var line = ""
    for (column, cell) in row.enumerated() {
      let gap = String(repeating: " ", count: widths[column] - cell.count)
      line += "  " + (words.contains(column) ? cell + gap : gap + cell)
    }
    while line.hasSuffix(" ") { line.removeLast() }
    text += line + "\n"
  }
  return text
}
