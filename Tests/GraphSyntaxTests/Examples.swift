// The programs that the tests take apart: the two of the language's description, one that holds every
// construct, and those in Graphs/.

import Basics
import TestSupport

@testable import GraphSyntax

enum Examples {
  static let simple = """
    // A fully connected GAN on Fashion-MNIST.
    model "simple-gan"

    let batch  = 128
    let latent = 100

    data images: [batch, 28, 28, 1] in -1...1 from "fashion-mnist"

    network generator(z: [n, latent]) -> [n, 28, 28, 1] {
      z |> dense(128)                                  |> leakyReLU(0.2)
        |> dense(256)  |> batchNorm()                  |> leakyReLU(0.2)
        |> dense(512)  |> batchNorm()                  |> leakyReLU(0.2)
        |> dense(1024) |> batchNorm()                  |> leakyReLU(0.2)
        |> dense(28 * 28) |> tanh()
        |> reshape([n, 28, 28, 1])
    }

    network discriminator(image: [n, 28, 28, 1]) -> [n, 1] {
      image |> flatten()
        |> dense(512) |> leakyReLU(0.2)
        |> dense(256) |> leakyReLU(0.2)
        |> dense(1)   |> sigmoid()
    }

    train(epochs: 20) {
      let z    = normal([batch, latent])
      let fake = generator(z)
      let dLoss = bce(discriminator(images), 1) + bce(discriminator(fake), 0)
      update discriminator minimizing dLoss with adam(2e-4, beta1: 0.5)

      let gLoss = bce(discriminator(generator(z)), 1)
      update generator minimizing gLoss with adam(2e-4, beta1: 0.5)

      report dLoss, gLoss
    }

    sample(count: 16) {
      generator(normal([count, latent]))
    }
    """

  static let penalty = """
    train(steps: 20000) {
      repeat 5 {
        let fake = stopGradient(generator(normal([batch, latent])))
        let mix  = uniform([batch, 1, 1, 1])
        let between = mix * images + (1 - mix) * fake
        let slope = norm(gradient(of: sum(critic(between)), wrt: between), axes: [1, 2, 3])
        let cLoss = mean(critic(fake)) - mean(critic(images)) + 10 * mean(square(slope - 1))
        update critic minimizing cLoss with adam(1e-4, beta1: 0.5, beta2: 0.9)
      }
      let gLoss = -mean(critic(generator(normal([batch, latent]))))
      update generator minimizing gLoss with adam(1e-4, beta1: 0.5, beta2: 0.9)
      report cLoss, gLoss
    }
    """

  /// Every construct of the language once.
  static let everything = """
    model "all" // the name
    let batch = 32; let rates = [1e-4, 2e-4]
    let flag = true
    data images: [batch, 8, 8, 1] in -1...1 from "synthetic", order: replacement
    data labels: i32[batch] from images.labels
    data other: f32[batch] from "x.npy", order: sequential, with: images
    optimizer shared = adam(1e-3 / (1 + step % 2), beta1: 0.5)
    block conv(x, filters, k = 3) {
      let y = x |> conv2D(filters, k, bias: false)
      y |> batchNorm() |> relu()
    }
    network g(z: [n, 100], labels: i32[n]) -> ([n, 1], f32[n, 10]) {
      let (a, _) = split(z, 2, axis: 1)
      let c = -a * (z + 1) - images.scale
      /* the pair */
      (dense(c, 1), z |> dense(10))
    }
    network h(x: []) -> [] { x }
    train(steps: 100) {
      repeat 2 * 1 {
        let l = mean(square(g(normal([batch, 100]))))
        update g, h minimizing l with shared
      }
      state last: f32[batch, 1] = zeros([batch, 1])
      last = 3 < 4
      update { g minimizing a with sgd(1); h minimizing b with shared }
      average g as smooth decay 0.999
      report l, m
      every 10 steps { sample; sample final; checkpoint }
      every 2 epochs {
        report l
      }
    }
    sample { g(normal([count, 100])) }
    sample final(count: 16, seed: 1) {
      smooth(normal([count, 100]))
    }
    state history: f32[50, 8] = zeros([50, 8])
    """

  static let all = [simple, penalty, everything]

  /// The programs in Graphs/, by file name.
  static func graphs() throws -> [(name: String, text: String)] {
    try Places.names(in: "Graphs").filter { $0.hasSuffix(".gan") }.map { name in
      (name, String(decoding: try Places.bytes("Graphs/\(name)"), as: UTF8.self))
    }
  }
}

func parseText(_ text: String) -> ParseResult { parse(SourceText(name: "test.gan", text)) }

/// The tree without places.
func tree(_ text: String) -> String {
  let source = SourceText(name: "test.gan", text)
  return dumpSyntax(parse(source).file, source: source, ranges: false)
}

/// The tree of an expression, one line.
func shape(_ text: String) -> String {
  guard let expression = try? parseExpression(SourceText(name: "e", text)) else { return "error" }
  return shape(expression)
}

func shape(_ expression: GraphSyntax.Expression) -> String {
  func call(_ call: Call) -> String {
    let arguments = call.arguments.map { ($0.label.map { "\($0.text):" } ?? "") + shape($0.value) }
    return "\(call.function.text)(\(arguments.joined(separator: " ")))"
  }
  switch expression.kind {
  case .integer(let value): return "\(value)"
  case .float(let value): return "\(value)"
  case .string(let value): return "'\(value)'"
  case .boolean(let value): return "\(value)"
  case .name(let name): return name
  case .member(let base, let name): return "\(shape(base)).\(name.text)"
  case .call(let value): return call(value)
  case .list(let values): return "[\(values.map(shape).joined(separator: " "))]"
  case .tuple(let values): return "<\(values.map(shape).joined(separator: " "))>"
  case .unary(_, let value): return "(-\(shape(value)))"
  case .binary(let symbol, let left, let right, _):
    return "(\(shape(left))\(symbol.rawValue)\(shape(right)))"
  case .pipe(let head, let stages):
    return ([shape(head)] + stages.map { call($0.call) }).joined(separator: "|")
  }
}
