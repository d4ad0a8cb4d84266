// Regions: how inputs are read, results stored over inputs, several blocks, random numbers.

import Glibc
import KernelTable
import Testing

@Suite struct RegionAccessTests {
  @Test(arguments: Isa.all, [1, 3, 15, 17, 64, 1000, 1024, 1025, 3001])
  func accessKinds(isa: Isa, count: Int) {
    var random = Values(UInt64(count))
    // A shape [2, count, 3] seen flat.
    let total = 6 * count
    let full = Floats(random.floats(total))
    let scalar = Floats([2.5])
    let trailing = Floats(random.floats(3 * count))
    let short = Floats(random.floats(3))
    let leading = Floats(random.floats(2 * count))
    let middle = Floats(random.floats(count))
    let out = Floats(total)
    let sizes = [2, count, 3]
    let strides = [0, 1, 0]
    sizes.withPointer { sizes in
      strides.withPointer { strides in
        let inputs = [
          RegionInput(full.raw, .full), RegionInput(scalar.raw, .scalar),
          RegionInput(trailing.raw, .trailing, period: 3 * count),
          RegionInput(short.raw, .trailing, period: 3),
          RegionInput(leading.raw, .leading, period: 3),
          RegionInput(middle.raw, .strided, rank: 3, sizes: sizes, strides: strides),
        ]
        let code = [
          RegionInstruction(.multiply, destination: 0, a: -1, b: -2),
          RegionInstruction(.add, destination: 1, a: 0, b: -3),
          RegionInstruction(.subtract, destination: 0, a: 1, b: -4),
          RegionInstruction(.add, destination: 0, a: 0, b: -5),
          RegionInstruction(.multiply, destination: 2, a: 0, b: -6),
        ]
        let raw = Floats(total)
        let copy = Floats(total)
        runProgram(
          isa, count: total, registers: 3, code, inputs: inputs,
          outputs: [(2, out), (-3, raw), (2, copy)])
        for i in 0..<total {
          let t = full.pointer[i] * 2.5 + trailing.pointer[i % (3 * count)] - short.pointer[i % 3]
          let expected = (t + leading.pointer[i / 3]) * middle.pointer[i / 3 % count]
          #expect(out.pointer[i] == expected, "element \(i) of \(total)")
          #expect(raw.pointer[i] == trailing.pointer[i % (3 * count)])
          #expect(copy.pointer[i] == expected)
        }
      }
    }
  }

  @Test(arguments: Isa.all, [1, 100, 2500])
  func resultsOverInputs(isa: Isa, count: Int) {
    // An update in place that reads its inputs again after each result is known:
    // m' = m + g, p' = p − m'·p, old = p.
    var random = Values(3)
    let p0 = random.floats(count)
    let m0 = random.floats(count)
    let g = Floats(random.floats(count))
    let p = Floats(p0)
    let m = Floats(m0)
    let old = Floats(count)
    let code = [
      RegionInstruction(.add, destination: 0, a: -2, b: -3),
      RegionInstruction(.multiply, destination: 1, a: 0, b: -1),
      RegionInstruction(.subtract, destination: 2, a: -1, b: 1),
      RegionInstruction(.multiply, destination: 3, a: -2, b: -2),
    ]
    runProgram(
      isa, count: count, registers: 4, code,
      inputs: [
        RegionInput(p.raw, .full), RegionInput(m.raw, .full), RegionInput(g.raw, .full),
      ], outputs: [(0, m), (2, p), (-1, old), (3, Floats(count))])
    for i in 0..<count {
      let m1 = m0[i] + g.pointer[i]
      #expect(m.pointer[i] == m1)
      #expect(p.pointer[i] == p0[i] - m1 * p0[i])
      #expect(old.pointer[i] == p0[i])
    }
  }

  /// Several programs in one launch: each element once, whatever the number of shares.
  @Test(arguments: Isa.all, [1, 2, 3, 7, 100])
  func severalProgramsAtOnce(isa: Isa, shares: Int) {
    let counts = [1, 64, 65, 0, 1000, 4097, 3]
    var random = Values(UInt64(shares))
    let inputs = counts.map { Floats(random.floats(max($0, 1))) }
    let outputs = counts.map { Floats(max($0, 1)) }
    // x = x + x, in place, and y = 2·x: an element that is done twice is seen.
    let before = inputs.map { input in (0..<input.count).map { input.pointer[$0] } }
    let code = [RegionInstruction(.add, destination: 0, a: -1, b: -1)]
    let reads = UnsafeMutablePointer<RegionInput>.allocate(capacity: counts.count)
    let writes = UnsafeMutablePointer<RegionOutput>.allocate(capacity: 2 * counts.count)
    defer {
      reads.deallocate()
      writes.deallocate()
    }
    code.withPointer { code in
      let programs = counts.indices.map { index in
        (reads + index).initialize(to: RegionInput(inputs[index].raw, .full))
        (writes + 2 * index).initialize(to: RegionOutput(source: 0, inputs[index].raw))
        (writes + 2 * index + 1).initialize(to: RegionOutput(source: 0, outputs[index].raw))
        var program = RegionArguments()
        program.instructions = code
        program.instructionCount = 1
        program.inputs = UnsafePointer(reads + index)
        program.inputCount = 1
        program.outputs = UnsafePointer(writes + 2 * index)
        program.outputCount = 2
        program.registerCount = 1
        program.count = counts[index]
        return program
      }
      programs.withPointer { list in
        var arguments = RegionsArguments()
        arguments.programs = list
        arguments.programCount = counts.count
        #expect(arguments.units() == 1 + 1 + 2 + 16 + 65 + 1)
        #expect(arguments.tasks() == 2)
        launch(isa.table.regions, arguments, scratch: arguments.scratchBytes(), shares: shares)
      }
    }
    for (index, count) in counts.enumerated() {
      for i in 0..<count {
        #expect(inputs[index].pointer[i] == 2 * before[index][i])
        #expect(outputs[index].pointer[i] == 2 * before[index][i])
      }
    }
  }

  /// Basics' definition, restated.
  static func word(_ seed: UInt64, _ step: UInt32, _ stream: UInt32, _ index: Int) -> UInt32 {
    var c: [UInt32] = [UInt32(index / 4), step, stream, 0]
    var k = [UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)]
    for _ in 0..<10 {
      let p0 = UInt64(c[0]) &* 0xD251_1F53
      let p1 = UInt64(c[2]) &* 0xCD9E_8D57
      c = [
        UInt32(p1 >> 32) ^ c[1] ^ k[0], UInt32(truncatingIfNeeded: p1),
        UInt32(p0 >> 32) ^ c[3] ^ k[1], UInt32(truncatingIfNeeded: p0),
      ]
      k = [k[0] &+ 0x9E37_79B9, k[1] &+ 0xBB67_AE85]
    }
    return c[index % 4]
  }

  @Test(arguments: Isa.all, [1, 7, 64, 1027, 5000])
  func randomNumbers(isa: Isa, count: Int) {
    let seed: UInt64 = 0x1234_5678_9ABC_DEF0
    let key = Floats(integers: [
      Int32(truncatingIfNeeded: seed), Int32(truncatingIfNeeded: seed >> 32),
    ])
    let step = Floats(integers: [41])
    let uniform = Floats(count)
    let normal = Floats(count)
    runProgram(
      isa, count: count, registers: 2,
      [
        RegionInstruction(.uniform, destination: 0, a: -1, b: -2, integer: -77),
        RegionInstruction(.normal, destination: 1, a: -1, b: -2, integer: 5),
      ], inputs: [RegionInput(key.raw, .words), RegionInput(step.raw, .words)],
      outputs: [(0, uniform), (1, normal)])
    for i in 0..<count {
      let w = Self.word(seed, 41, UInt32(bitPattern: -77), i)
      #expect(uniform.pointer[i] == Float(w >> 8) * 0x1p-24)
      let w0 = Self.word(seed, 41, 5, i & ~1)
      let w1 = Self.word(seed, 41, 5, i | 1)
      let r = Glibc.sqrt(-2 * Glibc.log(Double((w0 >> 8) + 1) * 0x1p-24))
      let angle = 2 * Double.pi * Double(w1 >> 8) * 0x1p-24
      let exact = r * (i % 2 == 0 ? Glibc.cos(angle) : Glibc.sin(angle))
      #expect(abs(Double(normal.pointer[i]) - exact) <= 4e-7 * max(1, r))
    }
  }
}
