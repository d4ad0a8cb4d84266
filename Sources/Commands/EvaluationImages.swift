// The two sides of `gan-exec evaluate`: what a program draws, or other images in its place, and the data it learned from.

import Basics
import Elaboration
import Formats
import GraphIR
import Training

/// The program to judge, with its weights unless other images are given.
struct Candidate {
  let source: ProgramSource
  /// The data that the run had, or those of `--data`.
  let replacements: [(name: String?, source: String)]
  private let loaded: SampleCommand.Loaded?
  private let sampleName: String?
  /// The source of `--images`.
  private let images: String?

  /// Images that are drawn between two looks for an interruption.
  private static let chunk = 256

  init(_ arguments: ParsedArguments) throws {
    sampleName = arguments.value("--name")
    images = arguments.value("--images")
    let file = arguments.positionals[0]
    var carried: [(name: String?, source: String)] = []
    if images == nil || arguments.has("--weights") || file.hasSuffix(".safetensors") {
      let loaded = try SampleCommand.load(arguments)
      source = loaded.source
      carried = loaded.replacements
      self.loaded = loaded
    } else {
      source = try ProgramSource(path: file, settings: try arguments.settings())
      loaded = nil
    }
    let given = try dataReplacements(arguments, source.program.data)
    replacements = given.isEmpty ? carried : given
  }

  /// The sample to judge; nil where other images are given.
  func judgedSample() throws(UsageError) -> SampleProgram? {
    images == nil ? try sample() : nil
  }

  /// The shape of one image: that of the sample, or nil where any will do.
  func shape() throws -> [Int]? {
    guard let sample = try judgedSample() else { return nil }
    guard let output = sample.graph.outputs.first(where: { $0.role == .result("0") }) else {
      throw InternalError("the sample graph has no result")
    }
    return Array(sample.graph.type(of: output.value).shape.dropFirst())
  }

  private func sample() throws(UsageError) -> SampleProgram {
    guard let sample = source.program.sample(named: sampleName) else {
      let names = source.program.samples.map { $0.name ?? "(unnamed)" }.joined(separator: ", ")
      throw UsageError(
        "the program has no sample \(sampleName.map { "named '\($0)'" } ?? "block"); it has: "
          + (names.isEmpty ? "none" : names))
    }
    return sample
  }

  /// The images to judge, on the scale of the real ones; nil where it was interrupted.
  func pictures(
    _ count: Int, seed: UInt64, _ real: RealImages, _ workplace: Workplace, _ console: Console
  ) throws -> PictureSet? {
    if let images { return try given(images, count, real, workplace.resolver) }
    let sample = try sample()
    let session = try Session(
      program: source.program, backend: workplace.backend, seed: 0, compiler: workplace.compiler)
    try session.initialize()
    if let loaded {
      try SampleCommand.loadWeights(loaded, into: session, sample, raw: false, console)
    }
    let began = monotonicSeconds()
    let drawer = try SampleDrawer(
      source, sample: sampleName, session: session, data: real.feeder, count: count)
    // Where all are drawn at once, the program may make fewer.
    let made = drawer.whyWhole == nil ? count : min(count, drawer.count)
    guard let values = try draw(made, drawer, seed) else { return nil }
    console.message("\(made) images drawn in \(shortNumber(monotonicSeconds() - began)) s\n")
    return PictureSet(drawn: values, count: made, shape: real.shape, scale: real.scale)
  }

  /// Image i follows from the seed and i alone, as `gan-exec sample` draws it.
  private func draw(_ count: Int, _ drawer: SampleDrawer, _ seed: UInt64) throws -> [Float]? {
    var values: [Float] = []
    let chunk = drawer.whyWhole == nil ? Self.chunk : count
    for first in stride(from: 0, to: count, by: chunk) {
      if Interruption.isPending { return nil }
      values += try drawer.images(first..<min(count, first + chunk), seed: seed)
    }
    return values
  }

  private func given(
    _ source: String, _ count: Int, _ real: RealImages, _ resolver: DatasetResolver
  ) throws -> PictureSet {
    let dataset = try resolver.resolve(source, form: real.form)
    guard dataset.shape == real.shape || dataset.shape + [1] == real.shape else {
      throw EnvironmentFailure(
        "\(dataset.name): its images have the shape \(shapeText(dataset.shape)), "
          + "and the real ones \(shapeText(real.shape))")
    }
    // In no order: folders and files often have theirs by class.
    let taken = RealImages.examples(min(count, dataset.count), of: dataset, part: 0)
    return try PictureSet(taken, of: dataset, shape: real.shape, scale: real.scale)
  }
}

/// The data that a program's images are compared with: its first source of such images.
struct RealImages {
  let feeder: DataFeeder
  let dataset: Dataset
  /// Of one image, as the program declares it.
  let shape: [Int]
  let scale: PictureScale
  private let declaration: DataDeclaration
  private let declarations: [DataDeclaration]
  private let replacements: [(name: String?, source: String)]
  private let resolver: DatasetResolver

  var count: Int { dataset.count }
  /// What pictures of other sizes become.
  var form: PictureForm? { DataFeeder.form(of: declaration, declarations) }

  init(_ candidate: Candidate, _ arguments: ParsedArguments, _ resolver: DatasetResolver) throws {
    let program = candidate.source.program
    let wanted = try candidate.shape()
    let images = program.data.filter { declaration in
      guard case .named = declaration.source else { return false }
      return declaration.type.element == .f32 && declaration.type.shape.count > 1
    }
    func fits(_ declaration: DataDeclaration) -> Bool {
      guard let wanted else { return true }
      let shape = Array(declaration.type.shape.dropFirst())
      return shape == wanted || shape == wanted + [1] || shape + [1] == wanted
    }
    guard let declaration = images.first(where: fits) else {
      let found = images.map { "\($0.name): \($0.type)" }.joined(separator: ", ")
      throw EnvironmentFailure(
        "the program learns from no images of the shape \(shapeText(wanted ?? [])) that it draws; "
          + "its data are " + (found.isEmpty ? "none" : found))
    }
    let sample = try candidate.judgedSample()
    let read = sample.map { SampleCommand.sources(of: $0, program).map(\.name) } ?? []
    let sources = program.data.filter { read.contains($0.name) || $0.name == declaration.name }
    feeder = try DataFeeder(
      sources, replacements: SampleCommand.replacements(candidate.replacements, of: sources),
      limits: ClassLimit.ofData(sample.map { [$0.graph] } ?? []), resolver: resolver, seed: 0)
    let opened = feeder.sources.first { $0.name == declaration.name }
    guard let dataset = opened?.dataset else {
      throw InternalError("the data source \(declaration.name) was not opened")
    }
    self.dataset = dataset
    shape = wanted ?? Array(declaration.type.shape.dropFirst())
    scale = PictureScale(declaration)
    self.declaration = declaration
    declarations = program.data
    replacements = candidate.replacements
    self.resolver = resolver
  }

  /// `count` examples, or all where there are fewer. Always the same ones, whatever the seed of the noise.
  func pictures(_ count: Int) throws(EnvironmentFailure) -> PictureSet {
    try PictureSet(
      examples(min(count, dataset.count), part: 0), of: dataset, shape: shape, scale: scale)
  }

  /// Two sets that share no example, of `count` each, or of half of all where there are fewer than twice as many; nil where
  /// these are too few to compare. The first is that of `pictures` where it is whole.
  func pair(
    _ count: Int
  ) throws(EnvironmentFailure) -> (first: PictureSet, second: PictureSet)? {
    if dataset.count / 2 >= count {
      let other = try PictureSet(examples(count, part: 1), of: dataset, shape: shape, scale: scale)
      return (try pictures(count), other)
    }
    let half = dataset.count / 2
    guard half >= Evaluation.leastImages else { return nil }
    let all = try PictureSet(
      examples(half * 2, part: 0), of: dataset, shape: shape, scale: scale)
    return (all.prefix(half), all.dropFirst(half))
  }

  private func examples(_ count: Int, part: Int) -> [Int] {
    Self.examples(count, of: dataset, part: part)
  }

  /// `count` examples in the order of a shuffle that is always the same; other parts share none with them.
  static func examples(_ count: Int, of dataset: Dataset, part: Int) -> [Int] {
    var order = BatchOrder(
      count: dataset.count, batch: count, order: .shuffled, seed: 0, group: "evaluate")
    return order.examples(ofBatch: part)
  }

  /// The images with their classes. Throws, with what to do, where the data have none.
  func labelled() throws(EnvironmentFailure) -> LabelledPictures {
    do throws(EnvironmentFailure) {
      return try LabelledPictures(images: dataset, labels: try labels(), scale: scale)
    } catch {
      throw EnvironmentFailure(
        "the classifier learns from labels, and these data have none that can be used: "
          + error.message,
        help: "give features by --features F, or ask for --metrics swd, which needs none")
    }
  }

  /// What the program reads as the labels of these images, or else those that belong to the same source.
  private func labels() throws(EnvironmentFailure) -> Dataset {
    let declared = declarations.first {
      if case .part(let owner, let part) = $0.source {
        return owner == declaration.name && part == "labels"
      }
      return false
    }
    if let declared {
      let found = DataFeeder.source(of: declared, declarations, replacements)
      return try resolver.resolve(found.source, part: found.part)
    }
    let source = DataFeeder.source(of: declaration, declarations, replacements).source
    return try resolver.resolve(source, part: "labels")
  }
}
