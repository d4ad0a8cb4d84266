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
      + "with\n--weights.",
    options: [
      OptionSpec("--weights", "F", "a checkpoint or weights file, or .npz"),
      OptionSpec("--name", "NAME", "which sample of the program (default: the unnamed one)"),
      OptionSpec("--count", "N", "how many images instead of the program's count"),
      OptionSpec("--seed", "N", "the seed of the noise instead of the program's"),
      OptionSpec("--data", "SOURCE", "replace the data sources that the sample uses"),
      OptionSpec(
        "--out", "F", "where to: .png for a grid, .npy for the numbers (default sample.png)"),
    ])

  package static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    let out = arguments.value("--out") ?? "sample.png"
    guard out.hasSuffix(".png") || out.hasSuffix(".npy") else {
      throw UsageError("--out takes a name that ends in .png or .npy, not '\(out)'")
    }
    let count = try arguments.integer("--count", in: 1...1_000_000)
    let name = arguments.value("--name")
    let loaded = try load(
      arguments, sampleCount: count.map { SampleCount(sample: name, count: $0) })
    let program = loaded.source.program
    guard let sample = program.sample(named: name) else {
      let names = program.samples.map { $0.name ?? "(unnamed)" }.joined(separator: ", ")
      throw UsageError(
        "the program has no sample \(name.map { "named '\($0)'" } ?? "block"); it has: "
          + (names.isEmpty ? "none" : names)
      )
    }
    let workplace = try Workplace(arguments)
    let session = try Session(
      program: program, backend: workplace.backend, seed: 0, compiler: workplace.compiler)
    try session.initialize()
    try Weights.load(loaded.tensors, into: session, for: sample.graph, path: loaded.path)
    let seed = try arguments.seed()
    let given = try dataReplacements(arguments, program.data)
    let feeder = try DataFeeder(
      sources(of: sample, program), replacements: given.isEmpty ? loaded.replacements : given,
      limits: ClassLimit.ofData([sample.graph]), resolver: workplace.resolver,
      seed: seed ?? sample.seed)
    let drawn = try session.draw(sample, data: feeder, seed: seed)
    try write(drawn, sample, to: out)
    console.message("\(out): \(shapeText(drawn.shape))\n")
    return ExitCode.done
  }

  private struct Loaded {
    var source: ProgramSource
    var tensors: [NamedTensor]
    var path: String
    /// The data that the run had.
    var replacements: [(name: String?, source: String)] = []
  }

  private static func load(_ arguments: ParsedArguments, sampleCount: SampleCount?) throws -> Loaded
  {
    let file = arguments.positionals[0]
    let settings = try arguments.settings()
    if file.hasSuffix(".safetensors") {
      guard !arguments.has("--weights") else {
        throw UsageError("'\(file)' holds its own weights; --weights needs a program")
      }
      let trained = try Weights.readWithProgram(file)
      return Loaded(
        source: try trained.program.elaborated(adding: settings, sampleCount: sampleCount),
        tensors: trained.tensors, path: file, replacements: trained.replacements)
    }
    guard let weights = arguments.value("--weights") else {
      throw UsageError(
        "a program needs --weights F",
        help: "the weights of a run are enough: gan-exec sample RUN/weights.safetensors")
    }
    let tensors = try Weights.read(weights)
    let source = try ProgramSource(path: file, settings: settings, sampleCount: sampleCount)
    return Loaded(source: source, tensors: tensors, path: weights)
  }

  private static func sources(of sample: SampleProgram, _ program: Program) -> [DataDeclaration] {
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

  private static func write(
    _ drawn: (shape: [Int], values: [Float]), _ sample: SampleProgram, to out: String
  ) throws {
    if out.hasSuffix(".npy") {
      let array = NPYArray(shape: drawn.shape, floats: drawn.values)
      try FileIO.writeAtomically(try array.encode(), to: out)
      return
    }
    guard let grid = try SampleWriter.grid(drawn, low: sample.low, high: sample.high) else {
      throw UsageError(
        "the sample's shape \(shapeText(drawn.shape)) is no list of pictures; "
          + "write it to a .npy file"
      )
    }
    try FileIO.writeAtomically(try PNG.encode(grid), to: out)
  }
}
