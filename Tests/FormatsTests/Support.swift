// What the tests of the formats share: cutting and flipping bytes, folders that clean up after themselves.

import Basics
import Formats
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Every proper prefix of the bytes must be refused, with the file's name in the message.
func expectAllTruncationsFail(
  _ bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation,
  _ decode: ([UInt8]) throws -> Void
) {
  for length in 0..<bytes.count {
    expectFailure("a file", sourceLocation: sourceLocation) { try decode(Array(bytes[..<length])) }
  }
}

/// Decodes seeded mutations of the bytes: flips, cuts, insertions, runs of extreme values. Any
/// result is fine except a trap or another kind of error; returns how many were accepted.
@discardableResult
func fuzz(
  _ bytes: [UInt8], seed: UInt64, rounds: Int, _ decode: ([UInt8]) throws -> Void
) throws -> Int {
  var random = PhiloxSequence(seed: seed, stream: 1)
  var accepted = 0
  for _ in 0..<rounds {
    var mutant = bytes
    for _ in 0...random.nextInt(below: 3) where !mutant.isEmpty {
      let at = random.nextInt(below: mutant.count)
      switch random.nextInt(below: 6) {
      case 0: mutant[at] ^= 1 << UInt8(random.nextInt(below: 8))
      case 1: mutant[at] = UInt8(random.nextInt(below: 256))
      case 2: mutant.removeLast(mutant.count - at)
      case 3: mutant.insert(UInt8(random.nextInt(below: 256)), at: at)
      case 4: mutant.remove(at: at)
      default:
        let extreme: UInt8 = [0xFF, 0x7F, 0x80, 0x00, 0x39][random.nextInt(below: 5)]
        for i in at..<min(at + 4, mutant.count) { mutant[i] = extreme }
      }
    }
    do {
      try decode(mutant)
      accepted += 1
    } catch is EnvironmentFailure {}
  }
  return accepted
}

/// Runs `body` with a new folder, which is removed afterwards with the files in it.
func withFolder(_ body: (String) throws -> Void) throws {
  var template = Array("/tmp/formats-tests-XXXXXX".utf8CString)
  let made = template.withUnsafeMutableBufferPointer { mkdtemp($0.baseAddress!) != nil }
  try #require(made)
  let folder = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  defer { removeTree(folder) }
  try body(folder)
}

private func removeTree(_ path: String) {
  chmod(path, 0o700)
  for name in (try? FileIO.list(path)) ?? [] {
    let child = path + "/" + name
    if FileIO.isDirectory(child) { removeTree(child) } else { unlink(child) }
  }
  rmdir(path)
}

/// Seeded bytes.
func randomBytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
  var random = PhiloxSequence(seed: seed, stream: 2)
  return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.nextWord()) }
}
