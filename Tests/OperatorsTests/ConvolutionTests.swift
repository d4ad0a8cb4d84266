// The convolutions against definitions written independently (bounds tested at every element), against known
// values, and against each other: an operation and its gradients are adjoint.

import Basics
import GraphIR
import Operators
import Testing

/// A conv sample's sizes with random operands.
private struct ConvolutionCase: CustomStringConvertible {
  var x: HostTensor
  var w: HostTensor
  var y: HostTensor
  var stride: [Int]
  var padding: [Int]

  /// One case for each sample of conv2d, and some made at random.
  static let all: [ConvolutionCase] = {
    var cases = Conv2D.samples.map {
      ConvolutionCase($0.operands, $0.operation.stride, $0.operation.padding)
    }
    var random = PhiloxSequence(seed: 8, stream: 2)
    func number(_ range: ClosedRange<Int>) -> Int {
      range.lowerBound + random.nextInt(below: range.count)
    }
    while cases.count < 60 {
      let (channels, filters) = (number(1...3), number(1...3))
      let operation = Conv2D(
        stride: [number(1...4), number(1...4)],
        padding: [number(0...3), number(0...3), number(0...3), number(0...3)])
      let operands: [TensorType] = [
        .f32(number(1...2), number(1...7), number(1...7), channels),
        .f32(number(1...4), number(1...4), channels, filters),
      ]
      // Some do not fit.
      guard (try? operation.inferTypes(operands)) != nil else { continue }
      cases.append(ConvolutionCase(operands, operation.stride, operation.padding))
    }
    return cases
  }()

  init(_ operands: [TensorType], _ stride: [Int], _ padding: [Int]) {
    let conv = Conv2D(stride: stride, padding: padding)
    let result = (try? conv.inferTypes(operands))?.first ?? .f32()
    x = randomTensor(operands[0], stream: 1)
    w = randomTensor(operands[1], stream: 2)
    y = randomTensor(result, stream: 3)
    self.stride = stride
    self.padding = padding
  }

  var description: String { "\(x.type) * \(w.type), stride \(stride), padding \(padding)" }

  /// The definition, every element tested for being inside.
  func reference() -> [Double] {
    forEachIndex(in: y.shape) { p in
      var sum = 0.0
      for ky in 0..<w.shape[0] {
        for kx in 0..<w.shape[1] {
          let iy = p[1] * stride[0] - padding[0] + ky
          let ix = p[2] * stride[1] - padding[2] + kx
          guard iy >= 0, ix >= 0, iy < x.shape[1], ix < x.shape[2] else { continue }
          for i in 0..<x.shape[3] { sum += x[[p[0], iy, ix, i]] * w[[ky, kx, i, p[3]]] }
        }
      }
      return sum
    }
  }

  func forward() throws -> [Double] {
    try evaluate(Conv2D(stride: stride, padding: padding), x, w)
  }
  func inputGradient() throws -> [Double] {
    try evaluate(
      Conv2DInputGradient(
        stride: stride, padding: padding, inputSize: [x.shape[1], x.shape[2]]), y, w)
  }
  func filterGradient() throws -> [Double] {
    try evaluate(
      Conv2DFilterGradient(
        stride: stride, padding: padding, kernelSize: [w.shape[0], w.shape[1]]), x, y)
  }
}

/// <a, b>
private func dot(_ a: [Double], _ b: [Double]) -> Double {
  zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
}

@Suite struct ConvolutionTests {
  @Test func forwardIsTheDefinition() throws {
    for example in ConvolutionCase.all {
      #expect(isClose(try example.forward(), example.reference()), "\(example)")
    }
  }

  /// <conv(x, w), y> = <x, input gradient(y, w)> = <w, filter gradient(x, y)>, for any x, w, y.
  @Test func gradientsAreAdjoint() throws {
    for example in ConvolutionCase.all {
      let product = dot(try example.forward(), example.y.values)
      let byInput = dot(example.x.values, try example.inputGradient())
      let byFilter = dot(example.w.values, try example.filterGradient())
      #expect(isClose([product, product], [byInput, byFilter], 1e-10), "\(example)")
    }
  }

  @Test func knownValues() throws {
    let x = HostTensor(.f32(1, 3, 3, 1), (1...9).map(Double.init))
    let w = HostTensor(.f32(2, 2, 1, 1), [1, 2, 3, 4])
    // Not flipped: 1·1 + 2·2 + 3·4 + 4·5 = 37.
    #expect(try evaluate(Conv2D(), x, w) == [37, 47, 67, 77])
    #expect(
      try evaluate(Conv2D(stride: [2, 2], padding: [0, 1, 0, 1]), x, w) == [37, 21, 23, 9]
    )
  }

  @Test func restOfTheInputGradientIsZero() throws {
    // (8 − 2) % 3 = 0 rows 0…7 are read; (7 − 2) % 3 = 2: columns 5 and 6 are read by none.
    let dy = HostTensor(.f32(1, 3, 2, 1), repeating: 1)
    let w = HostTensor(.f32(2, 2, 1, 1), repeating: 1)
    let dx = try evaluate(
      Conv2DInputGradient(stride: [3, 3], padding: [0, 0, 0, 0], inputSize: [8, 7]), dy, w)
    let row: [Double] = [1, 1, 0, 1, 1, 0, 0]
    let gap = [Double](repeating: 0, count: 7)
    #expect(dx == row + row + gap + row + row + gap + row + row)
  }

  /// y[s·i + j] += x[i] · w[j], then cropped: the rule of the language.
  @Test func transposedConvolutionIsItsRule() throws {
    let cases: [(h: Int, k: Int, s: Int, crop: (Int, Int))] = [
      (1, 1, 1, (0, 0)), (3, 5, 2, (1, 2)), (4, 4, 2, (1, 1)), (3, 3, 1, (1, 1)), (2, 2, 3, (0, 0)),
      (3, 4, 2, (0, 3)),
    ]
    for (h, k, s, crop) in cases {
      let x = randomTensor(.f32(2, h, h, 3), stream: 1)
      let w = randomTensor(.f32(k, k, 3, 2), stream: 2)
      let builder = GraphBuilder(name: "transposed")
      let result = try builder.convTranspose2D(
        try builder.input(.argument("x"), x.type), try builder.input(.argument("w"), w.type),
        stride: [s, s], crop: [crop.0, crop.1, crop.0, crop.1])
      builder.output(.result("y"), result)
      let y = Evaluator().evaluate(builder.finish(), inputs: [x, w])[0]
      let size = (h - 1) * s + k
      #expect(y.shape == [2, size - crop.0 - crop.1, size - crop.0 - crop.1, 2])
      var full = HostTensor(.f32(2, size, size, 2))
      _ = forEachIndex(in: [2, h, h, k, k]) { i in
        for c in 0..<3 {
          for o in 0..<2 {
            full[[i[0], s * i[1] + i[3], s * i[2] + i[4], o]] +=
              x[[i[0], i[1], i[2], c]] * w[[i[3], i[4], c, o]]
          }
        }
      }
      let expected = forEachIndex(in: y.shape) { p in
        full[[p[0], p[1] + crop.0, p[2] + crop.0, p[3]]]
      }
      #expect(isClose(y.values, expected), "\(h) \(k) \(s) \(crop)")
    }
  }

  @Test func dilationPutsZerosBetween() throws {
    let x = randomTensor(.f32(1, 9, 8, 2), stream: 1)
    let w = randomTensor(.f32(3, 2, 2, 3), stream: 2)
    let builder = GraphBuilder(name: "dilated")
    let kernel = try builder.dilated(try builder.input(.argument("w"), w.type), by: [2, 3])
    #expect(builder.shape(of: kernel) == [5, 4, 2, 3])
    let image = try builder.input(.argument("x"), x.type)
    builder.output(.result("y"), try builder.conv2D(image, kernel))
    let y = Evaluator().evaluate(builder.finish(), inputs: [w, x])[0]
    let expected = forEachIndex(in: [1, 5, 5, 3]) { p in
      forEachIndex(in: [3, 2, 2]) { k in
        x[[p[0], p[1] + 2 * k[0], p[2] + 3 * k[1], k[2]]] * w[[k[0], k[1], k[2], p[3]]]
      }.reduce(0, +)
    }
    #expect(isClose(y.values, expected))
  }

  @Test func samePadding() throws {
    // The rule: out = ⌈in/s⌉, and the padding is the least that gives it, the odd one after.
    for input in 1...9 {
      for kernel in 1...6 {
        for stride in 1...4 {
          let (before, after) = WindowAxis.same(input: input, kernel: kernel, stride: stride)
          let axis = try WindowAxis(
            input: input, kernel: kernel, stride: stride, before: before, after: after)
          let wanted = Int((Double(input) / Double(stride)).rounded(.up))
          #expect(axis.output == wanted, "\(input) \(kernel) \(stride)")
          #expect(after - before == 0 || after - before == 1)
          if before + after > 0 {
            #expect(input + before + after == (wanted - 1) * stride + kernel)
          }
          let crop = WindowAxis.sameTransposed(kernel: kernel, stride: stride)
          // The image of the transposed layer has input·stride pixels, and the convolution back has `input`.
          let back = try WindowAxis(
            input: input * stride, kernel: kernel, stride: stride, before: crop.before,
            after: crop.after)
          #expect(back.output == input)
          if kernel >= stride {
            let output = try WindowAxis.transposedOutput(
              input: input, kernel: kernel, stride: stride, before: crop.before, after: crop.after)
            #expect(output == input * stride)
            #expect(crop.before == (kernel - stride) / 2)
          }
        }
      }
    }
    // TensorFlow's asymmetric case.
    #expect(WindowAxis.same(input: 28, kernel: 5, stride: 2) == (1, 2))
    #expect(WindowAxis.sameTransposed(kernel: 5, stride: 2) == (1, 2))
  }

  @Test func costCountsMultiplyAddsTwice() throws {
    let operands: [TensorType] = [.f32(2, 8, 8, 3), .f32(5, 5, 3, 16)]
    let conv = Conv2D(stride: [2, 2], padding: [1, 2, 1, 2])
    let results = try conv.inferTypes(operands)
    #expect(conv.cost(operands, results).flops == 2 * 2 * 16 * 75 * 16)
    #expect(conv.cost(operands, results).bytes == Double(4 * (384 + 1200 + 512)))
  }

  static let errors: [(operation: any Operation, operands: [TensorType], code: String)] = [
    (Conv2D(), [.f32(1, 4, 4, 3), .f32(3, 3, 2, 8)], "shape.mismatch"),
    (Conv2D(), [.f32(1, 4, 4), .f32(3, 3, 2, 8)], "shape.rank"),
    (Conv2D(), [.i32(1, 4, 4, 3), .f32(3, 3, 3, 8)], "type.element"),
    (Conv2D(), [.f32(1, 4, 4, 3)], "ir.operands"),
    (Conv2D(), [.f32(1, 4, 4, 3), .f32(5, 3, 3, 8)], "conv.kernelTooLarge"),
    (
      Conv2D(stride: [0, 1], padding: [0, 0, 0, 0]), [.f32(1, 4, 4, 3), .f32(3, 3, 3, 8)],
      "conv.stride"
    ),
    (
      Conv2D(stride: [1], padding: [0, 0, 0, 0]), [.f32(1, 4, 4, 3), .f32(3, 3, 3, 8)],
      "conv.stride"
    ),
    (
      Conv2D(stride: [1, 1], padding: [0, -1, 0, 0]), [.f32(1, 4, 4, 3), .f32(3, 3, 3, 8)],
      "conv.padding"
    ),
    (
      Conv2D(stride: [1, 1], padding: [0, 0]), [.f32(1, 4, 4, 3), .f32(3, 3, 3, 8)],
      "conv.padding"
    ),
    (
      Conv2D(stride: [.max, 1], padding: [.max, .max, 0, 0]),
      [.f32(1, 4, 4, 3), .f32(3, 3, 3, 8)], "conv.stride"
    ),
    (
      Conv2DInputGradient(stride: [2, 2], padding: [0, 0, 0, 0], inputSize: [9, 9]),
      [.f32(1, 3, 3, 8), .f32(3, 3, 3, 8)], "shape.mismatch"
    ),
    (
      Conv2DInputGradient(stride: [2, 2], padding: [0, 0, 0, 0], inputSize: [9]),
      [.f32(1, 4, 4, 8), .f32(3, 3, 3, 8)], "conv.size"
    ),
    (
      Conv2DFilterGradient(stride: [1, 1], padding: [0, 0, 0, 0], kernelSize: [3, 2]),
      [.f32(1, 4, 4, 3), .f32(1, 2, 2, 8)], "shape.mismatch"
    ),
    (
      Conv2DFilterGradient(stride: [1, 1], padding: [0, 0, 0, 0], kernelSize: [.min, 2]),
      [.f32(1, 4, 4, 3), .f32(1, 2, 2, 8)], "shape.size"
    ),
    (
      MaxPool(PoolWindow(size: [2, 2], stride: [2, 2], padding: [2, 0, 0, 0])),
      [.f32(1, 4, 4, 3)], "pool.padding"
    ),
    (
      MaxPool(PoolWindow(size: [5, 2], stride: [2, 2], padding: [0, 0, 0, 0])),
      [.f32(1, 4, 4, 3)], "conv.kernelTooLarge"
    ),
    (
      MaxPool(PoolWindow(size: [2], stride: [2, 2], padding: [0, 0, 0, 0])),
      [.f32(1, 4, 4, 3)], "conv.size"
    ),
    (MaxPoolGather(), [.f32(1, 4, 4, 3), .f32(1, 2, 2, 3)], "shape.mismatch"),
    (MaxPoolGradient(), [.f32(1, 4, 4, 3), .f32(1, 2, 1, 3)], "shape.mismatch"),
    (AvgPoolGradient(PoolWindow(), inputSize: [6, 4]), [.f32(1, 2, 2, 3)], "shape.mismatch"),
    (AvgPoolGradient(PoolWindow(), inputSize: []), [.f32(1, 2, 2, 3)], "conv.size"),
    (BlockSum(factor: [2, 3]), [.f32(1, 4, 4, 3)], "shape.mismatch"),
    (UpsampleNearest(factor: [0, 3]), [.f32(1, 4, 4, 3)], "conv.size"),
    (UpsampleBilinear(factor: [2, 2, 2]), [.f32(1, 4, 4, 3)], "conv.size"),
    (GatherRows(), [.f32(4, 3), .f32(2)], "type.element"),
    (GatherRows(), [.f32(), .i32(2)], "shape.rank"),
    (ScatterAddRows(count: 4), [.i32(3), .f32(2, 3)], "shape.mismatch"),
    (ScatterAddRows(count: 0), [.i32(2), .f32(2, 3)], "shape.size"),
    (OneHot(count: -1), [.i32(2)], "shape.size"),
  ]

  @Test(arguments: errors.indices) func errorsShowWhatWasFound(index: Int) {
    let (operation, operands, code) = Self.errors[index]
    do {
      let types = try operation.inferTypes(operands)
      Issue.record("\(operation) accepted \(operands) -> \(types)")
    } catch {
      #expect(error.code == code, "\(operation): \(error.message)")
      if code == "shape.mismatch", operands.count == 2 {
        let shapes = operands.filter { error.message.contains(shapeText($0.shape)) }
        #expect(!shapes.isEmpty, "\(error.message)")
      }
    }
  }

  @Test func hugeNumbersAreRefusedNotMultiplied() throws {
    let builder = GraphBuilder(name: "huge")
    let x = try builder.input(.argument("x"), .f32(1, 1, 1, 1))
    let w = try builder.input(.argument("w"), .f32(1, 1, 1, 1))
    let most = Int(Int32.max)
    let attempts: [any Operation] = [
      UpsampleNearest(factor: [most, most]), UpsampleBilinear(factor: [most, 2]),
      Conv2D(stride: [1, 1], padding: [most, most, most, most]),
    ]
    for operation in attempts {
      let operands = operation is Conv2D ? [x, w] : [x]
      #expect { try builder.add(operation, operands) } throws: {
        ($0 as? Diagnostic)?.code == "shape.size"
      }
    }
  }
}
