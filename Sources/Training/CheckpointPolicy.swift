// Which checkpoints of a run are saved, and which stay: what the command line says of it, as it
// travels in each checkpoint, and who follows it.

import Basics
import Elaboration
import Formats

package struct CheckpointPolicy: Hashable, Sendable {
  /// How many checkpoints there are that nothing keeps for good. Nil is 2 where they are saved each
  /// epoch, and all where the program or `--every` says when.
  package var keepLast: Int?
  /// Saved after each of so many steps or epochs, and kept for good.
  package var keepEvery: Schedule?
  /// What `keepEvery` was before the run went on with another: saves nothing any more, but what is
  /// saved after so many steps or epochs is still kept for good.
  package var keptBefore: [Schedule] = []
  /// `--every`: in place of the program's schedules of the same action.
  package var schedules: [Schedule] = []

  package init() {}

  /// What the run was told before holds where nothing else is said.
  package mutating func goOn(from earlier: CheckpointPolicy) {
    keepLast = keepLast ?? earlier.keepLast
    keepEvery = keepEvery ?? earlier.keepEvery
    for before in [earlier.keepEvery].compactMap({ $0 }) + earlier.keptBefore
    where !keptSchedules.contains(where: { $0.intervalText == before.intervalText }) {
      keptBefore.append(before)
    }
    let replaced = schedules.flatMap(\.actions)
    schedules += earlier.schedules.filter { schedule in
      !schedule.actions.contains(where: replaced.contains)
    }
  }

  /// All whose checkpoints stay; the one that asks for them is the first.
  var keptSchedules: [Schedule] { [keepEvery].compactMap { $0 } + keptBefore }

  // MARK: Metadata

  var metadata: [(String, String)] {
    var metadata: [(String, String)] = []
    if let keepLast { metadata.append(("keep_last", String(keepLast))) }
    let kept = keptSchedules.map(\.intervalText)
    if kept.count == 1 { metadata.append(("keep_every", kept[0])) }
    if kept.count > 1 { metadata.append(("keep_every", Self.list(kept))) }
    let texts = schedules.compactMap(\.optionText)
    if !texts.isEmpty { metadata.append(("every", Self.list(texts))) }
    return metadata
  }

  private static func list(_ texts: [String]) -> String {
    JSONValue.array(texts.map { .string($0) }).text()
  }

  init(_ file: TensorFile, path: String) throws(EnvironmentFailure) {
    func damaged(_ key: String) -> EnvironmentFailure {
      EnvironmentFailure("\(path): its metadata are damaged: \(key) is no policy of checkpoints")
    }
    if let text = file.metadata("keep_last") {
      guard let count = Int(text), count > 0 else { throw damaged("keep_last") }
      keepLast = count
    }
    if let text = file.metadata("keep_every") {
      // One stands as it is, several as a list.
      let parts = try text.hasPrefix("[") ? JSONValue.parse(text, name: path).arrayValue : nil
      for part in parts ?? [.string(text)] {
        guard
          let schedule = part.stringValue.flatMap({ Schedule(interval: $0, [.checkpoint]) })
        else { throw damaged("keep_every") }
        if keepEvery == nil { keepEvery = schedule } else { keptBefore.append(schedule) }
      }
      guard keepEvery != nil else { throw damaged("keep_every") }
    }
    guard let text = file.metadata("every") else { return }
    guard let parts = try JSONValue.parse(text, name: path).arrayValue else {
      throw damaged("every")
    }
    for part in parts {
      guard let schedule = part.stringValue.flatMap(Schedule.init(option:)) else {
        throw damaged("every")
      }
      schedules.append(schedule)
    }
  }
}

extension Schedule {
  /// `200` steps or `5e` for epochs.
  package init?(interval text: String, _ actions: [Action]) {
    let isEpochs = text.hasSuffix("e")
    guard let count = Int(isEpochs ? String(text.dropLast()) : text), count > 0 else { return nil }
    self.init(count: count, unit: isEpochs ? .epochs : .steps, actions: actions, block: nil)
  }

  package var intervalText: String { "\(count)\(unit == .epochs ? "e" : "")" }

  /// `sample=200`, `sample=1e`, `checkpoint=5e`.
  package init?(option text: String) {
    let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
    guard parts.count == 2 else { return nil }
    switch parts[0] {
    case "sample": self.init(interval: parts[1], [.sample(nil)])
    case "checkpoint": self.init(interval: parts[1], [.checkpoint])
    default: return nil
    }
  }

  var optionText: String? {
    switch actions {
    case [.sample(nil)]: "sample=\(intervalText)"
    case [.checkpoint]: "checkpoint=\(intervalText)"
    default: nil
    }
  }
}

/// Follows a policy: says which checkpoints go when another is there.
struct CheckpointKeeper {
  private static let usual = 2

  let policy: CheckpointPolicy
  /// Where one is saved each epoch, because nothing says when.
  let savesEachEpoch: Bool
  private let stepsPerEpoch: Int
  /// Oldest first.
  private var rolling: [Int] = []

  init(_ policy: CheckpointPolicy, savesEachEpoch: Bool, stepsPerEpoch: Int) {
    self.policy = policy
    self.savesEachEpoch = savesEachEpoch
    self.stepsPerEpoch = stepsPerEpoch
  }

  /// Whether the policy asks for a checkpoint after `step` steps; it is kept for good.
  func isAsked(_ step: Int) -> Bool { policy.keepEvery.map { isDue($0, step) } ?? false }

  /// Whether a checkpoint after `step` steps is kept for good.
  private func isKept(_ step: Int) -> Bool {
    policy.keptSchedules.contains { isDue($0, step) }
  }

  private func isDue(_ schedule: Schedule, _ step: Int) -> Bool {
    step % schedule.period(stepsPerEpoch: stepsPerEpoch) == 0
  }

  /// The checkpoints of a run that goes on.
  mutating func adopt(_ steps: [Int]) {
    guard savesEachEpoch || policy.keepLast != nil else { return }
    rolling = steps.filter { !isKept($0) }
  }

  /// A checkpoint is there. Returns the steps of those that are to go.
  mutating func saved(_ step: Int) -> [Int] {
    guard savesEachEpoch || policy.keepLast != nil, !isKept(step), rolling.last != step else {
      return []
    }
    rolling.append(step)
    let excess = max(0, rolling.count - (policy.keepLast ?? Self.usual))
    defer { rolling.removeFirst(excess) }
    return Array(rolling.prefix(excess))
  }
}
