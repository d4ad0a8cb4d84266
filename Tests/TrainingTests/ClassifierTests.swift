// The classifier of the metrics: its program, its training on drawn garments, and what its features say of sets of images
// of which it is known how they differ.

import Basics
import CPUBackend
import Elaboration
import Formats
import GraphIR
import TestSupport
import Testing
import Training

enum DataDeclarations {
  static func images(low: Double?, high: Double?) -> DataDeclaration {
    DataDeclaration(
      name: "images", type: TensorType(.f32, [4, 28, 28, 1]), low: low, high: high,
      source: .named("synthetic"), order: .shuffled, with: nil, batchesPerStep: 1)
  }
}

@Suite(.serialized) struct ClassifierTests {
  private static let shape = [28, 28, 1]
  private static let scale = PictureScale(DataDeclarations.images(low: -1, high: 1))

  /// Garments that were drawn once, as bytes: drawing takes longer than training without optimisation.
  private static let garments: (images: Dataset, labels: Dataset) = {
    let count = 640
    let pixels = (0..<count).flatMap { Garments.draw($0) }
    let labels = (0..<count).map { Int32(Garments.label($0)) }
    return (
      Dataset(name: "garments", storage: .bytes(pixels), count: count, shape: [28, 28]),
      Dataset(name: "labels", storage: .integers(labels), count: count, shape: [])
    )
  }()

  private static func pictures() throws -> LabelledPictures {
    try LabelledPictures(images: garments.images, labels: garments.labels, scale: scale)
  }

  private static func training(_ steps: Int = 60) throws -> ClassifierTraining {
    try ClassifierTraining(pictures(), shape: shape, leastSteps: steps)
  }

  private struct Trained {
    var file: Weights.WithProgram
    var accuracy: Double
  }

  private static func train(
    _ training: ClassifierTraining, threads: Int = 2
  ) throws -> Trained {
    var accuracy = 0.0
    let session = try training.run(
      try CPUBackend(threads: threads), GraphCompiler(), isInterrupted: { false }
    ) { accuracy = $0.accuracy }
    let program = CarriedProgram(training.source)
    let bytes = try Weights.encode(try #require(session), of: program)
    let file = try TensorFile.decode(bytes, name: "classifier")
    return Trained(
      file: Weights.WithProgram(program: program, tensors: file.tensors), accuracy: accuracy)
  }

  private static func extractor(
    _ file: Weights.WithProgram, shape: [Int] = shape
  ) throws -> FeatureExtractor {
    try FeatureExtractor(
      file, path: "classifier", shape: shape, backend: try CPUBackend(threads: 2),
      compiler: GraphCompiler())
  }

  @Test func theProgramIsTheOneInGraphs() throws {
    let text = String(decoding: try Places.bytes("Graphs/classifier.gan"), as: UTF8.self)
    #expect(ClassifierProgram.text == text)
  }

  @Test func knownSetsComeOutInOrder() throws {
    let trained = try Self.train(try Self.training())
    #expect(trained.accuracy > 0.6, "\(trained.accuracy)")
    let extractor = try Self.extractor(trained.file)
    #expect(extractor.width == 64)
    let work = try SharedWork(threads: 2)
    func set(_ examples: [Int]) throws -> PictureSet {
      try PictureSet(examples, of: Self.garments.images, shape: Self.shape, scale: Self.scale)
    }
    func side(_ pictures: PictureSet) throws -> EvaluatedImages {
      EvaluatedImages(pictures: pictures, features: try extractor.features(of: pictures))
    }
    let real = try side(try set(Array(0..<320)))
    func judged(_ pictures: PictureSet) throws -> Evaluation {
      try Evaluation(
        try side(pictures), against: real, [.frechet, .precisionRecall, .slicedWasserstein],
        on: work)
    }
    let others = try judged(try set(Array(320..<640)))
    let trousers = try judged(try set((320..<640).filter { Garments.label($0) == 1 }))
    var random = PhiloxSequence(seed: 3, stream: 1)
    let noise = try judged(
      PictureSet(
        drawn: (0..<320 * 784).map { _ in Float(random.nextUniform() * 2 - 1) }, count: 320,
        shape: Self.shape, scale: Self.scale))
    let itself = try judged(try set(Array(0..<320)))

    let distances = try [itself, others, trousers, noise].map { try #require($0.frechet) }
    #expect(distances[0] < 1e-9)
    #expect(distances[0] < distances[1])
    #expect(4 * distances[1] < distances[2], "\(distances)")
    #expect(4 * distances[1] < distances[3], "\(distances)")
    let shares = try [itself, others, trousers, noise].map { try #require($0.precisionRecall) }
    #expect(shares[0].precision == 1 && shares[0].recall == 1)
    #expect(shares[1].precision > 0.8 && shares[1].recall > 0.8, "\(shares)")
    // Of one kind: each looks real, and nine of ten kinds are missing.
    #expect(shares[2].precision > 0.8 && shares[2].recall < 0.3, "\(shares)")
    #expect(shares[3].precision < 0.1, "\(shares)")
    let slices = try [itself, others, trousers, noise].map { try #require($0.slicedWasserstein) }
    #expect(slices[0] == 0)
    #expect(2 * slices[1] < slices[2] && 2 * slices[1] < slices[3], "\(slices)")

    // An image's features are its own, whatever its neighbours and the batch it is in.
    let alone = try extractor.features(of: try set([105]))
    for column in 0..<64 { #expect(alone[0, column] == real.features?[105, column]) }
  }

  @Test func bitsAndHashes() throws {
    let short = try Self.training(1)
    let one = try Self.train(short, threads: 1)
    let two = try Self.train(try Self.training(1), threads: 2)
    #expect(one.file.tensors == two.file.tensors)
    let hash = try Self.extractor(one.file).hash
    #expect(hash.count == 16)
    #expect(try Self.extractor(two.file).hash == hash)
    var changed = one.file
    changed.tensors[0].data[0] ^= 1
    #expect(try Self.extractor(changed).hash != hash)

    let key = short.key(arithmetic: "v3")
    #expect(key == (try Self.training(1)).key(arithmetic: "v3"))
    #expect(key != short.key(arithmetic: "v4"))
    let permuted = Dataset(
      name: "labels", storage: .integers((0..<640).map { Int32(Garments.label($0 + 1)) }),
      count: 640, shape: [])
    let other = try ClassifierTraining(
      try LabelledPictures(images: Self.garments.images, labels: permuted, scale: Self.scale),
      shape: Self.shape, leastSteps: 1)
    #expect(key != other.key(arithmetic: "v3"))
  }

  @Test func anInterruptedTrainingBringsNothing() throws {
    var steps = 0
    let session = try Self.training(1).run(
      try CPUBackend(threads: 1), GraphCompiler(), isInterrupted: { steps == 2 }
    ) { _ in steps += 1 }
    #expect(session == nil)
    #expect(steps == 2)
  }

  @Test func otherSizesAndClasses() throws {
    let images = Dataset(
      name: "colours", storage: .bytes((0..<10 * 75).map { UInt8($0 * 37 % 256) }), count: 10,
      shape: [5, 5, 3])
    let labels = Dataset(
      name: "labels", storage: .integers((0..<10).map { Int32($0 % 3) }), count: 10, shape: [])
    let pictures = try LabelledPictures(images: images, labels: labels, scale: Self.scale)
    #expect(pictures.classes == 3)
    let training = try ClassifierTraining(pictures, shape: [5, 5, 3], leastSteps: 1)
    let file = try Self.train(training).file
    let features = try Self.extractor(file, shape: [5, 5, 3]).features(
      of: try PictureSet([0, 9], of: images, shape: [5, 5, 3], scale: Self.scale))
    #expect(features.count == 2 && features.width == 64)
    // Features of other sizes, and a program without any.
    #expect {
      _ = try Self.extractor(file)
    } throws: { error in
      "\(error)".contains("takes images of shape [5, 5, 3], and these have [28, 28, 1]")
    }
    let simple = try ProgramSource(path: Places.graph("vanilla-gan"), settings: [])
    #expect {
      _ = try Self.extractor(
        Weights.WithProgram(program: CarriedProgram(simple), tensors: []))
    } throws: { error in "\(error)".contains("its program has no network 'features'") }
  }

  @Test func whatAreNoLabels() throws {
    func refusal(_ storage: Dataset.Storage, count: Int = 640, shape: [Int] = []) -> String {
      let labels = Dataset(name: "wrong", storage: storage, count: count, shape: shape)
      do {
        _ = try LabelledPictures(images: Self.garments.images, labels: labels, scale: Self.scale)
        return "nothing was refused"
      } catch { return "\(error)" }
    }
    let few = refusal(.integers([1, 2, 3]), count: 3)
    #expect(few.contains("one label for each of the 640 images"), "\(few)")
    let wide = refusal(.integers([Int32](repeating: 0, count: 1280)), shape: [2])
    #expect(wide.contains("640 examples of 2 numbers"), "\(wide)")
    let fraction = refusal(.floats([Float](repeating: 0.5, count: 640)))
    #expect(fraction.contains("it holds 0.5"), "\(fraction)")
    let negative = refusal(.integers([Int32](repeating: -1, count: 640)))
    #expect(negative.contains("the label of example 0 is -1"), "\(negative)")
    #expect {
      _ = try ClassifierTraining(try Self.pictures(), shape: [784])
    } throws: { error in "\(error)".contains("not [784]") }
  }

  /// One pass over Fashion-MNIST, and the test set.
  @Test(.enabled(if: Places.data != nil, "GAN_DATA names no folder with fashion-mnist"))
  func learnsFashion() throws {
    let resolver = DatasetResolver(environment: ["GAN_DATA": Places.data ?? ""])
    let images = try resolver.resolve("fashion-mnist")
    let labels = try resolver.resolve("fashion-mnist", part: "labels")
    let source = try ProgramSource(path: Places.graph("classifier"), settings: [("epochs", "1")])
    let backend = try CPUBackend()
    let session = try Session(program: source.program, backend: backend, seed: 0)
    try session.initialize()
    let feeder = try DataFeeder(
      source.program.data, replacements: [], resolver: resolver, seed: 0)
    #expect(feeder.sources.map(\.dataset.checksum) == [images.checksum, labels.checksum])
    for step in 0..<feeder.stepsPerEpoch {
      _ = try session.runStep(StepClock(step: step, epoch: 0), blocks: 0, data: feeder)
    }
    let folder = "\(Places.data ?? "")/fashion-mnist/t10k"
    let tests = try resolver.resolve("\(folder)-images-idx3-ubyte.gz")
    let truth = try IDXArray.decode(
      try FileIO.read("\(folder)-labels-idx1-ubyte.gz"), name: "labels")
    let network = try #require(source.program.networks.first { $0.name == "classifier" })
    var right = 0
    for first in stride(from: 0, to: 1920, by: 128) {
      let pictures = try PictureSet(
        Array(first..<first + 128), of: tests, shape: Self.shape, scale: Self.scale)
      let logits = try session.evaluate(
        network.graph, key: "classifier",
        arguments: ["image": pictures.values.withUnsafeBytes { Array($0) }])[0]
      logits.bytes.withUnsafeBytes { raw in
        let values = raw.bindMemory(to: Float.self)
        for image in 0..<128 {
          let row = (0..<10).map { values[image * 10 + $0] }
          if row.firstIndex(of: row.max() ?? 0) == Int(truth.bytes[first + image]) { right += 1 }
        }
      }
    }
    #expect(Double(right) / 1920 > 0.85, "\(right) of 1920 test images")
  }
}
