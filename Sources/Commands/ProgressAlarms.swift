// The signs of ill health that stand in a run, for the line of progress: events of the run go in, what the line shows comes out.

import Formats
import Training

struct ProgressAlarms {
  /// The last one at the end.
  private var standing: [(kind: HealthEvent.Kind, subject: String)] = []

  /// Takes a line of the log of a run that goes on.
  mutating func recall(_ line: JSONValue) {
    if let event = HealthEvent(logLine: line) { note(event) }
  }

  /// The last one that is not over, in a word or two.
  var last: String? { standing.last?.kind.words }

  mutating func note(_ event: HealthEvent) {
    standing.removeAll { $0.kind == event.kind && $0.subject == event.subject }
    if !event.isOver { standing.append((event.kind, event.subject)) }
  }
}
