// The numbers of a plot: from values to pixels, round ticks, text of fixed decimals without
// Foundation, and the thinning of long series.

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension LinePlot {
  /// Most points of a series that are drawn.
  static let mostPoints = 1500

  /// The finite points, at most about `mostPoints` of them. Of a long series, cut into equal
  /// pieces, the lowest and the highest point of each piece stay, so that spikes are seen.
  func thinned(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
    let points = points.filter { $0.x.isFinite && $0.y.isFinite }
    guard points.count > Self.mostPoints else { return points }
    let pieces = Self.mostPoints / 2 - 1
    var chosen = [0]
    for piece in 0..<pieces {
      let start = points.count * piece / pieces
      let end = points.count * (piece + 1) / pieces
      var low = start
      var high = start
      for i in start..<end {
        if points[i].y < points[low].y { low = i }
        if points[i].y > points[high].y { high = i }
      }
      chosen += [min(low, high), max(low, high)]
    }
    chosen.append(points.count - 1)
    var last = -1
    return chosen.compactMap { i in
      guard i > last else { return nil }
      last = i
      return points[i]
    }
  }

  /// The means of the finite points over about 120 equal pieces of a series.
  func means(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
    let points = points.filter { $0.x.isFinite && $0.y.isFinite }
    let pieces = min(120, points.count)
    return (0..<pieces).map { piece in
      let part = points[points.count * piece / pieces..<points.count * (piece + 1) / pieces]
      // Each is divided first, so that the sum of large ones stays finite.
      let share = 1 / Double(part.count)
      return part.reduce((x: 0, y: 0)) { ($0.x + $1.x * share, $0.y + $1.y * share) }
    }
  }

  /// A linear axis.
  struct Scale {
    private var low = 0.0
    private var high = 1.0
    private let from: Double
    private let to: Double

    /// Over the values, widened by a share of their span on both sides, onto the pixels
    /// `from`…`to`.
    init(_ values: some Sequence<Double>, from: Double, to: Double, margin: Double) {
      self.from = from
      self.to = to
      // Beyond this the span would not be finite any more.
      let bound = Double.greatestFiniteMagnitude / 8
      var range: (low: Double, high: Double)?
      for value in values {
        let value = min(max(value, -bound), bound)
        range = range.map { (min($0.low, value), max($0.high, value)) } ?? (value, value)
      }
      guard let range else { return }
      low = range.low
      high = range.high
      // A span that arithmetic cannot divide is opened to something visible.
      if high - low <= max(abs(low), abs(high)) * 1e-12 || high - low < 1e-300 {
        let half = max(abs(low), abs(high)) * 0.1
        low -= half > 1e-300 ? half : 0.5
        high += half > 1e-300 ? half : 0.5
      }
      let extra = (high - low) * margin
      low -= extra
      high += extra
    }

    func place(_ value: Double) -> Double {
      let share = (value - low) / (high - low)
      return from + min(max(share, 0), 1) * (to - from)
    }

    /// Ticks at multiples of 1, 2 or 5 times a power of ten, about `every` pixels apart.
    func ticks(every pixels: Double) -> [(value: Double, label: String)] {
      let wanted = max((abs(to - from) / pixels).rounded(.down), 2)
      let raw = (high - low) / wanted
      let exponent = floor(log10(raw))
      let unit = pow(10, exponent)
      let factor: Double =
        switch raw / unit {
        case ..<1.5: 1
        case ..<3.5: 2
        case ..<7.5: 5
        default: 10
        }
      let step = factor * unit
      let first = (low / step - 1e-9).rounded(.up)
      let last = (high / step + 1e-9).rounded(.down)
      guard step.isFinite, step > 0, abs(first) < 1e15, abs(last) < 1e15, last - first < 100 else {
        return []
      }
      // The power of ten of the last digit that differs from tick to tick.
      let digit = Int(exponent) + (factor == 10 ? 1 : 0)
      let largest = max(abs(low), abs(high))
      guard first <= last else { return [] }
      return (Int(first)...Int(last)).map { index in
        let value = Double(index) * step
        return (value, label(value, digit: digit, largest: largest))
      }
    }

    private func label(_ value: Double, digit: Int, largest: Double) -> String {
      if value == 0 { return "0" }
      if digit >= -6, largest < 1e7 { return fixed(value, decimals: max(0, -digit)) }
      let exponent = Int(floor(log10(largest)))
      let mantissa = fixed(value / pow(10, Double(exponent)), decimals: min(exponent - digit, 12))
      return "\(mantissa)e\(exponent)"
    }
  }
}

/// A coordinate in pixels with at most two decimals.
package func coordinate(_ value: Double) -> String {
  var text = fixed(value, decimals: 2)
  while text.hasSuffix("0") { text.removeLast() }
  if text.hasSuffix(".") { text.removeLast() }
  return text
}
