// Images of a sample, by number: image i follows from the weights, the seed and i alone, whatever
// else is drawn with it. They are made in chunks of a fixed size, each of rows of noise that are
// drawn apart from the networks, so memory does not grow with the images but by their noise, and
// every image has the same bits in a run, in a list of five and in one of five thousand.

import Basics
import Elaboration
import GraphIR

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package final class SampleDrawer {
  /// The most images that are made at a time; fewer where the program's own count is lower.
  private static let mostRows = 64

  /// The sample as it stands in the program, or for the count asked for where it is drawn whole.
  package let sample: SampleProgram
  /// How many images were asked for; the program's count where no number was given. Of a sample that
  /// is drawn whole, how many it makes.
  package let count: Int
  /// Height, width and channels, or whatever else the sample makes of one row.
  package let imageShape: [Int]
  /// Why image i depends on the others, where it does: all images are then drawn at once.
  package let whyWhole: String?
  /// What `class` of `images` may be; nil where it is not chosen.
  private let classLimit: ClassLimit?

  private let source: ProgramSource
  private let session: Session
  private let data: (any BatchSupplier)?
  private let split: SampleSplit?
  /// The graph of all images, where they are drawn at once.
  private let whole: Graph?
  private let choosesClass: Bool
  private var noise = NoiseCache()
  private var wholeImages: (seed: UInt64, label: Int?, states: Int, images: [Float])?

  /// - Parameters:
  ///   - source: the program with its own counts.
  ///   - name: which sample; nil is the unnamed one, or else the first.
  ///   - data: what the sources that the sample reads bring; nil where it reads none.
  ///   - count: how many images there are in all; nil is the program's number. Only samples that
  ///     are drawn whole must know it.
  ///   - choosesClass: whether `images` is given the class of the images, instead of the program's.
  ///
  /// Fails where there is no such sample, where it knows no classes and they are to be chosen, and
  /// with `ProgramErrors` where it is drawn whole and does not hold for `count`.
  package init(
    _ source: ProgramSource, sample name: String?, session: Session,
    data: (any BatchSupplier)? = nil, count: Int? = nil, choosesClass: Bool = false
  ) throws {
    guard let declared = source.program.sample(named: name) else {
      throw EnvironmentFailure("the program has no sample \(name.map { "'\($0)'" } ?? "block")")
    }
    self.source = source
    self.session = session
    self.data = data
    self.choosesClass = choosesClass
    let asked = count ?? declared.count
    classLimit = choosesClass ? try ClassLimit.ofOnlyLabel(declared.graph).limit : nil
    let rows = max(2, min(declared.count, Self.mostRows))
    do {
      let made = try Self.split(source, declared, rows: rows, choosesClass)
      (split, whole, whyWhole, sample, self.count) = (made, nil, nil, declared, asked)
      imageShape = Array(Self.resultShape(made.graph).dropFirst())
    } catch let refusal as SampleSplit.Refusal {
      (split, whyWhole) = (nil, refusal.reason)
      sample =
        asked == declared.count
        ? declared : try Self.elaborated(source, declared.name, count: asked)
      let graph = choosesClass ? try Self.withClass(sample.graph) : sample.graph
      whole = graph
      let shape = Self.resultShape(graph)
      imageShape = Array(shape.dropFirst())
      self.count = shape.first ?? 1
    }
  }

  /// All images as one array.
  package func all(
    seed: UInt64? = nil, class label: Int? = nil
  ) throws -> (shape: [Int], values: [Float]) {
    ([count] + imageShape, try images(0..<count, seed: seed, class: label))
  }

  /// Ranges of so many, from a multiple of it on, are made without a row to spare.
  package var chunk: Int { split?.rows ?? max(1, count) }

  // MARK: Drawing

  /// The images of a range of numbers, one after the other.
  ///
  /// - Parameters:
  ///   - range: not negative; of a sample that is drawn whole, within its images. The noise of all
  ///     numbers up to its end is held, or of `count` where that is more.
  ///   - seed: nil is the program's.
  ///   - label: the class of all of them, where classes are chosen.
  package func images(
    _ range: Range<Int>, seed: UInt64? = nil, class label: Int? = nil
  ) throws -> [Float] {
    try check(label)
    let seed = seed ?? sample.seed
    guard let split else {
      let size = imageShape.reduce(1, *)
      let all = try drawWhole(seed: seed, label)
      guard range.lowerBound >= 0, range.upperBound <= count, count * size == all.count else {
        throw EnvironmentFailure(
          "the sample makes \(all.count / max(1, size)) images at once, and not those of "
            + "\(range.lowerBound)..<\(range.upperBound)")
      }
      return Array(all[range.lowerBound * size..<range.upperBound * size])
    }
    let values = try noiseValues(split, seed: seed, rows: range.upperBound)
    return try images(range, seed: seed, label) { source, rows in
      guard let all = values[source.argument] else { return [] }
      return all.rows(rows, of: source.rowSize)
    }
  }

  /// Images on the way from the noise of one seed (`at` 0) to that of another (1): normal noise on
  /// the arc between the two vectors of an image, uniform noise on the line; what is drawn in whole
  /// numbers, and what all images have in common, is that of the seed `base`.
  package func images(
    _ range: Range<Int>, from first: UInt64, to second: UInt64, at place: Double, base: UInt64,
    class label: Int? = nil
  ) throws -> [Float] {
    try check(label)
    guard let split else {
      throw EnvironmentFailure(
        "the sample cannot be walked through: its images are drawn at once: \(whyWhole ?? "")")
    }
    let a = try noiseValues(split, seed: first, rows: range.upperBound)
    let b = try noiseValues(split, seed: second, rows: range.upperBound)
    let fixed = try noiseValues(split, seed: base, rows: range.upperBound)
    return try images(range, seed: base, label) { source, rows in
      guard let x = a[source.argument], let y = b[source.argument], let z = fixed[source.argument]
      else { return [] }
      guard source.kind == .normal || source.kind == .uniform(isDiscrete: false) else {
        return z.rows(rows, of: source.rowSize)
      }
      return interpolated(
        x.rows(rows, of: source.rowSize), y.rows(rows, of: source.rowSize), at: place,
        rowSize: source.rowSize, onArc: source.kind == .normal)
    }
  }

  /// Chunk by chunk, each always the same rows, so that a row has the same neighbours in every call.
  private func images(
    _ range: Range<Int>, seed: UInt64, _ label: Int?,
    rows values: (RowSource, Range<Int>) -> [Float]
  ) throws -> [Float] {
    guard let split, !range.isEmpty else { return [] }
    guard range.lowerBound >= 0 else { throw EnvironmentFailure("an image's number is negative") }
    let size = imageShape.reduce(1, *)
    var images: [Float] = []
    images.reserveCapacity(range.count * size)
    for chunk in range.lowerBound / split.rows...(range.upperBound - 1) / split.rows {
      let rows = chunk * split.rows..<(chunk + 1) * split.rows
      var arguments: [String: [UInt8]] = [:]
      for source in split.sources {
        arguments[source.argument] = bytes(values(source, rows), as: source.type)
      }
      arguments[SampleSplit.classArgument] = labels(in: split.graph, label)
      let made = try run(split.graph, key: key(split.rows), arguments, seed: seed)
      let wanted = rows.clamped(to: range)
      images +=
        made[
          (wanted.lowerBound - rows.lowerBound) * size..<(wanted.upperBound - rows.lowerBound)
            * size]
    }
    return images
  }

  private func drawWhole(seed: UInt64, _ label: Int?) throws -> [Float] {
    if let known = wholeImages, known.seed == seed, known.label == label,
      known.states == session.stateChanges
    {
      return known.images
    }
    guard let whole else { return [] }
    var arguments: [String: [UInt8]] = [:]
    arguments[SampleSplit.classArgument] = labels(in: whole, label)
    let images = try run(whole, key: key(count) + " whole", arguments, seed: seed)
    wholeImages = (seed, label, session.stateChanges, images)
    return images
  }

  /// One graph for each number of rows; the class is an argument of some.
  private func key(_ rows: Int) -> String {
    "drawn \(sample.name.map { "sample \($0)" } ?? "sample") \(rows)\(choosesClass ? " class" : "")"
  }

  private func run(
    _ graph: Graph, key: String, _ arguments: [String: [UInt8]], seed: UInt64
  ) throws -> [Float] {
    let results = try session.evaluate(
      graph, key: key, arguments: arguments, seed: seed, data: data)
    guard let result = results.first(where: { $0.name == "0" }) else {
      throw InternalError("the sample graph has no result")
    }
    return result.bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
  }

  // MARK: Noise

  /// At least so many rows of all sources, by argument.
  private func noiseValues(
    _ split: SampleSplit, seed: UInt64, rows wanted: Int
  ) throws -> [String: [Float]] {
    guard wanted <= TensorType.maximumCount else {
      throw EnvironmentFailure("there is no image of the number \(wanted - 1)")
    }
    // Whole chunks: all at once where the count is known, else twice as many as before.
    var rows = (max(wanted, count) + split.rows - 1) / split.rows * split.rows
    if wanted > count {
      rows = split.rows
      while rows < wanted { rows *= 2 }
    }
    if let known = noise.values(seed: seed, rows: rows) { return known }
    var values: [String: [Float]] = [:]
    let graph = try split.noise(count: rows)
    if !graph.outputs.isEmpty {
      for result in try session.evaluate(graph, key: nil, arguments: [:], seed: seed) {
        values[result.name] = result.bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
      }
    }
    let constants = split.sources.filter { $0.kind == .constant }
    if !constants.isEmpty {
      var graph = try Self.elaborated(source, sample.name, count: rows).graph
      if choosesClass { graph = try Self.withClass(graph) }
      for source in constants {
        values[source.argument] = try SampleSplit.constant(source, in: graph).map { Float($0) }
      }
    }
    noise.keep(values, seed: seed, rows: rows)
    return values
  }

  /// Whole numbers of the program beyond 2²⁴ are not exact as floats; nobody counts images so far.
  private func bytes(_ values: [Float], as type: TensorType) -> [UInt8] {
    guard type.element != .f32 else { return values.withUnsafeBytes { Array($0) } }
    return values.map { Int32($0) }.withUnsafeBytes { Array($0) }
  }

  // MARK: Classes

  private func check(_ label: Int?) throws(EnvironmentFailure) {
    guard choosesClass, let label, let limit = classLimit else { return }
    guard 0..<limit.count ~= label else {
      throw EnvironmentFailure("the class \(label) is asked for, but \(limit.text)")
    }
  }

  private func labels(in graph: Graph, _ label: Int?) -> [UInt8]? {
    guard let value = graph.input(.argument(SampleSplit.classArgument)) else { return nil }
    let labels = [Int32](repeating: Int32(clamping: label ?? 0), count: graph.type(of: value).count)
    return labels.withUnsafeBytes { Array($0) }
  }

  /// The graph with its one label as an argument.
  private static func withClass(_ graph: Graph) throws -> Graph {
    let labels = ClassLimit.ofLabels(graph)
    return try graph.replacing(labels.map { ($0.value, SampleSplit.classArgument) })
  }

  // MARK: Preparation

  private static func split(
    _ source: ProgramSource, _ declared: SampleProgram, rows: Int, _ choosesClass: Bool
  ) throws -> SampleSplit {
    let graphs: [Graph]
    do {
      graphs = try [rows, 2 * rows].map { count in
        count == declared.count
          ? declared.graph : try elaborated(source, declared.name, count: count).graph
      }
    } catch is ProgramErrors {
      throw SampleSplit.Refusal(reason: "the sample holds for its own count only")
    }
    let given = choosesClass ? try graphs.map(withClass) : graphs
    return try SampleSplit(small: given[0], large: given[1], rows: rows)
  }

  /// The sample for another count.
  private static func elaborated(
    _ source: ProgramSource, _ name: String?, count: Int
  ) throws -> SampleProgram {
    let program = try ProgramSource(
      source.source, settings: source.settings,
      sampleCount: SampleCount(sample: name, count: count)
    ).program
    guard let sample = program.sample(named: name) else {
      throw InternalError("a sample is gone with another count")
    }
    return sample
  }

  private static func resultShape(_ graph: Graph) -> [Int] {
    graph.output(.result("0")).map { graph.type(of: $0).shape } ?? []
  }
}

/// The noise of the seeds that were drawn last: a walk goes between two and keeps a third.
private struct NoiseCache {
  private var kept: [(seed: UInt64, rows: Int, values: [String: [Float]])] = []

  func values(seed: UInt64, rows: Int) -> [String: [Float]]? {
    kept.first { $0.seed == seed && $0.rows >= rows }?.values
  }

  mutating func keep(_ values: [String: [Float]], seed: UInt64, rows: Int) {
    kept.removeAll { $0.seed == seed }
    if kept.count == 3 { kept.removeFirst() }
    kept.append((seed, rows, values))
  }
}

extension [Float] {
  fileprivate func rows(_ rows: Range<Int>, of size: Int) -> [Float] {
    Array(self[rows.lowerBound * size..<rows.upperBound * size])
  }
}

/// Rows between those of `a` (place 0) and `b` (1), with ω the angle between a row's vectors:
/// on the arc (a sin((1 − t) ω) + b sin(t ω)) / sin ω, else a (1 − t) + b t.
package func interpolated(
  _ a: [Float], _ b: [Float], at t: Double, rowSize: Int, onArc: Bool
) -> [Float] {
  // The ends are the seeds' own images, bit for bit.
  if t <= 0 { return a }
  if t >= 1 { return b }
  var result: [Float] = []
  result.reserveCapacity(a.count)
  for start in stride(from: 0, to: a.count, by: Swift.max(1, rowSize)) {
    let row = start..<Swift.min(a.count, start + rowSize)
    var (dot, x, y) = (0.0, 0.0, 0.0)
    for i in row {
      dot += Double(a[i]) * Double(b[i])
      x += Double(a[i]) * Double(a[i])
      y += Double(b[i]) * Double(b[i])
    }
    let angle = x > 0 && y > 0 ? acos(Swift.max(-1, Swift.min(1, dot / (x * y).squareRoot()))) : 0
    // Along one line, or one number: there is no arc.
    let isLine = !onArc || rowSize < 2 || sin(angle) < 1e-6
    let u = isLine ? 1 - t : sin((1 - t) * angle) / sin(angle)
    let v = isLine ? t : sin(t * angle) / sin(angle)
    for i in row { result.append(Float(Double(a[i]) * u + Double(b[i]) * v)) }
  }
  return result
}
