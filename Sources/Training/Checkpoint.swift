// Checkpoints: everything a run needs to go on, in one safetensors file that other tools read too.
// Tensors are the states by name; the metadata hold the program's text and settings, the seed, the
// step and the data's checksums.

import Basics
import Elaboration
import Formats
import GraphIR
import Passes

package struct Checkpoint: Sendable {
  static let format = "swift-gan checkpoint"
  package static let formatVersion = "1"
  /// More than any run can do; so no arithmetic with steps overflows.
  private static let mostSteps = 1 << 40

  package var step: Int
  package var seed: UInt64
  /// What the run was compiled with; nil where a checkpoint of an earlier version does not say.
  package var arithmetic: Pipeline.Arithmetic?
  package var program: CarriedProgram
  package var programHash: String
  /// Checksum of each data source by the name in the program.
  package var data: [(name: String, checksum: String)]
  /// What `--data` said, so that a resumed run finds its data; an empty name stands for all named
  /// sets.
  package var replacements: [(name: String?, source: String)]
  /// What the command line said of schedules and checkpoints, so that a resumed run keeps to it.
  package var policy: CheckpointPolicy
  package var tensors: [NamedTensor]

  /// The states of a session after `step` steps.
  package init(
    session: Session, source: ProgramSource, step: Int, feeder: DataFeeder,
    policy: CheckpointPolicy = CheckpointPolicy()
  ) throws(EnvironmentFailure) {
    self.step = step
    self.policy = policy
    seed = session.seed
    arithmetic = session.arithmetic
    program = CarriedProgram(source)
    replacements = feeder.replacements
    programHash = source.hash
    data = feeder.sources.map { ($0.name, $0.dataset.checksum) }
    tensors = try session.program.states.map { (state) throws(EnvironmentFailure) in
      NamedTensor(
        name: state.name, dtype: state.type.element == .f32 ? .f32 : .i32, shape: state.type.shape,
        data: try session.bytes(of: state.name))
    }
  }

  // MARK: Bytes

  package func encode() throws -> [UInt8] {
    let data = JSONValue.object(self.data.map { (key: $0.name, value: .string($0.checksum)) })
    let replaced = JSONValue.array(
      replacements.map { .array([.string($0.name ?? ""), .string($0.source)]) })
    let math: [(String, String)] = arithmetic.map { [("math", $0.rawValue)] } ?? []
    let metadata: [(String, String)] = [
      ("format", Self.format), ("version", Self.formatVersion),
      ("step", String(step)), ("seed", String(seed)), ("program_hash", programHash),
      ("data", data.text()), ("data_sources", replaced.text()),
    ]
    return try TensorFile(
      tensors: tensors, metadata: metadata + math + policy.metadata + program.metadata
    ).encode(checksum: true)
  }

  package init(path: String) throws(EnvironmentFailure) {
    let file = try TensorFile.decode(try FileIO.read(path), name: path, requireChecksum: true)
    try self.init(file, path: path)
  }

  /// `file` was read with its checksum required.
  init(_ file: TensorFile, path: String) throws(EnvironmentFailure) {
    guard file.metadata("format") == Self.format else {
      throw EnvironmentFailure(
        "\(path): not a checkpoint: its metadata do not say \"swift-gan checkpoint\"",
        help: "to begin a run with weights: gan-exec train PROGRAM.gan --weights \(path)")
    }
    guard let version = file.metadata("version"), version == Self.formatVersion else {
      throw EnvironmentFailure(
        "\(path): a checkpoint of version \(file.metadata("version") ?? "?"); this program reads "
          + Self.formatVersion)
    }
    guard let step = Int(try CarriedProgram.required("step", file, path)),
      0...Self.mostSteps ~= step,
      let seed = UInt64(try CarriedProgram.required("seed", file, path))
    else { throw EnvironmentFailure("\(path): the checkpoint's step or seed is not a number") }
    self.step = step
    self.seed = seed
    if let math = file.metadata("math") {
      guard let known = Pipeline.Arithmetic(rawValue: math) else {
        throw EnvironmentFailure(
          "\(path): the run was computed with '\(math)' arithmetic, which this program does not know"
        )
      }
      arithmetic = known
    }
    policy = try CheckpointPolicy(file, path: path)
    program = try CarriedProgram(file, path: path)
    programHash = try CarriedProgram.required("program_hash", file, path)
    data = try CarriedProgram.pairs("data", file, path).map { (name: $0.0, checksum: $0.1) }
    replacements = try Self.replacements(file, path)
    tensors = file.tensors
  }

  private static func replacements(
    _ file: TensorFile, _ path: String
  ) throws(EnvironmentFailure) -> [(name: String?, source: String)] {
    let text = try CarriedProgram.required("data_sources", file, path)
    var found: [(name: String?, source: String)] = []
    for pair in try JSONValue.parse(text, name: path).arrayValue ?? [] {
      guard let parts = pair.arrayValue?.compactMap(\.stringValue), parts.count == 2 else {
        throw EnvironmentFailure("\(path): its metadata are damaged: data_sources are no pairs")
      }
      found.append((parts[0].isEmpty ? nil : parts[0], parts[1]))
    }
    return found
  }

  // MARK: Use

  /// Puts all states back. Every state of the program must be there with its type, and none more;
  /// where something is wrong, no state changes.
  package func restore(_ session: Session, path: String) throws(EnvironmentFailure) {
    let known = Set(session.program.states.map(\.name))
    let extra = tensors.map(\.name).filter { !known.contains($0) }
    guard extra.isEmpty else {
      throw EnvironmentFailure(
        "\(path): the checkpoint has \(extra.count) tensors that the program does not know, "
          + "such as '\(extra[0])'"
      )
    }
    try Weights.load(tensors, into: session, path: path) { _ in true }
  }
}
