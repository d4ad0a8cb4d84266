// Proof that a program's runs go on bit for bit: one run straight through, one that stops, is saved
// to a folder, read from it by a fresh session and goes on, by the very code of training. Every
// logged value and every state is compared by its bits.

import Basics
import Elaboration
import Formats

package struct ResumeCheck {
  /// A run whose states a session and a feeder hold.
  package typealias Parts = (session: Session, feeder: DataFeeder)

  package struct Report: Sendable {
    /// Values of the log that were compared, and states.
    package var logged = 0
    package var states = 0
    /// What is the first to differ, with both values; nil where nothing does.
    package var difference: String?
    /// A run that died of a non-finite value proves nothing.
    package var death: TrainingDeath?
    package var isInterrupted = false
  }

  private let source: ProgramSource
  private let steps: Int
  private let stop: Int
  private let folder: String
  private let make: (ProgramSource, _ isResumed: Bool) throws -> Parts

  /// - Parameters:
  ///   - steps: of each run; the second one stops after `stop` of them.
  ///   - folder: an empty one that the runs are written to.
  ///   - make: a new session with states of no value, and data.
  package init(
    _ source: ProgramSource, steps: Int, stop: Int, folder: String,
    make: @escaping (ProgramSource, _ isResumed: Bool) throws -> Parts
  ) {
    self.source = source
    self.steps = steps
    self.stop = stop
    self.folder = folder
    self.make = make
  }

  package func run() throws -> Report {
    var report = Report()
    let straight = RunFolder(path: "\(folder)/straight")
    let (end, states) = try train(straight, to: steps)
    guard end.isFinished(&report) else { return report }
    let parted = RunFolder(path: "\(folder)/stopped")
    guard try train(parted, to: stop).end.isFinished(&report) else { return report }
    let resumed = try goOn(parted)
    guard resumed.end.isFinished(&report) else { return report }
    try compareLogs(straight, parted, &report)
    compare(states, resumed.states, &report)
    return report
  }

  private typealias Trained = (end: TrainingEnd, states: [(name: String, bytes: [UInt8])])

  private func train(_ folder: RunFolder, to end: Int) throws -> Trained {
    let folder = try RunFolder.create(folder.path)
    let parts = try make(source, false)
    try parts.session.initialize()
    return try train(source, parts, folder, from: 0, to: end, resumed: nil)
  }

  /// All that is known of the run is its folder.
  private func goOn(_ folder: RunFolder) throws -> Trained {
    let (checkpoint, path) = try folder.newestCheckpoint { _ in }
    let source = try checkpoint.program.elaborated()
    let parts = try make(source, true)
    try checkpoint.restore(parts.session, path: path)
    return try train(source, parts, folder, from: checkpoint.step, to: steps, resumed: path)
  }

  private func train(
    _ source: ProgramSource, _ parts: Parts, _ folder: RunFolder, from start: Int, to end: Int,
    resumed: String?
  ) throws -> Trained {
    var options = TrainingOptions()
    options.length = .steps(end)
    options.resumedFrom = resumed
    let loop = try TrainingLoop(
      session: parts.session, source: source, feeder: parts.feeder, folder: folder,
      startStep: start, options: options, observers: [])
    let result = try loop.run()
    let states = try source.program.states.map { ($0.name, try parts.session.bytes(of: $0.name)) }
    return (result, states)
  }

  // MARK: Comparing

  /// The log holds the shortest text that reads back as a value's bits, so texts are compared.
  private func compareLogs(_ a: RunFolder, _ b: RunFolder, _ report: inout Report) throws {
    let lines = try [a, b].map { folder in
      try FileIO.read("\(folder.path)/log.jsonl").split(separator: UInt8(ascii: "\n")).map {
        try JSONValue.parse(Array($0), name: folder.path)
      }.filter { $0["event"] == nil }
    }
    guard lines[0].count == steps, lines[1].count == steps else {
      report.difference =
        "the log has \(lines[0].count) steps straight and \(lines[1].count) resumed"
      return
    }
    for (index, (x, y)) in zip(lines[0], lines[1]).enumerated() {
      for (key, value) in x.objectValue ?? [] {
        report.logged += key == "step" || key == "epoch" ? 0 : 1
        let (before, after) = (value.text(), y[key]?.text() ?? "nothing")
        guard before != after, report.difference == nil else { continue }
        report.difference = "step \(index + 1): \(key) is \(before) straight and \(after) resumed"
      }
    }
  }

  private func compare(
    _ a: [(name: String, bytes: [UInt8])], _ b: [(name: String, bytes: [UInt8])],
    _ report: inout Report
  ) {
    report.states = a.count
    for (x, y) in zip(a, b) where x.bytes != y.bytes && report.difference == nil {
      let place = zip(x.bytes, y.bytes).enumerated().first { $0.element.0 != $0.element.1 }
      let element = (place?.offset ?? 0) / 4
      let values = [x.bytes, y.bytes].map { Self.text($0, element, source, x.name) }
      report.difference =
        "after step \(steps): element \(element) of '\(x.name)' is \(values[0]) straight and "
        + "\(values[1]) resumed"
    }
  }

  /// An element of a state's bytes, all of whose elements have four.
  private static func text(
    _ bytes: [UInt8], _ element: Int, _ source: ProgramSource, _ name: String
  ) -> String {
    guard bytes.count >= 4 * element + 4 else { return "nothing" }
    return bytes.withUnsafeBytes { raw in
      let isFloat = source.program.states.first { $0.name == name }?.type.element == .f32
      return isFloat
        ? "\(raw.loadUnaligned(fromByteOffset: 4 * element, as: Float.self))"
        : "\(raw.loadUnaligned(fromByteOffset: 4 * element, as: Int32.self))"
    }
  }
}

extension TrainingEnd {
  /// Whether the run came to its end; else the report is told why not.
  fileprivate func isFinished(_ report: inout ResumeCheck.Report) -> Bool {
    switch self {
    case .finished: return true
    case .interrupted: report.isInterrupted = true
    case .died(let death): report.death = death
    // Thrown by the loop, not returned.
    case .failed: break
    }
    return false
  }
}
