// `gan-exec profile`: its rows and its trace. Times themselves are not tested.

import CommandSupport
import Commands
import Formats
import TestSupport
import Testing

@Suite(.serialized) struct ProfileTests {
  private static let model = Places.graph("vanilla-gan")
  private static let quick = ["profile", model, "--steps", "2", "--batch", "4"]

  private func rows(_ more: String...) throws -> [String] {
    let result = exec(Self.quick + more)
    #expect(result.code == 0, "\(result.messages)")
    let lines = result.output.split(separator: "\n").map(String.init)
    #expect(lines[1].hasSuffix("kernel"))
    return Array(lines[2...])
  }

  /// The calls column.
  private func calls(_ row: String) throws -> Int {
    let words = row.split(separator: " ")
    return try #require(Int(words[2]))
  }

  @Test func groupingsHaveAllLaunches() throws {
    let some = try rows("--by", "line")
    #expect(some.dropLast().allSatisfy { $0.contains("  line ") || $0.contains("more (--all)") })
    #expect(some.contains { $0.contains("more (--all)") })
    let kernels = try rows("--all", "--by", "kernel")
    #expect(kernels.contains { $0.hasSuffix("matmul") })
    let count = try kernels.dropLast().map(calls).reduce(0, +)
    #expect(try #require(kernels.last).hasPrefix("\(count) launches a step"))
    #expect(kernels.count < count)
  }

  @Test func wrongGrouping() {
    let result = exec(Self.quick + ["--by", "lines"])
    #expect(result.code == 2)
    #expect(result.messages.contains("did you mean line?"), "\(result.messages)")
  }

  @Test func traceHasLanesAndPlaces() throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/trace.json"
    _ = try rows("--trace", path, "--threads", "3")
    let file = try JSONValue.parse(try text(path), name: path)
    let events = try #require(file["traceEvents"]?.arrayValue)
    let lanes = events.filter { $0["name"]?.stringValue == "thread_name" }
      .compactMap { $0["args"]?["name"]?.stringValue }
    #expect(lanes.starts(with: ["steps", "calling thread"]))
    #expect(lanes.count <= 4)
    let spans = events.filter { $0["ph"]?.stringValue == "X" }
    func end(_ span: JSONValue) -> Double {
      (span["ts"]?.doubleValue ?? .nan) + (span["dur"]?.doubleValue ?? .nan)
    }
    let steps = spans.filter { $0["tid"]?.intValue == 0 }
    #expect(steps.compactMap { $0["name"]?.stringValue } == ["step 1", "step 2"])
    let kernels = spans.filter { $0["tid"]?.intValue != 0 }
    #expect(!kernels.isEmpty)
    for kernel in kernels {
      let inside = steps.contains {
        $0["ts"]!.doubleValue! <= kernel["ts"]!.doubleValue! && end(kernel) <= end($0) + 0.01
      }
      #expect(inside)
    }
    let product = try #require(
      kernels.first { $0["name"]?.stringValue == "matmul generator/dense_4/kernel" })
    #expect(product["args"]?["source"]?.stringValue?.hasPrefix(Self.model + ":50:") == true)
    #expect(product["args"]?["results"]?.stringValue?.contains("f32[1024, 784]") == true)
    // Shares of a lane do not overlap.
    for lane in 1..<lanes.count {
      let own = kernels.filter { $0["tid"]?.intValue == lane }
      for (a, b) in zip(own, own.dropFirst()) {
        #expect(end(a) <= b["ts"]!.doubleValue! + 0.01)
      }
    }
  }

  @Test func aTraceThatCannotBeWritten() {
    let result = exec(Self.quick + ["--trace", "/nowhere/trace.json"])
    #expect(result.code == 3)
    #expect(result.messages.contains("/nowhere/trace.json"), "\(result.messages)")
  }
}
