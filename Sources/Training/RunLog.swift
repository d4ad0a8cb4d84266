// The log of a run (log.jsonl: a line a step, and one for each health event) and the losses as a table (losses.csv). Both
// are append-only, and cut back to the checkpoint when a run goes on.

import Basics
import Formats

package final class RunLog: TrainingObserver {
  private let folder: RunFolder
  private let reports: [String]
  private var log: AppendLog?
  private var table: AppendLog?

  package init(folder: RunFolder, reports: [String]) {
    self.folder = folder
    self.reports = reports
  }

  /// Opens log and table; the lines of steps after `step` (left by a run that died after its last
  /// checkpoint) are dropped. Returns the lines that stay.
  package func open(after step: Int) throws(EnvironmentFailure) -> [JSONValue] {
    let kept = try keptLines(upTo: step)
    var text: [UInt8] = []
    var rows = CSV.line(["step", "epoch"] + reports) + "\n"
    for line in kept {
      text += line.bytes + [UInt8(ascii: "\n")]
      if line.value["event"] == nil { rows += tableRow(line.value) + "\n" }
    }
    try FileIO.writeAtomically(text, to: folder.logPath)
    try FileIO.writeAtomically(rows, to: folder.tablePath)
    log = try AppendLog(path: folder.logPath)
    table = try AppendLog(path: folder.tablePath)
    return kept.map(\.value)
  }

  /// The lines as they are, so that a resumed log has the bytes of an uninterrupted one.
  private func keptLines(
    upTo step: Int
  ) throws(EnvironmentFailure) -> [(bytes: ArraySlice<UInt8>, value: JSONValue)] {
    guard step > 0, FileIO.exists(folder.logPath) else { return [] }
    let bytes = try FileIO.read(folder.logPath)
    var kept: [(bytes: ArraySlice<UInt8>, value: JSONValue)] = []
    let lines = bytes.split(separator: UInt8(ascii: "\n"))
    for (index, line) in lines.enumerated() {
      guard let value = try? JSONValue.parse(Array(line), name: folder.logPath),
        let number = value["step"]?.intValue
      else {
        // A last line cut short by a crash is no line.
        if index == lines.count - 1 { break }
        throw EnvironmentFailure(
          "\(folder.logPath): line \(index + 1) is no step of a run",
          help: "mend or remove the line to go on with the run; nothing has been changed")
      }
      if number <= step { kept.append((line, value)) }
    }
    return kept
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
