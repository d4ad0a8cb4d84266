// A run's folder: where the program, the log, the losses as table and plot, samples, checkpoints and
// weights stand in it.

import Basics
import Formats

package final class RunFolder {
  package let path: String

  package var samples: String { "\(path)/samples" }
  package var checkpoints: String { "\(path)/checkpoints" }
  package var programPath: String { "\(path)/program.gan" }
  package var logPath: String { "\(path)/log.jsonl" }
  package var healthPath: String { "\(path)/health.jsonl" }
  package var tablePath: String { "\(path)/losses.csv" }
  package var plotPath: String { "\(path)/losses.svg" }
  package var reportPath: String { "\(path)/report.html" }
  package var tensorBoard: String { "\(path)/tensorboard" }

  package init(path: String) { self.path = path }

  /// Taken for as long as a run writes to the folder, so that no other one does. Nil where the folder
  /// is not there or its file system has no locks: then nothing is known of other runs.
  package func lock() throws(EnvironmentFailure) -> FileLock? {
    switch FileLock.attempt("\(path)/.lock") {
    case .taken(let lock): return lock
    case .unavailable: return nil
    case .held:
      throw EnvironmentFailure(
        "a run is going on in '\(path)'",
        help: "wait for its end or interrupt it, which saves a checkpoint; then go on with it by "
          + "--resume \(path)")
    }
  }

  /// A folder for a new run. One that holds a run already is refused, so that nothing is lost.
  package static func create(_ path: String) throws(EnvironmentFailure) -> RunFolder {
    guard !FileIO.exists("\(path)/log.jsonl"), !FileIO.exists("\(path)/checkpoints") else {
      throw EnvironmentFailure(
        "the folder '\(path)' already holds a run",
        help: "go on with it by --resume \(path), or name another folder with --out")
    }
    let folder = RunFolder(path: path)
    try FileIO.createDirectory(path)
    try FileIO.createDirectory(folder.samples)
    try FileIO.createDirectory(folder.checkpoints)
    return folder
  }

  /// The first of `runs/NAME`, `runs/NAME-2`, … that is not there.
  package static func unusedPath(model: String) -> String {
    let safe = String(
      model.prefix(100).map { $0.isLetter || $0.isNumber || "-_.".contains($0) ? $0 : "-" })
    let name = safe.isEmpty || safe.hasPrefix(".") ? "run" : safe
    var path = "runs/\(name)"
    var number = 2
    while FileIO.exists(path) {
      path = "runs/\(name)-\(number)"
      number += 1
    }
    return path
  }

  // MARK: Checkpoints

  package func checkpointPath(step: Int) -> String { "\(checkpoints)/\(Self.checkpointName(step))" }

  private static func checkpointName(_ step: Int) -> String {
    "step-\(padded(step, 8)).safetensors"
  }

  /// The folder of the run that a file of this path is a checkpoint of; nil where it is in none.
  package static func path(ofCheckpoint file: String) -> String? {
    let parts = file.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count >= 2, parts[parts.count - 2] == "checkpoints" else { return nil }
    let run = parts.dropLast(2).joined(separator: "/")
    guard run.isEmpty else { return run }
    return file.hasPrefix("/") ? "/" : "."
  }

  /// The checkpoints that are there, oldest first.
  package func checkpointSteps() throws(EnvironmentFailure) -> [Int] {
    guard FileIO.isDirectory(checkpoints) else { return [] }
    return try FileIO.list(checkpoints).compactMap { name -> Int? in
      guard name.hasPrefix("step-"), name.hasSuffix(".safetensors"),
        let step = Int(name.dropFirst(5).dropLast(12)), name == Self.checkpointName(step)
      else { return nil }
      return step
    }.sorted()
  }

  /// The newest checkpoint that can be read; damaged ones are skipped with a word about each.
  package func newestCheckpoint(
    warn: (String) -> Void
  ) throws(EnvironmentFailure) -> (checkpoint: Checkpoint, path: String) {
    guard FileIO.isDirectory(path) else {
      throw EnvironmentFailure("the run folder '\(path)' does not exist")
    }
    for step in try checkpointSteps().reversed() {
      let path = checkpointPath(step: step)
      do throws(EnvironmentFailure) {
        return (try Checkpoint(path: path), path)
      } catch {
        warn("skipping a damaged checkpoint: \(error.message)")
      }
    }
    throw EnvironmentFailure("the run folder '\(path)' has no checkpoint that can be read")
  }

  package static func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
