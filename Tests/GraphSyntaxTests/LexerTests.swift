import Basics
import Testing

@testable import GraphSyntax

@Suite struct LexerTests {
  func kinds(_ text: String) -> [Token.Kind] {
    var lexer = Lexer(Array(text.utf8))
    return lexer.run().tokens.dropLast().map(\.kind)
  }

  func codes(_ text: String) -> [String] {
    var lexer = Lexer(Array(text.utf8))
    return lexer.run().diagnostics.map(\.code)
  }

  @Test func punctuationTakesTheLongestSpelling() {
    #expect(
      kinds("|> -> ... . == = != <= < >= > + - * / % , : ; ( ) [ ] { }") == [
        .pipe, .arrow, .rangeDots, .dot, .equal, .assign, .notEqual, .lessEqual, .less,
        .greaterEqual, .greater, .plus, .minus, .star, .slash, .percent, .comma, .colon, .semicolon,
        .leftParen, .rightParen, .leftBracket, .rightBracket, .leftBrace, .rightBrace,
      ])
  }

  @Test func numbers() {
    #expect(
      kinds("1 0.2 2e-4 1E+3 1_000 12e5") == [.integer, .float, .float, .float, .integer, .float])
    #expect(kinds("0...1") == [.integer, .rangeDots, .integer])
    #expect(kinds("-1.5...2.5") == [.minus, .float, .rangeDots, .float])
    for bad in ["1.", "1.x", "12abc", "0x10", "2e", "1e+"] {
      #expect(codes(bad) == ["syntax.number"], "\(bad)")
    }
    #expect(codes(String(repeating: "1", count: 401)) == ["limit.numeral"])
    #expect(codes(String(repeating: "1", count: 400)).isEmpty)
  }

  @Test func stringsEndOnTheirLine() {
    #expect(kinds("\"a\" \"\" \"\\\"\" \"\\\\\"") == [.string, .string, .string, .string])
    #expect(codes("\"abc\nlet x = 1") == ["syntax.unterminatedString"])
    #expect(codes("\"abc\\") == ["syntax.unterminatedString"])
    #expect(codes("\"abc\\\"") == ["syntax.unterminatedString"])
    #expect(codes("'abc'") == ["syntax.character"])
  }

  @Test func commentsNest() {
    var lexer = Lexer(Array("/* a /* b */ c */ x // d\r\n/**/".utf8))
    let result = lexer.run()
    #expect(result.tokens.map(\.kind) == [.identifier, .endOfFile])
    #expect(result.comments.map(\.text) == ["/* a /* b */ c */", "// d", "/**/"])
    #expect(result.comments.map(\.newlinesAfter) == [0, 1, 0])
    #expect(result.comments.map(\.newlinesBefore) == [0, 0, 1])
    #expect(codes("/* a /* b */") == ["syntax.unterminatedComment"])
    #expect(codes("/*/") == ["syntax.unterminatedComment"])
  }

  @Test func linesContinue() {
    func starts(_ text: String) -> [Bool] {
      var lexer = Lexer(Array(text.utf8))
      return lexer.run().tokens.dropLast().filter(\.isFirstOnLine).map(\.startsLine)
    }
    #expect(starts("a\n|> b\n* c\n/ d\n+ e\n- f") == [true, false, false, false, false, false])
    #expect(starts("a\r\n-f\n(g)\n[h]\n% i\n< j") == [true, true, true, true, true, true])
    // Comments and empty lines between do not matter; line ends in a comment do not count.
    #expect(starts("a\n\n// c\n/* d\n */ |> b") == [true, false])
    #expect(starts("a /* \n */ b") == [true])
    #expect(starts("a\n-\n b") == [true, false, true])
  }

  @Test func strangeCharacters() {
    #expect(codes("a − b") == ["syntax.character"])
    #expect(codes("日本語") == ["syntax.character"])
    #expect(codes("a \u{1}") == ["syntax.character"])
    #expect(codes("# python") == ["syntax.comment"])
    #expect(kinds("\u{FEFF}let") == [.identifier])
  }

  @Test func encoding() {
    func place(_ bytes: [UInt8]) -> Int32? { findEncodingError(bytes)?.range?.start }
    #expect(place(Array("aé€😀".utf8)) == nil)
    #expect(place([0x61, 0]) == 1)
    #expect(place([0x61, 0x80]) == 1)
    #expect(place([0xC0, 0x80]) == 0)
    #expect(place([0xE2, 0x82]) == 0)
    #expect(place([0xED, 0xA0, 0x80]) == 0)
    #expect(place([0xE0, 0x80, 0x80]) == 0)
    #expect(place([0xF4, 0x90, 0x80, 0x80]) == 0)
    #expect(place([0xF0, 0x9F, 0x98, 0x41]) == 0)
    #expect(findEncodingError([0xFF, 0xFE, 0x61, 0])?.help?.contains("UTF-16") == true)
    // The validator agrees with the standard library on random bytes.
    var random = PhiloxSequence(seed: 7, stream: 1)
    for _ in 0..<2_000 {
      let bytes = (0..<6).map { _ in UInt8(truncatingIfNeeded: random.nextWord() | 0x80) | 1 }
      let valid = String(validating: bytes, as: UTF8.self) != nil
      #expect((findEncodingError(bytes) == nil) == valid)
    }
  }
}
