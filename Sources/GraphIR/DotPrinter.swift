// A graph as Graphviz DOT: boxes of operations in one cluster for each network, types on the edges. The same bytes
// in every process; everything that comes from a program is escaped.

import Basics

package enum DotPrinter {
  /// The DOT text of a graph.
  package static func text(_ graph: Graph) -> String {
    var out = "digraph \(quoted(graph.name)) {\n"
    out += "  rankdir=TB;\n  node [shape=box, fontname=\"Helvetica\"];\n"
    out += "  edge [fontname=\"Helvetica\", fontsize=9];\n"
    for input in graph.inputs {
      let label = "\(GraphPrinter.text(input.role))\n\(graph.type(of: input.value))"
      out += "  v\(input.value.index) [shape=ellipse, label=\(quoted(label))];\n"
    }
    writeNodes(graph, to: &out)
    for (index, output) in graph.outputs.enumerated() {
      let label = GraphPrinter.text(output.role)
      out += "  o\(index) [shape=doubleoctagon, label=\(quoted(label))];\n"
    }
    for id in graph.nodes.ids {
      for operand in graph.nodes[id].operands { writeEdge(operand, "n\(id.index)", graph, &out) }
    }
    for (index, output) in graph.outputs.enumerated() {
      writeEdge(output.value, "o\(index)", graph, &out)
    }
    return out + "}\n"
  }

  /// The nodes, those of one network together, networks in the order in which they first appear.
  private static func writeNodes(_ graph: Graph, to out: inout String) {
    var names: [String] = []
    var members: [[NodeID]] = []
    var places: [String: Int] = [:]
    for id in graph.nodes.ids {
      let path = graph.nodes[id].origin.path
      let name = path.split(separator: "/", maxSplits: 1).first.map(String.init) ?? ""
      if let place = places[name] {
        members[place].append(id)
      } else {
        places[name] = names.count
        names.append(name)
        members.append([id])
      }
    }
    for (index, name) in names.enumerated() {
      let indent = name.isEmpty ? "  " : "    "
      if !name.isEmpty {
        out += "  subgraph cluster_\(index) {\n    label=\(quoted(name));\n"
      }
      for id in members[index] {
        out += "\(indent)n\(id.index) [label=\(quoted(label(graph.nodes[id])))];\n"
      }
      if !name.isEmpty { out += "  }\n" }
    }
  }

  /// The mnemonic with its attributes, and where it comes from.
  private static func label(_ node: Node) -> String {
    var lines = [node.operation.mnemonic]
    let attributes = GraphPrinter.attributes(of: node.operation)
    if !attributes.isEmpty {
      // A constant's values or a long region would make the box unreadable.
      let text = attributes.dropFirst()
      lines.append(text.count <= 60 ? String(text) : text.prefix(59) + "…")
    }
    if node.origin.line > 0 { lines.append("line \(node.origin.line)") }
    return lines.joined(separator: "\n")
  }

  private static func writeEdge(
    _ value: ValueID, _ target: String, _ graph: Graph, _ out: inout String
  ) {
    let info = graph.values[value]
    let source = info.producer.map { "n\($0.index)" } ?? "v\(value.index)"
    out += "  \(source) -> \(target) [label=\(quoted(info.type.description))];\n"
  }

  /// A DOT string: quotes and backslashes escaped, line ends as \n, other control characters as spaces.
  private static func quoted(_ text: String) -> String {
    var out = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F: out += " "
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out + "\""
  }
}
