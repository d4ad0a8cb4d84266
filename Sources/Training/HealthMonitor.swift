// Turns what a run reports into warnings. A value that depends on the steps' reports and the measures in their order and on
// nothing else, so a run that goes on from a checkpoint is given those of its log again and then warns as it would have
// without the stop. Each rule has its own memory of bounded size; it says something once, and then that it is over.

import Basics
import Elaboration
import GraphIR

/// What is measured beside the reports, now and then.
enum HealthMeasure: Sendable, Equatable {
  /// Root mean squares over a network's parameters: themselves, what one step added to them, and the optimiser's running
  /// mean of their gradients where it keeps one.
  case movement(network: String, weights: Double, change: Double, gradient: Double?)
  /// The mean distance between two images of a sample, and between two examples of the data they imitate.
  case diversity(sample: String, count: Int, value: Double, ofData: Double?)
}

/// What a rule finds.
enum RuleFinding {
  case began(String)
  case ended(String)
}

struct HealthMonitor {
  private var flat: [FlatLossRule]
  private var duels: [DuelRule]
  private var movements: [MovementRule]
  private var collapses: [CollapseRule] = []
  private let roles: TrainingRoles
  /// Where the network that makes a sample's images is updated. For lookup only.
  private let makers: [String: Origin]

  init(_ roles: TrainingRoles, makers: [String: Origin]) {
    self.roles = roles
    self.makers = makers
    flat = roles.reports.map { FlatLossRule(report: $0.name, origin: $0.origin) }
    duels = roles.duels.map { DuelRule($0) }
    movements = roles.learners.map { MovementRule(network: $0) }
  }

  /// The reports of a step that is done.
  mutating func note(step: Int, reports: [(name: String, value: Double)]) -> [HealthEvent] {
    var events: [HealthEvent] = []
    for index in flat.indices {
      guard let value = reports.first(where: { $0.name == flat[index].report })?.value,
        let finding = flat[index].note(value)
      else { continue }
      events.append(
        Self.event(.flatLoss, finding, step, flat[index].report, at: flat[index].origin))
    }
    for index in duels.indices {
      guard let (kind, finding) = duels[index].note(reports) else { continue }
      let duel = duels[index].duel
      events.append(Self.event(kind, finding, step, duel.judge, at: duel.origin))
    }
    return events
  }

  /// A measure after a step.
  mutating func note(step: Int, _ measure: HealthMeasure) -> [HealthEvent] {
    switch measure {
    case .movement(let network, let weights, let change, let gradient):
      guard let index = movements.firstIndex(where: { $0.network == network }) else { return [] }
      return movements[index].note(weights: weights, change: change, gradient: gradient).map {
        Self.event($0, $1, step, network, at: roles.update(of: network))
      }
    case .diversity(let sample, let count, let value, let ofData):
      let index =
        collapses.firstIndex { $0.sample == sample }
        ?? {
          collapses.append(CollapseRule(sample: sample))
          return collapses.count - 1
        }()
      guard
        let finding = collapses[index].note(
          value, step: step, count: count, ofData: ofData)
      else {
        return []
      }
      return [Self.event(.collapse, finding, step, sample, at: makers[sample])]
    }
  }

  private static func event(
    _ kind: HealthEvent.Kind, _ finding: RuleFinding, _ step: Int, _ subject: String,
    at origin: Origin?
  ) -> HealthEvent {
    var event: HealthEvent
    switch finding {
    case .began(let message): event = HealthEvent(kind, step: step, message: message)
    case .ended(let message):
      event = HealthEvent(kind, step: step, message: message)
      event.isOver = true
    }
    event.subject = subject
    event.line = Int(origin?.line ?? 0)
    event.column = Int(origin?.column ?? 0)
    if event.line > 0 { event.message += " (line \(event.line))" }
    return event
  }
}
