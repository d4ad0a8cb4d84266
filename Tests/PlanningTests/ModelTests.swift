// The plans of the six programs: they verify, no state needs a copy, and the arena is near the bound.

import Basics
import Elaboration
import GraphIR
import Passes
import Planning
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

@Suite struct ModelPlanTests {
  static let names = [
    "dcgan-fashion", "dcgan-mnist", "dense-gan", "fashion-gan", "vanilla-gan", "vanilla-gan-tf",
  ]

  /// The bytes of a program among `Graphs`.
  private func text(_ name: String) throws -> [UInt8] {
    let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    let path = root.joined(separator: "/") + "/Graphs/\(name).gan"
    let file = try #require(fopen(path, "r"), "\(path) is not there")
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = fread(&buffer, 1, buffer.count, file)
      if count == 0 { return bytes }
      bytes += buffer[..<count]
    }
  }

  @Test(arguments: names) func plans(_ name: String) throws {
    let source = SourceText(name: "\(name).gan", bytes: try text(name))
    let result = compile(source, options: ElaborationOptions(settings: [("batch", "8")]))
    let train = try #require(result.program?.train)
    for pipeline in [Pipeline.standard, .unoptimized] {
      let graph = try PassRunner(pipeline).run(train.graph).graph
      let plan = Planner().plan(graph)
      try PlanVerifier().verify(plan)
      #expect(plan.stateCopies.isEmpty)
      #expect(Double(plan.arenaBytes) <= 1.05 * Double(plan.lowerBoundBytes))
      #expect(plan.arenaBytes < plan.withoutReuseBytes / 2)
    }
  }
}
