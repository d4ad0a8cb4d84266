// What all kernel tests share: the tables this machine can run, memory that is as awkward as
// allowed, and launches in several divisions that must give the same bits.

import CProcessor
import KernelTable
import KernelsBase
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif
#if arch(x86_64)
  import KernelsV3
  import KernelsV4
#endif

/// One instruction set that this machine can run.
struct Isa: Sendable, CustomTestStringConvertible {
  var name: String
  var fill: @Sendable (UnsafeMutablePointer<KernelTable>) -> Void
  var testDescription: String { name }

  var table: KernelTable {
    var table = KernelTable()
    fill(&table)
    return table
  }

  static var all: [Isa] {
    var all = [Isa(name: "base") { KernelsBase.fillKernelTable($0) }]
    #if arch(x86_64)
      if processor_level() >= 3 { all.append(Isa(name: "v3") { KernelsV3.fillKernelTable($0) }) }
      if processor_level() >= 4 { all.append(Isa(name: "v4") { KernelsV4.fillKernelTable($0) }) }
    #endif
    return all
  }
}

// Tests are not optimised, and run on emulated processors too: what touches every element is a copy
// of memory or a plain loop over pointers.

/// Floats on an address that is 4 but not 8 bytes aligned, between guard words that must stay.
final class Floats {
  let count: Int
  private let base: UnsafeMutablePointer<Float>
  private static let guardCount = 67
  private static let guardBits: UInt32 = 0x7FC1_2345

  init(_ count: Int, fills: Bool = true, _ value: (Int) -> Float = { _ in .signalingNaN }) {
    self.count = count
    let raw = UnsafeMutableRawPointer.allocate(
      byteCount: (count + 2 * Self.guardCount) * 4, alignment: 64)
    base = raw.assumingMemoryBound(to: Float.self)
    for i in 0..<Self.guardCount {
      base[i] = Float(bitPattern: Self.guardBits)
      base[Self.guardCount + count + i] = Float(bitPattern: Self.guardBits)
    }
    for i in 0..<(fills ? count : 0) { pointer[i] = value(i) }
  }
  convenience init(_ values: [Float]) {
    self.init(values.count, fills: false)
    refill(values)
  }
  convenience init(integers: [Int32]) {
    self.init(integers.count) { Float(bitPattern: UInt32(bitPattern: integers[$0])) }
  }
  deinit { base.deallocate() }

  var pointer: UnsafeMutablePointer<Float> { base + Self.guardCount }
  var raw: UnsafeMutableRawPointer { UnsafeMutableRawPointer(pointer) }
  var integers: UnsafeMutablePointer<Int32> { raw.assumingMemoryBound(to: Int32.self) }
  var values: [Float] { Array(UnsafeBufferPointer(start: pointer, count: count)) }
  var bits: [UInt32] { int32s.withUnsafeBytes { Array($0.bindMemory(to: UInt32.self)) } }
  var int32s: [Int32] { Array(UnsafeBufferPointer(start: integers, count: count)) }
  var guarded: Bool {
    (0..<Self.guardCount).allSatisfy {
      base[$0].bitPattern == Self.guardBits
        && base[Self.guardCount + count + $0].bitPattern == Self.guardBits
    }
  }
  func refill(_ values: [Float]) {
    precondition(values.count == count)
    values.withUnsafeBytes {
      raw.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(raw), byteCount: $0.count)
    }
  }
}

/// A small deterministic source of test values.
struct Values {
  var state: UInt64
  init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
  mutating func word() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
  /// In −1 ..< 1.
  mutating func next() -> Float { Float(Int64(word() >> 40)) * 0x1p-23 - 1 }
  mutating func floats(_ n: Int) -> [Float] { (0..<n).map { _ in next() } }
  mutating func int(_ bound: Int) -> Int { Int(word() >> 33) % bound }
}

/// Runs all shares one after the other, on poisoned scratch.
func launch<Arguments>(
  _ kernel: Kernel, _ arguments: Arguments, scratch: Int = 0, shares: Int = 1
) {
  let memory = UnsafeMutableRawPointer.allocate(byteCount: scratch + 64, alignment: 64)
  defer { memory.deallocate() }
  withUnsafePointer(to: arguments) { pointer in
    for index in 0..<shares {
      memset(memory, 0xFF, scratch + 64)
      kernel(UnsafeRawPointer(pointer), scratch == 0 ? nil : memory, index, shares)
      let end = (scratch..<scratch + 64).allSatisfy {
        memory.load(fromByteOffset: $0, as: UInt8.self) == 0xFF
      }
      #expect(end, "scratch was overrun")
    }
  }
}

/// Runs with 1, 2, 3 and 5 shares: the outputs must have the same bits, and nothing around them may
/// change.
func launchAll<Arguments>(
  _ kernel: Kernel, _ arguments: Arguments, scratch: Int = 0, outputs: [Floats],
  _ comment: String = "", source: SourceLocation = #_sourceLocation
) {
  let before = outputs.map(\.values)
  launch(kernel, arguments, scratch: scratch, shares: 1)
  let first = outputs.map(\.bits)
  for shares in [2, 3, 5] {
    for (output, values) in zip(outputs, before) { output.refill(values) }
    launch(kernel, arguments, scratch: scratch, shares: shares)
    let same = outputs.map(\.bits) == first
    #expect(same, "\(shares) shares differ \(comment)", sourceLocation: source)
  }
  for output in outputs {
    #expect(output.guarded, "wrote outside \(comment)", sourceLocation: source)
  }
}

/// The largest difference, relative to the largest expected magnitude.
func worst(_ found: [Float], _ expected: [Double]) -> Double {
  guard found.count == expected.count else { return .infinity }
  var scale = 1e-30
  var worst = 0.0
  found.withPointer { found in
    expected.withPointer { wanted in
      var i = 0
      while i < expected.count {
        if abs(wanted[i]) > scale { scale = abs(wanted[i]) }
        let difference = abs(Double(found[i]) - wanted[i])
        if !(difference <= worst) { worst = difference.isNaN ? .infinity : difference }
        i += 1
      }
    }
  }
  return worst / scale
}

extension Array {
  /// The elements in memory for the length of a call.
  func withPointer<R>(_ body: (UnsafePointer<Element>) -> R) -> R {
    withUnsafeBufferPointer { buffer in
      if let base = buffer.baseAddress { return body(base) }
      let empty = UnsafeMutablePointer<Element>.allocate(capacity: 1)
      defer { empty.deallocate() }
      return body(empty)
    }
  }
}
