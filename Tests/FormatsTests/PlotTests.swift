import Basics
import Testing

@testable import Formats

@Suite struct PlotTests {
  static func plot(_ series: [LinePlot.Series], title: String = "Losses") -> LinePlot {
    LinePlot(title: title, xLabel: "step", yLabel: "loss", series: series)
  }

  @Test func isDeterministicAndWellFormed() throws {
    let series = [
      LinePlot.Series(name: "generator <G> & \"co\"", xs: [0, 1, 2, 3], ys: [1, 2, .nan, 0.5]),
      LinePlot.Series(name: "D", xs: [0, 1, .infinity], ys: [0.1, 0.2, 0.3]),
    ]
    let text = Self.plot(series, title: "a < b & c\u{1}").svg()
    #expect(text == Self.plot(series, title: "a < b & c\u{1}").svg())
    #expect(text.contains("generator &lt;G&gt; &amp; &quot;co&quot;"))
    #expect(text.contains("a &lt; b &amp; c\u{FFFD}"))
    #expect(text.hasPrefix("<svg xmlns=") && text.hasSuffix("</svg>\n"))
    // Non-finite points are left out: three points and two.
    #expect(Self.polylines(text).map(\.count) == [3, 2])
    #expect(!text.contains("nan") && !text.contains("inf"))
  }

  /// The points of every line of a plot.
  static func polylines(_ text: String) -> [[Substring]] {
    text.split(separator: "\n").filter { $0.hasPrefix("<polyline") }.map { line in
      line.split(separator: "points=\"")[1].split(separator: "\"")[0].split(separator: " ")
    }
  }

  @Test func spikesSurviveThinning() throws {
    let count = 100_000
    let ys = (0..<count).map { $0 == 77_777 ? 1000 : $0 == 3 ? -500 : Double($0 % 7) }
    let series = LinePlot.Series(name: "s", xs: (0..<count).map(Double.init), ys: ys)
    let thin = Self.plot([series]).thinned(series.points)
    #expect(thin.count <= 1500 && thin.count > 1400)
    #expect(thin.contains { $0.x == 77_777 && $0.y == 1000 })
    #expect(thin.contains { $0.x == 3 && $0.y == -500 })
    #expect(thin.first?.x == 0 && thin.last?.x == 99_999)
    #expect(zip(thin, thin.dropFirst()).allSatisfy { $0.x < $1.x })
    let short = Array(series.points.prefix(1500))
    #expect(Self.plot([]).thinned(short).count == 1500)
  }

  @Test func longSeriesGetALineOfMeans() throws {
    let ys = (0..<1200).map { $0 % 2 == 0 ? 1.0 : 3.0 }
    let series = LinePlot.Series(name: "s", xs: (0..<1200).map(Double.init), ys: ys)
    let means = Self.plot([series]).means(series.points)
    #expect(means.count == 120 && means.allSatisfy { abs($0.y - 2) < 1e-9 })
    #expect(abs(means[0].x - 4.5) < 1e-9)
    #expect(Self.polylines(Self.plot([series]).svg()).map(\.count) == [1200, 120])
  }

  @Test func ticksAreRound() {
    func labels(_ low: Double, _ high: Double, pixels: Double = 400) -> [String] {
      LinePlot.Scale([low, high], from: 0, to: pixels, margin: 0).ticks(every: 60).map(\.label)
    }
    #expect(
      labels(0, 1) == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"].map { $0 == "0.0" ? "0" : $0 })
    #expect(labels(0, 9380) == ["0", "2000", "4000", "6000", "8000"])
    #expect(labels(-3, 3) == ["-3", "-2", "-1", "0", "1", "2", "3"])
    #expect(labels(0.69, 0.7) == ["0.690", "0.692", "0.694", "0.696", "0.698", "0.700"])
    #expect(labels(0, 5e9) == ["0", "1e9", "2e9", "3e9", "4e9", "5e9"])
    #expect(labels(1e-9, 4e-9).contains("2.0e-9") && labels(1e-9, 4e-9).count >= 4)
    #expect(labels(5, 5).count >= 3)
    #expect(labels(0, 0).contains("0"))
  }

  @Test func anyNumbersCanBeDrawn() {
    let extremes: [Double] = [
      0, -0.0, 1, -1, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude,
      1e-300, 1e300, 1e15, 1e15 + 1, .nan, .infinity, -.infinity,
    ]
    for a in extremes {
      for b in extremes {
        let text = Self.plot([.init(name: "s", xs: [a, b], ys: [b, a])]).svg()
        #expect(!text.contains("nan") && !text.contains("\"inf"), "\(a) \(b)")
      }
    }
    #expect(Self.plot([]).svg().contains("no data"))
    #expect(Self.plot([.init(name: "s", points: [])]).svg().contains("no data"))
    #expect(Self.plot([.init(name: "s", xs: [1], ys: [2])]).svg().contains("<circle"))
    let many = (0..<30).map { LinePlot.Series(name: "series \($0)", xs: [0, 1], ys: [0, 1]) }
    var tiny = Self.plot(many)
    (tiny.width, tiny.height) = (-5, 0)
    #expect(tiny.svg().contains("series 29"))
  }

  @Test func fixedDecimals() {
    #expect(fixed(1.005, decimals: 1) == "1.0" && fixed(-0.25, decimals: 2) == "-0.25")
    #expect(fixed(0.0049, decimals: 2) == "0.00" && fixed(12, decimals: 0) == "12")
    #expect(coordinate(12.50) == "12.5" && coordinate(100) == "100" && coordinate(-0.001) == "0")
  }

  @Test func csv() {
    #expect(
      CSV.line(["a", "b,c", "d\"e", "", " f", "g\nh"]) == "a,\"b,c\",\"d\"\"e\",,\" f\",\"g\nh\"")
    #expect(
      CSV.line([1, 0.1, nil, -2.5e-7, .nan, 1e300, -0.0]) == "1,0.1,,-2.5e-07,nan,1e+300,-0.0")
  }
}
