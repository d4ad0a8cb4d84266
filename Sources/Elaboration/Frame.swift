// Where elaboration stands: the graph under construction with the current version of every state,
// and the body (train step, network, block) whose statements are being read.

import Basics
import GraphIR

/// One graph under construction.
final class GraphContext {
  enum Purpose { case constant, train, sample, network }

  let builder: GraphBuilder
  let purpose: Purpose
  /// The value that each state has at this point of the step.
  private(set) var current: [String: ValueID] = [:]
  /// Every value that a state has had in this graph, oldest first, for the check of stale losses.
  private(set) var versions: [String: [ValueID]] = [:]
  /// States that have been assigned, in the order of their first assignment.
  private(set) var assigned: [String] = []
  /// The rounds of the `repeat` statements around this point.
  var rounds: [Int] = []
  /// The batch of each data source (by the head of its group) that a use sees now.
  var batches: [String: Int] = [:]
  /// Groups of data sources used so far, in order, one list for each open `repeat` round.
  var usedSources: [[String]] = []
  /// Random streams in use, so that no two draws share one even if their names' hashes collide.
  private var streams: Set<UInt32> = []
  /// Rows of the layer table, collected where the network stands alone.
  var summary: SummaryRecorder?

  init(name: String, purpose: Purpose) {
    builder = GraphBuilder(name: name)
    self.purpose = purpose
  }

  /// The current value of a state; an input of the graph the first time.
  func read(_ state: StateDeclaration) throws(Diagnostic) -> ValueID {
    if let value = current[state.name] { return value }
    let value = try builder.input(.state(state.name), state.type)
    current[state.name] = value
    versions[state.name] = [value]
    return value
  }

  /// Gives a state a new value, which later uses see and the step leaves behind. It carries no
  /// gradient: what the value was computed from (losses, batch statistics) is not differentiated
  /// through.
  func assign(_ state: StateDeclaration, _ value: ValueID) throws(Diagnostic) {
    let isFloat = builder.type(of: value).element.isFloat
    let constant = isFloat ? try builder.stopGradient(value) : value
    current[state.name] = constant
    if versions[state.name] == nil { versions[state.name] = [] }
    versions[state.name]!.append(constant)
    if !assigned.contains(state.name) { assigned.append(state.name) }
  }

  /// Makes the last value of every assigned state an output.
  func finish() -> Graph {
    for name in assigned { builder.output(.state(name), current[name]!) }
    return builder.finish()
  }

  /// The random stream of a draw. Names that hash alike get different streams.
  func stream(_ name: String) -> UInt32 {
    var key = name
    while !streams.insert(StableHash.stream(key)).inserted { key += "'" }
    return StableHash.stream(key)
  }

  var roundText: String { rounds.map(String.init).joined(separator: ".") }
}

/// Collects the rows of a network's layer table.
final class SummaryRecorder {
  let network: String
  var rows: [LayerSummary] = []
  init(network: String) { self.network = network }
}

/// One body being elaborated. A call pushes a new one.
final class Frame {
  enum Kind { case constant, train, sample, network, block }

  let kind: Kind
  /// What a diagnostic calls it: `generator`.
  let name: String
  /// The network whose parameters the layers here own; nil in `train` and `sample`.
  let network: String?
  /// The moving average from which the parameters are read instead.
  let average: String?
  /// The path of parameters made here: `generator/up_1`.
  let path: String
  /// The path of calls that led here, with the count of each, for random streams.
  let streamKey: String
  /// Whether calls run in training mode.
  let training: Bool
  var scope: Scope
  /// Dimension variables of the enclosing network.
  let dimensions: Scope?
  /// Where it was called.
  let callRange: SourceRange?
  /// How many unnamed layers of each kind there have been.
  var layerCounts: [String: Int] = [:]
  /// The path parts that are taken, with their places.
  var parts: [String: SourceRange] = [:]
  /// How often each function or network has been used, for random streams.
  var uses: [String: Int] = [:]

  init(
    _ kind: Kind, name: String, network: String? = nil, average: String? = nil, path: String = "",
    streamKey: String, training: Bool, scope: Scope, dimensions: Scope? = nil,
    callRange: SourceRange? = nil
  ) {
    self.kind = kind
    self.name = name
    self.network = network
    self.average = average
    self.path = path
    self.streamKey = streamKey
    self.training = training
    self.scope = scope
    self.dimensions = dimensions
    self.callRange = callRange
  }

  /// Counts a use of a callee and returns the key of this one: `generator#2`.
  func use(_ callee: String) -> String {
    let count = uses[callee, default: 0]
    uses[callee] = count + 1
    return "\(streamKey)/\(callee)#\(count)"
  }

  /// The path part of the next layer or block: its name, or its kind with a count.
  func part(kind: String, name: String?, at range: SourceRange) throws(Diagnostic) -> String {
    let part: String
    if let name {
      part = name
    } else {
      let count = layerCounts[kind, default: 0]
      layerCounts[kind] = count + 1
      part = count == 0 ? kind : "\(kind)_\(count)"
    }
    if let first = parts[part] {
      throw Diagnostic(
        "name.duplicate", "two layers of \(self.name) are called \(part)", at: range,
        notes: [.init("the first is here", at: first)], help: "give one of them another name:")
    }
    parts[part] = range
    return part
  }
}
