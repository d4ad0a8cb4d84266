// Standard output that cannot be written. Processes of their own, because it is about their streams.

import Basics
import Commands
import Formats
import Foundation
import CommandSupport
import TestSupport
import Testing

@Suite struct OutputTests {
  /// Runs a line of shell in which `$1` is gan-compile, `$2` gan-exec, `$3` a program and `$4` a
  /// folder.
  private func shell(
    _ line: String, folder: TemporaryFolder? = nil
  ) throws -> (code: Int32, errors: String) {
    let process = Process()
    let errors = Pipe()
    process.executableURL = URL(filePath: "/bin/bash")
    process.arguments = try [
      "-c", line, "bash", built("gan-compile"), built("gan-exec"), Places.graph("vanilla-gan"),
      folder?.path ?? "",
    ]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = errors
    try process.run()
    let said = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: said, as: UTF8.self))
  }

  @Test(.enabled(if: FileIO.exists("/dev/full")))
  func aFullDiskBehindARedirection() throws {
    for line in ["$1 $3 >/dev/full", "$1 --version >/dev/full", "$2 devices >/dev/full"] {
      let result = try shell(line)
      #expect(result.code == 3, "\(line): \(result.errors)")
      #expect(
        result.errors.contains("cannot write to standard output: No space left"),
        "\(line): \(result.errors)")
      #expect(result.errors.split(separator: "\n").count == 1, "\(line): \(result.errors)")
    }
  }

  @Test func aClosedStream() throws {
    let result = try shell("$2 devices >&-")
    #expect(result.code == 3 && result.errors.contains("standard output"), "\(result.errors)")
    // The run's files may not take the place of the stream.
    let folder = try TemporaryFolder()
    let run = try shell(
      "$2 train $3 --data synthetic --batch 2 --steps 2 --quiet --json --out $4/run >&-",
      folder: folder)
    #expect(run.code == 3, "\(run.errors)")
    #expect(try text(folder.file("run/log.jsonl")).split(separator: "\n").count == 2)
  }

  @Test func aReaderThatHasGone() throws {
    // `true` reads nothing; the exit code is that of the first program.
    for line in ["$1 $3 --emit ir", "$1 --version"] {
      let result = try shell("(sleep 0.3; \(line)) | true; exit ${PIPESTATUS[0]}")
      #expect(result.code == 0 && result.errors.isEmpty, "\(line): \(result.errors)")
    }
  }

  /// An error of the program is told by its own code.
  @Test func anEarlierErrorStays() throws {
    var said = ""
    let console = Console(
      output: { _ in throw EnvironmentFailure("full") }, errors: { said += $0 }, isTerminal: false)
    console.print("a")
    console.print("b")
    #expect(ganExec(["trian"], console: console) == 2)
    #expect(said.contains("unknown command") && said.contains("full"))
  }
}
