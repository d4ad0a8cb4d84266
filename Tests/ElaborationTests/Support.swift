// What the tests of elaboration share: compiling a text, and running graphs of it in the reference
// evaluator.

import Basics
import Elaboration
import GraphIR
import Operators
import Passes
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The program of a text that must have no error.
func compiled(
  _ text: String, settings: [(String, String)] = [],
  sourceLocation: SourceLocation = #_sourceLocation
) throws -> Program {
  let source = SourceText(name: "test.gan", text)
  let result = compile(source, options: ElaborationOptions(settings: settings.map { ($0.0, $0.1) }))
  if result.program == nil {
    Issue.record(
      Comment(rawValue: DiagnosticRenderer(source).render(result.diagnostics)),
      sourceLocation: sourceLocation)
  }
  return try #require(result.program, sourceLocation: sourceLocation)
}

/// `code@line:column` of every diagnostic of a severity, in order.
func places(_ text: String, _ severity: Severity = .error, settings: [(String, String)] = [])
  -> [String]
{
  let source = SourceText(name: "test.gan", text)
  let result = compile(source, options: ElaborationOptions(settings: settings.map { ($0.0, $0.1) }))
  return result.diagnostics.filter { $0.severity == severity }.map { diagnostic in
    guard let range = diagnostic.range else { return diagnostic.code }
    let place = source.position(of: range.start)
    return "\(diagnostic.code)@\(place.line):\(place.column)"
  }
}

/// One run of a graph in the reference evaluator, in exact arithmetic.
struct Run {
  var states: [String: HostTensor] = [:]
  var reports: [String: HostTensor] = [:]
  var results: [HostTensor] = []

  func report(_ name: String) -> Double { reports[name]?.values.first ?? .nan }
}

/// Runs a graph. States that are not given begin with small numbers that differ from element to
/// element; data with others.
func run(
  _ graph: Graph, states: [String: HostTensor] = [:], data: [String: HostTensor] = [:],
  arguments: [String: HostTensor] = [:], step: Int = 0, epoch: Int = 0
) throws -> Run {
  try Verifier().verify(graph)
  let expanded = try ExpandGradients().run(graph)
  try Verifier().verify(expanded)
  let inputs = expanded.inputs.map { binding -> HostTensor in
    let type = expanded.type(of: binding.value)
    switch binding.role {
    case .state(let name): return states[name] ?? pattern(type, salt: 1)
    case .data(let source, let round):
      return data["\(source)@\(round)"] ?? data[source] ?? pattern(type, salt: 2)
    case .argument(let name): return arguments[name] ?? pattern(type, salt: 3)
    case .step: return HostTensor(type, [Double(step)])
    case .epoch: return HostTensor(type, [Double(epoch)])
    case .seed: return HostTensor(type, [7, 0])
    }
  }
  let outputs = Evaluator().evaluate(expanded, inputs: inputs)
  var result = Run(states: states)
  for (binding, value) in zip(expanded.outputs, outputs) {
    switch binding.role {
    case .state(let name): result.states[name] = value
    case .report(let name): result.reports[name] = value
    case .result: result.results.append(value)
    }
  }
  return result
}

/// Small numbers, different in each place; counters begin at 0.
func pattern(_ type: TensorType, salt: Int) -> HostTensor {
  if type.element == .i32 { return HostTensor(type) }
  return HostTensor(
    type, (0..<type.count).map { sin(Double($0 * 7 + salt * 3) + 0.3) * 0.3 })
}

/// The initial states of a program, with parameters from `pattern`.
func initialStates(_ program: Program) -> [String: HostTensor] {
  var states: [String: HostTensor] = [:]
  for state in program.states {
    switch state.initializer {
    case .constant(let value): states[state.name] = HostTensor(state.type, repeating: value)
    case .copy(let source): states[state.name] = states[source]
    default: states[state.name] = pattern(state.type, salt: state.name.utf8.count)
    }
  }
  return states
}
