// The rules of HealthMonitor. Each is told of one kind of number in the order of the steps, and answers with the beginning or
// the end of what it looks for.

import Formats
import GraphIR

/// A loss that does not move.
struct FlatLossRule: Sendable {
  /// In how many reports one after the other. Healthy losses change with every batch; the constant ones of short runs of
  /// zeros, as of a hinge loss that is reached for a while, are shorter.
  static let window = 200
  /// The largest change over the window, beside the magnitude: some units in the last place of f32, 6·10⁻⁸.
  static let tolerance = 1e-6

  let report: String
  let origin: Origin
  private var least = Double.infinity
  private var greatest = -Double.infinity
  private var count = 0
  private var isFlat = false

  init(report: String, origin: Origin) {
    self.report = report
    self.origin = origin
  }

  mutating func note(_ value: Double) -> RuleFinding? {
    guard value.isFinite else { return nil }
    let low = min(least, value)
    let high = max(greatest, value)
    guard high - low <= Self.tolerance * max(abs(low), abs(high)) else {
      (least, greatest, count) = (value, value, 1)
      defer { isFlat = false }
      return isFlat ? .ended("\(report) moves again") : nil
    }
    (least, greatest, count) = (low, high, count + 1)
    guard count == Self.window, !isFlat else { return nil }
    isFlat = true
    return .began(
      "\(report) has been \(shortNumber(value)) for \(count) steps: nothing is learnt from it")
  }
}

/// The mean of what is reported in a block of steps.
private struct BlockMean {
  private var sum = 0.0
  private(set) var count = 0

  /// Nil where nothing was reported.
  var value: Double? { count > 0 ? sum / Double(count) : nil }

  mutating func add(_ value: Double) {
    sum += value
    count += 1
  }
}

/// A discriminator that wins or loses outright.
struct DuelRule: Sendable {
  /// Losses are looked at in means over this many steps, because those of single batches jump.
  static let block = 50
  /// How many blocks one after the other. Healthy programs have discriminators that are perfect for some 150 steps at the
  /// beginning, before the generator learns anything.
  static let blocks = 6
  /// The same where the generator's loss has no scale, so that only one side is known.
  static let blocksAlone = 12
  /// The discriminator's standing from which it wins: 98 % of what there is to win.
  static let wins = 0.98
  /// What the generator's loss may have fallen in the meantime, of its first mean, for the discriminator still to win.
  static let fall = 0.9
  /// The discriminator's standing from which it loses: worse than chance by half of what there is to win; alone, by all of
  /// it.
  static let loses = -0.5
  static let losesAlone = -1.0
  /// The generator's standing from which it wins.
  static let makerWins = 0.9
  /// It is over where the discriminator's standing is back between these.
  static let over = -0.2...0.9

  let duel: TrainingRoles.Duel
  private var judgeMean = BlockMean()
  /// Of the same steps; of fewer ones where the generator's losses are reported in some of them only.
  private var makerMean = BlockMean()
  private var winning = 0
  private var losing = 0
  /// The generator's mean loss in the first block of those in which the discriminator has been winning.
  private var makerFirst: Double?
  private var told: HealthEvent.Kind?

  init(_ duel: TrainingRoles.Duel) { self.duel = duel }

  mutating func note(
    _ reports: [(name: String, value: Double)]
  ) -> (HealthEvent.Kind, RuleFinding)? {
    guard let judge = Self.sum(duel.judgeReports, reports) else { return nil }
    judgeMean.add(judge)
    if let maker = Self.sum(duel.makerReports, reports) { makerMean.add(maker) }
    guard judgeMean.count == Self.block, let mean = judgeMean.value else { return nil }
    defer { (judgeMean, makerMean) = (BlockMean(), BlockMean()) }
    return note(judge: mean, maker: makerMean.value)
  }

  /// Nil where one of them is not reported in this step.
  private static func sum(
    _ names: [String], _ reports: [(name: String, value: Double)]
  ) -> Double? {
    var sum = 0.0
    for name in names {
      guard let value = reports.first(where: { $0.name == name })?.value else { return nil }
      sum += value
    }
    return sum
  }

  /// The means of a block; nil for a generator of which nothing was reported in it.
  private mutating func note(
    judge: Double, maker: Double?
  ) -> (HealthEvent.Kind, RuleFinding)? {
    let standing = duel.judgeScale.standing(judge)
    let makerStanding = maker.flatMap { loss in duel.makerScale?.standing(loss) }
    if let told, Self.over.contains(standing) {
      self.told = nil
      (winning, losing) = (0, 0)
      return (told, .ended("\(duel.judge) and \(duel.maker) are in balance again"))
    }
    let wins = standing >= Self.wins && (makerStanding ?? 0) <= 0
    if winning == 0 { makerFirst = nil }
    if wins { makerFirst = makerFirst ?? maker }
    winning = wins && !hasFallen(maker) ? winning + 1 : 0
    let loses =
      makerStanding.map { standing <= Self.loses && $0 >= Self.makerWins }
      ?? (standing <= Self.losesAlone)
    losing = loses ? losing + 1 : 0
    let needed = makerStanding == nil ? Self.blocksAlone : Self.blocks
    guard told == nil, max(winning, losing) >= needed else { return nil }
    let kind: HealthEvent.Kind = winning >= needed ? .discriminatorWins : .discriminatorLoses
    told = kind
    return (kind, .began(message(kind, judge, maker, steps: needed * Self.block)))
  }

  /// Whether the generator has caught up since the discriminator has been winning.
  private func hasFallen(_ maker: Double?) -> Bool {
    guard let maker, let makerFirst else { return false }
    return maker < Self.fall * makerFirst
  }

  private func message(
    _ kind: HealthEvent.Kind, _ judge: Double, _ maker: Double?, steps: Int
  ) -> String {
    var losses =
      "its loss (\(duel.judgeReports.joined(separator: " + "))) is \(shortNumber(judge)), at chance "
      + shortNumber(duel.judgeScale.chance)
    if let maker, !duel.makerReports.isEmpty {
      let names = duel.makerReports.joined(separator: " + ")
      losses += "; that of \(duel.maker) (\(names)) is \(shortNumber(maker))"
    }
    switch kind {
    case .discriminatorWins:
      return
        "\(duel.judge) has told \(duel.maker)'s results from data almost without error for \(steps) steps: \(losses)"
    default:
      return "\(duel.judge) has been worse than chance for \(steps) steps: \(losses)"
    }
  }
}

/// Weights that stand still because their gradients have vanished, and weights without bounds.
struct MovementRule: Sendable {
  /// Half the distance of neighbouring floats, beside their magnitude: what is added in a step is lost in rounding.
  static let still = 6e-8
  /// A running mean of gradients that is smaller than this, or than this part of the largest that it was, has vanished; so
  /// weights that stand still because of a rate near 0 are told apart.
  static let vanished = 1e-9
  static let vanishedPart = 1e-3
  /// In how many measures one after the other: they are hundreds of steps apart.
  static let measures = 3
  /// How many times as large as at the first measure; weights of healthy runs grow by a few times in a whole training.
  static let explosion = 100.0

  let network: String
  private var largestGradient = 0.0
  private var count = 0
  private var isVanished = false
  private var firstWeights: Double?
  /// What the weights must reach to be told of.
  private var limit = 0.0

  init(network: String) { self.network = network }

  mutating func note(
    weights: Double, change: Double, gradient: Double?
  ) -> [(HealthEvent.Kind, RuleFinding)] {
    var found: [(HealthEvent.Kind, RuleFinding)] = []
    if let finding = noteGrowth(weights) { found.append((.explodingWeights, finding)) }
    if let finding = noteMovement(weights, change, gradient) {
      found.append((.vanishingGradients, finding))
    }
    return found
  }

  private mutating func noteGrowth(_ weights: Double) -> RuleFinding? {
    guard let first = firstWeights else {
      firstWeights = weights
      limit = Self.explosion * weights
      return nil
    }
    guard first > 0, weights > limit else { return nil }
    limit = Self.explosion * weights
    return .began(
      "the weights of \(network) have grown from \(shortNumber(first)) to \(shortNumber(weights)) "
        + "(root mean squares): a smaller learning rate keeps them in bounds")
  }

  private mutating func noteMovement(
    _ weights: Double, _ change: Double, _ gradient: Double?
  ) -> RuleFinding? {
    largestGradient = max(largestGradient, gradient ?? 0)
    let isStill = change <= Self.still * weights
    let isGone = gradient.map {
      $0 <= max(Self.vanished, Self.vanishedPart * largestGradient)
    }
    guard isStill, isGone ?? true else {
      count = 0
      defer { isVanished = false }
      return isVanished ? .ended("the weights of \(network) move again") : nil
    }
    count += 1
    guard count == Self.measures, !isVanished else { return nil }
    isVanished = true
    let cause =
      gradient.map { "its gradients have vanished (mean \(shortNumber($0)))" }
      ?? "its gradients have vanished, or its rate is 0"
    return .began(
      "the weights of \(network) no longer move: \(cause); a step changes them by "
        + "\(shortNumber(change / max(weights, .leastNormalMagnitude))) of their size")
  }
}

/// Images of a sample that become alike.
struct CollapseRule: Sendable {
  /// What is left of the largest diversity, and the diversity beside that of data, below which the images are too much
  /// alike. Healthy runs begin at 0.1 to 0.6 of the data's and rise to it; they lose a tenth at times.
  static let part = 0.4
  /// The same for samples of few images, whose mean distance is a rough measure.
  static let partOfFew = 0.25
  static let few = 8
  /// In how many samples one after the other.
  static let samples = 3
  /// A diversity must have been this part of the data's before it can be lost: before a generator has learnt anything, or
  /// its running statistics have settled, the images differ by little, and by now more and now less.
  static let gained = 0.25
  /// Below this part of the data's diversity, after so many samples and steps, the images have never been different.
  static let never = 0.02
  static let neverSamples = 10
  static let neverSteps = 3000
  /// It is over where this part of the largest diversity is there again, and told again where it has become worse by this.
  static let over = 0.6
  static let worse = 0.25

  let sample: String
  private var last: [Double] = []
  /// The largest median of three.
  private var peak = 0.0
  private var count = 0
  private var low = 0
  /// The diversity when it was told.
  private var told: Double?

  init(sample: String) { self.sample = sample }

  mutating func note(
    _ value: Double, step: Int, count images: Int, ofData: Double?
  ) -> RuleFinding? {
    guard value.isFinite else { return nil }
    count += 1
    last = last.suffix(2) + [value]
    if last.count == 3 { peak = max(peak, last.sorted()[1]) }
    let part = images < Self.few ? Self.partOfFew : Self.part
    if let told {
      if value >= Self.over * peak, value > told {
        self.told = nil
        low = 0
        return .ended("\(name) differ again: their mean distance is \(shortNumber(value))")
      }
      guard value <= Self.worse * told, told > 0 else { return nil }
      self.told = value
      return .began("\(name) have become still more alike: \(distances(value, ofData))")
    }
    let isLow =
      value <= part * peak
      && (ofData.map { value <= part * $0 && peak >= Self.gained * $0 } ?? true)
    low = isLow ? low + 1 : 0
    if low >= Self.samples {
      told = value
      return .began(
        "\(name) have become alike (collapse): \(distances(value, ofData)), and was \(shortNumber(peak))"
      )
    }
    if let ofData, count >= Self.neverSamples, step >= Self.neverSteps,
      max(peak, value) <= Self.never * ofData
    {
      told = value
      return .began("\(name) have never differed (collapse): \(distances(value, ofData))")
    }
    return nil
  }

  private var name: String { sample.isEmpty ? "the samples" : "the images of sample \(sample)" }

  private func distances(_ value: Double, _ ofData: Double?) -> String {
    "the mean distance of two is \(shortNumber(value))"
      + (ofData.map { ", of data \(shortNumber($0))" } ?? "")
  }
}
