// What the tests of the commands share: in-process runs, temporary folders, places.

import Commands
import Formats
import Foundation

struct CommandResult {
  var code: Int32
  var output: String
  var messages: String
}

func compile(_ arguments: String...) -> CommandResult { run(ganCompile, arguments) }
func compile(_ arguments: [String]) -> CommandResult { run(ganCompile, arguments) }
func exec(_ arguments: String...) -> CommandResult { run(ganExec, arguments) }
func exec(_ arguments: [String]) -> CommandResult { run(ganExec, arguments) }

private func run(
  _ program: ([String], Console) -> Int32, _ arguments: [String]
) -> CommandResult {
  var output = ""
  var messages = ""
  let console = Console(
    output: { output += $0 }, errors: { messages += $0 }, isTerminal: false)
  let code = program(arguments, console)
  return CommandResult(code: code, output: output, messages: messages)
}

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

enum Places {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path(percentEncoded: false)
  static let models = [
    "vanilla-gan", "vanilla-gan-tf", "dense-gan", "dcgan-mnist", "dcgan-fashion", "fashion-gan",
  ]
  static func graph(_ name: String) -> String { "\(root)/Graphs/\(name).gan" }
}

func text(_ path: String) throws -> String {
  String(decoding: try FileIO.read(path), as: UTF8.self)
}
