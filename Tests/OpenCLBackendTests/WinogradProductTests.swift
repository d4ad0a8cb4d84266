// Convolutions in Winograd's form on the device against the reference evaluator, whose meaning is the plain sum: kernels of 2 to
// 5 taps, strides and up-samplings, ragged tiles, several blocks and parts, epilogues.

import BackendSupport
import Basics
import GraphIR
import Operators
import Planning
import TestSupport
import Testing

@testable import OpenCLBackend

@Suite(.onOwnThreads, .enabled(if: DeviceHarness.hasDevice, DeviceHarness.missing))
struct WinogradProductTests {
  struct Geometry: Sendable {
    var n: Int, h: Int, w: Int, c: Int, o: Int, k: Int
    var stride = 1
    var padding: [Int]
    var upsample = 1

    var sizes: ConvolutionGeometry {
      get throws {
        try ConvolutionGeometry(
          batch: n, input: [h, w], kernel: [k, k], channels: (c, o), stride: [stride, stride],
          padding: padding, upsample: [upsample, upsample])
      }
    }
  }

  /// With the points that each is tried with.
  static let geometries: [(g: Geometry, points: Int)] = [
    // Less than a tile; two taps; ragged tiles; more columns than a panel; many images.
    (Geometry(n: 1, h: 1, w: 1, c: 16, o: 16, k: 3, padding: [1, 1, 1, 1]), 6),
    (Geometry(n: 2, h: 7, w: 5, c: 16, o: 32, k: 2, padding: [0, 1, 1, 0]), 6),
    (Geometry(n: 2, h: 9, w: 7, c: 32, o: 48, k: 3, padding: [1, 1, 1, 1]), 7),
    (Geometry(n: 3, h: 14, w: 13, c: 16, o: 80, k: 4, padding: [1, 2, 1, 2]), 8),
    (Geometry(n: 9, h: 8, w: 8, c: 16, o: 32, k: 5, padding: [0, 0, 0, 0]), 6),
    (Geometry(n: 1, h: 5, w: 5, c: 272, o: 144, k: 3, padding: [1, 1, 1, 1]), 8),
    // Strides, of which an odd size leaves half a group, and up-samplings.
    (Geometry(n: 2, h: 7, w: 9, c: 32, o: 16, k: 5, stride: 2, padding: [2, 2, 2, 2]), 6),
    (Geometry(n: 3, h: 9, w: 6, c: 16, o: 16, k: 3, stride: 2, padding: [1, 1, 0, 1]), 7),
    (Geometry(n: 2, h: 7, w: 7, c: 16, o: 32, k: 5, padding: [2, 2, 2, 2], upsample: 2), 6),
  ]

  /// The convolution, its input gradient both ways and its filter gradient.
  private static func operations(
    _ g: Geometry, _ points: Int
  ) throws -> [(operation: any Operation, operands: [TensorType])] {
    let sizes = try g.sizes
    func set(_ operation: some ConvolutionOperation, _ method: ConvolutionMethod) -> any Operation {
      var chosen = operation.upsampling([g.upsample, g.upsample])
      chosen.method = method
      return chosen
    }
    let method = ConvolutionMethod.winograd(points: points)
    let (x, w, y) = (
      TensorType.f32(sizes.inputShape), TensorType.f32(sizes.kernelShape),
      TensorType.f32(sizes.outputShape)
    )
    let stride = [g.stride, g.stride]
    let inputGradient = Conv2DInputGradient(
      stride: stride, padding: g.padding, inputSize: [g.h, g.w])
    return [
      (set(Conv2D(stride: stride, padding: g.padding), method), [x, w]),
      (set(inputGradient, .winogradAdjoint(points: points)), [y, w]),
      (set(inputGradient, method), [y, w]),
      (
        set(
          Conv2DFilterGradient(stride: stride, padding: g.padding, kernelSize: [g.k, g.k]), method),
        [x, y]
      ),
    ]
  }

  /// Errors are near 2·10⁻⁶ of the standard deviation with 6 points and 6·10⁻⁶ with 8.
  private static func bound(_ points: Int) -> Double { points == 6 ? 1e-5 : 4e-5 }

  @Test(arguments: geometries.indices) func agreesWithTheSum(_ index: Int) throws {
    let (g, points) = Self.geometries[index]
    #expect(
      WinogradForm(try g.sizes, .forward, points: points) != nil, "the form is what is tested")
    var batch = DeviceHarness.Batch()
    for (operation, operands) in try Self.operations(g, points) {
      try batch.add(operation, operands)
    }
    try batch.expectAgreement(bound: Self.bound(points))
  }

  /// A bias for each channel, and a second operand as large as the result, which one result may overwrite.
  @Test(arguments: [6, 8]) func epilogues(_ index: Int) throws {
    let (g, points) = Self.geometries[index]
    var fused = FusedGraphs()
    for (operation, operands) in try Self.operations(g, points) {
      let shape = try operation.inferTypes(operands)[0].shape
      try fused.add(operation, operands, bias: [shape[3]])
      if operation is Conv2D { try fused.add(operation, operands, bias: shape) }
    }
    try fused.expectAgreement(bound: Self.bound(points))
  }

  /// One filter is transformed once for all nodes that read it in the same form.
  @Test func filtersAreShared() throws {
    let g = Self.geometries[4].g
    let builder = GraphBuilder(name: "shared", stage: .fused)
    let x = try builder.input(.argument("x"), .f32(g.n, g.h, g.w, g.c))
    let z = try builder.input(.argument("z"), .f32(g.n, g.h, g.w, g.c))
    let w = try builder.input(.argument("w"), .f32(g.k, g.k, g.c, g.o))
    var operation = Conv2D(stride: [1, 1], padding: g.padding)
    operation.method = .winograd(points: 6)
    for (name, image) in [("a", x), ("b", z)] {
      builder.output(.result(name), try builder.add(operation, [image, w])[0])
    }
    let plan = Planner().plan(builder.finish())
    for traits in [DeviceTraits.cpu, .gpu] {
      let program = try PlanLowering(plan, traits: traits, tiles: TileTable()).lower()
      let filters = program.launches.filter { launch in
        guard case .kernel(let index, _, _, _) = launch.work else { return false }
        return program.kernels[index].name.hasPrefix("winograd_filter")
      }
      #expect(filters.count == 1)
    }
  }

  @Test func transformsAreTheirMatrices() {
    // F(4, 3) with the points 0, 1, −1, 1/2, −2, ∞.
    let sizes = try? ConvolutionGeometry(
      batch: 1, input: [4, 4], kernel: [3, 3], channels: (16, 16), stride: [1, 1],
      padding: [1, 1, 1, 1])
    let form = sizes.flatMap { WinogradForm($0, .forward, points: 6) }
    #expect(
      form?.inputTransform.matrix == [
        [1, -1.5, -2, 1.5, 1, 0], [0, -1, 0.5, 2.5, 1, 0], [0, 1, -2.5, 0.5, 1, 0],
        [0, -2, -1, 2, 1, 0], [0, 0.5, -1, -0.5, 1, 0], [0, 1, -1.5, -2, 1.5, 1],
      ])
  }
}
