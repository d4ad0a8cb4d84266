// Weights without the rest of a run: what is shipped, with the program that they belong to, and
// what sampling, evaluation and `--weights` take from a file.

import Basics
import Elaboration
import Formats
import GraphIR

package enum Weights {
  private static let kinds: [StateKind] = [.parameter, .runningStatistic, .average]

  private static let format = "swift-gan weights"

  /// Parameters, running statistics and averages as a file of their own, with their program.
  package static func encode(
    _ session: Session, of program: CarriedProgram
  ) throws(EnvironmentFailure) -> [UInt8] {
    let states = session.program.states.filter { kinds.contains($0.kind) }
    let tensors = try states.map { (state) throws(EnvironmentFailure) in
      NamedTensor(
        name: state.name, dtype: .f32, shape: state.type.shape,
        data: try session.bytes(of: state.name))
    }
    let metadata = [("format", format), ("model", session.program.model)]
    return try TensorFile(tensors: tensors, metadata: metadata + program.withoutFolder.metadata)
      .encode(checksum: true)
  }

  /// The tensors of a weights file or checkpoint, or the arrays of an NPZ file.
  package static func read(_ path: String) throws(EnvironmentFailure) -> [NamedTensor] {
    let bytes = try FileIO.read(path)
    guard ZipArchive.isZip(bytes) else { return try TensorFile.decode(bytes, name: path).tensors }
    return try NPZArchive(bytes, name: path).arrays().map {
      (key, array) throws(EnvironmentFailure) in
      try NamedTensor(name: key, array, file: path)
    }
  }

  /// A file that can be used alone.
  package struct WithProgram: Sendable {
    package var program: CarriedProgram
    package var tensors: [NamedTensor]
    /// The run's `--data`, of a checkpoint only: weights are shipped to where there are other data.
    package var replacements: [(name: String?, source: String)] = []
  }

  /// The tensors of a weights file or checkpoint, and the program that travels in it. A file of
  /// another program's making has none, which is a failure that says how to give it.
  package static func readWithProgram(_ path: String) throws(EnvironmentFailure) -> WithProgram {
    let bytes = try FileIO.read(path)
    // The metadata first: only files of ours can be asked for a checksum.
    let metadata = try TensorFile.metadata(of: bytes, name: path)
    let found = metadata.first { $0.0 == "format" }?.1
    guard found == Checkpoint.format || found == format,
      metadata.contains(where: { $0.0 == "program" })
    else {
      throw EnvironmentFailure(
        "\(path): no program travels in this file",
        help: "give the program and its weights: PROGRAM.gan --weights \(path)")
    }
    let file = try TensorFile.decode(bytes, name: path, requireChecksum: true)
    if found == Checkpoint.format {
      let checkpoint = try Checkpoint(file, path: path)
      return WithProgram(
        program: checkpoint.program, tensors: checkpoint.tensors,
        replacements: checkpoint.replacements)
    }
    return WithProgram(program: try CarriedProgram(file, path: path), tensors: file.tensors)
  }

  /// Loads every parameter and running statistic. An average that the file lacks begins as a copy,
  /// as in a new run.
  package static func loadAll(
    _ tensors: [NamedTensor], into session: Session, path: String
  ) throws(EnvironmentFailure) {
    let there = Set(tensors.map(\.name))
    func isMissingAverage(_ state: StateDeclaration) -> Bool {
      state.kind == .average && !there.contains(state.name)
    }
    try load(tensors, into: session, path: path) {
      kinds.contains($0.kind) && !isMissingAverage($0)
    }
    try session.copyInitialValues(where: isMissingAverage)
  }

  /// Loads what a graph needs: the states that it reads, and every parameter and running statistic
  /// of their networks.
  package static func load(
    _ tensors: [NamedTensor], into session: Session, for graph: Graph, path: String
  ) throws(EnvironmentFailure) {
    let read = statesRead(by: graph)
    let states = session.program.states
    let networks = Set(
      states.filter { read.contains($0.name) && $0.kind != .average }.compactMap(\.network))
    try load(tensors, into: session, path: path) { state in
      if read.contains(state.name) { return true }
      guard state.kind == .parameter || state.kind == .runningStatistic else { return false }
      return state.network.map { networks.contains($0) } ?? false
    }
  }

  /// The states on which a result of the graph depends.
  private static func statesRead(by graph: Graph) -> Set<String> {
    var results = graph
    results.outputs.removeAll { if case .result = $0.role { false } else { true } }
    let live = results.liveNodes()
    var values = BitSet()
    for output in results.outputs { values.insert(output.value) }
    for id in graph.nodes.ids where live.contains(id) {
      for operand in graph.nodes[id].operands { values.insert(operand) }
    }
    var names: Set<String> = []
    for input in graph.inputs where values.contains(input.value) {
      if case .state(let name) = input.role { names.insert(name) }
    }
    return names
  }

  /// Writes the states for which `wanted` holds; all of them must be there. Nothing is written
  /// before all are checked.
  static func load(
    _ tensors: [NamedTensor], into session: Session, path: String,
    where wanted: (StateDeclaration) -> Bool
  ) throws(EnvironmentFailure) {
    let byName = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    var missing: [String] = []
    var found: [(StateDeclaration, NamedTensor)] = []
    for state in session.program.states where wanted(state) {
      guard let tensor = byName[state.name] else {
        missing.append(state.name)
        continue
      }
      let dtype: NamedTensor.Element = state.type.element == .f32 ? .f32 : .i32
      guard tensor.shape == state.type.shape, tensor.dtype == dtype,
        tensor.data.count == state.type.byteCount
      else {
        throw EnvironmentFailure(
          "\(path): '\(state.name)' is \(tensor.dtype.rawValue)\(shapeText(tensor.shape)), "
            + "but the program has \(state.type)")
      }
      found.append((state, tensor))
    }
    guard missing.isEmpty else {
      let shown = missing.prefix(8).joined(separator: ", ")
      let rest = missing.count > 8 ? " and \(missing.count - 8) more" : ""
      throw EnvironmentFailure("\(path): it lacks \(shown)\(rest)")
    }
    for (state, tensor) in found { try session.setBytes(state.name, tensor.data) }
  }
}
