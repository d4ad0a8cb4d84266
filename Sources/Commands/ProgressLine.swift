// The one line that a person sees of a run: a function of what is known and of the terminal's width.
// What there is no room for is left out, the least needed first: the bar, the share, the rate, the
// values beside their averages, the time that has passed, the epoch, the losses but the first, the time
// left, the last sign of ill health, the first loss. The step stays.

import Formats

struct ProgressLine {
  struct Loss {
    var name: String
    var value: Double
    /// A moving average.
    var mean: Double
  }

  /// How the terminal wants it.
  struct Style {
    var usesColour = false
    var usesUnicode = false
  }

  /// From 1; nil where an epoch is a step.
  var epoch: (number: Int, count: Int)?
  var step: Int
  var totalSteps: Int
  var losses: [Loss]
  /// `12.3k images/s`
  var rate: String?
  /// Seconds.
  var elapsed: Double
  var left: Double
  /// The last sign that training is not well, in a word or two.
  var alarm: String?

  /// A piece with its colour (a number of SGR).
  private struct Piece {
    var text: String
    var colour: Int?
    var columns: Int { TextColumns.count(text) }
    init(_ text: String, colour: Int? = nil) {
      self.text = text
      self.colour = colour
    }
  }

  private struct Room {
    var hasBar = true
    var hasShare = true
    var hasRate = true
    var hasValues = true
    var hasElapsed = true
    var hasEpoch = true
    var losses: Int
    var hasLeft = true
    var hasAlarm = true

    /// Leaves out the next thing; false where nothing is left to leave out.
    mutating func shrink() -> Bool {
      if drop([\.hasBar, \.hasShare, \.hasRate, \.hasValues, \.hasElapsed, \.hasEpoch]) {
        return true
      }
      if losses > 1 {
        losses -= 1
        return true
      }
      if drop([\.hasLeft, \.hasAlarm]) { return true }
      defer { losses = 0 }
      return losses > 0
    }

    /// The first of these that is still there goes.
    private mutating func drop(_ paths: [WritableKeyPath<Room, Bool>]) -> Bool {
      guard let path = paths.first(where: { self[keyPath: $0] }) else { return false }
      self[keyPath: path] = false
      return true
    }
  }

  /// The line in at most `width` columns, without an end.
  func text(width: Int, style: Style = Style()) -> String {
    var room = Room(losses: losses.count)
    while true {
      let pieces = pieces(room, style)
      let columns = Self.columns(pieces)
      // A bar of fewer than ten cells says nothing.
      let bar = room.hasBar ? min(30, width - columns - 2) : 0
      if columns <= width, !room.hasBar || bar >= 10 {
        return joined(pieces, bar: bar, style)
      }
      guard room.shrink() else {
        return TextColumns.prefix(pieces.map(\.text).joined(separator: "  "), max(0, width))
      }
    }
  }

  private func pieces(_ room: Room, _ style: Style) -> [Piece] {
    var pieces: [Piece] = []
    if let epoch, room.hasEpoch { pieces.append(Piece("epoch \(epoch.number)/\(epoch.count)")) }
    let digits = String(totalSteps).count
    let number = String(step)
    let padding = String(repeating: " ", count: max(0, digits - number.count))
    let share = totalSteps > 0 ? 100 * step / totalSteps : 0
    if room.hasShare { pieces.append(Piece("\(share < 10 ? " " : "")\(share)%")) }
    pieces.append(Piece("\(padding)\(number)/\(totalSteps)"))
    for loss in losses.prefix(room.losses) {
      let mean = Self.fourDigits(loss.mean)
      pieces.append(
        Piece(
          room.hasValues
            ? "\(loss.name) \(Self.fourDigits(loss.value)) (\(mean))" : "\(loss.name) \(mean)"))
    }
    if let rate, room.hasRate { pieces.append(Piece(rate)) }
    let left = "\(Progress.duration(self.left)) left"
    if room.hasLeft {
      pieces.append(
        Piece(room.hasElapsed ? "\(Progress.duration(elapsed)), \(left)" : left))
    }
    if let alarm, room.hasAlarm { pieces.append(Piece("! \(alarm)", colour: 33)) }
    return pieces
  }

  private static func columns(_ pieces: [Piece]) -> Int {
    pieces.reduce(0) { $0 + $1.columns } + 2 * max(0, pieces.count - 1)
  }

  private func joined(_ pieces: [Piece], bar: Int, _ style: Style) -> String {
    var texts = pieces.map { piece in
      guard let colour = piece.colour, style.usesColour else { return piece.text }
      return "\u{1B}[\(colour)m\(piece.text)\u{1B}[0m"
    }
    if bar > 0 {
      // Behind the share, before the step.
      texts.insert(self.bar(bar, style), at: epoch == nil ? 1 : 2)
    }
    return texts.joined(separator: "  ")
  }

  private func bar(_ columns: Int, _ style: Style) -> String {
    let part = totalSteps > 0 ? Double(step) / Double(totalSteps) : 0
    let full = min(columns, max(0, Int(part * Double(columns))))
    let done = String(repeating: style.usesUnicode ? "━" : "#", count: full)
    let rest = String(
      repeating: style.usesUnicode ? (style.usesColour ? "━" : "─") : ".", count: columns - full)
    guard style.usesColour else { return done + rest }
    return "\u{1B}[32m\(done)\u{1B}[0;2m\(rest)\u{1B}[0m"
  }

  // MARK: Numbers

  /// Four significant digits with their zeros, so that the line does not move: `0.5000`. Below 1
  /// the digits behind the point count.
  static func fourDigits(_ value: Double) -> String {
    guard value.isFinite else { return "\(value)" }
    let size = abs(value)
    if size != 0, size < 1e-4 || size >= 1e6 { return shortNumber(value) }
    var decimals = 4
    var bound = 1.0
    while size >= bound, decimals > 0 {
      bound *= 10
      decimals -= 1
    }
    return fixed(value, decimals: size < 1 ? 4 : decimals)
  }

  /// `12.3k images/s`, `0.42 steps/s`
  static func rate(_ count: Double, _ unit: String) -> String? {
    guard count.isFinite, count > 0 else { return nil }
    for (size, letter) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] where count >= size {
      return "\(tenths(count / size))\(letter) \(unit)/s"
    }
    return "\(count >= 100 ? "\(Int(count))" : tenths(count)) \(unit)/s"
  }

  private static func tenths(_ value: Double) -> String {
    if value >= 100 { return "\(Int(value))" }
    if value < 1 { return fourDigits(value) }
    return "\(Int(value)).\(Int(value * 10) % 10)"
  }
}
