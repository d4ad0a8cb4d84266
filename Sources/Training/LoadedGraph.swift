// A graph bound to kernels with all that feeding it takes worked out once: which input is what.
// Batches are written where the graph reads them. So a step allocates nothing here and looks nothing up by name.

import Basics
import Elaboration
import GraphIR
import Runtime

final class LoadedGraph {
  let executable: any Executable
  /// Scalars to log, in the order of the graph's outputs.
  let reports: [(name: String, output: Int)]
  let results: [(name: String, output: Int)]
  private let feeds: [Feed]
  private let outputTypes: [TensorType]

  private struct Feed {
    enum Kind {
      case seed, step, epoch
      case data(source: String, batchesPerStep: Int, round: Int)
      case argument(String, TensorType)
    }
    var input: Int
    var kind: Kind
  }

  init(_ executable: any Executable, _ data: [DataDeclaration]) throws {
    self.executable = executable
    let graph = executable.plan.graph
    outputTypes = graph.outputs.map { graph.type(of: $0.value) }
    var reports: [(name: String, output: Int)] = []
    var results: [(name: String, output: Int)] = []
    for (index, output) in graph.outputs.enumerated() {
      switch output.role {
      case .report(let name): reports.append((name, index))
      case .result(let name): results.append((name, index))
      case .state: break
      }
    }
    self.reports = reports
    self.results = results
    feeds = try Self.feeds(graph, data)
  }

  private static func feeds(_ graph: Graph, _ data: [DataDeclaration]) throws -> [Feed] {
    for case .data(let source, _) in graph.inputs.map(\.role)
    where !data.contains(where: { $0.name == source }) {
      throw InternalError("the graph reads the unknown data source \(source)")
    }
    var feeds: [Feed] = []
    for (index, input) in graph.inputs.enumerated() {
      let type = graph.type(of: input.value)
      switch input.role {
      case .seed: feeds.append(Feed(input: index, kind: .seed))
      case .step: feeds.append(Feed(input: index, kind: .step))
      case .epoch: feeds.append(Feed(input: index, kind: .epoch))
      case .data(let source, let round):
        let perStep = data.first { $0.name == source }?.batchesPerStep ?? 1
        feeds.append(
          Feed(
            input: index, kind: .data(source: source, batchesPerStep: perStep, round: round)))
      case .argument(let name): feeds.append(Feed(input: index, kind: .argument(name, type)))
      case .state: break
      }
    }
    return feeds
  }

  // MARK: Inputs

  /// Fills the inputs that are neither states nor arguments.
  func feed(seed: UInt64, clock: StepClock, data: (any BatchSupplier)?) throws {
    for feed in feeds {
      switch feed.kind {
      case .seed:
        write(feed.input, (Int32(truncatingIfNeeded: seed), Int32(truncatingIfNeeded: seed >> 32)))
      case .step: write(feed.input, Int32(clamping: clock.step))
      case .epoch: write(feed.input, Int32(clamping: clock.epoch))
      case .data(let source, let batchesPerStep, let round):
        guard let data else { throw InternalError("no data for the source \(source)") }
        // A run that could overflow this would take longer than the sun lasts; a checkpoint's step
        // is limited.
        let number = clock.step &* max(1, batchesPerStep) &+ round
        try executable.fill(input: feed.input) { (buffer) throws(EnvironmentFailure) in
          try data.fill(source: source, batch: number, into: buffer)
        }
      case .argument: break
      }
    }
  }

  /// Fills the arguments of a graph that stands alone.
  func feed(arguments: [String: [UInt8]]) throws {
    for feed in feeds {
      guard case .argument(let name, let type) = feed.kind else { continue }
      guard let bytes = arguments[name], bytes.count == type.byteCount else {
        throw InternalError("the argument \(name) is missing or not of type \(type)")
      }
      bytes.withUnsafeBytes { executable.write(input: feed.input, $0) }
    }
  }

  private func write<Value>(_ input: Int, _ value: Value) {
    withUnsafeBytes(of: value) { executable.write(input: input, $0) }
  }

  // MARK: Outputs

  /// The operation that computes a value, for messages.
  func place(of value: ValueID) -> String {
    guard let node = executable.plan.graph.producer(of: value) else {
      return "an input of the step"
    }
    let what = node.origin.parts.isEmpty ? node.operation.mnemonic : "the kernel"
    let place = node.origin.provenance(most: 8)
    return place.isEmpty ? what : "\(what) at \(place)"
  }

  func type(ofOutput output: Int) -> TensorType { outputTypes[output] }

  func bytes(output: Int) throws(EnvironmentFailure) -> [UInt8] {
    try elements(output: output)
  }

  private func elements<Element: BitwiseCopyable>(
    output: Int
  ) throws(EnvironmentFailure) -> [Element] {
    let count = outputTypes[output].byteCount / MemoryLayout<Element>.stride
    return try deviceBytes(count: count) { (bytes) throws(EnvironmentFailure) in
      try executable.read(output: output, into: bytes)
    }
  }

  /// The one element of a scalar, whatever its type.
  func scalar(output: Int) throws -> Double {
    var word: UInt64 = 0
    return try withUnsafeMutableBytes(of: &word) { raw in
      let element = outputTypes[output].element
      try executable.read(output: output, into: .init(rebasing: raw[0..<element.byteCount]))
      return Self.number(UnsafeRawBufferPointer(raw), 0, element)
    }
  }

  /// The elements of an output as floats, whatever its type.
  func floats(output: Int) throws(EnvironmentFailure) -> [Float] {
    let type = outputTypes[output]
    if type.element == .f32 { return try elements(output: output) }
    return try bytes(output: output).withUnsafeBytes { raw in
      (0..<type.count).map { Float(Self.number(raw, $0, type.element)) }
    }
  }

  private static func number(_ raw: UnsafeRawBufferPointer, _ index: Int, _ element: ElementType)
    -> Double
  {
    switch element {
    case .f32: Double(raw.loadUnaligned(fromByteOffset: index * 4, as: Float.self))
    case .f64: raw.loadUnaligned(fromByteOffset: index * 8, as: Double.self)
    case .i32, .bool: Double(raw.loadUnaligned(fromByteOffset: index * 4, as: Int32.self))
    }
  }
}
