// What the tests of training share: temporary folders, in-process runs of the commands, fixtures.

import Basics
import CPUBackend
import Commands
import Elaboration
import Formats
import Foundation
import GraphIR
import Passes
import Testing
import Training

/// A folder of its own that goes away with the test.
final class TemporaryFolder {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "swift-gan-test-\(UUID().uuidString)"
    try FileIO.createDirectory(path)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { "\(path)/\(name)" }

  @discardableResult
  func write(_ text: String, to name: String) throws -> String {
    try FileIO.writeAtomically(text, to: file(name))
    return file(name)
  }
}

/// What a command said and its exit code.
struct CommandResult {
  var code: Int32
  var output: String
  var messages: String
}

/// Runs gan-exec in this process.
func exec(_ arguments: String...) -> CommandResult { exec(arguments) }

func exec(_ arguments: [String]) -> CommandResult {
  var output = ""
  var messages = ""
  let console = Console(
    output: { output += $0 }, errors: { messages += $0 }, isTerminal: false)
  let code = ganExec(arguments, console: console)
  return CommandResult(code: code, output: output, messages: messages)
}

enum Places {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path(percentEncoded: false)
  static var fixtures: String { "\(root)/Tests/TrainingTests/Fixtures" }
  static func graph(_ name: String) -> String { "\(root)/Graphs/\(name).gan" }

  /// The folder with mnist/ and fashion-mnist/; nil where this machine has none.
  static var data: String? {
    guard let path = ProcessInfo.processInfo.environment["GAN_DATA"], FileIO.isDirectory(path)
    else {
      return nil
    }
    return path
  }
}

/// Batches given by hand: per source, the bytes of each batch.
final class GivenBatches: BatchSupplier {
  var batches: [String: [[Float]]]
  init(_ batches: [String: [[Float]]]) { self.batches = batches }

  func fill(
    source: String, batch: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(EnvironmentFailure) {
    guard let all = batches[source], all.indices.contains(batch) else {
      throw EnvironmentFailure("no batch \(batch) of \(source)")
    }
    all[batch].withUnsafeBytes { buffer.copyMemory(from: $0) }
  }
}
