// Checks a program's own gradients against finite differences in Double: for every `gradient` of
// the step and every parameter tensor, the directional derivative along a random direction. What
// the gradient holds constant stays constant here: results of stopGradient and random draws keep
// their base values, and the perturbed value is the version of the parameter that the update reads.
//
// With f(h) the loss at the parameter moved by h along the direction d, |d| = 1, and g the
// gradient:
//   central     C(h) = (f(h) − f(−h)) / 2h  → d·g   with an error of h² where f is smooth
//   one-sided   F(h) = (f(h) − f(0)) / h,  B(h) = (f(0) − f(−h)) / h
//               F − B shrinks with h where f is smooth
// A gradient passes where C(h) is within the bound of d·g for some h. Else f is looked at more
// closely: where C(h) and C(h/2) agree with each other much better than with d·g and F − B shrinks,
// f is smooth and the gradient is wrong. What remains are kinks between −h and h (ReLU, maxima):
// C(h) and C(h/2) then differ by as much as they miss d·g by, or F − B stays as h shrinks and d·g
// lies between F and B.

import Basics
import Elaboration
import GraphIR
import Operators
import Passes

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package struct GradientCheck: Sendable {
  /// One parameter tensor in one gradient.
  package struct Finding: Sendable {
    package enum Verdict: String, Sendable {
      case passed, kink, failed
      /// Both sides are 0 but for roundings, as of a bias before batch normalisation.
      case zero
    }
    /// Which gradient of the step, from 1.
    package var gradient: Int
    package var origin: Origin
    package var parameter: String
    package var analytic: Double
    package var numeric: Double
    /// |numeric − analytic| relative to the larger one; of gradients near zero it is mostly
    /// rounding.
    package var error: Double
    package var verdict: Verdict
  }

  /// The largest relative error that passes.
  package static let bound = 1e-5
  /// Above this error a slope that passes is so flat that roundings hide much of it; a steeper
  /// direction is tried.
  private static let convincing = 1e-4

  /// A direction and the steps along it, of which truncation falls with h², roundings grow with
  /// 1/h, and small ones meet fewer kinks.
  private struct Attempt {
    /// Along the claimed gradient and at random in equal parts, where the slope is steep enough for
    /// small steps; else at random alone, where every component of the gradient counts the same.
    var followsGradient: Bool
    var steps: [Double]
  }
  private static let attempts = [
    Attempt(followsGradient: false, steps: [1e-5, 1e-6]),
    Attempt(followsGradient: true, steps: [1e-6, 1e-7, 1e-8]),
    Attempt(followsGradient: true, steps: [1e-7, 1e-8]),
  ]

  private let graph: Graph
  private let targets: [Target]
  private let base: Table<ValueTag, HostTensor?>
  private let seed: UInt64

  private struct Target {
    var gradient: Int
    var origin: Origin
    var name: String
    var loss: ValueID
    var wrt: ValueID
    var adjoint: ValueID
  }

  /// Prepares the step graph (raw stage); `input` gives the value of each of its inputs.
  package init(
    _ raw: Graph, seed: UInt64, input: (InputBinding, TensorType) throws -> HostTensor
  ) throws {
    let marked = Self.marking(raw)
    let expanded = try DeadCode().run(ExpandGradients().run(marked.graph))
    try self.init(expanded, marked.names, seed: seed, input: input)
  }

  /// Prepares a graph whose outputs are a loss, a parameter and the claimed gradient, again and
  /// again; `names` are those of the parameters. Tests bring wrong gradients this way.
  package init(
    _ graph: Graph, _ names: [(gradient: Int, name: String, origin: Origin)], seed: UInt64,
    input: (InputBinding, TensorType) throws -> HostTensor
  ) throws {
    guard graph.outputs.count == 3 * names.count else {
      throw InternalError("the gradient check lost an output")
    }
    self.graph = graph
    self.seed = seed
    targets = names.enumerated().map { index, name in
      Target(
        gradient: name.gradient, origin: name.origin, name: name.name,
        loss: graph.outputs[3 * index].value, wrt: graph.outputs[3 * index + 1].value,
        adjoint: graph.outputs[3 * index + 2].value)
    }
    let inputs = try graph.inputs.map { try input($0, graph.type(of: $0.value)) }
    base = Evaluator().evaluateAll(graph, inputs: inputs)
  }

  /// The graph with the loss, the parameter and the adjoint of every gradient as its outputs, three
  /// for each.
  private static func marking(
    _ raw: Graph
  ) -> (graph: Graph, names: [(gradient: Int, name: String, origin: Origin)]) {
    var graph = raw
    graph.outputs = []
    var names: [(gradient: Int, name: String, origin: Origin)] = []
    var count = 0
    for node in raw.nodes.elements where node.operation is Gradient {
      count += 1
      for (index, wrt) in node.operands.dropFirst().enumerated() {
        for value in [node.operands[0], wrt, node.results[index]] {
          let role = OutputRole.result("\(graph.outputs.count)")
          graph.outputs.append(OutputBinding(role: role, value: value))
        }
        names.append((count, parameterName(wrt, in: raw), node.origin))
      }
    }
    return (graph, names)
  }

  /// The state that a value is a version of, else what computes it.
  private static func parameterName(_ value: ValueID, in graph: Graph) -> String {
    for input in graph.inputs where input.value == value {
      if case .state(let name) = input.role { return name }
    }
    for output in graph.outputs where output.value == value {
      if case .state(let name) = output.role { return name }
    }
    guard let node = graph.producer(of: value) else { return "\(value)" }
    // An update computes the next version under the parameter's name.
    if !node.origin.path.isEmpty {
      return "\(node.origin.path), updated in line \(node.origin.line)"
    }
    return "\(node.operation.mnemonic) in line \(node.origin.line)"
  }

  package var count: Int { targets.count }

  // MARK: One target

  /// Checks one target. A pure function: several may run at once.
  ///
  /// One direction along which the gradient is right to the bound is enough, as chance does not do
  /// that. A failure must show along two: many kinks together can look smooth along one.
  package func check(_ index: Int) -> Finding {
    var tried: [Finding] = []
    for attempt in Self.attempts.indices {
      let finding = check(targets[index], index, attempt)
      if finding.verdict == .zero { return finding }
      if finding.verdict == .passed, finding.error <= Self.convincing { return finding }
      tried.append(finding)
      if tried.count(where: { $0.verdict == .failed }) == 2 { return finding }
    }
    var best = tried.min { $0.error < $1.error }!
    if best.verdict != .passed { best.verdict = .kink }
    return best
  }

  /// One direction.
  private func check(_ target: Target, _ index: Int, _ attempt: Int) -> Finding {
    let values = base[target.wrt]!
    let gradient = base[target.adjoint]!.values
    let steps = Self.attempts[attempt].steps
    let direction = direction(gradient, index, attempt)
    let analytic = zip(gradient, direction).reduce(0) { $0 + $1.0 * $1.1 }
    let line = Line(check: self, target: target, values: values, direction: direction)
    var finding = Finding(
      gradient: target.gradient, origin: target.origin, parameter: target.name, analytic: analytic,
      numeric: .nan, error: .infinity, verdict: .kink)
    guard analytic.isFinite, line.origin.isFinite else {
      finding.verdict = .failed
      return finding
    }
    for step in steps {
      let slopes = line.slopes(step)
      guard slopes.central.isFinite else {
        finding.verdict = .failed
        return finding
      }
      let difference = abs(slopes.central - analytic)
      let scale = max(abs(analytic), abs(slopes.central))
      // Both zero is no difference; the smallest scale only keeps 0 / 0 away.
      let error = difference / max(scale, 1e-30)
      if error < finding.error {
        finding.error = error
        finding.numeric = slopes.central
      }
      if difference <= Self.bound * scale + line.noise(step) {
        finding.verdict = scale <= line.noise(step) ? .zero : .passed
        return finding
      }
      // The closer look costs as much as a step; it is worth most where there are fewest kinks.
      guard step == steps.last else { continue }
      let half = line.slopes(step / 2)
      finding.verdict = Self.isKink(slopes, half, analytic, line.noise(step / 2)) ? .kink : .failed
    }
    return finding
  }

  /// Whether the slopes at h and h/2 look as around a kink, so that they say nothing about
  /// `analytic`.
  private static func isKink(
    _ whole: Slopes, _ half: Slopes, _ analytic: Double, _ noise: Double
  ) -> Bool {
    let miss = abs(half.central - analytic)
    // Kinks to both sides of the base point: the central slope still moves about as much as it
    // misses.
    if abs(whole.central - half.central) > 0.1 * miss + noise { return true }
    // A kink at the base point, or much nearer than h: the sides keep their distance, and every
    // number between them is a gradient. Curvature moves both a little.
    let gap = abs(whole.forward - whole.backward)
    let halfGap = abs(half.forward - half.backward)
    let slack = 0.05 * halfGap + noise
    let isBetween =
      min(half.forward, half.backward) - slack <= analytic
      && analytic <= max(half.forward, half.backward) + slack
    return halfGap > 0.75 * gap && halfGap > 4 * noise && isBetween
  }

  /// A direction of length 1.
  private func direction(_ gradient: [Double], _ index: Int, _ attempt: Int) -> [Double] {
    var normal = NormalSequence(
      PhiloxSequence(
        seed: seed, step: UInt32(index), stream: StableHash.stream("gradient check \(attempt)")))
    let random = Self.unit(gradient.map { _ in normal.next() })
    guard Self.attempts[attempt].followsGradient else { return random }
    return Self.unit(zip(Self.unit(gradient), random).map { $0 + $1 })
  }

  private static func unit(_ vector: [Double]) -> [Double] {
    let length = sqrt(vector.reduce(0) { $0 + $1 * $1 })
    return vector.map { $0 / max(length, 1e-300) }
  }

  // MARK: The loss along a line

  private struct Slopes {
    var forward: Double
    var backward: Double
    var central: Double
  }

  private struct Line {
    let check: GradientCheck
    let target: Target
    let values: HostTensor
    let direction: [Double]
    /// What changes with the parameter, in order.
    let nodes: [NodeID]
    /// The loss at the base point.
    let origin: Double

    init(check: GradientCheck, target: Target, values: HostTensor, direction: [Double]) {
      self.check = check
      self.target = target
      self.values = values
      self.direction = direction
      nodes = check.nodesBetween(target.wrt, target.loss)
      origin = check.base[target.loss]!.values[0]
    }

    func slopes(_ step: Double) -> Slopes {
      let up = check.loss(target, values, direction, step, nodes)
      let down = check.loss(target, values, direction, -step, nodes)
      return Slopes(
        forward: (up - origin) / step, backward: (origin - down) / step,
        central: (up - down) / (2 * step))
    }

    /// Roundings of the loss, in a slope over `step`.
    func noise(_ step: Double) -> Double { 2e-15 * max(1, abs(origin)) / step }
  }

  /// The nodes on a path from a value to the loss, in order; stopGradient cuts.
  private func nodesBetween(_ value: ValueID, _ loss: ValueID) -> [NodeID] {
    var needed = BitSet()
    needed.insert(loss)
    var backward = BitSet()
    for id in graph.nodes.ids.reversed() {
      let node = graph.nodes[id]
      guard node.results.contains(where: { needed.contains($0) }) else { continue }
      backward.insert(id)
      for operand in node.operands { needed.insert(operand) }
    }
    var changed = BitSet()
    changed.insert(value)
    var between: [NodeID] = []
    for id in graph.nodes.ids where backward.contains(id) {
      let node = graph.nodes[id]
      guard !(node.operation is StopGradient), !node.results.contains(value),
        node.operands.contains(where: { changed.contains($0) })
      else { continue }
      between.append(id)
      for result in node.results { changed.insert(result) }
    }
    return between
  }

  /// The loss with the parameter moved by `step` along the direction. Each value is dropped after
  /// its last reader.
  private func loss(
    _ target: Target, _ values: HostTensor, _ direction: [Double], _ step: Double, _ nodes: [NodeID]
  ) -> Double {
    var lastReader: [ValueID: NodeID] = [:]
    for id in nodes { for operand in graph.nodes[id].operands { lastReader[operand] = id } }
    var moved: [ValueID: HostTensor] = [:]
    moved[target.wrt] = HostTensor(
      values.type, zip(values.values, direction).map { $0 + step * $1 })
    for id in nodes {
      let node = graph.nodes[id]
      let operands = node.operands.map { moved[$0] ?? base[$0]! }
      let results = node.operation.evaluate(operands, results: graph.types(of: node.results))
      for (value, result) in zip(node.results, results) where value != target.wrt {
        moved[value] = result
      }
      for operand in node.operands where operand != target.loss && lastReader[operand] == id {
        moved[operand] = nil
      }
    }
    return (moved[target.loss] ?? base[target.loss]!).values[0]
  }
}
