// Finds the fastest tiles of a device: each candidate of each class on a few products of that class, by the device's own times.
// What comes out is a table that lowering takes in place of its defaults.

import Basics
import GraphIR
import Operators
import Planning
import Runtime

package struct Tuning {
  /// One tile that was tried.
  package struct Trial: Sendable {
    package var productClass: ProductClass
    package var tile: ProductTile
    /// nil where the device could not run it; `failure` says why.
    package var seconds: Double?
    package var failure: String?
    package var flops: Double
  }

  /// What a candidate must gain on the default, which was chosen for more products than are tried here.
  private static let margin = 0.95

  private let device: OpenCLDevice
  private let traits: DeviceTraits

  package init(device: OpenCLDevice) {
    self.device = device
    traits = device.traits
  }

  /// Tries all candidates, giving each trial as soon as it is there.
  package func run(_ report: (Trial) -> Void) throws(EnvironmentFailure) -> TileTable {
    var table = TileTable()
    for key in ProductClass.allCases {
      var best: (tile: ProductTile, seconds: Double)?
      // The default stands first.
      for (index, tile) in TileTable.candidates(for: key, traits).enumerated() {
        let trial = trial(key, tile)
        report(trial)
        guard let seconds = trial.seconds else { continue }
        let counted = index == 0 ? Self.margin * seconds : seconds
        if counted < best?.seconds ?? .infinity { best = (tile, counted) }
      }
      table[key] = best?.tile
    }
    return table
  }

  private func trial(_ key: ProductClass, _ tile: ProductTile) -> Trial {
    var trial = Trial(productClass: key, tile: tile, flops: 0)
    do {
      let graph = try Tuning.graph(of: key)
      trial.flops = graph.nodes.elements.reduce(0) { sum, node in
        sum
          + node.operation.cost(graph.types(of: node.operands), graph.types(of: node.results)).flops
      }
      var tiles = TileTable()
      tiles[key] = tile
      let backend = try OpenCLBackend(device: device, traits: traits, tiles: tiles)
      trial.seconds = try backend.least(Planner().plan(graph))
    } catch {
      trial.failure = "\(error)"
    }
    return trial
  }

  /// Products of a class as networks have them.
  package static func graph(of key: ProductClass) throws(Diagnostic) -> Graph {
    let builder = GraphBuilder(name: key.rawValue, stage: .fused)
    var count = 0
    func add(_ operation: any Operation, _ types: [TensorType]) throws(Diagnostic) {
      var operands: [ValueID] = []
      for type in types {
        operands.append(try builder.input(.argument("x\(count)"), type))
        count += 1
      }
      builder.output(.result("y\(count)"), try builder.add(operation, operands)[0])
    }
    func matrices(_ rows: Int, _ depth: Int, _ columns: Int) throws(Diagnostic) {
      try add(MatMul(), [.f32(rows, depth), .f32(depth, columns)])
    }
    func gradient(_ rows: Int, _ depth: Int, _ columns: Int) throws(Diagnostic) {
      try add(
        MatMul(transposeA: true, transposeB: false), [.f32(depth, rows), .f32(depth, columns)])
    }
    func convolution(
      batch: Int, size: Int, _ inputs: Int, _ outputs: Int, method: ConvolutionMethod = .direct
    ) throws(Diagnostic) {
      var operation = Conv2D(stride: [1, 1], padding: [2, 2, 2, 2])
      operation.method = method
      try add(operation, [.f32(batch, size, size, inputs), .f32(5, 5, inputs, outputs)])
    }
    switch key {
    case .large:
      try matrices(1024, 512, 1024)
      try gradient(1024, 128, 2048)
    case .narrow:
      try matrices(32, 1024, 784)
      try matrices(64, 784, 512)
    case .small:
      try matrices(128, 1024, 784)
      try matrices(256, 784, 512)
      try gradient(784, 128, 1024)
      try gradient(1024, 32, 512)
    case .largePatches: try convolution(batch: 64, size: 14, 64, 128)
    case .narrowPatches: try convolution(batch: 32, size: 14, 64, 64)
    case .smallPatches: try convolution(batch: 16, size: 7, 128, 128)
    case .winograd:
      try convolution(batch: 32, size: 14, 128, 128, method: .winograd(points: 6))
    }
    return builder.finish()
  }

  /// What a table is good for: the device, its driver, and the source that this program generates.
  package static func key(of device: OpenCLDevice) throws(EnvironmentFailure) -> String {
    let traits = device.traits
    var text = [device.name, device.vendor, device.version, device.driver, device.platformName]
    for key in ProductClass.allCases {
      let graph: Graph
      do { graph = try self.graph(of: key) } catch {
        throw EnvironmentFailure("the product \(key.rawValue) cannot be built: \(error.message)")
      }
      text.append(
        try PlanLowering(
          Planner().plan(graph), traits: traits, tiles: TileTable.defaults(for: traits)
        ).lower().source(hasDouble: traits.hasDouble))
    }
    let joined = text.joined(separator: "\n")
    // Two hashes of 32 bits with different beginnings.
    let words = ["tiles ", "tuning "].map { String(StableHash.stream($0 + joined), radix: 16) }
    return words.joined()
  }
}

extension OpenCLBackend {
  /// The least time of several runs of a plan on whatever its inputs hold, in seconds.
  fileprivate func least(_ plan: Plan) throws(EnvironmentFailure) -> Double {
    guard let executable = try load(plan, states: makeStateStore()) as? OpenCLExecutable else {
      return .infinity
    }
    return try least(executable)
  }
}
