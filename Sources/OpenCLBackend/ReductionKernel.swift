// Kernels that fold the terms of [outer, terms, inner]: how the work is cut for a device, and the kernel around the
// code that folds. Sizes and the kind of device alone decide, so the order of every sum is fixed.

import Basics
import GraphIR
import Operators

struct ReductionKernel {
  /// How the work of a work-group is cut.
  private enum Way {
    /// Each item has columns of its own: all of a narrow form's, or a block of a wide one's.
    case inTurn(block: Int)
    /// Each item has one result; they are counted through.
    case flat
    /// The items of a group, [rows, columns], share the terms of neighbouring columns.
    case group(rows: Int, columns: Int)
  }

  let form: ReductionForm
  /// Terms of a chunk. Chunks are folded apart, and what comes out is `[chunks, outer, inner]`.
  let chunkTerms: Int
  private let node: NodeLowering
  private let way: Way
  private let isRowwise: Bool

  var chunks: Int { (form.terms + chunkTerms - 1) / chunkTerms }

  /// What may be cut.
  enum Cut {
    /// The terms of a column stay together.
    case never
    /// Where the results alone are too few to keep the device busy.
    case whereFew
    /// Also so that a chunk stays in the cache between two walks over it, where the device has one for each core.
    case forCache
  }

  /// `isRowwise` is for terms that are told apart by their number.
  init(_ node: NodeLowering, _ form: ReductionForm, cut: Cut, isRowwise: Bool = false) {
    self.node = node
    self.isRowwise = isRowwise
    self.form = form
    if node.traits.runsItemsInTurn {
      let block =
        form.inner < node.traits.vectorWidth
        ? form.inner : min(form.inner, 4 * node.traits.vectorWidth)
      way = .inTurn(block: block)
      chunkTerms = Self.turnChunk(form, block: block, cut)
    } else {
      let way = Self.groupWay(form, groupLimit: min(256, node.traits.groupLimit), cut)
      self.way = way
      chunkTerms = Self.groupChunk(form, way, cut)
    }
  }

  // MARK: Sizes

  /// Elements that one item reads at least before terms are cut: launching and joining must not cost more.
  private static let turnElements = 32 << 10
  /// Elements that stay in the first caches beside other things.
  private static let cachedElements = 16 << 10
  /// Items beyond which a processor has no more cores to busy.
  private static let turnUnits = 64
  /// Chunks that a second kernel can join quickly.
  private static let mostChunks = 1024
  /// Groups that keep a GPU busy.
  private static let busyGroups = 512

  private static func turnChunk(_ form: ReductionForm, block: Int, _ cut: Cut) -> Int {
    let units = form.outer * ((form.inner + block - 1) / block)
    let elements: Int
    switch cut {
    case .never: return form.terms
    case .whereFew where units >= turnUnits: return form.terms
    case .whereFew: elements = turnElements
    case .forCache: elements = cachedElements
    }
    let least = (form.terms + mostChunks - 1) / mostChunks
    let terms = rounded(max(elements / block, least), to: 64)
    return min(terms, form.terms)
  }

  private static func groupWay(_ form: ReductionForm, groupLimit: Int, _ cut: Cut) -> Way {
    let size = 1 << (Int.bitWidth - 1 - groupLimit.leadingZeroBitCount)
    // Few terms are not worth sharing, nor are those of very many columns, which are neighbours in memory.
    if form.terms < 32 || (form.results >= 1 << 16 && form.inner >= 32) { return .flat }
    var columns = 1
    while columns < min(form.inner, 32, size) { columns *= 2 }
    var rows = size / columns
    while rows > 1, rows * 4 > form.terms { rows /= 2 }
    return .group(rows: rows, columns: columns)
  }

  private static func groupChunk(_ form: ReductionForm, _ way: Way, _ cut: Cut) -> Int {
    guard case .group(let rows, let columns) = way, cut != .never else { return form.terms }
    let groups = form.outer * ((form.inner + columns - 1) / columns)
    guard groups < busyGroups, form.terms > 64 * rows else { return form.terms }
    let most = min(mostChunks, (2 * busyGroups + groups - 1) / groups)
    let terms = max(32 * rows, (form.terms + most - 1) / most)
    return min(rounded(terms, to: rows), form.terms)
  }

  private static func rounded(_ count: Int, to step: Int) -> Int {
    (count + step - 1) / step * step
  }

  // MARK: Text

  /// The number of terms in the chunk.
  var terms: String { chunks == 1 ? "\(form.terms)u" : "terms" }

  /// Launches a kernel. `body` is written once for each way that an item can have columns; it finds `first`, the
  /// element of its first column's first term, `to`, the place of its first column among the results, and `chunk`.
  func launch(_ family: String, _ body: (_ kernel: inout KernelText, _ code: FoldCode) -> Void) {
    switch way {
    case .inTurn(let block): launchInTurn(family, block, body)
    case .flat: launchFlat(family, body)
    case .group(let rows, let columns): launchGroups(family, rows, columns, body)
    }
  }

  private func writeChunk(_ kernel: inout KernelText) {
    guard chunks > 1 else { return }
    kernel.line("const uint terms = min(\(chunkTerms)u, \(form.terms)u - chunk * \(chunkTerms)u);")
  }

  private func writePlaces(_ kernel: inout KernelText, column: String) {
    writeChunk(&kernel)
    let inner = form.inner
    let chunkStart = chunks == 1 ? "" : " + chunk * \(chunkTerms)u"
    kernel.line("const uint first = (o * \(form.terms)u\(chunkStart)) * \(inner)u + \(column);")
    let row = chunks == 1 ? "o" : "(chunk * \(form.outer)u + o)"
    kernel.line("const uint to = \(row) * \(inner)u + \(column);")
  }

  private func launchInTurn(
    _ family: String, _ block: Int,
    _ body: (_ kernel: inout KernelText, _ code: FoldCode) -> Void
  ) {
    let blocks = (form.inner + block - 1) / block
    let units = form.outer * chunks * blocks
    var kernel = node.itemKernel(family, count: units)
    kernel.line("const uint block = i % \(blocks)u;")
    kernel.line("const uint chunk = i / \(blocks)u % \(chunks)u;")
    kernel.line("const uint o = i / \(blocks * chunks)u;")
    writePlaces(&kernel, column: "block * \(block)u")
    let rest = form.inner % block
    if rest == 0 {
      body(&kernel, turnCode(columns: block))
    } else {
      kernel.block("if (block < \(blocks - 1)u)") { body(&$0, turnCode(columns: block)) }
      kernel.block("else") { body(&$0, turnCode(columns: rest)) }
    }
    if block * chunkTerms >= 2048 {
      node.launch(kernel, global: [units], local: [1])
    } else {
      node.each(units, kernel)
    }
  }

  private func turnCode(columns: Int) -> FoldCode {
    var width = node.traits.vectorWidth
    let inner = form.inner
    if inner < width, !isRowwise {
      while width > 1 {
        let code = FoldCode.narrow(inner: inner, vectorWidth: width, termLimit: chunkTerms)
        if code.twoSteps <= chunkTerms { return code }
        width /= 2
      }
    }
    return .wide(
      columns: columns, inner: inner, vectorWidth: node.traits.vectorWidth, termLimit: chunkTerms)
  }

  private func launchFlat(
    _ family: String, _ body: (_ kernel: inout KernelText, _ code: FoldCode) -> Void
  ) {
    var kernel = node.itemKernel(family, count: form.results)
    kernel.line("const uint chunk = 0;")
    kernel.line("const bool isInside = true;")
    kernel.line("const uint o = i / \(form.inner)u;")
    writePlaces(&kernel, column: "i % \(form.inner)u")
    body(
      &kernel, .group(rows: 1, columns: 1, inner: form.inner, termLimit: chunkTerms))
    node.each(form.results, kernel)
  }

  private func launchGroups(
    _ family: String, _ rows: Int, _ columns: Int,
    _ body: (_ kernel: inout KernelText, _ code: FoldCode) -> Void
  ) {
    var kernel = KernelText(family)
    kernel.line("__local float part[\(rows * columns)];")
    kernel.line("const uint row = get_local_id(1);")
    kernel.line("const uint place = row * \(columns)u + get_local_id(0);")
    kernel.line("const uint chunk = get_group_id(1);")
    // Blocks of columns and what is outside of them along one dimension, because drivers limit the others.
    let blocks = (form.inner + columns - 1) / columns
    kernel.line("const uint o = get_group_id(0) / \(blocks)u;")
    kernel.line("const uint column = get_group_id(0) % \(blocks)u * \(columns)u + get_local_id(0);")
    // Items beyond the last column do that one's work again, so that all meet at the barriers.
    kernel.line("const bool isInside = column < \(form.inner)u;")
    kernel.line("const uint c = min(column, \(form.inner - 1)u);")
    writePlaces(&kernel, column: "c")
    body(
      &kernel, .group(rows: rows, columns: columns, inner: form.inner, termLimit: chunkTerms))
    node.launch(
      kernel, global: [form.outer * blocks * columns, rows * chunks], local: [columns, rows])
  }
}
