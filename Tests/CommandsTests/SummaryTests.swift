// The tables of `gan-compile FILE`: golden text of two programs, the parameter counts and shapes of
// all networks.

import CommandSupport
import Formats
import Foundation
import TestSupport
import Testing

@Suite struct SummaryTests {
  /// What the tutorials' own summaries say: trainable, total, output shape of one example.
  private static let counts:
    [(model: String, network: String, trainable: Int, total: Int, output: String)] = [
      ("fashion-gan", "generator", 2_155_137, 2_155_137, "28, 28, 1"),
      ("fashion-gan", "discriminator", 1_113_345, 1_113_345, "1"),
      ("dcgan-mnist", "generator", 2_305_472, 2_330_944, "28, 28, 1"),
      ("dcgan-mnist", "discriminator", 212_865, 212_865, "1"),
      ("dcgan-fashion", "generator", 1_719_873, 1_727_233, "28, 28, 1"),
      ("dcgan-fashion", "discriminator", 55_233, 55_233, "1"),
      ("dense-gan", "generator", 1_486_352, 1_486_352, "28, 28, 1"),
      ("dense-gan", "discriminator", 533_505, 533_505, "1"),
      ("vanilla-gan", "generator", 1_510_032, 1_513_616, "28, 28, 1"),
      ("vanilla-gan", "discriminator", 533_505, 533_505, "1"),
      ("vanilla-gan-tf", "generator", 1_510_032, 1_513_616, "28, 28, 1"),
      ("vanilla-gan-tf", "discriminator", 533_505, 533_505, "1"),
    ]

  @Test(arguments: Places.models)
  func parameterCountsAndShapes(model: String) throws {
    let result = compile(Places.graph(model), "--emit", "json")
    #expect(result.code == 0, "\(result.messages)")
    let networks = try JSONValue.parse(result.output, name: "json")["networks"]?.arrayValue ?? []
    let wanted = Self.counts.filter { $0.model == model }
    #expect(networks.count == 2 && wanted.count == 2)
    for row in wanted {
      let network = try #require(networks.first { $0["name"]?.stringValue == row.network })
      #expect(network["trainable"]?.intValue == row.trainable)
      #expect(network["total"]?.intValue == row.total)
      let output = network["results"]?.arrayValue?.first?.stringValue ?? ""
      #expect(output.hasSuffix(", \(row.output)]"), "\(output)")
      // The layers add up to the whole.
      let layers = network["layers"]?.arrayValue ?? []
      #expect(layers.reduce(0) { $0 + ($1["trainable"]?.intValue ?? 0) } == row.trainable)
      #expect(layers.reduce(0) { $0 + ($1["total"]?.intValue ?? 0) } == row.total)
    }
  }

  /// The text up to the costs, which passes may change.
  private func networks(_ model: String) -> String {
    let text = compile(Places.graph(model)).output
    return text.components(separatedBy: "\ntrain: ")[0].trimmingCharacters(in: .newlines)
  }

  @Test func tablesOfDcganFashion() {
    let expected = """
      model "dcgan-fashion"
        data images: f32[128, 28, 28, 1] in -1.0...1.0 from "fashion-mnist", replacement

      network generator(z: f32[128, 100]) -> f32[128, 28, 28, 1]
        layer              kind             output                   parameters
        dense              dense            f32[128, 512]                51,712
        relu               relu             f32[128, 512]
        batchNorm          batchNorm        f32[128, 512]         1,024 + 1,024
        dense_1            dense            f32[128, 3136]            1,608,768
        relu               relu             f32[128, 3136]
        batchNorm_1        batchNorm        f32[128, 3136]        6,272 + 6,272
        reshape            reshape          f32[128, 7, 7, 64]
        convTranspose2D    convTranspose2D  f32[128, 14, 14, 32]         51,232
        relu               relu             f32[128, 14, 14, 32]
        batchNorm_2        batchNorm        f32[128, 14, 14, 32]        64 + 64
        convTranspose2D_1  convTranspose2D  f32[128, 28, 28, 1]             801
        tanh               tanh             f32[128, 28, 28, 1]
        1,719,873 trainable parameters, 1,727,233 in total

      network discriminator(image: f32[256, 28, 28, 1]) -> f32[256, 1]
        layer      kind       output                parameters
        conv2D     conv2D     f32[256, 14, 14, 32]         832
        leakyReLU  leakyReLU  f32[256, 14, 14, 32]
        conv2D_1   conv2D     f32[256, 7, 7, 64]        51,264
        leakyReLU  leakyReLU  f32[256, 7, 7, 64]
        flatten    flatten    f32[256, 3136]
        dense      dense      f32[256, 1]                3,137
        sigmoid    sigmoid    f32[256, 1]
        55,233 trainable parameters, 55,233 in total
      """
    #expect(networks("dcgan-fashion") == expected)
  }

  @Test func tablesOfDenseGan() {
    let expected = """
      model "dense-gan"
        data images: f32[32, 28, 28, 1] in -1.0...1.0 from "fashion-mnist", replacement

      network generator(z: f32[32, 100]) -> f32[32, 28, 28, 1]
        layer      kind       output              parameters
        dense      dense      f32[32, 256]            25,856
        leakyReLU  leakyReLU  f32[32, 256]
        dropout    dropout    f32[32, 256]
        dense_1    dense      f32[32, 512]           131,584
        leakyReLU  leakyReLU  f32[32, 512]
        dropout    dropout    f32[32, 512]
        dense_2    dense      f32[32, 1024]          525,312
        leakyReLU  leakyReLU  f32[32, 1024]
        dropout    dropout    f32[32, 1024]
        dense_3    dense      f32[32, 784]           803,600
        tanh       tanh       f32[32, 784]
        reshape    reshape    f32[32, 28, 28, 1]
        1,486,352 trainable parameters, 1,486,352 in total

      network discriminator(image: f32[32, 28, 28, 1]) -> f32[32, 1]
        layer      kind       output        parameters
        flatten    flatten    f32[32, 784]
        dense      dense      f32[32, 512]     401,920
        leakyReLU  leakyReLU  f32[32, 512]
        dense_1    dense      f32[32, 256]     131,328
        leakyReLU  leakyReLU  f32[32, 256]
        dense_2    dense      f32[32, 1]           257
        sigmoid    sigmoid    f32[32, 1]
        533,505 trainable parameters, 533,505 in total
      """
    #expect(networks("dense-gan") == expected)
  }

  @Test func costsOfAStep() {
    let result = compile(Places.graph("vanilla-gan"))
    #expect(result.messages.isEmpty, "\(result.messages)")
    #expect(result.output.contains("\ntrain: 200 epochs; reports dLoss, gLoss\n"))
    for row in [
      "operations as written", "kernels after all passes", "arithmetic", "memory traffic",
      "activations (planned peak)", "lower bound", "parameters, moments, statistics",
    ] {
      #expect(result.output.contains("  \(row)  "), "\(row)")
    }
    // A batch of half the size: half the work.
    func flops(_ arguments: [String]) throws -> Double {
      let output = compile([Places.graph("vanilla-gan"), "--emit", "json"] + arguments).output
      return try JSONValue.parse(output, name: "json")["step"]?["flops"]?.doubleValue ?? 0
    }
    let ratio = try? flops([]) / flops(["--batch", "64"])
    #expect((1.8...2.1).contains(ratio ?? 0), "\(ratio ?? 0)")
  }
}
