// What can be wrong with a node, and how it is told: what is not supported is collected over the
// whole model and told at once; what contradicts the standard ends the import.

import Basics
import Formats

/// What a node needs and we do not have.
struct Unsupported: Error {
  var what: String
}

/// A node that contradicts the standard or itself.
struct Malformed: Error {
  var what: String
}

/// The unsupported nodes of a model, by what is missing.
struct UnsupportedList {
  private var order: [String] = []
  private var nodes: [String: [String]] = [:]

  var isEmpty: Bool { order.isEmpty }

  mutating func add(_ what: String, node: String) {
    if nodes[what] == nil { order.append(what) }
    nodes[what, default: []].append(node)
  }

  /// One error that names all of them; of each at most `most` nodes.
  func failure(_ file: String, most: Int = 5) -> EnvironmentFailure {
    let lines = order.map { what -> String in
      let names = nodes[what] ?? []
      let count = names.count == 1 ? "one node" : "\(names.count) nodes"
      let shown = names.prefix(most).map { "'\($0)'" }.joined(separator: ", ")
      return "  \(what): \(count) (\(shown)\(names.count > most ? ", …" : ""))"
    }
    return EnvironmentFailure(
      "\(file): the model needs what is not supported:\n" + lines.joined(separator: "\n"),
      help: "\(OperatorTable.names.count) operators of ONNX are imported; "
        + "Sources/Interchange/README.md lists them")
  }
}
