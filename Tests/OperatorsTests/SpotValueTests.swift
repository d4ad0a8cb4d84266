// Results worked out by hand or known from NumPy and PyTorch, for the operations whose meaning could be argued about.

import Basics
import GraphIR
import Operators
import Passes
import Testing

/// One result of an operation on given tensors.
func evaluate(_ operation: any Operation, _ operands: HostTensor..., result: Int = 0) throws
  -> [Double]
{
  let types = try operation.inferTypes(operands.map(\.type))
  return operation.evaluate(operands, results: types)[result].values
}

func vector(_ values: Double...) -> HostTensor { HostTensor(.f32([values.count]), values) }
func whole(_ values: Double...) -> HostTensor {
  HostTensor(TensorType(.i32, [values.count]), values)
}

func isClose(_ a: [Double], _ b: [Double], _ tolerance: Double = 1e-12) -> Bool {
  a.count == b.count
    && zip(a, b).allSatisfy { abs($0 - $1) <= tolerance * max(1, abs($0), abs($1)) }
}

@Suite struct SpotValueTests {
  @Test func moduloHasTheSignOfTheDivisor() throws {
    let a = vector(7, -7, 7, -7, 6, 5.5, -0.5)
    let b = vector(3, 3, -3, -3, -3, -2, 2)
    #expect(try evaluate(Modulo(), a, b) == [1, 2, -2, -1, 0, -0.5, 1.5])
    #expect(
      try evaluate(Modulo(), whole(7, -7, 7, -7, 5), whole(3, 3, -3, -3, 0)) == [1, 2, -2, -1, 0])
  }

  @Test func integersFloorAndWrap() throws {
    #expect(
      try evaluate(Divide(), whole(7, -7, 7, -7, 6, 5), whole(2, 2, -2, -2, -3, 0))
        == [3, -4, -4, 3, -2, 0])
    let largest = 2_147_483_647.0
    let smallest = -2_147_483_648.0
    #expect(try evaluate(Add(), whole(largest), whole(1)) == [smallest])
    #expect(try evaluate(Subtract(), whole(smallest), whole(1)) == [largest])
    #expect(try evaluate(Multiply(), whole(largest), whole(largest)) == [1])
    #expect(try evaluate(Divide(), whole(smallest), whole(-1)) == [smallest])
    #expect(try evaluate(Modulo(), whole(smallest), whole(-1)) == [0])
  }

  @Test func powerOfZeroHasFiniteGradients() throws {
    #expect(try evaluate(Power(), vector(0, 0, 2, -2), vector(0, 2, -1, 3)) == [1, 0, 0.5, -8])
    for exponent in [0.0, 1, 2, 3] {
      let gradients = try gradients(Power(), vector(0, 2), vector(exponent, exponent))
      #expect(gradients.allSatisfy { $0.allSatisfy(\.isFinite) }, "exponent \(exponent)")
      #expect(gradients[0][0] == (exponent == 1 ? 1 : 0))
    }
  }

  @Test func extremesKeepNaN() throws {
    let a = vector(.nan, 1, 2)
    let b = vector(1, .nan, 3)
    for operation in [Minimum(), Maximum()] as [any Operation] {
      let result = try evaluate(operation, a, b)
      #expect(result[0].isNaN && result[1].isNaN && !result[2].isNaN)
    }
    #expect(try evaluate(Max(axes: [0]), a)[0].isNaN)
    #expect(try evaluate(Relu(), vector(.nan))[0].isNaN)
    // A tie gives the adjoint to the first operand of two, and shares it among elements of one.
    #expect(try gradients(Maximum(), vector(2), vector(2)) == [[1], [0]])
    #expect(try gradients(Minimum(), vector(2), vector(2)) == [[1], [0]])
    #expect(try gradients(Max(axes: [0]), vector(3, 1, 3)) == [[0.5, 0, 0.5]])
  }

  @Test func binaryCrossEntropy() throws {
    let logits = vector(0, 0, 200, 200, -200, -200)
    let targets = vector(0, 1, 0, 1, 0, 1)
    let ln2 = 0.6931471805599453
    #expect(isClose(try evaluate(BceWithLogits(), logits, targets), [ln2, ln2, 200, 0, 0, 200]))
    let slopes = try gradients(BceWithLogits(), logits, targets)[0]
    #expect(isClose(slopes, [0.5, -0.5, 1, 0, 0, -1]))
    let clamped = try evaluate(BceClamped(), vector(0, 0, 1, 1, 0.5), vector(0, 1, 0, 1, 1))
    #expect(isClose(clamped, [0, 100, 100, 0, ln2]))
    let atEnds = try gradients(BceClamped(), vector(0, 1, 0.5, 0), vector(1, 0, 1, 0))[0]
    #expect(isClose(atEnds, [-1e12, 1e12, -2, 0]))
  }

  @Test func stableForms() throws {
    #expect(try evaluate(Sigmoid(), vector(-800, 0, 800)) == [0, 0.5, 1])
    let softplus = try evaluate(Softplus(), vector(-800, 0, 800))
    #expect(isClose(softplus, [0, 0.6931471805599453, 800]))
    let rows = HostTensor(.f32(1, 3), [1000, 1000, -1000])
    #expect(isClose(try evaluate(Softmax(), rows), [0.5, 0.5, 0]))
    #expect(isClose(try evaluate(Erf(), vector(0, 0.5)), [0, 0.5204998778130465]))
    #expect(isClose(try evaluate(Elu(alpha: 2), vector(-1, 3)), [-1.2642411176571153, 3]))
    #expect(try evaluate(LeakyRelu(slope: 0.25), vector(-2, 3)) == [-0.5, 3])
  }

  @Test func borders() throws {
    let x = vector(1, 2, 3)
    func pad(_ mode: PadMode) throws -> [Double] {
      try evaluate(Pad(before: [2], after: [1], mode: mode), x)
    }
    #expect(try pad(.zero) == [0, 0, 1, 2, 3, 0])
    #expect(try pad(.reflect) == [3, 2, 1, 2, 3, 2])
    #expect(try pad(.edge) == [1, 1, 1, 2, 3, 3])
    let dy = vector(1, 10, 100, 1000, 10000, 100_000)
    func back(_ mode: PadMode) throws -> [Double] {
      try evaluate(PadGradient(before: [2], after: [1], mode: mode), dy)
    }
    #expect(try back(.zero) == [100, 1000, 10000])
    #expect(try back(.reflect) == [100, 101_010, 10001])
    #expect(try back(.edge) == [111, 1000, 110_000])
  }

  @Test func momentsAndReductions() throws {
    let x = HostTensor(.f32(2, 3), [1, 2, 3, 4, 6, 11])
    #expect(try evaluate(Moments(axes: [1]), x) == [2, 7])
    let variances = try evaluate(Moments(axes: [1], keepDims: true), x, result: 1)
    #expect(isClose(variances, [2.0 / 3, 26.0 / 3]))
    #expect(try evaluate(Moments(axes: [0]), x) == [2.5, 4, 7])
    #expect(try evaluate(Sum(axes: [0, 1]), x) == [27])
    #expect(try evaluate(Max(axes: [0]), x) == [4, 6, 11])
    let ties = HostTensor(.f32(2, 3), [5, 5, 1, 0, .nan, 9])
    #expect(try evaluate(ArgMax(axis: 1), ties) == [0, 1])
    #expect(try evaluate(ArgMax(axis: 0), x) == [1, 1, 1])
  }

  @Test func products() throws {
    let a = HostTensor(.f32(2, 3), [1, 2, 3, 4, 5, 6])
    let b = HostTensor(.f32(3, 2), [7, 8, 9, 10, 11, 12])
    #expect(try evaluate(MatMul(), a, b) == [58, 64, 139, 154])
    #expect(
      try evaluate(MatMul(transposeA: true, transposeB: true), a, b)
        == [39, 49, 59, 54, 68, 82, 69, 87, 105])
    let stacked = HostTensor(.f32(2, 2, 2), [1, 2, 3, 4, 5, 6, 7, 8])
    #expect(
      try evaluate(MatMul(transposeB: true), stacked, stacked) == [5, 11, 11, 25, 61, 83, 83, 113])
    #expect(MatMul().cost([.f32(2, 3), .f32(3, 5)], [.f32(2, 5)]).flops == 60)
  }

  @Test func movement() throws {
    let x = HostTensor(.f32(2, 3), [1, 2, 3, 4, 5, 6])
    #expect(try evaluate(Transpose([1, 0]), x) == [1, 4, 2, 5, 3, 6])
    let cube = HostTensor(.f32(2, 2, 2), (0..<8).map(Double.init))
    #expect(try evaluate(Transpose([2, 0, 1]), cube) == [0, 2, 4, 6, 1, 3, 5, 7])
    #expect(try evaluate(Broadcast([2, 2]), HostTensor(.f32(2, 1), [1, 2])) == [1, 1, 2, 2])
    #expect(
      try evaluate(Concat(axis: 1), x, HostTensor(.f32(2, 1), [8, 9])) == [1, 2, 3, 8, 4, 5, 6, 9])
    #expect(try evaluate(Slice(starts: [0, 1], ends: [2, 2]), x) == [2, 5])
    #expect(try evaluate(Iota(.f32(2, 3))) == [0, 1, 2, 0, 1, 2])
    #expect(
      try evaluate(Convert(to: .i32), vector(-1.9, 1.9, 3e9, .nan)) == [-1, 1, 2_147_483_647, 0])
    #expect(try evaluate(Convert(to: .bool), vector(0, 0.5, -2)) == [0, 1, 1])
  }

  /// The adjoints of the operands for an adjoint of ones.
  private func gradients(_ operation: any Operation, _ operands: HostTensor...) throws -> [[Double]]
  {
    let builder = GraphBuilder(name: "spot")
    var values: [ValueID] = []
    for (index, operand) in operands.enumerated() {
      values.append(try builder.input(.argument("\(index)"), operand.type))
    }
    let loss = try builder.sum(builder.add(operation, values)[0])
    let found = try differentiate(builder: builder, loss: loss, wrt: values)
    for (index, gradient) in found.enumerated() {
      builder.output(.result("\(index)"), try #require(gradient))
    }
    return Evaluator().evaluate(builder.finish(), inputs: operands).map(\.values)
  }
}

@Suite struct GradientFormTests {
  /// Activations are differentiated from their result, so that a training graph does not keep the input.
  @Test func activationsReadTheirResult() throws {
    let fromResult: [any Operation] = [
      Relu(), LeakyRelu(slope: 0.2), LeakyRelu(slope: 0), Tanh(), Sigmoid(), Exp(), Sqrt(), Elu(),
    ]
    for operation in fromResult {
      #expect(try !readsInput(operation), "\(operation.mnemonic)")
    }
    #expect(try readsInput(LeakyRelu(slope: -0.2)))
    #expect(try readsInput(Softplus()))
  }

  /// Work is done only for the operands whose adjoint is asked for.
  @Test func unwantedAdjointsCostNothing() throws {
    func nodes(wrt wanted: [Int]) throws -> Int {
      let builder = GraphBuilder(name: "pruned")
      let values = [
        try builder.input(.argument("a"), .f32(2, 3)),
        try builder.input(.argument("b"), .f32(3, 4)),
      ]
      let loss = try builder.sum(builder.matmul(values[0], values[1]))
      _ = try differentiate(builder: builder, loss: loss, wrt: wanted.map { values[$0] })
      return builder.graph.nodes.elements.filter { $0.operation is MatMul }.count
    }
    #expect(try nodes(wrt: [0]) == 2)
    #expect(try nodes(wrt: [1]) == 2)
    #expect(try nodes(wrt: [0, 1]) == 3)
  }

  private func readsInput(_ operation: any Operation) throws -> Bool {
    let builder = GraphBuilder(name: "form")
    let x = try builder.input(.argument("x"), .f32(3))
    let loss = try builder.sum(builder.add(operation, [x])[0])
    _ = try differentiate(builder: builder, loss: loss, wrt: [x])
    return builder.graph.useCounts()[x] > 1
  }
}
