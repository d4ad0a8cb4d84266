// Reads IR text, the exact inverse of GraphPrinter. Types are inferred again and compared with what is written.
// The first error ends it, as a diagnostic with its place; no text can trap it.

import Basics

/// Comes in: a text and the operations that it may name. Goes out: its graphs, verified.
package struct GraphParser {
  /// The most bytes a text may have.
  package static let maximumBytes = 32 << 20
  /// How deep lists, regions and operations may nest.
  package static let maximumNesting = 32
  /// The most attribute values, list items included, of one text.
  package static let maximumValues = 4 << 20

  let operations: OperationSet
  private var lexer: IRLexer
  private(set) var token: IRToken
  /// The most attributes of one operation: they are compared pairwise.
  static let maximumAttributes = 64

  var nesting = 0
  var valueCount = 0

  /// All graphs of a text.
  package static func parse(
    _ source: SourceText, operations: OperationSet
  ) throws(Diagnostic) -> [Graph] {
    var parser = try GraphParser(source, operations: operations)
    return try parser.graphs()
  }

  /// The one graph of a text.
  package static func parseOne(
    _ source: SourceText, operations: OperationSet
  ) throws(Diagnostic) -> Graph {
    let graphs = try parse(source, operations: operations)
    guard graphs.count == 1 else {
      throw Diagnostic("ir.count", "\(source.name) holds \(graphs.count) graphs; one was expected")
    }
    return graphs[0]
  }

  private init(_ source: SourceText, operations: OperationSet) throws(Diagnostic) {
    guard source.bytes.count <= Self.maximumBytes else {
      throw Diagnostic(
        "ir.limit",
        "IR text may have at most \(Self.maximumBytes) bytes, this one has "
          + "\(source.bytes.count)")
    }
    try Self.checkVersion(source)
    self.operations = operations
    // The header is a comment, so the lexer may begin before it.
    lexer = IRLexer(source.bytes, from: 0)
    token = try lexer.next()
  }

  private static func checkVersion(_ source: SourceText) throws(Diagnostic) {
    let line = source.line(1)
    let range = SourceRange(0, line.utf8.count)
    guard line.hasPrefix(IRText.header),
      let version = Int(line.dropFirst(IRText.header.count).filter { $0 != " " }), version >= 1
    else {
      throw Diagnostic(
        "ir.version", "this is not IR text: it begins with \(IRText.header)\(IRText.version)",
        at: range)
    }
    guard version <= IRText.version else {
      throw Diagnostic(
        "ir.version",
        "this IR text has version \(version); this program reads up to \(IRText.version)",
        at: range)
    }
  }

  // MARK: - Tokens

  mutating func advance() throws(Diagnostic) { token = try lexer.next() }

  func unexpected(_ expected: String) -> Diagnostic {
    if token.kind == .end {
      return Diagnostic(
        "ir.truncated", "the text ends where \(expected) was expected", at: token.range)
    }
    return Diagnostic(
      "ir.syntax", "expected \(expected), found \(token.described)", at: token.range)
  }

  func isAt(_ mark: Character) -> Bool {
    token.kind == .punctuation(mark.asciiValue ?? 0)
  }

  mutating func accept(_ mark: Character) throws(Diagnostic) -> Bool {
    guard isAt(mark) else { return false }
    try advance()
    return true
  }

  mutating func expect(_ mark: Character, _ context: String) throws(Diagnostic) {
    guard try accept(mark) else { throw unexpected("\"\(mark)\" \(context)") }
  }

  mutating func expectWord(_ what: String) throws(Diagnostic) -> String {
    guard case .word(let word) = token.kind else { throw unexpected(what) }
    try advance()
    return word
  }

  mutating func expectKeyword(_ keyword: String) throws(Diagnostic) {
    guard try accept(keyword: keyword) else { throw unexpected("\"\(keyword)\"") }
  }

  mutating func accept(keyword: String) throws(Diagnostic) -> Bool {
    guard token.kind == .word(keyword) else { return false }
    try advance()
    return true
  }

  mutating func expectInt(_ what: String) throws(Diagnostic) -> Int {
    guard case .int(let value) = token.kind else { throw unexpected(what) }
    try advance()
    return value
  }

  mutating func expectString(_ what: String) throws(Diagnostic) -> String {
    guard case .string(let value) = token.kind else { throw unexpected(what) }
    try advance()
    return value
  }

  mutating func expectValue(_ what: String) throws(Diagnostic) -> (id: Int, range: SourceRange) {
    guard case .value(let id) = token.kind else { throw unexpected(what) }
    let range = token.range
    try advance()
    return (id, range)
  }

  // MARK: - Graphs

  private mutating func graphs() throws(Diagnostic) -> [Graph] {
    var graphs: [Graph] = []
    repeat { graphs.append(try graph()) } while token.kind != .end
    return graphs
  }

  private mutating func graph() throws(Diagnostic) -> Graph {
    let start = token.range
    try expectKeyword("graph")
    let name = try expectString("the graph's name")
    try expectKeyword("stage")
    let stageRange = token.range
    let word = try expectWord("a stage")
    guard let stage = Stage(rawValue: word) else {
      throw Diagnostic(
        "ir.stage", "there is no stage \(word)", at: stageRange,
        help: "the stages are \(Stage.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    try expect("{", "before the graph's body")
    var assembly = GraphAssembly(Graph(name: name, stage: stage))
    while token.kind == .word("input") { try input(&assembly) }
    while case .value = token.kind { try node(&assembly) }
    while token.kind == .word("output") { try output(&assembly) }
    try expect("}", "after the graph's body (inputs, nodes, outputs, in this order)")
    let graph = assembly.finish()
    do {
      try Verifier().verify(graph)
    } catch {
      throw Diagnostic("ir.invalid", error.message, at: start)
    }
    return graph
  }

  private mutating func input(_ assembly: inout GraphAssembly) throws(Diagnostic) {
    try expectKeyword("input")
    let value = try expectValue("the input's value")
    let roleRange = token.range
    let role = try inputRole()
    guard assembly.inputRoles.insert(role).inserted else {
      throw Diagnostic("ir.duplicate", "this input is there already", at: roleRange)
    }
    try expect(":", "before the input's type")
    let type = try tensorType()
    let index = assembly.graph.inputs.count
    let id = try assembly.define(value, ValueInfo(type: type, producer: nil, index: index))
    assembly.graph.inputs.append(InputBinding(role: role, value: id))
  }

  private mutating func inputRole() throws(Diagnostic) -> InputRole {
    let range = token.range
    let word = try expectWord("what fills the input")
    switch word {
    case "data":
      let source = try expectString("the source's name")
      try expectKeyword("round")
      return .data(source: source, round: try expectInt("the round's number"))
    case "state": return .state(try expectString("the state's name"))
    case "step": return .step
    case "epoch": return .epoch
    case "seed": return .seed
    case "argument": return .argument(try expectString("the argument's name"))
    default:
      throw Diagnostic(
        "ir.role", "\(word) is nothing that fills an input", at: range,
        help: "it is one of data, state, step, epoch, seed, argument")
    }
  }

  private mutating func output(_ assembly: inout GraphAssembly) throws(Diagnostic) {
    try expectKeyword("output")
    let range = token.range
    let word = try expectWord("what becomes of the output")
    let name = try expectString("the output's name")
    let role: OutputRole
    switch word {
    case "state": role = .state(name)
    case "report": role = .report(name)
    case "result": role = .result(name)
    default:
      throw Diagnostic(
        "ir.role", "\(word) is nothing that an output becomes", at: range,
        help: "it is one of state, report, result")
    }
    let value = try assembly.use(try expectValue("the output's value"))
    guard assembly.outputRoles.insert(role).inserted else {
      throw Diagnostic("ir.duplicate", "this output is there already", at: range)
    }
    assembly.graph.outputs.append(OutputBinding(role: role, value: value))
  }

  // %5, %6 = mnemonic(%1, %2) {attributes} : f32[2], f32[2] @ 14:8 "path" ["note"]
  private mutating func node(_ assembly: inout GraphAssembly) throws(Diagnostic) {
    var results = [try expectValue("a result")]
    while try accept(",") { results.append(try expectValue("a result")) }
    try expect("=", "after the results")
    let nameRange = token.range
    let operationType = try operationType()
    var operands: [ValueID] = []
    try expect("(", "before the operands")
    if !isAt(")") {
      repeat {
        operands.append(try assembly.use(try expectValue("an operand")))
      } while try accept(",")
    }
    try expect(")", "after the operands")
    let operation = try operation(operationType, at: nameRange)
    // Attributes that a cut took away would otherwise look like a wrong shape.
    guard isAt(":") else { throw unexpected("\":\" before the types of the results") }
    let inferred = try inferTypes(operation, assembly.types(of: operands), at: nameRange)
    let types = try printedTypes(inferred, of: operation)
    guard results.count == types.count else {
      throw Diagnostic(
        "ir.type", "\(operation.mnemonic) has \(types.count) results, not \(results.count)",
        at: nameRange)
    }
    let origin = try origin()
    let id = NodeID(assembly.graph.nodes.count)
    var ids: [ValueID] = []
    for (index, result) in results.enumerated() {
      let info = ValueInfo(type: types[index], producer: id, index: index)
      ids.append(try assembly.define(result, info))
    }
    _ = assembly.graph.nodes.append(
      Node(operation: operation, operands: operands, results: ids, origin: origin))
  }

  /// The types after the colon, which must be those inferred.
  private mutating func printedTypes(
    _ inferred: [TensorType], of operation: any Operation
  ) throws(Diagnostic) -> [TensorType] {
    var types: [TensorType] = []
    try expect(":", "before the types of the results")
    repeat {
      let range = token.range
      let type = try tensorType()
      guard types.count < inferred.count, inferred[types.count] == type else {
        let expected = inferred.map(\.description).joined(separator: ", ")
        throw Diagnostic(
          "ir.type", "\(operation.mnemonic) of these operands gives \(expected), not \(type)",
          at: range)
      }
      types.append(type)
    } while try accept(",")
    guard types.count == inferred.count else {
      throw Diagnostic(
        "ir.type", "\(operation.mnemonic) has \(inferred.count) results, not \(types.count)",
        at: token.range)
    }
    return types
  }

  private func inferTypes(
    _ operation: any Operation, _ operands: [TensorType], at range: SourceRange
  ) throws(Diagnostic) -> [TensorType] {
    let signature = type(of: operation).signature
    let needed = signature.filter { $0.arity == .one }.count
    let isVariadic = needed < signature.count
    guard operands.count == needed || (isVariadic && operands.count > needed) else {
      throw Diagnostic(
        "ir.operands",
        "\(operation.mnemonic) takes \(isVariadic ? "at least " : "")\(needed) operands, not "
          + "\(operands.count)", at: range)
    }
    do {
      return try operation.inferTypes(operands).map { (type) throws(Diagnostic) in
        try type.checked()
      }
    } catch {
      throw error.placed(at: range)
    }
  }

  private mutating func origin() throws(Diagnostic) -> Origin {
    var origin = Origin()
    guard try accept("@") else { return origin }
    (origin.line, origin.column, origin.path) = try place()
    if try accept("[") {
      repeat { origin.notes.append(try expectString("a note")) } while try accept(",")
      try expect("]", "after the notes")
    }
    guard try accept(keyword: "of") else { return origin }
    try expect("{", "before the parts")
    repeat { origin.parts.append(try part()) } while try accept(",")
    try expect("}", "after the parts")
    return origin
  }

  /// `["add", "multiply"] @ 14:8 "generator"`: what a fused node was made of at one place.
  private mutating func part() throws(Diagnostic) -> Origin.Part {
    var part = Origin.Part(labels: [], line: 0, column: 0, path: "")
    try expect("[", "before the labels of a part")
    repeat { part.labels.append(try expectString("a label")) } while try accept(",")
    try expect("]", "after the labels")
    try expect("@", "before the place of a part")
    (part.line, part.column, part.path) = try place()
    return part
  }

  /// `14:8 "generator"`
  private mutating func place() throws(Diagnostic) -> (Int32, Int32, String) {
    let line = Int32(clamping: try expectInt("a line"))
    try expect(":", "between line and column")
    let column = Int32(clamping: try expectInt("a column"))
    guard case .string(let path) = token.kind else { return (line, column, "") }
    try advance()
    return (line, column, path)
  }
}

/// A graph while its text is read. Values may be numbered with gaps, as in a text that lines were cut out of;
/// they are then renumbered in the same order.
private struct GraphAssembly {
  var graph: Graph
  var inputRoles = Set<InputRole>()
  var outputRoles = Set<OutputRole>()
  /// For each value in the order of definition: the number in the text, and what it is.
  private var numbers: [Int] = []
  private var infos: [ValueInfo] = []
  /// From the number in the text to the place in `infos`; for look-up only.
  private var places: [Int: Int] = [:]

  init(_ graph: Graph) { self.graph = graph }

  /// Defines a value. Until `finish`, its identifier is its place in `infos`.
  mutating func define(
    _ value: (id: Int, range: SourceRange), _ info: ValueInfo
  ) throws(Diagnostic) -> ValueID {
    guard places.updateValue(infos.count, forKey: value.id) == nil else {
      throw Diagnostic("ir.duplicate", "%\(value.id) is defined already", at: value.range)
    }
    numbers.append(value.id)
    infos.append(info)
    return ValueID(infos.count - 1)
  }

  func use(_ value: (id: Int, range: SourceRange)) throws(Diagnostic) -> ValueID {
    guard let place = places[value.id] else {
      throw Diagnostic("ir.undefined", "%\(value.id) is not defined above", at: value.range)
    }
    return ValueID(place)
  }

  func types(of values: [ValueID]) -> [TensorType] { values.map { infos[$0.index].type } }

  /// The graph, its values in the order of their numbers.
  func finish() -> Graph {
    let order = numbers.indices.sorted { numbers[$0] < numbers[$1] }
    var final = Table<ValueTag, ValueID>(repeating: ValueID(0), count: infos.count)
    for (rank, place) in order.enumerated() { final[ValueID(place)] = ValueID(rank) }
    var graph = graph
    graph.values = Table(order.map { infos[$0] })
    for index in graph.inputs.indices {
      graph.inputs[index].value = final[graph.inputs[index].value]
    }
    for index in graph.outputs.indices {
      graph.outputs[index].value = final[graph.outputs[index].value]
    }
    for id in graph.nodes.ids {
      graph.nodes[id].operands = graph.nodes[id].operands.map { final[$0] }
      graph.nodes[id].results = graph.nodes[id].results.map { final[$0] }
    }
    return graph
  }
}
