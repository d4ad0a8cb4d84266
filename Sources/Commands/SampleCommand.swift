// `gan-exec sample`: images from trained weights. A checkpoint or a run's weights.safetensors is
// enough: the program travels in it.

import Basics
import Elaboration
import Formats
import GraphIR
import Training

package enum SampleCommand {
  package static let spec = CommandSpec(
    "sample", "FILE", count: 1...1,
    "Draws a sample of a program. FILE is a checkpoint or a run's weights.safetensors, or a program "
      + "with\n--weights. Image i follows from the seed and i alone, however many are drawn.",
    options: [
      OptionSpec("--weights", "F", "a checkpoint or weights file, or .npz"),
      OptionSpec("--name", "NAME", "which sample of the program (default: the unnamed one)"),
      OptionSpec("--count", "N", "how many images instead of the program's count; of each class"),
      OptionSpec("--seed", "N", "the seed of the noise instead of the program's"),
      OptionSpec(
        "--class", "K", "images of this class: a number, several as 1,4,7, or all, a row of each"),
      OptionSpec("--raw", nil, "the trained weights, where the default is their moving average"),
      OptionSpec("--interpolate", nil, "a walk from seed to seed and back, to a .gif file"),
      OptionSpec("--seeds", "A,B,C", "the seeds of the walk (default: --seed and the next one)"),
      OptionSpec("--frames", "N", "frames from one seed to the next (default 30)"),
      OptionSpec("--grid", "COLUMNSxROWS", "the form of the grid, and so its count"),
      OptionSpec("--data", "SOURCE", "replace the data sources that the sample uses"),
      OptionSpec(
        "--out", "F",
        "where to: .png for a grid, a folder or a pattern such as faces/%05d.png for single files, "
          + ".npy for the numbers, .gif with --interpolate (default sample.png)"),
    ])

  package static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    let walks = arguments.has("--interpolate")
    let output = try SampleOutput(
      arguments.value("--out") ?? (walks ? "sample.gif" : "sample.png"), walks: walks)
    let request = try SampleRequest(arguments, output)
    let loaded = try load(arguments)
    let program = loaded.source.program
    guard let sample = program.sample(named: request.name) else {
      let names = program.samples.map { $0.name ?? "(unnamed)" }.joined(separator: ", ")
      throw UsageError(
        "the program has no sample \(request.name.map { "named '\($0)'" } ?? "block"); it has: "
          + (names.isEmpty ? "none" : names)
      )
    }
    let classes = try request.classes(of: sample)
    let workplace = try Workplace(arguments)
    let session = try Session(
      program: program, backend: workplace.backend, seed: 0, compiler: workplace.compiler)
    try session.initialize()
    try loadWeights(loaded, into: session, sample, raw: arguments.has("--raw"), console)
    let given = try dataReplacements(arguments, program.data)
    let read = sources(of: sample, program)
    let feeder = try DataFeeder(
      read, replacements: replacements(given.isEmpty ? loaded.replacements : given, of: read),
      // Where classes are chosen, labels of the data are not looked at.
      limits: classes == nil ? ClassLimit.ofData([sample.graph]) : [:],
      resolver: workplace.resolver, seed: request.seed ?? sample.seed)
    let drawer = try SampleDrawer(
      loaded.source, sample: request.name, session: session, data: feeder,
      count: request.count(classes), choosesClass: classes != nil)
    if let reason = drawer.whyWhole {
      if walks {
        throw UsageError("--interpolate: the sample's images are drawn all at once: \(reason)")
      }
      console.message("the images are drawn all at once, so each depends on the count: \(reason)\n")
    }
    let series = SampleSeries(drawer: drawer, classes: classes ?? [nil], seed: request.seed)
    let shape =
      walks
      ? try output.write(
        series, from: request.seeds(drawer.sample.seed), frames: request.frames,
        columns: request.columns)
      : try output.write(series, columns: request.columns)
    console.message("\(output.path): \(shapeText(shape))\n")
    return ExitCode.done
  }

  /// A program with trained weights.
  struct Loaded {
    var source: ProgramSource
    var tensors: [NamedTensor]
    var path: String
    /// The data that the run had.
    var replacements: [(name: String?, source: String)] = []
  }

  /// What FILE and `--weights` name.
  static func load(_ arguments: ParsedArguments) throws -> Loaded {
    let file = arguments.positionals[0]
    let settings = try arguments.settings()
    if file.hasSuffix(".safetensors") {
      guard !arguments.has("--weights") else {
        throw UsageError("'\(file)' holds its own weights; --weights needs a program")
      }
      let trained = try Weights.readWithProgram(file)
      return Loaded(
        source: try trained.program.elaborated(adding: settings), tensors: trained.tensors,
        path: file, replacements: trained.replacements)
    }
    guard let weights = arguments.value("--weights") else {
      throw UsageError(
        "a program needs --weights F",
        help: "the weights of a run are enough: gan-exec sample RUN/weights.safetensors")
    }
    let tensors = try Weights.read(weights)
    let source = try ProgramSource(path: file, settings: settings)
    return Loaded(source: source, tensors: tensors, path: weights)
  }

  /// The moving averages where the program has any, and says so.
  static func loadWeights(
    _ loaded: Loaded, into session: Session, _ sample: SampleProgram, raw: Bool, _ console: Console
  ) throws {
    var tensors = loaded.tensors
    let averages = Weights.averages(in: tensors, for: sample.graph, of: session.program)
    if !averages.names.isEmpty {
      if !raw { tensors = averages.tensors }
      let names = averages.names.map { "'\($0)'" }.joined(separator: ", ")
      console.message(
        raw
          ? "weights as trained, not their moving average \(names)\n"
          : "weights: the moving average \(names) (--raw takes those that were trained)\n")
    }
    try Weights.load(tensors, into: session, for: sample.graph, path: loaded.path)
  }

  /// The replacements for some of a program's data sources; those for the others would be refused.
  static func replacements(
    _ all: [(name: String?, source: String)], of sources: [DataDeclaration]
  ) -> [(name: String?, source: String)] {
    all.filter { replacement in
      replacement.name.map { name in sources.contains { $0.name == name } } ?? true
    }
  }

  /// The data sources that a sample reads, and what they walk with.
  static func sources(of sample: SampleProgram, _ program: Program) -> [DataDeclaration] {
    var used = sample.graph.inputs.compactMap { input -> String? in
      if case .data(let source, _) = input.role { return source }
      return nil
    }
    // What a source walks with must be there too, and what that walks with.
    for _ in program.data {
      for declaration in program.data where used.contains(declaration.name) {
        if let with = declaration.with { used.append(with) }
        if case .part(let owner, _) = declaration.source { used.append(owner) }
      }
      used = Array(Set(used))
    }
    return program.data.filter { used.contains($0.name) }
  }
}
