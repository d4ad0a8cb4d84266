// The data of a program: its sources found, checked against their declarations, and turned into
// batches. A batch is a function of (seed, source, batch number), so nothing here has a state worth
// saving.

import Basics
import Elaboration
import Formats
import GraphIR
import Synchronization

/// Batches may be asked for by several threads at once.
package final class DataFeeder: BatchSupplier, Sendable {
  private struct Feed: Sendable {
    var declaration: DataDeclaration
    var dataset: Dataset
    /// The source that gives the order, its own or the one it walks with.
    var leader: String
    var scale: [Float]
  }

  /// What was given by `--data`, for the checkpoint.
  package let replacements: [(name: String?, source: String)]
  package let declarations: [DataDeclaration]
  private let feeds: [String: Feed]
  /// They remember the permutation of the pass they were last asked about.
  private let orders: Mutex<[String: BatchOrder]>
  /// The steps of one epoch: one pass over the longest source; 1 where the program has no data.
  package let stepsPerEpoch: Int

  /// Finds every source. `replacements` are the `--data` options: `(nil, path)` replaces all named
  /// sets. `limits` says which ids a source of labels may hold, by its name.
  package init(
    _ declarations: [DataDeclaration], replacements: [(name: String?, source: String)],
    limits: [String: ClassLimit] = [:], resolver: DatasetResolver, seed: UInt64
  ) throws(EnvironmentFailure) {
    self.declarations = declarations
    self.replacements = replacements
    for replacement in replacements {
      guard let name = replacement.name, !declarations.contains(where: { $0.name == name }) else {
        continue
      }
      let names = declarations.map(\.name)
      throw EnvironmentFailure(
        "--data names the source '\(name)', but the program has "
          + (names.isEmpty ? "none" : names.joined(separator: ", ")),
        help: suggestion(for: name, in: names))
    }
    var known: [String: Dataset] = [:]
    var feeds: [String: Feed] = [:]
    for declaration in declarations {
      let (source, part) = Self.source(of: declaration, declarations, replacements)
      let form = Self.form(of: declaration, declarations)
      let key = "\(source)\n\(part)\n\(form.map { "\($0)" } ?? "")"
      let dataset: Dataset
      if let there = known[key] {
        dataset = there
      } else {
        dataset = try resolver.resolve(source, part: part, form: part == "labels" ? nil : form)
      }
      known[key] = dataset
      try Self.check(declaration, dataset)
      if let limit = limits[declaration.name] { try Self.check(declaration, dataset, limit) }
      feeds[declaration.name] = Feed(
        declaration: declaration, dataset: dataset,
        leader: Self.leader(of: declaration, declarations),
        scale: Self.scale(declaration))
    }
    self.feeds = feeds
    var orders: [String: BatchOrder] = [:]
    for declaration in declarations {
      orders[declaration.name] = try Self.makeOrder(declaration, feeds, seed: seed)
    }
    stepsPerEpoch = Self.stepsPerEpoch(declarations, orders)
    self.orders = Mutex(orders)
  }

  private static func stepsPerEpoch(
    _ declarations: [DataDeclaration], _ orders: [String: BatchOrder]
  ) -> Int {
    var longest = 1
    for declaration in declarations where declaration.batchesPerStep > 0 {
      guard let order = orders[declaration.name] else { continue }
      longest = max(longest, order.batchesPerPass / max(1, declaration.batchesPerStep))
    }
    return longest
  }

  /// Whether a declaration is one of those that `--data SOURCE` replaces.
  package static func isNamedSet(_ declaration: DataDeclaration) -> Bool {
    guard case .named(let name) = declaration.source else { return false }
    return DatasetResolver.isName(name)
  }

  /// The source that a declaration reads, after replacements, and which part of it.
  package static func source(
    of declaration: DataDeclaration, _ all: [DataDeclaration],
    _ replacements: [(name: String?, source: String)]
  ) -> (source: String, part: String) {
    // Parts of parts: elaboration refuses rings of them.
    if let own = replacements.last(where: { $0.name == declaration.name }) {
      return (own.source, "images")
    }
    switch declaration.source {
    case .named(let name):
      if let all = replacements.last(where: { $0.name == nil }), isNamedSet(declaration) {
        return (all.source, "images")
      }
      return (name, "images")
    case .part(let owner, let part):
      guard let parent = all.first(where: { $0.name == owner }) else { return (owner, part) }
      return (source(of: parent, all, replacements).source, part)
    }
  }

  /// What pictures of a source become. A part of a source is resized as the source is, where it
  /// says nothing itself.
  package static func form(
    of declaration: DataDeclaration, _ all: [DataDeclaration]
  ) -> PictureForm? {
    var resize = declaration.resize
    var source = declaration.source
    for _ in all {
      guard resize == nil, case .part(let owner, _) = source,
        let parent = all.first(where: { $0.name == owner })
      else { break }
      resize = parent.resize
      source = parent.source
    }
    return PictureForm(shape: Array(declaration.type.shape.dropFirst()), resize: resize)
  }

  /// The source whose order a declaration follows.
  private static func leader(of declaration: DataDeclaration, _ all: [DataDeclaration]) -> String {
    var name = declaration.name
    for _ in all {
      guard let current = all.first(where: { $0.name == name }) else { break }
      if let with = current.with {
        name = with
      } else if case .part(let owner, _) = current.source {
        name = owner
      } else {
        break
      }
    }
    return name
  }

  private static func check(
    _ declaration: DataDeclaration, _ dataset: Dataset
  ) throws(EnvironmentFailure) {
    let wanted = Array(declaration.type.shape.dropFirst())
    let withChannel = dataset.shape + [1]
    guard wanted == dataset.shape || wanted == withChannel || wanted + [1] == dataset.shape else {
      throw EnvironmentFailure(
        "\(dataset.name): its examples have the shape \(shapeText(dataset.shape)), "
          + "but '\(declaration.name)' "
          + "is declared as \(declaration.type), which wants \(shapeText(wanted))",
        help: mend(wanted, dataset))
    }
    if declaration.type.element != .f32, let fraction = dataset.firstFraction {
      throw EnvironmentFailure(
        "\(dataset.name): it holds \(fraction), but '\(declaration.name)' is declared "
          + "as \(declaration.type): whole "
          + "numbers")
    }
  }

  /// Pictures of another size can be resized.
  private static func mend(_ wanted: [Int], _ dataset: Dataset) -> String? {
    guard dataset.isScaled, let form = PictureForm(shape: wanted, resize: nil),
      PictureForm(shape: dataset.shape, resize: nil) != nil
    else { return nil }
    return "`, resize: crop` behind the source (or pad, or stretch) brings pictures to "
      + "\(form.width)×\(form.height)"
  }

  private static func check(
    _ declaration: DataDeclaration, _ dataset: Dataset, _ limit: ClassLimit
  ) throws(EnvironmentFailure) {
    guard let wrong = dataset.firstID(outside: limit.count) else { return }
    throw EnvironmentFailure(
      "\(dataset.name): example \(wrong.example) of '\(declaration.name)' holds \(wrong.value), "
        + "but \(limit.text)", help: limit.help)
  }

  /// What each byte becomes.
  private static func scale(_ declaration: DataDeclaration) -> [Float] {
    guard let low = declaration.low, let high = declaration.high else {
      return (0..<256).map { Float($0) }
    }
    return (0..<256).map { Float(low + (high - low) * Double($0) / 255) }
  }

  private static func makeOrder(
    _ declaration: DataDeclaration, _ feeds: [String: Feed], seed: UInt64
  ) throws(EnvironmentFailure) -> BatchOrder? {
    guard let feed = feeds[declaration.name], let leader = feeds[feed.leader] else { return nil }
    try checkPartners(feed, leader)
    guard feed.dataset.count == leader.dataset.count else {
      throw EnvironmentFailure(
        "'\(declaration.name)' has \(feed.dataset.count) examples and cannot walk with "
          + "'\(feed.leader)', which has \(leader.dataset.count)")
    }
    let batch = declaration.type.shape.first ?? 1
    // Only a shuffled pass needs a whole batch: the other orders draw or wrap around.
    guard leader.declaration.order != .shuffled || batch <= feed.dataset.count else {
      throw EnvironmentFailure(
        "\(feed.dataset.name): it has \(feed.dataset.count) examples, "
          + "fewer than one batch of \(batch) for '\(declaration.name)'",
        help: "choose a smaller batch with --batch")
    }
    // Both bounds hold for every program and file that fit a memory; the order's arithmetic relies
    // on them.
    guard feed.dataset.count <= Int(Int32.max) else {
      throw EnvironmentFailure(
        "\(feed.dataset.name): it has \(feed.dataset.count) examples; "
          + "at most \(Int32.max) are supported"
      )
    }
    return BatchOrder(
      count: feed.dataset.count, batch: batch,
      order: leader.declaration.order, seed: seed, group: feed.leader)
  }

  /// Pictures of two folders that walk together are paired by name: each must have a partner.
  private static func checkPartners(_ feed: Feed, _ leader: Feed) throws(EnvironmentFailure) {
    guard let own = feed.dataset.pictures, let others = leader.dataset.pictures else { return }
    try own.requirePartners(
      in: others, "'\(feed.declaration.name)' walks with '\(feed.leader)'")
  }

  // MARK: Batches

  package func fill(
    source: String, batch: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(EnvironmentFailure) {
    let order = orders.withLock { orders in
      orders[source].map { ($0.pass(ofBatch: batch), orders[source]?.examples(ofBatch: batch)) }
    }
    guard let feed = feeds[source], let (pass, found) = order, let examples = found else {
      throw EnvironmentFailure("the data source '\(source)' was not opened")
    }
    try feed.dataset.copy(
      examples: examples, pass: pass, as: feed.declaration.type.element, scale: feed.scale,
      into: buffer)
  }

  /// Name, description and checksum of each source, in the order of the program.
  package var sources: [(name: String, dataset: Dataset)] {
    declarations.compactMap { declaration in
      feeds[declaration.name].map { (declaration.name, $0.dataset) }
    }
  }
}
