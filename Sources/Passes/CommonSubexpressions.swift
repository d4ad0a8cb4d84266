// Two passes that need nothing but the graph's structure.
//
// Common subexpressions: equal operations on equal operands are one node. All operations are pure and random
// ones carry their stream, so no effect analysis is needed; vanilla-gan's second G(z) disappears here.
// Dead code: what no output depends on is dropped; inputs stay, because they are the graph's interface.

import Basics
import GraphIR

package struct CommonSubexpressions: Pass {
  package init() {}
  package let name = "common-subexpressions"
  package let summary = "Make equal operations on equal operands one."

  package func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    var rewriter = try GraphRewriter(graph, sharing: true)
    for node in graph.nodes.elements { try rewriter.keep(node) }
    return rewriter.finish()
  }
}

package struct DeadCode: Pass {
  package init() {}
  package let name = "dead-code"
  package let summary = "Drop what no output depends on."

  package func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    let live = graph.liveNodes()
    if graph.nodes.ids.allSatisfy({ live.contains($0) }) { return graph }
    var rewriter = try GraphRewriter(graph)
    for id in graph.nodes.ids where live.contains(id) { try rewriter.keep(graph.nodes[id]) }
    return rewriter.finish()
  }
}
