// What tests that run the commands share: runs in this process and temporary folders.

import Basics
import Commands
import Formats
import Foundation

/// What a command said and its exit code.
package struct CommandResult: Sendable {
  package var code: Int32
  package var output: String
  package var messages: String
}

/// Runs gan-compile in this process.
package func compile(_ arguments: String...) -> CommandResult { run(ganCompile, arguments) }
package func compile(_ arguments: [String]) -> CommandResult { run(ganCompile, arguments) }

/// Runs gan-exec in this process.
package func exec(_ arguments: String...) -> CommandResult { run(ganExec, arguments) }
package func exec(_ arguments: [String]) -> CommandResult { run(ganExec, arguments) }

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
package final class TemporaryFolder {
  package let path: String

  package init() throws {
    path = NSTemporaryDirectory() + "swift-gan-test-\(UUID().uuidString)"
    try FileIO.createDirectory(path)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  package func file(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes a file of the folder; returns its path.
  @discardableResult
  package func write(_ text: String, to name: String) throws -> String {
    try FileIO.writeAtomically(text, to: file(name))
    return file(name)
  }
}

/// A browser, for pages that draw themselves.
package enum Browser {
  /// nil where there is none.
  package static let path = ["chromium", "chromium-browser", "google-chrome"]
    .map { "/usr/bin/\($0)" }.first { FileIO.isRegularFile($0) }

  /// The page as its script has drawn it.
  package static func drawn(_ page: String, _ fragment: String) throws -> String {
    guard let path else { throw EnvironmentFailure("there is no browser") }
    let folder = try TemporaryFolder()
    let file = try folder.write(page, to: "page.html")
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/timeout")
    process.arguments = [
      "60", path, "--headless", "--no-sandbox", "--disable-gpu",
      "--user-data-dir=\(folder.file("profile"))", "--dump-dom", "file://\(file)#\(fragment)",
    ]
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return text
  }
}
