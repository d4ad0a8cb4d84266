// The line of progress as a function of what is known and of the width; on a terminal of its own,
// that nothing wraps and what stays; without one, and as JSON.

import CommandSupport
import Formats
import Foundation
import TestSupport
import Testing
import Training

@testable import Commands

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

@Suite struct ProgressTests {
  private func line(
    losses: [(String, Double, Double)] = [("dLoss", 0.5, 0.5512), ("gLoss", 12.345678, 11)]
  ) -> ProgressLine {
    ProgressLine(
      epoch: (3, 200), step: 1407, totalSteps: 93_800,
      losses: losses.map { .init(name: $0.0, value: $0.1, mean: $0.2) }, rate: "12.3k images/s",
      elapsed: 62, left: 3723, alarm: nil)
  }

  @Test func whatIsLeftOutFirst() {
    let whole =
      "epoch 3/200   1%  ##########  " + " 1407/93800  dLoss 0.5000 (0.5512)  gLoss 12.35 (11.00)"
      + "  12.3k images/s  1:02, 1:02:03 left"
    var bar = line()
    bar.step = 93_800 / 3
    #expect(
      bar.text(width: whole.count)
        == whole.replacingOccurrences(of: "##########", with: "###.......")
        .replacingOccurrences(of: " 1%", with: "33%")
        .replacingOccurrences(of: " 1407", with: "31266"))
    let expected = [
      "epoch 3/200   1%   1407/93800  dLoss 0.5000 (0.5512)  gLoss 12.35 (11.00)"
        + "  12.3k images/s  1:02, 1:02:03 left",
      "epoch 3/200   1407/93800  dLoss 0.5000 (0.5512)  gLoss 12.35 (11.00)"
        + "  12.3k images/s  1:02, 1:02:03 left",
      "epoch 3/200   1407/93800  dLoss 0.5000 (0.5512)  gLoss 12.35 (11.00)  1:02, 1:02:03 left",
      "epoch 3/200   1407/93800  dLoss 0.5512  gLoss 11.00  1:02, 1:02:03 left",
      "epoch 3/200   1407/93800  dLoss 0.5512  gLoss 11.00  1:02:03 left",
      " 1407/93800  dLoss 0.5512  gLoss 11.00  1:02:03 left",
      " 1407/93800  dLoss 0.5512  1:02:03 left", " 1407/93800  dLoss 0.5512", " 1407/93800",
      " 1407/9380",
    ]
    for (index, text) in expected.enumerated() {
      #expect(line().text(width: text.count) == text, "\(index)")
    }
  }

  @Test func noLineIsWiderThanItsTerminal() {
    let wide = line(losses: [("判別器", 0.1, 0.2), ("générateur", -1e-7, .nan), ("c", 1e9, 1e-5)])
    var alarmed = wide
    alarmed.alarm = "discriminator wins"
    for width in 0...260 {
      for line in [line(), wide, alarmed, line(losses: [])] {
        let text = line.text(width: width)
        #expect(TextColumns.count(text) <= width, "\(text)")
        let styled = line.text(
          width: width, style: .init(usesColour: true, usesUnicode: true))
        let plain = styled.replacing(#/\u{1B}\[[0-9;]*m/#, with: "")
        #expect(TextColumns.count(plain) == TextColumns.count(text), "\(plain)")
      }
    }
    #expect(alarmed.text(width: 120).hasSuffix("! discriminator wins"))
  }

  @Test func theAlarmIsTheLastOneThatStands() {
    func event(_ kind: HealthEvent.Kind, _ subject: String, isOver: Bool = false) -> HealthEvent {
      var event = HealthEvent(kind, step: 1, message: "m")
      event.subject = subject
      event.isOver = isOver
      return event
    }
    let events = [
      event(.collapse, ""), event(.flatLoss, "a"), event(.flatLoss, "b"),
      event(.discriminatorWins, "d"), event(.flatLoss, "a", isOver: true),
    ]
    var alarms = ProgressAlarms()
    #expect(alarms.last == nil)
    for event in events { alarms.note(event) }
    // A run that goes on has those of its log.
    var kept = ProgressAlarms()
    for line in events.map(\.logLine) + [["step": 1, "epoch": 0]] { kept.recall(line) }
    for next in [
      (event(.collapse, "other", isOver: true), "discriminator wins"),
      (event(.discriminatorWins, "d", isOver: true), "flat loss"),
      (event(.flatLoss, "b", isOver: true), "collapse"), (event(.collapse, "", isOver: true), nil),
    ] as [(HealthEvent, String?)] {
      alarms.note(next.0)
      kept.note(next.0)
      #expect(alarms.last == next.1 && kept.last == next.1)
    }
  }

  @Test func columnsOfCharacters() {
    #expect(TextColumns.count("abc") == 3)
    #expect(TextColumns.count("判别器") == 6)
    #expect(TextColumns.count("e\u{301}") == 1)
    #expect(TextColumns.prefix("判别器", 5) == "判别")
    #expect(TextColumns.prefix("abc", 0) == "")
  }

  @Test(arguments: [
    (0.5, "0.5000"), (12.345, "12.35"), (-3.14159, "-3.142"), (999.96, "1000.0"), (1234.5, "1235"),
    (0, "0.0000"), (0.00012, "0.0001"), (1e-7, "1e-07"), (.infinity, "inf"),
  ])
  func numbersKeepTheirPlaces(value: Double, text: String) {
    #expect(ProgressLine.fourDigits(value) == text)
  }

  @Test func rates() {
    #expect(ProgressLine.rate(12_345, "images") == "12.3k images/s")
    #expect(ProgressLine.rate(5.25, "steps") == "5.2 steps/s")
    #expect(ProgressLine.rate(0.42, "steps") == "0.4200 steps/s")
    #expect(ProgressLine.rate(.infinity, "steps") == nil)
    #expect(ProgressLine.rate(.nan, "steps") == nil)
  }

  @Test func averagesOfTheFirstValuesAreTheirMeans() {
    var mean = MovingAverage()
    #expect(mean.value == 0)
    mean.add(4)
    #expect(mean.value == 4)
    mean.add(.nan)
    mean.add(2)
    #expect(abs(mean.value - 3) < 0.02)
  }

  // MARK: On a terminal

  /// A terminal that keeps what was written to it as rows, as a person sees them; it understands the
  /// few controls that progress uses and breaks lines as terminals do.
  private struct Screen {
    var width: Int
    var rows: [[Character]] = [[]]
    var column = 0
    var hasWrapped = false

    mutating func write(_ text: String) {
      var rest = Substring(text)
      while let character = rest.popFirst() {
        switch character {
        case "\r\n":
          rows.append([])
          column = 0
        case "\r": column = 0
        case "\n": rows.append([])
        case "\u{1B}":
          let end = rest.firstIndex { $0.isLetter } ?? rest.startIndex
          if rest[...end] == "[K" {
            rows[rows.count - 1].removeLast(rows[rows.count - 1].count - column)
          }
          rest = rest[rest.index(after: end)...]
        default:
          if column == width {
            hasWrapped = true
            rows.append([])
            column = 0
          }
          if column < rows[rows.count - 1].count {
            rows[rows.count - 1][column] = character
          } else {
            rows[rows.count - 1].append(character)
          }
          column += 1
        }
      }
    }
  }

  /// What was written to a terminal, gathered by a thread while the run goes on: a terminal holds only
  /// so much. Read after `done` alone.
  private final class Written: @unchecked Sendable {
    var bytes: [UInt8] = []
    let done = DispatchSemaphore(value: 0)

    init(of terminal: Int32) {
      Thread.detachNewThread {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while case let count = read(terminal, &buffer, buffer.count), count > 0 {
          self.bytes += buffer[..<count]
        }
        self.done.signal()
      }
    }
  }

  private static let program = """
    model "tiny"
    let batch = 4
    data images: [batch, 3] from "NOWHERE"
    network critic(x: [n, 3]) -> [n, 1] { x |> dense(1) }
    train(epochs: 4) {
      let generatorLoss = mean(square(critic(images)))
      let criticLoss = mean(square(critic(images) - 1))
      update critic minimizing criticLoss with sgd(0.1)
      report generatorLoss, criticLoss
    }
    """

  private func train(
    _ console: Console, in folder: TemporaryFolder, _ options: [String] = []
  ) throws -> Int32 {
    let data = folder.file("images.npy")
    let numbers = NPYArray(shape: [12, 3], floats: (0..<36).map { Float($0) / 36 })
    try FileIO.writeAtomically(try numbers.encode(), to: data)
    let text = Self.program.replacingOccurrences(of: "NOWHERE", with: data)
    let program = try folder.write(text, to: "tiny.gan")
    return ganExec(["train", program, "--out", folder.file("run")] + options, console: console)
  }

  /// What is on a terminal of so many columns after a run, and what was written to it.
  private func screen(
    columns: Int, _ environment: [String: String] = [:]
  ) throws -> (screen: Screen, raw: String) {
    var (master, slave) = (Int32(-1), Int32(-1))
    var size = winsize(ws_row: 24, ws_col: UInt16(columns), ws_xpixel: 0, ws_ypixel: 0)
    try #require(openpty(&master, &slave, nil, nil, &size) == 0)
    let written = Written(of: master)
    let folder = try TemporaryFolder()
    let console = Console(output: { _ in }, messages: slave, environment)
    #expect(try train(console, in: folder) == 0)
    close(slave)
    written.done.wait()
    close(master)
    let raw = String(decoding: written.bytes, as: UTF8.self)
    var screen = Screen(width: columns)
    // What is said before and after the run has paths, which stand whole however narrow a terminal
    // is: from the first carriage return to the last line.
    let start = try #require(
      raw.range(
        of: "\r", options: .literal, range: raw.range(of: "results in")!.upperBound..<raw.endIndex))
    let end = try #require(raw.range(of: "done in"))
    screen.write(String(raw[start.upperBound..<end.lowerBound]))
    return (screen, raw)
  }

  @Test(arguments: [20, 40, 80, 200])
  func nothingWraps(columns: Int) throws {
    let (screen, raw) = try screen(columns: columns, ["NO_COLOR": "1"])
    #expect(!screen.hasWrapped, "\(screen.rows.map { String($0) })")
    let rows = screen.rows.map { String($0) }.filter { !$0.isEmpty }
    for epoch in 1...4 {
      #expect(rows.contains { $0.hasPrefix("epoch \(epoch)/4") }, "\(rows)")
    }
    #expect(raw.contains("12/12"))
    #expect(!raw.contains("\u{1B}[3"), "NO_COLOR")
  }

  @Test func coloursAndLetters() throws {
    let plain = try screen(columns: 140).raw
    #expect(plain.contains("\u{1B}[32m") && plain.contains("#") && !plain.contains("━"))
    let letters = try screen(columns: 140, ["LANG": "de_DE.UTF-8"]).raw
    #expect(letters.contains("━"))
    let dumb = try screen(columns: 140, ["TERM": "dumb", "LANG": "C.UTF-8"]).raw
    #expect(!dumb.contains("\u{1B}"))
  }

  // MARK: Without one

  @Test func aLineAnEpochWithoutATerminal() throws {
    var messages = ""
    let console = Console(output: { _ in }, errors: { messages += $0 }, isTerminal: false)
    let folder = try TemporaryFolder()
    #expect(try train(console, in: folder) == 0)
    #expect(!messages.contains("\r") && !messages.contains("\u{1B}"))
    let lines = messages.split(separator: "\n")
    #expect(lines.count { $0.contains(" s  mean generatorLoss ") } == 4)
    #expect(lines.count < 12, "\(messages)")
  }

  @Test func quietSaysNothing() throws {
    var messages = ""
    let console = Console(output: { messages += $0 }, errors: { messages += $0 }, isTerminal: true)
    let folder = try TemporaryFolder()
    #expect(try train(console, in: folder, ["--quiet"]) == 0)
    #expect(messages.isEmpty, "\(messages)")
  }

  @Test func eventsAsJSON() throws {
    var (output, messages) = ("", "")
    let console = Console(
      output: { output += $0 }, errors: { messages += $0 }, isTerminal: true,
      outputIsTerminal: true)
    let folder = try TemporaryFolder()
    #expect(try train(console, in: folder, ["--json", "--every", "checkpoint=1e"]) == 0)
    #expect(messages.isEmpty, "no line of progress between those of JSON: \(messages)")
    let values = try output.split(separator: "\n").map {
      try JSONValue.parse(String($0), name: "json")
    }
    let events = values.map { $0["event"]?.stringValue ?? "step" }
    #expect(events.first == "begin" && events.last == "end")
    #expect(events.count { $0 == "step" } == 12)
    #expect(events.count { $0 == "epoch" } == 4)
    #expect(events.count { $0 == "checkpoint" } == 4)
    let steps = values.filter { $0["event"] == nil }
    let epoch = try #require(values.first { $0["event"] == "epoch" })
    let mean = steps[..<3].reduce(0) { $0 + ($1["criticLoss"]?.doubleValue ?? .nan) } / 3
    #expect(abs((epoch["means"]?["criticLoss"]?.doubleValue ?? 0) - mean) < 1e-12)
    #expect(values.last?["state"] == "finished" && values.last?["step"] == 12)
  }
}
