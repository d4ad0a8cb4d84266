// The three convolutions against plain loops in Double.

import KernelTable
import Testing

struct ConvolutionCase: Sendable, CustomTestStringConvertible {
  var batch: Int
  var size: [Int]
  var channels: [Int]
  var kernel: [Int]
  var stride = [1, 1]
  /// top, bottom, left, right.
  var padding = [0, 0, 0, 0]
  var testDescription: String {
    "\(batch)×\(size) \(channels[0])→\(channels[1]) k\(kernel) s\(stride) p\(padding)"
  }
  var output: [Int] {
    [
      (size[0] + padding[0] + padding[1] - kernel[0]) / stride[0] + 1,
      (size[1] + padding[2] + padding[3] - kernel[1]) / stride[1] + 1,
    ]
  }
}

let convolutionCases: [ConvolutionCase] = [
  .init(batch: 1, size: [1, 1], channels: [1, 1], kernel: [1, 1]),
  .init(batch: 2, size: [5, 4], channels: [3, 5], kernel: [3, 3], padding: [1, 1, 1, 1]),
  .init(batch: 3, size: [7, 7], channels: [16, 33], kernel: [5, 5], padding: [2, 2, 2, 2]),
  .init(batch: 2, size: [9, 8], channels: [9, 12], kernel: [4, 4], padding: [1, 2, 1, 2]),
  .init(
    batch: 1, size: [28, 28], channels: [1, 32], kernel: [5, 5], stride: [2, 2],
    padding: [1, 2, 1, 2]),
  .init(
    batch: 2, size: [14, 14], channels: [17, 8], kernel: [5, 5], stride: [2, 2],
    padding: [1, 2, 1, 2]),
  .init(batch: 2, size: [11, 10], channels: [8, 40], kernel: [2, 2], stride: [3, 3]),
  .init(
    batch: 2, size: [8, 9], channels: [11, 2], kernel: [3, 2], stride: [2, 1],
    padding: [2, 0, 0, 1]),
  .init(batch: 1, size: [20, 31], channels: [12, 1], kernel: [4, 4], padding: [1, 2, 1, 2]),
  .init(batch: 50, size: [3, 3], channels: [2, 3], kernel: [3, 3], padding: [1, 1, 1, 1]),
  .init(batch: 5, size: [4, 1], channels: [24, 9], kernel: [3, 1], padding: [1, 1, 0, 0]),
  .init(batch: 1, size: [6, 6], channels: [300, 64], kernel: [1, 1]),
  .init(
    batch: 4, size: [6, 6], channels: [7, 130], kernel: [3, 3], stride: [1, 2],
    padding: [0, 0, 3, 3]),
]

/// y, dx and dw in Double.
struct ConvolutionReference {
  var y: [Double]
  var dx: [Double]
  var dw: [Double]

  init(_ t: ConvolutionCase, x: [Float], w: [Float], dy: [Float]) {
    let out = t.output
    y = [Double](repeating: 0, count: t.batch * out[0] * out[1] * t.channels[1])
    dx = [Double](repeating: 0, count: x.count)
    dw = [Double](repeating: 0, count: w.count)
    let (inC, outC) = (t.channels[0], t.channels[1])
    for n in 0..<t.batch {
      for i in 0..<out[0] {
        for j in 0..<out[1] {
          for u in 0..<t.kernel[0] {
            for v in 0..<t.kernel[1] {
              let (r, s) = (
                i * t.stride[0] - t.padding[0] + u, j * t.stride[1] - t.padding[2] + v
              )
              guard r >= 0, r < t.size[0], s >= 0, s < t.size[1] else { continue }
              let yAt = ((n * out[0] + i) * out[1] + j) * outC
              let xAt = ((n * t.size[0] + r) * t.size[1] + s) * inC
              let wAt = (u * t.kernel[1] + v) * inC * outC
              add(x, w, dy, inC, outC, xAt, wAt, yAt)
            }
          }
        }
      }
    }
  }

  private mutating func add(
    _ x: [Float], _ w: [Float], _ dy: [Float], _ inC: Int, _ outC: Int, _ xAt: Int, _ wAt: Int,
    _ yAt: Int
  ) {
    x.withPointer { x in
      w.withPointer { w in
        dy.withPointer { dy in
          y.withUnsafeMutableBufferPointer { y in
            dx.withUnsafeMutableBufferPointer { dx in
              dw.withUnsafeMutableBufferPointer { dw in
                var c = 0
                while c < inC {
                  let value = Double(x[xAt + c])
                  var sum = 0.0
                  var o = 0
                  while o < outC {
                    let weight = Double(w[wAt + c * outC + o])
                    let gradient = Double(dy[yAt + o])
                    y[yAt + o] += value * weight
                    sum += gradient * weight
                    dw[wAt + c * outC + o] += value * gradient
                    o += 1
                  }
                  dx[xAt + c] += sum
                  c += 1
                }
              }
            }
          }
        }
      }
    }
  }
}

@Suite struct ConvolutionTests {
  @Test(arguments: convolutionCases)
  func agreesWithLoops(test: ConvolutionCase) {
    let out = test.output
    var random = Values(UInt64(test.channels[1] * 7 + test.size[0]))
    let x = random.floats(test.batch * test.size[0] * test.size[1] * test.channels[0])
    let w = random.floats(test.kernel[0] * test.kernel[1] * test.channels[0] * test.channels[1])
    let dy = random.floats(test.batch * out[0] * out[1] * test.channels[1])
    let expected = ConvolutionReference(test, x: x, w: w, dy: dy)
    for isa in Isa.all {
      let unit = isa.table.unit
      let filter = Floats(w)
      var a = ConvolutionArguments()
      a.filter = filter.pointer
      a.batch = test.batch
      a.xHeight = test.size[0]
      a.xWidth = test.size[1]
      a.inChannels = test.channels[0]
      a.yHeight = out[0]
      a.yWidth = out[1]
      a.outChannels = test.channels[1]
      a.kernelHeight = test.kernel[0]
      a.kernelWidth = test.kernel[1]
      a.strideHeight = test.stride[0]
      a.strideWidth = test.stride[1]
      a.top = test.padding[0]
      a.left = test.padding[2]

      forward(isa, a, x, expected.y, unit)
      inputGradient(isa, a, dy, expected.dx, unit)
      filterGradient(isa, a, x, dy, expected.dw, unit)
    }
  }

  func forward(
    _ isa: Isa, _ arguments: ConvolutionArguments, _ x: [Float], _ y: [Double], _ unit: GemmUnit
  ) {
    var a = arguments
    let packed = Floats(a.packedCount(unit))
    a.packed = packed.pointer
    launchAll(isa.table.packFilter, a, outputs: [packed])
    let input = Floats(x)
    let output = Floats(y.count)
    let second = Floats(y.count)
    a.x = input.pointer
    a.y = output.pointer
    let n = a.outChannels
    let bias = Floats(n) { Float($0 % 5) - 2 }
    let more = Floats(y.count) { Float($0 % 7) - 3 }
    let biased = y.indices.map {
      y[$0] + Double(bias.pointer[$0 % n]) + Double(more.pointer[$0])
    }
    withEpilogue(c: output, bias: bias, more: more, out: second, n: n) { epilogue in
      a.epilogue = epilogue
      launchAll(
        isa.table.convolution, a, scratch: a.scratchBytes(unit), outputs: [output, second])
    }
    #expect(worst(output.values, biased) < 2e-6, "forward \(isa.name)")
    #expect(worst(second.values, biased.map { max($0, 0) }) < 2e-6, "epilogue \(isa.name)")
  }

  func inputGradient(
    _ isa: Isa, _ arguments: ConvolutionArguments, _ dy: [Float], _ dx: [Double], _ unit: GemmUnit
  ) {
    var a = arguments
    let packed = Floats(a.packedTransposedCount(unit))
    a.packed = packed.pointer
    launchAll(isa.table.packFilterTransposed, a, outputs: [packed])
    let gradient = Floats(dy)
    let output = Floats(dx.count)
    a.x = output.pointer
    a.y = gradient.pointer
    launchAll(
      isa.table.convolutionInputGradient, a, scratch: a.scratchBytes(unit), outputs: [output])
    #expect(worst(output.values, dx) < 2e-6, "input gradient \(isa.name)")
  }

  func filterGradient(
    _ isa: Isa, _ arguments: ConvolutionArguments, _ x: [Float], _ dy: [Float], _ dw: [Double],
    _ unit: GemmUnit
  ) {
    var a = arguments
    let input = Floats(x)
    let gradient = Floats(dy)
    let output = Floats(dw.count)
    let partial = Floats(a.filterGradientPartialCount(unit))
    a.x = input.pointer
    a.y = gradient.pointer
    a.filter = output.pointer
    a.partial = partial.pointer
    let scratch = a.filterGradientScratchBytes(unit)
    if partial.count > 0 {
      launchAll(
        isa.table.convolutionFilterGradient, a, scratch: scratch, outputs: [partial])
      launchAll(isa.table.convolutionFilterGradientCombine, a, outputs: [output])
    } else {
      launchAll(isa.table.convolutionFilterGradient, a, scratch: scratch, outputs: [output])
    }
    #expect(worst(output.values, dw) < 2e-6, "filter gradient \(isa.name)")
  }
}
