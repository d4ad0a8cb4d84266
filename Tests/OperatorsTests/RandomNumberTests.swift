// Philox against the known answers of its authors' test suite, and the operations that draw from it.

import Basics
import GraphIR
import Operators
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

@Suite struct RandomNumberTests {
  @Test func knownAnswers() {
    let zero = Philox.block(seed: 0, step: 0, stream: 0, block: 0)
    #expect(words(zero) == [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8])
    let ones = Philox.block(seed: .max, step: .max, stream: .max, block: .max)
    #expect(words(ones) == [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD])
    let digits = Philox.block(
      seed: 0x299F_31D0_A409_3822, step: 0x85A3_08D3, stream: 0x1319_8A2E,
      block: 0x0370_7344_243F_6A88)
    #expect(words(digits) == [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1])
  }

  private func words(_ block: PhiloxBlock) -> [UInt32] { (0..<4).map { block[$0] } }

  private func draw(_ operation: any Operation, seed: [Double] = [5, -2], step: Double = 3) throws
    -> [Double]
  {
    try evaluate(operation, HostTensor(.i32(2), seed), HostTensor(.i32(), [step]))
  }

  @Test func elementsComeFromTheirWords() throws {
    let seed = UInt64(UInt32(bitPattern: -2)) << 32 | 5
    func word(_ index: Int) -> UInt32 { Philox.word(seed: seed, step: 3, stream: 9, index: index) }
    let uniform = try draw(RandomUniform(shape: [3, 3], stream: 9))
    #expect(uniform == (0..<9).map { Double(word($0) >> 8) / 16_777_216 })
    let normal = try draw(RandomNormal(shape: [7], stream: 9))
    for pair in 0..<3 {
      let u = (Double(word(2 * pair) >> 8) + 1) / 16_777_216
      let angle = 2 * Double.pi * Double(word(2 * pair + 1) >> 8) / 16_777_216
      let radius = (-2 * log(u)).squareRoot()
      #expect(
        isClose(
          Array(normal[2 * pair..<2 * pair + 2]), [radius * cos(angle), radius * sin(angle)]))
    }
  }

  @Test func drawsDependOnSeedStepAndStream() throws {
    let first = try draw(RandomUniform(shape: [4], stream: 1))
    #expect(try draw(RandomUniform(shape: [4], stream: 1)) == first)
    #expect(try draw(RandomUniform(shape: [2, 3], stream: 1)).prefix(4) == first[...])
    #expect(try draw(RandomUniform(shape: [4], stream: 2)) != first)
    #expect(try draw(RandomUniform(shape: [4], stream: 1), step: 4) != first)
    #expect(try draw(RandomUniform(shape: [4], stream: 1), seed: [6, -2]) != first)
    #expect(try draw(RandomUniform(shape: [4], stream: 1), seed: [5, 2]) != first)
  }

  @Test func distributions() throws {
    let count = 4096.0
    let uniform = try draw(RandomUniform(shape: [4096], stream: 4))
    #expect(uniform.allSatisfy { $0 >= 0 && $0 < 1 })
    #expect(abs(uniform.reduce(0, +) / count - 0.5) < 0.02)
    let normal = try draw(RandomNormal(shape: [4096], stream: 4))
    #expect(abs(normal.reduce(0, +) / count) < 0.06)
    #expect(abs(normal.reduce(0) { $0 + $1 * $1 } / count - 1) < 0.1)
    let outside = Double(normal.filter { abs($0) > 1.96 }.count) / count
    #expect(outside > 0.03 && outside < 0.07)
  }
}
