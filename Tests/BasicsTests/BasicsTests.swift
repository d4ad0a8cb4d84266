// Identifiers, source positions, the rendering of diagnostics, suggestions, random sequences, the clock.

import Testing

@testable import Basics

@Suite struct SourceTests {
  @Test func positionsCountLinesAndCharacters() {
    let source = SourceText(name: "a.gan", "let ä = 1\r\n\nnetwork")
    #expect(source.lineCount == 3)
    #expect(source.position(of: 0) == LineColumn(line: 1, column: 1))
    // "ä" is two bytes but one column.
    #expect(source.position(of: 7) == LineColumn(line: 1, column: 7))
    #expect(source.position(of: 12) == LineColumn(line: 2, column: 1))
    #expect(source.position(of: 13) == LineColumn(line: 3, column: 1))
    #expect(source.position(of: 10_000) == LineColumn(line: 3, column: 8))
    #expect(source.line(1) == "let ä = 1")
    #expect(source.line(2) == "")
    #expect(source.line(9) == "")
  }

  /// Columns of very long lines are bytes where characters would take too long to count.
  @Test func positionsOnLongLines() {
    let short = SourceText(name: "a.gan", "\n" + String(repeating: "ä", count: 1000) + "b")
    #expect(short.position(of: 2001) == LineColumn(line: 2, column: 1001))
    let long = SourceText(name: "a.gan", "\n" + String(repeating: "ä", count: 5000) + "b")
    #expect(long.position(of: 10_001) == LineColumn(line: 2, column: 10_001))
  }

  @Test func diagnosticsShowTheLineWithACaret() {
    let source = SourceText(name: "a.gan", "let a = 1\nlet b = dens(a)\n")
    let diagnostic = Diagnostic(
      "name.unknown", "there is no function dens", at: SourceRange(18, 22),
      help: "did you mean dense?")
    let text = DiagnosticRenderer(source).render(diagnostic)
    let expected = """
      a.gan:2:9: error: there is no function dens [name.unknown]
        | let b = dens(a)
        |         ^^^^
        help: did you mean dense?

      """
    #expect(text == expected)
  }

  @Test func rangesBeyondTheTextDoNotTrap() {
    let source = SourceText(name: "a.gan", "x")
    for range in [SourceRange(0, 100), SourceRange(50, 60), SourceRange(-3, -1), SourceRange(1, 1)]
    {
      let diagnostic = Diagnostic("a.b", "m", at: range)
      #expect(DiagnosticRenderer(source).render(diagnostic).contains("a.gan:1:"))
    }
    let long = SourceText(name: "b", String(repeating: "y", count: 5000))
    let text = DiagnosticRenderer(long).render(Diagnostic("a.b", "m", at: SourceRange(2500, 2510)))
    #expect(text.contains("^^^^^^^^^^"))
    #expect(text.count < 1000)
  }
}

@Suite struct SuggestionTests {
  @Test func nearNamesAreFound() {
    #expect(nearestName(to: "leakyRelu", in: ["relu", "leakyReLU", "elu"]) == "leakyReLU")
    #expect(nearestName(to: "dens", in: ["dropout", "dense"]) == "dense")
    #expect(nearestName(to: "convolution", in: ["dense", "relu"]) == nil)
    #expect(nearestName(to: "q", in: ["g", "d", "qr"]) == nil)
    #expect(nearestName(to: "Q", in: ["g", "q"]) == "q")
    #expect(editDistance("ab", "ba") == 1)
    #expect(editDistance("", "abc") == 3)
  }
}

@Suite struct IdentifierTests {
  @Test func bitSetsHoldWhatIsInserted() {
    var set = BitSet()
    let first = set.insert(200)
    let second = set.insert(200)
    #expect(first && !second)
    #expect(set.contains(200) && !set.contains(199) && !set.contains(10_000))
    set.remove(200)
    #expect(!set.contains(200))
  }

  @Test func tablesAreIndexedByTheirIdentifiers() {
    enum Tag {}
    var table = Table<Tag, String>()
    let first = table.append("a")
    let second = table.append("b")
    table[first] += "c"
    #expect(table[first] == "ac" && table[second] == "b" && table.ids == [first, second])
  }
}

@Suite struct RandomTests {
  @Test func philoxGivesTheKnownAnswers() {
    let zero = Philox.block(seed: 0, step: 0, stream: 0, block: 0)
    #expect(zero == PhiloxBlock(x0: 0x6627_E8D5, x1: 0xE169_C58D, x2: 0xBC57_AC4C, x3: 0x9B00_DBD8))
    let ones = Philox.block(seed: .max, step: .max, stream: .max, block: .max)
    #expect(ones == PhiloxBlock(x0: 0x408F_276D, x1: 0x41C8_3B0E, x2: 0xA20B_C7C6, x3: 0x6D54_51FD))
  }

  @Test func boundedIntegersAreEven() {
    var random = PhiloxSequence(seed: 1, stream: 2)
    var counts = [Int](repeating: 0, count: 7)
    for _ in 0..<70_000 { counts[random.nextInt(below: 7)] += 1 }
    #expect(counts.allSatisfy { abs($0 - 10_000) < 500 })
  }

  @Test func stableHashIsStable() {
    var hash = StableHash()
    hash.combine("a")
    #expect(hash.value == 0x089B_E207_B544_F1E4)
    #expect(StableHash.stream("generator/z") == StableHash.stream("generator/z"))
    #expect(StableHash.stream("a") != StableHash.stream("b"))
  }
}

@Suite struct ClockTests {
  @Test func clockGoesForwardInBothUnits() {
    let before = monotonicNanoseconds()
    let seconds = monotonicSeconds()
    let after = monotonicNanoseconds()
    #expect(before > 0 && before <= after)
    // To a microsecond, because a double holds no more of a long time.
    #expect(seconds >= Double(before) * 1e-9 - 1e-6)
    #expect(seconds <= Double(after) * 1e-9 + 1e-6)
  }
}
