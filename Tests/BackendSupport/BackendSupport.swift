// Runs graphs on a backend beside the reference evaluator and compares, normalised by the largest magnitude: what the tests
// of all backends share.

import Basics
import GraphIR
import Operators
import Planning
import Runtime

/// The bytes of a tensor in a buffer, and back.
package enum Lanes {
  package static func bytes(_ tensor: HostTensor) -> [UInt8] {
    var bytes: [UInt8] = []
    for value in tensor.values {
      switch tensor.type.element {
      case .f32: withUnsafeBytes(of: Float(value)) { bytes += $0 }
      case .i32, .bool: withUnsafeBytes(of: Int32(value)) { bytes += $0 }
      case .f64: withUnsafeBytes(of: value) { bytes += $0 }
      }
    }
    return bytes
  }

  package static func tensor(_ type: TensorType, _ bytes: [UInt8]) -> HostTensor {
    let size = type.element.byteCount
    let values = bytes.withUnsafeBytes { raw in
      (0..<type.count).map { index -> Double in
        switch type.element {
        case .f32: Double(raw.loadUnaligned(fromByteOffset: index * size, as: Float.self))
        case .i32, .bool: Double(raw.loadUnaligned(fromByteOffset: index * size, as: Int32.self))
        case .f64: raw.loadUnaligned(fromByteOffset: index * size, as: Double.self)
        }
      }
    }
    return HostTensor(type, values)
  }
}

/// A graph that is loaded on a backend, with its states.
package final class Loaded {
  package let graph: Graph
  package let executable: any Executable
  package let states: any StateStore

  package init(_ graph: Graph, _ backend: any Backend, _ inputs: [HostTensor]) throws {
    self.graph = graph
    states = backend.makeStateStore()
    for (input, tensor) in zip(graph.inputs, inputs) {
      guard case .state(let name) = input.role else { continue }
      try states.declare(name, tensor.type)
      try states.write(name, elements: Lanes.bytes(tensor))
    }
    for output in graph.outputs {
      if case .state(let name) = output.role {
        try states.declare(name, graph.type(of: output.value))
      }
    }
    executable = try backend.load(Planner().plan(graph), states: states)
    try PlanVerifier().verify(executable.plan)
    for (index, input) in graph.inputs.enumerated() {
      if case .state = input.role { continue }
      Lanes.bytes(inputs[index]).withUnsafeBytes { [executable] in
        executable.write(input: index, $0)
      }
    }
  }

  /// The bytes of all outputs after one step.
  package func step() throws -> [[UInt8]] {
    try executable.run()
    return try graph.outputs.indices.map { index in
      let type = graph.type(of: graph.outputs[index].value)
      return try deviceBytes(count: type.byteCount) { (bytes) throws(EnvironmentFailure) in
        try executable.read(output: index, into: bytes)
      }
    }
  }

  package func outputs(_ bytes: [[UInt8]]) -> [HostTensor] {
    zip(graph.outputs, bytes).map { Lanes.tensor(graph.type(of: $0.value), $1) }
  }
}

package enum Agreement {
  /// The largest difference over the largest magnitude; infinite where one is NaN or infinite and the other is not.
  package static func error(_ found: HostTensor, _ expected: HostTensor) -> Double {
    let finite = expected.values.filter(\.isFinite).map(abs).max() ?? 0
    let scale = max(finite, 1e-30)
    var worst = 0.0
    for (a, b) in zip(found.values, expected.values) {
      if a == b || (a.isNaN && b.isNaN) { continue }
      if !a.isFinite || !b.isFinite {
        // Beyond the largest Float, infinity is right.
        if a.isInfinite, abs(b) > 3.4e38, (a > 0) == (b > 0) { continue }
        return .infinity
      }
      let difference = abs(a - b)
      // Denormal results may be flushed.
      if difference < 1.2e-38 { continue }
      worst = max(worst, expected.type.element.isFloat ? difference / scale : .infinity)
    }
    return worst
  }
}

/// Where a graph's outputs on a backend differ from the evaluator's by more than a bound, in words; empty where all agree.
/// The evaluator takes longer than any backend: what it `expected` can be given, where several backends are compared.
package func disagreements(
  _ graph: Graph, _ inputs: [HostTensor], on backend: any Backend, bound: Double,
  expected: [HostTensor]? = nil
) throws -> [String] {
  let expected = expected ?? Evaluator().evaluate(graph, inputs: inputs)
  let loaded = try Loaded(graph, backend, inputs)
  let found = loaded.outputs(try loaded.step())
  var differences: [String] = []
  for (index, output) in graph.outputs.enumerated() {
    let error = Agreement.error(found[index], expected[index])
    guard error > bound else { continue }
    differences.append(
      "\(graph.name) \(output.role): error \(error)\(sample(found[index], expected[index]))")
  }
  return differences
}

/// The first elements that differ.
private func sample(_ a: HostTensor, _ b: HostTensor) -> String {
  let worst = a.values.indices.max { x, y in
    let first = abs(a.values[x] - b.values[x])
    let second = abs(a.values[y] - b.values[y])
    return (first.isNaN ? .infinity : first) < (second.isNaN ? .infinity : second)
  }
  guard let worst else { return "" }
  return ", at \(worst) of \(a.type): found \(a.values[worst]), expected \(b.values[worst])"
}

/// Values for operands, drawn as samples ask for.
package struct Filler {
  package var random: PhiloxSequence
  package init(_ seed: UInt64) { random = PhiloxSequence(seed: seed, stream: 99) }

  package mutating func uniform(_ type: TensorType, _ low: Double, _ high: Double) -> HostTensor {
    let values = (0..<type.count).map { _ -> Double in
      if type.element.isFloat { return low + (high - low) * random.nextUniform() }
      let first = Int(low.rounded(.up))
      let last = Int(high.rounded(.down))
      return Double(first + random.nextInt(below: max(1, last - first + 1)))
    }
    return HostTensor(type, values).rounded()
  }

  package mutating func tensor<Op: Operation>(_ type: TensorType, _ fill: Sample<Op>.Fill)
    -> HostTensor
  {
    switch fill {
    case .uniform(let low, let high): return uniform(type, low, high)
    case .values(let values):
      return HostTensor(type, (0..<type.count).map { values[$0 % values.count] }).rounded()
    }
  }
}

/// A graph of one node whose operands are arguments and whose results are results.
package func single(_ operation: any Operation, _ operands: [TensorType], stage: Stage = .fused)
  throws
  -> Graph
{
  let builder = GraphBuilder(name: operation.mnemonic, stage: stage)
  var values: [ValueID] = []
  for (index, type) in operands.enumerated() {
    values.append(try builder.input(.argument("x\(index)"), type))
  }
  for (index, result) in try builder.add(operation, values).enumerated() {
    builder.output(.result("\(index)"), result)
  }
  return builder.finish()
}
