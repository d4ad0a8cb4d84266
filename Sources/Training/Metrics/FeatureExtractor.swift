// From pictures to features: the network `features` of a weights file, in inference mode and in batches of one size, so
// that an image's features do not depend on its neighbours.

import Basics
import Elaboration
import Formats
import GraphIR
import Runtime

package final class FeatureExtractor {
  package static let network = "features"
  private static let batch = 100

  /// Of one image's features.
  package let width: Int
  /// Tells weights apart: of the program and every number of the file. Results are comparable where it is the same.
  package let hash: String
  private let session: Session
  private let graph: Graph
  private let argument: String
  private let shape: [Int]

  /// `path` names the file in messages, `shape` is that of one picture.
  package init(
    _ file: Weights.WithProgram, path: String, shape: [Int], backend: any Backend,
    compiler: GraphCompiler
  ) throws {
    let name = Self.network
    let found = try Self.network(of: file.program.elaborated(), path)
    let argument = found.arguments[0]
    let wanted = Array(argument.type.shape.dropFirst())
    guard wanted == shape || wanted == shape + [1] else {
      throw EnvironmentFailure(
        "\(path): its network '\(name)' takes images of shape \(shapeText(wanted)), "
          + "and these have \(shapeText(shape))",
        help: "without --features, a classifier is trained for these")
    }
    let source = try file.program.elaborated(
      argumentShapes: [(network: name, argument: argument.name, shape: [Self.batch] + wanted)])
    let network = try Self.network(of: source, path)
    guard network.arguments[0].type.shape.first == Self.batch,
      network.results[0].shape.first == Self.batch
    else {
      throw EnvironmentFailure(
        "\(path): its network '\(name)' takes only batches of \(argument.type.shape[0]) images",
        help: "declare it with a dimension variable: network \(name)(image: [n, …]) -> [n, width]")
    }
    session = try Session(
      program: source.program, backend: backend, seed: 0, compiler: compiler)
    try session.initialize()
    graph = network.graph
    try Weights.load(file.tensors, into: session, for: graph, path: path)
    self.argument = argument.name
    self.shape = shape
    width = network.results[0].shape[1]
    hash = Self.hash(source, file.tensors)
  }

  private static func network(
    of source: ProgramSource, _ path: String
  ) throws(EnvironmentFailure) -> NetworkProgram {
    guard let network = source.program.networks.first(where: { $0.name == Self.network }) else {
      let names = source.program.networks.map(\.name).joined(separator: ", ")
      throw EnvironmentFailure(
        "\(path): its program has no network '\(Self.network)'; it has \(names)",
        help: "features are the result of network features(image: [n, …]) -> [n, width]")
    }
    guard network.arguments.count == 1, network.arguments[0].type.element == .f32,
      network.arguments[0].type.shape.count >= 2, network.results.count == 1,
      network.results[0].element == .f32, network.results[0].shape.count == 2
    else {
      throw EnvironmentFailure(
        "\(path): its network '\(Self.network)' does not lead from one argument [n, …] "
          + "to one result [n, width]")
    }
    return network
  }

  private static func hash(_ source: ProgramSource, _ tensors: [NamedTensor]) -> String {
    var hash = StableHash()
    hash.combine(source.hash)
    for tensor in tensors.sorted(by: { $0.name < $1.name }) {
      hash.combine(tensor.name)
      hash.combine(tensor.data)
    }
    return hexadecimal(hash.value)
  }

  /// The features of all pictures, which must have the extractor's shape.
  package func features(of pictures: PictureSet) throws -> FeatureMatrix {
    guard pictures.shape == shape else {
      throw EnvironmentFailure(
        "pictures of shape \(shapeText(pictures.shape)) where the features are of "
          + "\(shapeText(shape))")
    }
    let size = pictures.pixelCount
    var values: [Float] = []
    values.reserveCapacity(pictures.count * width)
    for first in stride(from: 0, to: pictures.count, by: Self.batch) {
      let end = min(pictures.count, first + Self.batch)
      // The last batch is filled up; what comes of that is dropped.
      var batch = Array(pictures.values[first * size..<end * size])
      batch += [Float](repeating: 0, count: Self.batch * size - batch.count)
      let result = try session.evaluate(
        graph, key: Self.network, arguments: [argument: batch.withUnsafeBytes { Array($0) }])
      result[0].bytes.withUnsafeBytes {
        values += $0.bindMemory(to: Float.self)[..<((end - first) * width)]
      }
    }
    return try FeatureMatrix(width: width, values: values)
  }
}
