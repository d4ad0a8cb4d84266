// Checkpoints: everything a run needs to go on, in one safetensors file that other tools read too.
// Tensors are the states by name; the metadata hold the program's text and settings, the seed, the
// step and the data's checksums.

import Basics
import Elaboration
import Formats
import GraphIR

package struct Checkpoint: Sendable {
  package static let formatVersion = "1"
  /// More than any run can do; so no arithmetic with steps overflows.
  private static let mostSteps = 1 << 40

  package var step: Int
  package var seed: UInt64
  package var programName: String
  package var programText: String
  package var programHash: String
  package var settings: [(name: String, value: String)]
  /// Checksum of each data source by the name in the program.
  package var data: [(name: String, checksum: String)]
  /// What `--data` said, so that a resumed run finds its data; an empty name stands for all named
  /// sets.
  package var replacements: [(name: String?, source: String)]
  package var tensors: [NamedTensor]

  /// The states of a session after `step` steps.
  package init(session: Session, source: ProgramSource, step: Int, feeder: DataFeeder) {
    self.step = step
    seed = session.seed
    programName = source.source.name
    programText = String(decoding: source.source.bytes, as: UTF8.self)
    programHash = source.hash
    settings = source.settings
    data = feeder.sources.map { ($0.name, $0.dataset.checksum) }
    replacements = feeder.replacements
    tensors = session.program.states.map { state in
      NamedTensor(
        name: state.name, dtype: state.type.element == .f32 ? .f32 : .i32, shape: state.type.shape,
        data: session.bytes(of: state.name))
    }
  }

  // MARK: Bytes

  package func encode() throws -> [UInt8] {
    let settings = JSONValue.object(self.settings.map { (key: $0.name, value: .string($0.value)) })
    let data = JSONValue.object(self.data.map { (key: $0.name, value: .string($0.checksum)) })
    let replaced = JSONValue.array(
      replacements.map { .array([.string($0.name ?? ""), .string($0.source)]) })
    let metadata: [(String, String)] = [
      ("format", "swift-gan checkpoint"), ("version", Self.formatVersion),
      ("step", String(step)), ("seed", String(seed)),
      ("program_name", programName), ("program", programText), ("program_hash", programHash),
      ("settings", settings.text()), ("data", data.text()),
      ("data_sources", replaced.text()),
    ]
    return try TensorFile(tensors: tensors, metadata: metadata).encode(checksum: true)
  }

  package init(path: String) throws(EnvironmentFailure) {
    let file = try TensorFile.decode(try FileIO.read(path), name: path, requireChecksum: true)
    try self.init(file, path: path)
  }

  private init(_ file: TensorFile, path: String) throws(EnvironmentFailure) {
    guard file.metadata("format") == "swift-gan checkpoint" else {
      throw EnvironmentFailure(
        "\(path): not a checkpoint: its metadata do not say \"swift-gan checkpoint\"",
        help: "a file of weights alone needs the program too: name the .gan file before it")
    }
    guard let version = file.metadata("version"), version == Self.formatVersion else {
      throw EnvironmentFailure(
        "\(path): a checkpoint of version \(file.metadata("version") ?? "?"); this program reads "
          + Self.formatVersion)
    }
    func required(_ key: String) throws(EnvironmentFailure) -> String {
      guard let value = file.metadata(key) else {
        throw EnvironmentFailure("\(path): the checkpoint has no \(key)")
      }
      return value
    }
    guard let step = Int(try required("step")), 0...Self.mostSteps ~= step,
      let seed = UInt64(try required("seed"))
    else { throw EnvironmentFailure("\(path): the checkpoint's step or seed is not a number") }
    self.step = step
    self.seed = seed
    programName = try required("program_name")
    programText = try required("program")
    programHash = try required("program_hash")
    settings = try Self.pairs(try required("settings"), path).map { (name: $0.0, value: $0.1) }
    data = try Self.pairs(try required("data"), path).map { (name: $0.0, checksum: $0.1) }
    replacements = try Self.replacements(try required("data_sources"), path)
    tensors = file.tensors
  }

  private static func replacements(
    _ text: String, _ path: String
  ) throws(EnvironmentFailure) -> [(name: String?, source: String)] {
    var found: [(name: String?, source: String)] = []
    for pair in try JSONValue.parse(text, name: path).arrayValue ?? [] {
      guard let parts = pair.arrayValue?.compactMap(\.stringValue), parts.count == 2 else {
        throw EnvironmentFailure("\(path): the checkpoint's metadata are damaged")
      }
      found.append((parts[0].isEmpty ? nil : parts[0], parts[1]))
    }
    return found
  }

  private static func pairs(
    _ text: String, _ path: String
  ) throws(EnvironmentFailure) -> [(String, String)] {
    guard let object = try JSONValue.parse(text, name: path).objectValue else {
      throw EnvironmentFailure("\(path): the checkpoint's metadata are damaged")
    }
    return object.compactMap { pair in pair.value.stringValue.map { (pair.key, $0) } }
  }

  // MARK: Use

  /// The program that travels in the checkpoint, with its settings and further ones.
  package func program(
    adding further: [(name: String, value: String)] = [], sampleCount: SampleCount? = nil,
    argumentShapes: [ProgramSource.ArgumentShape] = []
  ) throws -> ProgramSource {
    try ProgramSource(
      SourceText(name: programName, programText), settings: settings + further,
      sampleCount: sampleCount, argumentShapes: argumentShapes)
  }

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
