// What happens in a run, as values, and who is told of it. The loop trains; all that a run leaves behind but
// checkpoints and weights (logs, plots, reports, what a person sees) is written by observers of these events, so a new kind
// of record is a new observer and touches nothing else.

import Basics
import Elaboration
import Formats

/// What happens, told to every observer as it happens.
package enum TrainingEvent: Sendable {
  /// A step's computation is done. A value among its reports may be infinite or NaN: the run then ends.
  case step(StepReport)
  /// Epochs done, and the seconds that this one took.
  case epochEnd(Int, seconds: Double)
  case sample(DrawnSample)
  /// A checkpoint is saved.
  case checkpoint(path: String)
  case warning(String)
  /// Training is not well.
  case health(HealthEvent)
}

package struct StepReport: Sendable {
  /// Steps done, this one included.
  package var step: Int
  package var totalSteps: Int
  /// The epoch of this step, from 0.
  package var epoch: Int
  package var stepsPerEpoch: Int
  package var seconds: Double
  package var reports: [(name: String, value: Double)]

  /// Its line in log.jsonl: the step, the epoch, and the reported values by their names.
  package var logLine: JSONValue {
    var pairs: [(key: String, value: JSONValue)] = [
      (key: "step", value: .int(step)), (key: "epoch", value: .int(epoch)),
    ]
    for report in reports {
      // The shortest text that reads back as the same float.
      let shortest = shortestDecimal(ofFloat: report.value)
      pairs.append((key: report.name, value: .double(shortest)))
    }
    return .object(pairs)
  }
}

/// Images, or other numbers, that a sample of the program drew.
package struct DrawnSample: Sendable {
  /// The sample's name in the program; nil is the unnamed one.
  package var name: String?
  /// `epoch-0003`, `step-00000200`, `final`.
  package var label: String
  /// Steps done.
  package var step: Int
  /// The file that it was written to.
  package var path: String
  package var shape: [Int]
  /// Row-major.
  package var values: [Float]
  /// The grid; nil for what is no list of pictures.
  package var grid: Image?
}

/// A sign that training is not well, or that it died.
package struct HealthEvent: Sendable {
  package enum Kind: String, Sendable, CaseIterable {
    case nonFinite, collapse, discriminatorWins, discriminatorLoses, vanishingGradients,
      explodingWeights, flatLoss

    /// For lines and tables.
    package var words: String {
      switch self {
      case .nonFinite: "not finite"
      case .collapse: "collapse"
      case .discriminatorWins: "discriminator wins"
      case .discriminatorLoses: "discriminator loses"
      case .vanishingGradients: "vanishing gradients"
      case .explodingWeights: "exploding weights"
      case .flatLoss: "flat loss"
      }
    }
  }
  package var kind: Kind
  /// Steps done.
  package var step: Int
  /// A sentence for a person, with the numbers that it is drawn from.
  package var message: String
  /// The report, network or sample that it is about; the networks of a duel by their discriminator.
  package var subject = ""
  /// Whether what an earlier event told of is over.
  package var isOver = false
  /// The place in the program that it is about; 0 where there is none.
  package var line = 0
  package var column = 0
  /// What is known of the operation that gave the first bad value.
  package var diagnosis: NonFiniteDiagnosis?

  package init(_ kind: Kind, step: Int, message: String) {
    self.kind = kind
    self.step = step
    self.message = message
  }

  /// Its line in log.jsonl, told from those of steps by its key `event`.
  package var logLine: JSONValue {
    var pairs: [(key: String, value: JSONValue)] = [
      (key: "step", value: .int(step)), (key: "event", value: .string("health")),
      (key: "kind", value: .string(kind.rawValue)), (key: "message", value: .string(message)),
    ]
    if !subject.isEmpty { pairs.append((key: "subject", value: .string(subject))) }
    if isOver { pairs.append((key: "over", value: .bool(true))) }
    if let diagnosis {
      pairs += diagnosis.json
    } else if line > 0 {
      pairs.append((key: "line", value: .int(line)))
      pairs.append((key: "column", value: .int(column)))
    }
    return .object(pairs)
  }
}

/// What is known of a run before its first step.
package struct RunDescription {
  package var source: ProgramSource
  package var train: TrainProgram
  /// One line about the backend.
  package var backend: String
  package var folder: RunFolder
  package var seed: UInt64
  /// Name and description of each data source.
  package var data: [(name: String, dataset: Dataset)]
  /// Steps that were done before, where a run goes on; else 0.
  package var startStep: Int
  package var totalSteps: Int
  package var stepsPerEpoch: Int
  package var times: RunTimes

  package var program: Program { source.program }
}

/// Where the time of a run goes, kept by the loop for those who tell of it. Seconds since the run began or went on.
package final class RunTimes {
  /// Within the steps' computation, the data brought to it included.
  package internal(set) var steps = 0.0
  /// Of that, waiting for batches.
  package internal(set) var waited = 0.0
  /// Drawing samples and writing their files.
  package internal(set) var samples = 0.0
  /// Within observers.
  package internal(set) var observers = 0.0

  package init() {}
}

/// Somebody who is told of a run. Everything is called on the thread that trains, in the order of the observers; what takes
/// time here takes it from training. What is thrown ends the run.
package protocol TrainingObserver: AnyObject {
  /// Whether a run without it is not worth going on with. Where an observer that is not essential
  /// fails, after the beginning, the run warns and goes on without it.
  var isEssential: Bool { get }
  /// The next line of the log of a run that goes on, up to its checkpoint; all of them before `begin`. The log of a long run
  /// is longer than what an observer should hold.
  func recall(_ line: JSONValue)
  /// Before the first step.
  func begin(_ run: RunDescription) throws
  func observe(_ event: TrainingEvent) throws
  /// Files are to be brought up to date: about once a second, at the end of each epoch, and `durably` before a checkpoint
  /// and at the end.
  func flush(durably: Bool) throws
  /// The run is over, with what it ended in. Where that is an error, what is thrown here is not told.
  func end(_ end: TrainingEnd) throws
}

extension TrainingObserver {
  package var isEssential: Bool { true }
  package func recall(_ line: JSONValue) {}
  package func begin(_ run: RunDescription) throws {}
  package func flush(durably: Bool) throws {}
  package func end(_ end: TrainingEnd) throws {}
}

package enum TrainingEnd: Sendable {
  case finished
  case interrupted(checkpoint: String)
  case died(TrainingDeath)
  /// An error ended the run, with its message: told to observers alone, as far as they can still hear it.
  case failed(String)
}

/// A run that ended because a value was infinite or NaN. No checkpoint of such a state is ever
/// written.
package struct TrainingDeath: Error, Sendable {
  package var step: Int
  /// A reported scalar, a state, or with `checksFinite` an operation and its place.
  package var name: String
  package var value: Double
  package var lastCheckpoint: String?

  /// `dLoss is NaN`
  package var message: String { "\(name) is \(value.isNaN ? "NaN" : "\(value)")" }
}
