// gan-exec as a process of its own, for what cannot be tried in the tests' process: signals and
// limits.

import Formats
import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

final class Child {
  private let process = Process()
  private let output = Pipe()
  private let errorPath: String

  /// The programs are built beside the tests.
  static func path(of name: String) throws -> String {
    var folder = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
    for _ in 0..<5 {
      let path = folder.appending(path: name).path(percentEncoded: false)
      if FileIO.isRegularFile(path) { return path }
      folder = folder.deletingLastPathComponent()
    }
    throw ChildError("\(name) was not built beside the tests")
  }

  /// Starts gan-exec; `fileBlocks` limits the size of the files it writes, in units of 1,024 bytes.
  init(_ arguments: [String], fileBlocks: Int? = nil) throws {
    let program = try Child.path(of: "gan-exec")
    errorPath = NSTemporaryDirectory() + "swift-gan-child-\(UUID().uuidString)"
    try FileIO.writeAtomically("", to: errorPath)
    if let fileBlocks {
      process.executableURL = URL(filePath: "/bin/bash")
      process.arguments =
        ["-c", "ulimit -f \(fileBlocks); exec \"$@\"", "bash", program] + arguments
    } else {
      process.executableURL = URL(filePath: program)
      process.arguments = arguments
    }
    process.standardOutput = output
    process.standardError = FileHandle(forWritingAtPath: errorPath)
    try process.run()
  }

  deinit {
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    try? FileManager.default.removeItem(atPath: errorPath)
  }

  var errors: String {
    (try? FileIO.read(errorPath)).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }

  /// Reads standard output until it has so many lines.
  func waitForOutput(lines: Int) throws {
    var seen = 0
    while seen < lines {
      let bytes = output.fileHandleForReading.availableData
      if bytes.isEmpty { throw ChildError("the process ended: \(errors)") }
      seen += bytes.count { $0 == 10 }
    }
    // What comes after is thrown away, so that the process does not wait for a reader.
    let handle = output.fileHandleForReading
    Thread.detachNewThread { while !handle.availableData.isEmpty {} }
  }

  func send(_ signal: Int32) { kill(process.processIdentifier, signal) }

  /// The exit code, negative for a signal.
  func wait() -> Int32 {
    process.waitUntilExit()
    return process.terminationReason == .exit
      ? process.terminationStatus : -process.terminationStatus
  }

  /// Kills the process while it has a temporary file in `folder`, once there are `count` whole
  /// files. Returns the temporary file that stayed; nil where the process was faster.
  func killWhileWriting(in folder: String, after count: Int) throws -> String? {
    while process.isRunning {
      let names = (try? FileIO.list(folder)) ?? []
      let whole = names.count { $0.hasPrefix("step-") }
      if whole >= count, names.contains(where: { $0.contains(".tmp-") }) {
        send(SIGKILL)
        _ = wait()
        let left = try FileIO.list(folder).first { $0.contains(".tmp-") }
        return left.map { "\(folder)/\($0)" }
      }
      usleep(100)
    }
    throw ChildError("the process ended: \(errors)")
  }
}

struct ChildError: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}
