// Tools/compare-peers with stand-ins for our program and for the frameworks: turns, ratios, failures.

import Formats
import Foundation
import CommandSupport
import TestSupport
import Testing

@Suite struct ComparePeersTests {
  private struct Outcome {
    var code: Int32
    var output: String
    var messages: String
  }

  /// Runs the script with these variables and none of the machine's own interpreters.
  private func compare(_ arguments: [String], _ variables: [String: String] = [:]) throws -> Outcome
  {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["python3", "\(Places.root)/Tools/compare-peers"] + arguments
    var environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("GAN_PEER") }
    environment.merge(variables) { $1 }
    process.environment = environment
    let folder = try TemporaryFolder()
    for name in ["output", "messages"] { try folder.write("", to: name) }
    process.standardOutput = FileHandle(forWritingAtPath: folder.file("output"))
    process.standardError = FileHandle(forWritingAtPath: folder.file("messages"))
    try process.run()
    process.waitUntilExit()
    return Outcome(
      code: process.terminationStatus, output: try text(folder.file("output")),
      messages: try text(folder.file("messages")))
  }

  private static let hasPython: Bool = {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["python3", "-c", "import sys; sys.exit(sys.version_info < (3, 8))"]
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }()

  private func script(_ body: String, _ name: String, in folder: TemporaryFolder) throws -> String {
    let path = try folder.write("#!/bin/sh\n\(body)\n", to: name)
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
    return path
  }

  @Test(.enabled(if: hasPython)) func usage() throws {
    let folder = try TemporaryFolder()
    let ours = try script("exit 1", "ours", in: folder)
    for (arguments, code, says) in [
      (["--models", "fashion"], 2, "there is no model 'fashion'"),
      (["--rounds", "0"], 2, "--rounds"),
      (["--models", ""], 2, "--models"), (["--gan-exec", folder.file("none")], 3, "swift build"),
      (["--gan-exec", ours], 3, "jax is skipped: GAN_PEER_JAX"),
    ] as [([String], Int32, String)] {
      let result = try compare(arguments)
      #expect(result.code == code, "\(arguments): \(result.messages)")
      #expect(result.messages.contains(says), "\(arguments): \(result.messages)")
      #expect(result.output.isEmpty)
    }
  }

  @Test(.enabled(if: hasPython)) func ratiosOfTurns() throws {
    let folder = try TemporaryFolder()
    let ours = try script(
      """
      echo '{"ms_median": 20.0, "ms_min": 19.0, "ms_max": 25.0, "sample": {"images_per_second": 9},'
      echo '"resident_bytes": 104857600, "cold_start_s": 0.1, "backend": "v4"}'
      """, "ours", in: folder)
    // Says something else first, then takes its turns: 1, 2, … times 30 ms.
    let peer = try script(
      """
      echo a warning
      echo '{"framework": "torch 9", "mode": "eager", "cold_start_s": 1.5}'
      turn=0
      while read command count; do
        if [ "$command" = steps ]; then
          turn=$((turn + 30))
          echo '{"ms": ['$turn', '$turn', 900], "losses": [1], "peak_rss_mib": 300, "cpu_s": 0}'
        else
          echo '{"ms": [64], "images": 64}'
        fi
      done
      """, "peer", in: folder)
    let broken = try script("echo no framework >&2; exit 7", "broken", in: folder)
    let arguments = ["--models", "dense-gan", "--rounds", "3", "--quick", "--gan-exec", ours]
    let variables = ["GAN_PEER_TORCH": peer, "GAN_PEER_JAX": broken]
    let result = try compare(arguments + ["--json"], variables)
    #expect(result.code == 0, "\(result.messages)")
    #expect(result.messages.contains("tensorflow is skipped"))
    #expect(result.messages.contains("exit code 7: no framework"))
    let json = try JSONValue.parse(result.output, name: "json")
    let model = try #require(json["models"]?.arrayValue?.first)
    #expect(model["model"]?.stringValue == "dense-gan")
    #expect(model["ours"]?["ms_median"]?.doubleValue == 20)
    #expect(model["ours"]?["resident_mib"]?.doubleValue == 100)
    // The medians of the rounds are 30, 60 and 90: 1.5, 3 and 4.5 times ours.
    #expect(model["ratio"]?.doubleValue == 3)
    #expect(model["best_peer"]?.stringValue?.hasPrefix("torch 9 eager") == true)
    let best = model["peers"]?.arrayValue?.first
    #expect(best?["rounds"]?.arrayValue?.map(\.doubleValue) == [30, 60, 90])
    #expect(best?["sample_images_per_second"]?.doubleValue == 1000)
    #expect(model["failed"]?.arrayValue?.count == 2)
    let table = try compare(arguments, variables)
    #expect(
      table.output.contains("| **3.00** | 1.50 to 4.50 | 100 | 300 | 300 |"), "\(table.output)")
    // Nobody left to compare with.
    #expect(try compare(arguments, ["GAN_PEER_JAX": broken]).code == 3)
  }
}
