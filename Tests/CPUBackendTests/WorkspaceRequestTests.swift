// What kernels ask for lies in the plan's arena: a second binding is given what the first one asked for, and the arenas
// of the six programs are near their bound.

import Basics
import Elaboration
import GraphIR
import Operators
import Passes
import Planning
import TestSupport
import Testing

@testable import CPUBackend

@Suite struct WorkspaceRequestTests {
  /// Four products one after the other.
  private func plan() throws -> Plan {
    let builder = GraphBuilder(name: "chain", stage: .fused)
    let w = try builder.input(.state("w"), .f32(8, 8))
    var x = try builder.input(.argument("x"), .f32(8, 8))
    for _ in 0..<4 { x = try builder.matmul(x, w) }
    builder.output(.result("x"), x)
    return Planner().plan(builder.finish())
  }

  private func key(_ identity: Int) -> PackKey {
    PackKey(identity: identity, kernel: "test", layout: [])
  }

  /// The offsets of one binding: two packed operands, one of them kept; a temporary and scratch of each node.
  private func ask(_ requests: inout WorkspaceRequests, temporary: Int = 100) -> [Int] {
    var offsets: [Int] = []
    for node in 0..<4 {
      requests.startNode()
      if node == 0 { offsets.append(requests.pack(key(1), bytes: 640, lasts: false)) }
      if node == 1 { offsets.append(requests.pack(key(2), bytes: 64, lasts: true)) }
      if node == 2 { requests.readAgain(key(1)) }
      offsets.append(requests.temporary(bytes: temporary))
      offsets.append(requests.scratch(bytes: 1000 * (node + 1), isCommon: false))
      offsets.append(requests.scratch(bytes: 2000, isCommon: false))
      offsets.append(requests.scratch(bytes: 10 * node, isCommon: true))
    }
    requests.startNode()
    return offsets
  }

  @Test func requestsBecomeWorkspaces() throws {
    let plan = try plan()
    var requests = WorkspaceRequests(for: plan)
    _ = ask(&requests)
    let end = plan.order.count + 1
    // In the order in which they are first asked for.
    #expect(
      requests.workspaces == [
        Workspace(bytes: 640, start: 0, end: 2), Workspace(bytes: 100, start: 0, end: 0),
        Workspace(bytes: 2000, start: 0, end: 0), Workspace(bytes: 30, start: 0, end: end),
        Workspace(bytes: 64, start: 0, end: end), Workspace(bytes: 100, start: 1, end: 1),
        Workspace(bytes: 2000, start: 1, end: 1), Workspace(bytes: 100, start: 2, end: 2),
        Workspace(bytes: 3000, start: 2, end: 2), Workspace(bytes: 100, start: 3, end: 3),
        Workspace(bytes: 4000, start: 3, end: 3),
      ])
    var (reserved, again) = requests.reserved(in: plan)
    try PlanVerifier().verify(reserved)
    let places = reserved.workspaceOffsets(count: 11)
    let indices = [0, 1, 2, 2, 3, 4, 5, 6, 6, 3, 7, 8, 8, 3, 9, 10, 10, 3]
    #expect(ask(&again) == indices.map { places[$0] })
    #expect(again.workspaces == requests.workspaces)
  }

  @Test func askingForMoreThanBeforeIsCaught() async throws {
    await #expect(processExitsWith: .failure) {
      let suite = WorkspaceRequestTests()
      let plan = try suite.plan()
      var requests = WorkspaceRequests(for: plan)
      _ = suite.ask(&requests)
      var (_, again) = requests.reserved(in: plan)
      _ = suite.ask(&again, temporary: 101)
    }
  }

  // MARK: The programs

  static let names = [
    "dcgan-fashion", "dcgan-mnist", "dense-gan", "fashion-gan", "vanilla-gan", "vanilla-gan-tf",
  ]

  /// A run writes to the topmost buffer of its arena, and to nothing beyond it.
  @Test(arguments: names) func theHighestByteIsThePlans(_ name: String) throws {
    let source = SourceText(name: "\(name).gan", bytes: try Places.bytes("Graphs/\(name).gan"))
    let small = ElaborationOptions(settings: [(name: "batch", value: "4")])
    let program = try #require(compile(source, options: small).program)
    let alone = program.networks.flatMap { [$0.graph, $0.trainingGraph] }
    for graph in [try #require(program.train).graph] + program.samples.map(\.graph) + alone {
      let backend = try CPUBackend(threads: 2)
      let states = backend.makeStateStore()
      for state in program.states { try states.declare(state.name, state.type) }
      let plan = Planner().plan(try PassRunner(.standard).run(graph).graph)
      let loaded = try backend.load(plan, states: states)
      let executable = try #require(loaded as? CPUExecutable)
      let arena = executable.arenaMemory
      let mark: UInt8 = 0x5A
      arena.initializeMemory(as: UInt8.self, repeating: mark)
      // The pages of an arena go on for a while behind it.
      let behind = UnsafeRawBufferPointer(start: arena.baseAddress! + arena.count, count: 4000)
      executable.run()
      let touched = try #require(arena.lastIndex { $0 != mark }) + 1
      // Values are written to their last byte; of what kernels have for themselves some may be left.
      let top = executable.plan.buffers.filter { $0.offset + $0.bytes == arena.count }
      let least = top.map { buffer in
        guard case .values(let values) = buffer.use else { return buffer.offset + 1 }
        return buffer.offset
          + (values.map { executable.plan.graph.type(of: $0).byteCount }.max() ?? 0)
      }
      #expect(touched >= least.max() ?? Int.max, "\(touched) of \(arena.count)")
      #expect(behind.allSatisfy { $0 == 0 })
    }
  }

  /// Binding at full size allocates the arena, and touches none of it.
  @Test(arguments: names) func programsAreNearTheBound(_ name: String) throws {
    let source = SourceText(name: "\(name).gan", bytes: try Places.bytes("Graphs/\(name).gan"))
    let program = try #require(compile(source).program)
    let graphs = [try #require(program.train).graph] + program.samples.map(\.graph)
    for graph in try graphs.map({ try PassRunner(.standard).run($0).graph }) {
      for backend in try makeBackends() {
        let states = backend.makeStateStore()
        for state in program.states { try states.declare(state.name, state.type) }
        let plan = try backend.load(Planner().plan(graph), states: states).plan
        try PlanVerifier().verify(plan)
        #expect(
          Double(plan.arenaBytes) <= 1.05 * Double(plan.lowerBoundBytes),
          "\(backend.instructionSet): \(plan.arenaBytes), bound \(plan.lowerBoundBytes)")
      }
    }
  }
}
