// `gan-compile diff` of two whole programs: nothing that graphs do otherwise with what both programs declare is left
// out, and what the lists of states and data say is not said again.

import CommandSupport
import Commands
import Formats
import TestSupport
import Testing

@Suite struct ProgramDiffTests {
  /// Two data sources and an average, so that graphs can read other ones of what is declared.
  private static func program(
    real: String = "images", sampled: String = "generator", discriminator: String = "discriminator",
    optimizer: String = "adam(0.1)", states: String = "dense(8)"
  ) -> String {
    """
    model "tiny"
    let batch = 4
    data images: [batch, 6] in -1...1 from "/nowhere/images.npy"
    data other: [batch, 6] in -1...1 from "/nowhere/other.npy"
    network generator(z: [n, 3]) -> [n, 6] { z |> \(states) |> relu() |> dense(6) }
    network \(discriminator)(x: [n, 6]) -> [n, 1] { x |> dense(4) |> relu() |> dense(1) }
    train(steps: 3) {
      let fake = generator(normal([batch, 3]))
      let dLoss = bceWithLogits(\(discriminator)(\(real)), 1)
        + bceWithLogits(\(discriminator)(fake), 0)
      update \(discriminator) minimizing dLoss with \(optimizer)
      let gLoss = bceWithLogits(\(discriminator)(generator(normal([batch, 3]))), 1)
      update generator minimizing gLoss with sgd(0.1)
      average generator as smoothed decay 0.9
      let seen = mean(images) + mean(other)
      report dLoss, seen
    }
    sample(count: 4) { \(sampled)(normal([count, 3])) }
    """
  }

  private func diff(
    _ before: String, _ after: String, _ options: String...
  ) throws -> (code: Int32, output: String) {
    let folder = try TemporaryFolder()
    let a = try folder.write(before, to: "a.gan")
    let b = try folder.write(after, to: "b.gan")
    let result = compile(["diff", a, b] + options)
    #expect(result.messages.isEmpty, "\(result.messages)")
    return (result.code, result.output.replacing(folder.path + "/", with: ""))
  }

  @Test func aGraphThatReadsOtherStates() throws {
    let found = try diff(Self.program(), Self.program(sampled: "smoothed"))
    #expect(found.code == 4)
    #expect(
      found.output == """
        graph sample: 4 renamed
          ~ state "generator/dense/kernel" -> state "smoothed/dense/kernel" f32[3, 8]
          ~ state "generator/dense/bias" -> state "smoothed/dense/bias" f32[8]
          ~ state "generator/dense_1/kernel" -> state "smoothed/dense_1/kernel" f32[8, 6]
          ~ state "generator/dense_1/bias" -> state "smoothed/dense_1/bias" f32[6]

        """)
  }

  @Test func aGraphThatReadsOtherData() throws {
    let found = try diff(Self.program(), Self.program(real: "other"))
    #expect(found.code == 4)
    #expect(!found.output.contains("data: ") && !found.output.contains("states: "))
    #expect(found.output.contains("data \"other\" round 0"), "\(found.output)")
  }

  /// The lists say which states are renamed, gone and new; the graphs say the rest.
  @Test func whatListsSayIsSaidOnce() throws {
    let found = try diff(Self.program(), Self.program(optimizer: "sgd(0.1)"))
    #expect(found.output.contains("- update-discriminator/discriminator/dense/kernel/m: f32[6, 4]"))
    for line in ["  - state \"update-discriminator", "  - output state \"update-discriminator"] {
      #expect(!found.output.contains(line))
    }
    let retyped = try diff(Self.program(), Self.program(states: "dense(7)"))
    #expect(retyped.output.contains("~ generator/dense/kernel: f32[3, 8], uniform in -0.738549..."))
    #expect(!retyped.output.contains("state \"generator/dense/kernel\""), "\(retyped.output)")
  }

  /// States that a graph reads in place of others are new all the same, where the others are still there.
  @Test func statesInPlaceOfOthers() throws {
    let without = Self.program().replacing("average generator as smoothed decay 0.9", with: "")
    let found = try diff(without, Self.program(sampled: "smoothed"))
    #expect(found.output.contains("parameters and states: 4 differ"), "\(found.output)")
    #expect(
      found.output.contains(
        "+ smoothed/dense/bias: f32[8], a copy of generator/dense/bias, average"))
    #expect(found.output.contains("graph sample: 4 renamed"))
    let back = try diff(Self.program(sampled: "smoothed"), without)
    #expect(back.output.contains("- smoothed/dense/bias: ") && back.code == 4)
  }

  /// Where a name in front of many others changed and nothing else did, one line says so; JSON has each.
  @Test func prefixes() throws {
    let before = Self.program()
    let after = Self.program().replacing(
      "update discriminator minimizing dLoss with adam(0.1)",
      with: "update discriminator minimizing dLoss with dAdam"
    ).replacing("train(steps", with: "optimizer dAdam = adam(0.1)\ntrain(steps")
    let found = try diff(before, after)
    #expect(
      found.output.contains("  ~ update-discriminator/… -> dAdam/…: 9 names, nothing else\n"),
      "\(found.output)")
    let json = try diff(before, after, "--json")
    let states = try #require(
      JSONValue.parse(json.output, name: "json")["states"]?.arrayValue)
    #expect(states.count == 9 && states.allSatisfy { $0["kind"]?.stringValue == "renamed" })
    #expect(states.allSatisfy { $0["new_name"]?.stringValue?.hasPrefix("dAdam/") == true })
  }

  /// Networks may be called as the step or a sample is.
  @Test func graphsOfOneName() throws {
    let before = Self.program(discriminator: "train")
    let after = before.replacing(
      "x |> dense(4) |> relu()", with: "x |> dense(4) |> tanh()")
    let found = try diff(before, after)
    #expect(found.output.contains("graph train: 3 changed"), "\(found.output)")
    #expect(found.output.contains("graph network:train: 1 changed"), "\(found.output)")
    let one = try diff(before, after, "--graph", "network:train")
    #expect(one.code == 4 && one.output.hasPrefix("graph train: 1 changed"), "\(one.output)")
  }

  /// Numbers that differ beyond what is shown are shown whole.
  @Test func numbers() throws {
    func text(_ rate: String) -> String {
      Self.program(states: "dense(8, init: normal(\(rate)))")
    }
    let near = try diff(text("0.123456789"), text("0.1234567"))
    #expect(
      near.output.contains("normal of deviation 0.123456789, parameter -> "), "\(near.output)")
    let far = try diff(text("0.123456789"), text("0.2"))
    #expect(far.output.contains("normal of deviation 0.123457, parameter -> "), "\(far.output)")
  }
}
