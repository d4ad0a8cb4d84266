// A session: a program with its states on a backend and its graphs bound to kernels. It runs single
// steps and draws samples; when to do what is the training loop's business.

import Basics
import Elaboration
import GraphIR
import Passes
import Planning
import Runtime

/// The values of one step that the session is given from outside.
package struct StepClock: Hashable, Sendable {
  /// Steps done before this one.
  package var step: Int
  package var epoch: Int
  package init(step: Int, epoch: Int) {
    self.step = step
    self.epoch = epoch
  }
}

/// Supplies the batches of data inputs.
package protocol BatchSupplier: AnyObject {
  /// Fills `buffer` with batch `batch` (counted from the beginning of the run) of a source, in the
  /// type of its declaration.
  func fill(
    source: String, batch: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(EnvironmentFailure)
}

package final class Session {
  package let program: Program
  package let backend: any Backend
  package let states: any StateStore
  package let seed: UInt64
  let compiler: GraphCompiler
  /// What decides on roundings beside the instruction set.
  package var arithmetic: Pipeline.Arithmetic { compiler.arithmetic }
  /// Grows whenever states may have changed, so that what follows from them is not kept too long.
  package private(set) var stateChanges = 0
  private let types: [String: TensorType]
  private var loaded: [String: LoadedGraph] = [:]
  /// The step graphs by their conditional blocks, so that a step looks nothing up by name.
  private var steps: [LoadedGraph?]

  /// Declares all states; they are zero until `initialize` or a checkpoint fills them.
  package init(
    program: Program, backend: any Backend, seed: UInt64, compiler: GraphCompiler = GraphCompiler()
  ) throws {
    self.program = program
    self.backend = backend
    self.seed = seed
    self.compiler = compiler
    states = backend.makeStateStore()
    types = Dictionary(
      program.states.map { ($0.name, $0.type) }, uniquingKeysWith: { first, _ in first })
    steps = Array(repeating: nil, count: program.train?.variants.count ?? 0)
    for state in program.states { try states.declare(state.name, state.type) }
  }

  // MARK: States

  /// Gives every state its first value.
  package func initialize() throws(EnvironmentFailure) {
    stateChanges += 1
    for state in program.states { try initialize(state) }
    try copyInitialValues { _ in true }
  }

  /// Fills those states that begin as copies of others and for which `wanted` holds.
  package func copyInitialValues(
    where wanted: (StateDeclaration) -> Bool
  ) throws(EnvironmentFailure) {
    for state in program.states where wanted(state) {
      guard case .copy(let source) = state.initializer else { continue }
      try setBytes(state.name, bytes(of: source))
    }
  }

  private func initialize(_ state: StateDeclaration) throws(EnvironmentFailure) {
    if case .copy = state.initializer { return }
    if state.type.element == .f32 {
      try states.write(state.name, elements: InitialValues.floats(state, seed: seed))
    } else {
      let value: Int32 =
        if case .constant(let number) = state.initializer { InitialValues.whole(number) } else { 0 }
      let values = [Int32](repeating: value, count: state.type.count)
      try states.write(state.name, elements: values)
    }
  }

  /// The bytes of a state; none for an unknown one.
  package func bytes(of name: String) throws(EnvironmentFailure) -> [UInt8] {
    try elements(of: name)
  }

  private func elements<Element: BitwiseCopyable>(
    of name: String
  ) throws(EnvironmentFailure) -> [Element] {
    guard let type = types[name] else { return [] }
    let count = type.byteCount / MemoryLayout<Element>.stride
    return try deviceBytes(count: count) { (bytes) throws(EnvironmentFailure) in
      try states.read(name, into: bytes)
    }
  }

  /// Sets a state. Bytes of another number than its type's are a bug of the caller and change
  /// nothing.
  package func setBytes(_ name: String, _ bytes: [UInt8]) throws(EnvironmentFailure) {
    guard types[name]?.byteCount == bytes.count else { return }
    stateChanges += 1
    try states.write(name, elements: bytes)
  }

  package func floats(of name: String) throws(EnvironmentFailure) -> [Float] {
    try elements(of: name)
  }

  /// The first state that holds an infinity or a NaN, in the order of the program.
  package func firstNonFiniteState() throws(EnvironmentFailure) -> (name: String, value: Double)? {
    for state in program.states where state.type.element == .f32 {
      let bad = try bytes(of: state.name).withUnsafeBytes { raw in
        firstNonFinite(raw.bindMemory(to: UInt32.self))
      }
      if let bad { return (state.name, Double(bad)) }
    }
    return nil
  }

  // MARK: Steps

  /// Binds the step graph in which the given conditional blocks stand; done ahead so that failures
  /// come before training.
  package func stepExecutable(blocks: Int) throws -> any Executable {
    try step(blocks: blocks).executable
  }

  private func step(blocks: Int) throws -> LoadedGraph {
    guard let train = program.train, steps.indices.contains(blocks) else {
      throw Diagnostic("train.missing", "the program has no train block")
    }
    if let known = steps[blocks] { return known }
    let made = try load(train.variants[blocks])
    steps[blocks] = made
    return made
  }

  /// What one step brought.
  package struct StepOutcome: Sendable {
    /// The reported scalars in the order of the graph.
    package var reports: [(name: String, value: Double)]
    /// The first operation with an infinite or NaN result, where that was asked for and there is
    /// one.
    package var firstNonFinite: (name: String, value: Double)?
  }

  /// Runs one training step. `checkingFinite` looks at every value that is computed, which takes
  /// time.
  package func runStep(
    _ clock: StepClock, blocks: Int, data: any BatchSupplier, checkingFinite: Bool = false
  ) throws -> StepOutcome {
    let graph = try step(blocks: blocks)
    stateChanges += 1
    try graph.feed(seed: seed, clock: clock, data: data)
    var bad: (name: String, value: Double)?
    if checkingFinite {
      bad = try graph.executable.runChecked().map { (graph.place(of: $0), .nan) }
    } else {
      try graph.executable.run()
    }
    let reports = try graph.reports.map {
      (name: $0.name, value: try graph.scalar(output: $0.output))
    }
    return StepOutcome(reports: reports, firstNonFinite: bad)
  }

  /// The values of a sample's first result, in row-major order.
  package func draw(
    _ sample: SampleProgram, data: any BatchSupplier, seed: UInt64? = nil
  ) throws -> (shape: [Int], values: [Float]) {
    let graph = try loaded("sample \(sample.name ?? "") \(sample.count)", sample.graph)
    try graph.feed(seed: seed ?? sample.seed, clock: StepClock(step: 0, epoch: 0), data: data)
    try graph.executable.run()
    guard let result = graph.results.first(where: { $0.name == "0" }) else {
      throw InternalError("the sample graph has no result")
    }
    return (graph.type(ofOutput: result.output).shape, try graph.floats(output: result.output))
  }

  /// Runs a graph of the program's own, such as a network by itself, on given arguments. What it was
  /// compiled to is kept under `key`; without one, the graph is for this time only.
  package func evaluate(
    _ graph: Graph, key: String?, arguments: [String: [UInt8]], seed: UInt64? = nil,
    data: (any BatchSupplier)? = nil
  ) throws -> [(name: String, type: TensorType, bytes: [UInt8])] {
    let graph = try key.map { try loaded($0, graph) } ?? load(graph)
    try graph.feed(arguments: arguments)
    try graph.feed(seed: seed ?? self.seed, clock: StepClock(step: 0, epoch: 0), data: data)
    try graph.executable.run()
    return try graph.results.map { result in
      (result.name, graph.type(ofOutput: result.output), try graph.bytes(output: result.output))
    }
  }

  private func loaded(_ key: String, _ graph: Graph) throws -> LoadedGraph {
    if let known = loaded[key] { return known }
    let made = try load(graph)
    loaded[key] = made
    return made
  }

  private func load(_ graph: Graph) throws -> LoadedGraph {
    let plan = try compiler.compile(graph).plan
    return try LoadedGraph(backend.load(plan, states: states), program.data)
  }
}
