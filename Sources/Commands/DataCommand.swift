// `gan-exec data SOURCE`: what a data source holds. `gan-exec devices`: what there is to run on.

import Basics
import CPUBackend
import Formats
import GraphIR
import Training

package enum DataCommand {
  package static let spec = CommandSpec(
    "data", "SOURCE", count: 1...1,
    "Shows what a data source holds: counts, shape, range, mean, deviation; bad files are named.",
    options: [
      OptionSpec("--out", "F.png", "write the first 64 examples as a grid"),
      OptionSpec("--json", nil, "one JSON object"),
    ])

  package static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    let resolver = DatasetResolver(
      dataDirectory: arguments.value("--data-dir"), environment: processEnvironment())
    let set = try resolver.resolve(arguments.positionals[0])
    let facts = Facts(set)
    if arguments.has("--json") {
      console.print(facts.object(set).text() + "\n")
    } else {
      console.print(facts.text(set))
    }
    if let out = arguments.value("--out") { try writeGrid(set, to: out) }
    return ExitCode.done
  }

  private static func examples(_ set: Dataset, _ indices: [Int]) -> [Float] {
    var values = [Float](repeating: 0, count: indices.count * set.exampleCount)
    let scale = (0..<256).map { Float($0) }
    values.withUnsafeMutableBytes {
      set.copy(examples: indices, pass: 0, as: .f32, scale: scale, into: $0)
    }
    return values
  }

  private struct Facts {
    var examined: Int
    var low = Double.infinity
    var high = -Double.infinity
    var mean = 0.0
    var deviation = 0.0

    /// Over all examples, or the first 1,000 of endless ones.
    init(_ set: Dataset) {
      if case .garments = set.storage { examined = 1000 } else { examined = set.count }
      var sum = 0.0
      var squares = 0.0
      for first in stride(from: 0, to: examined, by: 256) {
        let values = DataCommand.examples(set, Array(first..<min(first + 256, examined)))
        for value in values {
          let number = Double(value)
          low = min(low, number)
          high = max(high, number)
          sum += number
          squares += number * number
        }
      }
      let count = Double(max(1, examined * set.exampleCount))
      mean = sum / count
      deviation = max(0, squares / count - mean * mean).squareRoot()
    }

    func text(_ set: Dataset) -> String {
      """
      \(set.name)
        examples   \(set.count)
        shape      \(shapeText(set.shape))
        range      \(low)...\(high)
        mean       \(Progress.short(mean))
        deviation  \(Progress.short(deviation))
        checksum   \(set.checksum)

      """
    }

    func object(_ set: Dataset) -> JSONValue {
      [
        "name": .string(set.name), "examples": .int(set.count),
        "shape": .array(set.shape.map { .int($0) }), "low": .double(low), "high": .double(high),
        "mean": .double(mean), "deviation": .double(deviation), "checksum": .string(set.checksum),
      ]
    }
  }

  private static func writeGrid(_ set: Dataset, to out: String) throws {
    let indices = Array(0..<min(64, set.count))
    let drawn = (shape: [indices.count] + set.shape, values: examples(set, indices))
    let high = set.isScaled ? 255.0 : 1.0
    guard let grid = try SampleWriter.grid(drawn, low: set.isScaled ? 0 : -1, high: high) else {
      throw UsageError("examples of shape \(shapeText(set.shape)) are no pictures")
    }
    try FileIO.writeAtomically(try PNG.encode(grid), to: out)
  }
}
