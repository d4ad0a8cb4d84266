// A network, or a moving average of one, as an ONNX model: found by its name, elaborated at two
// batches, and written with the values of its states.

import Basics
import Elaboration
import Formats
import GraphIR
import Interchange
import Passes
import Training

struct ExportedNetwork {
  /// What was asked for.
  let title: String
  let network: NetworkProgram
  /// For a moving average, the average's state by the network's state that it is of.
  private let averaged: [String: String]

  /// Two primes, so that no size of a program is taken for the batch.
  private static let batches = (7, 11)

  init(_ name: String?, in program: Program) throws(UsageError) {
    let averages = Self.averages(of: program)
    let names = program.networks.map(\.name) + averages.map(\.name)
    guard let name = name ?? (program.networks.count == 1 ? names.first : nil) else {
      throw UsageError("NETWORK is missing; the program has \(names.joined(separator: ", "))")
    }
    title = name
    if let network = program.networks.first(where: { $0.name == name }) {
      self.network = network
      averaged = [:]
    } else if let average = averages.first(where: { $0.name == name }),
      let network = program.networks.first(where: { $0.name == average.network })
    {
      self.network = network
      averaged = average.states
    } else {
      throw UsageError(
        "the program has no network '\(name)'; it has \(names.joined(separator: ", "))",
        help: suggestion(for: name, in: names))
    }
  }

  /// The moving averages of a program, told by their states: `NAME/dense/kernel` is a copy of
  /// `NETWORK/dense/kernel`.
  private static func averages(
    of program: Program
  ) -> [(name: String, network: String, states: [String: String])] {
    var found: [(name: String, network: String, states: [String: String])] = []
    for state in program.states where state.kind == .average {
      guard case .copy(let original) = state.initializer, let network = state.network else {
        continue
      }
      let name = String(state.name.dropLast(original.count - network.count))
      if let index = found.firstIndex(where: { $0.name == name }) {
        found[index].states[original] = state.name
      } else {
        found.append((name, network, [original: state.name]))
      }
    }
    return found
  }

  /// Whether a state is the network's, or the average's.
  func owns(_ state: StateDeclaration) -> Bool {
    guard state.network == network.name else { return false }
    return averaged.isEmpty ? state.kind != .average : averaged.values.contains(state.name)
  }

  // MARK: The model

  /// The model, and why its batch is fixed where it is.
  func model(
    _ origin: ExportOrigin, _ source: ProgramSource
  ) throws -> (model: ONNXModel, warning: String?) {
    let (graph, warning) = try extentGraph(origin)
    let session = try origin.session(source.program)
    let live = graph.graph.liveInputs()
    let states = Set(
      graph.graph.inputs.compactMap { input -> String? in
        guard case .state(let name) = input.role, live.contains(input.value) else { return nil }
        return averaged[name] ?? name
      })
    if let path = origin.path {
      try Weights.load(origin.tensors, into: session, named: states, path: path)
    }
    let metadata = [
      ("model", source.program.model), ("network", title), ("program_hash", source.hash),
      ("program_file", source.source.name.split(separator: "/").last.map(String.init) ?? ""),
    ]
    do {
      var model = try ONNXExport.model(graph, metadata: metadata) { name in
        let state = averaged[name] ?? name
        return (state, try session.bytes(of: state))
      }
      model.producerVersion = version
      model.graph.name = title
      return (model, warning)
    } catch let refusal as ExportRefusal {
      throw Diagnostic("export.unsupported", "'\(title)' cannot be exported: \(refusal)")
    }
  }

  /// The network's graph with its batch free, or with the batch that it has and the reason.
  private func extentGraph(
    _ origin: ExportOrigin
  ) throws -> (graph: ExtentGraph, warning: String?) {
    guard let batch = network.arguments.first?.type.shape.first else {
      return (ExtentGraph(try Self.simplified(network.graph)), nil)
    }
    let reason: String
    do {
      let (a, b) = Self.batches
      let graph = try ExtentGraph(
        try graph(at: a, insteadOf: batch, origin), at: a,
        try graph(at: b, insteadOf: batch, origin), at: b)
      if graph.hasBatch { return (graph, nil) }
      reason = "the program says so in the network's signature"
    } catch let dependence as BatchDependence {
      reason = dependence.description
    } catch let errors as ProgramErrors {
      reason = errors.diagnostics.first { $0.severity == .error }?.message ?? "it has errors"
    }
    return (
      ExtentGraph(try Self.simplified(network.graph)),
      "the batch of '\(title)' is fixed at \(batch): \(reason)"
    )
  }

  private func graph(at size: Int, insteadOf batch: Int, _ origin: ExportOrigin) throws -> Graph {
    let shapes = network.arguments.filter { $0.type.shape.first == batch }.map {
      (network: network.name, argument: $0.name, shape: [size] + $0.type.shape.dropFirst())
    }
    let program = try origin.elaborated(shapes).program
    guard let found = program.networks.first(where: { $0.name == network.name }) else {
      throw InternalError("the network \(network.name) is gone at a batch of \(size)")
    }
    return try Self.simplified(found.graph)
  }

  /// Differentiated, each computation once; nothing that depends on sizes or on this machine.
  private static func simplified(_ graph: Graph) throws -> Graph {
    let pipeline = Pipeline([
      .once(ExpandGradients()), .once(CommonSubexpressions()), .once(DeadCode()),
    ])
    return try PassRunner(pipeline).run(graph).graph
  }
}
