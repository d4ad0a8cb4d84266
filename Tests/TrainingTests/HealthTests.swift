// Warnings about runs that are not well: each rule by itself on made-up numbers, and whole runs of tiny programs in which
// something is planted.

import Basics
import CommandSupport
import Formats
import Foundation
import Testing

@testable import Training

@Suite struct HealthRuleTests {
  private func isBegun(_ finding: RuleFinding?) -> Bool {
    if case .began = finding { true } else { false }
  }
  private func isEnded(_ finding: RuleFinding?) -> Bool {
    if case .ended = finding { true } else { false }
  }

  // MARK: Flat losses

  @Test func flatLoss() {
    var rule = FlatLossRule(report: "loss", origin: .init())
    var found: [Int] = []
    // Moves by the last bits only.
    for step in 1...1000 where rule.note(0.5 + (step % 2 == 0 ? 1e-8 : 0)) != nil {
      found.append(step)
    }
    #expect(found == [FlatLossRule.window], "told once")
    let end = rule.note(0.51)
    #expect(isEnded(end))
    #expect(rule.note(0.52) == nil)
  }

  @Test func movingLossesAreNotFlat() {
    var rule = FlatLossRule(report: "loss", origin: .init())
    for step in 1...5000 { #expect(rule.note(1e-6 * (1 + 1e-4 * Double(step % 7))) == nil) }
    // Zeros, as of a hinge loss, with something in between.
    for step in 1...5000 { #expect(rule.note(step % 150 == 0 ? 0.1 : 0) == nil) }
  }

  // MARK: Duels

  private func duel(makerScale: LossScale? = LossScale(chance: 0.6931, best: 0)) -> DuelRule {
    DuelRule(
      TrainingRoles.Duel(
        judge: "d", maker: "g", judgeReports: ["a", "b"], makerReports: ["c"],
        judgeScale: LossScale(chance: 1.3863, best: 0), makerScale: makerScale, origin: .init()))
  }

  /// What a rule tells in so many steps of the same losses, and when.
  private func run(
    _ rule: inout DuelRule, _ steps: Int, judge: Double, maker: (Int) -> Double
  ) -> [(step: Int, kind: HealthEvent.Kind, finding: RuleFinding)] {
    (1...steps).compactMap { step in
      rule.note([("a", judge / 4), ("b", 3 * judge / 4), ("c", maker(step))]).map {
        (step, $0.0, $0.1)
      }
    }
  }

  @Test func theDiscriminatorWins() throws {
    var rule = duel()
    #expect(run(&rule, 1000, judge: 0.4) { _ in 3 }.isEmpty, "ahead is not won")
    let won = run(&rule, 2000, judge: 0.01) { 5 + 0.001 * Double($0) }
    #expect(won.map(\.kind) == [.discriminatorWins])
    #expect(won.first?.step == DuelRule.block * DuelRule.blocks)
    let over = run(&rule, 200, judge: 0.9) { _ in 1 }
    #expect(over.count == 1)
    #expect(isEnded(over.first?.finding))
  }

  @Test func aGeneratorThatCatchesUpIsNotBeaten() {
    var rule = duel()
    #expect(
      run(&rule, 2000, judge: 0.01) { 8 * exp(-0.002 * Double($0)) }.filter { $0.step < 1000 }
        .isEmpty)
    // Perfect on both sides: the samples of training are not those that are judged.
    var both = duel()
    #expect(run(&both, 2000, judge: 1e-4) { _ in 1e-6 }.isEmpty)
  }

  @Test func theDiscriminatorLoses() {
    var rule = duel()
    #expect(run(&rule, 1000, judge: 1.39) { _ in 0.7 }.isEmpty, "2·ln 2 is the balance")
    let lost = run(&rule, 1000, judge: 4) { _ in 0.02 }
    #expect(lost.map(\.kind) == [.discriminatorLoses])
    var alone = duel(makerScale: nil)
    let later = run(&alone, 2000, judge: 4) { _ in 0.02 }
    #expect(later.first?.step == DuelRule.block * DuelRule.blocksAlone)
  }

  /// Losses of the generator that are reported in an `every` block only.
  @Test func aGeneratorThatIsReportedNowAndThen() {
    func told(_ judge: Double, _ maker: Double) -> (HealthEvent.Kind, RuleFinding)? {
      var rule = duel()
      var last: (HealthEvent.Kind, RuleFinding)?
      for step in 1...(DuelRule.block * DuelRule.blocks) {
        var reports: [(name: String, value: Double)] = [("a", judge / 2), ("b", judge / 2)]
        if step % 10 == 0 { reports.append(("c", maker)) }
        last = rule.note(reports) ?? last
      }
      return last
    }
    // A tenth of 5 would look like a generator that is ahead of chance.
    let won = told(0.01, 5)
    #expect(won?.0 == .discriminatorWins)
    if case .began(let message)? = won?.1 { #expect(message.contains("(c) is 5"), "\(message)") }
    // A tenth of 0.65 would look like one that fools it.
    #expect(told(4, 0.65)?.0 == nil)
    // Where nothing is reported there is no standing, and the judge alone is looked at, for longer.
    var alone = duel()
    let steps = (1...1000).filter { _ in alone.note([("a", 2), ("b", 2)]) != nil }
    #expect(steps == [DuelRule.block * DuelRule.blocksAlone])
  }

  // MARK: Movement

  @Test func vanishedGradients() {
    var rule = MovementRule(network: "g")
    for _ in 0..<5 { #expect(rule.note(weights: 0.1, change: 1e-4, gradient: 1e-3).isEmpty) }
    // A rate near 0 is no vanished gradient.
    for _ in 0..<9 { #expect(rule.note(weights: 0.1, change: 0, gradient: 1e-3).isEmpty) }
    let found = (1...9).map { _ in rule.note(weights: 0.1, change: 1e-10, gradient: 1e-8) }
    #expect(found.flatMap { $0 }.map(\.0) == [.vanishingGradients])
    #expect(found.firstIndex { !$0.isEmpty } == MovementRule.measures - 1)
    #expect(isEnded(rule.note(weights: 0.1, change: 1e-4, gradient: 1e-3).first?.1))
  }

  @Test func explodingWeights() {
    var rule = MovementRule(network: "g")
    let found = (0..<20).flatMap { index in
      rule.note(weights: 0.1 * Double(1 << index), change: 1, gradient: nil)
    }
    // At 128 times the first weights, and again at 16384 times.
    #expect(found.map(\.0) == [.explodingWeights, .explodingWeights])
  }

  /// Also networks that never learn in a step with a multiple of the interval.
  @Test func everyLearnerIsMeasured() {
    let moments = MeasureMoments(interval: 10, periods: ["two": [2], "far": [25], "both": [4, 6]])
    func steps(_ network: String) -> [Int] {
      (0..<60).filter { moments.isDue(network, step: $0) }
    }
    #expect(steps("each") == [0, 10, 20, 30, 40, 50])
    #expect(steps("two") == [1, 11, 21, 31, 41, 51])
    #expect(steps("far") == [24, 49])
    #expect(steps("both") == [3, 11, 23, 31, 41, 51])
  }

  // MARK: Collapse

  private func told(_ values: [Double], count: Int = 16, ofData: Double? = 0.75, every: Int = 100)
    -> [Int]
  {
    var rule = CollapseRule(sample: "")
    return values.indices.filter {
      isBegun(rule.note(values[$0], step: ($0 + 1) * every, count: count, ofData: ofData))
    }
  }

  @Test func collapse() {
    let rise = [0.1, 0.3, 0.5, 0.6, 0.6]
    #expect(told(rise + [0.2, 0.2, 0.2, 0.2, 0.2]) == [7], "once, in the third sample")
    #expect(told(rise + [0.2, 0.5, 0.2, 0.2, 0.5, 0.2]).isEmpty, "no three in a row")
    #expect(
      told(rise + [0.2, 0.2, 0.2, 0.19, 0.04, 0.04]) == [7, 9], "again where it gets much worse")
    #expect(told(rise + [0.2, 0.2, 0.2, 0.5, 0.2, 0.2, 0.2]) == [7, 11], "again after its end")
    #expect(told(rise + [0.2, 0.2, 0.2], count: 3).isEmpty, "a rough measure")
    #expect(told([0.6, 0.6, 0.6, 0.2, 0.2, 0.2], ofData: nil) == [5])
  }

  /// As dcgan-mnist on a short data set: the running statistics have not settled.
  @Test func whatWasNeverDifferentHasNotCollapsedYet() {
    #expect(
      told([0.052, 0.087, 0.064, 0.032, 0.019, 0.003, 0.003, 0.003, 0.003, 0.003, 0.003]).isEmpty)
    #expect(told([Double](repeating: 0.003, count: 40)) == [29])
  }

  @Test func distances() throws {
    // Two of three images are equal, the third is 2 away in each element.
    let values: [Float] = [1, 1, 1, 1, 3, 3]
    let mean = try #require(Diversity.of(values, rows: 3, elements: 2))
    #expect(abs(mean - 4.0 / 3) < 1e-6)
    #expect(Diversity.of(values, rows: 1, elements: 2) == nil)
    #expect(Diversity.of(values, rows: 4, elements: 2) == nil)
    #expect(Diversity.compared(100, elements: 10) == 64)
    #expect(Diversity.compared(100, elements: 1 << 24) == 2)
  }

  @Test func measuresAsLines() throws {
    let measures: [HealthMeasure] = [
      .movement(network: "g", weights: 0.1, change: 1e-300, gradient: nil),
      .movement(network: "g", weights: 1.0 / 3, change: 0, gradient: 2e-7),
      .diversity(sample: "", count: 16, value: 0.1 + 0.2, ofData: 0.75),
      .diversity(sample: "x", count: 2, value: 0, ofData: nil),
    ]
    for measure in measures {
      let text = measure.line(step: 7).text()
      #expect(HealthMeasure(try JSONValue.parse(text, name: "health")) == measure, "\(text)")
    }
    #expect(HealthMeasure(.object([])) == nil)
    #expect(HealthMeasure(["measure": "movement", "network": .int(3)]) == nil)
  }
}

@Suite struct HealthRunTests {
  private struct Run {
    var folder: TemporaryFolder
    var program: String
    var messages: String
    var events: [JSONValue]
    var path: String { folder.file("run") }

    func first(_ kind: HealthEvent.Kind) -> JSONValue? {
      events.first { $0["kind"]?.stringValue == kind.rawValue }
    }

    /// The line of the program that an event names.
    func line(_ event: JSONValue?) throws -> String {
      let number = try #require(event?["line"]?.intValue)
      let lines = try lines(program)
      return try #require(number >= 1 && number <= lines.count ? lines[number - 1] : nil)
    }

    private func lines(_ path: String) throws -> [String] {
      String(decoding: try contents(path), as: UTF8.self)
        .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }
  }

  private func events(_ run: String) throws -> [JSONValue] {
    try lines("\(run)/log.jsonl").map { try JSONValue.parse($0, name: "log") }
      .filter { $0["event"]?.stringValue == "health" }
  }

  /// Runs a tiny program whose text is changed.
  private func train(_ length: String, _ changes: [(String, String)]) throws -> Run {
    let folder = try TemporaryFolder()
    let path = try Tiny.make(in: folder, train: length)
    var text = String(decoding: try contents(path), as: UTF8.self)
      .replacingOccurrences(of: "sample(count: 4)", with: "sample(count: 8)")
    for (old, new) in changes {
      #expect(text.contains(old))
      text = text.replacingOccurrences(of: old, with: new)
    }
    try folder.write(text, to: "tiny.gan")
    let result = exec("train", path, "--out", folder.file("run"), "--quiet")
    #expect(result.code == 0, "\(result.messages)")
    return Run(
      folder: folder, program: path, messages: result.messages,
      events: try events(folder.file("run")))
  }

  /// After 100 steps everything is pulled to one image.
  private static let pull = (
    "update generator minimizing gLoss",
    "update generator minimizing gLoss + where(step > 100, 100.0, 0.0) * mse(generator(normal([batch, 3])), 0.5)"
  )
  private static let plain = ("dense(8) |> batchNorm() |> relu()", "dense(16) |> leakyReLU(0.2)")

  @Test func collapse() throws {
    let run = try train("epochs: 40", [Self.pull, Self.plain])
    let event = run.first(.collapse)
    let step = try #require(event?["step"]?.intValue)
    #expect(step > 100)
    #expect(try run.line(event).contains("update generator"))
    #expect(
      run.messages.contains("warning: step \(step): the samples have become alike (collapse)"),
      "\(run.messages)")
  }

  /// A run that goes on warns as the whole one does, to the bytes of its log and of what was measured.
  @Test(arguments: [60, 127, 131])
  func goingOnChangesNoWarning(stop: Int) throws {
    let whole = try train("epochs: 40", [Self.pull, Self.plain])
    let parts = whole.folder.file("parts")
    #expect(exec("train", whole.program, "--out", parts, "--steps", "\(stop)", "--quiet").code == 0)
    #expect(exec("train", whole.program, "--resume", parts, "--quiet").code == 0)
    try expectSameRun(whole.path, parts)
    #expect(try contents("\(whole.path)/health.jsonl") == contents("\(parts)/health.jsonl"))
    #expect(!whole.events.isEmpty)
  }

  @Test(arguments: [1, 2, 3])
  func whatIsUpdatedNowAndThenIsMeasured(stop: Int) throws {
    let update = "update generator minimizing gLoss with adam(rate)"
    let whole = try train("steps: 8", [(update, "every 2 steps {\n    \(update)\n  }")])
    let measured = try lines("\(whole.path)/health.jsonl").map {
      try JSONValue.parse($0, name: "health")
    }
    func steps(_ network: String) -> [Int] {
      measured.filter { $0["network"]?.stringValue == network }.compactMap { $0["step"]?.intValue }
    }
    #expect(steps("discriminator") == [1])
    #expect(steps("generator") == [2])
    let parts = whole.folder.file("parts")
    #expect(exec("train", whole.program, "--out", parts, "--steps", "\(stop)", "--quiet").code == 0)
    #expect(exec("train", whole.program, "--resume", parts, "--quiet").code == 0)
    #expect(try contents("\(whole.path)/health.jsonl") == contents("\(parts)/health.jsonl"))
  }

  @Test func aGeneratorThatDoesNotLearn() throws {
    let run = try train(
      "steps: 2500",
      [("minimizing gLoss with adam(rate)", "minimizing gLoss with adam(0)"), Self.plain])
    let event = run.first(.discriminatorWins)
    #expect(event?["subject"]?.stringValue == "discriminator")
    #expect(try run.line(event).contains("update discriminator"))
    // Its gradients are there: it is the rate that is 0.
    #expect(run.first(.vanishingGradients) == nil)
  }

  @Test func saturation() throws {
    // tanh of some million has no gradient.
    let run = try train(
      "steps: 2100",
      [
        (
          "z |> dense(8) |> batchNorm() |> relu() |> dense(36) |> tanh()",
          "1000000.0 + (z |> dense(8) |> relu() |> dense(36)) |> tanh()"
        )
      ])
    let event = run.first(.vanishingGradients)
    #expect(event?["subject"]?.stringValue == "generator", "\(run.messages)")
    #expect(try run.line(event).contains("update generator"))
  }

  @Test func aLossThatStandsStill() throws {
    let run = try train(
      "steps: 300",
      [
        (
          "update generator minimizing gLoss",
          "let still = hinge(1e6 + discriminator(fake), 1)\n  update generator minimizing gLoss + still"
        ), ("report dLoss, gLoss", "report dLoss, gLoss, still"),
      ])
    let event = run.first(.flatLoss)
    #expect(event?["subject"]?.stringValue == "still", "\(run.messages)")
    #expect(event?["step"]?.intValue == FlatLossRule.window)
    #expect(try run.line(event).contains("let still = hinge("))
  }

  @Test func aHealthyRunIsLeftInPeace() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder, train: "epochs: 30")
    let result = exec(
      "train", program, "--set", "rate=1e-3", "--out", folder.file("run"), "--quiet")
    #expect(result.code == 0)
    #expect(try events(folder.file("run")).isEmpty, "\(result.messages)")
    let measured = try lines("\(folder.file("run"))/health.jsonl")
    // Two networks after the first step, and a sample each epoch.
    #expect(measured.count == 32)
  }
}
