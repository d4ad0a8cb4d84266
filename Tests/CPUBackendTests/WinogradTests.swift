// Convolutions in Winograd's form against the reference evaluator, whose meaning is the plain sum, on every
// instruction set: kernels of 3, 4 and 5 taps, strides and up-samplings, ragged tiles, several blocks and splits.

import BackendSupport
import Basics
import GraphIR
import Operators
import Passes
import Testing

@testable import CPUBackend

@Suite struct WinogradTests {
  struct Geometry: Sendable, CustomTestStringConvertible {
    var n: Int, h: Int, w: Int, c: Int, o: Int, k: Int
    var stride = 1
    var padding: [Int]
    var upsample = 1
    var testDescription: String {
      "\(n)×\(h)×\(w)×\(c)→\(o) \(k)×\(k)/\(stride) \(padding) up \(upsample)"
    }
    var sizes: ConvolutionGeometry {
      get throws {
        try ConvolutionGeometry(
          batch: n, input: [h, w], kernel: [k, k], channels: (c, o), stride: [stride, stride],
          padding: padding, upsample: [upsample, upsample])
      }
    }
  }

  static let geometries: [Geometry] = [
    // One tile, and less than one.
    Geometry(n: 1, h: 6, w: 6, c: 16, o: 16, k: 3, padding: [0, 0, 0, 0]),
    Geometry(n: 1, h: 1, w: 1, c: 16, o: 16, k: 3, padding: [1, 1, 1, 1]),
    Geometry(n: 2, h: 9, w: 7, c: 32, o: 48, k: 3, padding: [1, 1, 1, 1]),
    // Two taps, as kernels of 4×4 and stride 2 have them.
    Geometry(n: 2, h: 7, w: 5, c: 16, o: 32, k: 2, padding: [0, 1, 1, 0]),
    // `same` with an even kernel, and all paddings different.
    Geometry(n: 3, h: 14, w: 13, c: 16, o: 80, k: 4, padding: [1, 2, 1, 2]),
    Geometry(n: 1, h: 8, w: 9, c: 48, o: 16, k: 4, padding: [3, 0, 2, 1]),
    Geometry(n: 9, h: 8, w: 8, c: 16, o: 32, k: 5, padding: [0, 0, 0, 0]),
    Geometry(n: 2, h: 11, w: 12, c: 32, o: 16, k: 5, padding: [2, 2, 2, 2]),
    // More channels than one piece of the reduction.
    Geometry(n: 1, h: 5, w: 5, c: 272, o: 16, k: 3, padding: [1, 1, 1, 1]),
    // More columns than one task of the filter gradient makes.
    Geometry(n: 2, h: 5, w: 6, c: 16, o: 144, k: 3, padding: [1, 1, 1, 1]),
    // Many tiles: several blocks an image.
    Geometry(n: 1, h: 40, w: 33, c: 32, o: 16, k: 3, padding: [1, 1, 1, 1]),
    // Strides, of which an odd size leaves half a group.
    Geometry(n: 2, h: 14, w: 14, c: 16, o: 32, k: 5, stride: 2, padding: [1, 2, 1, 2]),
    Geometry(n: 2, h: 7, w: 9, c: 32, o: 16, k: 5, stride: 2, padding: [2, 2, 2, 2]),
    Geometry(n: 1, h: 8, w: 8, c: 16, o: 16, k: 4, stride: 2, padding: [1, 1, 1, 1]),
    Geometry(n: 3, h: 9, w: 6, c: 16, o: 16, k: 3, stride: 2, padding: [1, 1, 0, 1]),
    Geometry(n: 1, h: 10, w: 10, c: 16, o: 16, k: 6, stride: 2, padding: [2, 2, 2, 2]),
    // Up-samplings.
    Geometry(n: 2, h: 7, w: 7, c: 16, o: 32, k: 5, padding: [2, 2, 2, 2], upsample: 2),
    Geometry(n: 1, h: 4, w: 5, c: 32, o: 16, k: 3, padding: [1, 1, 1, 1], upsample: 2),
    Geometry(n: 2, h: 3, w: 4, c: 16, o: 16, k: 4, padding: [1, 2, 1, 2], upsample: 2),
    Geometry(n: 1, h: 4, w: 4, c: 16, o: 48, k: 3, padding: [0, 0, 0, 0], upsample: 2),
  ]

  private static func set(
    _ operation: some ConvolutionOperation, _ g: Geometry, _ method: ConvolutionMethod
  ) -> any Operation {
    var chosen = operation.upsampling([g.upsample, g.upsample])
    chosen.method = method
    return chosen
  }

  /// The convolution, its input gradient both ways and its filter gradient, for each number of points; the same
  /// order in each group of four.
  private static func operations(
    _ g: Geometry
  ) throws -> [(operation: any Operation, operands: [TensorType])] {
    try (6...8).flatMap { points in
      try WinogradForm(g.sizes, .forward, points: points) == nil ? [] : operations(g, points)
    }
  }

  private static func operations(
    _ g: Geometry, _ points: Int
  ) throws -> [(operation: any Operation, operands: [TensorType])] {
    let sizes = try g.sizes
    let method = ConvolutionMethod.winograd(points: points)
    let (x, w, y) = (
      TensorType.f32(sizes.inputShape), TensorType.f32(sizes.kernelShape),
      TensorType.f32(sizes.outputShape)
    )
    let stride = [g.stride, g.stride]
    let inputGradient = Conv2DInputGradient(
      stride: stride, padding: g.padding, inputSize: [g.h, g.w])
    return [
      (set(Conv2D(stride: stride, padding: g.padding), g, method), [x, w]),
      (set(inputGradient, g, .winogradAdjoint(points: points)), [y, w]),
      (set(inputGradient, g, method), [y, w]),
      (
        set(
          Conv2DFilterGradient(stride: stride, padding: g.padding, kernelSize: [g.k, g.k]), g,
          method), [x, y]
      ),
    ]
  }

  /// Errors near 2·10⁻⁶ of the standard deviation with 6 points and 6·10⁻⁶ with 8, at most several of it among so many
  /// numbers.
  static func bound(_ operation: any Operation) -> Double {
    switch (operation as? any ConvolutionOperation)?.method {
    case .winograd(points: 6), .winogradAdjoint(points: 6): 1e-5
    default: 4e-5
    }
  }

  @Test(arguments: geometries) func agreesWithTheSum(_ g: Geometry) throws {
    for direction in [WinogradForm.Direction.forward, .inputGradient, .filterGradient] {
      #expect(
        WinogradForm(try g.sizes, direction, points: 6) != nil, "the form is what is tested")
    }
    // The form is no part of the meaning.
    var meanings: [[HostTensor]] = []
    for (index, (operation, operands)) in try Self.operations(g).enumerated() {
      var filler = Filler(7)
      let inputs = operands.map { filler.uniform($0, -1, 1) }
      let graph = try single(operation, operands)
      if index < 4 { meanings.append(Evaluator().evaluate(graph, inputs: inputs)) }
      try expectAgreement(
        graph, inputs, bound: Self.bound(operation), operation.mnemonic,
        expected: meanings[index % 4])
    }
  }

  @Test(arguments: [geometries[4], geometries[11], geometries[16]])
  func bitsDoNotDependOnThreads(_ g: Geometry) throws {
    for (operation, operands) in try Self.operations(g) {
      var filler = Filler(3)
      let inputs = operands.map { filler.uniform($0, -1, 1) }
      let graph = try single(operation, operands)
      let all = try [1, 2, 3, 5].map {
        try Loaded(graph, CPUBackend(threads: $0, instructionSet: nil), inputs).step()
      }
      for other in all.dropFirst() { #expect(other == all[0]) }
    }
  }

  @Test(arguments: [geometries[7], geometries[12], geometries[16]])
  func epiloguesRunOverFinishedBlocks(_ g: Geometry) throws {
    for (operation, operands) in try Self.operations(g)
    where !(operation is Conv2DFilterGradient) {
      let graph = try RandomlyFused.biasAndLeakyReLU(operation, operands)
      #expect(graph.nodes.elements.contains { $0.operation is Fused })
      var filler = Filler(5)
      let inputs = graph.inputs.map {
        filler.uniform(graph.type(of: $0.value), -1, 1)
      }
      try expectAgreement(graph, inputs, bound: Self.bound(operation))
    }
  }

  @Test func upsampledImagesWithoutTheForm() throws {
    // Three channels, factors that differ: the image is repeated, or sums are taken.
    for upsample in [[2, 2], [3, 1]] {
      let x = TensorType.f32(2, 3, 4, 3)
      let w = TensorType.f32(3, 3, 3, 5)
      let y = TensorType.f32(2, 3 * upsample[0], 4 * upsample[1], 5)
      let padding = [1, 1, 1, 1]
      let operations: [(any Operation, [TensorType])] = [
        (Conv2D(stride: [1, 1], padding: padding).upsampling(upsample), [x, w]),
        (
          Conv2DInputGradient(stride: [1, 1], padding: padding, inputSize: [3, 4])
            .upsampling(upsample), [y, w]
        ),
        (
          Conv2DFilterGradient(stride: [1, 1], padding: padding, kernelSize: [3, 3])
            .upsampling(upsample), [x, y]
        ),
      ]
      for (operation, operands) in operations {
        for graph in [
          try single(operation, operands), try RandomlyFused.biasAndLeakyReLU(operation, operands),
        ] {
          var filler = Filler(9)
          let inputs = graph.inputs.map {
            filler.uniform(graph.type(of: $0.value), -1, 1)
          }
          try expectAgreement(graph, inputs, bound: 1e-5, operation.mnemonic)
        }
      }
    }
  }
}

enum RandomlyFused {
  /// operation → + bias → leakyReLU, after the fusing passes.
  static func biasAndLeakyReLU(
    _ operation: any Operation, _ operands: [TensorType]
  ) throws -> Graph {
    let builder = GraphBuilder(name: "fused", stage: .differentiated)
    var values: [ValueID] = []
    for (index, type) in operands.enumerated() {
      values.append(try builder.input(.argument("x\(index)"), type))
    }
    let made = try builder.add(operation, values)[0]
    let bias = try builder.input(
      .argument("bias"), .f32([builder.type(of: made).shape.last!]))
    let sum = try builder.add(made, bias)
    builder.output(.result("y"), try builder.leakyRelu(sum, slope: 0.2))
    return try FuseEpilogues().run(FuseElementwise().run(builder.finish()))
  }
}
