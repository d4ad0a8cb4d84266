// What is wrong in IR text is a diagnostic with the right code at the right place, and no text at all traps the
// parser: truncations at every byte, and thousands of seeded mutations.

import Basics
import GraphIR
import Operators
import TestSupport
import Testing

@Suite struct IRErrorTests {
  /// A graph around one line, with inputs %0: f32[2, 3] and %1: i32[4].
  private static func around(_ line: String) -> String {
    """
    // swift-gan ir 1
    graph "g" stage raw {
      input %0 argument "x" : f32[2, 3]
      input %1 argument "ids" : i32[4]
      \(line)
    }
    """
  }

  static let cases: [(line: String, code: String, marked: String)] = [
    ("%2 = nagate(%0) : f32[2, 3]", "ir.operation", "nagate"),
    ("%2 = negate(%0) : f32[3, 2]", "ir.type", "f32"),
    ("%2 = negate(%0) : i32[2, 3]", "ir.type", "i32"),
    ("%2 = negate(%0) : f64x[2, 3]", "ir.type", "f64x"),
    ("%2, %3 = negate(%0) : f32[2, 3], f32[2, 3]", "ir.type", "f32"),
    ("%2, %3 = negate(%0) : f32[2, 3]", "ir.type", "negate"),
    ("%2, %3 = moments(%0) {axes: [0]} : f32[3]", "ir.type", "}"),
    ("%2 = negate(%7) : f32[2, 3]", "ir.undefined", "%7"),
    ("%2 = negate(%2) : f32[2, 3]", "ir.undefined", "%2"),
    ("%0 = negate(%0) : f32[2, 3]", "ir.duplicate", "%0"),
    ("%2 = negate(%0, %0) : f32[2, 3]", "ir.operands", "negate"),
    ("%2 = negate() : f32[2, 3]", "ir.operands", "negate"),
    ("%2 = concat() {axis: 0} : f32[2, 3]", "ir.operands", "concat"),
    ("%2 = add(%0, %1) : f32[2, 3]", "type.element", "add"),
    ("%2 = leaky_relu(%0) {slop: 0.2} : f32[2, 3]", "ir.attribute", "leaky_relu"),
    ("%2 = leaky_relu(%0) {slope: true} : f32[2, 3]", "ir.attribute", "leaky_relu"),
    ("%2 = leaky_relu(%0) {slope: 0.2, slope: 0.3} : f32[2, 3]", "ir.duplicate", "slope"),
    ("%2 = leaky_relu(%0) {slope: 1e999} : f32[2, 3]", "ir.number", "1e999"),
    ("%2 = leaky_relu(%0) {slope: 9223372036854775808} : f32[2, 3]", "ir.number", "9"),
    ("%2 = leaky_relu(%0) {slope: } : f32[2, 3]", "ir.syntax", "}"),
    ("%2 = constant() {type: f32[0], values: [1.0]} : f32[0]", "shape.size", "f32"),
    ("%2 = constant() {type: f32[65536, 65536], values: [1.0]} : f32[]", "shape.size", "f32"),
    ("%2 = constant() {type: f32[1,1,1,1,1,1,1,1,1], values: [1.0]} : f32[]", "shape.rank", "f32"),
    ("%2 = fused(%0) {region: (1) { yield s0 }} : f32[2, 3]", "ir.region", "s0"),
    ("%2 = fused(%0) {region: (1) { yield i1 }} : f32[2, 3]", "ir.region", "i1"),
    ("%2 = fused(%0) {region: (1) { yield i00 }} : f32[2, 3]", "ir.region", "i00"),
    ("%2 = fused(%0) {region: (1) { s1 = exp(i0); yield i0 }} : f32[2, 3]", "ir.region", "s1"),
    ("%2 = fused(%0) {region: (-1) { yield i0 }} : f32[2, 3]", "ir.region", "-1"),
    ("%2 = fused(%0) {region: (1) { s0 = add(i0); yield s0 }} : f32[2, 3]", "ir.operands", "add"),
    ("%2 = fused(%0) {region: (2) { yield i0 }} : f32[2, 3]", "ir.region", "fused"),
    (
      "%2 = fused(%0) {region: (1) { s0 = iota() {type: f32[3]}; yield s0 }} : f32[3]",
      "ir.region", "fused"
    ),
    ("output result \"y\" %5", "ir.undefined", "%5"),
    ("output result \"y\" %0 output result \"y\" %0", "ir.duplicate", "result"),
    ("output reslt \"y\" %0", "ir.role", "reslt"),
    ("output result \"y %0", "ir.string", "\""),
    ("output result \"\\q\" %0", "ir.string", "\\q"),
    ("output result \"\\u{110000}\" %0", "ir.string", "\\u{"),
    ("input %2 argument \"x\" : f32[]", "ir.duplicate", "argument"),
    ("input %2 weather : f32[]", "ir.role", "weather"),
    ("input %0 step : i32[]", "ir.duplicate", "%0"),
    ("%99999999999 = negate(%0) : f32[2, 3]", "ir.syntax", "%9"),
    ("output result \"y\" %0 %2 = negate(%0) : f32[2, 3]", "ir.syntax", "%2"),
    ("?", "ir.syntax", "?"),
    ("%2 = negate(%0) : f32[2, 3] @ 1 \"x\"", "ir.syntax", "\"x"),
  ]

  @Test(arguments: cases) func mistakesAreNamed(
    line: String, code: String, marked: String
  ) throws {
    let text = Self.around(line)
    let found = try #require(diagnostic(of: text), "\(line) was accepted")
    #expect(found.code == code, "\(line): \(found.message)")
    let range = try #require(found.range)
    let source = SourceText(name: "test.ir", text)
    let rest = source.text(SourceRange(Int(range.start), source.bytes.count))
    #expect(rest.hasPrefix(marked), "\(line): marked at \(rest.prefix(20))")
    // The last case of the kind: `}` stands on the next line.
    #expect(source.position(of: range.start).line == (marked == "}" && code == "ir.type" ? 6 : 5))
  }

  @Test func helpForMisspelledNames() {
    #expect(
      diagnostic(of: Self.around("%2 = nagate(%0) : f32[2, 3]"))?.help == "did you mean negate?")
  }

  @Test func versions() throws {
    let body = IRTextTests.exampleText.dropFirst("// swift-gan ir 1".count)
    let newer = try #require(diagnostic(of: "// swift-gan ir 2" + body))
    #expect(newer.code == "ir.version")
    #expect(newer.message.contains("version 2"))
    for header in ["", "// swift-gan", "// swift-gan ir x", "// swift-gan ir 0", "graph"] {
      #expect(diagnostic(of: header + body)?.code == "ir.version", "\(header)")
    }
    #expect(diagnostic(of: "")?.code == "ir.version")
  }

  @Test func stagesAreChecked() {
    let text = "// swift-gan ir 1\ngraph \"g\" stage boiled { }"
    #expect(diagnostic(of: text)?.code == "ir.stage")
    let gradient = """
      // swift-gan ir 1
      graph "g" stage differentiated {
        input %0 argument "x" : f32[]
        %1 = gradient(%0, %0) : f32[]
      }
      """
    #expect(diagnostic(of: gradient)?.code == "ir.invalid")
  }

  @Test func nestingAndSizesHaveLimits() {
    let deep = String(repeating: "[", count: 100_000)
    #expect(
      diagnostic(of: Self.around("%2 = negate(%0) {a: \(deep)"))?.code == "ir.limit")
    let operations = String(repeating: "fused {root: ", count: 1000)
    #expect(
      diagnostic(of: Self.around("%2 = fused(%0) {root: \(operations)"))?.code == "ir.limit")
    let many = (0..<100).map { "a\($0): 1" }.joined(separator: ", ")
    #expect(
      diagnostic(of: Self.around("%2 = negate(%0) {\(many)} : f32[2, 3]"))?.code == "ir.limit")
    // Each step doubles the rank-1 shape's size by broadcasting against itself: never beyond a tensor's limit.
    let wide = """
      // swift-gan ir 1
      graph "g" stage raw {
        input %0 argument "x" : f32[65536, 1]
        input %1 argument "y" : f32[1, 65536]
        %2 = fused(%0, %1) {region: (2) { s0 = add(i0, i1); s1 = exp(i0); yield s1 }} : f32[65536, 1]
      }
      """
    #expect(diagnostic(of: wide)?.code == "shape.size")
  }

  @Test func everyTruncationIsAnError() {
    let bytes = Array(IRTextTests.exampleText.utf8)
    // The last brace and the line end after it are the first place where the text is whole.
    for length in 0..<bytes.count - 2 {
      let found = diagnostic(of: Array(bytes[0..<length]))
      #expect(found != nil, "\(length) bytes were accepted")
      if length > 18, let found {
        let isCutToken = found.code == "ir.syntax" || found.code == "ir.type"
        let others = ["ir.operation", "ir.attribute", "ir.role", "ir.stage", "ir.undefined"]
        #expect(
          found.code == "ir.truncated" || isCutToken || others.contains(found.code),
          "\(length): \(found.code) \(found.message)")
      }
    }
    #expect(diagnostic(of: Array(bytes[0..<60]))?.code == "ir.truncated")
  }

  /// A text made of every operation's samples, as food for mutations.
  private static func corpus() throws -> [[UInt8]] {
    var texts: [[UInt8]] = []
    for seed in 0..<6 {
      let graph = try RandomGraph.make(seed: UInt64(seed), RandomGraphOptions(size: 10))
      texts.append(Array(GraphPrinter.text(graph).utf8))
    }
    for type in OperatorSet.standard.all { texts += try sampleTexts(type) }
    return texts
  }

  private static func sampleTexts<T: Operation>(_ type: T.Type) throws -> [[UInt8]] {
    var texts: [[UInt8]] = []
    for sample in T.samples.prefix(3) {
      let builder = GraphBuilder(name: T.mnemonic)
      var operands: [ValueID] = []
      for (index, type) in sample.operands.enumerated() {
        operands.append(try builder.input(.argument("\(index)"), type))
      }
      _ = try builder.add(sample.operation, operands)
      texts.append(Array(GraphPrinter.text(builder.finish()).utf8))
    }
    return texts
  }

  /// Numbers that are likely to overflow something.
  private static let numbers = [
    "0", "-1", "1", "2147483647", "2147483648", "-2147483648", "4294967296", "9223372036854775807",
    "-9223372036854775808", "65536", "nan", "1e308",
  ]

  private static func mutated(_ text: [UInt8], _ random: inout PhiloxSequence) -> [UInt8] {
    var bytes = text
    for _ in 0...random.nextInt(below: 3) {
      guard !bytes.isEmpty else { return bytes }
      let place = random.nextInt(below: bytes.count)
      switch random.nextInt(below: 7) {
      case 0: bytes[place] = UInt8(random.nextInt(below: 256))
      case 1: bytes.remove(at: place)
      case 2: bytes.insert(bytes[random.nextInt(below: bytes.count)], at: place)
      case 3: bytes.removeSubrange(place..<min(bytes.count, place + random.nextInt(below: 40)))
      case 4:
        let other = random.nextInt(below: bytes.count)
        bytes.insert(
          contentsOf: Array(bytes[other..<min(bytes.count, other + random.nextInt(below: 40))]),
          at: place)
      default: replaceNumber(in: &bytes, near: place, &random)
      }
    }
    return bytes
  }

  /// Replaces the first run of digits after `place` with an awkward number: most other mutations only break syntax.
  private static func replaceNumber(
    in bytes: inout [UInt8], near place: Int, _ random: inout PhiloxSequence
  ) {
    func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
    guard let first = bytes[place...].firstIndex(where: isDigit) else { return }
    let end = bytes[first...].firstIndex { !isDigit($0) } ?? bytes.count
    let number = numbers[random.nextInt(below: numbers.count)]
    bytes.replaceSubrange(first..<end, with: Array(number.utf8))
  }

  @Test func mutationsNeverTrap() throws {
    let corpus = try Self.corpus()
    var random = PhiloxSequence(seed: 2024, stream: 1)
    var accepted = 0
    for round in 0..<6000 {
      let bytes = Self.mutated(corpus[round % corpus.count], &random)
      let source = SourceText(name: "fuzz.ir", bytes: bytes)
      do {
        let graphs = try GraphParser.parse(source, operations: OperatorSet.standard)
        accepted += 1
        // What was accepted must be a graph like any other.
        let text = GraphPrinter.text(graphs)
        let back = try GraphParser.parse(
          SourceText(name: "back.ir", text), operations: OperatorSet.standard)
        #expect(back == graphs, "\(text)")
        for graph in graphs {
          for node in graph.nodes.elements {
            _ = node.operation.cost(graph.types(of: node.operands), graph.types(of: node.results))
          }
          _ = DotPrinter.text(graph)
        }
      } catch {
        // Rendering must not trap either.
        _ = DiagnosticRenderer(source).render(error)
      }
    }
    #expect(accepted > 50, "mutations should sometimes leave a valid text")
    #expect(accepted < 5000, "mutations should mostly break the text")
  }
}
