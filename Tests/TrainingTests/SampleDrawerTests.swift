// Image i follows from the seed and i alone: any range of any count has the same bits.

import Basics
import CPUBackend
import CommandSupport
import Elaboration
import Foundation
import TestSupport
import Testing
import Training

@Suite struct SampleDrawerTests {
  static let conditional = "\(Places.fixtures)/conditional.gan"

  private func session(_ source: ProgramSource, threads: Int = 1) throws -> Session {
    let session = try Session(
      program: source.program, backend: CPUBackend(threads: threads), seed: 3)
    try session.initialize()
    return session
  }

  /// A generator of 3 numbers, and a sample of it.
  private func source(_ sample: String, network: String = "dense(5) |> batchNorm() |> tanh()")
    throws -> ProgramSource
  {
    try ProgramSource(
      SourceText(
        name: "small.gan",
        """
        data real: [4, 2, 2, 1] in -1...1 from "/nowhere.npy"
        network g(z: [n, 3]) -> [n, 5] { z |> \(network) }
        network e(ids: i32[n]) -> [n, 5] { embedding(ids, 4, 5) }
        \(sample)
        """), settings: [])
  }

  @Test(arguments: [nil, "drawn"])
  func rangesOfAnyCountAreTheSameImages(_ name: String?) throws {
    let source = try ProgramSource(path: Self.conditional, settings: [])
    let session = try session(source)
    let many = try SampleDrawer(source, sample: name, session: session, count: 150)
    #expect(many.whyWhole == nil && many.imageShape == [28, 28, 1])
    let all = try many.all(seed: 9)
    #expect(all.shape == [150, 28, 28, 1] && all.values.count == 150 * 784)
    for (first, count) in [(0, 1), (0, 5), (3, 20), (19, 43), (149, 1), (0, 150)] {
      let few = try SampleDrawer(source, sample: name, session: session, count: first + count)
      let images = try few.images(first..<first + count, seed: 9)
      #expect(images == Array(all.values[first * 784..<(first + count) * 784]))
    }
    // Beyond the count that was named.
    let open = try SampleDrawer(source, sample: name, session: session, count: 5)
    #expect(try open.images(100..<140, seed: 9) == Array(all.values[100 * 784..<140 * 784]))
    for wrong in [-3..<2, 0..<Int.max] {
      #expect(throws: EnvironmentFailure.self) { try open.images(wrong) }
    }
    #expect(try many.images(0..<5, seed: 8) != many.images(0..<5, seed: 9))
    // All are different, so that the comparison above means something.
    let rows = (0..<150).map { Array(all.values[$0 * 784..<($0 + 1) * 784]) }
    #expect(Set(rows).count == 150)
    // As one graph draws them, but for roundings; and the same bits on another number of threads.
    let whole = try session.draw(
      try #require(source.program.sample(named: name)), data: GivenBatches([:]), seed: 9)
    for (a, b) in zip(whole.values, all.values) { #expect(abs(a - b) < 1e-5) }
    let other = try SampleDrawer(
      source, sample: name, session: try self.session(source, threads: 2), count: 150)
    #expect(try other.all(seed: 9).values == all.values)
  }

  /// Samples whose images are not made each of its own row are drawn at once, for a reason.
  @Test(arguments: [
    ("sample { g(normal([count, 3])) }", nil),
    ("sample { g(normal([count, 3]) * uniform([3]) + normal([1, 3])) }", nil),
    ("sample { g(normal([count, 3])) + e(range(count) % 4) }", nil),
    ("sample(count: 200) { g(normal([count, 3])) }", nil),
    ("sample(count: 1) { g(normal([count, 3])) }", nil),
    ("sample { g(bernoulli([count, 3], 0.3)) + g(normal([count, 3])) }", nil),
    ("sample { g(normal([count, 3]), training: true) }", "mixes the images"),
    ("sample(count: 8) { let z = normal([count, 3])\n g(z - mean(z)) }", "mixes the images"),
    ("sample { let z = normal([3, count])\n g(transpose(z, [1, 0])) }", "count"),
    ("sample(count: 2) { g(reshape(range(6), [count, 3]) * 0.5) }", "its own count only"),
    ("sample { g(normal([count, 3]) / count) }", "count"),
    ("sample { g(normal([count, 3])) * mean(real) }", nil),
    ("sample(count: 4) { g(slice(flatten(real), 0, 3, axis: 1)) }", "do not follow"),
  ])
  func whatIsDrawnAtOnceSaysWhy(_ sample: String, _ reason: String?) throws {
    let source = try source(sample)
    let session = try session(source)
    let data = GivenBatches(["real": [(0..<16).map { Float($0) / 16 }]])
    let drawer = try SampleDrawer(source, sample: nil, session: session, data: data)
    if let reason {
      #expect(drawer.whyWhole?.contains(reason) == true, "\(drawer.whyWhole ?? "nil")")
    } else {
      #expect(drawer.whyWhole == nil)
    }
    let drawn = try drawer.all()
    let declared = source.program.samples[0]
    let whole = try session.draw(declared, data: data)
    #expect(drawn.shape == whole.shape)
    for (a, b) in zip(drawn.values, whole.values) { #expect(abs(a - b) < 1e-5) }
    if reason != nil {
      #expect(drawn.values == whole.values)
      for wrong in [0..<drawer.count + 1, -1..<1, 0..<Int.max] {
        #expect(throws: EnvironmentFailure.self) { try drawer.images(wrong) }
      }
    }
  }

  /// What is kept of a whole sample goes when weights change.
  @Test func newWeightsGiveNewImages() throws {
    let source = try source("sample { g(normal([count, 3]), training: true) }")
    let session = try session(source)
    let drawer = try SampleDrawer(source, sample: nil, session: session)
    let before = try drawer.all().values
    #expect(try drawer.all().values == before)
    var bias = try session.bytes(of: "g/batchNorm/beta")
    bias[3] ^= 0x40
    try session.setBytes("g/batchNorm/beta", bias)
    #expect(try drawer.all().values != before)
  }

  @Test func classesAreChosen() throws {
    let source = try ProgramSource(path: Self.conditional, settings: [])
    let session = try session(source)
    let own = try SampleDrawer(source, sample: nil, session: session, count: 30)
    let chosen = try SampleDrawer(
      source, sample: nil, session: session, count: 30, choosesClass: true)
    #expect(chosen.whyWhole == nil)
    let cycle = try own.all(seed: 4).values
    let threes = try chosen.all(seed: 4, class: 3).values
    for i in 0..<30 {
      let (a, b) = (cycle[i * 784..<(i + 1) * 784], threes[i * 784..<(i + 1) * 784])
      #expect((a == b) == (i % 10 == 3), "image \(i)")
    }
    for wrong in [-1, 10] {
      let error = #expect(throws: EnvironmentFailure.self) {
        try chosen.images(0..<1, class: wrong)
      }
      #expect(error?.message.contains("0 to 9") == true, "\(error?.message ?? "")")
    }
    let plain = try self.source("sample { g(normal([count, 3])) }")
    #expect(throws: EnvironmentFailure.self) {
      try SampleDrawer(plain, sample: nil, session: try self.session(plain), choosesClass: true)
    }
    let two = try self.source(
      "sample { e(categorical([count], 4)) + e(categorical([count], 4)) }")
    let error = #expect(throws: EnvironmentFailure.self) {
      try SampleDrawer(two, sample: nil, session: try self.session(two), choosesClass: true)
    }
    #expect(error?.message.contains("lines 3 and 3") == true, "\(error?.message ?? "")")
  }

  /// The ends of a walk are the seeds' own images; on the way normal noise keeps its length, and
  /// what is drawn in whole numbers stays.
  @Test func walksBetweenSeeds() throws {
    let source = try ProgramSource(path: Self.conditional, settings: [])
    let session = try session(source)
    for name in [nil, "drawn"] {
      let drawer = try SampleDrawer(source, sample: name, session: session, count: 5)
      let start = try drawer.images(0..<5, from: 1, to: 2, at: 0, base: 1)
      #expect(start == (try drawer.images(0..<5, seed: 1)))
      let end = try drawer.images(0..<5, from: 1, to: 2, at: 1, base: 1)
      if name == nil { #expect(end == (try drawer.images(0..<5, seed: 2))) }
      // The classes are still those of seed 1.
      if name == "drawn" { #expect(end != (try drawer.images(0..<5, seed: 2))) }
      let half = try drawer.images(0..<5, from: 1, to: 2, at: 0.5, base: 1)
      #expect(half != start && half != end)
    }
    let whole = try self.source("sample { g(normal([count, 3]), training: true) }")
    let error = #expect(throws: EnvironmentFailure.self) {
      try SampleDrawer(whole, sample: nil, session: try self.session(whole))
        .images(0..<1, from: 0, to: 1, at: 0.5, base: 0)
    }
    #expect(error?.message.contains("mixes the images") == true)
  }

  @Test func arcsAndLines() {
    // A quarter of a circle in thirds; the second row goes along one line.
    let arc = interpolated([1, 0, 2, 2], [0, 1, 4, 4], at: 1 / 3, rowSize: 2, onArc: true)
    let wanted: [Float] = [Float(cos(Double.pi / 6)), 0.5, 8 / 3, 8 / 3]
    for (a, b) in zip(arc, wanted) { #expect(abs(a - b) < 1e-6) }
    #expect(interpolated([1, 0], [0, 1], at: 0.25, rowSize: 2, onArc: false) == [0.75, 0.25])
    // Opposite vectors have no arc between them; zeros have no direction.
    #expect(interpolated([1, 0], [-1, 0], at: 0.5, rowSize: 2, onArc: true) == [0, 0])
    #expect(interpolated([0, 0], [0, 2], at: 0.5, rowSize: 2, onArc: true) == [0, 1])
  }
}
