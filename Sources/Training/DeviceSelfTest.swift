// Every operation's samples on two backends, and larger products: whether a device computes what the CPU computes, kernel by kernel.

import Basics
import GraphIR
import Operators
import Planning
import Runtime

package struct DeviceSelfTest {
  package struct Row: Sendable {
    package var operation: String
    package var samples: Int
    /// The largest of all samples.
    package var difference = 0.0
    /// The largest of all samples; each is held to its own.
    package var bound = 0.0
    package fileprivate(set) var isWrong = false
    /// What went wrong where the device did not run it.
    package fileprivate(set) var failure: String?
    package var passed: Bool { failure == nil && !isWrong }

    fileprivate init(operation: String, samples: Int) {
      self.operation = operation
      self.samples = samples
    }
  }

  private let reference: any Backend
  private let device: any Backend
  private let bound: DeviceCheck.Bound

  package init(
    reference: any Backend, device: any Backend, bound: @escaping DeviceCheck.Bound
  ) {
    self.reference = reference
    self.device = device
    self.bound = bound
  }

  /// One row an operation, and one for each graph of `larger`, whose inputs are arguments, each given as soon as it is
  /// there.
  package func run(larger: [Graph] = [], _ report: (Row) -> Void) {
    for type in OperatorSet.standard.all where !(type is Gradient.Type) { report(row(type)) }
    for graph in larger {
      var row = Row(operation: graph.name, samples: graph.outputs.count)
      do {
        var random = PhiloxSequence(seed: 0, stream: StableHash.stream(graph.name))
        let inputs = graph.inputs.map { input in
          Self.bytes(graph.type(of: input.value), Sample<Sum>.Fill.uniform(-1, 1), &random)
        }
        try compare(graph, inputs, &row)
      } catch {
        row.failure = "\(error)"
      }
      report(row)
    }
  }

  private func row<Op: Operation>(_ type: Op.Type) -> Row {
    var row = Row(operation: Op.mnemonic, samples: Op.samples.count)
    do {
      let (graph, inputs) = try Self.graph(of: type)
      try compare(graph, inputs, &row)
    } catch {
      row.failure = "\(error)"
    }
    return row
  }

  /// Compares every output, each with the bound of its own node.
  private func compare(_ graph: Graph, _ inputs: [[UInt8]], _ row: inout Row) throws {
    let expected = try Self.outputs(graph, inputs, reference)
    let found = try Self.outputs(graph, inputs, device)
    for node in graph.nodes.elements {
      for result in node.results {
        guard let index = graph.outputs.firstIndex(where: { $0.value == result }) else {
          continue
        }
        let operands = node.operands.map { value in
          graph.inputs.firstIndex { $0.value == value }.map { inputs[$0] }
        }
        let difference = Difference(node.operation, graph.types(of: node.operands), operands)
          .between(found[index], expected[index], graph.type(of: result))
        let bound = bound(node.operation)
        row.isWrong = row.isWrong || !(difference <= bound)
        row.difference = max(row.difference, difference)
        row.bound = max(row.bound, bound)
      }
    }
  }

  /// All samples in one graph, which a device's compiler takes at once, and the bytes of its inputs.
  private static func graph<Op: Operation>(of type: Op.Type) throws -> (Graph, [[UInt8]]) {
    let builder = GraphBuilder(name: Op.mnemonic, stage: .fused)
    var inputs: [[UInt8]] = []
    for (number, sample) in Op.samples.enumerated() {
      var random = PhiloxSequence(seed: UInt64(number), stream: StableHash.stream(Op.mnemonic))
      let operands = try sample.operands.enumerated().map { place, type in
        let fill = place < sample.fills.count ? sample.fills[place] : .uniform(-1, 1)
        inputs.append(Self.bytes(type, fill, &random))
        return try builder.input(.argument("\(inputs.count - 1)"), type)
      }
      for result in try builder.addUnshared(sample.operation, operands) {
        builder.output(.result("\(number) \(result.index)"), result)
      }
    }
    return (builder.finish(), inputs)
  }

  private static func bytes<Op: Operation>(
    _ type: TensorType, _ fill: Sample<Op>.Fill, _ random: inout PhiloxSequence
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    for index in 0..<type.count {
      let value: Double =
        switch fill {
        case .values(let values): values[index % values.count]
        case .uniform(let low, let high):
          type.element.isFloat
            ? low + (high - low) * random.nextUniform()
            : low.rounded(.up)
              + Double(random.nextInt(below: max(1, Int(high) - Int(low.rounded(.up)) + 1)))
        }
      switch type.element {
      case .f32: withUnsafeBytes(of: Float(value)) { bytes += $0 }
      case .f64: withUnsafeBytes(of: value) { bytes += $0 }
      case .i32, .bool: withUnsafeBytes(of: Int32(value)) { bytes += $0 }
      }
    }
    return bytes
  }

  private static func outputs(
    _ graph: Graph, _ inputs: [[UInt8]], _ backend: any Backend
  ) throws -> [[UInt8]] {
    let executable = try backend.load(Planner().plan(graph), states: backend.makeStateStore())
    for (index, bytes) in inputs.enumerated() {
      bytes.withUnsafeBytes { executable.write(input: index, $0) }
    }
    try executable.run()
    return try graph.outputs.indices.map { index in
      try deviceBytes(count: graph.type(of: graph.outputs[index].value).byteCount) {
        (bytes) throws(EnvironmentFailure) in try executable.read(output: index, into: bytes)
      }
    }
  }
}
