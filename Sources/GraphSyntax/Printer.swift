// The canonical printer: a tree and its comments in, the one right text out. What fits on a line stands on
// one; what does not is broken at brackets, before `|>`, and before `+ - * /`. Two things are kept as the
// user had them: line breaks within a chain of `|>`, and bodies written on one line.
//
// Everything is first tried flat, which gives up as soon as the line is full, so that printing is linear.
// Comments wait in the order of the text and are printed when their place is reached: at the ends of lines,
// on lines of their own where a line may break, else within the line as `/* … */`.

import Basics

/// The canonical text of a program; throws its diagnostics where it has errors.
package func format(_ source: SourceText) throws(Diagnostics) -> String {
  var source = source
  while true {
    let result = parse(source)
    if result.hasErrors { throw Diagnostics(result.diagnostics) }
    var printer = Printer(result.file, source)
    let text = printer.printFile(result.file)
    // A line comment that had to become a block comment may leave room for a better layout. Each round
    // has fewer line comments, so this ends.
    if !printer.convertedComment { return text }
    source = SourceText(name: source.name, text)
  }
}

struct Printer {
  static let width = 100
  static let step = 2

  let comments: [Comment]
  let bytes: [UInt8]
  var nextComment = 0
  var out: [UInt8] = []
  var column = 0
  var indent = 0
  /// Whether the line is still empty; its indentation comes with its first text.
  var isAtLineStart = true
  /// Trying to print on one line; `failed` then stops everything.
  var isFlat = false
  var failed = false
  /// Columns to leave free for what follows on the line.
  var reserve = 0
  var convertedComment = false

  init(_ file: SourceFile, _ source: SourceText) {
    comments = file.comments
    bytes = source.bytes
  }

  // MARK: - Text

  mutating func write(_ text: String) {
    if failed { return }
    if !text.isEmpty { beginLine() }
    for byte in text.utf8 {
      out.append(byte)
      if byte == UInt8(ascii: "\n") { column = 0 } else if byte & 0xC0 != 0x80 { column += 1 }
    }
    if isFlat, column + reserve > Self.width { failed = true }
  }

  /// Indents the line if it is still empty; to be called before `indent` changes for the lines after it.
  mutating func beginLine() {
    guard isAtLineStart, !failed else { return }
    out.append(contentsOf: repeatElement(UInt8(ascii: " "), count: indent))
    column = indent
    isAtLineStart = false
  }

  /// A space, unless there is one or the line is empty.
  mutating func space() {
    if !isAtLineStart, out.last != UInt8(ascii: " ") { write(" ") }
  }

  mutating func newline(blank: Bool = false) {
    if failed || out.isEmpty { return }
    if isFlat {
      failed = true
      return
    }
    while out.last == UInt8(ascii: " ") { out.removeLast() }
    if !isAtLineStart { out.append(UInt8(ascii: "\n")) }
    if blank { out.append(UInt8(ascii: "\n")) }
    isAtLineStart = true
    column = 0
  }

  /// Text that stands at a known place: comments before it go first.
  mutating func token(_ text: String, at range: SourceRange) {
    printComments(before: range.start)
    write(text)
  }

  mutating func name(_ name: Name) { token(name.text, at: name.range) }

  /// Whether `body` fits on the rest of the line; if not, nothing has been printed.
  mutating func fits(_ body: (inout Printer) -> Void) -> Bool {
    if isFlat {
      body(&self)
      return true
    }
    let saved = (out.count, column, nextComment, isAtLineStart)
    isFlat = true
    body(&self)
    isFlat = false
    guard failed else { return true }
    failed = false
    out.removeLast(out.count - saved.0)
    (_, column, nextComment, isAtLineStart) = saved
    return false
  }

  // MARK: - Comments

  func hasComment(before position: Int32) -> Bool {
    nextComment < comments.count && comments[nextComment].range.start < position
  }

  /// Comments in the middle of a line. A line comment would swallow what follows and becomes a block.
  mutating func printComments(before position: Int32) {
    while !failed, hasComment(before: position) {
      let comment = comments[nextComment]
      if isFlat, !comment.isBlock || comment.text.utf8.contains(UInt8(ascii: "\n")) {
        failed = true
        return
      }
      nextComment += 1
      switch out.last {
      // Not behind a unary minus: at a line's start `- ` would continue the line before.
      case UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "-"): break
      default: space()
      }
      if comment.isBlock {
        write(comment.text)
      } else {
        convertedComment = true
        write(Self.blockComment(comment.text))
      }
      write(" ")
    }
  }

  static func blockComment(_ line: String) -> String {
    var text: [UInt8] = []
    for byte in line.utf8.dropFirst(2) {
      let pair = (text.last, byte)
      if pair == (UInt8(ascii: "*"), UInt8(ascii: "/"))
        || pair == (UInt8(ascii: "/"), UInt8(ascii: "*"))
      {
        text.append(UInt8(ascii: " "))
      }
      text.append(byte)
    }
    return "/* " + String(decoding: text.drop { $0 == UInt8(ascii: " ") }, as: UTF8.self) + " */"
  }

  /// Where the gap between two nodes lies, which decides on blank lines.
  enum Gap {
    /// Within a statement: no blank lines.
    case inside
    /// Before the first line of a body or file.
    case first
    /// Between two lines of a body; the end of the one before.
    case between(Int32)
    /// Before the closing brace, or the end of the file.
    case close
  }

  /// Ends the line with the comments that stand at its end, prints those that have lines of their own, and
  /// stops at the start of a line, or behind a comment that shares a line with what follows.
  mutating func breakLine(before position: Int32, _ gap: Gap) {
    if isFlat {
      failed = true
      return
    }
    var end = nextComment
    while end < comments.count, comments[end].range.start < position { end += 1 }
    var trailing = nextComment
    if !out.isEmpty {
      while trailing < end, comments[trailing].newlinesBefore == 0 { trailing += 1 }
      if trailing > nextComment {
        let last = comments[trailing - 1]
        var isClosing = false
        if case .close = gap { isClosing = trailing == end }
        if last.isBlock, last.newlinesAfter == 0, !isClosing { trailing = nextComment }
      }
    }
    var wantsBlank = false
    if case .between(let previous) = gap { wantsBlank = hasBlankLine(after: previous) }
    for index in nextComment..<trailing {
      if out.last != UInt8(ascii: " ") { write(index == nextComment ? "  " : " ") }
      write(comments[index].text)
      wantsBlank = comments[index].newlinesAfter > 1
    }
    var isFirst = false
    switch gap {
    case .inside: wantsBlank = false
    case .first: isFirst = true
    default: break
    }
    for index in trailing..<end {
      let comment = comments[index]
      let sharesLine =
        index > trailing && comments[index - 1].isBlock && comment.newlinesBefore == 0
      if sharesLine {
        space()
      } else {
        wantsBlank = comment.newlinesBefore > 1
        if case .inside = gap { wantsBlank = false }
        newline(blank: wantsBlank && !isFirst)
      }
      write(comment.text)
      isFirst = false
      wantsBlank = comment.newlinesAfter > 1
    }
    nextComment = end
    if trailing < end, comments[end - 1].isBlock, comments[end - 1].newlinesAfter == 0,
      !isClose(gap)
    {
      return space()
    }
    if case .inside = gap { wantsBlank = false }
    newline(blank: wantsBlank && !isFirst && !isClose(gap))
  }

  private func isClose(_ gap: Gap) -> Bool {
    if case .close = gap { true } else { false }
  }

  /// Whether the text has an empty line behind a place, before anything else.
  private func hasBlankLine(after position: Int32) -> Bool {
    var newlines = 0
    for byte in bytes[min(Int(position), bytes.count)...] {
      switch byte {
      case UInt8(ascii: "\n"): newlines += 1
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: ";"),
        UInt8(ascii: ")"):
        break
      default: return newlines > 1
      }
      if newlines > 1 { return true }
    }
    return false
  }

  // MARK: - Lists and bodies

  /// `open a, b close`: on one line, or each element on its own.
  mutating func bracketed(
    _ open: String, _ close: String, _ starts: [Int32], end: Int32,
    _ element: (inout Printer, Int) -> Void
  ) {
    write(open)
    if isFlat || starts.isEmpty && !hasComment(before: end) {
      for index in starts.indices where !failed {
        if index > 0 { write(", ") }
        element(&self, index)
      }
      printComments(before: end)
      if !failed, out.last == UInt8(ascii: " "), !isAtLineStart {
        out.removeLast()
        column -= 1
      }
      return write(close)
    }
    indent += Self.step
    let outer = reserve
    reserve = 1
    for index in starts.indices {
      breakLine(before: starts[index], .inside)
      element(&self, index)
      if index < starts.count - 1 { write(",") }
    }
    reserve = outer
    breakLine(before: end, .close)
    indent -= Self.step
    write(close)
  }

  /// Lines with their comments and the blank lines between them; `end` is where the closing brace stands,
  /// or the end of the file.
  mutating func lines(_ ranges: [SourceRange], end: Int32, _ line: (inout Printer, Int) -> Void) {
    for index in ranges.indices {
      breakLine(
        before: ranges[index].start, index == 0 ? .first : .between(ranges[index - 1].end))
      line(&self, index)
    }
    breakLine(before: end, .close)
  }

  mutating func braces(
    _ range: SourceRange, isOnOneLine: Bool, _ ranges: [SourceRange],
    _ line: (inout Printer, Int) -> Void
  ) {
    let end = range.end - 1
    if ranges.isEmpty, !hasComment(before: end) { return write("{}") }
    if isOnOneLine, !ranges.isEmpty {
      let isDone = fits { printer in
        printer.write("{ ")
        for index in ranges.indices where !printer.failed {
          if index > 0 { printer.write("; ") }
          printer.printComments(before: ranges[index].start)
          line(&printer, index)
        }
        printer.printComments(before: end)
        printer.space()
        printer.write("}")
      }
      if isDone { return }
    }
    write("{")
    if isFlat { failed = true }
    if failed { return }
    let outer = reserve
    reserve = 0
    indent += Self.step
    lines(ranges, end: end, line)
    indent -= Self.step
    reserve = outer
    write("}")
  }
}
