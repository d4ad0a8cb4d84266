// The classifier of `gan-exec evaluate`: taken from the user's cache folder, or trained and put there. A file of another
// program, other data or another instruction set has another name. It is safe to delete.

import Basics
import CPUBackend
import Formats
import Passes
import Runtime
import Training

package struct ClassifierCache {
  private let training: ClassifierTraining
  private let workplace: Workplace
  /// Nil where the environment names no folder for caches.
  package let path: String?

  package init(
    _ pictures: LabelledPictures, shape: [Int], _ workplace: Workplace,
    folder: String? = userCacheFolder(processEnvironment())
  ) throws {
    training = try ClassifierTraining(pictures, shape: shape)
    self.workplace = workplace
    let key = training.key(arithmetic: Self.arithmetic(workplace))
    path = folder.map { "\($0)/classifiers/\(key).safetensors" }
  }

  /// What decides about the last bits.
  private static func arithmetic(_ workplace: Workplace) -> String {
    let device =
      (workplace.backend as? CPUBackend)?.instructionSet.rawValue ?? workplace.backend.summary
    return "\(workplace.backend.name) \(device) \(workplace.compiler.arithmetic.rawValue)"
  }

  /// What messages call the classifier's file.
  var name: String { path ?? ClassifierProgram.name }

  /// The weights that are there, or new ones; nil where training was interrupted, and then nothing is stored.
  package func weights(_ console: Console) throws -> Weights.WithProgram? {
    if let path, FileIO.isRegularFile(path) {
      do throws(EnvironmentFailure) {
        return try Weights.readWithProgram(path)
      } catch {
        console.message(
          "the stored classifier cannot be used and is trained again: \(error.message)\n")
      }
    }
    guard let session = try train(console) else { return nil }
    let bytes = try Weights.encode(session, of: CarriedProgram(training.source))
    if let path { store(bytes, at: path, console) }
    let file = try TensorFile.decode(bytes, name: name)
    return Weights.WithProgram(program: CarriedProgram(training.source), tensors: file.tensors)
  }

  /// A cache that cannot be written costs time, not the result.
  private func store(_ bytes: [UInt8], at path: String, _ console: Console) {
    do throws(EnvironmentFailure) {
      try FileIO.createDirectory(String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]))
      try FileIO.writeAtomically(bytes, to: path)
      console.message("  stored as \(path)\n")
    } catch {
      console.message("  the classifier could not be stored: \(error.message)\n")
    }
  }

  private func train(_ console: Console) throws -> Session? {
    let began = monotonicSeconds()
    console.message(
      "training the classifier whose features are compared, once for these data "
        + "(\(training.source.program.model), \(workplace.backend.summary))\n")
    var lastShown = began
    let session = try training.run(workplace.backend, workplace.compiler) { progress in
      let now = monotonicSeconds()
      let isDue = console.isTerminal && now - lastShown >= 0.1
      guard isDue || progress.endsEpoch else { return }
      lastShown = now
      let text = Self.line(progress, seconds: now - began)
      let begin = console.isTerminal ? "\r" : ""
      let end = progress.endsEpoch ? "\n" : ""
      console.message(
        begin + text.prefix(max(1, console.width - 1)) + (begin.isEmpty ? "" : "\u{1B}[K") + end)
    }
    if session == nil {
      console.message("\(console.isTerminal ? "\n" : "")interrupted; nothing was stored\n")
    }
    return session
  }

  private static func line(_ progress: ClassifierTraining.Progress, seconds: Double) -> String {
    let rest = seconds / Double(progress.step) * Double(progress.steps - progress.step)
    return "  epoch \(progress.epoch)/\(progress.epochs)  step \(progress.step)/\(progress.steps)  "
      + "loss \(shortNumber(progress.loss))  accuracy \(shortNumber(progress.accuracy))  "
      + "\(Progress.duration(rest)) left"
  }
}
