// gan-exec evaluate: what it compares, what it prints, and what it refuses.

import Basics
import CommandSupport
import Commands
import Formats
import Foundation
import Testing
import Training

@Suite(.serialized) struct EvaluateTests {
  /// A GAN of 6×6 pictures with labels, trained for one step, and features for it.
  private struct Run {
    let folder: TemporaryFolder
    let program: String
    let weights: String
    let features: String

    static let count = 40

    init() throws {
      folder = try TemporaryFolder()
      let images = folder.file("images.npy")
      try FileIO.writeAtomically(try Run.pictures().encode(), to: images)
      let labels = folder.file("labels.npy")
      try FileIO.writeAtomically(
        try NPYArray(
          shape: [Run.count], integers: (0..<Run.count).map { Int32($0 % 3) }
        ).encode(), to: labels)
      program = try folder.write(
        """
        model "squares"
        data images: [4, 6, 6, 1] in -1...1 from "\(images)"
        data labels: i32[4] from images.labels
        network generator(z: [n, 3]) -> [n, 6, 6, 1] {
          z |> dense(36) |> tanh() |> reshape([n, 6, 6, 1])
        }
        network features(image: [n, 6, 6, 1]) -> [n, 5] { image |> flatten() |> dense(5) }
        train(steps: 1) {
          let loss = l1(mean(generator(normal([4, 3])), axes: [0]), mean(images, axes: [0]))
          update generator minimizing loss with sgd(0.1)
          let rest = mean(features(images)) + mean(onehot(labels, 3))
          update features minimizing rest with sgd(0.1)
          report loss
        }
        sample(count: 2) { generator(normal([count, 3])) }
        sample flat(count: 2) { reshape(generator(normal([count, 3])), [count, 36]) }
        """, to: "squares.gan")
      let run = folder.file("run")
      let result = exec("train", program, "--data", "labels=\(labels)", "--out", run, "--quiet")
      try #require(result.code == 0, "\(result.messages)")
      weights = "\(run)/weights.safetensors"
      features = weights
    }

    /// Pictures of noise whose brightness is that of their class.
    static func pictures() -> NPYArray {
      var random = PhiloxSequence(seed: 5, stream: 2)
      let bytes = (0..<count * 36).map { index in
        UInt8((index / 36 % 3) * 80 + random.nextInt(below: 60))
      }
      return NPYArray(element: .u8, shape: [count, 6, 6], bytes: bytes)
    }

    func evaluate(_ options: String...) -> CommandResult { exec(["evaluate", weights] + options) }
  }

  private func object(_ result: CommandResult) throws -> JSONValue {
    try #require(result.code == 0, "\(result.messages)")
    return try JSONValue.parse(Array(result.output.utf8), name: "output")
  }

  @Test func allMetricsAsTextAndJSON() throws {
    let run = try Run()
    let labels = "labels=\(run.folder.file("labels.npy"))"
    let json = try object(
      run.evaluate(
        "--data", labels, "--features", run.features, "--count", "20", "--json"))
    #expect(json["model"]?.stringValue == "squares")
    #expect(json["images"]?.intValue == 20)
    #expect(json["real_images"]?.intValue == 20)
    #expect(json["feature_width"]?.intValue == 5)
    #expect(json["features"]?.stringValue?.count == 16)
    #expect((json["frechet"]?.doubleValue ?? 0) > 0)
    #expect(json["kernel"]?["subset_size"]?.intValue == 10)
    #expect(json["precision"]?.doubleValue != nil && json["recall"]?.doubleValue != nil)
    let swd = try #require(json["swd"]?.doubleValue)
    let floor = try #require(json["real_against_real"]?["swd"]?.doubleValue)
    #expect(floor < swd)
    #expect(json["real_against_real"]?["images"]?.intValue == 20)

    let text = run.evaluate(
      "--data", labels, "--features", run.features, "--count", "20", "--threads", "1")
    for word in [
      "squares: 20 images against 20 real ones of", "features: 5 of the classifier",
      "Fréchet distance", "kernel distance", "precision", "recall", "sliced Wasserstein distance",
    ] { #expect(text.output.contains(word), "\(text.output)") }
    #expect(text.messages.contains("20 images are few for 5 features"), "\(text.messages)")
    // One result for any number of threads.
    let same = try object(
      run.evaluate(
        "--data", labels, "--features", run.features, "--count", "20", "--threads", "1", "--json"))
    #expect(same.text() == json.text())
  }

  @Test func oneMetricNeedsNoFeaturesNorLabels() throws {
    let run = try Run()
    // The count of the sample does not divide that of the images.
    let json = try object(
      run.evaluate("--metrics", "swd", "--count", "33", "--json"))
    #expect(json["frechet"]?.doubleValue == nil)
    #expect(json["features"]?.stringValue == nil)
    // No two sets of 33 of 40: halves.
    #expect(json["real_against_real"]?["images"]?.intValue == 20)
    // The same noise draws the same; other noise draws others.
    let again = try object(
      run.evaluate("--metrics", "swd", "--count", "33", "--json"))
    let other = try object(
      run.evaluate("--metrics", "swd", "--count", "33", "--seed", "1", "--json"))
    #expect(json["swd"]?.doubleValue == again["swd"]?.doubleValue)
    #expect(json["swd"]?.doubleValue != other["swd"]?.doubleValue)
  }

  @Test func otherImagesInPlaceOfDrawnOnes() throws {
    let run = try Run()
    let images = run.folder.file("images.npy")
    let labels = "labels=\(run.folder.file("labels.npy"))"
    let json = try object(
      exec(
        "evaluate", run.program, "--data", labels, "--images", images, "--features", run.features,
        "--count", "40", "--json"))
    #expect(json["swd"]?.doubleValue == 0)
    #expect(json["precision"]?.doubleValue == 1 && json["recall"]?.doubleValue == 1)
    #expect((json["frechet"]?.doubleValue ?? 1) < 1e-9)
    // Not the first of the file, which often are of one class: those that are taken of the real ones too.
    let half = try object(
      exec(
        "evaluate", run.program, "--data", labels, "--images", images, "--metrics", "swd",
        "--count", "20", "--json"))
    #expect(half["swd"]?.doubleValue == 0)
  }

  /// Trains once, and takes what is there after that; a damaged file is replaced.
  @Test func theClassifierIsKept() throws {
    let run = try Run()
    let folder = run.folder.file("cache")
    let images = Dataset(
      name: "images", storage: .bytes(Run.pictures().bytes), count: Run.count, shape: [6, 6])
    let labels = Dataset(
      name: "labels", storage: .integers((0..<Run.count).map { Int32($0 % 3) }), count: Run.count,
      shape: [])
    let declaration = try #require(
      try ProgramSource(path: run.program, settings: []).program.data.first)
    let pictures = try LabelledPictures(
      images: images, labels: labels, scale: PictureScale(declaration))
    let workplace = try Workplace(
      try ParsedArguments(["-", "--threads", "2"], EvaluateCommand.spec))
    func weights() throws -> (tensors: [NamedTensor], path: String, said: String) {
      var said = ""
      let console = Console(output: { _ in }, errors: { said += $0 }, isTerminal: false)
      let cache = try ClassifierCache(pictures, shape: [6, 6, 1], workplace, folder: folder)
      let file = try #require(try cache.weights(console))
      return (file.tensors, try #require(cache.path), said)
    }
    let first = try weights()
    #expect(first.said.contains("training the classifier"), "\(first.said)")
    #expect(first.said.contains("accuracy"), "\(first.said)")
    #expect(first.said.contains("stored as \(first.path)"), "\(first.said)")
    let second = try weights()
    #expect(second.said == "")
    #expect(second.tensors == first.tensors)
    var bytes = try FileIO.read(first.path)
    bytes[bytes.count - 9] ^= 1
    try FileIO.writeAtomically(bytes, to: first.path)
    let third = try weights()
    #expect(third.said.contains("cannot be used and is trained again"), "\(third.said)")
    #expect(third.tensors == first.tensors)
    #expect(try FileIO.list("\(folder)/classifiers").count == 1)
  }

  @Test func whatIsRefused() throws {
    let run = try Run()
    let labels = "labels=\(run.folder.file("labels.npy"))"
    let flat = run.folder.file("flat.npy")
    try FileIO.writeAtomically(
      try NPYArray(shape: [4, 7, 6], floats: [Float](repeating: 0, count: 168)).encode(), to: flat)
    for (options, code, words) in [
      (["--metrics", "frechet,swe"], 2, "not 'swe'"),
      (["--metrics", ""], 2, "not ''"),
      (["--count", "0"], 2, "--count"),
      (["--name", "many"], 2, "no sample named 'many'"),
      (["--name", "flat"], 3, "learns from no images of the shape [36]"),
      (["--count", "3", "--data", labels, "--features", run.features], 3, "at least 4 images"),
      (["--data", labels, "--features", flat], 3, "flat.npy"),
      (["--data", labels, "--images", flat], 3, "its images have the shape [7, 6]"),
      (
        ["--features", run.folder.file("gone.safetensors"), "--data", labels], 3, "gone.safetensors"
      ),
      ([], 3, "is a single file and has no part named 'labels'"),
    ] as [([String], Int32, String)] {
      let result = exec(["evaluate", run.weights] + options)
      #expect(result.code == code, "\(options): \(result.messages)")
      #expect(result.messages.contains(words), "\(options): \(result.messages)")
    }
    let none = exec("evaluate", run.program)
    #expect(none.code == 2 && none.messages.contains("needs --weights"), "\(none.messages)")
    // Without labels: what to do.
    let bare = try run.folder.write(
      try String(contentsOfFile: run.program, encoding: .utf8).replacing(
        "data labels: i32[4] from images.labels\n", with: ""
      ).replacing(" + mean(onehot(labels, 3))", with: ""), to: "bare.gan")
    let unlabelled = exec(
      "evaluate", bare, "--images", run.folder.file("images.npy"), "--count", "20")
    #expect(unlabelled.code == 3, "\(unlabelled.messages)")
    #expect(unlabelled.messages.contains("learns from labels"), "\(unlabelled.messages)")
    #expect(unlabelled.messages.contains("--features F"), "\(unlabelled.messages)")
    #expect(unlabelled.messages.contains("--metrics swd"), "\(unlabelled.messages)")
  }
}
