// The elaborator: holds what is known of the program and where elaboration stands. Its parts are
// extensions in the other files of this folder; Elaborate.swift is the driver.

import Basics
import GraphIR
import GraphSyntax
import Operators

final class Elaborator {
  let file: SourceFile
  let source: SourceText
  let options: ElaborationOptions

  private(set) var diagnostics: [Diagnostic] = []
  private var seen: Set<String> = []
  private var tentative: [Diagnostic] = []
  private(set) var errorCount = 0
  /// Set when a limit is hit: everything after is silent.
  private var isExhausted = false

  var declarations = Declarations()
  var states = StateRegistry()
  var updates = UpdatePlan()
  var defaults: [DefaultInUse] = []
  var slips = SlipRecord()
  private var defaultsSeen: Set<String> = []
  /// Networks and blocks whose body has an error, so that each is reported once.
  var failed: Set<String> = []
  /// The dimension variables at each network's first call.
  var firstSizes: [String: [String: Int]] = [:]
  /// The data sources that are well declared.
  var dataInfo: [String: DataDeclaration] = [:]
  /// The highest round of each data source group in any step graph.
  var dataRounds: [String: Int] = [:]

  /// The `every` statements that hold computations, by place, and which of them the present variant
  /// holds (bits).
  var conditionalBlocks: [Int32: Int] = [:]
  var activeBlocks = 0
  /// Set while a network that is never called is tried at a size: its errors may not stay.
  var isTentative = false

  /// Where elaboration stands.
  var context: GraphContext
  var frame: Frame
  var frames: [Frame] = []
  private var depth = 0
  private var work = 0
  private var positions: [Int32: LineColumn] = [:]

  init(_ file: SourceFile, source: SourceText, options: ElaborationOptions) {
    self.file = file
    self.source = source
    self.options = options
    context = GraphContext(name: "constants", purpose: .constant)
    frame = Frame(
      .constant, name: "the top level", streamKey: "constants", training: false, scope: Scope())
  }

  var builder: GraphBuilder { context.builder }

  // MARK: Diagnostics

  /// Adds a diagnostic, unless the same has been given for the same place: bodies are elaborated
  /// several times.
  func report(_ diagnostic: Diagnostic) {
    guard !diagnostic.isReported else { return }
    var diagnostic = diagnostic
    if diagnostic.severity == .error { errorCount += 1 }
    guard seen.insert(key(diagnostic)).inserted else { return }
    for caller in callers.prefix(3) where !diagnostic.notes.contains(caller) {
      diagnostic.notes.append(caller)
    }
    if isTentative { tentative.append(diagnostic) }
    // Warnings do not crowd out errors; enough errors end the run.
    let shown = diagnostics.count { $0.severity == diagnostic.severity }
    if shown < ElaborationLimits.diagnostics {
      diagnostics.append(diagnostic)
    } else if diagnostic.severity == .error, !isTentative {
      isExhausted = true
    }
  }

  /// Takes back what was reported while a size was tried.
  func forgetErrors(since count: Int) {
    errorCount = count
    diagnostics.removeAll { tentative.contains($0) }
    for diagnostic in tentative { seen.remove(key(diagnostic)) }
    tentative = []
  }

  private func key(_ diagnostic: Diagnostic) -> String {
    let place = diagnostic.range.map { "\($0.start)" } ?? diagnostic.message
    return "\(diagnostic.code) \(place)"
  }

  func warn(
    _ code: String, _ message: String, at range: SourceRange?, notes: [Diagnostic.Note] = [],
    help: String? = nil
  ) {
    report(Diagnostic(code, message, at: range, severity: .warning, notes: notes, help: help))
  }

  /// Runs a statement; its error is reported and the next may go on. Returns whether it succeeded.
  @discardableResult
  func attempt(_ body: () throws(Diagnostic) -> Void) -> Bool {
    do {
      try body()
      return true
    } catch {
      report(error)
      return false
    }
  }

  /// The calls around this point, innermost first.
  private var callers: [Diagnostic.Note] {
    var notes: [Diagnostic.Note] = []
    for frame in [frame] + frames.reversed() {
      if let range = frame.callRange {
        notes.append(.init("in this use of \(frame.name)", at: range))
      }
    }
    return notes
  }

  /// Records a default that a call relies on, once for each place.
  func recordDefault(_ text: String, at range: SourceRange) {
    guard defaultsSeen.insert("\(range.start) \(text)").inserted else { return }
    defaults.append(DefaultInUse(origin: origin(at: range, path: frame.path), text: text))
  }

  // MARK: Places

  func origin(at range: SourceRange, path: String) -> Origin {
    let place: LineColumn
    if let known = positions[range.start] {
      place = known
    } else {
      place = source.position(of: range.start)
      positions[range.start] = place
    }
    return Origin(line: place.line, column: place.column, path: path)
  }

  /// Nodes built from here on come from this place.
  func setOrigin(_ range: SourceRange, path: String? = nil) {
    builder.origin = origin(at: range, path: path ?? frame.path)
  }

  // MARK: Frames

  /// Runs `body` in another frame.
  func within<T>(_ inner: Frame, _ body: () throws(Diagnostic) -> T) throws(Diagnostic) -> T {
    frames.append(frame)
    frame = inner
    let origin = builder.origin
    defer {
      frame = frames.removeLast()
      builder.origin = origin
    }
    return try body()
  }

  /// Begins a graph: a new context and an outermost frame.
  func begin(_ context: GraphContext, _ frame: Frame) {
    self.context = context
    self.frame = frame
    frames = []
    depth = 0
    work = 0
  }

  // MARK: Limits

  var exhausted: Bool { isExhausted }

  /// Counts one expression; throws where the program asks too much.
  func enter(_ range: SourceRange) throws(Diagnostic) {
    if isExhausted { throw .reported }
    depth += 1
    work += 1
    if depth > ElaborationLimits.depth {
      try exhaust(
        "limit.nesting", "expressions and calls nest too deep here", at: range,
        help: "at most \(ElaborationLimits.depth) levels are supported")
    }
    if work > ElaborationLimits.work || builder.graph.nodes.count > ElaborationLimits.nodes {
      try exhaust(
        "limit.nodes", "the program unrolls to more than the compiler accepts", at: range,
        help: "one graph may have at most \(ElaborationLimits.nodes) operations")
    }
  }

  func leave() { depth -= 1 }

  /// Counts a call that is inlined, which costs more than its own expressions.
  func enterCall() { charge(ElaborationLimits.callWork) }

  /// Counts work beyond the one for each expression.
  func charge(_ amount: Int) { work += amount }

  private func exhaust(
    _ code: String, _ message: String, at range: SourceRange, help: String
  ) throws(Diagnostic) {
    report(Diagnostic(code, message, at: range, help: help))
    isExhausted = true
    depth -= 1
    throw .reported
  }

  /// Elaborates constants in a context of their own, wherever the program stands.
  func inConstants<T>(_ body: () throws(Diagnostic) -> T) throws(Diagnostic) -> T {
    let saved = (context, frame, frames)
    context = GraphContext(name: "constants", purpose: .constant)
    frame = Frame(
      .constant, name: "the top level", streamKey: "constants", training: false, scope: Scope())
    frames = []
    defer { (context, frame, frames) = saved }
    return try body()
  }
}
