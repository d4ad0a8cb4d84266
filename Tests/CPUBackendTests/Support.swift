// Runs graphs on the CPU backend, on every instruction set, beside the reference evaluator.

import BackendSupport
import Basics
import CPUBackend
import GraphIR
import Operators
import Testing

/// Every instruction set that this machine has, with one thread and with two. Made anew for each use: tests run at the
/// same time, and a backend belongs to one thread.
func makeBackends() throws -> [CPUBackend] {
  try InstructionSet.available.map {
    try CPUBackend(threads: $0 == .base ? 1 : 2, instructionSet: $0)
  }
}

/// Runs a graph once on every backend and compares all outputs with what the evaluator makes of it or of another graph
/// of the same meaning.
func expectAgreement(
  _ graph: Graph, _ inputs: [HostTensor], bound: Double = 1e-5, _ note: String = "",
  expected: [HostTensor]? = nil, location: SourceLocation = #_sourceLocation
) throws {
  let expected = expected ?? Evaluator().evaluate(graph, inputs: inputs)
  for backend in try makeBackends() {
    for difference in try disagreements(
      graph, inputs, on: backend, bound: bound, expected: expected)
    {
      Issue.record(
        "\(backend.instructionSet) \(note) \(difference)", sourceLocation: location)
    }
  }
}

/// Runs one operation on random operands.
func check(
  _ operation: any Operation, _ operands: [TensorType], seed: UInt64 = 1, bound: Double = 1e-5,
  low: Double = -1, high: Double = 1, location: SourceLocation = #_sourceLocation
) throws {
  let graph = try single(operation, operands)
  var filler = Filler(seed)
  let inputs = operands.map { filler.uniform($0, low, high) }
  try expectAgreement(
    graph, inputs, bound: bound, operands.map(\.description).joined(separator: " "),
    location: location)
}
