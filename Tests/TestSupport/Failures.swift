// Expecting an environment failure with given words.

import Basics
import Testing

/// Runs `body`, which must fail with an `EnvironmentFailure` whose message has all `words`.
package func expectFailure(
  _ words: String..., sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Void
) {
  do {
    try body()
    Issue.record("no failure; expected one with \(words)", sourceLocation: sourceLocation)
  } catch let failure as EnvironmentFailure {
    for word in words where !failure.message.contains(word) {
      Issue.record(
        "expected '\(word)' in: \(failure.message)", sourceLocation: sourceLocation)
    }
  } catch {
    Issue.record("another error: \(error)", sourceLocation: sourceLocation)
  }
}
