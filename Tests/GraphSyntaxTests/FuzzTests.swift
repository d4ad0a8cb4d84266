// Broken programs, made by seeded damage to good ones: parsing never traps or hangs, its places lie in the
// text, and what still parses is formatted stably.

import Basics
import Testing

@testable import GraphSyntax

@Suite struct FuzzTests {
  let programs: [[UInt8]]

  init() throws {
    let texts = Examples.all + (try Examples.graphs().prefix(3).map(\.text))
    programs = texts.map { Array($0.utf8) }
  }

  /// Parses, looks at the result, and formats what has no errors. Returns whether it had none.
  func survive(_ bytes: [UInt8]) -> Bool {
    let source = SourceText(name: "fuzz.gan", bytes: bytes)
    let result = parse(source)
    for diagnostic in result.diagnostics {
      guard let range = diagnostic.range, range.start >= 0, Int(range.end) <= bytes.count + 2,
        diagnostic.code.contains("."), !diagnostic.message.isEmpty
      else {
        Issue.record("\(diagnostic) in \(String(decoding: bytes, as: UTF8.self))")
        return false
      }
    }
    if result.hasErrors { return false }
    guard let once = try? format(source) else {
      Issue.record("not formatted: \(String(decoding: bytes, as: UTF8.self))")
      return true
    }
    let again = SourceText(name: "fuzz.gan", once)
    let twice = try? format(again)
    let isSame =
      dumpSyntax(parse(again).file, source: again, ranges: false)
      == dumpSyntax(result.file, source: source, ranges: false)
    if twice != once || !isSame {
      Issue.record("unstable: \(String(decoding: bytes, as: UTF8.self))\n---\n\(once)")
    }
    return true
  }

  @Test func bytes() {
    var random = PhiloxSequence(seed: 1, stream: 1)
    let likely = Array("(){}[]|>-+*/\n\";:,.=# \\let".utf8)
    var parsed = 0
    for round in 0..<1_200 {
      var bytes = programs[round % programs.count]
      for _ in 0...random.nextInt(below: 3) {
        let at = random.nextInt(below: bytes.count)
        let byte =
          random.nextInt(below: 3) > 0
          ? likely[random.nextInt(below: likely.count)] : UInt8(random.nextInt(below: 256))
        switch random.nextInt(below: 3) {
        case 0: bytes[at] = byte
        case 1: bytes.insert(byte, at: at)
        default: bytes.remove(at: at)
        }
      }
      if survive(bytes) { parsed += 1 }
    }
    #expect(parsed > 50)
  }

  @Test func truncations() {
    for program in programs.prefix(3) {
      for length in stride(from: 0, to: program.count, by: 5) {
        _ = survive(Array(program.prefix(length)))
        _ = survive(Array(program.suffix(length)))
      }
    }
  }

  @Test func tokens() {
    var random = PhiloxSequence(seed: 2, stream: 1)
    var parsed = 0
    for round in 0..<900 {
      let bytes = programs[round % programs.count]
      var lexer = Lexer(bytes)
      let tokens = lexer.run().tokens.dropLast()
      var pieces = tokens.map { token in
        (token.isFirstOnLine ? "\n" : " ")
          + String(decoding: bytes[Int(token.range.start)..<Int(token.range.end)], as: UTF8.self)
      }
      for _ in 0...random.nextInt(below: 4) {
        let a = random.nextInt(below: pieces.count)
        let b = random.nextInt(below: pieces.count)
        switch random.nextInt(below: 4) {
        case 0: pieces.swapAt(a, b)
        case 1: pieces[a] = pieces[b]
        case 2: pieces.remove(at: a)
        default: pieces.insert(pieces[b], at: a)
        }
      }
      if survive(Array(pieces.joined().utf8)) { parsed += 1 }
    }
    #expect(parsed > 20)
  }

  @Test func soup() {
    var random = PhiloxSequence(seed: 3, stream: 1)
    let words = [
      "let", "network", "block", "train", "update", "repeat", "every", "sample", "(", ")", "[", "]",
      "{", "}", "|>", "-", "*", "=", ":", ",", ";", "\n", "1", "2.5", "x", "\"s\"", "minimizing",
      "with", "->", "...", "steps", "// c\n", "/* d */", "data", "from", "in", ".", "<",
    ]
    for _ in 0..<600 {
      var text = ""
      for _ in 0..<(5 + random.nextInt(below: 60)) {
        text += words[random.nextInt(below: words.count)] + " "
      }
      _ = survive(Array(text.utf8))
    }
    for _ in 0..<200 {
      let count = random.nextInt(below: 200)
      _ = survive((0..<count).map { _ in UInt8(random.nextInt(below: 256)) })
    }
  }
}
