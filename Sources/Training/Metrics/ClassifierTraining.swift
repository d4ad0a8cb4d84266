// Trains the classifier whose features metrics compare, from the program that comes with the tool. What it brings is a
// function of the program, the data, the seed and the instruction set; so it is trained once and kept.

import Basics
import Elaboration
import Formats
import GraphIR
import Runtime

package struct ClassifierTraining {
  package static let seed: UInt64 = 0
  /// Small sets are gone over more often than the program says, until there were so many steps.
  package static let leastSteps = 1000
  private static let largestBatch = 128
  private static let leastEpochs = 4

  package let source: ProgramSource
  private let pictures: LabelledPictures
  private let batch: Int
  private let stepsPerEpoch: Int
  private let epochs: Int

  /// `shape` is that of one picture: [height, width, channels] or [height, width].
  package init(
    _ pictures: LabelledPictures, shape: [Int], leastSteps: Int = ClassifierTraining.leastSteps
  ) throws {
    guard shape.count == 3 || shape.count == 2, shape.allSatisfy({ $0 > 0 }) else {
      throw EnvironmentFailure(
        "the classifier takes pictures of shape [height, width, channels], not \(shapeText(shape))",
        help: "--metrics swd needs no features")
    }
    batch = min(Self.largestBatch, pictures.images.count)
    stepsPerEpoch = max(1, pictures.images.count / batch)
    epochs = max(Self.leastEpochs, (leastSteps + stepsPerEpoch - 1) / stepsPerEpoch)
    let settings = [
      ("batch", batch), ("height", shape[0]), ("width", shape[1]),
      ("channels", shape.count == 3 ? shape[2] : 1), ("classes", pictures.classes),
      ("epochs", epochs),
    ]
    source = try ProgramSource(
      SourceText(name: ClassifierProgram.name, ClassifierProgram.text),
      settings: settings.map { (name: $0.0, value: "\($0.1)") })
    self.pictures = pictures
  }

  /// What decides about the result, as one short word for a file's name. `arithmetic` says how it is computed: instruction
  /// set or device, and which roundings passes may change.
  package func key(arithmetic: String) -> String {
    var hash = StableHash()
    hash.combine(source.hash)
    hash.combine(pictures.images.checksum)
    hash.combine(pictures.labels.checksum)
    // Whether and how numbers that are no bytes were scaled.
    hash.combine(pictures.images.isScaled ? "" : pictures.scale.description)
    hash.combine("\(Self.seed)")
    hash.combine(arithmetic)
    return hexadecimal(hash.value)
  }

  package struct Progress: Sendable {
    package var step: Int
    package var steps: Int
    package var epoch: Int
    package var epochs: Int
    /// The means of the epoch so far.
    package var loss: Double
    package var accuracy: Double
    package var endsEpoch: Bool
  }

  /// Trains from the beginning. Returns nil where it was interrupted. Throws `EnvironmentFailure` where training died, as it
  /// may on data that are no pictures.
  package func run(
    _ backend: any Backend, _ compiler: GraphCompiler,
    isInterrupted: () -> Bool = { Interruption.isPending }, tell: (Progress) -> Void
  ) throws -> Session? {
    let session = try Session(
      program: source.program, backend: backend, seed: Self.seed, compiler: compiler)
    try session.initialize()
    pictures.prepare(batch: batch, seed: Self.seed)
    let steps = epochs * stepsPerEpoch
    var sums = (loss: 0.0, accuracy: 0.0)
    for step in 0..<steps {
      if isInterrupted() { return nil }
      let place = step % stepsPerEpoch
      if place == 0 { sums = (0, 0) }
      let clock = StepClock(step: step, epoch: step / stepsPerEpoch)
      let reports = try session.runStep(clock, blocks: 0, data: pictures).reports
      func report(_ name: String) -> Double { reports.first { $0.name == name }?.value ?? .nan }
      sums.loss += report("loss")
      sums.accuracy += report("accuracy")
      guard sums.loss.isFinite else {
        throw EnvironmentFailure(
          "the classifier's training died at step \(step + 1): its loss is \(report("loss"))",
          help: "do the data hold infinities or NaN? --metrics swd needs no classifier")
      }
      let done = Double(place + 1)
      tell(
        Progress(
          step: step + 1, steps: steps, epoch: clock.epoch + 1, epochs: epochs,
          loss: sums.loss / done, accuracy: sums.accuracy / done,
          endsEpoch: place + 1 == stepsPerEpoch))
    }
    return session
  }
}

extension PictureScale: CustomStringConvertible {
  package var description: String { range.map { "\($0.low)...\($0.high)" } ?? "as they are" }
}

/// 16 digits.
func hexadecimal(_ word: UInt64) -> String {
  let digits = String(word, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}
