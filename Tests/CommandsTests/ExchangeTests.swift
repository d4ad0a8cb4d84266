// Networks out as ONNX and in again: every network of every program gives the same as before.

import Basics
import CommandSupport
import Formats
import TestSupport
import Testing

@Suite struct ExchangeTests {
  /// What is no kernel moved away from its initial value, where mistakes could hide: biases from 0,
  /// factors and variances from 1.
  private static func moved(_ array: NPYArray) -> NPYArray {
    guard array.shape.count < 2 else { return array }
    let values = array.floats.enumerated().map { $1 + 0.05 * Float($0 % 7) + 0.02 }
    return NPYArray(shape: array.shape, floats: values)
  }

  private static func noise(_ shape: [Int]) -> NPYArray {
    var random = PhiloxSequence(seed: 5, stream: 1)
    let values = (0..<shape.reduce(1, *)).map { _ in Float(2 * random.nextUniform() - 1) }
    return NPYArray(shape: shape, floats: values)
  }

  @Test(arguments: Places.models) func everyNetworkComesBack(_ name: String) throws {
    let folder = try TemporaryFolder()
    let program = Places.graph(name)
    let weights = folder.file("w.npz")
    func run(_ arguments: String...) {
      let result = exec(arguments)
      #expect(result.code == 0, "\(arguments): \(result.messages)")
    }
    func floats(_ file: String) throws -> [Float] {
      try NPYArray.decode(try FileIO.read(folder.file(file)), name: file).floats
    }
    run("export", program, "--seed", "1", "--output", weights)
    let arrays = try NPZArchive(try FileIO.read(weights), name: weights).arrays()
    try FileIO.writeAtomically(
      try NPZ.encode(arrays.map { ($0.key, Self.moved($0.array)) }), to: weights)

    for (network, argument) in [("generator", "z"), ("discriminator", "image")] {
      let model = folder.file("\(network).onnx")
      run("export", program, network, "--weights", weights, "--output", model)
      let file = try ONNXModel.decode(try FileIO.read(model), name: model)
      guard case .tensor(_, .some(let dimensions)) = file.graph.inputs[0].kind else {
        Issue.record("no shape")
        continue
      }
      // Another batch than the program's, and than those that were compared.
      let shape = dimensions.map { if case .value(let size) = $0 { size } else { 3 } }
      let input = folder.file("input.npy")
      try FileIO.writeAtomically(try Self.noise(shape).encode(), to: input)
      run(
        "eval", program, network, "--weights", weights, "--math", "exact", "--input",
        "\(argument)=\(input)", "--output", folder.file("a.npy"))
      run(
        "eval", model, "--math", "exact", "--input", "\(argument)=\(input)", "--output",
        folder.file("b.npy"))
      let (a, b) = (try floats("a.npy"), try floats("b.npy"))
      let largest = a.map(abs).max() ?? 0
      #expect(a.count == b.count && largest > 0)
      let apart = zip(a, b).map { abs($0 - $1) }.max() ?? .infinity
      #expect(apart <= 1e-5 * largest, "\(network): \(apart) of \(largest)")
    }
  }
}
