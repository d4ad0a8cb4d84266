// A line plot as SVG: title, axes with round numbers, grid, legend, one line a series; a series of
// many points is a pale band with a line of means in it. The same plot always gives the same text. Series in, SVG text out; the arithmetic of ticks and the
// thinning of long series is in LinePlot+Scale.swift.

package struct LinePlot: Sendable {
  package struct Series: Sendable {
    package var name: String
    package var points: [(x: Double, y: Double)]

    package init(name: String, points: [(x: Double, y: Double)]) {
      self.name = name
      self.points = points
    }

    /// A series over equally long lists; what one list has more is left out.
    package init(name: String, xs: [Double], ys: [Double]) {
      self.init(name: name, points: zip(xs, ys).map { (x: $0, y: $1) })
    }
  }

  package var title: String
  package var xLabel: String
  package var yLabel: String
  package var series: [Series]
  /// Size in pixels; small values are raised to what the labels need.
  package var width: Int
  package var height: Int

  package init(
    title: String, xLabel: String, yLabel: String, series: [Series] = [], width: Int = 860,
    height: Int = 480
  ) {
    self.title = title
    self.xLabel = xLabel
    self.yLabel = yLabel
    self.series = series
    self.width = width
    self.height = height
  }

  /// Colours that stay apart on white, also for most people who see colours differently.
  static let colors = [
    "#0969b0", "#d9480f", "#2b8a3e", "#9c36b5", "#c2255c", "#0b7285", "#a67c00", "#495057",
  ]
  /// Series with more points than this are drawn as a band and its means.
  static let denseCount = 400
  static let font = "font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\""

  /// The SVG text.
  package func svg() -> String {
    let size = (width: max(width, 240), height: max(height, 160))
    let lines = series.map { thinned($0.points) }
    let legend = legendRows(width: Double(size.width) - 96)
    let frame = Frame(
      left: 76, top: (title.isEmpty ? 16 : 46) + 20 * Double(legend.count),
      right: Double(size.width) - 22, bottom: Double(size.height) - (xLabel.isEmpty ? 34 : 54))
    let x = Scale(lines.joined().map(\.x), from: frame.left, to: frame.right, margin: 0)
    let y = Scale(lines.joined().map(\.y), from: frame.bottom, to: frame.top, margin: 0.04)

    var out = """
      <svg xmlns="http://www.w3.org/2000/svg" width="\(size.width)" height="\(size.height)" \
      viewBox="0 0 \(size.width) \(size.height)" \(Self.font) font-size="12" fill="#343a40">
      <rect width="100%" height="100%" fill="#ffffff"/>

      """
    if !title.isEmpty {
      out += """
        <text x="\(coordinate(frame.left))" y="28" font-size="17" font-weight="bold" \
        fill="#212529">\(xmlEscaped(title))</text>

        """
    }
    out += drawLegend(legend, left: frame.left, top: title.isEmpty ? 18 : 48)
    out += drawAxes(frame, x, y)
    out += drawLines(lines, frame, x, y)
    out += drawLabels(frame, size.height)
    return out + "</svg>\n"
  }

  struct Frame {
    var left: Double
    var top: Double
    var right: Double
    var bottom: Double
  }

  /// The series that fit into each row of the legend, by an estimate of the width of text.
  private func legendRows(width: Double) -> [[Int]] {
    var rows: [[Int]] = []
    var used = Double.infinity
    for (i, series) in series.enumerated() where !series.name.isEmpty {
      let needed = legendWidth(series.name)
      if used + needed > width {
        rows.append([])
        used = 0
      }
      rows[rows.count - 1].append(i)
      used += needed
    }
    return rows
  }

  private func legendWidth(_ name: String) -> Double { 46 + 6.6 * Double(name.count) }

  private func drawLegend(_ rows: [[Int]], left: Double, top: Double) -> String {
    var out = ""
    for (row, members) in rows.enumerated() {
      var x = left
      let y = top + 20 * Double(row)
      for i in members {
        let color = Self.colors[i % Self.colors.count]
        out += """
          <line x1="\(coordinate(x))" y1="\(coordinate(y))" x2="\(coordinate(x + 20))" \
          y2="\(coordinate(y))" stroke="\(color)" stroke-width="3" stroke-linecap="round"/>
          <text x="\(coordinate(x + 27))" y="\(coordinate(y + 4))">\(xmlEscaped(series[i].name))</text>

          """
        x += legendWidth(series[i].name)
      }
    }
    return out
  }

  private func drawAxes(_ frame: Frame, _ x: Scale, _ y: Scale) -> String {
    var grid = ""
    var labels = ""
    for tick in y.ticks(every: 56) {
      let at = coordinate(y.place(tick.value))
      grid += "M\(coordinate(frame.left)) \(at)H\(coordinate(frame.right))"
      labels += """
        <text x="\(coordinate(frame.left - 8))" y="\(coordinate(y.place(tick.value) + 4))" \
        text-anchor="end">\(tick.label)</text>

        """
    }
    for tick in x.ticks(every: 92) {
      let at = coordinate(x.place(tick.value))
      grid += "M\(at) \(coordinate(frame.top))V\(coordinate(frame.bottom))"
      labels += """
        <text x="\(at)" y="\(coordinate(frame.bottom + 18))" \
        text-anchor="middle">\(tick.label)</text>

        """
    }
    return """
      <path d="\(grid)" stroke="#e3e6ea" stroke-width="1" fill="none"/>
      <path d="M\(coordinate(frame.left)) \(coordinate(frame.top))V\(coordinate(frame.bottom))\
      H\(coordinate(frame.right))" stroke="#868e96" stroke-width="1.2" fill="none"/>

      """ + labels
  }

  private func drawLines(
    _ lines: [[(x: Double, y: Double)]], _ frame: Frame, _ x: Scale, _ y: Scale
  ) -> String {
    var out = ""
    for (i, points) in lines.enumerated() where !points.isEmpty {
      let color = Self.colors[i % Self.colors.count]
      if points.count == 1 {
        let (cx, cy) = (coordinate(x.place(points[0].x)), coordinate(y.place(points[0].y)))
        out += "<circle cx=\"\(cx)\" cy=\"\(cy)\" r=\"3\" fill=\"\(color)\"/>\n"
      } else {
        let isDense = points.count > Self.denseCount
        out += polyline(points, x, y, color, width: isDense ? "1" : "1.8", dimmed: isDense)
      }
    }
    // The means lie over all the bands, so that no band hides another series.
    for (i, series) in series.enumerated() where lines[i].count > Self.denseCount {
      let color = Self.colors[i % Self.colors.count]
      out += polyline(means(series.points), x, y, color, width: "2", dimmed: false)
    }
    if out.isEmpty {
      out = """
        <text x="\(coordinate((frame.left + frame.right) / 2))" \
        y="\(coordinate((frame.top + frame.bottom) / 2))" text-anchor="middle" \
        fill="#868e96">no data</text>

        """
    }
    return out
  }

  private func polyline(
    _ points: [(x: Double, y: Double)], _ x: Scale, _ y: Scale, _ color: String, width: String,
    dimmed: Bool
  ) -> String {
    let places = points.map { "\(coordinate(x.place($0.x))),\(coordinate(y.place($0.y)))" }
    return """
      <polyline fill="none" stroke="\(color)" stroke-width="\(width)" stroke-linejoin="round" \
      stroke-linecap="round" stroke-opacity="\(dimmed ? "0.35" : "0.95")" \
      points="\(places.joined(separator: " "))"/>

      """
  }

  private func drawLabels(_ frame: Frame, _ height: Int) -> String {
    var out = ""
    if !xLabel.isEmpty {
      out += """
        <text x="\(coordinate((frame.left + frame.right) / 2))" y="\(height - 14)" \
        font-size="13" text-anchor="middle">\(xmlEscaped(xLabel))</text>

        """
    }
    if !yLabel.isEmpty {
      let middle = coordinate((frame.top + frame.bottom) / 2)
      out += """
        <text x="20" y="\(middle)" font-size="13" text-anchor="middle" \
        transform="rotate(-90 20 \(middle))">\(xmlEscaped(yLabel))</text>

        """
    }
    return out
  }
}
