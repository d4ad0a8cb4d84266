// Runs one training step on two backends and compares them node by node: each node of the step is given, on the second
// backend, the operands that it had on the first, so that a wrong kernel is named and not those that read its result. Then the
// whole step on both, for what it reports.

import Basics
import Elaboration
import GraphIR
import Operators
import Passes
import Planning
import Runtime

package struct DeviceCheck {
  /// One result of one node.
  package struct Finding: Sendable {
    package var operation: String
    package var type: TensorType
    package var origin: Origin
    /// The largest difference over the largest magnitude; infinite where one is not a number and the other is.
    package var difference: Double
    package var bound: Double
    package var passed: Bool { difference <= bound }
  }

  /// A scalar that the step reports.
  package struct Reported: Sendable {
    package var name: String
    package var values: (Double, Double)
  }

  package struct Report: Sendable {
    /// In the order in which the step computes them.
    package var findings: [Finding] = []
    package var reports: [Reported] = []
    package var first: Finding? { findings.first { !$0.passed } }
    package var failures: Int { findings.count { !$0.passed } }
  }

  /// How far a node's results may differ, beside their largest magnitude.
  package typealias Bound = (any Operation) -> Double

  private let graph: Graph
  private let reference: OptimizationRuns
  private let device: OptimizationRuns
  private let bound: Bound

  /// The step with all its conditional blocks. Throws a diagnostic where the program has none.
  package init(
    _ program: Program, reference: any Backend, device: any Backend, compiler: GraphCompiler,
    seed: UInt64, data: any BatchSupplier, bound: @escaping Bound
  ) throws {
    guard let train = program.train else {
      throw Diagnostic("train.missing", "the program has no train block")
    }
    graph = try compiler.compile(train.variants.last ?? train.graph).plan.graph
    self.reference = try OptimizationRuns(program, backend: reference, seed: seed, data: data)
    self.device = try OptimizationRuns(program, backend: device, seed: seed, data: data)
    self.bound = bound
  }

  package func run() throws -> Report {
    let values = try everyValue()
    let (alone, nodes) = try nodesAlone()
    var arguments: [String: [UInt8]] = [:]
    for (value, bytes) in values { arguments[name(value)] = bytes }
    let found = try device.bytes(try device.load(alone), arguments: arguments)
    var report = Report()
    for (place, bytes) in zip(nodes, found) {
      guard let expected = values[place.value] else { continue }
      let node = graph.nodes[place.node]
      let type = graph.type(of: place.value)
      let operands = node.operands.map { values[$0] }
      report.findings.append(
        Finding(
          operation: node.operation.label, type: type, origin: node.origin,
          difference: Difference(node.operation, graph.types(of: node.operands), operands)
            .between(bytes, expected, type),
          bound: bound(node.operation)))
    }
    report.reports = try reported()
    return report
  }

  private func name(_ value: ValueID) -> String { "value \(value.index)" }

  /// The bytes of every node's results on the first backend. For lookup only.
  private func everyValue() throws -> [ValueID: [UInt8]] {
    var kept = graph
    kept.outputs = []
    var values: [ValueID] = []
    for node in graph.nodes.elements where !(node.operation is Constant) {
      for result in node.results {
        kept.outputs.append(OutputBinding(role: .result(name(result)), value: result))
        values.append(result)
      }
    }
    let bytes = try reference.bytes(try reference.load(kept))
    return Dictionary(uniqueKeysWithValues: zip(values, bytes))
  }

  /// A graph of the same nodes in which every operand that a node computes is an argument; its outputs are the results
  /// of all nodes, in order.
  private func nodesAlone() throws -> (Graph, [(node: NodeID, value: ValueID)]) {
    let builder = GraphBuilder(name: "nodes of \(graph.name)", stage: graph.stage)
    var places: [(node: NodeID, value: ValueID)] = []
    // What stands for a value as an operand. For lookup only.
    var operand: [ValueID: ValueID] = [:]
    for input in graph.inputs {
      operand[input.value] = try builder.input(input.role, graph.type(of: input.value))
    }
    for id in graph.nodes.ids {
      let node = graph.nodes[id]
      builder.origin = node.origin
      if node.operation is Constant {
        operand[node.results[0]] = try builder.add(node.operation, [])[0]
        continue
      }
      var operands: [ValueID] = []
      for value in node.operands {
        if let known = operand[value] {
          operands.append(known)
          continue
        }
        let argument = try builder.input(.argument(name(value)), graph.type(of: value))
        operand[value] = argument
        operands.append(argument)
      }
      let results = try builder.addUnshared(node.operation, operands)
      for (old, new) in zip(node.results, results) {
        builder.output(.result(name(old)), new)
        places.append((id, old))
      }
    }
    return (builder.finish(), places)
  }

  /// What the step as it is reports on both.
  private func reported() throws -> [Reported] {
    let outputs = graph.outputs.indices.filter {
      if case .report = graph.outputs[$0].role { true } else { false }
    }
    let values = try [reference, device].map { runs in
      try runs.values(try runs.load(graph), outputs: outputs).map { Double($0.first ?? 0) }
    }
    return zip(outputs, zip(values[0], values[1])).compactMap { output, pair in
      guard case .report(let name) = graph.outputs[output].role else { return nil }
      return Reported(name: name, values: pair)
    }
  }
}

extension Operation {
  /// The mnemonic, of a fused node with that of its root.
  var label: String {
    guard let fused = self as? Fused else { return mnemonic }
    return fused.root.map { "\($0.operation.mnemonic) with epilogue" } ?? "region"
  }
}
