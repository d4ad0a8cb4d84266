// Single runs of a program's graphs from the same states, for the comparison of two forms of a graph. Nothing is
// carried from one run to the next.

import Basics
import Elaboration
import GraphIR
import Passes
import Planning
import Runtime

/// What a graph is run on: a backend, the first batches of data, a seed, and states.
struct OptimizationRuns {
  /// The most by which states that begin as constants are moved away from them.
  private static let largestOffset = 0.1
  /// The largest relative change of a disturbed weight.
  private static let largestDisturbance = 1e-5

  private let program: Program
  private let backend: any Backend
  private let seed: UInt64
  private let data: any BatchSupplier
  /// The bytes of the states before a run, in the order of the program.
  private let states: [[UInt8]]

  init(_ program: Program, backend: any Backend, seed: UInt64, data: any BatchSupplier) throws {
    self.program = program
    self.backend = backend
    self.seed = seed
    self.data = data
    let session = try Session(program: program, backend: backend, seed: seed)
    try session.initialize()
    states = try program.states.map {
      Self.offset($0, try session.bytes(of: $0.name), seed: seed)
    }
  }

  /// Zeros hide what is multiplied by them and what is added by them: a bias that was dropped, a moment. So states that
  /// begin as constants get something between 0 and `largestOffset` on top; nothing negative, for the sake of variances.
  /// Averages get it too, so that they differ from what they are averages of.
  private static func offset(
    _ state: StateDeclaration, _ bytes: [UInt8], seed: UInt64
  ) -> [UInt8] {
    switch state.initializer {
    case .constant, .copy: break
    case .normal, .uniform, .truncatedNormal: return bytes
    }
    return changed(state, bytes, seed: seed, step: 0, purpose: "offset") { value, random in
      value + largestOffset * random
    }
  }

  private static func disturbed(
    _ state: StateDeclaration, _ bytes: [UInt8], seed: UInt64, trial: Int
  ) -> [UInt8] {
    changed(state, bytes, seed: seed, step: trial, purpose: "disturbed") { value, random in
      value * (1 + largestDisturbance * (2 * random - 1))
    }
  }

  /// The bytes of a state of floats with each element changed by a random number in 0..<1; others as they are.
  private static func changed(
    _ state: StateDeclaration, _ bytes: [UInt8], seed: UInt64, step: Int, purpose: String,
    _ change: (_ value: Double, _ random: Double) -> Double
  ) -> [UInt8] {
    guard state.type.element == .f32 else { return bytes }
    var random = PhiloxSequence(
      seed: seed, step: UInt32(step), stream: StableHash.stream("\(purpose) \(state.name)"))
    var bytes = bytes
    bytes.withUnsafeMutableBytes { raw in
      let values = raw.bindMemory(to: Float.self)
      for index in values.indices {
        values[index] = Float(change(Double(values[index]), random.nextUniform()))
      }
    }
    return bytes
  }

  // MARK: - Running

  /// A graph bound to kernels, on states of its own.
  struct Bound {
    fileprivate var graph: LoadedGraph
    fileprivate var store: any StateStore
  }

  /// Plans and binds a graph as it is.
  func load(_ graph: Graph) throws -> Bound {
    let store = backend.makeStateStore()
    for state in program.states { try store.declare(state.name, state.type) }
    let executable = try backend.load(Planner().plan(graph), states: store)
    return Bound(graph: try LoadedGraph(executable, program.data), store: store)
  }

  /// Runs a graph once and returns some of its outputs; with a trial, on weights that are disturbed by its random numbers.
  func values(
    _ bound: Bound, outputs: [Int], disturbed trial: Int? = nil
  ) throws -> [[Float]] {
    for (state, bytes) in zip(program.states, states) {
      let bytes = trial.map { Self.disturbed(state, bytes, seed: seed, trial: $0) } ?? bytes
      try bound.store.write(state.name, elements: bytes)
    }
    try bound.graph.feed(seed: seed, clock: StepClock(step: 0, epoch: 0), data: data)
    try bound.graph.executable.run()
    return try outputs.map { try bound.graph.floats(output: $0) }
  }

  /// Runs a graph once, with values for its arguments, and returns the bytes of all outputs.
  func bytes(_ bound: Bound, arguments: [String: [UInt8]] = [:]) throws -> [[UInt8]] {
    for (state, bytes) in zip(program.states, states) {
      try bound.store.write(state.name, elements: bytes)
    }
    try bound.graph.feed(arguments: arguments)
    try bound.graph.feed(seed: seed, clock: StepClock(step: 0, epoch: 0), data: data)
    try bound.graph.executable.run()
    let count = bound.graph.executable.plan.graph.outputs.count
    return try (0..<count).map { try bound.graph.bytes(output: $0) }
  }
}
