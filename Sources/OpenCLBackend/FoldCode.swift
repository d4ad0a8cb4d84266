// Sums and largest elements as code of one work-item, or of the items of a group together. In: what is folded. Out: for
// each column that the item or group works on, the name of what came out. `ReductionKernel` makes a kernel around it.

import Basics
import GraphIR

/// What terms are combined by.
enum Fold {
  case sum
  /// NaN where there is one.
  case largest

  var identity: Double { self == .sum ? 0 : -.infinity }

  /// Both arguments must be names, for they are written more than once.
  func combined(_ a: String, _ b: String, _ width: Int) -> String {
    switch self {
    case .sum: "\(a) + \(b)"
    // The second where it is larger or NaN. Where the first is NaN, nothing is larger.
    case .largest where width == 1: "(\(b) > \(a) || \(b) != \(b) ? \(b) : \(a))"
    case .largest: "select(\(a), \(b), (\(b) > \(a)) | (\(b) != \(b)))"
    }
  }
}

/// Neighbouring elements that are one vector, by their distance from the first.
struct Lanes: Hashable {
  var offset: Int
  var width: Int

  /// So many elements as vectors, the widest first.
  static func covering(_ count: Int, upTo limit: Int) -> [Lanes] {
    var lanes: [Lanes] = []
    var width = limit
    var offset = 0
    while offset < count {
      while width > count - offset { width /= 2 }
      lanes.append(Lanes(offset: offset, width: width))
      offset += width
    }
    return lanes
  }
}

/// How one item or group walks over the terms of its columns: [terms, inner] in memory, of which it has some columns.
struct FoldCode {
  /// The vectors of one step.
  private let pieces: [Lanes]
  /// Terms of a column that one step takes.
  private let rows: Int
  /// The elements from one term of a column to its next.
  private let inner: Int
  /// What comes out: places among the columns.
  let columns: [Lanes]
  /// Items of a group that share the terms of its columns, and columns that a group has; nil for an item alone.
  private let group: (rows: Int, columns: Int)?
  /// No column has more terms than this.
  private let termLimit: Int

  /// One item alone has `columns` of the neighbouring columns, in vectors. A step is one term of each.
  static func wide(columns: Int, inner: Int, vectorWidth: Int, termLimit: Int) -> FoldCode {
    let lanes = Lanes.covering(columns, upTo: vectorWidth)
    return FoldCode(
      pieces: lanes, rows: 1, inner: inner, columns: lanes, group: nil, termLimit: termLimit)
  }

  /// One item alone has all the columns, which are fewer than a vector has lanes. A step is so many vectors that each
  /// lane always sees the same column, and at least four, because additions take some time each.
  static func narrow(inner: Int, vectorWidth: Int, termLimit: Int) -> FoldCode {
    let turns = (3 + inner) / inner
    return FoldCode(
      pieces: (0..<inner * turns).map { Lanes(offset: $0 * vectorWidth, width: vectorWidth) },
      rows: vectorWidth * turns, inner: inner,
      columns: (0..<inner).map { Lanes(offset: $0, width: 1) }, group: nil, termLimit: termLimit)
  }

  /// The items of a group, [rows, columns]: each has every so manieth term of one column. With one row there is nothing
  /// to share.
  static func group(rows: Int, columns: Int, inner: Int, termLimit: Int) -> FoldCode {
    FoldCode(
      pieces: [Lanes(offset: 0, width: 1)], rows: rows, inner: inner,
      columns: [Lanes(offset: 0, width: 1)], group: (rows, columns), termLimit: termLimit)
  }

  private init(
    pieces: [Lanes], rows: Int, inner: Int, columns: [Lanes], group: (rows: Int, columns: Int)?,
    termLimit: Int
  ) {
    self.pieces = pieces
    self.rows = rows
    self.inner = inner
    self.columns = columns
    self.group = group
    self.termLimit = termLimit
  }

  /// Whether items of a group exchange what they have.
  private var isShared: Bool { (group?.rows ?? 1) > 1 }
  /// Whether a step's lanes are several terms of one column, and a rest is done one by one.
  private var isNarrow: Bool { group == nil && rows > 1 }

  /// The least terms for which a narrow walk takes two whole steps.
  var twoSteps: Int { 2 * rows }

  // MARK: Walking

  /// Where a term or a vector of terms is read.
  struct Term {
    /// Index of the element.
    var at: String
    /// Number of the term in its column; nothing in narrow walks, where each lane has another.
    var number: String
    var width: Int
    fileprivate var piece: Int?
    fileprivate var column = 0

    /// A name for a value of this term alone.
    func name(_ prefix: String) -> String { "\(prefix)\(piece ?? column)" }

    /// What a column knows, for the lanes of this term.
    func of(_ spread: Spread) -> String {
      if let piece { return spread.pieces[piece] }
      return spread.columns[column]
    }
  }

  /// Values of the columns, also repeated for the vectors of a step.
  struct Spread {
    var columns: [String]
    fileprivate var pieces: [String]
  }

  func spread(_ kernel: inout KernelText, _ name: String, _ values: [String]) -> Spread {
    guard isNarrow else { return Spread(columns: values, pieces: values) }
    let names = pieces.enumerated().map { index, piece in
      // Every `inner` vectors the columns in the lanes repeat.
      if index >= inner { return "\(name)\(index % inner)" }
      let lanes = (0..<piece.width).map { values[(piece.offset + $0) % inner] }
      let type = cType(.f32, piece.width)
      kernel.line("const \(type) \(name)\(index) = (\(type))(\(lanes.joined(separator: ", ")));")
      return "\(name)\(index)"
    }
    return Spread(columns: values, pieces: names)
  }

  /// A value for every column, from its place.
  func perColumn(
    _ kernel: inout KernelText, _ name: String, _ value: (_ index: Int, _ lanes: Lanes) -> String
  ) -> [String] {
    columns.enumerated().map { index, lanes in
      kernel.line("const \(cType(.f32, lanes.width)) \(name)\(index) = \(value(index, lanes));")
      return "\(name)\(index)"
    }
  }

  /// Writes a value of every column; `to` is the place of the first.
  func store(_ kernel: inout KernelText, _ values: [String], _ pointer: String) {
    let text = zip(columns, values).map { lanes, value in
      ElementAccess.store(value, pointer, "to + \(lanes.offset)u", lanes.width)
    }
    guard let group else { return kernel.lines(text) }
    // All items have the sum; of those beyond the last column none may write.
    let first = group.rows > 1 ? "row == 0u && isInside" : "isInside"
    kernel.block("if (\(first))") { $0.lines(text) }
  }

  /// Statements for every term, where results are as many as terms.
  func each(
    _ kernel: inout KernelText, terms: String,
    _ body: (_ kernel: inout KernelText, _ term: Term) -> Void
  ) {
    let whole = isNarrow ? "(\(terms)) / \(rows)u" : terms
    let start = group != nil && isShared ? "row" : "0"
    let step = group?.rows ?? 1
    // The items of a group that are beyond the last column have the last one; they may write it no second time.
    if group != nil, !isShared { kernel.line("if (!isInside) return;") }
    kernel.block("for (uint t = \(start); t < \(whole); t += \(step)u)") { kernel in
      for term in stepTerms("t") { body(&kernel, term) }
    }
    guard isNarrow else { return }
    kernel.block("for (uint t = \(whole) * \(rows)u; t < \(terms); t++)") { kernel in
      for term in restTerms("t") { body(&kernel, term) }
    }
  }

  /// The terms of step t, which in a group is the number of a term.
  private func stepTerms(_ t: String) -> [Term] {
    let step = isNarrow ? rows * inner : inner
    return pieces.enumerated().map { index, piece in
      Term(
        at: "first + \(t) * \(step)u + \(piece.offset)u", number: t, width: piece.width,
        piece: index)
    }
  }

  /// Term t of every column by itself.
  private func restTerms(_ t: String) -> [Term] {
    columns.indices.map { column in
      Term(
        at: "first + \(t) * \(inner)u + \(column)u", number: t, width: 1, piece: nil,
        column: column)
    }
  }

  // MARK: Folding

  /// Terms that are added one after the other before they are added to the rest, so that long sums stay exact.
  private static let block = 64

  /// Folds the terms of every column, `terms` in number; gives the names of what comes out. The order is fixed by sizes.
  func fold(
    _ kernel: inout KernelText, _ name: String, _ fold: Fold, terms: String,
    _ value: (_ kernel: inout KernelText, _ term: Term) -> String
  ) -> [String] {
    for (index, piece) in pieces.enumerated() {
      let type = cType(.f32, piece.width)
      kernel.line("\(type) \(name)\(index) = \(cLiteral(fold.identity, .f32, piece.width));")
    }
    let accumulators = pieces.indices.map { "\(name)\($0)" }
    walk(&kernel, name, fold, terms, value)
    if isShared { return [sharedTotal(&kernel, name, fold, accumulators[0])] }
    guard isNarrow else { return accumulators }
    let rest = columns.indices.map { "\(name)r\($0)" }
    for name in rest { kernel.line("float \(name) = \(cLiteral(fold.identity, .f32));") }
    kernel.block("for (uint t = (\(terms)) / \(rows)u * \(rows)u; t < \(terms); t++)") { kernel in
      for (term, total) in zip(restTerms("t"), rest) {
        add(&kernel, fold, value(&kernel, term), to: total, "v\(total)", width: 1)
      }
    }
    let lanes = laneTotals(&kernel, name, fold, accumulators)
    return perColumn(&kernel, "\(name)t") { index, _ in
      fold.combined(lanes[index], rest[index], 1)
    }
  }

  /// The loops over whole steps: blocks of them where there can be many.
  private func walk(
    _ kernel: inout KernelText, _ name: String, _ fold: Fold, _ terms: String,
    _ value: (_ kernel: inout KernelText, _ term: Term) -> String
  ) {
    let start = isShared ? "row" : "0"
    let step = group?.rows ?? 1
    let whole = isNarrow ? "(\(terms)) / \(rows)u" : terms
    func loop(_ kernel: inout KernelText, _ head: String, into prefix: String) {
      kernel.block("for (\(head))") { kernel in
        for (index, term) in stepTerms("t").enumerated() {
          let text = value(&kernel, term)
          add(
            &kernel, fold, text, to: "\(prefix)\(index)", "\(name)v\(index)", width: term.width)
        }
      }
    }
    guard termLimit / rows > Self.block else {
      return loop(&kernel, "uint t = \(start); t < \(whole); t += \(step)u", into: name)
    }
    let stride = step * Self.block
    kernel.block("for (uint b = \(start); b < \(whole); b += \(stride)u)") { kernel in
      for (index, piece) in pieces.enumerated() {
        let identity = cLiteral(fold.identity, .f32, piece.width)
        kernel.line("\(cType(.f32, piece.width)) \(name)b\(index) = \(identity);")
      }
      kernel.line("const uint end = min(b + \(stride)u, (uint)(\(whole)));")
      loop(&kernel, "uint t = b; t < end; t += \(step)u", into: "\(name)b")
      for (index, piece) in pieces.enumerated() {
        kernel.line(
          "\(name)\(index) = \(fold.combined("\(name)\(index)", "\(name)b\(index)", piece.width));")
      }
    }
  }

  private func add(
    _ kernel: inout KernelText, _ fold: Fold, _ value: String, to total: String, _ name: String,
    width: Int
  ) {
    kernel.line("const \(cType(.f32, width)) \(name) = \(value);")
    kernel.line("\(total) = \(fold.combined(total, name, width));")
  }

  /// The lanes of a narrow walk's vectors, folded to one value for each column.
  private func laneTotals(
    _ kernel: inout KernelText, _ name: String, _ fold: Fold, _ vectors: [String]
  ) -> [String] {
    var width = pieces[0].width
    // Every `inner` vectors the columns in the lanes repeat.
    for index in inner..<vectors.count {
      let first = vectors[index % inner]
      kernel.line("\(first) = \(fold.combined(first, vectors[index], width));")
    }
    guard width % inner == 0 else {
      let count = inner * width
      kernel.line("float \(name)l[\(count)];")
      for index in 0..<inner {
        kernel.line("vstore\(width)(\(vectors[index]), \(index), \(name)l);")
      }
      kernel.block("for (uint k = \(inner); k < \(count); k++)") { kernel in
        kernel.line("const float a = \(name)l[k % \(inner)u], b = \(name)l[k];")
        kernel.line("\(name)l[k % \(inner)u] = \(fold.combined("a", "b", 1));")
      }
      return (0..<inner).map { "\(name)l[\($0)]" }
    }
    // Each vector has whole turns of the columns: vectors, and then halves, are folded until one turn is left.
    for index in 1..<inner {
      kernel.line("\(vectors[0]) = \(fold.combined(vectors[0], vectors[index], width));")
    }
    var total = vectors[0]
    while width > inner {
      width /= 2
      let half = fold.combined("\(total).lo", "\(total).hi", width)
      total = "\(name)h\(width)"
      kernel.line("const \(cType(.f32, width)) \(total) = \(half);")
    }
    return width == 1 ? [total] : (0..<inner).map { "\(total).s\(String($0, radix: 16))" }
  }

  /// What the items of a group have of one column, folded in a fixed tree; every item has the result.
  private func sharedTotal(
    _ kernel: inout KernelText, _ name: String, _ fold: Fold, _ own: String
  ) -> String {
    guard let group else { return own }
    kernel.line("part[place] = \(own);")
    kernel.line("barrier(CLK_LOCAL_MEM_FENCE);")
    kernel.block("for (uint distance = \(group.rows / 2)u; distance > 0u; distance /= 2u)") {
      kernel in
      kernel.block("if (row < distance)") { kernel in
        kernel.line("const float a = part[place], b = part[place + distance * \(group.columns)u];")
        kernel.line("part[place] = \(fold.combined("a", "b", 1));")
      }
      kernel.line("barrier(CLK_LOCAL_MEM_FENCE);")
    }
    kernel.line("const float \(name)t = part[place % \(group.columns)u];")
    // The next fold writes there.
    kernel.line("barrier(CLK_LOCAL_MEM_FENCE);")
    return "\(name)t"
  }
}
