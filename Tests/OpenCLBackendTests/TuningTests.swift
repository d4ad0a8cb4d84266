// What tuning tries: each class's products really take that class's tile, and what is kept depends on the source.

import Basics
import GraphIR
import Operators
import Planning
import TestSupport
import Testing

@testable import OpenCLBackend

@Suite(.onOwnThreads) struct TuningTests {
  @Test(arguments: ProductClass.allCases, [DeviceTraits.cpu, .gpu])
  func productsTakeTheirTile(_ key: ProductClass, _ traits: DeviceTraits) throws {
    // A processor's kernels in Winograd's form have blocks of their own and take the registers' tile alone.
    let plan = Planner().plan(try Tuning.graph(of: key))
    var sources: Set<String> = []
    for tile in TileTable.candidates(for: key, traits) {
      var tiles = TileTable()
      tiles[key] = tile
      sources.insert(
        try PlanLowering(plan, traits: traits, tiles: tiles).lower().source(hasDouble: true))
    }
    let isFixed = key == .winograd && traits.runsItemsInTurn
    #expect(isFixed ? !sources.isEmpty : sources.count > 1, "\(key) \(traits.kind)")
  }
}
