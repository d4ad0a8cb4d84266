// From a raw graph to a plan: the passes, then the planner. One place, so that gan-compile shows
// what gan-exec runs.

import Basics
import GraphIR
import Passes
import Planning

package struct GraphCompiler: Sendable {
  package let arithmetic: Pipeline.Arithmetic
  private let runner: PassRunner
  package init(_ arithmetic: Pipeline.Arithmetic = .fast) {
    self.arithmetic = arithmetic
    runner = PassRunner(arithmetic.pipeline)
  }

  package struct Result: Sendable {
    package var plan: Plan
    package var records: [PassRecord]
  }

  package func compile(_ graph: Graph) throws -> Result {
    let outcome = try runner.run(graph)
    return Result(plan: Planner().plan(outcome.graph), records: outcome.records)
  }
}
