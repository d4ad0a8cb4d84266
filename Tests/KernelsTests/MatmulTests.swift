// The matrix product against plain loops in Double.

import KernelTable
import Testing

struct MatmulShape: Sendable, CustomTestStringConvertible {
  var m: Int
  var n: Int
  var k: Int
  var batches = 1
  var testDescription: String { "\(m)×\(n)×\(k)×\(batches)" }
}

let matmulShapes: [MatmulShape] = [
  .init(m: 1, n: 1, k: 1), .init(m: 1, n: 9, k: 3), .init(m: 5, n: 7, k: 11),
  .init(m: 3, n: 8, k: 2), .init(m: 13, n: 33, k: 17), .init(m: 12, n: 32, k: 256),
  .init(m: 25, n: 40, k: 600), .init(m: 67, n: 1, k: 1000), .init(m: 130, n: 3, k: 257),
  .init(m: 530, n: 70, k: 20), .init(m: 4, n: 64, k: 5, batches: 3),
  .init(m: 31, n: 2, k: 9, batches: 2),
  .init(m: 20, n: 300, k: 1), .init(m: 8, n: 16, k: 0),
]

/// The left region program of an epilogue: relu(c + bias) beside c itself.
func withEpilogue(
  c: Floats, bias: Floats, out: Floats, n: Int, _ body: (UnsafePointer<RegionArguments>) -> Void
) {
  let code = [
    RegionInstruction(.add, destination: 0, a: -1, b: -2),
    RegionInstruction(.relu, destination: 1, a: 0),
  ]
  let inputs = [RegionInput(c.raw, .full), RegionInput(bias.raw, .trailing, period: n)]
  let outputs = [RegionOutput(source: 0, c.raw), RegionOutput(source: 1, out.raw)]
  code.withPointer { code in
    inputs.withPointer { inputs in
      outputs.withPointer { outputs in
        var region = RegionArguments()
        region.instructions = code
        region.instructionCount = 2
        region.inputs = inputs
        region.inputCount = 2
        region.outputs = outputs
        region.outputCount = 2
        region.registerCount = 2
        region.count = c.count
        withUnsafePointer(to: region, body)
      }
    }
  }
}

@Suite struct MatmulTests {
  @Test(arguments: Isa.all, matmulShapes)
  func agreesWithLoops(isa: Isa, shape: MatmulShape) {
    let (m, n, k, batches) = (shape.m, shape.n, shape.k, shape.batches)
    var random = Values(UInt64(m * 31 + n * 7 + k))
    let a = random.floats(batches * m * k)
    let b = random.floats(batches * k * n)
    let bias = Floats(random.floats(n))
    for transposedA in [false, true] {
      for transposedB in [false, true] {
        func at(_ batch: Int, _ i: Int, _ l: Int) -> Float {
          a[batch * m * k + (transposedA ? l * m + i : i * k + l)]
        }
        func bt(_ batch: Int, _ l: Int, _ j: Int) -> Float {
          b[batch * k * n + (transposedB ? j * k + l : l * n + j)]
        }
        var expected: [Double] = []
        for batch in 0..<batches {
          for i in 0..<m {
            for j in 0..<n {
              var sum = Double(bias.pointer[j])
              for l in 0..<k { sum += Double(at(batch, i, l)) * Double(bt(batch, l, j)) }
              expected.append(sum)
            }
          }
        }
        let left = Floats(a)
        let right = Floats(b)
        let unit = isa.table.unit
        var pack = PackArguments()
        pack.source = UnsafePointer(right.pointer)
        pack.k = k
        pack.n = n
        pack.strideK = transposedB ? 1 : n
        pack.strideN = transposedB ? k : 1
        pack.batches = batches
        pack.batchStride = k * n
        let packed = Floats(pack.packedCount(unit))
        pack.packed = packed.pointer
        launchAll(isa.table.pack, pack, outputs: [packed])
        let c = Floats(batches * m * n)
        let out = Floats(batches * m * n)
        withEpilogue(c: c, bias: bias, out: out, n: n) { epilogue in
          var arguments = MatmulArguments()
          arguments.a = UnsafePointer(left.pointer)
          arguments.packedB = UnsafePointer(packed.pointer)
          arguments.c = c.pointer
          arguments.m = m
          arguments.n = n
          arguments.k = k
          arguments.transposedA = transposedA
          arguments.lda = transposedA ? m : k
          arguments.batches = batches
          arguments.batchStrideA = m * k
          arguments.batchStrideB = packed.count / batches
          arguments.epilogue = epilogue
          launchAll(
            isa.table.matmul, arguments, scratch: arguments.scratchBytes(unit), outputs: [c, out])
        }
        #expect(worst(c.values, expected) < 1e-6, "A\(transposedA) B\(transposedB)")
        #expect(worst(out.values, expected.map { max($0, 0) }) < 1e-6)
      }
    }
  }
}
