// The log of a run (log.jsonl: a line a step, and one for each health event) and the losses as a table (losses.csv). Both
// are append-only, and cut back to the checkpoint when a run goes on.

import Basics
import Formats

package final class RunLog: TrainingObserver {
  private static let newLine = UInt8(ascii: "\n")

  private let folder: RunFolder
  private let reports: [String]
  private var log: AppendLog?
  private var table: AppendLog?

  package init(folder: RunFolder, reports: [String]) {
    self.folder = folder
    self.reports = reports
  }

  /// Opens log and table; the lines of steps after `step` (left by a run that died after its last
  /// checkpoint) are dropped. Tells the lines that stay. They stay as they are, so that a resumed log
  /// has the bytes of an uninterrupted one.
  package func open(
    after step: Int, tell: (JSONValue) -> Void
  ) throws(EnvironmentFailure) {
    var text: [UInt8] = []
    var rows = CSV.line(["step", "epoch"] + reports) + "\n"
    try forEachLine(upTo: step) { bytes, line in
      text += bytes
      text.append(Self.newLine)
      if line["event"] == nil { rows += tableRow(line) + "\n" }
      tell(line)
    }
    try FileIO.writeAtomically(text, to: folder.logPath)
    try FileIO.writeAtomically(rows, to: folder.tablePath)
    log = try AppendLog(path: folder.logPath)
    table = try AppendLog(path: folder.tablePath)
  }

  /// One value at a time: that of a line takes ten times its bytes.
  private func forEachLine(
    upTo step: Int, _ body: (ArraySlice<UInt8>, JSONValue) -> Void
  ) throws(EnvironmentFailure) {
    guard step > 0, FileIO.exists(folder.logPath) else { return }
    let bytes = try FileIO.read(folder.logPath)
    var number = 0
    var rest = bytes[...]
    while !rest.isEmpty {
      let line = rest.prefix { $0 != Self.newLine }
      rest = rest[line.endIndex...].dropFirst()
      number += 1
      if line.isEmpty { continue }
      guard let value = try? JSONValue.parse(Array(line), name: folder.logPath),
        let lineStep = value["step"]?.intValue
      else {
        // A last line cut short by a crash is no line.
        if rest.allSatisfy({ $0 == Self.newLine }) { return }
        throw EnvironmentFailure(
          "\(folder.logPath): line \(number) is no step of a run",
          help: "mend or remove the line to go on with the run; nothing has been changed")
      }
      if lineStep <= step { body(line, value) }
    }
  }

  private func tableRow(_ line: JSONValue) -> String {
    CSV.line((["step", "epoch"] + reports).map { line[$0]?.doubleValue })
  }

  package func observe(_ event: TrainingEvent) throws {
    switch event {
    case .step(let report):
      let line = report.logLine
      try log?.append(line.text())
      try table?.append(tableRow(line))
    case .health(let event): try log?.append(event.logLine.text())
    case .epochEnd, .sample, .checkpoint, .warning: break
    }
  }

  package func flush(durably: Bool) throws {
    try log?.flush(durably: durably)
    try table?.flush(durably: durably)
  }

  package func close() throws(EnvironmentFailure) {
    try log?.close()
    try table?.close()
    log = nil
    table = nil
  }
}
