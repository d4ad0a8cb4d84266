// Runs graphs on the first OpenCL device of this machine, with the kernels of a processor and with those of a GPU, beside the
// reference evaluator.

import BackendSupport
import Basics
import GraphIR
import OpenCLBackend
import Operators
import Testing

enum DeviceHarness {
  /// Whether there is a device; tests that need one say so when they skip.
  static let hasDevice = (try? OpenCLBackend.device(at: nil)) != nil
  static let missing: Comment = "no OpenCL device here (Debian: pocl-opencl-icd)"

  /// The shapes of kernels that are tried: those for processors and, whatever the device is, those for GPUs.
  static var traits: [DeviceTraits] {
    guard let own = try? OpenCLBackend.device(at: nil).traits else { return [] }
    var gpu = DeviceTraits.gpu
    gpu.localBytes = min(gpu.localBytes, own.localBytes)
    gpu.groupLimit = min(gpu.groupLimit, own.groupLimit)
    gpu.hasDouble = own.hasDouble
    // A processor's own, so that what is built for tests is what runs.
    var cpu = own.kind == .cpu ? own : DeviceTraits.cpu
    cpu.localBytes = min(cpu.localBytes, own.localBytes)
    cpu.hasDouble = own.hasDouble
    return [cpu, gpu]
  }

  static func backend(_ traits: DeviceTraits) throws -> OpenCLBackend {
    try OpenCLBackend(device: OpenCLBackend.device(at: nil), traits: traits)
  }

  /// Several operations in one graph, which a device's compiler takes at once: its outputs are those of all of them, and
  /// its inputs are random numbers of their own.
  struct Batch {
    let builder = GraphBuilder(name: "batch", stage: .fused)
    private(set) var inputs: [HostTensor] = []
    private var count = 0

    mutating func add(_ operation: any Operation, _ operands: [HostTensor]) throws {
      let values = try operands.map { tensor in
        inputs.append(tensor)
        return try builder.input(.argument("x\(inputs.count - 1)"), tensor.type)
      }
      for result in try builder.add(operation, values) {
        builder.output(.result("\(count) \(operation.mnemonic)"), result)
        count += 1
      }
    }

    /// With operands of uniform random numbers.
    mutating func add(
      _ operation: any Operation, _ operands: [TensorType], low: Double = -1, high: Double = 1
    ) throws {
      var filler = Filler(UInt64(inputs.count + 1))
      try add(operation, operands.map { filler.uniform($0, low, high) })
    }

    /// Runs all with every shape of kernels and compares with the evaluator; twice, for equal bits.
    func expectAgreement(
      bound: Double = 1e-5, traits shapes: [DeviceTraits] = DeviceHarness.traits,
      location: SourceLocation = #_sourceLocation
    ) throws {
      let graph = builder.finish()
      let expected = Evaluator().evaluate(graph, inputs: inputs)
      for traits in shapes {
        let backend = try DeviceHarness.backend(traits)
        for difference in try disagreements(
          graph, inputs, on: backend, bound: bound, expected: expected)
        {
          Issue.record("\(traits.kind) \(difference)", sourceLocation: location)
        }
        let loaded = try Loaded(graph, backend, inputs)
        #expect(try loaded.step() == loaded.step(), "not the same bits", sourceLocation: location)
      }
    }
  }
}
