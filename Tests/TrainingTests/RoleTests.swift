// Who judges whom is read from programs, not from names, and what their losses are worth from the graph.

import Basics
import Elaboration
import Formats
import TestSupport
import Testing

@testable import Training

@Suite struct RoleTests {
  private static let ln2 = 0.6931471805599453

  private func roles(_ source: ProgramSource) throws -> TrainingRoles {
    let train = try #require(source.program.train)
    return TrainingRoles(try #require(train.variants.last), source.program)
  }

  private func roles(_ text: String) throws -> TrainingRoles {
    try roles(ProgramSource(SourceText(name: "roles.gan", text), settings: []))
  }

  @Test(arguments: [
    ("dense-gan", ln2, 0), ("vanilla-gan", 2 * ln2, 0), ("vanilla-gan-tf", 2 * ln2, 0),
    ("dcgan-fashion", ln2, 0), ("dcgan-mnist", 2 * ln2, 0), ("fashion-gan", 0.69, 0.25),
  ])
  func theSixPrograms(name: String, chance: Double, best: Double) throws {
    let source = try ProgramSource(path: Places.graph(name), settings: [("batch", "8")])
    let roles = try roles(source)
    let duel = try #require(roles.duels.first)
    #expect(roles.duels.count == 1)
    #expect(duel.judge == "discriminator" && duel.maker == "generator")
    #expect(duel.judgeReports == ["dLoss"] && duel.makerReports == ["gLoss"])
    #expect(abs(duel.judgeScale.chance - chance) < 0.01, "\(duel.judgeScale)")
    #expect(abs(duel.judgeScale.best - best) < 0.06, "\(duel.judgeScale)")
    let maker = try #require(duel.makerScale)
    #expect(abs(maker.chance - Self.ln2) < 0.01 && abs(maker.best) < 0.01, "\(maker)")
    // Accuracies and probabilities are no losses.
    #expect(roles.reports.map(\.name) == ["dLoss", "gLoss"])
    #expect(roles.learners == ["discriminator", "generator"])
  }

  /// A program whose networks have names that say nothing; `losses` makes `a` and `b` of `real` and `fake`.
  private func program(_ losses: String, reports: String = "a, b") -> String {
    """
    model "roles"
    data images: [4, 6] from "x.npy"
    network first(z: [n, 3]) -> [n, 6] { z |> dense(6) }
    network second(x: [n, 6]) -> [n, 1] { x |> dense(1) }
    train(steps: 5) {
      let made = first(normal([4, 3]))
      let real = second(images)
      let fake = second(made)
      \(losses)
      update {
        second minimizing a with adam(0.1)
        first minimizing b with adam(0.1)
      }
      report \(reports)
    }
    """
  }

  @Test(arguments: [
    ("let a = hinge(real, 1) + hinge(fake, -1)\n let b = mse(fake, 1)", 2.0),
    ("let a = mse(real, 1) + mse(fake, 0)\n let b = mse(fake, 1)", 0.5),
    ("let a = bceWithLogits(real - fake, 1)\n let b = bceWithLogits(fake - real, 1)", ln2),
  ])
  func otherLosses(losses: String, chance: Double) throws {
    let duel = try #require(try roles(program(losses)).duels.first)
    #expect(duel.judge == "second" && duel.maker == "first")
    #expect(abs(duel.judgeScale.chance - chance) < 0.01, "\(duel.judgeScale)")
    #expect(abs(duel.judgeScale.best) < 0.01, "\(duel.judgeScale)")
    #expect(duel.makerScale != nil)
  }

  /// Nothing is said where there is nothing to know.
  @Test(arguments: [
    // No least value.
    "let a = mean(fake) - mean(real)\n let b = -mean(fake)",
    // A penalty on gradients.
    """
    let p = mean(square(gradient(sum(real), images)))
      let a = mse(real, 1) + mse(fake, 0) + p
      let b = mse(fake, 1)
    """,
  ])
  func lossesWithoutScale(losses: String) throws {
    #expect(try roles(program(losses)).duels.isEmpty)
  }

  @Test func aMakerWithOtherAims() throws {
    let roles = try roles(
      program(
        "let a = mse(real, 1) + mse(fake, 0)\n let c = mse(fake, 1)\n let b = c + 10 * l1(made, images)",
        reports: "a, c"))
    let duel = try #require(roles.duels.first)
    #expect(duel.makerReports == ["c"] && duel.makerScale != nil)
    #expect(roles.reports.first { $0.name == "c" }?.isPart == true)
  }

  /// The halves of a loss reported one by one are a loss together.
  @Test func reportedInParts() throws {
    let roles = try roles(
      program(
        "let x = mse(real, 1)\n let y = mse(fake, 0)\n let a = x + y\n let b = mse(fake, 1)",
        reports: "x, y, b"))
    let duel = try #require(roles.duels.first)
    #expect(duel.judgeReports == ["x", "y"])
    #expect(abs(duel.judgeScale.chance - 0.5) < 0.01)
  }

  @Test func adecoderIsNoJudge() throws {
    let text = """
      model "auto"
      data images: [4, 6] from "x.npy"
      network encoder(x: [n, 6]) -> [n, 2] { x |> dense(2) }
      network decoder(z: [n, 2]) -> [n, 6] { z |> dense(6) }
      train(steps: 5) {
        let loss = mse(decoder(encoder(images)), images)
        update encoder, decoder minimizing loss with adam(0.1)
        report loss
      }
      """
    let roles = try roles(text)
    #expect(roles.duels.isEmpty)
    #expect(roles.reports.map(\.networks) == [["decoder", "encoder"]])
  }
}
