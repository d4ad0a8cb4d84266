// Random numbers of the device against the CPU's: equal bits of uniform numbers and masks, normal numbers to 10⁻⁶.

import BackendSupport
import Basics
import CPUBackend
import GraphIR
import OpenCLBackend
import Operators
import TestSupport
import Testing

@Suite(.onOwnThreads, .enabled(if: DeviceHarness.hasDevice, DeviceHarness.missing))
struct RandomTests {
  static let shapes = [[1], [3], [37], [4, 4], [3, 5, 7], [33, 64], [128, 100], [5, 13, 16]]

  /// Draws of all shapes: alone, and as masks of a region.
  private func graph(normal: Bool) throws -> Graph {
    let builder = GraphBuilder(name: "draws", stage: .fused)
    let seed = try builder.input(.seed, .i32(2))
    let step = try builder.input(.step, .i32())
    for (index, shape) in Self.shapes.enumerated() {
      let stream = 0xFFFF_FFF0 &+ UInt32(index)
      let draw: any Operation =
        normal
        ? RandomNormal(shape: shape, stream: stream) : RandomUniform(shape: shape, stream: stream)
      let drawn = try builder.add(draw, seed, step)
      builder.output(.result("\(index)"), drawn)
      let x = try builder.input(.argument("x\(index)"), .f32(shape))
      let region = Region(
        inputCount: 4,
        steps: [
          .init(draw, [.input(1), .input(2)]),
          .init(Compare(.gt), [.step(0), .input(3)]),
          .init(Convert(to: .f32), [.step(1)]),
          .init(Multiply(), [.step(2), .input(0)]),
        ], results: [.step(3)])
      let half = try builder.constant(TensorType.f32(), [0.5])
      let masked = try builder.add(Fused(root: nil, region: region), [x, seed, step, half])
      builder.output(.result("masked \(index)"), masked[0])
    }
    return builder.finish()
  }

  private func inputs(_ graph: Graph) -> [HostTensor] {
    var filler = Filler(4)
    return graph.inputs.map { input in
      switch input.role {
      case .seed: HostTensor(.i32(2), [-123_456_789, 77])
      case .step: HostTensor(.i32(), [2_000_000_011])
      default: filler.uniform(graph.type(of: input.value), -1, 1)
      }
    }
  }

  @Test func uniformNumbersAndMasksHaveTheSameBits() throws {
    let graph = try graph(normal: false)
    let inputs = inputs(graph)
    let expected = try Loaded(graph, CPUBackend(threads: 1), inputs).step()
    for traits in DeviceHarness.traits {
      let found = try Loaded(graph, DeviceHarness.backend(traits), inputs).step()
      #expect(found == expected, "\(traits.kind)")
    }
  }

  @Test func normalNumbersAreNear() throws {
    let graph = try graph(normal: true)
    let inputs = inputs(graph)
    let cpu = try Loaded(graph, CPUBackend(threads: 1), inputs)
    let expected = cpu.outputs(try cpu.step())
    for traits in DeviceHarness.traits {
      let device = try Loaded(graph, DeviceHarness.backend(traits), inputs)
      let found = device.outputs(try device.step())
      // Masks are left out: a number at the threshold may fall to either side.
      for index in stride(from: 0, to: found.count, by: 2) {
        let worst = zip(found[index].values, expected[index].values).map { abs($0 - $1) }.max()
        #expect((worst ?? 1) <= 1e-6, "\(traits.kind) \(Self.shapes[index / 2])")
      }
    }
  }
}
