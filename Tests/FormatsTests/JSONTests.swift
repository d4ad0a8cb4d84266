import Basics
import Formats
import TestSupport
import Testing

@Suite struct JSONTests {
  static func parse(_ text: String) throws -> JSONValue {
    try JSONValue.parse(text, name: "a file")
  }

  @Test func parsesAndWrites() throws {
    let text = #"{"b":[1,-2.5,1e+300,true,false,null],"a":"x\"\\\n\u0001é😀","":{},"e":[]}"#
    let value = try Self.parse(text)
    #expect(value.text() == text)
    #expect(value["b"]?.arrayValue?[0].intValue == 1)
    #expect(value["b"]?.arrayValue?[1] == .double(-2.5))
    #expect(value["a"]?.stringValue == "x\"\\\n\u{1}é😀")
    #expect(try Self.parse(value.text(indented: true)) == value)
    #expect(try Self.parse(" [ 1 , {\"a\" : 2 } ] ").text() == #"[1,{"a":2}]"#)
    let literal: JSONValue = ["z": 1, "a": [1.5, nil, true], "s": "t"]
    #expect(literal.text() == #"{"z":1,"a":[1.5,null,true],"s":"t"}"#)
    #expect(literal.text(indented: true).hasPrefix("{\n  \"z\": 1,\n  \"a\": [\n    1.5,\n"))
  }

  @Test func numbersAreExact() throws {
    for value in [Int.max, Int.min, 0, -1, 1 << 53 + 1] {
      #expect(try Self.parse(String(value)).intValue == value)
    }
    for value in [
      0.1, -0.0, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 1.0, 1e16, 1e-5, 1 / 3.0,
    ] {
      let back = try Self.parse(JSONValue.double(value).text())
      guard case .double(let double) = back else {
        Issue.record("\(value) came back as \(back)")
        continue
      }
      #expect(double.bitPattern == value.bitPattern)
    }
    #expect(try Self.parse("-0") == .double(-0.0))
    #expect(try Self.parse("9223372036854775808") == .double(0x1p63))
    #expect(try Self.parse("1E2") == .double(100))
    for value in [Double.nan, .infinity, -.infinity] {
      let back = try Self.parse(JSONValue.double(value).text())
      #expect(back.stringValue != nil)
      #expect(back.doubleValue?.isNaN == value.isNaN)
      if !value.isNaN { #expect(back.doubleValue == value) }
    }
  }

  @Test func escapes() throws {
    #expect(try Self.parse(#""\u00e9\ud83d\ude00\/\b\f\r\t""#).stringValue == "é😀/\u{8}\u{c}\r\t")
    let controls = String(String.UnicodeScalarView((0..<128).map { Unicode.Scalar(UInt8($0)) }))
    #expect(try Self.parse(JSONValue.string(controls).text()).stringValue == controls)
  }

  @Test func refusesWhatIsNotJSON() throws {
    let bad = [
      "", " ", "{", "}", "[", "]", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
      "{a:1}", "{1:1}", "'a'", "tru", "nul", "falsy", "True", "NaN", "Infinity", "01", "1.", ".5",
      "-", "+1", "1e", "1e+", "0x1", "--1", "1e999", "\"", "\"\\", "\"\\x\"", "\"\\u12\"",
      "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"a\nb\"", "1 1", "[]]",
      "{\"a\":1,\"a\":2}", "// c\n1", "\u{FEFF}1", "\"a\" \"b\"",
    ]
    for text in bad { expectFailure("a file", "not valid JSON") { _ = try Self.parse(text) } }
    expectFailure("at byte 7", "expected ':'", "found '1'") { _ = try Self.parse("{\"abc\" 1}") }
    expectFailure("at byte 1", "found the end") { _ = try Self.parse("[") }
    expectFailure("the key \"a\" occurs twice") { _ = try Self.parse("{\"a\":1,\"a\":2}") }
    for bytes in [[0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22]] {
      expectFailure("UTF-8") { _ = try JSONValue.parse(bytes.map { UInt8($0) }, name: "a file") }
    }
  }

  @Test func depthIsBounded() throws {
    let deep = String(repeating: "[", count: 100_000)
    expectFailure("nested more than 128") { _ = try Self.parse(deep) }
    let fine = String(repeating: "[", count: 128) + String(repeating: "]", count: 128)
    #expect(try Self.parse(fine).text() == fine)
  }

  @Test func neverTraps() throws {
    let text = #"{"b":[1,-2.5,1e+3,true,null],"a":"x\"\\\u0041\ud83d\ude00é","c":{"d":[[]]}}"#
    expectAllTruncationsFail(Array(text.utf8)) { _ = try JSONValue.parse($0, name: "a file") }
    try fuzz(Array(text.utf8), seed: 31, rounds: 5000) { bytes in
      let value = try JSONValue.parse(bytes, name: "a file")
      #expect(try Self.parse(value.text()) == value)
    }
  }
}
