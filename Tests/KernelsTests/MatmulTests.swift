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
  .init(m: 20, n: 300, k: 1), .init(m: 33, n: 70, k: 300), .init(m: 270, n: 290, k: 30),
  .init(m: 25, n: 336, k: 700), .init(m: 9, n: 17, k: 40, batches: 2), .init(m: 14, n: 4100, k: 3),
  .init(m: 8, n: 16, k: 0),
]

/// The left region program of an epilogue: relu(c + bias + more) beside its argument, which takes c's place.
func withEpilogue(
  c: Floats, bias: Floats, more: Floats, out: Floats, n: Int,
  _ body: (UnsafePointer<RegionArguments>) -> Void
) {
  let code = [
    RegionInstruction(.add, destination: 0, a: -1, b: -2),
    RegionInstruction(.add, destination: 0, a: 0, b: -3),
    RegionInstruction(.relu, destination: 1, a: 0),
  ]
  let inputs = [
    RegionInput(c.raw, .full), RegionInput(bias.raw, .trailing, period: n),
    RegionInput(more.raw, .full),
  ]
  let outputs = [RegionOutput(source: 0, c.raw), RegionOutput(source: 1, out.raw)]
  code.withPointer { code in
    inputs.withPointer { inputs in
      outputs.withPointer { outputs in
        var region = RegionArguments()
        region.instructions = code
        region.instructionCount = 3
        region.inputs = inputs
        region.inputCount = 3
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
    let more = Floats(random.floats(batches * m * n))
    let expected = product(a, b, bias, more, shape)
    let positive = expected.map { max($0, 0) }
    // Roundings add up like steps of a random walk.
    let bound = 1e-6 * max(1, (Double(k) / 256).squareRoot())
    for transposedA in [false, true] {
      let left = Floats(transposedA ? transposed(a, batches, m, k) : a)
      for transposedB in [false, true] {
        let right = Floats(transposedB ? transposed(b, batches, k, n) : b)
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
        for form in forms(shape, transposedB) {
          let packed = packedOperand(form, transposedA, transposedB, shape, left, right, isa)
          withEpilogue(c: c, bias: bias, more: more, out: out, n: n) { epilogue in
            var arguments = MatmulArguments()
            arguments.form = form
            arguments.a = UnsafePointer(left.pointer)
            arguments.b = UnsafePointer(right.pointer)
            arguments.packed = UnsafePointer(packed.pointer)
            arguments.m = m
            arguments.n = n
            arguments.k = k
            arguments.transposedA = transposedA
            arguments.lda = transposedA ? m : k
            arguments.ldb = transposedB ? k : n
            arguments.batches = batches
            arguments.batchStrideA = m * k
            arguments.batchStrideB = k * n
            arguments.batchStridePacked = packed.count / batches
            let place = "\(form) A\(transposedA) B\(transposedB)"
            let sums = Floats(batches * m * n)
            arguments.c = sums.pointer
            launchAll(
              isa.table.matmul, arguments, scratch: arguments.scratchBytes(unit), outputs: [sums])
            arguments.c = nil
            arguments.epilogue = epilogue
            launchAll(
              isa.table.matmul, arguments, scratch: arguments.scratchBytes(unit), outputs: [c, out])
            #expect(worst(c.values, expected) < bound, "\(place)")
            #expect(worst(out.values, positive) < bound, "\(place)")
            // The same sums with and without an epilogue.
            var i = 0
            while i < sums.count {
              sums.pointer[i] = sums.pointer[i] + bias.pointer[i % n] + more.pointer[i]
              i += 1
            }
            #expect(sums.values == c.values, "\(place)")
          }
        }
      }
    }
  }
}

/// a · b + bias + more, by plain loops.
private func product(
  _ a: [Float], _ b: [Float], _ bias: Floats, _ more: Floats, _ shape: MatmulShape
) -> [Double] {
  let (m, n, k) = (shape.m, shape.n, shape.k)
  var result = [Double](repeating: 0, count: shape.batches * m * n)
  a.withPointer { a in
    b.withPointer { b in
      for row in 0..<shape.batches * m {
        let first = row / m * k * n
        for column in 0..<n {
          var sum = Double(bias.pointer[column]) + Double(more.pointer[row * n + column])
          var l = 0
          while l < k {
            sum += Double(a[row * k + l]) * Double(b[first + l * n + column])
            l += 1
          }
          result[row * n + column] = sum
        }
      }
    }
  }
  return result
}

/// Each matrix of `rows` by `columns` the other way round.
private func transposed(_ x: [Float], _ batches: Int, _ rows: Int, _ columns: Int) -> [Float] {
  var result = [Float](repeating: 0, count: x.count)
  for batch in 0..<batches {
    let first = batch * rows * columns
    for row in 0..<rows {
      for column in 0..<columns {
        result[first + column * rows + row] = x[first + row * columns + column]
      }
    }
  }
  return result
}

/// The forms that can compute a product.
private func forms(_ shape: MatmulShape, _ transposedB: Bool) -> [MatmulForm] {
  var forms = [MatmulForm.packed]
  if shape.n >= 8, !transposedB { forms.append(.direct) }
  if shape.n >= 8, shape.m >= 8, transposedB { forms.append(.swapped) }
  return forms
}

/// The operand that a form wants packed.
private func packedOperand(
  _ form: MatmulForm, _ transposedA: Bool, _ transposedB: Bool, _ shape: MatmulShape,
  _ left: Floats, _ right: Floats, _ isa: Isa
) -> Floats {
  let (m, n, k) = (shape.m, shape.n, shape.k)
  var pack = PackArguments()
  pack.k = k
  pack.batches = shape.batches
  switch form {
  case .direct: return Floats(0)
  case .packed:
    pack.source = UnsafePointer(right.pointer)
    pack.n = n
    pack.strideK = transposedB ? 1 : n
    pack.strideN = transposedB ? k : 1
    pack.batchStride = k * n
  case .swapped:
    pack.source = UnsafePointer(left.pointer)
    pack.n = m
    pack.strideK = transposedA ? m : 1
    pack.strideN = transposedA ? 1 : k
    pack.batchStride = m * k
  }
  let packed = Floats(pack.packedCount(isa.table.unit))
  pack.packed = packed.pointer
  launchAll(isa.table.pack, pack, outputs: [packed])
  return packed
}
