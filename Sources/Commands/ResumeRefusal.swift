// Why a run cannot go on with a program: what differs between the one that its checkpoint carries
// and the one that is given.

import Basics
import Elaboration
import Training

enum ResumeRefusal {
  /// At most so many lines of differences are shown.
  private static let mostLines = 40

  static func failure(
    _ checkpoint: Checkpoint, _ source: ProgramSource, path: String
  ) -> EnvironmentFailure {
    let difference = (try? differences(checkpoint, source)) ?? ""
    return EnvironmentFailure(
      "\(path): the checkpoint is of another program than \(source.source.name), "
        + "or of other settings" + (difference.isEmpty ? "" : "\n" + difference),
      help:
        "without FILE and settings, --resume takes the run's own; to begin a new run with these "
        + "weights, use --weights \(path)")
  }

  /// From the run's program to the one given; lines without an end of the last.
  private static func differences(
    _ checkpoint: Checkpoint, _ source: ProgramSource
  ) throws -> String {
    let before = try checkpoint.program.elaborated().program
    let after = source.program
    let paint = DiffPaint(usesColour: false)
    let diff = try ProgramDiff(before, after)
    let names = ("the run's program", source.source.name)
    var text = settings(before, after, paint)
    text += ProgramDiffText(diff: diff, paint: paint, files: names).text()
    if text.isEmpty {
      return "its text differs, though neither settings nor data, states or graphs do"
    }
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    guard lines.count > mostLines else { return lines.joined(separator: "\n") }
    return lines.prefix(mostLines).joined(separator: "\n")
      + "\n  … and \(lines.count - mostLines) more lines"
  }

  /// The hyperparameters in force.
  private static func settings(_ before: Program, _ after: Program, _ paint: DiffPaint) -> String {
    var lines = ""
    var count = 0
    func add(_ line: String) {
      lines += line
      count += 1
    }
    for (name, value) in before.settings {
      guard let other = after.settings.first(where: { $0.name == name }) else {
        add(paint.line(.removed, "\(name): \(value)"))
        continue
      }
      if other.value != value { add(paint.line(.changed, "\(name): \(value) -> \(other.value)")) }
    }
    for (name, value) in after.settings where !before.settings.contains(where: { $0.name == name })
    {
      add(paint.line(.added, "\(name): \(value)"))
    }
    return count == 0 ? "" : "settings: \(count) differ\(count == 1 ? "s" : "")\n" + lines
  }
}
