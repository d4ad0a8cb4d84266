// The reported scalars over the steps, kept for plots in bounded memory: each point is the mean of
// what was reported in a run of steps, and when there are too many points, runs become twice as long.
// A scalar that is reported rarely keeps its points until a run is longer than its pauses.

import Basics
import Formats

package struct LossCurves: Sendable {
  private static let mostPoints = 4096

  private struct Curve {
    var name: String
    var points: [(x: Double, y: Double)] = []
    /// The run of steps that is not over: its number, its last step and the sum of what it brought.
    var open: (run: Int, step: Int, sum: Double, count: Int)?

    /// The points, and what the open run has brought so far.
    var allPoints: [(x: Double, y: Double)] {
      var closed = self
      closed.close()
      return closed.points
    }

    mutating func close() {
      guard let open else { return }
      points.append((x: Double(open.step), y: open.sum / Double(open.count)))
      self.open = nil
    }
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
    curves.map { LinePlot.Series(name: $0.name, points: $0.allPoints) }
  }

  /// Adds the line of one step. Values that are missing or not finite leave a gap.
  package mutating func add(_ line: JSONValue) {
    guard let step = line["step"]?.intValue, line["event"] == nil else { return }
    add(step: step) { line[$0]?.doubleValue }
  }

  /// The number of the run of steps, counted from 1, that a step is in.
  private func run(of step: Int) -> Int { (step - 1) / stepsPerPoint }

  /// Adds the values of one step by the curves' names.
  package mutating func add(step: Int, _ value: (String) -> Double?) {
    for index in curves.indices {
      guard let value = value(curves[index].name), value.isFinite else { continue }
      if let open = curves[index].open, open.run == run(of: step) {
        curves[index].open = (open.run, step, open.sum + value, open.count + 1)
      } else {
        curves[index].close()
        curves[index].open = (run(of: step), step, value, 1)
      }
    }
    if curves.contains(where: { $0.points.count > Self.mostPoints }) { thin() }
  }

  /// Runs become twice as long; points of one run become one, at the last of their steps.
  private mutating func thin() {
    stepsPerPoint *= 2
    for index in curves.indices {
      var runs: [[(x: Double, y: Double)]] = []
      for point in curves[index].points {
        if let last = runs.last?.last, run(of: Int(last.x)) == run(of: Int(point.x)) {
          runs[runs.count - 1].append(point)
        } else {
          runs.append([point])
        }
      }
      curves[index].points = runs.map { points in
        (x: points[points.count - 1].x, y: points.reduce(0) { $0 + $1.y } / Double(points.count))
      }
      if let open = curves[index].open {
        let run = run(of: open.step)
        curves[index].open?.run = run
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
  package let isEssential = false
  private var run: RunDescription?
  private var curves: LossCurves
  private let pace = WritePace(interval: 1)

  package init(reports: [String]) { curves = LossCurves(reports: reports) }

  package func recall(_ line: JSONValue) { curves.add(line) }

  package func begin(_ run: RunDescription) throws { self.run = run }

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
