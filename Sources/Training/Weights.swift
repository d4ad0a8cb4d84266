// Weights without the rest of a run: what is shipped, with the program that they belong to, and
// what sampling, evaluation and `--weights` take from a file.

import Basics
import Elaboration
import Formats
import GraphIR

package enum Weights {
  /// What a network is made of.
  package static let kinds: [StateKind] = [.parameter, .runningStatistic, .average]

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

    package init(
      program: CarriedProgram, tensors: [NamedTensor],
      replacements: [(name: String?, source: String)] = []
    ) {
      self.program = program
      self.tensors = tensors
      self.replacements = replacements
    }
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

  /// How the tensors of a file fit a program.
  package static func match(_ tensors: [NamedTensor], _ program: Program) -> WeightMatch {
    WeightMatch(tensors, program.states, kinds: kinds)
  }

  /// The names of the moments and counters of a file that its own program tells of; none where there
  /// is no such program.
  package static func optimizerStates(ofFile path: String) -> Set<String> {
    let source = try? readWithProgram(path).program.elaborated()
    return Set((source?.program.states ?? []).filter { !kinds.contains($0.kind) }.map(\.name))
  }

  /// Begins a run with the tensors of a match; what is missing keeps its first value, and an average
  /// that is missing begins as a copy, as in a new run.
  package static func begin(
    _ session: Session, with match: WeightMatch
  ) throws(EnvironmentFailure) {
    for tensor in match.taken { try session.setBytes(tensor.name, tensor.data) }
    let taken = Set(match.taken.map(\.name))
    try session.copyInitialValues { $0.kind == .average && !taken.contains($0.name) }
  }

  /// The tensors with the moving averages of the networks that a graph calls in the place of what
  /// was trained, and the averages' names: none where there are none, where the graph calls one
  /// itself, or where the file has not all of one.
  package static func averages(
    in tensors: [NamedTensor], for graph: Graph, of program: Program
  ) -> (tensors: [NamedTensor], names: [String]) {
    let read = statesRead(by: graph)
    let byName = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    var averages: [String: StateDeclaration] = [:]
    for state in program.states where state.kind == .average {
      if read.contains(state.name) { return (tensors, []) }
      guard case .copy(let original) = state.initializer, read.contains(original) else { continue }
      // Of several averages of one network the first.
      averages[original] = averages[original] ?? state
    }
    guard averages.values.allSatisfy({ byName[$0.name] != nil }) else { return (tensors, []) }
    var names: [String] = []
    for state in program.states where state.kind == .average {
      guard averages.values.contains(where: { $0.name == state.name }),
        let name = state.name.split(separator: "/").first.map(String.init), !names.contains(name)
      else { continue }
      names.append(name)
    }
    let replaced = tensors.map { tensor in
      guard let average = averages[tensor.name], var other = byName[average.name] else {
        return tensor
      }
      other.name = tensor.name
      return other
    }
    return (replaced, names)
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

  /// Loads the states of these names.
  package static func load(
    _ tensors: [NamedTensor], into session: Session, named names: Set<String>, path: String
  ) throws(EnvironmentFailure) {
    try load(tensors, into: session, path: path) { names.contains($0.name) }
  }

  /// The states on which a result of the graph depends.
  private static func statesRead(by graph: Graph) -> Set<String> {
    var results = graph
    results.outputs.removeAll { if case .result = $0.role { false } else { true } }
    let values = results.liveInputs()
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
      guard tensor.fits(state) else {
        throw EnvironmentFailure(
          "\(path): '\(state.name)' is \(tensor.typeText), but the program has \(state.type)")
      }
      found.append((state, tensor))
    }
    guard missing.isEmpty else {
      throw EnvironmentFailure("\(path): it lacks \(shortList(missing))")
    }
    for (state, tensor) in found { try session.setBytes(state.name, tensor.data) }
  }
}
