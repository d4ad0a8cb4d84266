// What `gan-compile explain` calls a slip: each kind where it is, and nothing where all is well.

import Basics
import Elaboration
import Testing

/// A sound program; tests change a line of it.
private let sound = """
  model "sound"
  let batch = 4
  let latent = 3
  data images: [batch, 6] in -1...1 from "x.npy"
  optimizer dAdam = adam(1e-3, beta1: 0.5)
  network generator(z: [n, latent]) -> [n, 6] {
    let hidden = z |> dense(8) |> batchNorm() |> relu()
    hidden |> dense(6) |> tanh()
  }
  network discriminator(x: [n, 6]) -> [n, 1] { x |> dense(5) |> relu() |> dense(1) |> sigmoid() }
  train(steps: 3) {
    let fake = generator(normal([batch, latent]))
    let dLoss = bce(discriminator(images), 1) + bce(discriminator(fake), 0)
    update discriminator minimizing dLoss with dAdam
    let gLoss = bce(discriminator(generator(normal([batch, latent]))), 1)
    update generator minimizing gLoss with adam(1e-3)
    report dLoss, gLoss
  }
  sample(count: 2) { generator(normal([count, latent])) }
  """

@Suite struct SlipTests {
  struct Change: Sendable, CustomTestStringConvertible {
    var old: String
    var new: String
    /// `code@line`
    var slips: [String]
    init(_ old: String, _ new: String, _ slips: String...) {
      (self.old, self.new, self.slips) = (old, new, slips)
    }
    var testDescription: String { new }
  }

  private func slips(_ text: String) throws -> [String] {
    let source = SourceText(name: "test.gan", text)
    return try compiled(text).slips.map { slip in
      let range = try #require(slip.range)
      #expect(slip.severity == .warning)
      return "\(slip.code)@\(source.position(of: range.start).line)"
    }
  }

  @Test func aSoundProgramHasNone() throws { #expect(try slips(sound) == []) }

  static let changes: [Change] = [
    Change("batchNorm()", "batchNorm(epsilon: 0.8)", "slip.epsilon@7"),
    Change("batchNorm()", "layerNorm(epsilon: 0.02)", "slip.epsilon@7"),
    Change("batchNorm()", "layerNorm(epsilon: 0.01)"),
    Change("beta1: 0.5)", "epsilon: 0.1)", "slip.epsilon@5"),
    Change("report dLoss", "let spare = mean(fake); report dLoss", "slip.unused@17"),
    Change("let latent", "let width = 9; let latent", "slip.unused@3"),
    Change("optimizer dAdam", "optimizer spare = sgd(0.1); optimizer dAdam", "slip.unused@5"),
    Change("data images", "data spare: [2] from \"y.npy\"; data images", "slip.unused@4"),
    Change("network gen", "network spare(x: [n, 2]) -> [n, 2] { x }; network gen", "slip.unused@6"),
    Change("network gen", "block spare(x) { x |> dense(2) }; network gen", "slip.unused@6"),
    Change("let hidden = z", "let (hidden, _) = (z, 1); let other = hidden", "slip.unused@7"),
    Change("(x: [n, 6])", "(x: [n, 6], y: [n, 6])", "slip.unused@10"),
    Change("update generator minimizing gLoss with adam(1e-3)", "", "slip.frozen@6"),
    Change("{ generator(n", "{ generator(2 * n", "slip.noise@19"),
    Change("{ generator(n", "{ generator(1 - (0 - n", "slip.noise@19"),
    Change("{ generator(n", "{ generator(0 - n"),
    Change("{ generator(n", "{ generator(0.5 * 2 * n"),
    Change("{ generator(n", "{ generator(0 + 1 * n"),
    Change("{ generator(normal(", "{ generator(uniform(", "slip.noise@19"),
    Change("in -1...1", "in 0...1", "slip.range@13", "slip.range@15"),
    Change("|> tanh()", "|> sigmoid()", "slip.range@13", "slip.range@15"),
    Change("bce(discriminator(i", "bceWithLogits(discriminator(i", "slip.logits@13"),
    Change("bce(discriminator(i", "hinge(discriminator(i", "slip.logits@13"),
    Change("bce(discriminator(i", "mse(discriminator(i"),
    Change(
      " |> sigmoid()", "", "slip.probability@13", "slip.probability@13", "slip.probability@15"),
  ]

  @Test(arguments: changes) func eachIsFoundAlone(_ change: Change) throws {
    let parts = sound.split(separator: change.old, maxSplits: 1, omittingEmptySubsequences: false)
    try #require(parts.count == 2)
    var text = parts.joined(separator: change.new)
    // Keeps calls sound where an argument or a bracket was added.
    if change.new.contains("y: [n") {
      text = text.replacing("discriminator(images)", with: "discriminator(images, images)")
        .replacing("discriminator(fake)", with: "discriminator(fake, fake)")
        .replacing("latent]))), 1)", with: "latent])), images), 1)")
    }
    if change.new.contains("1 - (") { text = text.replacing("latent])) }", with: "latent]))) }") }
    #expect(try slips(text) == change.slips)
  }

  @Test func noiseIsComparedByItsDistribution() throws {
    let uniform = sound.replacing("normal(", with: "uniform(")
    #expect(try slips(uniform) == [])
    func drawing(_ noise: String) throws -> [String] {
      try slips(
        uniform.replacing("{ generator(uniform([count, latent])", with: "{ generator(\(noise)"))
    }
    #expect(try drawing("1 - uniform([count, latent])") == [])
    #expect(try drawing("uniform([count, latent]) / 2") == ["slip.noise@19"])
    #expect(try drawing("2 * uniform([count, latent]) / 2") == [])
  }

  /// What is brought between 0 and 1 by other means than a sigmoid at the end.
  @Test func otherProbabilities() throws {
    for end in ["sigmoid(h) * 0.9 + 0.05", "0.5 * tanh(h) + 0.5", "clip(h, 0, 1)"] {
      let text = sound.replacing(
        "{ x |> dense(5) |> relu() |> dense(1) |> sigmoid() }",
        with: "{ let h = x |> dense(5) |> relu() |> dense(1); \(end) }")
      #expect(try slips(text) == [], "\(end)")
    }
  }

  @Test func probabilitiesInCrossEntropy() throws {
    let text = """
      let rows = 4
      data x: [rows, 6] from "x.npy"
      data ids: i32[rows] from "y.npy", with: x
      network classifier(x: [n, 6]) -> [n, 3] { x |> dense(3) |> softmax() }
      train(steps: 1) {
        let loss = crossEntropy(classifier(x), ids)
        update classifier minimizing loss with sgd(0.1)
        report loss
      }
      """
    #expect(try slips(text) == ["slip.logits@6"])
    #expect(try slips(text.replacing(" |> softmax()", with: "")) == [])
  }
}
