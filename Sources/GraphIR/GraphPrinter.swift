// IR text: a graph written so that GraphParser reads back the same graph, origins included. One line an input,
// node or output; the same bytes in every process. README.md has the grammar.

import Basics

/// What printer and parser agree on.
package enum IRText {
  /// The version of the form. A text of a later one is refused.
  package static let version = 1
  /// How the first line begins; the version follows.
  package static let header = "// swift-gan ir "
}

package enum GraphPrinter {
  /// The whole text of one or more graphs, header line first.
  package static func text(_ graphs: Graph...) -> String { text(graphs) }

  package static func text(_ graphs: [Graph]) -> String {
    var out = "\(IRText.header)\(IRText.version)\n"
    for graph in graphs { write(graph, to: &out) }
    return out
  }

  /// One node's line without indentation and line end.
  package static func line(_ node: Node, in graph: Graph) -> String {
    var out = ""
    write(node, in: graph, to: &out)
    return out
  }

  /// ` {slope: 0.2}`, or nothing where every attribute is at its default.
  package static func attributes(of operation: any Operation) -> String {
    var out = ""
    writeAttributes(of: operation, to: &out)
    return out
  }

  /// An attribute's value as it stands in the text.
  package static func text(_ value: AttributeValue) -> String {
    var out = ""
    write(value, to: &out)
    return out
  }

  /// `data "images" round 0`
  package static func text(_ role: InputRole) -> String {
    switch role {
    case .data(let source, let round): "data \(quoted(source)) round \(round)"
    case .state(let name): "state \(quoted(name))"
    case .step: "step"
    case .epoch: "epoch"
    case .seed: "seed"
    case .argument(let name): "argument \(quoted(name))"
    }
  }

  /// `report "dLoss"`
  package static func text(_ role: OutputRole) -> String {
    switch role {
    case .state(let name): "state \(quoted(name))"
    case .report(let name): "report \(quoted(name))"
    case .result(let name): "result \(quoted(name))"
    }
  }

  /// A string in quotes; quotes, backslashes and control characters are escaped.
  package static func quoted(_ string: String) -> String {
    var out = "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\r": out += "\\r"
      case "\t": out += "\\t"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F:
        out += "\\u{\(String(scalar.value, radix: 16))}"
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out + "\""
  }

  // MARK: - Pieces

  private static func write(_ graph: Graph, to out: inout String) {
    out += "graph \(quoted(graph.name)) stage \(graph.stage.rawValue) {\n"
    for input in graph.inputs {
      out += "  input \(input.value) \(text(input.role)) : \(graph.type(of: input.value))\n"
    }
    for node in graph.nodes.elements {
      out += "  "
      write(node, in: graph, to: &out)
      out += "\n"
    }
    for output in graph.outputs { out += "  output \(text(output.role)) \(output.value)\n" }
    out += "}\n"
  }

  private static func write(_ node: Node, in graph: Graph, to out: inout String) {
    out += list(node.results) { $0.description }
    out += " = \(node.operation.mnemonic)("
    out += list(node.operands) { $0.description }
    out += ")"
    writeAttributes(of: node.operation, to: &out)
    out += " : "
    out += list(node.results) { graph.type(of: $0).description }
    write(node.origin, to: &out)
  }

  private static func write(_ origin: Origin, to out: inout String) {
    guard origin != Origin() else { return }
    out += " @ \(origin.line):\(origin.column)"
    if !origin.path.isEmpty { out += " \(quoted(origin.path))" }
    if !origin.notes.isEmpty { out += " [\(list(origin.notes, quoted))]" }
    guard !origin.parts.isEmpty else { return }
    let parts = list(origin.parts) { part in
      let path = part.path.isEmpty ? "" : " " + quoted(part.path)
      return "[\(list(part.labels, quoted))] @ \(part.line):\(part.column)\(path)"
    }
    out += " of {\(parts)}"
  }

  private static func writeAttributes(of operation: any Operation, to out: inout String) {
    let attributes = operation.attributes
    guard !attributes.isEmpty else { return }
    out += " "
    writeBraced(attributes, to: &out)
  }

  private static func writeBraced(
    _ attributes: [(name: String, value: AttributeValue)], to out: inout String
  ) {
    out += "{"
    for (index, attribute) in attributes.enumerated() {
      if index > 0 { out += ", " }
      out += "\(attribute.name): "
      write(attribute.value, to: &out)
    }
    out += "}"
  }

  private static func write(_ value: AttributeValue, to out: inout String) {
    switch value {
    case .int(let number): out += String(number)
    // The shortest decimal that reads back as the same bits; always with a point, an exponent, or a name.
    case .float(let number): out += number.isNaN ? "nan" : number.description
    case .bool(let flag): out += flag ? "true" : "false"
    case .word(let word): out += word
    case .string(let string): out += quoted(string)
    case .list(let items):
      out += "["
      for (index, item) in items.enumerated() {
        if index > 0 { out += ", " }
        write(item, to: &out)
      }
      out += "]"
    case .type(let type): out += type.description
    case .region(let region): write(region, to: &out)
    case .operation(let operation):
      // Braces even where nothing is in them: a bare name would be a word.
      out += "\(operation.operation.mnemonic) "
      writeBraced(operation.operation.attributes, to: &out)
    }
  }

  // (3) { s0 = add(i0, i1); s1 = leaky_relu(s0) {slope: 0.2}; yield s1, s0 }
  private static func write(_ region: Region, to out: inout String) {
    out += "(\(region.inputCount)) { "
    for (index, step) in region.steps.enumerated() {
      out += "s\(index) = \(step.operation.operation.mnemonic)("
      out += list(step.arguments, reference)
      out += ")"
      writeAttributes(of: step.operation.operation, to: &out)
      out += "; "
    }
    out += "yield"
    if !region.results.isEmpty { out += " \(list(region.results, reference))" }
    out += " }"
  }

  private static func reference(_ reference: Region.Reference) -> String {
    switch reference {
    case .input(let index): "i\(index)"
    case .step(let index): "s\(index)"
    }
  }

  private static func list<T>(_ items: [T], _ text: (T) -> String) -> String {
    items.map(text).joined(separator: ", ")
  }
}
