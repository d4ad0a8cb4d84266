// Reading ahead: the same batches as without it in any order of asking, errors where they belong,
// an orderly end, and no allocation on the thread that trains.

import AllocationCounter
import Basics
import CommandSupport
import Elaboration
import Formats
import Foundation
import GraphIR
import Synchronization
import Testing
import Training

/// Batches that say what they are; remembers what was asked and by whom.
private final class Numbered: BatchSupplier, Sendable {
  /// Batches that fail.
  let bad: Set<Int>
  let asked = Mutex<[Int]>([])
  let others = Mutex(0)
  private let home = pthread_self()

  init(bad: Set<Int> = []) { self.bad = bad }

  func fill(
    source: String, batch: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(EnvironmentFailure) {
    asked.withLock { $0.append(batch) }
    if pthread_equal(home, pthread_self()) == 0 { others.withLock { $0 += 1 } }
    if bad.contains(batch) { throw EnvironmentFailure("batch \(batch) of \(source) is bad") }
    let base = source == "a" ? 0 : 1_000_000
    for i in 0..<buffer.count / 4 {
      buffer.storeBytes(of: Int32(base + batch * 100 + i), toByteOffset: i * 4, as: Int32.self)
    }
  }
}

@Suite struct PrefetchTests {
  private func declaration(_ name: String, perStep: Int = 1) -> DataDeclaration {
    DataDeclaration(
      name: name, type: TensorType(.i32, [8]), low: nil, high: nil, source: .named("x"),
      order: .shuffled, with: nil, batchesPerStep: perStep)
  }

  private func values(
    _ supplier: any BatchSupplier, _ source: String, _ batch: Int, count: Int = 8
  ) throws -> [Int32] {
    var values = [Int32](repeating: -1, count: count)
    try values.withUnsafeMutableBytes { try supplier.fill(source: source, batch: batch, into: $0) }
    return values
  }

  @Test(arguments: [1, 2, 5]) func stepsAreReadAhead(perStep: Int) throws {
    let supplier = Numbered()
    let ahead = try BatchPrefetcher(
      supplier, [declaration("a", perStep: perStep), declaration("b")])
    // A run that goes on in the middle.
    for step in 7..<40 {
      for round in 0..<perStep {
        let batch = step * perStep + round
        #expect(try values(ahead, "a", batch) == values(Numbered(), "a", batch))
      }
      #expect(try values(ahead, "b", step) == values(Numbered(), "b", step))
    }
    ahead.stop()
    // Only the first step's batches were made by this thread.
    let own = supplier.asked.withLock(\.count) - supplier.others.withLock { $0 }
    #expect(own == perStep + 1)
    #expect(ahead.secondsWaited >= 0 && ahead.secondsCopied >= 0)
  }

  @Test func anyOrderOfAskingIsAnswered() throws {
    let ahead = try BatchPrefetcher(Numbered(), [declaration("a", perStep: 3), declaration("b")])
    var random = PhiloxSequence(seed: 9, stream: 4)
    var next = 0
    for _ in 0..<3000 {
      next = random.nextInt(below: 4) == 0 ? random.nextInt(below: 50) : next + 1
      let source = random.nextInt(below: 2) == 0 ? "a" : "b"
      #expect(try values(ahead, source, next) == values(Numbered(), source, next))
      if random.nextInt(below: 64) == 0 { usleep(200) }
    }
    // Another size than before, and a source that was not declared: made on the spot.
    #expect(try values(ahead, "b", 5, count: 3) == [1_000_500, 1_000_501, 1_000_502])
    #expect(try values(ahead, "c", 2).first == 1_000_200)
  }

  @Test func errorsTravelToTheirStep() throws {
    let ahead = try BatchPrefetcher(Numbered(bad: [4, 6]), [declaration("a")])
    for batch in 0..<4 { #expect(try values(ahead, "a", batch).first == Int32(batch * 100)) }
    usleep(5000)
    for _ in 0..<2 {
      let error = #expect(throws: EnvironmentFailure.self) { try values(ahead, "a", 4) }
      #expect(error?.message == "batch 4 of a is bad")
    }
    #expect(try values(ahead, "a", 5).first == 500)
    #expect(throws: EnvironmentFailure.self) { try values(ahead, "a", 6) }
  }

  @Test func theEndIsOrderly() throws {
    for round in 0..<50 {
      let ahead = try BatchPrefetcher(Numbered(), [declaration("a")])
      for batch in 0..<round % 5 { _ = try values(ahead, "a", batch) }
      if round % 2 == 0 {
        ahead.stop()
        ahead.stop()
        #expect(try values(ahead, "a", 9).first == 900)
      }
    }
  }

  @Test func theTrainingThreadAllocatesNothing() throws {
    guard allocation_count() >= 0 else { return }
    let ahead = try BatchPrefetcher(Numbered(), [declaration("a", perStep: 2), declaration("b")])
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 32, alignment: 16)
    defer { buffer.deallocate() }
    func step(_ number: Int) throws {
      try ahead.fill(source: "a", batch: 2 * number, into: buffer)
      try ahead.fill(source: "a", batch: 2 * number + 1, into: buffer)
      try ahead.fill(source: "b", batch: number, into: buffer)
    }
    for number in 0..<5 { try step(number) }
    let before = allocation_count()
    for number in 5..<300 { try step(number) }
    #expect(allocation_count() == before)
  }

  /// Real sources in every order, with `repeat`, from memory and from files.
  @Test(arguments: DataDeclaration.Order.allCases)
  func theSameBitsAsWithout(order: DataDeclaration.Order) throws {
    let folder = try TemporaryFolder()
    for seed in 0..<11 {
      try PictureTests.save(
        PictureTests.picture(6, 5, 3, seed: seed), folder, "p/c\(seed % 3)/\(seed).png")
    }
    let text = """
      data x: [3, 5, 6, 3] in -1...1 from "\(folder.file("p"))", order: \(order.rawValue)
      data y: i32[3] from x.labels
      data g: [3, 28, 28, 1] in 0...1 from "synthetic", order: \(order.rawValue)
      train(steps: 1) {
        repeat 3 { let m = mean(x) + mean(g) + mean(y) }
        report m
      }
      """
    let program = try ProgramSource(SourceText(name: "test.gan", text), settings: []).program
    #expect(program.data.map(\.batchesPerStep) == [3, 3, 3])
    for memory in [0, 1 << 20] {
      let feeder = try DataFeeder(
        program.data, replacements: [],
        resolver: DatasetResolver(environment: [:], pictureMemory: memory), seed: 8)
      let ahead = try BatchPrefetcher(feeder)
      for batch in 5..<20 {
        for declaration in program.data {
          let count = declaration.type.count
          #expect(
            try values(ahead, declaration.name, batch, count: count)
              == values(feeder, declaration.name, batch, count: count))
        }
      }
    }
  }

  @Test func aFileThatVanishesEndsTheRunWithItsName() throws {
    let folder = try TemporaryFolder()
    for seed in 0..<8 {
      try PictureTests.save(PictureTests.picture(6, 6, 1, seed: seed), folder, "p/\(seed).png")
    }
    let program = try ProgramSource(
      SourceText(name: "tiny.gan", Tiny.program(data: folder.file("p"))), settings: []
    ).program
    let feeder = try DataFeeder(
      program.data, replacements: [],
      resolver: DatasetResolver(environment: [:], pictureMemory: 0), seed: 1)
    let ahead = try BatchPrefetcher(feeder)
    let count = program.data[0].type.count
    _ = try values(ahead, "images", 0, count: count)
    _ = try values(ahead, "images", 1, count: count)
    for seed in 0..<8 { try FileIO.remove(folder.file("p/\(seed).png")) }
    let error = #expect(throws: EnvironmentFailure.self) {
      for batch in 2..<6 { _ = try values(ahead, "images", batch, count: count) }
    }
    #expect(error?.message.contains(".png") == true)
    #expect(error?.help?.contains("--resume") == true)
  }

  @Test func theProfileShowsTheWait() throws {
    let folder = try TemporaryFolder()
    let path = try Tiny.make(in: folder)
    let data = "images=\(folder.file("images.npy"))"
    let plain = exec("profile", path, "--steps", "3", "--data", data)
    #expect(plain.code == 0, "\(plain.messages)")
    #expect(plain.output.contains("data: waited "), "\(plain.output)")
    let json = exec("profile", path, "--steps", "3", "--data", data, "--json")
    let facts = try JSONValue.parse(json.output, name: "output")
    #expect(facts["data_wait_ms"]?.doubleValue.map { $0 >= 0 } == true)
    // Random batches are not read ahead.
    let random = exec("profile", path, "--steps", "3", "--json")
    #expect(try JSONValue.parse(random.output, name: "output")["data_wait_ms"] == .null)
  }
}
