// What the page knows of a graph, as the JSON that is embedded in it: every node with its operands, place, phase and
// cost, the types of the values, the program's lines.

import Basics
import Formats
import GraphIR

struct PageGraph {
  let graph: Graph
  /// The program that the nodes' places are in; nil where it is not at hand.
  let source: SourceText?
  let times: KernelTimes?

  init(_ graph: Graph, source: SourceText?, times: KernelTimes?) {
    self.graph = graph
    self.source = source
    self.times = times
  }

  /// The name over the page.
  var title: String {
    let file = source?.name.split(separator: "/").last.map(String.init)
    return [file, graph.name].compactMap(\.self).joined(separator: ": ")
  }

  func json() -> JSONValue {
    let phases = graph.phases()
    let lines = source.map { source in
      (1...source.lineCount).map { JSONValue.string(source.line($0)) }
    }
    return [
      "title": .string(title), "file": source.map { .string($0.name) } ?? .null,
      "graph": .string(graph.name), "stage": .string(graph.stage.rawValue),
      "timed": .bool(times != nil), "source": .array(lines ?? []),
      "types": .array(graph.values.elements.map { .string($0.type.description) }),
      "bytes": .array(graph.values.elements.map { .int($0.type.byteCount) }),
      "inputs": .array(
        graph.inputs.map {
          ["value": .int($0.value.index), "role": .string(GraphPrinter.text($0.role))]
        }),
      "outputs": .array(
        graph.outputs.map {
          ["value": .int($0.value.index), "role": .string(GraphPrinter.text($0.role))]
        }),
      "nodes": .array(graph.nodes.ids.map { node($0, phases[$0]) }),
    ]
  }

  /// The attributes as IR text has them; a constant of thousands of numbers would only make the page long.
  private func attributes(_ node: Node) -> String {
    let text = GraphPrinter.attributes(of: node.operation)
    return text.utf8.count > 4000 ? text.prefix(4000) + "…" : text
  }

  private func node(_ id: NodeID, _ phase: NodePhase) -> JSONValue {
    let node = graph.nodes[id]
    let cost = graph.cost(of: node)
    let time = times?.milliseconds[id]
    return .object(
      [
        (key: "id", value: .int(id.index)),
        (key: "operation", value: .string(node.operation.mnemonic)),
        (key: "name", value: .string(node.displayName)),
        (key: "attributes", value: .string(attributes(node))),
        (key: "constant", value: .bool(node.isConstant)),
        (key: "phase", value: .string(phase.rawValue)),
        (key: "operands", value: .array(node.operands.map { .int($0.index) })),
        (key: "results", value: .array(node.results.map { .int($0.index) })),
        (key: "flops", value: wholeNumber(cost.flops)),
        (key: "direct_flops", value: wholeNumber(graph.directFlops(of: node))),
        (key: "bytes", value: wholeNumber(cost.bytes)),
        (key: "ms", value: (time ?? nil).map { .double($0) } ?? .null),
      ] + originMembers(node.origin))
  }
}
