// `gan-exec export FILE`: weights and networks in the formats of other programs.

import Basics
import Elaboration
import Formats
import GraphIR
import Interchange
import Passes
import Training

package enum ExportCommand {
  package static let spec = CommandSpec(
    "export", "FILE [NETWORK]", count: 1...2,
    "Writes a network as an ONNX model, or weights as NPZ or safetensors. FILE is a checkpoint or a "
      + "run's\nweights.safetensors, or a program with --weights. NETWORK is a network, or a moving "
      + "average of one (average\nNET as NAME) to take that one's weights. A model has standard "
      + "operators only (opset \(ONNXExport.opset)), images as\nin the program (NHWC), and a free "
      + "batch.",
    options: [
      OptionSpec("--weights", "F", "a checkpoint or weights file, or .npz"),
      OptionSpec("--seed", "N", "without --weights: the initial values of this seed"),
      OptionSpec(
        "--output", "F",
        "where to: .onnx for a network, .npz or .safetensors for the weights of all, or of NETWORK"),
    ])

  package static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    guard let output = arguments.value("--output"),
      [".onnx", ".npz", ".safetensors"].contains(where: output.hasSuffix)
    else { throw UsageError("--output takes a name that ends in .onnx, .npz or .safetensors") }
    let origin = try ExportOrigin(arguments)
    let source = try origin.elaborated([])
    let name = arguments.positionals.dropFirst().first
    let bytes: [UInt8]
    if output.hasSuffix(".onnx") {
      let network = try ExportedNetwork(name, in: source.program)
      let (model, warning) = try network.model(origin, source)
      if let warning { console.message("warning: \(warning)\n") }
      bytes = try model.encode(name: output)
      guard bytes.count <= ONNXExport.mostBytes else {
        throw EnvironmentFailure(
          "\(output): the model has \(bytes.count) bytes, more than the 2 GiB of the format")
      }
      console.message(summary(model, network))
    } else {
      bytes = try weights(origin, source, name, isNPZ: output.hasSuffix(".npz"))
    }
    try FileIO.writeAtomically(bytes, to: output)
    console.message("\(output): \(bytes.count) bytes\n")
    return ExitCode.done
  }

  /// `generator: 21 nodes, opset 17; z float32[batch, 100] -> output float32[batch, 28, 28, 1]`
  private static func summary(_ model: ONNXModel, _ network: ExportedNetwork) -> String {
    func list(_ infos: [ONNXValueInfo]) -> String {
      infos.map { info in
        guard case .tensor(let element, let shape) = info.kind else { return info.name }
        let sizes = (shape ?? []).map { dimension in
          switch dimension {
          case .value(let size): "\(size)"
          case .parameter(let name): name
          case .unknown: "?"
          }
        }
        return "\(info.name) \(element.text)[\(sizes.joined(separator: ", "))]"
      }.joined(separator: ", ")
    }
    return "\(network.title): \(model.graph.nodes.count) nodes, opset \(ONNXExport.opset); "
      + "\(list(model.graph.inputs)) -> \(list(model.graph.outputs))\n"
  }

  // MARK: Weights

  private static func weights(
    _ origin: ExportOrigin, _ source: ProgramSource, _ name: String?, isNPZ: Bool
  ) throws -> [UInt8] {
    let session = try origin.session(source.program)
    if let path = origin.path { try load(origin.tensors, into: session, path: path) }
    if !isNPZ, name == nil { return try Weights.encode(session, of: CarriedProgram(source)) }
    var states = source.program.states.filter { Weights.kinds.contains($0.kind) }
    if let name {
      let network = try ExportedNetwork(name, in: source.program)
      states = states.filter { network.owns($0) }
    }
    let tensors = try states.map { state in
      NamedTensor(
        name: state.name, dtype: .f32, shape: state.type.shape,
        data: try session.bytes(of: state.name))
    }
    if isNPZ { return try NPZ.encode(tensors.map { ($0.name, NPYArray($0)) }) }
    return try TensorFile(tensors: tensors, metadata: [("model", source.program.model)]).encode()
  }

  /// Every parameter and running statistic. An average that the file lacks is a copy, as in a new run.
  private static func load(_ tensors: [NamedTensor], into session: Session, path: String) throws {
    let there = Set(tensors.map(\.name))
    func isMissingAverage(_ state: StateDeclaration) -> Bool {
      state.kind == .average && !there.contains(state.name)
    }
    let wanted = session.program.states.filter {
      Weights.kinds.contains($0.kind) && !isMissingAverage($0)
    }
    try Weights.load(tensors, into: session, named: Set(wanted.map(\.name)), path: path)
    try session.copyInitialValues(where: isMissingAverage)
  }
}

/// The program and the weights that are exported.
struct ExportOrigin {
  let arguments: ParsedArguments
  /// Where the weights are from; nil for initial values.
  let path: String?
  let tensors: [NamedTensor]
  private let carried: CarriedProgram?
  private let seed: UInt64

  init(_ arguments: ParsedArguments) throws {
    self.arguments = arguments
    let file = arguments.positionals[0]
    seed = try arguments.seed() ?? 0
    let weights = arguments.value("--weights")
    if file.hasSuffix(".safetensors") {
      guard weights == nil, !arguments.has("--seed") else {
        throw UsageError("'\(file)' holds its own weights; --weights and --seed need a program")
      }
      let trained = try Weights.readWithProgram(file)
      (path, tensors, carried) = (file, trained.tensors, trained.program)
      return
    }
    carried = nil
    path = weights
    guard let weights else {
      guard arguments.has("--seed") else {
        throw UsageError(
          "a program needs --weights F, or --seed N for initial values",
          help: "the weights of a run are enough: gan-exec export RUN/weights.safetensors")
      }
      tensors = []
      return
    }
    guard !arguments.has("--seed") else {
      throw UsageError("--weights and --seed exclude each other")
    }
    tensors = try Weights.read(weights)
  }

  /// The program with arguments of networks of given shapes.
  func elaborated(_ shapes: [ProgramSource.ArgumentShape]) throws -> ProgramSource {
    let settings = try arguments.settings()
    if let carried { return try carried.elaborated(adding: settings, argumentShapes: shapes) }
    return try ProgramSource(
      path: arguments.positionals[0], settings: settings, argumentShapes: shapes)
  }

  /// A session with the initial values of the seed.
  func session(_ program: Program) throws -> Session {
    let workplace = try Workplace(arguments)
    let session = try Session(
      program: program, backend: workplace.backend, seed: seed, compiler: workplace.compiler)
    try session.initialize()
    return session
  }
}
