// Which examples make up a batch: properties of every order, pairing of sources, epochs.

import Basics
import CommandSupport
import Elaboration
import Formats
import GraphIR
import Testing
import Training

@Suite struct OrderTests {
  private func order(
    _ count: Int, _ batch: Int, _ kind: DataDeclaration.Order, seed: UInt64 = 1,
    group: String = "images"
  ) -> BatchOrder {
    BatchOrder(count: count, batch: batch, order: kind, seed: seed, group: group)
  }

  @Test(arguments: [(12, 4), (13, 4), (7, 7), (1, 1), (60, 1), (101, 10)])
  func shuffledBringsEveryExampleOncePerPass(count: Int, batch: Int) {
    var order = order(count, batch, .shuffled)
    let batches = count / batch
    var passes: [[Int]] = []
    for pass in 0..<3 {
      let seen = (0..<batches).flatMap { order.examples(ofBatch: pass * batches + $0) }
      #expect(Set(seen).count == batches * batch, "no example twice in a pass")
      #expect(seen.allSatisfy { (0..<count).contains($0) })
      passes.append(seen)
    }
    if count > 10 {
      #expect(passes[0] != passes[1] && passes[1] != passes[2], "a new order each pass")
    }
  }

  @Test func batchesAreAFunctionOfTheirNumber() {
    for kind in DataDeclaration.Order.allCases {
      var forward = order(50, 8, kind)
      let inOrder = (0..<20).map { forward.examples(ofBatch: $0) }
      for number in [19, 3, 7, 0, 12] {
        var fresh = order(50, 8, kind)
        #expect(fresh.examples(ofBatch: number) == inOrder[number])
        #expect(forward.examples(ofBatch: number) == inOrder[number])
      }
    }
  }

  @Test func seedAndGroupChangeTheOrder() {
    for kind in [DataDeclaration.Order.shuffled, .replacement] {
      var a = order(1000, 100, kind)
      var b = order(1000, 100, kind, seed: 2)
      var c = order(1000, 100, kind, group: "other")
      let first = a.examples(ofBatch: 0)
      #expect(first != b.examples(ofBatch: 0))
      #expect(first != c.examples(ofBatch: 0))
    }
  }

  @Test func replacementDrawsTwiceAndEvenly() {
    var order = order(10, 1000, .replacement)
    let drawn = (0..<10).flatMap { order.examples(ofBatch: $0) }
    for value in 0..<10 {
      let share = drawn.count { $0 == value }
      #expect((850...1150).contains(share), "\(value) was drawn \(share) of 10,000 times")
    }
  }

  @Test func sequentialWrapsAround() {
    var order = order(10, 4, .sequential)
    #expect(order.examples(ofBatch: 0) == [0, 1, 2, 3])
    #expect(order.examples(ofBatch: 1) == [4, 5, 6, 7])
    #expect(order.examples(ofBatch: 2) == [8, 9, 0, 1])
    #expect(order.examples(ofBatch: 3) == [2, 3, 4, 5])
    var long = self.order(3, 7, .sequential)
    #expect(long.examples(ofBatch: 1) == [1, 2, 0, 1, 2, 0, 1])
  }

  @Test func hugeBatchNumbersDoNotTrap() {
    for kind in DataDeclaration.Order.allCases {
      var order = order(Int(1 << 20) - 3, 1000, kind)
      let examples = order.examples(ofBatch: Int.max / 2)
      #expect(examples.count == 1000)
      #expect(examples.allSatisfy { (0..<(1 << 20) - 3).contains($0) })
    }
  }

  // MARK: Feeding

  private func declaration(
    _ name: String, _ shape: [Int], _ source: DataDeclaration.Source, with: String? = nil,
    element: ElementType = .f32, perStep: Int = 1, order: DataDeclaration.Order = .shuffled
  ) -> DataDeclaration {
    DataDeclaration(
      name: name, type: TensorType(element, shape), low: nil, high: nil, source: source,
      order: order, with: with, batchesPerStep: perStep)
  }

  private func feeder(_ declarations: [DataDeclaration], seed: UInt64 = 5) throws -> DataFeeder {
    try DataFeeder(
      declarations, replacements: [], resolver: DatasetResolver(environment: [:]), seed: seed)
  }

  private func floats(_ feeder: DataFeeder, _ source: String, _ batch: Int, _ count: Int) throws
    -> [Float]
  {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count * 4, alignment: 16)
    defer { buffer.deallocate() }
    try feeder.fill(source: source, batch: batch, into: buffer)
    return Array(buffer.bindMemory(to: Float.self))
  }

  @Test func pairedSourcesStayPaired() throws {
    let folder = try TemporaryFolder()
    // Example i of b is 10 times example i of a.
    let values = (0..<30).map { Float($0) }
    try FileIO.writeAtomically(
      try NPYArray(shape: [30, 1], floats: values).encode(), to: folder.file("a.npy"))
    try FileIO.writeAtomically(
      try NPYArray(shape: [30], floats: values.map { 10 * $0 }).encode(), to: folder.file("b.npy"))
    for order in DataDeclaration.Order.allCases {
      let feeder = try feeder([
        declaration("a", [4, 1], .named(folder.file("a.npy")), order: order),
        declaration("b", [4], .named(folder.file("b.npy")), with: "a"),
      ])
      for batch in 0..<20 {
        let a = try floats(feeder, "a", batch, 4)
        let b = try floats(feeder, "b", batch, 4)
        #expect(b == a.map { 10 * $0 })
      }
    }
  }

  @Test func sourcesOfDifferentLengthCannotWalkTogether() throws {
    let folder = try TemporaryFolder()
    try FileIO.writeAtomically(try Tiny.pictures(9).encode(), to: folder.file("a.npy"))
    try FileIO.writeAtomically(try Tiny.pictures(8).encode(), to: folder.file("b.npy"))
    let error = #expect(throws: EnvironmentFailure.self) {
      try feeder([
        declaration("a", [4, 6, 6, 1], .named(folder.file("a.npy"))),
        declaration("b", [4, 6, 6, 1], .named(folder.file("b.npy")), with: "a"),
      ])
    }
    #expect(error?.message.contains("cannot walk with") == true)
  }

  @Test func anEpochIsOnePassOverTheLongestSource() throws {
    let folder = try TemporaryFolder()
    try FileIO.writeAtomically(try Tiny.pictures(41).encode(), to: folder.file("long.npy"))
    try FileIO.writeAtomically(try Tiny.pictures(9).encode(), to: folder.file("short.npy"))
    let long = folder.file("long.npy")
    let short = folder.file("short.npy")
    #expect(try feeder([declaration("a", [4, 6, 6, 1], .named(long))]).stepsPerEpoch == 10)
    let both = try feeder([
      declaration("a", [4, 6, 6, 1], .named(long)), declaration("b", [4, 6, 6, 1], .named(short)),
    ])
    #expect(both.stepsPerEpoch == 10)
    // A step that takes five batches has a fifth of the steps.
    let repeated = try feeder([declaration("a", [4, 6, 6, 1], .named(long), perStep: 5)])
    #expect(repeated.stepsPerEpoch == 2)
    #expect(try feeder([]).stepsPerEpoch == 1)
  }

  @Test func bytesAreScaledAndFloatsTakenAsTheyAre() throws {
    let folder = try TemporaryFolder()
    let bytes = NPYArray(element: .u8, shape: [2, 3], bytes: [0, 51, 255, 0, 51, 255])
    try FileIO.writeAtomically(try bytes.encode(), to: folder.file("b.npy"))
    try FileIO.writeAtomically(
      try NPYArray(shape: [2, 3], floats: [0, 51, 255, 0, 51, 255]).encode(),
      to: folder.file("f.npy"))
    var scaled = declaration("x", [2, 3], .named(folder.file("b.npy")), order: .sequential)
    scaled.low = -1
    scaled.high = 1
    #expect(try floats(feeder([scaled]), "x", 0, 6) == [-1, -0.6, 1, -1, -0.6, 1])
    scaled.source = .named(folder.file("f.npy"))
    #expect(try floats(feeder([scaled]), "x", 0, 6) == [0, 51, 255, 0, 51, 255])
  }

  // MARK: Garments

  @Test func garmentsAreDeterministicAndDiffer() {
    var seen: Set<[UInt8]> = []
    var classes: Set<Int> = []
    for number in 0..<60 {
      let pixels = Garments.draw(number)
      #expect(pixels == Garments.draw(number))
      #expect(pixels.count == 784)
      #expect(pixels.contains { $0 > 100 }, "garment \(number) is blank")
      #expect(pixels.count { $0 < 10 } > 150, "garment \(number) has no background")
      seen.insert(pixels)
      classes.insert(Garments.label(number))
    }
    #expect(seen.count == 60)
    #expect(classes == Set(0..<10))
    #expect(Garments.draw(Int.max).count == 784)
    #expect((0..<10).contains(Garments.label(Int.max)))
  }
}
