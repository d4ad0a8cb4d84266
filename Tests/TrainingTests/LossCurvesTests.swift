// The curves of a run in bounded memory, and how sparse the points for TensorBoard become.

import Formats
import Testing

@testable import Training

@Suite struct LossCurvesTests {
  private static func curves(steps: Int, rareEvery rare: Int) -> LossCurves {
    var curves = LossCurves(reports: ["loss", "rare"])
    for step in 1...steps {
      curves.add(step: step) { name in
        name == "loss" ? Double(step) : step % rare == 0 ? Double(-step) : nil
      }
    }
    return curves
  }

  @Test func everyStepUntilThereAreTooMany() {
    let series = Self.curves(steps: 4097, rareEvery: 50).series
    #expect(series[0].points.count == 4097)
    #expect(series[0].points.allSatisfy { $0.x == $0.y })
  }

  /// Points become means of runs of steps, and none is lost.
  @Test func thinned() {
    let curves = Self.curves(steps: 10_001, rareEvery: 50)
    #expect(curves.stepsPerPoint == 4)
    let points = curves.series[0].points
    #expect(points.count == 2501)
    #expect(points[0] == (x: 4, y: 2.5) && points[2499] == (x: 10_000, y: 9998.5))
    #expect(points[2500] == (x: 10_001, y: 10_001))
  }

  @Test func whatIsRareStays() {
    let points = Self.curves(steps: 10_001, rareEvery: 50).series[1].points
    #expect(points.map(\.x) == (1...200).map { Double($0 * 50) })
    #expect(points.allSatisfy { $0.y == -$0.x })
    #expect(Self.curves(steps: 20_000, rareEvery: 5000).series[1].points.count == 4)
  }

  @Test func pointsForTensorBoard() {
    func width(_ step: Int) -> Int { TensorBoardWriter.stepsPerPoint(step) }
    #expect([1, 5000, 5001, 15_000, 15_001, 35_000, 35_001].map(width) == [1, 1, 2, 2, 4, 4, 8])
    var points = 0
    for step in 1...1_000_000 where step % width(step) == 0 { points += 1 }
    #expect(points < 45_000)
  }
}
