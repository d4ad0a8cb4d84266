import Basics
import Testing

@testable import GraphSyntax

@Suite struct DiagnosticTests {
  /// `code@line:column` of each diagnostic.
  func errors(_ text: String) -> [String] {
    let source = SourceText(name: "test.gan", text)
    return parse(source).diagnostics.map { diagnostic in
      let place = source.position(of: diagnostic.range?.start ?? 0)
      return "\(diagnostic.code)@\(place.line):\(place.column)"
    }
  }

  static let bad: [(text: String, expected: [String])] = [
    ("netwrok g(z: [n]) -> [n] { z }", ["syntax.unknownItem@1:1"]),
    ("update g minimizing a with b", ["syntax.misplaced@1:1"]),
    ("batch = 128", ["syntax.missingLet@1:1"]),
    ("model simple", ["syntax.expected@1:7"]),
    ("model \"a\"\nmodel \"b\"", ["syntax.duplicateModel@2:1"]),
    ("model \"a", ["syntax.unterminatedString@1:7"]),
    ("/* open", ["syntax.unterminatedComment@1:1"]),
    ("let a = 1\n# note", ["syntax.comment@2:1"]),
    ("let a 3", ["syntax.expected@1:7"]),
    ("let a: 3 = 3", ["syntax.expected@1:8"]),
    ("let a: i32[] = 3", ["syntax.expected@1:6"]),
    ("let a == 3", ["syntax.expected@1:7"]),
    ("let a =\nlet b = 2", ["syntax.expected@1:8"]),
    ("let a = 3 4", ["syntax.expected@1:11"]),
    ("let (a, b) = 3", ["syntax.pattern@1:5"]),
    ("let 3 = a", ["syntax.expected@1:5"]),
    ("let true = 1", ["syntax.reserved@1:5"]),
    ("let a = _", ["syntax.wildcard@1:9"]),
    ("let a = (1, 2\nlet b = 3", ["syntax.expected@1:14"]),
    ("let a = 1)", ["syntax.expected@1:10"]),
    ("let a = ()", ["syntax.expected@1:10"]),
    ("let a = f(1 2)", ["syntax.expected@1:13"]),
    ("let a = f(x: 1, 2)", ["syntax.argumentOrder@1:17"]),
    ("let a = f(x: 1, x: 2)", ["syntax.duplicateLabel@1:17"]),
    ("let a = f(x = 1)", ["syntax.label@1:13"]),
    ("let a = 1 < 2 < 3", ["syntax.comparisonChain@1:15"]),
    ("let a = 2(3)", ["syntax.callee@1:9"]),
    ("let a = 2 .b", ["syntax.member@1:9"]),
    ("let a = (b + c).d", ["syntax.member@1:10"]),
    ("let a = b[0]", ["syntax.subscript@1:10"]),
    ("let a = .5", ["syntax.expected@1:9"]),
    ("let a = 5.", ["syntax.number@1:9"]),
    ("let a = 1e999", ["syntax.numberRange@1:9"]),
    ("let a = 1e-999", ["syntax.numberRange@1:9"]),
    ("let a = 9223372036854775808", ["syntax.numberRange@1:9"]),
    ("let a = \"\\q\"", ["syntax.escape@1:10"]),
    ("let a = x |> tanh", ["syntax.pipe@1:14"]),
    ("let a = x |> f() + 1", ["syntax.pipe@1:18"]),
    ("let a = x |> 3", ["syntax.expected@1:14"]),
    ("let a = x |>", ["syntax.expected@1:13"]),
    ("let a = 1 − 2", ["syntax.character@1:11"]),
    ("let a = 'text'", ["syntax.character@1:9"]),
    ("let a = b.", ["syntax.expected@1:11"]),
    ("data x [3] from \"a\"", ["syntax.expected@1:8"]),
    ("data x: f32 from \"a\"", ["syntax.expected@1:13"]),
    ("data x: [3] in 0..1 from \"a\"", ["syntax.expected@1:17"]),
    ("data x: [3] form \"a\"", ["syntax.expected@1:13"]),
    ("data x: [3] from a-b", ["syntax.expected@1:19"]),
    ("data x: [3] from \"a\" in 0...1", ["syntax.expected@1:22"]),
    ("data x: [3] from \"a\", sequential", ["syntax.expected@1:23"]),
    ("data x: [3]\nfrom \"a\"", ["syntax.expected@2:1"]),
    ("network g(z) -> [n] { z }", ["syntax.expected@1:12"]),
    ("network g(z: [n]) { z }", ["syntax.expected@1:19"]),
    ("network g(z: [n]) -> [n] { let a = z }", ["syntax.missingResult@1:38"]),
    ("network g(z: [n]) -> [n] {\n z\n z\n}", ["syntax.unusedValue@2:2"]),
    ("network g(z: [n]) -> [n] {\n update a minimizing b with c\n z }", ["syntax.misplaced@2:2"]),
    (
      "network g(z: [n]) -> [n] {\n z\nlet a = 1",
      ["syntax.unusedValue@2:2", "syntax.unclosedBody@3:10"]
    ),
    ("block b(x: [n]) { x }", ["syntax.blockType@1:10"]),
    ("block b(x) -> [n] { x }", ["syntax.blockType@1:12"]),
    ("train { }", ["syntax.expected@1:7"]),
    ("train(steps: 1) {\n z\n}", ["syntax.unusedValue@2:2"]),
    ("train(steps: 1) {\n sample\n}", ["syntax.unusedValue@2:2"]),
    ("train(steps: 1) {\n updte g minimizing a with b\n}", ["syntax.unknownStatement@2:2"]),
    ("train(steps: 1) {\n update g minimising a with b\n}", ["syntax.expected@2:11"]),
    ("train(steps: 1) {\n update g maximizing a with b\n}", ["syntax.expected@2:11"]),
    ("train(steps: 1) {\n update g minimizing a\n with b\n}", ["syntax.expected@3:2"]),
    ("train(steps: 1) {\n update { }\n}", ["syntax.expected@2:11"]),
    ("train(steps: 1) {\n update { update g minimizing a with b }\n}", ["syntax.expected@2:11"]),
    ("train(steps: 1) {\n repeat { }\n}", ["syntax.expected@2:9"]),
    ("train(steps: 1) {\n average g smooth decay 1\n}", ["syntax.expected@2:12"]),
    ("train(steps: 1) {\n average g as s decay: 1\n}", ["syntax.expected@2:22"]),
    ("train(steps: 1) {\n report mean(x)\n}", ["syntax.expected@2:13"]),
    ("train(steps: 1) {\n every 3 step { sample }\n}", ["syntax.expected@2:10"]),
    ("train(steps: 1) {\n every 3 { sample }\n}", ["syntax.expected@2:10"]),
    ("train(steps: 1) {\n for i in 3 { }\n}", ["syntax.unknownStatement@2:2"]),
    ("train(steps: 1) {\n let x = f(1\n report x\n}", ["syntax.expected@2:13"]),
    ("train(steps: 1) {\n let x = 1\nsample { x }", ["syntax.unclosedBody@2:11"]),
    ("network g(z: [n]) -> [n] { return z }", ["syntax.unknownStatement@1:28"]),
    ("}", ["syntax.unknownItem@1:1"]),
    ("let a\u{0} = 1", ["syntax.encoding@1:6"]),
  ]

  @Test(arguments: bad) func place(_ text: String, _ expected: [String]) {
    #expect(errors(text) == expected, "\(text)")
  }

  @Test func helps() {
    func help(_ text: String) -> String { parseText(text).diagnostics.first?.help ?? "" }
    #expect(help("netwrok g(z: [n]) -> [n] { z }") == "did you mean network?")
    #expect(help("let a = x |> tanh") == "write `tanh()`")
    #expect(help("batch = 3").contains("let batch"))
    #expect(help("let a = f(x = 1)").contains("x: "))
    #expect(help("# c").contains("//"))
    #expect(help("train(steps: 1) {\n reprot x\n}") == "did you mean report?")
    #expect(help("var x = 1") == "values are named with `let NAME = …`")
    #expect(help("def f(x): return x").contains("network"))
    #expect(help("block b(x) {\n f\n (x)\n}").contains("does not continue"))
    #expect(help("block b(x) {\n x\n % 2\n}").contains("does not continue"))
  }

  @Test func independentErrorsAreAllReported() {
    let text = """
      netwrok g(z: [n]) -> [n] {
        let a = z +
        let b = f(1, 2
        let c = 'x'
        a b
        z |> tanh
      }
      let d =
      train(steps: 1) {
        update g minimizing
        repeat 2 {
          report
          updat g minimizing a with b
        }
        every 2 steps { sampel }
      }
      let e = 1 $ 2
      blok b(x) { x }
      """
    #expect(
      errors(text) == [
        "syntax.unknownItem@1:1", "syntax.expected@2:14", "syntax.expected@3:17",
        "syntax.character@4:11", "syntax.unknownStatement@5:3", "syntax.pipe@6:8",
        "syntax.expected@8:8",
        "syntax.expected@10:22", "syntax.unusedValue@12:5", "syntax.unknownStatement@13:5",
        "syntax.unusedValue@15:19", "syntax.character@17:11", "syntax.unknownItem@18:1",
      ])
  }

  @Test func whatFollowsAnErrorIsKept() {
    let text = """
      let a = (1
      let b = 2
      network g(z [n]) -> [n] {
        z
      }
      block c(x) {
        let d = ]
        let e = 3
        e
      }
      train(steps: 2) { update }
      sample { c(1) }
      """
    let result = parseText(text)
    #expect(
      errors(text) == [
        "syntax.expected@1:11", "syntax.expected@3:13", "syntax.expected@7:11",
        "syntax.unusedValue@11:19",
      ])
    let source = SourceText(name: "t", text)
    let dump = dumpSyntax(result.file, source: source, ranges: false)
    #expect(!dump.contains("let a"))
    #expect(dump.contains("let b"))
    #expect(!dump.contains("network g"))
    #expect(dump.contains("block c"))
    #expect(dump.contains("let e"))
    #expect(dump.contains("sample"))
  }

  @Test func limits() {
    #expect(errors(String(repeating: "$ \n", count: 100)).count == 51)
    #expect(errors(String(repeating: "$ \n", count: 100)).last?.hasPrefix("limit.errors@") == true)
    #expect(errors(String(repeating: "let a = \n", count: 50)).count == 50)
    #expect(errors(String(repeating: "let a = \n", count: 51)).count == 51)
    let large = [UInt8](repeating: 0x20, count: Limits.fileSize + 1)
    #expect(
      parse(SourceText(name: "t", bytes: large)).diagnostics.map(\.code) == ["limit.fileSize"])
  }

  @Test func deepNestingIsADiagnostic() {
    func nested(_ open: String, _ inner: String, _ close: String, _ count: Int) -> String {
      String(repeating: open, count: count) + inner + String(repeating: close, count: count)
    }
    for (open, inner, close) in [
      ("(", "1", ")"), ("[", "", "]"), ("f(", "1", ")"), ("-", "1", ""), ("f(x: -[", "1", "])"),
      ("1 + (", "1", ")"), ("(x |> f(", "1", "))"), ("", "1", " + 1"), ("1 * ", "1", ""),
      ("", "a", ".b"), ("", "1", " + 1 * 2 - 3"), ("(1, ", "2", ")"),
    ] {
      for count in [300, 5_000] {
        let codes = errors("let a = " + nested(open, inner, close, count) + "\nlet b = $")
        #expect(codes.count == 2, "\(open) \(close) \(count)")
        #expect(codes.first?.hasPrefix("limit.nesting@1:") == true, "\(open) \(close) \(count)")
        #expect(codes.last == "syntax.character@2:9")
      }
      #expect(errors("let a = " + nested(open, inner, close, 60)).isEmpty, "\(open) \(close)")
    }
    let bodies = "train(steps: 1) {\n" + nested("repeat 2 {", "", "}", 2_000) + "\n}\nlet b = $"
    #expect(errors(bodies).first?.hasPrefix("limit.nesting@2:") == true)
    #expect(errors(bodies).last == "syntax.character@4:9")
    // A long chain is not a deep one.
    #expect(errors("let a = x" + String(repeating: "\n|> f()", count: 5_000)).isEmpty)
  }

  @Test func expressionsAlone() {
    func code(_ text: String) -> String? {
      do {
        _ = try parseExpression(SourceText(name: "--set", text))
        return nil
      } catch { return error.code }
    }
    #expect(code("[1, 2]") == nil)
    #expect(code("1 2") == "syntax.expected")
    #expect(code("") == "syntax.expected")
    #expect(code("1 +") == "syntax.expected")
    #expect(code("1e999") == "syntax.numberRange")
  }

  @Test func messagesSayWhatWasExpectedAndFound() {
    let source = SourceText(name: "t.gan", "let a = f(1,\n  2\nlet b = 2\n")
    let text = DiagnosticRenderer(source).render(parse(source).diagnostics)
    #expect(
      text == """
        t.gan:2:4: error: expected `,` or `)`, found the end of the line [syntax.expected]
          |   2
          |    ^
        t.gan:1:10: note: `(` is opened here
          | let a = f(1,
          |          ^

        """)
  }
}
