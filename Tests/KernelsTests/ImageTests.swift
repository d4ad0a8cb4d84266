// Scaling and pooling against plain loops in Double, adjoints against their definition.

import KernelTable
import Testing

struct ScaleCase: Sendable, CustomTestStringConvertible {
  var shape: [Int]
  var factors: [Int]
  var testDescription: String { "\(shape) ×\(factors)" }
}

let scaleCases: [ScaleCase] = [
  .init(shape: [1, 1, 1, 1], factors: [1, 1]), .init(shape: [2, 3, 4, 5], factors: [2, 2]),
  .init(shape: [1, 5, 2, 17], factors: [3, 1]), .init(shape: [3, 2, 3, 33], factors: [2, 4]),
]

struct PoolCase: Sendable, CustomTestStringConvertible {
  var shape: [Int]
  var kernel: [Int]
  var stride: [Int]
  /// top, bottom, left, right.
  var padding = [0, 0, 0, 0]
  var testDescription: String { "\(shape) k\(kernel) s\(stride) p\(padding)" }
  var output: [Int] {
    [
      (shape[1] + padding[0] + padding[1] - kernel[0]) / stride[0] + 1,
      (shape[2] + padding[2] + padding[3] - kernel[1]) / stride[1] + 1,
    ]
  }
}

let poolCases: [PoolCase] = [
  .init(shape: [1, 2, 2, 1], kernel: [2, 2], stride: [2, 2]),
  .init(shape: [2, 7, 6, 18], kernel: [3, 2], stride: [2, 1], padding: [1, 1, 0, 1]),
  .init(shape: [1, 9, 9, 5], kernel: [2, 2], stride: [3, 4]),
  .init(shape: [3, 4, 4, 16], kernel: [4, 4], stride: [4, 4]),
  .init(shape: [1, 5, 5, 3], kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1]),
]

@Suite struct ImageTests {
  @Test(arguments: Isa.all, scaleCases)
  func scales(isa: Isa, test: ScaleCase) {
    let (n, h, w, c) = (test.shape[0], test.shape[1], test.shape[2], test.shape[3])
    let (fy, fx) = (test.factors[0], test.factors[1])
    var random = Values(3)
    let smallValues = random.floats(n * h * w * c)
    let largeValues = random.floats(n * h * w * c * fy * fx)
    func place(_ i: Int, _ f: Int, _ size: Int) -> (Int, Int, Double) {
      let x = max((Double(i) + 0.5) / Double(f) - 0.5, 0)
      let first = Int(x)
      return (first, min(first + 1, size - 1), x - Double(first))
    }
    var nearest = [Double](repeating: 0, count: largeValues.count)
    var sums = [Double](repeating: 0, count: smallValues.count)
    var bilinear = nearest
    var adjoint = sums
    for b in 0..<n {
      for i in 0..<h * fy {
        for j in 0..<w * fx {
          for k in 0..<c {
            func small(_ r: Int, _ s: Int) -> Int { ((b * h + r) * w + s) * c + k }
            let at = ((b * h * fy + i) * w * fx + j) * c + k
            nearest[at] = 0.5 * Double(smallValues[small(i / fy, j / fx)])
            sums[small(i / fy, j / fx)] += 0.5 * Double(largeValues[at])
            let (r0, r1, a) = place(i, fy, h)
            let (s0, s1, e) = place(j, fx, w)
            for (r, s, weight) in [
              (r0, s0, (1 - a) * (1 - e)), (r0, s1, (1 - a) * e), (r1, s0, a * (1 - e)),
              (r1, s1, a * e),
            ] {
              bilinear[at] += weight * Double(smallValues[small(r, s)])
              adjoint[small(r, s)] += weight * Double(largeValues[at])
            }
          }
        }
      }
    }
    var arguments = ScaleArguments()
    arguments.batch = n
    arguments.height = h
    arguments.width = w
    arguments.channels = c
    arguments.factorHeight = fy
    arguments.factorWidth = fx
    arguments.scale = 0.5
    func up(_ kernel: Kernel, _ expected: [Double]) {
      let small = Floats(smallValues)
      let large = Floats(largeValues.count)
      arguments.small = small.pointer
      arguments.large = large.pointer
      launchAll(kernel, arguments, outputs: [large])
      #expect(worst(large.values, expected) < 1e-6)
    }
    func down(_ kernel: Kernel, _ expected: [Double]) {
      let small = Floats(smallValues.count)
      let large = Floats(largeValues)
      arguments.small = small.pointer
      arguments.large = large.pointer
      launchAll(kernel, arguments, outputs: [small])
      #expect(worst(small.values, expected) < 1e-6)
    }
    up(isa.table.upsampleNearest, nearest)
    down(isa.table.blockSum, sums)
    up(isa.table.upsampleBilinear, bilinear)
    down(isa.table.upsampleBilinearAdjoint, adjoint)
  }

  @Test(arguments: Isa.all, poolCases)
  func pools(isa: Isa, test: PoolCase) {
    let (n, h, w, c) = (test.shape[0], test.shape[1], test.shape[2], test.shape[3])
    let out = test.output
    var random = Values(8)
    // Whole numbers, so that ties occur.
    let x = (0..<n * h * w * c).map { _ in Float(random.int(5)) }
    let dyValues = random.floats(n * out[0] * out[1] * c)
    let sourceValues = random.floats(x.count)
    var largest: [Float] = []
    var gathered: [Float] = []
    var mean: [Double] = []
    var dxMax = [Double](repeating: 0, count: x.count)
    var dxMean = dxMax
    for b in 0..<n {
      for i in 0..<out[0] {
        for j in 0..<out[1] {
          for k in 0..<c {
            var window: [Int] = []
            for u in 0..<test.kernel[0] {
              for v in 0..<test.kernel[1] {
                let r = i * test.stride[0] - test.padding[0] + u
                let s = j * test.stride[1] - test.padding[2] + v
                if r >= 0, r < h, s >= 0, s < w { window.append(((b * h + r) * w + s) * c + k) }
              }
            }
            let most = window.map { x[$0] }.max()!
            let first = window.first { x[$0] == most }!
            let dy = Double(dyValues[largest.count])
            largest.append(most)
            gathered.append(sourceValues[first])
            mean.append(window.reduce(0) { $0 + Double(x[$1]) } / Double(window.count))
            dxMax[first] += dy
            for p in window { dxMean[p] += dy / Double(window.count) }
          }
        }
      }
    }
    let input = Floats(x)
    let y = Floats(largest.count)
    let dy = Floats(dyValues)
    let dx = Floats(x.count)
    let source = Floats(sourceValues)
    var a = PoolArguments()
    a.x = UnsafePointer(input.pointer)
    a.batch = n
    a.xHeight = h
    a.xWidth = w
    a.yHeight = out[0]
    a.yWidth = out[1]
    a.channels = c
    a.kernelHeight = test.kernel[0]
    a.kernelWidth = test.kernel[1]
    a.strideHeight = test.stride[0]
    a.strideWidth = test.stride[1]
    a.top = test.padding[0]
    a.left = test.padding[2]
    a.y = y.pointer
    launchAll(isa.table.maxPool, a, outputs: [y])
    #expect(y.values == largest)
    launchAll(isa.table.averagePool, a, outputs: [y])
    #expect(worst(y.values, mean) < 1e-6)
    a.dx = source.pointer
    launchAll(isa.table.maxPoolGather, a, outputs: [y])
    #expect(y.values == gathered)
    a.y = dy.pointer
    a.dx = dx.pointer
    launchAll(isa.table.maxPoolGradient, a, outputs: [dx])
    #expect(worst(dx.values, dxMax) < 1e-6)
    launchAll(isa.table.averagePoolGradient, a, outputs: [dx])
    #expect(worst(dx.values, dxMean) < 1e-6)
  }

  /// A kernel that is missing in a table would silently do nothing.
  @Test(arguments: Isa.all)
  func allKernelsAreFilledIn(isa: Isa) {
    withUnsafeBytes(of: unfilledKernel as Kernel) { unfilled in
      let empty = unfilled.load(as: UInt.self)
      withUnsafeBytes(of: isa.table) { bytes in
        for word in stride(from: 0, to: bytes.count, by: MemoryLayout<UInt>.stride) {
          #expect(bytes.load(fromByteOffset: word, as: UInt.self) != empty, "field \(word / 8)")
        }
      }
    }
    withUnsafeBytes(of: KernelTable()) { bytes in
      withUnsafeBytes(of: unfilledKernel as Kernel) { unfilled in
        let empty = unfilled.load(as: UInt.self)
        let last = bytes.count - MemoryLayout<UInt>.stride
        #expect(bytes.load(fromByteOffset: last, as: UInt.self) == empty, "the check is void")
      }
    }
  }
}
