// The one list of ONNX operators that can be imported: of each the attributes that are understood
// and the function that builds it. An attribute outside the list is refused by name, so that
// nothing that changes the meaning is passed over.

import Formats
import GraphIR

package enum OperatorTable {
  typealias Build = (NodeImport) throws -> [ModelValue?]

  struct Entry: Sendable {
    var attributes: [String]
    var build: @Sendable (NodeImport) throws -> [ModelValue?]

    init(
      _ attributes: [String] = [], _ build: @escaping @Sendable (NodeImport) throws -> [ModelValue?]
    ) {
      self.attributes = attributes
      self.build = build
    }

    /// The same for tensors with elements alone, so that `build` may divide by their sizes.
    var refusingEmpty: Entry {
      Entry(attributes) { [build] node in
        try node.checkElements()
        return try build(node)
      }
    }

    /// What of a node is not understood, before anything is known of its inputs.
    func problem(_ node: ONNXNode) -> String? {
      let unknown = node.attributes.first { !attributes.contains($0.name) }
      return unknown.map { "\(node.op) with the attribute '\($0.name)'" }
    }
  }

  /// The entry of a node's operator; nil where there is none.
  static func entry(_ node: ONNXNode) -> Entry? {
    isStandard(node) ? all[node.op] : nil
  }

  /// The operator as errors call it: those of other domains with the domain.
  static func name(of node: ONNXNode) -> String {
    isStandard(node) ? node.op : "\(node.domain).\(node.op)"
  }

  private static func isStandard(_ node: ONNXNode) -> Bool {
    node.domain.isEmpty || node.domain == "ai.onnx"
  }

  /// The names of all operators, sorted.
  package static var names: [String] { all.keys.sorted() }

  private static let all: [String: Entry] = {
    let groups = [
      ElementwiseOperators.entries, ActivationOperators.entries, ReductionOperators.entries,
      ProductOperators.entries, ImageOperators.entries, ResizeOperators.entries,
      NormOperators.entries,
    ]
    // Shapes and parts of them may be empty.
    let ofShapes = [ShapeOperators.entries, ConstantOperators.entries, SelectionOperators.entries]
    return (ofShapes + groups.map { $0.mapValues(\.refusingEmpty) }).reduce(into: [:]) {
      $0.merge($1) { first, _ in first }
    }
  }()
}

/// A function of one real value, element by element.
func unary(
  _ attributes: [String] = [], _ body: @escaping @Sendable (NodeImport, ValueID) throws -> ValueID
) -> OperatorTable.Entry {
  OperatorTable.Entry(attributes) { node in
    let x = try node.real(node.input(0))
    return [try node.elementwise(x) { try body(node, $0) }]
  }
}
