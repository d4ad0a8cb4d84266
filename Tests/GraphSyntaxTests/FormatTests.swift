import Basics
import Testing

@testable import GraphSyntax

/// The formatted text, or the codes of what is wrong.
func formatted(_ text: String) -> String {
  do {
    return try format(SourceText(name: "test.gan", text))
  } catch {
    return "errors: " + error.all.map(\.code).joined(separator: " ")
  }
}

@Suite struct FormatTests {
  /// Formatting changes nothing the second time, keeps the tree and the comments.
  func check(_ text: String, _ name: String = "") {
    let once = formatted(text)
    #expect(!once.hasPrefix("errors"), "\(name)")
    #expect(formatted(once) == once, "\(name)")
    #expect(tree(once) == tree(text), "\(name)")
    #expect(commentWords(once) == commentWords(text), "\(name)")
  }

  @Test func examplesAreStable() throws {
    for text in Examples.all { check(text) }
    for (name, text) in try Examples.graphs() { check(text, name) }
  }

  @Test func layoutOfItems() {
    let text = """


      model   "m"


      let a=[1,2,3,];let b = ( 1+2 )*3 - (4 - 5) - (6*7)%2
      data x:f32[ a , 2 ]in -1 ... 1 from images . labels,order:sequential
      network g(z:[n])->([n,1],[n]){
      let (c,_)=f(z,k:1);


      let d=-(-c)+(-c)*(c|>tanh())

      (c,
      d)

      }
      train(steps:3){
      repeat 2{report a,b}
      update{g minimizing a with o
      h,i minimizing b with sgd( 1 )}
      every 2 steps{sample;sample s}
      every 2 epochs{
      checkpoint}
      }
      sample{ g(1) }
      """
    #expect(
      formatted(text) == """
        model "m"

        let a = [1, 2, 3]
        let b = (1 + 2) * 3 - (4 - 5) - 6 * 7 % 2
        data x: f32[a, 2] in -1...1 from images.labels, order: sequential
        network g(z: [n]) -> ([n, 1], [n]) {
          let (c, _) = f(z, k: 1)

          let d = --c + -c * (c |> tanh())

          (c, d)
        }
        train(steps: 3) {
          repeat 2 { report a, b }
          update {
            g minimizing a with o
            h, i minimizing b with sgd(1)
          }
          every 2 steps { sample; sample s }
          every 2 epochs {
            checkpoint
          }
        }
        sample { g(1) }

        """)
    check(text)
  }

  @Test func longLinesBreak() {
    let text = """
      block b(x) {
        let h = x |> dense(128, init: normal(0.02), name: "a long name for a layer") |> batchNorm() |> relu()
        let i = x |> f()
          |> g() |> dense(128, init: normal(0.02), name: "a long name for a layer") |> batchNorm() |> relu() |> tanh()
        let s = aVeryLongNameIndeed * anotherVeryLongNameIndeed + yetAnotherVeryLongNameIndeed / theLastName - 1
        let c = concatenateSomeValues([aVeryLongNameIndeed, anotherVeryLongNameIndeed], label: theLastVeryLongName, x: 1)
        h
      }
      """
    #expect(
      formatted(text) == """
        block b(x) {
          let h = x
            |> dense(128, init: normal(0.02), name: "a long name for a layer")
            |> batchNorm()
            |> relu()
          let i = x |> f()
            |> g() |> dense(128, init: normal(0.02), name: "a long name for a layer") |> batchNorm()
            |> relu() |> tanh()
          let s = aVeryLongNameIndeed * anotherVeryLongNameIndeed
            + yetAnotherVeryLongNameIndeed / theLastName
            - 1
          let c = concatenateSomeValues(
            [aVeryLongNameIndeed, anotherVeryLongNameIndeed],
            label: theLastVeryLongName,
            x: 1
          )
          h
        }

        """)
    check(text)
    for line in formatted(text).split(separator: "\n") { #expect(line.count <= 100) }
  }

  @Test func commentsStay() {
    let text = """
      /* head */ model "m" // tr

      // own



      // own 2
      let b = 2 /* why */ + // because
        4 // end
      network g( // open
        z: [n, 100], // noise
        // labels here
        labels: i32[n] /* l */
        // last
      ) -> [n]
      { // body
        // first

        z // head
          // own stage
          |> f(1, /* two */ 2) // tail
          /* three */ |> g() // result
        // end

      }
      train(steps: 1 /* one */) {
        let a = f( // x
          1)
        let /* name */ c = /* value */ - /* minus */ 1
        update g /* loss */ minimizing a with o // y
        /* multi
             line */
        report a /* b */, c
      }
      // eof
      """
    #expect(
      formatted(text) == """
        /* head */ model "m"  // tr

        // own

        // own 2
        let b = 2  /* why */ // because
          + 4  // end
        network g(  // open
          z: [n, 100],  // noise
          // labels here
          labels: i32[n]  /* l */
          // last
        ) -> [n] {  // body
          // first

          z  // head
            // own stage
            |> f(1, /* two */ 2)  // tail
            /* three */ |> g()  // result
          // end
        }
        train(steps: 1 /* one */) {
          let a = f(  // x
            1
          )
          let /* name */ c = /* value */ -/* minus */ 1
          update g minimizing /* loss */ a with o  // y
          /* multi
               line */
          report a, /* b */ c
        }
        // eof

        """)
    check(text)
    check("// only a comment")
    check("/* a */ /* b */ // c\n\n\n/* d */")
    check("let a = f(x, g + /* // */ // why */ /* not\n h, i)")
    check("let a = 1 < // less\n 2")
    check("let a = 1 % // rest\n 2 % /* more\n */ 3")
    #expect(formatted("") == "")
    #expect(formatted("\n\n") == "")
    #expect(formatted("let a = 1 < // less\n 2") == "let a = 1 < /* less */ 2\n")
    #expect(formatted("let a = 1\r\n// b  \r\n") == "let a = 1\n// b\n")
  }

  @Test func parenthesesOnlyWhereNeeded() {
    func canonical(_ text: String) -> String {
      String(formatted("let a = \(text)").dropFirst("let a = ".count).dropLast())
    }
    #expect(canonical("((a))") == "a")
    #expect(canonical("(a*b)+c") == "a * b + c")
    #expect(canonical("a*(b+c)") == "a * (b + c)")
    #expect(canonical("a-(b-c)") == "a - (b - c)")
    #expect(canonical("(a-b)-c") == "a - b - c")
    #expect(canonical("(a<b)==(c<d)") == "(a < b) == (c < d)")
    #expect(canonical("a+(b<c)") == "a + (b < c)")
    #expect(canonical("-(a+b)") == "-(a + b)")
    #expect(canonical("-(a.b)") == "-a.b")
    #expect(canonical("(a|>f())+1") == "(a |> f()) + 1")
    #expect(canonical("(a|>f())|>g()") == "a |> f() |> g()")
    #expect(canonical("(a+b)|>f((c|>g()))") == "a + b |> f(c |> g())")
    #expect(canonical("\"\\\"\\\\\\n\t\"") == "\"\\\"\\\\\\n\\t\"")
  }

  @Test func errorsAreNotFormatted() {
    #expect(formatted("let a = ") == "errors: syntax.expected")
  }

  @Test func deepTreesPrint() {
    for (open, close) in [
      ("(x |> f(", "))"), ("-(1 + ", ")"), ("f(x: [", "])"), ("1 - (2 * ", ")"),
    ] {
      let text =
        "let a = " + String(repeating: open, count: 60) + "1" + String(repeating: close, count: 60)
      check(text, open)
    }
    let chain = "let a = 1" + String(repeating: " + someLongerName", count: 150)
    check(chain)
    #expect(formatted(chain).split(separator: "\n").count == 151)
  }

  @Test func randomTreesSurvive() {
    var generator = ProgramGenerator(seed: 11)
    for _ in 0..<150 {
      let text = generator.program()
      check(text, text)
    }
  }
}

/// The words of all comments in order, whatever their delimiters.
func commentWords(_ text: String) -> [String] {
  parseText(text).file.comments.flatMap { comment in
    comment.text.split { " \n\t/*".contains($0) }.map(String.init)
  }
}

/// Random programs with comments and line ends at random places where they may stand.
struct ProgramGenerator {
  var random: PhiloxSequence
  var count = 0

  init(seed: UInt64) { random = PhiloxSequence(seed: seed, stream: 3) }

  mutating func pick<T>(_ choices: [T]) -> T { choices[random.nextInt(below: choices.count)] }

  /// Space between two tokens, now and then with a comment. `line` allows line ends.
  mutating func gap(line: Bool) -> String {
    count += 1
    switch random.nextInt(below: line ? 24 : 40) {
    case 0: return " /* c\(count) */ "
    case 1: return " /* d\(count)\n * e */ "
    case 2 where line: return " // f\(count) */ x /* y\n"
    case 3 where line: return "\n\n // g\(count)\n\n /* h */ "
    case 4 where line: return "\n"
    case 5 where line: return " // i\n // j\(count)\n"
    default: return " "
    }
  }

  mutating func expression(_ depth: Int, inBrackets: Bool) -> String {
    if depth == 0 {
      return pick(["x", "10", "2e-4", "someRatherLongName", "images.labels", "true", "\"text\""])
    }
    func inner(_ generator: inout ProgramGenerator) -> String {
      generator.expression(depth - 1, inBrackets: true)
    }
    func space(_ generator: inout ProgramGenerator) -> String { generator.gap(line: inBrackets) }
    switch random.nextInt(below: 8) {
    case 0:
      let symbol = pick(["+", "-", "*", "/", "%", "<", "=="])
      return "(\(inner(&self)))\(space(&self))\(symbol)\(gap(line: true))(\(inner(&self)))"
    case 1, 2:
      let symbol = pick(["+", "-", "*", "/"])
      // A line may also break before these.
      return expression(depth - 1, inBrackets: inBrackets) + gap(line: true) + symbol
        + gap(line: true) + "(\(inner(&self)))"
    case 3: return "-(\(gap(line: true))\(inner(&self)))"
    case 4:
      return "call(\(gap(line: true))\(inner(&self)),\(gap(line: true))label:"
        + "\(gap(line: true))\(inner(&self))\(gap(line: true)))"
    case 5: return "[\(inner(&self))\(gap(line: true)),\(inner(&self))\(gap(line: true))]"
    default:
      var text = expression(0, inBrackets: inBrackets)
      for _ in 0...random.nextInt(below: 5) {
        text += gap(line: true) + "|>" + gap(line: true) + "stage(\(inner(&self)))"
      }
      return "(" + text + ")"
    }
  }

  mutating func program() -> String {
    var text = ""
    for _ in 0..<3 {
      text += gap(line: true) + "let\(gap(line: false))a =\(gap(line: true))"
      text += expression(4, inBrackets: false) + gap(line: true) + "\n"
    }
    text += "network g(z: [n]\(gap(line: true)),\(gap(line: true))l: i32[n]\(gap(line: true)))"
    text +=
      " -> [n] {\(gap(line: true))let h = \(expression(3, inBrackets: false))\(gap(line: false));"
    text += gap(line: true) + "(" + expression(3, inBrackets: true) + ")" + gap(line: true) + "}\n"
    text += "train(steps: 1) {\(gap(line: true))every 2 steps {\(gap(line: true))sample;"
    text += "\(gap(line: false))checkpoint\(gap(line: true))}\n"
    text +=
      "update g minimizing \(expression(3, inBrackets: false)) with sgd(1)\(gap(line: true))\n"
    text += "update {\(gap(line: true))g minimizing a with o\(gap(line: false));\(gap(line: false))"
    text += "h, i minimizing b with p\(gap(line: true))}\n}" + gap(line: true)
    return text
  }
}
