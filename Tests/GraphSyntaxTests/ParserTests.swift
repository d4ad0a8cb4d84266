import Basics
import Testing

@testable import GraphSyntax

@Suite struct ParserTests {
  @Test func examplesParse() throws {
    for text in Examples.all {
      #expect(parseText(text).diagnostics.isEmpty)
    }
    for (name, text) in try Examples.graphs() {
      #expect(parseText(text).diagnostics.isEmpty, "\(name)")
    }
  }

  @Test func simpleExample() {
    let file = parseText(Examples.simple).file
    #expect(file.items.count == 8)
    guard case .network(let generator) = file.items[4],
      case .train(let train) = file.items[6], case .data(let data) = file.items[3]
    else {
      Issue.record("the items are not what they should be")
      return
    }
    #expect(generator.name.text == "generator")
    guard case .pipe(let head, let stages)? = generator.body.result?.kind else {
      Issue.record("no pipe")
      return
    }
    #expect(shape(head) == "z")
    #expect(stages.count == 14)
    #expect(stages.map(\.startsLine).filter { $0 }.count == 5)
    #expect(data.bounds.map { shape($0.low) } == "(-1)")
    #expect(train.body.statements.count == 7)
    #expect(train.arguments.first?.label?.text == "epochs")
    #expect(file.comments.count == 1)
  }

  @Test func treeOfEverything() {
    let expected = """
      file
        model "all"
        let batch
          32
        let rates
          list
            0.0001
            0.0002
        let flag
          true
        data images
          type
            name batch
            8
            8
            1
          in
            -
              1
            1
          from "synthetic"
          order:
            name replacement
        data labels
          type i32
            name batch
          from images.labels
        data other
          type f32
            name batch
          from "x.npy"
          order:
            name sequential
          with:
            name images
        optimizer shared
          call adam
            /
              0.001
              +
                1
                %
                  name step
                  2
            beta1:
              0.5
        block conv
          argument x
          argument filters
          argument k
            3
          body
            let y
              |>
                name x
                call conv2D
                  name filters
                  name k
                  bias:
                    false
            result
              |>
                name y
                call batchNorm
                call relu
        network g
          argument z
            type
              name n
              100
          argument labels
            type i32
              name n
          results
            type
              name n
              1
            type f32
              name n
              10
          body
            let (a, _)
              call split
                name z
                2
                axis:
                  1
            let c
              -
                *
                  -
                    name a
                  +
                    name z
                    1
                member scale
                  name images
            result
              tuple
                call dense
                  name c
                  1
                |>
                  name z
                  call dense
                    10
        network h
          argument x
            type
          result
            type
          body
            result
              name x
        train
          steps:
            100
          body
            repeat
              *
                2
                1
              body
                let l
                  call mean
                    call square
                      call g
                        call normal
                          list
                            name batch
                            100
                update
                  minimize for g, h
                    name l
                    name shared
            state last
              type f32
                name batch
                1
              call zeros
                list
                  name batch
                  1
            assign last
              <
                3
                4
            update together
              minimize for g
                name a
                call sgd
                  1
              minimize for h
                name b
                name shared
            average g as smooth
              0.999
            report l, m
            every steps
              10
              body
                do sample
                do sample final
                do checkpoint
            every epochs
              2
              body
                report l
        sample
          body
            result
              call g
                call normal
                  list
                    name count
                    100
        sample final
          count:
            16
          seed:
            1
          body
            result
              call smooth
                call normal
                  list
                    name count
                    100
        state history
          type f32
            50
            8
          call zeros
            list
              50
              8

      """
    #expect(tree(Examples.everything) == expected)
  }

  @Test func precedence() {
    #expect(shape("a + b * c - d % e / f") == "((a+(b*c))-((d%e)/f))")
    #expect(shape("-a * -b") == "((-a)*(-b))")
    #expect(shape("-a.b(1)") == "error")
    #expect(shape("-f(1).b") == "(-f(1).b)")
    #expect(shape("a - b - c") == "((a-b)-c)")
    #expect(shape("a + 1 < b * 2") == "((a+1)<(b*2))")
    #expect(shape("(a < b) == (c >= d)") == "((a<b)==(c>=d))")
    #expect(shape("a + b |> f() |> g(1, x: 2)") == "(a+b)|f()|g(1 x:2)")
    #expect(shape("(a |> f()) |> g()") == "a|f()|g()")
    #expect(shape("(a |> f()) + 1") == "(a|f()+1)")
    #expect(shape("- - 1") == "(-(-1))")
    #expect(shape("(1, [2, [], true], \"x\\n\\\"\",)") == "<1 [2 [] true] 'x\n\"'>")
    #expect(shape("gradient(of: sum(f(x)), wrt: x)") == "gradient(of:sum(f(x)) wrt:x)")
    #expect(shape("1_000") == "1000")
    #expect(shape("9223372036854775807") == "9223372036854775807")
  }

  @Test func continuation() {
    func result(_ body: String) -> String {
      let parsed = parseText("block b(x) {\n\(body)\n}")
      guard parsed.diagnostics.isEmpty, case .block(let block)? = parsed.file.items.first,
        let result = block.body.result
      else { return parsed.diagnostics.map(\.code).joined(separator: " ") }
      let values = block.body.statements.map { statement in
        if case .let(let value) = statement { return shape(value.value) }
        return "?"
      }
      return (values + [shape(result)]).joined(separator: "; ")
    }
    #expect(result("x\n|> f()\n  |> g()") == "x|f()|g()")
    #expect(result("x |>\n f() |>\n g()") == "x|f()|g()")
    #expect(result("x\n* 2\n/ 3\n+ 4\n- 5") == "((((x*2)/3)+4)-5)")
    #expect(result("x\n\n// between\n\n + 4") == "(x+4)")
    #expect(result("let a = x\n-a") == "x; (-a)")
    #expect(result("let a = x\n(a, a)") == "x; <a a>")
    #expect(result("let a = x\n[a]") == "x; [a]")
    #expect(result("let a = x\n- a") == "syntax.missingResult")
    #expect(result("let a = f(\nx\n(1)\n)\na") == "f(x(1)); a")
    #expect(result("let a = [\n1,\n-2\n]; a") == "[1 (-2)]; a")
    #expect(result("let a =\n  x +\n 1\na") == "(x+1); a")
    #expect(result("x\n% 2") == "syntax.expected")
    #expect(result("x\n< 2") == "syntax.expected")
    #expect(result("f\n(x)") == "syntax.unusedValue")
    #expect(result("let a = 1; let b = 2; a") == "1; 2; a")
  }

  @Test func carriageReturns() {
    for text in Examples.all {
      #expect(
        tree(
          text.split(separator: "\n", omittingEmptySubsequences: false)
            .joined(separator: "\r\n")) == tree(text))
    }
  }

  @Test func wordsAreNamesWhereTheyCanBe() {
    let text = """
      let data = 1
      let steps = 2
      block sample(update, report, state = 3) {
        let repeat = update + report * state
        let sample = average(every, model: network)
        sample
      }
      """
    #expect(parseText("let x = 1\n" + text.dropFirst("let data = 1\n".count)).diagnostics.isEmpty)
    #expect(parseText(text).diagnostics.isEmpty)
  }

  @Test func everyNodeKnowsItsPlace() {
    let source = SourceText(name: "t", "let a = (1 + bc) * f(x: 2)\n")
    let file = parse(source).file
    guard case .let(let item)? = file.items.first, case .name(let name) = item.pattern,
      case .binary(_, let left, let right, let symbol) = item.value.kind,
      case .call(let call) = right.kind
    else {
      Issue.record("not parsed")
      return
    }
    #expect(source.text(item.range) == "let a = (1 + bc) * f(x: 2)")
    #expect(source.text(name.range) == "a")
    #expect(source.text(item.value.range) == "(1 + bc) * f(x: 2)")
    #expect(source.text(left.range) == "1 + bc")
    #expect(source.text(symbol) == "*")
    #expect(source.text(call.function.range) == "f")
    #expect(source.text(call.arguments[0].range) == "x: 2")
    #expect(dumpSyntax(file, source: source).contains("+  1:10-1:16\n"))
  }

  @Test func dumpCountsColumnsAsDiagnosticsDo() {
    let long = String(repeating: "é + \"日本\" + ", count: 50).replacing("é", with: "\"é\"")
    let source = SourceText(name: "t", "let a = \(long)1\nlet b = 2\n")
    let result = parse(source)
    #expect(result.diagnostics.isEmpty)
    let end = source.position(of: result.file.items[0].range.end)
    #expect(end.line == 1)
    #expect(dumpSyntax(result.file, source: source).contains("let a  1:1-1:\(end.column)\n"))
  }
}
