// The reported scalars over the steps, kept for plots in bounded memory: each point is the mean
// of a run of steps, and when there are too many points, neighbours are merged and the runs become
// twice as long.

import Basics
import Formats

package struct LossCurves: Sendable {
  private static let mostPoints = 4096

  private struct Curve {
    var name: String
    var points: [(x: Double, y: Double)] = []
    var sum = 0.0
    var count = 0
  }

  private var curves: [Curve]
  /// How many steps a point is the mean of.
  package private(set) var stepsPerPoint = 1

  package init(reports: [String]) { curves = reports.map { Curve(name: $0) } }

  /// A single curve that goes on with the points that another process kept; nil where these are
  /// none that could be.
  package init?(name: String, points: [(x: Double, y: Double)], stepsPerPoint: Int) {
    let isOrdered = zip(points, points.dropFirst()).allSatisfy { $0.x < $1.x }
    let isPowerOfTwo = stepsPerPoint > 0 && stepsPerPoint & (stepsPerPoint - 1) == 0
    guard points.count <= Self.mostPoints, isOrdered, isPowerOfTwo else { return nil }
    curves = [Curve(name: name, points: points)]
    self.stepsPerPoint = stepsPerPoint
  }

  package var series: [LinePlot.Series] {
    curves.map { LinePlot.Series(name: $0.name, points: $0.points) }
  }

  /// Adds the line of one step. Values that are missing or not finite leave a gap.
  package mutating func add(_ line: JSONValue) {
    guard let step = line["step"]?.intValue, line["event"] == nil else { return }
    add(step: step) { line[$0]?.doubleValue }
  }

  /// Adds the values of one step by the curves' names.
  package mutating func add(step: Int, _ value: (String) -> Double?) {
    for index in curves.indices {
      guard let value = value(curves[index].name), value.isFinite else { continue }
      curves[index].sum += value
      curves[index].count += 1
      if step % stepsPerPoint == 0 || curves[index].count >= stepsPerPoint {
        let mean = curves[index].sum / Double(curves[index].count)
        curves[index].points.append((x: Double(step), y: mean))
        curves[index].sum = 0
        curves[index].count = 0
      }
    }
    if curves.contains(where: { $0.points.count > Self.mostPoints }) { thin() }
  }

  private mutating func thin() {
    stepsPerPoint *= 2
    for index in curves.indices {
      let points = curves[index].points
      curves[index].points = stride(from: 0, to: points.count - 1, by: 2).map {
        (x: points[$0 + 1].x, y: (points[$0].y + points[$0 + 1].y) / 2)
      }
    }
  }

  /// An SVG picture of all curves.
  package func plot(title: String) -> String {
    LinePlot(title: title, xLabel: "step", yLabel: "", series: series).svg()
  }
}

/// Draws the curves into losses.svg, at the end of the run and of its epochs, as often as takes no time to speak of.
package final class LossPlotWriter: TrainingObserver {
  private var run: RunDescription?
  private var curves = LossCurves(reports: [])
  private let pace = WritePace(interval: 1)

  package init() {}

  package func begin(_ run: RunDescription, kept: [JSONValue]) throws {
    self.run = run
    curves = LossCurves(reports: run.train.reports)
    for line in kept { curves.add(line) }
  }

  package func observe(_ event: TrainingEvent) throws {
    switch event {
    case .step(let report): curves.add(report.logLine)
    case .epochEnd: if let run, run.stepsPerEpoch > 1, pace.isDue { try write() }
    case .sample, .checkpoint, .warning, .health: break
    }
  }

  package func end(_ end: TrainingEnd) throws { try write() }

  private func write() throws {
    guard let run else { return }
    try pace.write {
      let plot = curves.plot(title: run.program.model)
      try FileIO.writeAtomically(Array(plot.utf8), to: run.folder.plotPath)
    }
  }
}
