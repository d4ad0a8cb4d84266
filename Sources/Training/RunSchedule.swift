// When samples, checkpoints and conditional blocks are due: the program's schedules and those of the command line, in
// steps.

import Elaboration

struct RunSchedule {
  private let schedules: [Schedule]
  let stepsPerEpoch: Int

  /// The program's schedules, those of replaced actions taken out, and the unnamed sample each
  /// epoch where none names it.
  init(
    _ train: TrainProgram, _ program: Program, replacing given: [Schedule], stepsPerEpoch: Int
  ) {
    let replaced = given.flatMap(\.actions)
    var schedules = train.schedules.map { schedule in
      var copy = schedule
      copy.actions.removeAll { replaced.contains($0) }
      return copy
    }
    schedules += given
    let hasUnnamed = program.samples.contains { $0.name == nil }
    if hasUnnamed, !schedules.contains(where: { $0.actions.contains(.sample(nil)) }) {
      schedules.append(Schedule(count: 1, unit: .epochs, actions: [.sample(nil)], block: nil))
    }
    self.schedules = schedules
    self.stepsPerEpoch = stepsPerEpoch
  }

  /// Whether any schedule asks for checkpoints.
  var hasCheckpoints: Bool { schedules.contains { $0.actions.contains(.checkpoint) } }

  /// The schedules that are due when `step` steps are done.
  func due(after step: Int) -> [Schedule] { schedules.filter { step % period($0) == 0 } }

  /// The conditional blocks that belong to the step after `step` steps.
  func blocks(after step: Int) -> Int {
    var blocks = 0
    for schedule in schedules {
      if let block = schedule.block, (step + 1) % period(schedule) == 0 { blocks |= 1 << block }
    }
    return blocks
  }

  /// Whether there can be a step among the first `totalSteps` in which these blocks are due, and only these: the
  /// first step in which all of them are is the least common multiple of their periods.
  func isPossible(_ blocks: Int, totalSteps: Int) -> Bool {
    func isIn(_ schedule: Schedule) -> Bool {
      schedule.block.map { blocks & (1 << $0) != 0 } ?? false
    }
    var common = 1
    for schedule in schedules where isIn(schedule) {
      let period = period(schedule)
      let (product, overflow) = (common / gcd(common, period)).multipliedReportingOverflow(
        by: period)
      guard !overflow, product <= totalSteps else { return false }
      common = product
    }
    return schedules.allSatisfy { schedule in
      schedule.block == nil || isIn(schedule) || common % period(schedule) != 0
    }
  }

  private func period(_ schedule: Schedule) -> Int {
    schedule.period(stepsPerEpoch: stepsPerEpoch)
  }

  private func gcd(_ a: Int, _ b: Int) -> Int {
    var (a, b) = (a, b)
    while b != 0 { (a, b) = (b, a % b) }
    return max(1, a)
  }
}

extension Schedule {
  /// The number of steps between two occurrences.
  func period(stepsPerEpoch: Int) -> Int {
    let (product, overflow) = count.multipliedReportingOverflow(
      by: unit == .steps ? 1 : stepsPerEpoch)
    return overflow ? Int.max : max(1, product)
  }
}
