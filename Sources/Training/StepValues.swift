// What every value of one step holds, by running its graph with some of its values at a time as outputs. The states of the
// session are what the step begins with, and they stay as they are.

import Basics
import Elaboration
import GraphIR
import Operators
import Passes
import Planning
import Runtime

struct StepValues {
  private let graph: Graph
  private let session: Session
  private let clock: StepClock
  private let data: any BatchSupplier
  private let keptBytes: Int
  private let tell: (String) throws -> Void
  private var ranges: Table<ValueTag, ValueRange?>

  init(
    _ graph: Graph, _ session: Session, _ clock: StepClock, _ data: any BatchSupplier,
    keptBytes: Int, tell: @escaping (String) throws -> Void
  ) {
    self.graph = graph
    self.session = session
    self.clock = clock
    self.data = data
    self.keptBytes = keptBytes
    self.tell = tell
    ranges = Table(repeating: nil, count: graph.values.count)
  }

  func range(of value: ValueID) -> ValueRange? { ranges[value] }

  private func isBad(_ value: ValueID) -> Bool { (ranges[value]?.nonFinite ?? 0) > 0 }

  /// The first value, in the order of the graph, that is bad although nothing that it is computed from is, and that a bad
  /// output is computed from. Nil where every output is good, or where the user has interrupted.
  mutating func firstCause() throws -> ValueID? {
    try lookAtInputs()
    try look(at: graph.outputs.map(\.value).filter { graph.values[$0].producer != nil })
    var wanted = graph
    wanted.outputs.removeAll { !isBad($0.value) }
    guard !wanted.outputs.isEmpty else { return nil }
    let windows = windows(of: wanted)
    for (index, window) in windows.enumerated() {
      if Interruption.isPending { return nil }
      if windows.count > 1 {
        try tell("looking at part \(index + 1) of \(windows.count) of the step")
      }
      try look(at: window)
    }
    return cause(behind: wanted.outputs.map(\.value))
  }

  /// Goes from bad values to the bad ones that they are computed from.
  private func cause(behind outputs: [ValueID]) -> ValueID? {
    var first: ValueID?
    var seen = BitSet()
    var open = outputs
    while let value = open.popLast() {
      guard seen.insert(value) else { continue }
      let operands = graph.producer(of: value)?.operands.filter(isBad) ?? []
      open += operands
      if operands.isEmpty, first.map({ order(value) < order($0) }) ?? true { first = value }
    }
    return first
  }

  /// Inputs before everything else.
  private func order(_ value: ValueID) -> Int { graph.values[value].producer?.index ?? -1 }

  // MARK: Looking

  private mutating func lookAtInputs() throws {
    for input in graph.inputs {
      let type = graph.type(of: input.value)
      switch input.role {
      case .state(let name):
        ranges[input.value] = try session.bytes(of: name).withUnsafeBytes { ValueRange(type, $0) }
      case .data(let source, let round):
        let perStep = session.program.data.first { $0.name == source }?.batchesPerStep ?? 1
        let bytes: [UInt8] = try deviceBytes(count: type.byteCount) {
          (buffer) throws(EnvironmentFailure) in
          try data.fill(
            source: source, batch: clock.step * max(1, perStep) + round, into: buffer)
        }
        ranges[input.value] = bytes.withUnsafeBytes { ValueRange(type, $0) }
      case .step: ranges[input.value] = ValueRange(type, values: [Double(clock.step)])
      case .epoch: ranges[input.value] = ValueRange(type, values: [Double(clock.epoch)])
      case .seed, .argument: break
      }
    }
    for node in graph.nodes.elements {
      guard let constant = node.operation as? Constant else { continue }
      ranges[node.results[0]] = ValueRange(constant.type, values: constant.values.map(\.value))
    }
  }

  /// The computed values that the outputs of a graph need, in order, in parts of bounded size.
  private func windows(of wanted: Graph) -> [[ValueID]] {
    let live = wanted.liveNodes()
    var windows: [[ValueID]] = [[]]
    var bytes = 0
    for id in wanted.nodes.ids where live.contains(id) {
      for value in wanted.nodes[id].results where ranges[value] == nil {
        let size = wanted.type(of: value).byteCount
        if bytes > 0, bytes + size > keptBytes {
          windows.append([])
          bytes = 0
        }
        windows[windows.count - 1].append(value)
        bytes += size
      }
    }
    return windows.filter { !$0.isEmpty }
  }

  /// Runs what these values need, and looks at them.
  private mutating func look(at values: [ValueID]) throws {
    guard !values.isEmpty else { return }
    var kept = graph
    kept.outputs = values.map { OutputBinding(role: .result("value \($0.index)"), value: $0) }
    let plan = Planner().plan(try DeadCode().run(kept))
    let loaded = try LoadedGraph(
      session.backend.load(plan, states: session.states), session.program.data)
    try loaded.feed(seed: session.seed, clock: clock, data: data)
    try loaded.executable.run()
    for (index, value) in values.enumerated() {
      let type = graph.type(of: value)
      ranges[value] = try loaded.bytes(output: index).withUnsafeBytes { ValueRange(type, $0) }
    }
  }
}
