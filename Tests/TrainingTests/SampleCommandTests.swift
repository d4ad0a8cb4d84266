// gan-exec sample on a conditional program with a moving average: forms of output, classes, walks.

import CommandSupport
import Formats
import Foundation
import Testing
import Training

@Suite struct SampleCommandTests {
  /// Trains for four steps. Returns the weights.
  private func weights(_ folder: TemporaryFolder) throws -> String {
    let run = folder.file("run")
    let result = exec("train", SampleDrawerTests.conditional, "--out", run, "--quiet")
    try #require(result.code == 0, "\(result.messages)")
    return "\(run)/weights.safetensors"
  }

  private func array(_ path: String) throws -> NPYArray {
    try NPYArray.decode(try FileIO.read(path), name: path)
  }

  private func picture(_ path: String) throws -> Image {
    try PNG.decode(try FileIO.read(path), name: path)
  }

  @Test func aShortListIsTheBeginningOfALongOne() throws {
    let folder = try TemporaryFolder()
    let weights = try weights(folder)
    let (few, many) = (folder.file("few.npy"), folder.file("many.npy"))
    for name in ["drawn", "averaged"] {
      for (count, path) in [("5", few), ("300", many)] {
        let result = exec(
          "sample", weights, "--name", name, "--count", count, "--seed", "7", "--out", path)
        #expect(result.code == 0, "\(result.messages)")
      }
      #expect(try array(many).shape == [300, 28, 28, 1])
      #expect(try array(few).bytes == Array(array(many).bytes.prefix(5 * 784 * 4)))
    }
    // In training: the same bits.
    #expect(exec("sample", weights, "--name", "averaged", "--out", folder.file("a.png")).code == 0)
    #expect(
      try contents(folder.file("a.png"))
        == contents(
          folder.file("run/samples/averaged-final.png")))
  }

  @Test func averagesAreTheDefault() throws {
    let folder = try TemporaryFolder()
    let weights = try weights(folder)
    let (smooth, raw) = (folder.file("smooth.npy"), folder.file("raw.npy"))
    let first = exec("sample", weights, "--count", "5", "--out", smooth)
    #expect(first.messages.contains("the moving average 'smooth'"), "\(first.messages)")
    let second = exec("sample", weights, "--count", "5", "--raw", "--out", raw)
    #expect(second.messages.contains("as trained"), "\(second.messages)")
    #expect(try array(smooth) != array(raw))
    // As with a file in which the average stands in the network's place.
    var file = try TensorFile.decode(try contents(weights), name: weights)
    let trained = file
    for index in file.tensors.indices where file.tensors[index].name.hasPrefix("generator/") {
      let average = "smooth/" + file.tensors[index].name.dropFirst("generator/".count)
      file.tensors[index].data = try #require(trained[average]).data
    }
    let averaged = folder.file("averaged.safetensors")
    try FileIO.writeAtomically(try file.encode(), to: averaged)
    #expect(exec("sample", averaged, "--count", "5", "--raw", "--out", raw).code == 0)
    #expect(try array(smooth) == array(raw))
    // A sample that calls the average itself: there is nothing to say.
    let own = exec("sample", weights, "--name", "averaged", "--out", raw)
    #expect(own.code == 0 && !own.messages.contains("moving average"), "\(own.messages)")
    // A file without averages has what was trained.
    file.tensors = trained.tensors.filter { !$0.name.hasPrefix("smooth/") }
    try FileIO.writeAtomically(try file.encode(), to: averaged)
    let without = exec("sample", averaged, "--count", "5", "--out", raw)
    #expect(
      without.code == 0 && !without.messages.contains("moving average"), "\(without.messages)")
    #expect(try array(smooth) != array(raw))
    // The grid of the run is drawn as the program says.
    #expect(exec("sample", weights, "--raw", "--out", folder.file("raw.png")).code == 0)
    #expect(
      try contents(folder.file("raw.png")) == contents(folder.file("run/samples/final.png")))
  }

  @Test func classesAreRows() throws {
    let folder = try TemporaryFolder()
    let weights = try weights(folder)
    let (one, all) = (folder.file("one.npy"), folder.file("all.npy"))
    #expect(exec("sample", weights, "--class", "all", "--count", "4", "--out", all).code == 0)
    #expect(try array(all).shape == [40, 28, 28, 1])
    for label in [0, 7] {
      let result = exec(
        "sample", weights, "--class", "\(label)", "--count", "4", "--out", one)
      #expect(result.code == 0, "\(result.messages)")
      #expect(
        try array(one).bytes == Array(array(all).bytes[label * 4 * 3136..<(label + 1) * 4 * 3136]))
    }
    let grid = folder.file("grid.png")
    #expect(exec("sample", weights, "--class", "2,5,9", "--out", grid).code == 0)
    let picture = try picture(grid)
    // Ten columns and three rows of 28 pixels and 2 between and around.
    #expect(picture.width * 92 == picture.height * 302)
    for (wrong, words) in [
      ("10", "from 0 to 9"), ("-1", "from 0 to 9"), ("x", "1,4,7"), ("1,,2", "1,4,7"),
    ] {
      let result = exec("sample", weights, "--class=\(wrong)", "--out", grid)
      #expect(result.code == 2 && result.messages.contains(words), "\(result.messages)")
    }
  }

  @Test func aProgramWithoutClasses() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    let run = folder.file("run")
    #expect(exec("train", program, "--out", run, "--steps", "1", "--quiet").code == 0)
    let result = exec(
      "sample", "\(run)/weights.safetensors", "--class", "1", "--out", folder.file("x.png"))
    #expect(result.code == 2 && result.messages.contains("no classes"), "\(result.messages)")
  }

  @Test func singleFiles() throws {
    let folder = try TemporaryFolder()
    let weights = try weights(folder)
    let numbers = folder.file("all.npy")
    #expect(exec("sample", weights, "--count", "23", "--out", numbers).code == 0)
    let values = try array(numbers).floats
    for (out, name) in [
      (folder.file("faces/%03d.png"), "faces/022.png"), (folder.file("plain"), "plain/00022.png"),
      (folder.file("new/deep/"), "new/deep/00022.png"),
      (folder.file("a-%d.png"), "a-22.png"),
    ] {
      let result = exec("sample", weights, "--count", "23", "--out", out)
      #expect(result.code == 0, "\(result.messages)")
      let last = try picture(folder.file(name))
      #expect(last.width == 28 && last.height == 28 && last.channels == 1)
      #expect(last.pixels == ImageGrid.levels(Array(values.suffix(784)), -1, 1))
    }
    #expect(try FileIO.list(folder.file("plain")).count == 23)
    for wrong in ["%03d-%d.png", "%x.png", "%5d.png", "%099d.png", "%d.jpg", "x.bmp", "x.gif"] {
      #expect(exec("sample", weights, "--out", folder.file(wrong)).code == 2, "\(wrong)")
    }
  }

  @Test func walks() throws {
    let folder = try TemporaryFolder()
    let weights = try weights(folder)
    let walk = folder.file("walk.gif")
    let result = exec(
      "sample", weights, "--out", walk, "--interpolate", "--seeds", "4,9,2,11", "--frames", "3",
      "--grid", "3x2")
    #expect(result.code == 0, "\(result.messages)")
    #expect(result.messages.contains("[12, 6, 28, 28, 1]"), "\(result.messages)")
    let bytes = try contents(walk)
    #expect(bytes.starts(with: Array("GIF89a".utf8)))
    // Each frame begins with a graphics control extension.
    let marks = zip(bytes, zip(bytes.dropFirst(), bytes.dropFirst(2))).count {
      $0 == 0x21 && $1.0 == 0xF9 && $1.1 == 4
    }
    #expect(marks >= 12)
    for wrong in [
      ["--interpolate", "--out", folder.file("x.png")], ["--out", folder.file("x.gif")],
      ["--frames", "3"], ["--seeds", "1,2"], ["--interpolate", "--seeds", "1"],
      ["--interpolate", "--seeds", "1,b"], ["--interpolate", "--seeds", "1,2", "--seed", "3"],
      ["--grid", "3"], ["--grid", "3x0"], ["--grid", "3x2", "--count", "4"],
      ["--grid", "3x2", "--out", folder.file("x.npy")], ["--grid", "3x2", "--class", "all"],
    ] {
      let result = exec(["sample", weights] + wrong)
      #expect(result.code == 2, "\(wrong): \(result.messages)")
    }
  }

  /// Batch statistics make each image of all others: drawn at once, said, and not walked through.
  @Test func whatIsDrawnAtOnceIsSaid() throws {
    let folder = try TemporaryFolder()
    let text = try lines(try Tiny.make(in: folder)).joined(separator: "\n")
      .replacingOccurrences(
        of: "generator(normal([count, 3]))", with: "generator(normal([count, 3]), training: true)")
    let program = try folder.write(text, to: "mixed.gan")
    let run = folder.file("run")
    #expect(exec("train", program, "--out", run, "--steps", "2", "--quiet").code == 0)
    let out = folder.file("x.npy")
    let result = exec("sample", "\(run)/weights.safetensors", "--count", "9", "--out", out)
    #expect(result.code == 0 && result.messages.contains("mixes the images"), "\(result.messages)")
    #expect(try array(out).shape == [9, 6, 6, 1])
    let walk = exec("sample", "\(run)/weights.safetensors", "--interpolate")
    #expect(walk.code == 2 && walk.messages.contains("all at once"), "\(walk.messages)")
  }

  /// A checkpoint carries what the data sources of its run were replaced by; a sample reads only some of them.
  @Test func replacedDataOfARunAreFound() throws {
    let folder = try TemporaryFolder()
    let own = folder.file("own.npy")
    let other = folder.file("other.npy")
    try FileIO.writeAtomically(try Tiny.pictures(22).encode(), to: own)
    try FileIO.writeAtomically(try Tiny.pictures(9, seed: 3).encode(), to: other)
    let text =
      Tiny.program(
        data: "nowhere.npy", top: "data pairs: [4, 6, 6, 1] in -1...1 from \"nowhere.npy\""
      ) + "\n    sample pairs(count: 4) { pairs }\n"
    let program = try folder.write(text, to: "tiny.gan")
    let run = folder.file("run")
    let trained = exec(
      "train", program, "--data", "images=\(own)", "--data", "pairs=\(other)", "--out", run,
      "--quiet")
    #expect(trained.code == 0, "\(trained.messages)")
    let checkpoint = "\(run)/checkpoints/step-00000020.safetensors"
    for name in [[], ["--name", "pairs"]] {
      let path = folder.file("a.npy")
      let drawn = exec(["sample", checkpoint, "--out", path] + name)
      #expect(drawn.code == 0, "\(drawn.messages)")
      #expect(try array(path).shape == [4, 6, 6, 1])
    }
  }
}
