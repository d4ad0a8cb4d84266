// Matrix products and convolutions on the device against the reference evaluator: sizes beside the tiles' edges, vectors,
// batches, strides, up-samplings, with and without epilogues, with the kernels of processors and of GPUs.

import BackendSupport
import Basics
import GraphIR
import Operators
import Passes
import TestSupport
import Testing

@testable import OpenCLBackend

@Suite(.onOwnThreads, .enabled(if: DeviceHarness.hasDevice, DeviceHarness.missing))
struct ProductTests {
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
    for (m, k, n) in [(13, 17, 33), (200, 300, 130), (3, 40, 64)] {
      try batch.add(operation, Self.operands(operation, m, k, n))
    }
    if operation == MatMul() {
      for (m, k, n) in [(128, 100, 128), (33, 1, 48), (97, 65, 16)] {
        try batch.add(operation, Self.operands(operation, m, k, n))
      }
    }
    try batch.add(operation, Self.operands(operation, 20, 18, 35, batch: [3]))
    try batch.expectAgreement()
  }

  @Test(arguments: forms) func vectors(_ operation: MatMul) throws {
    var batch = DeviceHarness.Batch()
    for (m, k, n) in [(1, 300, 70), (1, 64, 256), (129, 1, 1), (31, 37, 1), (1, 700, 1)] {
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
    var fused = FusedGraphs()
    for bias in [[33], [13, 1], [13, 33], []] {
      try fused.add(MatMul(), [.f32(13, 20), .f32(20, 33)], bias: bias)
    }
    // Whole vectors; a sum in parts.
    for bias in [[48], [40, 48]] {
      try fused.add(MatMul(), [.f32(40, 32), .f32(32, 48)], bias: bias)
    }
    for bias in [[16], [6, 16]] {
      try fused.add(MatMul(), [.f32(6, 4000), .f32(4000, 16)], bias: bias)
    }
    try fused.expectAgreement()
  }

  @Test func epiloguesOfVectors() throws {
    var fused = FusedGraphs()
    for (operation, m, k, n) in [
      (MatMul(), 40, 64, 1), (MatMul(transposeB: true), 1, 48, 37), (MatMul(), 1, 48, 64),
      (MatMul(transposeA: true), 37, 20, 1), (MatMul(), 32, 48, 1),
    ] {
      for bias in [[n], [m, n]] {
        try fused.add(operation, Self.operands(operation, m, k, n), bias: bias)
      }
    }
    try fused.expectAgreement()
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
        n: 3, h: 7, w: 6, c: 16, o: 8, kh: 4, kw: 4, stride: [2, 2], padding: [1, 1, 1, 1]),
      Geometry(
        n: 2, h: 8, w: 11, c: 5, o: 3, kh: 2, kw: 3, stride: [3, 2], padding: [0, 0, 1, 0]),
      Geometry(n: 2, h: 7, w: 7, c: 3, o: 4, kh: 3, kw: 3, stride: [4, 4]),
    ],
    [
      Geometry(n: 3, h: 9, w: 8, c: 16, o: 1, kh: 4, kw: 4, padding: [1, 2, 1, 2]),
      Geometry(
        n: 2, h: 7, w: 10, c: 33, o: 1, kh: 3, kw: 5, stride: [1, 3], padding: [1, 0, 2, 2]),
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
    var fused = FusedGraphs()
    for g in [
      Self.geometries[0][2], Self.geometries[1][1], Self.geometries[2][0], Self.geometries[3][0],
    ] {
      for (operation, operands) in [
        (g.forward as any Operation, [g.x, g.filter]), (g.inputGradient, [try g.y, g.filter]),
      ] {
        let shape = try operation.inferTypes(operands)[0].shape
        try fused.add(operation, operands, bias: shape)
        if operation is Conv2D { try fused.add(operation, operands, bias: [shape[3]]) }
      }
    }
    try fused.expectAgreement()
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

  /// Devices with less local memory, narrower vectors and smaller groups.
  @Test func smallDevices() throws {
    var narrow = DeviceTraits.cpu
    narrow.localBytes = 32 << 10
    narrow.vectorWidth = 4
    var small = DeviceTraits.gpu
    small.localBytes = 16 << 10
    small.groupLimit = 64
    var fused = FusedGraphs()
    try fused.add(MatMul(), [.f32(70, 300), .f32(300, 72)], bias: [72])
    try fused.add(MatMul(), [.f32(2, 64), .f32(64, 4096)], bias: [2, 4096])
    try fused.add(MatMul(), [.f32(70, 300), .f32(300, 1)], bias: [70, 1])
    var convolution = Conv2D(stride: [1, 1], padding: [1, 1, 1, 1])
    convolution.method = .winograd(points: 6)
    try fused.add(convolution, [.f32(2, 7, 6, 16), .f32(3, 3, 16, 48)], bias: [48])
    try fused.expectAgreement(on: [narrow, small])
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
    let expected = Evaluator().evaluate(graph, inputs: batch.inputs)
    for traits in DeviceHarness.traits {
      let key = ProductClass(rows: 150, columns: 140, batch: 1, patches: false)
      for tile in TileTable.candidates(for: key, traits) {
        var table = TileTable()
        table[key] = tile
        let backend = try OpenCLBackend(
          device: OpenCLBackend.device(at: nil), traits: traits, tiles: table)
        for difference in try disagreements(
          graph, batch.inputs, on: backend, bound: 1e-5, expected: expected)
        {
          Issue.record("\(tile): \(difference)")
        }
      }
    }
  }
}
