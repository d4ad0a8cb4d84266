// A GAN so small that a whole run takes a moment, and data for it.

import CommandSupport
import Formats
import Foundation
import Testing

enum Tiny {
  /// 6×6 pictures, batches of 4, an unnamed sample; `train` replaces the length, `body` is added to
  /// the step.
  static func program(
    data: String, train: String = "steps: 20", body: String = "", top: String = ""
  ) -> String {
    """
    model "tiny"

    let batch = 4
    let rate = 1e-2

    data images: [batch, 6, 6, 1] in -1...1 from "\(data)"
    \(top)
    network generator(z: [n, 3]) -> [n, 6, 6, 1] {
      z |> dense(8) |> batchNorm() |> relu() |> dense(36) |> tanh() |> reshape([n, 6, 6, 1])
    }

    network discriminator(image: [n, 6, 6, 1]) -> [n, 1] {
      image |> flatten() |> dense(5) |> leakyReLU(0.2) |> dropout(0.2) |> dense(1)
    }

    train(\(train)) {
      let fake = generator(normal([batch, 3]))
      let dLoss = bceWithLogits(discriminator(images), 1) + bceWithLogits(discriminator(fake), 0)
      update discriminator minimizing dLoss with adam(rate)
      let gLoss = bceWithLogits(discriminator(generator(normal([batch, 3]))), 1)
      update generator minimizing gLoss with adam(rate)
      report dLoss, gLoss
      \(body)
    }

    sample(count: 4) {
      generator(normal([count, 3]))
    }
    """
  }

  /// `count` pictures of `side`×`side` bytes with a pattern.
  static func pictures(_ count: Int, side: Int = 6, seed: Int = 0) -> NPYArray {
    var state = UInt32(truncatingIfNeeded: seed &* 7919 &+ 1)
    let bytes = (0..<count * side * side).map { _ -> UInt8 in
      state = state &* 1_664_525 &+ 1_013_904_223
      return UInt8(state >> 24)
    }
    return NPYArray(element: .u8, shape: [count, side, side], bytes: bytes)
  }

  /// Writes pictures and a program that reads them. Returns the program's path.
  static func make(
    in folder: TemporaryFolder, count: Int = 22, train: String = "steps: 20", body: String = "",
    top: String = ""
  ) throws -> String {
    let data = folder.file("images.npy")
    try FileIO.writeAtomically(try pictures(count).encode(), to: data)
    return try folder.write(
      program(data: data, train: train, body: body, top: top), to: "tiny.gan")
  }
}

/// The bytes of a file of a run.
func contents(_ path: String) throws -> [UInt8] { try FileIO.read(path) }

func lines(_ path: String) throws -> [String] {
  String(decoding: try FileIO.read(path), as: UTF8.self).split(separator: "\n").map(String.init)
}

/// Expects that two runs have the same weights, log and table, bit for bit.
func expectSameRun(
  _ a: String, _ b: String, sourceLocation: SourceLocation = #_sourceLocation
) throws {
  for file in ["weights.safetensors", "log.jsonl", "losses.csv"] {
    let isSame = try contents("\(a)/\(file)") == contents("\(b)/\(file)")
    #expect(isSame, "\(file) differs", sourceLocation: sourceLocation)
  }
}
