// Matrix products and convolutions on the device against the reference evaluator: sizes beside the tiles' edges, vectors,
// batches, strides, up-samplings, with and without epilogues, with the kernels of processors and of GPUs.

import BackendSupport
import Basics
import GraphIR
import Operators
import Passes
import Testing

@testable import OpenCLBackend

@Suite(.enabled(if: DeviceHarness.hasDevice, DeviceHarness.missing)) struct ProductTests {
  // MARK: Matrix products

  private static func operands(
    _ operation: MatMul, _ m: Int, _ k: Int, _ n: Int, batch: [Int] = []
  ) -> [TensorType] {
    [
      .f32(batch + (operation.transposeA ? [k, m] : [m, k])),
      .f32(batch + (operation.transposeB ? [n, k] : [k, n])),
    ]
  }

  private static let forms = [(false, false), (false, true), (true, false), (true, true)].map {
    MatMul(transposeA: $0.0, transposeB: $0.1)
  }

  @Test(arguments: forms) func matrices(_ operation: MatMul) throws {
    var batch = DeviceHarness.Batch()
    for (m, k, n) in [
      (13, 17, 33), (128, 100, 128), (200, 300, 130), (33, 1, 48), (3, 40, 64), (97, 65, 16),
    ] {
      try batch.add(operation, Self.operands(operation, m, k, n))
    }
    try batch.add(operation, Self.operands(operation, 20, 18, 35, batch: [3]))
    try batch.expectAgreement()
  }

  @Test(arguments: forms) func vectors(_ operation: MatMul) throws {
    var batch = DeviceHarness.Batch()
    for (m, k, n) in [
      (1, 300, 70), (1, 64, 256), (129, 1, 1), (64, 96, 1), (31, 37, 1), (1, 700, 1),
    ] {
      try batch.add(operation, Self.operands(operation, m, k, n))
    }
    try batch.add(operation, Self.operands(operation, 5, 48, 1, batch: [2, 2]))
    try batch.expectAgreement()
  }

  /// Sums so long that they are cut into parts.
  @Test func longSums() throws {
    var batch = DeviceHarness.Batch()
    try batch.add(MatMul(), [.f32(25, 5000), .f32(5000, 32)])
    try batch.add(MatMul(transposeA: true), [.f32(3001, 9), .f32(3001, 20)])
    try batch.add(MatMul(), [.f32(4, 6000), .f32(6000, 1)])
    try batch.add(MatMul(transposeA: true), [.f32(4096, 1), .f32(4096, 64)])
    try batch.expectAgreement()
  }

  @Test func epilogues() throws {
    for (m, k, n, long) in [(13, 20, 33, false), (40, 32, 48, false), (6, 4000, 16, true)] {
      for bias in [[n], [m, 1], [m, n], []] {
        let graph = try FusedGraphs.fused(MatMul(), [.f32(m, k), .f32(k, n)], bias: bias)
        try expectAgreement(graph, "\(m)×\(k)×\(n) \(bias) \(long)")
      }
    }
  }

  @Test func epiloguesOfVectors() throws {
    for (operation, m, k, n) in [
      (MatMul(), 40, 64, 1), (MatMul(transposeB: true), 1, 48, 37), (MatMul(), 1, 48, 64),
      (MatMul(transposeA: true), 37, 20, 1), (MatMul(), 32, 48, 1),
    ] {
      for bias in [[n], [m, n]] {
        try expectAgreement(
          try FusedGraphs.fused(operation, Self.operands(operation, m, k, n), bias: bias),
          "\(m) \(n)")
      }
    }
  }

  // MARK: Convolutions

  struct Geometry: Sendable {
    var n: Int, h: Int, w: Int, c: Int, o: Int, kh: Int, kw: Int
    var stride = [1, 1]
    var padding = [0, 0, 0, 0]
    var upsample = [1, 1]

    var x: TensorType { .f32(n, h, w, c) }
    var filter: TensorType { .f32(kh, kw, c, o) }
    var y: TensorType {
      get throws {
        .f32(
          try Conv2D(stride: stride, padding: padding).upsampling(upsample)
            .geometry([x, filter]).outputShape)
      }
    }
    var forward: Conv2D { Conv2D(stride: stride, padding: padding).upsampling(upsample) }
    var inputGradient: Conv2DInputGradient {
      Conv2DInputGradient(stride: stride, padding: padding, inputSize: [h, w]).upsampling(upsample)
    }
    var filterGradient: Conv2DFilterGradient {
      Conv2DFilterGradient(stride: stride, padding: padding, kernelSize: [kh, kw])
        .upsampling(upsample)
    }
  }

  static let geometries: [[Geometry]] = [
    [
      Geometry(n: 1, h: 1, w: 1, c: 1, o: 1, kh: 1, kw: 1),
      Geometry(n: 2, h: 5, w: 7, c: 3, o: 5, kh: 3, kw: 3, padding: [1, 1, 1, 1]),
      Geometry(n: 2, h: 6, w: 5, c: 32, o: 48, kh: 3, kw: 3, padding: [1, 1, 1, 1]),
      Geometry(n: 1, h: 2, w: 2, c: 4, o: 4, kh: 5, kw: 5, padding: [2, 2, 2, 2]),
    ],
    [
      Geometry(
        n: 1, h: 9, w: 8, c: 1, o: 33, kh: 5, kw: 5, stride: [2, 2], padding: [2, 2, 1, 2]),
      Geometry(
        n: 3, h: 7, w: 6, c: 16, o: 8, kh: 4, kw: 4, stride: [2, 2], padding: [1, 1, 1, 1]),
      Geometry(
        n: 2, h: 8, w: 11, c: 5, o: 3, kh: 2, kw: 3, stride: [3, 2], padding: [0, 0, 1, 0]),
      Geometry(n: 1, h: 6, w: 6, c: 2, o: 2, kh: 1, kw: 1, stride: [2, 2]),
      Geometry(n: 2, h: 7, w: 7, c: 3, o: 4, kh: 3, kw: 3, stride: [4, 4]),
    ],
    [
      Geometry(n: 3, h: 9, w: 8, c: 16, o: 1, kh: 4, kw: 4, padding: [1, 2, 1, 2]),
      Geometry(
        n: 2, h: 7, w: 10, c: 33, o: 1, kh: 3, kw: 5, stride: [2, 3], padding: [1, 0, 2, 2]),
      Geometry(
        n: 2, h: 14, w: 13, c: 1, o: 32, kh: 5, kw: 5, stride: [2, 2], padding: [1, 2, 2, 2]),
      Geometry(n: 2, h: 12, w: 12, c: 1, o: 16, kh: 5, kw: 5),
      Geometry(n: 2, h: 3, w: 3, c: 40, o: 1, kh: 5, kw: 5, padding: [4, 4, 4, 4]),
    ],
    [
      Geometry(
        n: 2, h: 3, w: 4, c: 3, o: 5, kh: 3, kw: 3, padding: [1, 1, 1, 1], upsample: [2, 2]),
      Geometry(
        n: 2, h: 3, w: 4, c: 3, o: 5, kh: 3, kw: 3, padding: [1, 1, 1, 1], upsample: [3, 1]),
    ],
  ]

  @Test(arguments: geometries) func convolutions(_ geometries: [Geometry]) throws {
    var batch = DeviceHarness.Batch()
    for g in geometries {
      try batch.add(g.forward, [g.x, g.filter])
      try batch.add(g.inputGradient, [g.y, g.filter])
      try batch.add(g.filterGradient, [g.x, g.y])
    }
    try batch.expectAgreement()
  }

  @Test func epiloguesOfConvolutions() throws {
    for g in [
      Self.geometries[0][2], Self.geometries[1][1], Self.geometries[2][0], Self.geometries[3][0],
    ] {
      for (operation, operands) in [
        (g.forward as any Operation, [g.x, g.filter]), (g.inputGradient, [try g.y, g.filter]),
      ] {
        let shape = try operation.inferTypes(operands)[0].shape
        for bias in [[shape[3]], shape] {
          try expectAgreement(
            try FusedGraphs.fused(operation, operands, bias: bias),
            "\(operation.mnemonic) \(g) \(bias)")
        }
      }
    }
  }

  // MARK: Tiles

  @Test func tilesFitTheirDevice() throws {
    var small = DeviceTraits.gpu
    small.localBytes = 4 << 10
    small.groupLimit = 32
    var poor = DeviceTraits.cpu
    poor.localBytes = 8 << 10
    for traits in [DeviceTraits.cpu, .gpu, small, poor] {
      for key in ProductClass.allCases {
        #expect(TileTable().tile(key, traits).fits(traits))
        for tile in TileTable.candidates(for: key, traits) { #expect(tile.fits(traits)) }
      }
    }
    var table = TileTable()
    table[.large] = ProductTile(rows: 4096, columns: 4096, depth: 64, itemRows: 8, itemColumns: 8)
    #expect(table.tile(.large, .gpu) != table[.large], "a tile that does not fit is not chosen")
  }

  @Test func tablesAreTextAndBack() throws {
    let table = TileTable.defaults(for: .gpu)
    #expect(TileTable(text: table.text) == table)
    #expect(!table.text.isEmpty)
    for bad in ["large 1 2 3 4", "large 1 2 3 4 x", "huge 1 2 3 4 5", "large 0 2 3 4 5"] {
      #expect(TileTable(text: bad) == nil)
    }
  }

  /// Tiles other than the defaults give the same products.
  @Test func everyCandidateIsRight() throws {
    var batch = DeviceHarness.Batch()
    try batch.add(MatMul(transposeB: true), [.f32(150, 70), .f32(140, 70)])
    let graph = batch.builder.finish()
    for traits in DeviceHarness.traits {
      let key = ProductClass(rows: 150, columns: 140, batch: 1, patches: false)
      for tile in TileTable.candidates(for: key, traits) {
        var table = TileTable()
        table[key] = tile
        let backend = try OpenCLBackend(
          device: OpenCLBackend.device(at: nil), traits: traits, tiles: table)
        for difference in try disagreements(graph, batch.inputs, on: backend, bound: 1e-5) {
          Issue.record("\(tile): \(difference)")
        }
      }
    }
  }

  private func expectAgreement(_ graph: Graph, _ note: String, bound: Double = 1e-5) throws {
    var filler = Filler(5)
    let inputs = graph.inputs.map { filler.uniform(graph.type(of: $0.value), -1, 1) }
    for traits in DeviceHarness.traits {
      let backend = try DeviceHarness.backend(traits)
      for difference in try disagreements(graph, inputs, on: backend, bound: bound) {
        Issue.record("\(traits.kind) \(note): \(difference)")
      }
    }
  }
}
