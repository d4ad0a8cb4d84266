// Runs that die of an infinity or a NaN: the operation at fault is named with its line, its part of the step and what it was
// given, wherever it stands.

import Basics
import CommandSupport
import Formats
import OpenCLBackend
import Testing

@testable import Training

/// Whether there is a device; tests that need one say so when they skip.
private let hasDevice = (try? OpenCLBackend.device(at: nil)) != nil

@Suite struct DiagnosisTests {
  /// A run that dies, and the health line of its log.
  private struct Death {
    var messages: String
    var output: String
    var event: JSONValue
    /// The program's line that it names.
    var line: String
  }

  private func die(
    _ edit: (String) -> String = { $0 }, body: String = "", options: [String] = []
  ) throws -> Death {
    let folder = try TemporaryFolder()
    let path = try Tiny.make(in: folder, train: "steps: 60", body: body)
    let text = edit(String(decoding: try contents(path), as: UTF8.self))
    try folder.write(text, to: "tiny.gan")
    let run = folder.file("run")
    let result = exec(["train", path, "--out", run, "--quiet"] + options)
    #expect(result.code == 5, "\(result.messages)")
    let event = try JSONValue.parse(try #require(try lines("\(run)/log.jsonl").last), name: "log")
    #expect(event["event"]?.stringValue == "health")
    #expect(event["kind"]?.stringValue == "nonFinite")
    let program = text.split(separator: "\n", omittingEmptySubsequences: false)
    let number = event["line"]?.intValue ?? 0
    return Death(
      messages: result.messages, output: result.output, event: event,
      line: program.indices.contains(number - 1) ? String(program[number - 1]) : "")
  }

  private func operand(_ death: Death, _ index: Int) throws -> JSONValue {
    let all = try #require(death.event["operands"]?.arrayValue)
    return try #require(all.indices.contains(index) ? all[index] : nil)
  }

  @Test func forward() throws {
    // 6 − step is 0 in the seventh step.
    let death = try die(body: "let bad = log(6.0 - step)\n  report bad")
    #expect(death.event["operation"]?.stringValue == "log")
    #expect(death.event["part"]?.stringValue == "forward")
    #expect(death.event["step"]?.intValue == 7)
    #expect(death.line.contains("let bad = log("))
    #expect(try operand(death, 0)["max"]?.doubleValue == 0)
    #expect(death.event["result"]?["infinite"]?.intValue == 1)
    // The line with a caret under the operation, and the mend.
    #expect(death.messages.contains("tiny.gan:"), "\(death.messages)")
    #expect(death.messages.contains("step 7: log in the forward part"), "\(death.messages)")
    #expect(death.messages.contains("  |             ^^^\n"), "\(death.messages)")
    #expect(death.messages.contains("operand 1: f64[] 0"), "\(death.messages)")
    #expect(death.messages.contains("help: log takes numbers above 0"), "\(death.messages)")
    #expect(death.messages.contains("before: step 2 dLoss "), "\(death.messages)")
  }

  @Test func insideANetwork() throws {
    let death = try die { text in
      text.replacingOccurrences(
        of: "|> dense(36) |> tanh()", with: "|> dense(36) |> sqrt() |> tanh()")
    }
    #expect(death.event["operation"]?.stringValue == "sqrt")
    #expect(death.event["path"]?.stringValue == "generator")
    #expect(death.event["step"]?.intValue == 1)
    #expect(death.line.contains("sqrt()"))
    let given = try operand(death, 0)
    #expect(given["type"]?.stringValue == "f32[4, 36]")
    #expect(try #require(given["min"]?.doubleValue) < 0)
    #expect(given["nan"]?.intValue == 0)
    #expect(given["from"]?.stringValue?.contains("generator/dense_1") == true, "\(given.text())")
    #expect(death.messages.contains("help: sqrt takes no negative numbers"), "\(death.messages)")
  }

  @Test func backward() throws {
    // sqrt(square(x)) is finite where x is 0, in the sixth step; its gradient is not. The losses are, until the next step.
    let death = try die { text in
      text.replacingOccurrences(
        of: "update generator",
        with: """
          let still = sqrt(square(relu(5.0 - step) * mean(generator(normal([batch, 3])))))
          update generator
          """
      ).replacingOccurrences(of: "minimizing gLoss", with: "minimizing gLoss + still")
    }
    #expect(death.event["operation"]?.stringValue == "divide")
    #expect(death.event["part"]?.stringValue == "backward")
    #expect(death.event["of"]?.arrayValue?.first?.stringValue == "sqrt")
    #expect(death.line.contains("let still = sqrt("))
    #expect(try operand(death, 1)["max"]?.doubleValue == 0)
    #expect(
      death.messages.contains("step 6: divide in the backward part (adjoint of sqrt)"),
      "\(death.messages)")
    #expect(death.messages.contains("help: the gradient of sqrt"), "\(death.messages)")
    #expect(death.messages.contains("training died at step 7"), "\(death.messages)")
  }

  @Test func update() throws {
    let death = try die { text in
      text.replacingOccurrences(
        of: "minimizing gLoss with adam(rate)",
        with: "minimizing gLoss with adam(rate * exp(100 * step))")
    }
    #expect(death.event["part"]?.stringValue == "update")
    #expect(
      death.event["of"]?.arrayValue?.first?.stringValue?.hasPrefix("generator/dense") == true,
      "\(death.event.text())")
    #expect(death.line.contains("update generator"))
    #expect(death.event["at_step"]?.intValue == 2)
    #expect(death.messages.contains("help: a step size of "), "\(death.messages)")
  }

  /// An infinity that the program itself masks is not to blame.
  @Test func whatIsMaskedIsNotBlamed() throws {
    let death = try die(
      body: """
        let masked = where(step > 1000, log(0.0 * step), 1.0)
          let bad = masked / (6.0 - step)
          report bad
        """)
    #expect(death.event["operation"]?.stringValue == "divide", "\(death.event.text())")
    #expect(death.line.contains("let bad = masked"))
    #expect(death.messages.contains("help: a division by 0"), "\(death.messages)")
  }

  @Test func data() throws {
    let folder = try TemporaryFolder()
    var floats = [Float](repeating: 0.5, count: 22 * 36)
    floats[100] = .nan
    let bad = folder.file("bad.npy")
    try FileIO.writeAtomically(NPYArray(shape: [22, 6, 6], floats: floats).encode(), to: bad)
    let death = try die(options: ["--data", "images=\(bad)"])
    #expect(death.event["part"]?.stringValue == "data")
    #expect(death.event["of"]?.arrayValue?.first?.stringValue == "images")
    #expect(
      death.messages.contains("a batch of 'images' holds 1 NaN among 144"), "\(death.messages)")
  }

  @Test func withoutDiagnosis() throws {
    let death = try die(
      body: "let bad = log(6.0 - step)\n  report bad", options: ["--no-diagnosis"])
    #expect(death.event["operation"] == nil)
    #expect(!death.messages.contains("replaying"), "\(death.messages)")
    #expect(death.messages.contains("training died at step 7: bad is -inf"), "\(death.messages)")
  }

  @Test func asJSON() throws {
    let death = try die(body: "let bad = log(6.0 - step)\n  report bad", options: ["--json"])
    let lines = try death.output.split(separator: "\n").map {
      try JSONValue.parse(String($0), name: "output")
    }
    #expect(lines.filter { $0["event"]?.stringValue == "health" } == [death.event])
  }

  /// A run that goes on replays from its own beginning, not from that of the whole run.
  @Test func afterGoingOn() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(
      in: folder, train: "steps: 60", body: "let bad = log(20.0 - step)\n  report bad")
    let run = folder.file("run")
    #expect(exec("train", program, "--out", run, "--steps", "12").code == 0)
    let result = exec("train", program, "--resume", run)
    #expect(result.code == 5)
    #expect(result.messages.contains("replaying 9 steps from step 12"), "\(result.messages)")
    #expect(result.messages.contains("step 21: log in the forward part"), "\(result.messages)")
  }

  @Test(.onOwnThreads, .enabled(if: hasDevice, "no OpenCL device here (Debian: pocl-opencl-icd)"))
  func onADevice() throws {
    let death = try die(
      body: "let bad = log(6.0 - step)\n  report bad", options: ["--backend", "opencl"])
    #expect(death.event["operation"]?.stringValue == "log")
    #expect(death.event["step"]?.intValue == 7)
  }

  // MARK: Parts

  @Test func rangesOfValues() {
    let values: [Float] = [1, -.infinity, 3, .nan, 0, .nan]
    let range = values.withUnsafeBytes { ValueRange(.f32(6), $0) }
    #expect(range.text == "f32[6] from 0 to 3, mean 1.333, 2 NaN, 1 infinite")
    #expect(range.zeros == 1)
    #expect(ValueRange(.f32(2), values: [1e76]).infinities == 1)
    #expect(ValueRange(.f32(), values: [-0.5]).text == "f32[] -0.5")
  }

  @Test func firstNonFiniteOfBits() {
    var values = [Float](repeating: 3.4e38, count: 10_000)
    func first() -> Float? {
      values.withUnsafeBytes { firstNonFinite($0.bindMemory(to: UInt32.self)) }
    }
    #expect(first() == nil)
    values[9_999] = -.infinity
    #expect(first() == -.infinity)
    // From the end to the beginning, over the edges of blocks; each hides those before.
    for (place, value) in [8_192, 8_191, 4_097, 4_096, 4_095, 1].enumerated() {
      let bad = place.isMultiple(of: 2) ? Float.infinity : -.infinity
      values[value] = bad
      #expect(first() == bad)
    }
    values[0] = .nan
    #expect(first()?.isNaN == true)
    values = []
    #expect(first() == nil)
  }

  @Test func placesInAText() {
    let text = SourceText(name: "x", "let ä = log(b)\n  dense_2")
    #expect(text.range(line: 1, column: 9).map(text.text) == "log")
    #expect(text.range(line: 2, column: 3).map(text.text) == "dense_2")
    #expect(text.range(line: 1, column: 7).map(text.text) == "=")
    #expect(text.range(line: 3, column: 1) == nil)
    #expect(text.range(line: 1, column: 99) == nil)
    #expect(text.range(line: 0, column: 0) == nil)
  }
}
