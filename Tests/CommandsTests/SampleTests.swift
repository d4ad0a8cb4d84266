// gan-exec sample: which sample is drawn, how many images, and from which files.

import Formats
import Foundation
import CommandSupport
import Testing

/// A GAN without data whose one step takes a moment.
enum Small {
  static let program = """
    model "small"

    let width = 4

    network generator(z: [n, 3]) -> [n, 2, 2, 1] { z |> dense(width) |> reshape([n, 2, 2, 1]) }
    network discriminator(x: [n, 2, 2, 1]) -> [n, 1] { x |> flatten() |> dense(1) }

    train(steps: 1) {
      let loss = bceWithLogits(discriminator(generator(normal([2, 3]))), 1)
      update generator minimizing loss with sgd(0.1)
      let real = bceWithLogits(discriminator(normal([2, 2, 2, 1])), 1)
      update discriminator minimizing real with sgd(0.1)
      report loss
    }

    """

  /// Trains for one step. Returns the run's folder.
  static func train(
    in folder: TemporaryFolder, samples: String = "sample { generator(normal([count, 3])) }",
    options: [String] = []
  ) throws -> String {
    let path = try folder.write(program + samples + "\n", to: "small.gan")
    let run = folder.file("run")
    let result = exec(["train", path, "--out", run, "--quiet"] + options)
    try #require(result.code == 0, "\(result.messages)")
    return run
  }

  static func checkpoint(_ run: String) -> String {
    "\(run)/checkpoints/step-00000001.safetensors"
  }
}

/// The shape of an array in a file.
func shape(_ path: String) throws -> [Int] {
  try NPYArray.decode(try FileIO.read(path), name: path).shape
}

@Suite struct SampleTests {
  /// The body of the first sample holds at its own count alone.
  @Test func aCountIsForTheChosenSample() throws {
    let folder = try TemporaryFolder()
    let run = try Small.train(
      in: folder,
      samples: """
        sample pair(count: 2) { generator(reshape(range(6), [count, 3]) * 0.5) }
        sample(count: 5) { generator(normal([count, 3])) }
        sample many(count: 6) { generator(normal([count, 3])) }
        """)
    let out = folder.file("out.npy")
    for (options, count) in [
      (["--count", "3"], 3), ([], 5), (["--count", "7", "--name", "many"], 7),
      (["--name", "pair"], 2),
    ] {
      let result = exec(["sample", Small.checkpoint(run), "--out", out] + options)
      #expect(result.code == 0, "\(result.messages)")
      #expect(try shape(out) == [count, 2, 2, 1])
    }
    // Asked of the one that cannot: an error at its line.
    let wrong = exec(
      "sample", Small.checkpoint(run), "--out", out, "--name", "pair", "--count", "3")
    #expect(wrong.code == 1 && wrong.messages.contains("small.gan:15:"), "\(wrong.messages)")
    let none = exec(
      "sample", Small.checkpoint(run), "--out", out, "--name", "pairs", "--count", "3")
    #expect(none.code == 2 && none.messages.contains("pair, (unnamed), many"), "\(none.messages)")
  }

  /// Without an unnamed sample the first is drawn, and the count is for it.
  @Test func aCountIsForTheFirstWhereNoneIsUnnamed() throws {
    let folder = try TemporaryFolder()
    let run = try Small.train(
      in: folder,
      samples: """
        sample many { generator(normal([count, 3])) }
        sample pair(count: 2) { generator(reshape(range(6), [count, 3]) * 0.5) }
        """)
    let out = folder.file("out.npy")
    let result = exec("sample", Small.checkpoint(run), "--out", out, "--count", "3")
    #expect(result.code == 0, "\(result.messages)")
    #expect(try shape(out) == [3, 2, 2, 1])
  }

  @Test(.enabled(if: FileIO.exists("/dev/full")))
  func aLinkToADeviceIsNotReplaced() throws {
    let folder = try TemporaryFolder()
    let run = try Small.train(in: folder)
    let link = folder.file("out.png")
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "/dev/full")
    let result = exec("sample", Small.checkpoint(run), "--out", link)
    #expect(result.code == 3)
    #expect(result.messages.contains("cannot write '\(link)': No space left"), "\(result.messages)")
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == "/dev/full")
  }
}
