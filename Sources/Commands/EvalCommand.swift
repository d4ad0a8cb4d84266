// `gan-exec eval FILE NETWORK`: one network on given arrays.

import Basics
import Elaboration
import Formats
import GraphIR
import Training

package enum EvalCommand {
  package static let spec = CommandSpec(
    "eval", "FILE [NETWORK]", count: 1...2,
    "Runs one network of a program on arrays from .npy and .npz files. FILE is a program, a checkpoint\n"
      + "or a run's weights.safetensors; or an ONNX model (.onnx), which has no NETWORK.",
    options: [
      OptionSpec(
        "--input", "NAME=F",
        "the array of one argument: F.npy, F.npz or F.npz:KEY (repeatable)"),
      OptionSpec(
        "--weights", "F", "a checkpoint or weights file, or .npz (default: initial values)"),
      OptionSpec("--seed", "N", "the seed of initial values and of random draws (default 0)"),
      OptionSpec("--training", nil, "run in training mode; no state changes"),
      OptionSpec("--output", "F", "where to: .npy for one result, .npz or .safetensors for all"),
    ])

  package static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    guard arguments.positionals.count == 2 || ONNXFile.isONNX(arguments.positionals[0]) else {
      throw UsageError("expected FILE NETWORK, found no NETWORK")
    }
    guard let output = arguments.value("--output"),
      [".npy", ".npz", ".safetensors"].contains(where: output.hasSuffix)
    else { throw UsageError("--output takes a name that ends in .npy, .npz or .safetensors") }
    if ONNXFile.isONNX(arguments.positionals[0]) {
      return try runONNX(arguments, output, console)
    }
    let inputs = try arrays(arguments)
    let name = arguments.positionals[1]
    let source = try program(arguments, network: name, inputs)
    guard let network = source.program.networks.first(where: { $0.name == name }) else {
      let names = source.program.networks.map(\.name)
      throw UsageError(
        "the program has no network '\(name)'; it has \(names.joined(separator: ", "))",
        help: suggestion(for: name, in: names))
    }
    let workplace = try Workplace(arguments)
    let seed = try arguments.seed() ?? 0
    let session = try Session(
      program: source.program, backend: workplace.backend, seed: seed, compiler: workplace.compiler)
    try session.initialize()
    let graph = arguments.has("--training") ? network.trainingGraph : network.graph
    let isCheckpoint = arguments.positionals[0].hasSuffix(".safetensors")
    if let path = arguments.value("--weights") ?? (isCheckpoint ? arguments.positionals[0] : nil) {
      try Weights.load(try Weights.read(path), into: session, for: graph, path: path)
    }
    let values = try bytes(inputs, network, ClassLimit.ofArguments(graph))
    let results = try session.evaluate(graph, key: "eval \(name)", arguments: values)
    let arrays = results.map { result in
      let element: NPYArray.Element = result.type.element == .f32 ? .f32 : .i32
      return (
        name: result.name,
        array: NPYArray(element: element, shape: result.type.shape, bytes: result.bytes)
      )
    }
    try write(arrays, of: "network", to: output)
    for result in results { console.message("\(name) result \(result.name): \(result.type)\n") }
    return ExitCode.done
  }

  /// An ONNX model by itself, with its own weights.
  private static func runONNX(
    _ arguments: ParsedArguments, _ output: String, _ console: Console
  ) throws -> Int32 {
    guard arguments.positionals.count == 1 else {
      throw UsageError("an ONNX model has no networks, found '\(arguments.positionals[1])'")
    }
    for option in ["--weights", "--training", "--seed"] where arguments.has(option) {
      throw UsageError("\(option) does not go with an ONNX model")
    }
    let inputs = try arrays(arguments)
    let given = inputs.map { ONNXEvaluation.tensor($0.name, $0.array) }
    let model = try ONNXFile.read(arguments.positionals[0], arguments, given: given)
    let bytes = try ONNXEvaluation.run(model, inputs, Workplace(arguments))
    let results = zip(model.results, bytes).map { port, bytes in
      (name: port.name, array: ONNXEvaluation.array(port, bytes))
    }
    try write(results, of: "model", to: output)
    for port in model.results { console.message("result \(port.name): \(port.type)\n") }
    return ExitCode.done
  }

  private static func arrays(_ arguments: ParsedArguments) throws -> [(
    name: String, array: NPYArray
  )] {
    // All of the line first: wrong usage is told before any file is looked for.
    var paths: [(name: String, path: String)] = []
    for text in arguments.values("--input") {
      let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2 else { throw UsageError("--input takes NAME=FILE, not '\(text)'") }
      if let first = paths.first(where: { $0.name == parts[0] }) {
        throw UsageError(
          "the input '\(first.name)' is given twice: \(first.path) and \(parts[1])")
      }
      paths.append((parts[0], parts[1]))
    }
    return try paths.map { name, path in
      (name, try ArrayReference(path).read())
    }
  }

  /// The program with the network instantiated at the shapes of the inputs.
  private static func program(
    _ arguments: ParsedArguments, network: String, _ inputs: [(name: String, array: NPYArray)]
  ) throws -> ProgramSource {
    let settings = try arguments.settings()
    let shapes = inputs.map { (network: network, argument: $0.name, shape: $0.array.shape) }
    if arguments.positionals[0].hasSuffix(".safetensors") {
      return try Weights.readWithProgram(arguments.positionals[0]).program.elaborated(
        adding: settings, argumentShapes: shapes)
    }
    return try ProgramSource(
      path: arguments.positionals[0], settings: settings, argumentShapes: shapes)
  }

  private static func bytes(
    _ inputs: [(name: String, array: NPYArray)], _ network: NetworkProgram,
    _ limits: [String: ClassLimit]
  ) throws -> [String: [UInt8]] {
    var values: [String: [UInt8]] = [:]
    for argument in network.arguments {
      guard let input = inputs.first(where: { $0.name == argument.name }) else {
        throw UsageError("the argument '\(argument.name)' needs --input \(argument.name)=FILE.npy")
      }
      guard input.array.shape == argument.type.shape else {
        throw EnvironmentFailure(
          "the input '\(argument.name)' has the shape \(shapeText(input.array.shape)), "
            + "the network takes "
            + "\(argument.type)")
      }
      if argument.type.element == .f32 {
        values[argument.name] = input.array.floats.withUnsafeBytes { Array($0) }
      } else {
        let whole = try integers(input.name, input.array, limits[argument.name])
        values[argument.name] = whole.withUnsafeBytes { Array($0) }
      }
    }
    for input in inputs where !network.arguments.contains(where: { $0.name == input.name }) {
      throw UsageError(
        "the network '\(network.name)' has no argument '\(input.name)'",
        help: suggestion(for: input.name, in: network.arguments.map(\.name)))
    }
    return values
  }

  static func integers(
    _ name: String, _ array: NPYArray, _ limit: ClassLimit?
  ) throws(EnvironmentFailure) -> [Int32] {
    guard let whole = array.integers else {
      throw EnvironmentFailure("the input '\(name)' must hold whole numbers")
    }
    if let limit, let index = whole.firstIndex(where: { $0 < 0 || $0 >= limit.count }) {
      throw EnvironmentFailure(
        "the input '\(name)' holds \(whole[index]) at \(place(of: index, in: array.shape)), "
          + "but \(limit.text)", help: limit.help)
    }
    let narrow = whole.compactMap { Int32(exactly: $0) }
    guard narrow.count == whole.count else {
      throw EnvironmentFailure("the input '\(name)' holds a number that does not fit 32 bits")
    }
    return narrow
  }

  /// `[1, 0]` of the element 3 of [4, 3].
  private static func place(of index: Int, in shape: [Int]) -> String {
    var rest = index
    var place: [Int] = []
    for size in shape.reversed() {
      place.insert(rest % size, at: 0)
      rest /= size
    }
    return shapeText(place)
  }

  private static func write(
    _ results: [(name: String, array: NPYArray)], of what: String, to output: String
  ) throws {
    if output.hasSuffix(".npy") {
      guard results.count == 1, let result = results.first else {
        throw UsageError(
          "the \(what) has \(results.count) results; write them to a .npz or .safetensors file")
      }
      return try FileIO.writeAtomically(try result.array.encode(), to: output)
    }
    if output.hasSuffix(".npz") {
      return try FileIO.writeAtomically(
        try NPZ.encode(results.map { ($0.name, $0.array) }), to: output)
    }
    let tensors = try results.map {
      try NamedTensor(name: $0.name, $0.array, file: output)
    }
    try FileIO.writeAtomically(try TensorFile(tensors: tensors).encode(), to: output)
  }
}
