// What the tests of this module share: short ways to parse, and an operation that has every kind of attribute.

import Basics
import GraphIR
import Operators
import Testing

/// Parses a text that must be right.
func parsed(
  _ text: String, operations: OperationSet = OperatorSet.standard,
  sourceLocation: SourceLocation = #_sourceLocation
) throws -> Graph {
  do {
    return try GraphParser.parseOne(
      SourceText(name: "test.ir", text), operations: operations)
  } catch {
    let shown = DiagnosticRenderer(SourceText(name: "test.ir", text)).render(error)
    Issue.record("\(shown)", sourceLocation: sourceLocation)
    throw error
  }
}

/// The diagnostic that a text must give.
func diagnostic(
  of bytes: [UInt8], operations: OperationSet = OperatorSet.standard
) -> Diagnostic? {
  do {
    _ = try GraphParser.parse(SourceText(name: "test.ir", bytes: bytes), operations: operations)
    return nil
  } catch {
    return error
  }
}

func diagnostic(of text: String) -> Diagnostic? { diagnostic(of: Array(text.utf8)) }

/// Whether two graphs are the same, origins included.
func areIdentical(_ a: Graph, _ b: Graph) -> Bool {
  a == b && a.nodes.elements.map(\.origin) == b.nodes.elements.map(\.origin)
}

/// An operation with one attribute of every kind. Its result is its operand.
struct Everything: Operation {
  enum Mode: String, WordAttribute { case fast, exact }

  static let mnemonic = "everything"
  static let summary = "Has every kind of attribute."
  static let signature = [OperandSpec("x"), OperandSpec("more", .variadic)]
  static var samples: [Sample<Everything>] { [] }

  var int = 0
  var word32: UInt32 = 0
  var float: FloatAttribute = 0.5
  var bool = false
  var mode = Mode.fast
  var string = ""
  var ints: [Int] = []
  var floats: [FloatAttribute] = []
  var nested: [[String]] = []
  var type = TensorType.f32()
  var region = Region(inputCount: 0, steps: [], results: [])
  var operation = AnyOperation(Negate())

  mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("int", &int)
    try visitor.attribute("word32", &word32, default: 0)
    try visitor.attribute("float", &float, default: 0.5)
    try visitor.attribute("bool", &bool, default: false)
    try visitor.attribute("mode", &mode, default: .fast)
    try visitor.attribute("string", &string, default: "")
    try visitor.attribute("ints", &ints, default: [])
    try visitor.attribute("floats", &floats, default: [])
    try visitor.attribute("nested", &nested, default: [])
    try visitor.attribute("type", &type)
    try visitor.attribute("region", &region)
    try visitor.attribute("operation", &operation)
  }

  func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] { operands }
  func gradient(_ scope: inout GradientScope) throws(Diagnostic) {}
  func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] { operands }
}
