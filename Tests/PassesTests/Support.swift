// What the tests of this module share: reading IR text, showing what a pass made of it, comparing two graphs by
// what they compute.

import Basics
import Elaboration
import GraphIR
import Operators
import Passes
import TestSupport
import Testing

/// A graph of the lines between the braces; every input is an argument named after its place.
func parsed(
  _ body: String, stage: Stage = .raw, sourceLocation: SourceLocation = #_sourceLocation
) throws -> Graph {
  let text = "// swift-gan ir 1\ngraph \"test\" stage \(stage.rawValue) {\n\(body)\n}\n"
  do {
    return try GraphParser.parseOne(
      SourceText(name: "test.ir", text), operations: OperatorSet.standard)
  } catch {
    let shown = DiagnosticRenderer(SourceText(name: "test.ir", text)).render(error)
    Issue.record("\(shown)", sourceLocation: sourceLocation)
    throw error
  }
}

/// The lines of a graph's nodes and outputs, without its inputs and origins.
func lines(_ graph: Graph) -> String {
  var bare = graph
  for id in graph.nodes.ids { bare.nodes[id].origin = Origin() }
  return GraphPrinter.text(bare).split(separator: "\n").dropFirst(2).dropLast()
    .map { String($0.dropFirst(2)) }
    .filter { !$0.hasPrefix("input ") }
    .joined(separator: "\n")
}

/// What passes and the removal of dead code make of a graph.
func rewritten(_ passes: [any Pass], _ graph: Graph) throws -> Graph {
  var graph = graph
  for pass in passes + [DeadCode()] {
    graph = try pass.run(graph)
    try Verifier().verify(graph)
  }
  return graph
}

/// Tests the lines before against those after; both sides also must compute the same.
func expect(
  _ pass: any Pass, _ before: String, _ after: String, stage: Stage = .differentiated,
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let graph = try parsed(before, stage: stage, sourceLocation: sourceLocation)
  // A rule may make room for another one, so that passes stand in a loop in the pipeline, too.
  var result = try rewritten([pass], graph)
  for _ in 0..<3 { result = try rewritten([pass], result) }
  let found = lines(result)
  #expect(found == after, sourceLocation: sourceLocation)
  if stage > .raw {
    expectSameResults(graph, result, pass.name, sourceLocation: sourceLocation)
  }
  // Nothing is left to do.
  #expect(try rewritten([pass], result) == result, sourceLocation: sourceLocation)
}

/// That two graphs have the same outputs at random inputs. With `rounding` every value is rounded to its element type.
func expectSameResults(
  _ a: Graph, _ b: Graph, _ comment: String, rounding: Bool = false, tolerance: Double = 1e-12,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(
    a.inputs.map(\.role) == b.inputs.map(\.role), "\(comment)", sourceLocation: sourceLocation)
  #expect(
    a.outputs.map(\.role) == b.outputs.map(\.role), "\(comment)", sourceLocation: sourceLocation)
  let inputs = RandomGraph.inputs(of: a, seed: 5)
  let evaluator = Evaluator(rounding: rounding)
  let (first, second) = (
    evaluator.evaluate(a, inputs: inputs), evaluator.evaluate(b, inputs: inputs)
  )
  for (index, (x, y)) in zip(first, second).enumerated() {
    #expect(x.type == y.type, "\(comment)", sourceLocation: sourceLocation)
    for (p, q) in zip(x.values, y.values) {
      if p == q || (p.isNaN && q.isNaN) { continue }
      guard abs(p - q) <= tolerance * max(1, abs(p)) else {
        Issue.record(
          "\(comment): output \(a.outputs[index].role): \(p) became \(q)",
          sourceLocation: sourceLocation)
        return
      }
    }
  }
}

/// How many nodes of a graph are an `Op`, alone or as the root of a fused one.
func count<Op: Operation>(_ type: Op.Type, in graph: Graph) -> Int {
  graph.nodes.elements.count { node in
    node.operation is Op || (node.operation as? Fused)?.root?.operation is Op
  }
}

/// The step of a program of the repository, as elaborated.
func programStep(_ path: String) throws -> Graph {
  let source = SourceText(name: path, bytes: try Places.bytes(path))
  return try #require(compile(source).program?.train).graph
}

/// The gradients of a program's step, simplified without any change of a rounding.
func programGradients(_ path: String) throws -> Graph {
  var graph = try programStep(path)
  for pass in [Simplify(), CommonSubexpressions(), ExpandGradients()] as [any Pass] {
    graph = try pass.run(graph)
  }
  return try rewritten([Simplify(), CommonSubexpressions(), DeadCode(), Simplify()], graph)
}

/// That two forms of a program's step compute the same: at weights of both signs, moments of zero, variances above it.
func expectSameStep(_ a: Graph, _ b: Graph, _ name: String) {
  let inputs = zip(a.inputs, RandomGraph.inputs(of: a, seed: 3)).map { input, tensor in
    guard case .state(let name) = input.role, tensor.type.element == .f32 else { return tensor }
    if name.hasSuffix("/m") || name.hasSuffix("/v") { return HostTensor(tensor.type) }
    let isVariance = name.hasSuffix("Variance")
    return HostTensor(tensor.type, tensor.values.map { isVariance ? 1 + $0 / 2 : $0 / 2 })
  }
  let expected = Evaluator().evaluate(a, inputs: inputs)
  let found = Evaluator().evaluate(b, inputs: inputs)
  for (output, (x, y)) in zip(a.outputs, zip(expected, found)) {
    // The gradients of biases before batch statistics are zero but for the last bits.
    let largest = max(1e-3, x.values.map(abs).max() ?? 0)
    let error = zip(x.values, y.values).map { abs($0 - $1) }.max() ?? 0
    #expect(largest.isFinite && error <= 1e-12 * largest, "\(name): \(output.role), \(error)")
  }
}
