// Walks a plan and lowers its nodes. Out: a `DeviceProgram`; the copies at the end of a step are the executable's.

import Basics
import GraphIR
import Operators
import Planning

struct PlanLowering {
  let plan: Plan
  let traits: DeviceTraits
  let tiles: TileTable
  /// The value that each is a view of.
  private let roots: Table<ValueTag, ValueID>

  init(_ plan: Plan, traits: DeviceTraits, tiles: TileTable) {
    self.plan = plan
    self.traits = traits
    self.tiles = tiles
    var roots = Table<ValueTag, ValueID>(plan.graph.values.ids)
    for node in plan.graph.nodes.elements where node.operation.isReshape {
      roots[node.results[0]] = roots[node.operands[0]]
    }
    self.roots = roots
  }

  func lower() throws(EnvironmentFailure) -> DeviceProgram {
    let builder = DeviceProgramBuilder()
    for id in plan.order {
      let node = plan.graph.nodes[id]
      builder.start(id)
      let lowering = NodeLowering(
        builder: builder, traits: traits, tiles: tiles, placements: plan.placements,
        operation: node.operation, operands: node.operands.map(tensor),
        results: node.results.map(tensor))
      do throws(EnvironmentFailure) {
        if !traits.hasDouble {
          for tensor in lowering.operands + lowering.results where tensor.type.element == .f64 {
            throw lowering.unsupported("the device has no double precision")
          }
        }
        try OperationTable.emit(lowering)
      } catch {
        let place = node.origin.provenance()
        throw EnvironmentFailure(
          error.message + (place.isEmpty ? "" : ", at \(place)"), help: error.help)
      }
    }
    return builder.program
  }

  private func tensor(_ value: ValueID) -> DeviceTensor {
    DeviceTensor(
      buffer: .value(value), type: plan.graph.type(of: value), splat: splat(roots[value]),
      isOneElement: plan.scalarConstants.contains(value))
  }

  /// The one value of a constant.
  private func splat(_ root: ValueID) -> Double? {
    guard let constant = plan.graph.producer(of: root)?.operation as? Constant else { return nil }
    return constant.values.count == 1 ? constant.values[0].value : nil
  }
}
